"""A run is one trace: its requests, and live below it the functions that it executes."""

import asyncio
import contextlib
import contextvars
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import braintrust
import pytest
from braintrust.integrations.mistral import MistralIntegration, wrap_mistral
from braintrust.integrations.mistral.tracing.pending import pending_tool_calls as pending_calls
from mistralai.extra.exceptions import RunException
from pydantic import BaseModel

from braintrust_mistral.local import LocalMistral
from tests.conftest import LoggedSpans, Mistral
from tests.helpers.runs import (
    BREAD,
    Kind,
    Run,
    as_coroutine,
    as_function,
    both_kinds,
    both_ways,
    context_of,
    import_runs,
    streamed_run,
)
from tests.helpers.spans import LoggedSpan, by_name, logged_span, outline, short_name, without_identity
from tests.helpers.wire import USAGE, Json, ScriptedMistral, answer, answer_stream, calls, gives, says, streamed


import_runs()

BREAD_OUTLINE = ["run", "  start", "  tool: knead", "    shape", "  append"]


def knead(minutes: int) -> str:
    """Knead the dough, in a span of its own."""
    with braintrust.start_span("shape"):
        return f"kneaded for {minutes}"


# --- the tree ---


@pytest.mark.parametrize("fixture", ["spans", "no_logger"])
async def test_the_arguments_of_a_run_may_be_positional(fixture: str, request: pytest.FixtureRequest) -> None:
    logged = request.getfixturevalue(fixture)
    result = await ScriptedMistral(*BREAD).client.beta.conversations.run_async(context_of(knead), "Bake")
    stream = await ScriptedMistral(*BREAD).client.beta.conversations.run_stream_async(context_of(knead), "Bake")
    assert result.output_as_text == [item async for item in stream][-1].output_as_text == "It rests."
    if logged is not None:
        assert [row["input"] for row in logged.pop_ended() if short_name(row) == "run"] == ["Bake"] * 2


@both_ways
@both_kinds
async def test_a_run_is_one_trace_with_its_requests_and_its_functions_below(
    run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    await run(ScriptedMistral(*BREAD), context_of(kind(knead)))
    rows = spans.pop_ended()
    assert outline(rows) == BREAD_OUTLINE
    suffix = "_stream" if run is streamed_run else ""
    ours = [row for row in rows if short_name(row) != "shape"]
    assert [row["span_attributes"]["name"] for row in ours] == [
        f"mistral.beta.conversations.run{suffix}",
        f"mistral.beta.conversations.start{suffix}",
        "tool: knead",
        f"mistral.beta.conversations.append{suffix}",
    ]
    assert [row["span_attributes"]["type"] for row in ours] == ["task", "task", "tool", "task"]
    assert len({row["root_span_id"] for row in rows}) == 1


@both_ways
async def test_a_run_is_below_the_callers_span_and_leaves_it_current(run: Run, spans: LoggedSpans) -> None:
    with braintrust.start_span("bakery") as bakery:
        await run(ScriptedMistral(*BREAD), context_of(knead))
        assert braintrust.current_span() is bakery
    assert outline(spans.pop_ended())[:2] == ["bakery", "  run"]


async def test_between_the_events_of_a_streamed_run_the_callers_span_is_current(spans: LoggedSpans) -> None:
    """And what the caller asks Mistral meanwhile is no part of the run."""
    mistral, other = ScriptedMistral(*BREAD), ScriptedMistral([says("Rye.")])
    with braintrust.start_span("bakery") as bakery:
        stream = await mistral.client.beta.conversations.run_stream_async(context_of(knead), "Bake")
        asked = False
        async for _ in stream:
            assert braintrust.current_span() is bakery
            if not asked:
                asked = True
                await other.client.beta.conversations.start_async(model="m", inputs="Which flour?")
    rows = spans.pop_ended()
    tree = outline(rows)
    assert (tree.count("    start"), tree.count("  start"), tree.count("    append")) == (1, 1, 1)
    (of_run,) = [row for row in rows if short_name(row) == "run"]
    assert of_run["metadata"]["request_count"] == 2
    assert of_run["output"] == [*BREAD[0], gives("kneaded for 8"), *BREAD[1]]


async def test_two_streamed_runs_that_are_read_by_turns_stay_apart(spans: LoggedSpans) -> None:
    mistral = ScriptedMistral(*BREAD)
    first, second = [
        await mistral.client.beta.conversations.run_stream_async(context_of(kind(knead)), inputs)
        for kind, inputs in ((as_function, "Bake rye"), (as_coroutine, "Bake spelt"))
    ]
    async for _ in first:
        await anext(second)
    with pytest.raises(StopAsyncIteration):
        await anext(second)
    rows = spans.pop_ended()
    assert sorted(row["input"] for row in rows if short_name(row) == "run") == ["Bake rye", "Bake spelt"]
    assert outline(rows) == BREAD_OUTLINE * 2


@both_ways
@both_kinds
async def test_a_thread_with_a_copied_context_nests_below_the_function_that_starts_it(
    run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    def knead(minutes: int) -> str:
        def work() -> None:
            with braintrust.start_span("arm"):
                pass

        threads = [threading.Thread(target=contextvars.copy_context().run, args=[work]) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return "kneaded"

    await run(ScriptedMistral(*BREAD), context_of(kind(knead)))
    assert outline(spans.pop_ended()) == ["run", "  start", "  tool: knead", "    arm", "    arm", "  append"]


@both_ways
async def test_the_parallel_calls_of_a_turn_are_siblings_that_overlap(run: Run, spans: LoggedSpans) -> None:
    """Each waits for the other, and opens a span of its own meanwhile."""
    at_work = {"rye": asyncio.Event(), "spelt": asyncio.Event()}

    async def knead(dough: str, other: str) -> str:
        with braintrust.start_span(f"knead {dough}"):
            at_work[dough].set()
            await at_work[other].wait()
        return dough

    turn = [
        calls("knead", {"dough": "rye", "other": "spelt"}, "call_1"),
        calls("knead", {"dough": "spelt", "other": "rye"}, "call_2"),
    ]
    await run(ScriptedMistral(turn, [says("Both rest.")]), context_of(knead))
    rows = spans.pop_ended()
    tree = outline(rows)
    assert sorted(tree) == sorted(
        ["run", "  start", "  tool: knead", "    knead rye", "  tool: knead", "    knead spelt", "  append"]
    )
    assert tree.index("    knead rye") == tree.index("    knead spelt") - 2
    tools = [row for row in rows if short_name(row) == "tool: knead"]
    assert [(tool["metadata"]["tool_call_id"], tool["output"]) for tool in tools] == [
        ("call_1", "rye"),
        ("call_2", "spelt"),
    ]
    assert max(tool["metrics"]["start"] for tool in tools) <= min(tool["metrics"]["end"] for tool in tools)


@both_ways
async def test_the_parallel_calls_of_sync_functions_are_siblings_too(run: Run, spans: LoggedSpans) -> None:
    turn = [calls("knead", {"minutes": minutes}, f"call_{minutes}") for minutes in (8, 9)]
    await run(ScriptedMistral(turn, [says("Both rest.")]), context_of(knead))
    tool = ["  tool: knead", "    shape"]
    assert outline(spans.pop_ended()) == ["run", "  start", *tool, *tool, "  append"]


@both_ways
@both_kinds
async def test_the_calls_that_a_function_makes_are_its_own_and_no_turns_of_the_run(
    run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    """Even a function call that it is asked for: it has the span and the result that it has outside of runs."""
    other = ScriptedMistral([calls("weigh", {"grams": 500}, "call_9")], [says("Enough.")])

    def knead(minutes: int) -> str:
        other.client.chat.complete(model="m", messages=[{"role": "user", "content": "Which flour?"}])
        conversations = other.client.beta.conversations
        asked = conversations.start(model="m", inputs="How much?")
        conversations.append(
            conversation_id=asked.conversation_id, inputs=[{"tool_call_id": "call_9", "result": "500 g"}]
        )
        return "kneaded"

    waiting = len(pending_calls)
    await run(ScriptedMistral(*BREAD), context_of(kind(knead)))
    spans_of_function = ["    mistral.chat.complete", "    start", "      tool: weigh", "    append"]
    # The function call was settled: it ended when it was logged, and again with its result.
    rows = spans.pop()
    assert outline(rows) == ["run", "  start", "  tool: knead", *spans_of_function, "  append"]
    named = {short_name(row): row for row in rows}
    assert (named["tool: weigh"]["output"], named["tool: weigh"]["metadata"]["tool_type"]) == (
        "500 g",
        "function.call",
    )
    assert named["run"]["metadata"]["request_count"] == 2
    assert named["run"]["output"] == [*BREAD[0], gives("kneaded"), *BREAD[1]]
    assert len(pending_calls) == waiting


@both_ways
async def test_a_run_inside_of_a_function_is_a_run_of_its_own(run: Run, spans: LoggedSpans) -> None:
    inner = ScriptedMistral([calls("weigh", {"grams": 500})], [says("Enough.")])

    def weigh(grams: int) -> str:
        return f"{grams} g"

    async def knead(minutes: int) -> str:
        result: str = (await run(inner, context_of(weigh), "How much?")).output_as_text
        return result

    await run(ScriptedMistral(*BREAD), context_of(knead))
    rows = spans.pop_ended()
    nested = ["    run", "      start", "      tool: weigh", "      append"]
    assert outline(rows) == ["run", "  start", "  tool: knead", *nested, "  append"]
    outer, inner_run = (row for row in rows if short_name(row) == "run")
    assert outer["output"] == [*BREAD[0], gives("Enough."), *BREAD[1]]
    assert inner_run["output"] == [calls("weigh", {"grams": 500}), gives("500 g"), says("Enough.")]


@both_ways
@pytest.mark.parametrize("ways", ["wrap", "setup wrap", "wrap setup wrap"], ids=lambda ways: ways.replace(" ", "-"))
@pytest.mark.usefixtures("uninstrumented")
async def test_setup_and_wrap_mistral_in_any_order_and_number_give_one_span_a_call(
    ways: str, run: Run, spans: LoggedSpans
) -> None:
    mistral = ScriptedMistral(*BREAD)
    for way in ways.split():
        assert MistralIntegration.setup() if way == "setup" else wrap_mistral(mistral.client)
    await run(mistral, context_of(knead))
    assert outline(spans.pop_ended()) == BREAD_OUTLINE


# --- the span of a function ---


@both_ways
@both_kinds
async def test_the_span_of_a_function_is_live_and_holds_its_arguments_and_its_result(
    run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    """The result as the function returned it; to the model it went as JSON."""

    def weigh(grams: int, of: str) -> Json:
        return {"grams": grams, "of": [of]}

    mistral = ScriptedMistral([calls("weigh", {"grams": 500, "of": "rye"})], [says("Enough.")])
    await run(mistral, context_of(kind(weigh)))
    named = by_name(spans.pop_ended())
    assert logged_span(named["tool: weigh"]) == LoggedSpan(
        name="tool: weigh",
        type="tool",
        input={"grams": 500, "of": "rye"},
        output={"grams": 500, "of": ["rye"]},
        metadata={"tool_type": "function", "tool_name": "weigh", "tool_call_id": "call_1"},
        metrics={"duration": ANY},
        error=None,
        seconds=ANY,
        children=(),
    )
    (sent,) = mistral.requests[1]["inputs"]
    assert (sent["tool_call_id"], json.loads(sent["result"])) == ("call_1", {"grams": 500, "of": ["rye"]})
    times = [
        named[name]["metrics"][edge]
        for name, edge in (
            ("run", "start"),
            ("start", "start"),
            ("start", "end"),
            ("tool: weigh", "start"),
            ("tool: weigh", "end"),
            ("append", "start"),
            ("append", "end"),
            ("run", "end"),
        )
    ]
    assert times == sorted(times)


class BakeError(Exception):
    """Raised by the functions of these tests."""

    def __bool__(self) -> bool:
        return False


@both_ways
@both_kinds
async def test_what_a_function_raises_is_on_its_span_and_the_sdks_exception_reaches_the_caller(
    run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    error = BakeError("the oven is cold")

    def knead(minutes: int) -> str:
        raise error

    with pytest.raises(Exception, match="Failed to execute tool knead") as raised:
        await run(ScriptedMistral(*BREAD), context_of(kind(knead)))
    assert type(raised.value).__name__ == "RunException"
    assert raised.value.__cause__ is error
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start", "  tool: knead"]
    whole_run, _, tool = map(logged_span, rows)
    assert tool.error == f"{__name__}.BakeError: the oven is cold"
    assert (tool.input, tool.output) == ({"minutes": 8}, None)
    assert "RunException: Failed to execute tool knead" in str(whole_run.error)
    assert whole_run.output == BREAD[0]


@both_ways
@both_kinds
async def test_what_a_function_raises_is_on_its_span_also_when_the_run_goes_on(
    run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    def knead(minutes: int) -> str:
        raise BakeError("the oven is cold")

    await run(ScriptedMistral(*BREAD), context_of(kind(knead), continue_on_fn_error=True))
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start", "  tool: knead", "  append"]
    whole_run, _, tool, _ = map(logged_span, rows)
    sent = "Error while executing knead: the oven is cold"
    assert (tool.error, tool.output) == (f"{__name__}.BakeError: the oven is cold", sent)
    assert (whole_run.error, whole_run.output) == (None, [*BREAD[0], gives(sent), *BREAD[1]])


@both_ways
async def test_the_siblings_of_a_function_that_fails_end_as_they_do(run: Run, spans: LoggedSpans) -> None:
    """The SDK leaves them to run on: one ends after the run, and one with the event loop."""
    failed = asyncio.Event()

    async def knead(minutes: int) -> str:
        raise BakeError("the oven is cold")

    async def proof(hours: int) -> str:
        await failed.wait()
        return f"proofed for {hours}"

    async def rest() -> str:
        await asyncio.Event().wait()
        raise AssertionError

    turn = [calls("knead", {"minutes": 8}, "1"), calls("proof", {"hours": 2}, "2"), calls("rest", {}, "3")]
    before = asyncio.all_tasks()
    with pytest.raises(Exception, match="Failed to execute tool knead"):
        await run(ScriptedMistral(turn), context_of(knead, proof, rest))
    left = asyncio.all_tasks() - before
    failed.set()
    await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start", "  tool: knead", "  tool: proof", "  tool: rest"]
    tools = [logged_span(row) for row in rows[2:]]
    assert [tool.output for tool in tools] == [None, "proofed for 2", None]
    assert [str(tool.error).rpartition(".")[2] for tool in tools] == [
        "BakeError: the oven is cold",
        "None",
        "None",
    ]


WRONG_ARGUMENTS = {
    "malformed": ('{"minutes": 8', '{"minutes": 8', "JSONDecodeError"),
    "unexpected": ({"hours": 8}, {"hours": 8}, "TypeError"),
    "no_object": ([8], [8], "must be a mapping"),
}


@both_ways
@both_kinds
@pytest.mark.parametrize(("arguments", "shown", "error"), WRONG_ARGUMENTS.values(), ids=list(WRONG_ARGUMENTS))
@pytest.mark.parametrize("goes_on", [False, True])
async def test_arguments_that_do_not_fit_are_an_error_of_the_function(
    goes_on: bool, arguments: Any, shown: Any, error: str, run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    """Shown as they came. Those that are no JSON end the run in any case."""
    mistral = ScriptedMistral([calls("knead", arguments)], [says("Never mind.")])
    context = context_of(kind(knead), continue_on_fn_error=goes_on)
    if goes_on and error != "JSONDecodeError":
        await run(mistral, context)
    else:
        with pytest.raises(Exception, match="delimiter" if error == "JSONDecodeError" else "Failed to execute"):
            await run(mistral, context)
    tool = by_name(spans.pop_ended())["tool: knead"]
    assert error in tool["error"]
    assert tool["input"] == shown


@both_ways
@both_kinds
@pytest.mark.parametrize("goes_on", [False, True])
async def test_a_result_that_cannot_be_sent_is_an_error(
    goes_on: bool, run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    def knead(minutes: int) -> object:
        return {"dough": object()}

    context = context_of(kind(knead), continue_on_fn_error=goes_on)
    # Some SDKs write a result as JSON where they no longer make an error of the function from what that raises.
    with contextlib.suppress(TypeError) if goes_on else pytest.raises((RunException, TypeError)):
        await run(ScriptedMistral(*BREAD), context)
    assert "Object of type object is not JSON serializable" in by_name(spans.pop_ended())["tool: knead"]["error"]


@both_ways
@both_kinds
async def test_a_result_that_reads_like_an_error_is_none(run: Run, kind: Kind, spans: LoggedSpans) -> None:
    def knead(minutes: int) -> str:
        return "Error while executing knead: none at all"

    await run(ScriptedMistral(*BREAD), context_of(kind(knead)))
    tool = logged_span(by_name(spans.pop_ended())["tool: knead"])
    assert (tool.output, tool.error) == ("Error while executing knead: none at all", None)


@both_ways
async def test_calls_that_a_run_leaves_alone_as_one_is_unknown_wait_for_their_results_below_their_request(
    run: Run, spans: LoggedSpans
) -> None:
    turn = [calls("knead", {"minutes": 8}, "1"), calls("bake", {"degrees": 230}, "2")]
    await run(ScriptedMistral(turn, [says("Never mind.")]), context_of(knead))
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start", "    tool: knead", "    tool: bake", "  append"]
    assert rows[0]["output"] == [*turn, says("Never mind.")]


MCP_SERVER = """
try:
    from mcp.server.mcpserver import Image, MCPServer
except ImportError:
    from mcp.server.fastmcp import FastMCP as MCPServer, Image  # mcp 1.x

server = MCPServer("bakery")


@server.tool()
def weigh(grams: int) -> str:
    return f"{grams} g of flour"


@server.tool()
def ferment() -> str:
    raise ValueError("the yeast is dead")


@server.tool()
def photograph() -> Image:
    return Image(data=b"bread", format="png")


server.run("stdio")
"""


MCP_CALLS: list[tuple[str, Any]] = [("weigh", {"grams": 500}), ("ferment", {}), ("photograph", {})]


@both_ways
async def test_a_tool_of_an_mcp_server_is_a_function_of_the_run(run: Run, spans: LoggedSpans, tmp_path: Path) -> None:
    """A real server, of which one tool answers, one fails, and one gives what the SDK refuses."""
    from mcp import StdioServerParameters
    from mistralai.extra.mcp.stdio import MCPClientSTDIO

    script = tmp_path / "server.py"
    script.write_text(MCP_SERVER, encoding="utf-8")
    turn = [calls(name, arguments, f"call_{name}") for name, arguments in MCP_CALLS]
    client = MCPClientSTDIO(StdioServerParameters(command=sys.executable, args=["-W", "ignore", str(script)]))
    async with context_of(continue_on_fn_error=True) as context:
        await context.register_mcp_client(client)
        await run(ScriptedMistral(turn, [says("Enough.")]), context)
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start", "  tool: weigh", "  tool: ferment", "  tool: photograph", "  append"]
    weigh, ferment, photograph = (logged_span(row) for row in rows[2:5])
    assert (weigh.input, weigh.output) == ({"grams": 500}, [{"type": "text", "text": "500 g of flour"}])
    assert weigh.metadata == {"tool_type": "mcp", "tool_name": "weigh", "tool_call_id": "call_weigh"}
    # The server answers a failure like a result, and so the run sends it.
    assert str(ferment.error).startswith("Error executing tool ferment")
    assert ferment.output == [{"type": "text", "text": ferment.error}]
    assert weigh.error is None
    refusal = "Only supporting text tool responses for now."
    assert photograph.error == f"mistralai.extra.exceptions.MCPException: {refusal}"
    assert photograph.output == f"Error while executing photograph: {refusal}"


# --- the span of the run ---


@both_ways
async def test_the_span_of_a_run_adds_up_what_its_requests_hold(run: Run, spans: LoggedSpans) -> None:
    mistral = ScriptedMistral(*BREAD, [says("never asked for")])
    result = await run(mistral, context_of(knead), "Bake", instructions="Be warm.", name="bakery")
    assert result.output_as_text == "It rests."
    is_stream = run is streamed_run
    whole_run = logged_span(spans.pop_ended()[0])
    assert whole_run == LoggedSpan(
        name="mistral.beta.conversations.run" + ("_stream" if is_stream else ""),
        type="task",
        input="Bake",
        output=[*BREAD[0], gives("kneaded for 8"), *BREAD[1]],
        metadata={
            "provider": "mistral",
            "model": "mistral-small-latest",
            "requested_model": "m",
            "conversation_id": "conv_1",
            "stream": is_stream,
            "instructions": "Be warm.",
            "name": "bakery",
            "request_count": 2,
            "usage": {
                "prompt_tokens": 2 * USAGE["prompt_tokens"],
                "completion_tokens": 2 * USAGE["completion_tokens"],
                "tokens": 2 * USAGE["total_tokens"],
            },
        },
        metrics={"duration": ANY, **({"time_to_first_token": ANY} if is_stream else {})},
        error=None,
        seconds=ANY,
        children=(),
    )


async def test_positional_arguments_are_logged_by_their_names(spans: LoggedSpans) -> None:
    conversations = ScriptedMistral(*BREAD).client.beta.conversations
    tools = [{"type": "web_search"}]
    await conversations.run_async(context_of(knead), "Bake", "Be warm.", tools)
    stream = await conversations.run_stream_async(context_of(knead), "Bake", "Be warm.", tools)
    assert [type(item).__name__ async for item in stream][-1] == "RunResult"
    for row in spans.pop_ended():
        if short_name(row) == "run":
            assert row["input"] == "Bake"
            assert (row["metadata"]["instructions"], row["metadata"]["tools"]) == ("Be warm.", tools)


async def test_the_first_output_of_a_streamed_run_is_that_of_its_first_request(spans: LoggedSpans) -> None:
    await streamed_run(ScriptedMistral(*BREAD), context_of(knead))
    named = by_name(spans.pop_ended())
    first = [
        named[name]["metrics"]["start"] + named[name]["metrics"]["time_to_first_token"] for name in ("run", "start")
    ]
    assert first[0] == pytest.approx(first[1], abs=1e-5)


@both_ways
async def test_a_request_that_is_refused_is_the_error_of_the_run(run: Run, spans: LoggedSpans) -> None:
    mistral = ScriptedMistral(BREAD[0], answer({"message": "the oven is cold"}, 500))
    with pytest.raises(Exception, match="the oven is cold"):
        await run(mistral, context_of(knead))
    rows = spans.pop_ended()
    assert outline(rows) == BREAD_OUTLINE
    assert [bool(row.get("error")) for row in rows] == [True, False, False, False, True]
    assert "the oven is cold" in rows[0]["error"]
    assert rows[0]["output"] == [*BREAD[0], gives("kneaded for 8")]
    assert (rows[0]["metadata"]["request_count"], rows[0]["metadata"]["usage"]["tokens"]) == (2, USAGE["total_tokens"])


async def test_a_stream_that_breaks_is_the_error_of_the_run_and_what_had_arrived_is_its_output(
    spans: LoggedSpans,
) -> None:
    broken = answer_stream(streamed(BREAD[1])[:2], ConnectionResetError("by the baker"))
    mistral = ScriptedMistral(BREAD[0], broken)
    with pytest.raises(ConnectionResetError):
        await streamed_run(mistral, context_of(knead))
    whole_run = spans.pop_ended()[0]
    assert "ConnectionResetError: by the baker" in whole_run["error"]
    assert [entry["type"] for entry in whole_run["output"]] == ["function.call", "function.result", "message.output"]
    assert whole_run["output"][-1]["content"] == "It r"


async def test_an_error_event_is_the_error_of_the_run_although_nothing_is_raised(spans: LoggedSpans) -> None:
    event = {"type": "conversation.response.error", "created_at": "2026-10-05T14:45:46Z"}
    events = [*streamed(BREAD[1])[:-1], {**event, "message": "The oven is cold", "code": 3000}]
    await streamed_run(ScriptedMistral(BREAD[0], answer_stream(events)), context_of(knead))
    whole_run = spans.pop_ended()[0]
    assert whole_run["error"] == "The oven is cold (code 3000)"
    assert whole_run["output"] == [*BREAD[0], gives("kneaded for 8"), *BREAD[1]]


# --- with a Mistral that has hosted tools, handoffs and agents ---


@pytest.fixture(scope="module")
def service() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.0) as running:
        yield running


def book_ferry(departure: str, passengers: int) -> Json:
    """Book a ferry."""
    return {"departure": departure, "passengers": passengers}


async def test_a_streamed_run_logs_what_it_logs_unstreamed(service: LocalMistral, spans: LoggedSpans) -> None:
    """Hosted tools, one of them failing, a handoff, reasoning with citations and a function call, both ways."""
    runs: list[list[Json]] = []
    async with Mistral(api_key="local", server_url=service.url) as client:
        conversations = client.beta.conversations
        await conversations.run_async(context_of(book_ferry, model="agentic"), "Book a ferry.")
        runs.append(spans.pop_ended())
        async for _ in await conversations.run_stream_async(context_of(book_ferry, model="agentic"), "Book a ferry."):
            pass
        runs.append(spans.pop_ended())
    hosted = ["tool: web_search", "tool: code_interpreter", "tool: library_get_document", "handoff: analyst"]
    for rows in runs:
        assert sorted(outline(rows)) == sorted(
            ["run", "  start", *(f"    {tool}" for tool in hosted), "  tool: book_ferry", "  append"]
        )
    unstreamed, as_stream = (rows[0] for rows in runs)
    assert without_identity(as_stream["output"]) == without_identity(unstreamed["output"])
    assert [entry["type"] for entry in unstreamed["output"]] == [
        *["tool.execution"] * 3,
        "agent.handoff",
        "message.output",
        "function.call",
        "function.result",
        "message.output",
    ]
    *_, call, result, _ = unstreamed["output"]
    assert result["tool_call_id"] == call["tool_call_id"]
    assert json.loads(result["result"]) == {"departure": "14:30", "passengers": 4}
    for name in ("prompt_tokens", "completion_tokens", "connector_tokens", "tokens"):
        requests = [row["metrics"].get(name, 0) for row in runs[0] if short_name(row) in ("start", "append")]
        assert unstreamed["metadata"]["usage"][name] == sum(requests) > 0


@both_ways
async def test_a_run_can_continue_a_conversation(run: Run, spans: LoggedSpans) -> None:
    await run(ScriptedMistral(*BREAD), context_of(knead, conversation_id="conv_7"))
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  append", "  tool: knead", "    shape", "  append"]
    assert rows[0]["metadata"]["conversation_id"] == "conv_7"
    assert rows[0]["output"] == [*BREAD[0], gives("kneaded for 8"), *BREAD[1]]


@both_ways
async def test_a_run_with_an_agent_updates_it_first_and_is_the_agents(run: Run, spans: LoggedSpans) -> None:
    mistral = ScriptedMistral(*BREAD)
    await run(mistral, context_of(knead, agent_id="ag_1"))
    ((tool,),) = [update["tools"] for update in mistral.agent_updates]
    assert tool["function"]["name"] == "knead"
    rows = spans.pop_ended()
    agents = ["  mistral.beta.agents.get", "  mistral.beta.agents.update"]
    assert outline(rows) == [BREAD_OUTLINE[0], *agents, *BREAD_OUTLINE[1:]]
    metadata = rows[0]["metadata"]
    assert (metadata["agent_id"], metadata["model"]) == ("ag_1", "mistral-small-latest")
    # The SDK asked for the agent, which told its name; that is no request of the model.
    assert (metadata["agent_name"], metadata["request_count"]) == ("baker", 2)
    assert [row["metadata"]["agent_name"] for row in rows if "agent_id" in row.get("metadata", {})] == ["baker"] * 4


class Loaf(BaseModel):
    """The output format of a run."""

    flour: str
    grams: int


@both_ways
async def test_a_run_with_an_output_format_returns_the_model(run: Run, spans: LoggedSpans) -> None:
    mistral = ScriptedMistral(BREAD[0], [says('{"flour": "rye", "grams": 500}')])
    result = await run(mistral, context_of(knead, output_format=Loaf))
    assert result.output_as_model == Loaf(flour="rye", grams=500)
    rows = spans.pop_ended()
    assert outline(rows) == BREAD_OUTLINE
    assert rows[0]["output"][-1]["content"] == '{"flour": "rye", "grams": 500}'
    response_format = rows[1]["metadata"]["completion_args"]["response_format"]
    assert response_format["json_schema"]["name"] == "Loaf"


@both_ways
@both_kinds
async def test_ten_runs_at_once_stay_apart(run: Run, kind: Kind, spans: LoggedSpans) -> None:
    def ask(body: Json) -> list[Json]:
        (question,) = body["inputs"]
        return [calls("knead", {"minutes": int(question["content"])})]

    def tell(body: Json) -> list[Json]:
        return [says(f"It was {body['inputs'][0]['result']}.")]

    mistral = ScriptedMistral(ask, tell)
    await asyncio.gather(*(run(mistral, context_of(kind(knead)), str(number)) for number in range(10)))
    rows = spans.pop_ended()
    assert sorted(outline(rows)) == sorted(BREAD_OUTLINE * 10)
    runs = [row for row in rows if short_name(row) == "run"]
    assert sorted(row["input"] for row in runs) == [str(number) for number in range(10)]
    for row in runs:
        minutes = int(row["input"])
        result = f"kneaded for {minutes}"
        assert row["output"] == [calls("knead", {"minutes": minutes}), gives(result), says(f"It was {result}.")]
        below = [other for other in rows if other.get("span_parents") == [row["span_id"]]]
        assert [short_name(child) for child in below] == ["start", "tool: knead", "append"]
        assert (below[1]["input"], below[1]["output"]) == ({"minutes": minutes}, result)
        assert {child["metadata"].get("conversation_id", None) for child in (below[0], below[2])} == {
            row["metadata"]["conversation_id"]
        }
