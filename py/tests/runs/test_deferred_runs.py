"""A run that asks for confirmations is a pause, and goes on as another run, which says what was decided."""

from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral.operations import ToolCallKey
from braintrust.integrations.mistral.runs.runs import deferred_calls

from tests.conftest import LoggedSpans
from tests.helpers.runs import Kind, Run, both_kinds, both_ways, context_of, defers_calls, unstreamed_run
from tests.helpers.spans import by_name, logged_span, outline
from tests.helpers.wire import Json, ScriptedMistral, calls, gives, says


if not defers_calls():
    pytest.skip("this mistralai defers no calls", allow_module_level=True)

CALL = calls("bake", {"degrees": 230})
TURNS = [[CALL], [says("It rises.")]]


def bake(degrees: int) -> str:
    """Bake the bread."""
    with braintrust.start_span("fire"):
        return f"baked at {degrees}"


def weigh(grams: int) -> str:
    """Weigh the flour."""
    return f"{grams} g"


def asking(*functions: Any, **settings: Any) -> Any:
    """Return a context whose functions are to be confirmed."""
    context = context_of(**settings)
    for function in functions:
        context.register_func(function, requires_confirmation=True)
    return context


async def paused(run: Run, mistral: ScriptedMistral, context: Any) -> Any:
    """Run to the pause, and return the SDK's exception."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - only in some versions there is a class
        await run(mistral, context)
    assert type(raised.value).__name__ == "DeferredToolCallsException"
    return raised.value


@pytest.fixture(autouse=True)
def no_decision_is_held() -> Any:
    """Every test decides all that was deferred."""
    before = len(deferred_calls)
    yield
    assert len(deferred_calls) == before


@both_ways
@both_kinds
async def test_a_call_that_is_confirmed_runs_in_the_next_run_and_says_so(
    run: Run, kind: Kind, spans: LoggedSpans
) -> None:
    """The pause is no error, and its span has the deferred call."""
    mistral = ScriptedMistral(*TURNS)
    pause = await paused(run, mistral, asking(kind(bake)))
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start"]
    first = logged_span(rows[0])
    assert (first.error, first.output) == (None, [CALL])

    context = asking(kind(bake), conversation_id=pause.conversation_id)
    await run(mistral, context, [call.confirm() for call in pause.deferred_calls])
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  tool: bake", "    fire", "  append"]
    second, tool = logged_span(rows[0]), logged_span(rows[1])
    assert [decision["tool_call_id"] for decision in second.input] == ["call_1"]
    assert (second.error, second.output, second.metadata["conversation_id"]) == (None, TURNS[1], "conv_1")
    assert (tool.input, tool.output) == ({"degrees": 230}, "baked at 230")
    assert tool.metadata == {
        "tool_type": "function",
        "tool_name": "bake",
        "tool_call_id": "call_1",
        "tool_approval": "approved",
    }


@both_ways
async def test_a_call_that_is_rejected_has_a_span_that_says_so(run: Run, spans: LoggedSpans) -> None:
    mistral = ScriptedMistral(*TURNS)
    pause = await paused(run, mistral, asking(bake))
    spans.pop_ended()
    (call,) = pause.deferred_calls
    await run(mistral, asking(bake, conversation_id=pause.conversation_id), [call.reject("It must rest")])
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  tool: bake", "  append"]
    tool = logged_span(rows[1])
    assert (tool.type, tool.input, tool.output, tool.error) == ("tool", {"degrees": 230}, "It must rest", None)
    assert (tool.metadata["tool_name"], tool.metadata["tool_approval"]) == ("bake", "denied")
    assert rows[0]["metrics"]["start"] <= rows[1]["metrics"]["start"] <= rows[1]["metrics"]["end"]


@both_ways
async def test_arguments_that_were_changed_with_the_confirmation_are_those_of_the_span(
    run: Run, spans: LoggedSpans
) -> None:
    mistral = ScriptedMistral(*TURNS)
    pause = await paused(run, mistral, asking(bake))
    (call,) = pause.deferred_calls
    context = asking(bake, conversation_id=pause.conversation_id)
    await run(mistral, context, [call.confirm(override_args={"degrees": 180})])
    tool = by_name(spans.pop_ended()[2:])["tool: bake"]
    assert (tool["input"], tool["output"]) == ({"degrees": 180}, "baked at 180")
    assert tool["metadata"]["tool_approval"] == "approved"


@both_ways
@both_kinds
async def test_what_a_confirmed_function_raises_is_on_its_span(run: Run, kind: Kind, spans: LoggedSpans) -> None:
    """Streamed, it is raised before there is a stream."""

    def bake(degrees: int) -> str:
        raise LookupError("no oven")

    mistral = ScriptedMistral(*TURNS)
    pause = await paused(run, mistral, asking(kind(bake)))
    spans.pop_ended()
    with pytest.raises(Exception, match="Failed to execute tool bake"):
        await run(
            mistral,
            asking(kind(bake), conversation_id=pause.conversation_id),
            [call.confirm() for call in pause.deferred_calls],
        )
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  tool: bake"]
    second, tool = map(logged_span, rows)
    assert "RunException: Failed to execute tool bake" in str(second.error)
    assert tool.error == "LookupError: no oven"
    assert tool.metadata["tool_approval"] == "approved"


@both_ways
@pytest.mark.parametrize(("confirms", "approval"), [(True, "approved"), (False, "denied")])
async def test_a_decision_about_a_call_that_runs_at_mistral_is_on_a_span(
    confirms: bool, approval: str, run: Run, spans: LoggedSpans
) -> None:
    """It is the request that carries the decision; the SDK sees such a call in unstreamed answers only."""
    mistral = ScriptedMistral([{**CALL, "confirmation_status": "pending"}], TURNS[1])
    pause = await paused(unstreamed_run, mistral, asking())
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start"]
    first = logged_span(rows[0])
    assert (first.error, first.output) == (None, [{**CALL, "confirmation_status": "pending"}])

    (call,) = pause.deferred_calls
    decision = call.confirm() if confirms else call.reject("It must rest")
    await run(mistral, asking(conversation_id=pause.conversation_id), [decision])
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  tool: bake", "  append"]
    tool = logged_span(rows[1])
    assert (tool.input, tool.output) == ({"degrees": 230}, None if confirms else "It must rest")
    assert (tool.metadata["tool_call_id"], tool.metadata["tool_approval"]) == ("call_1", approval)
    (sent,) = mistral.requests[1]["tool_confirmations"]
    assert sent == {"tool_call_id": "call_1", "confirmation": "allow" if confirms else "deny"}
    assert rows[2]["metadata"]["tool_confirmations"] == [sent]


@both_ways
async def test_of_one_turn_some_calls_run_and_others_are_deferred(run: Run, spans: LoggedSpans) -> None:
    turn = [calls("weigh", {"grams": 500}, "call_1"), calls("bake", {"degrees": 230}, "call_2")]
    mistral = ScriptedMistral(turn, TURNS[1])

    def context(**settings: Any) -> Any:
        context = asking(bake, **settings)
        context.register_func(weigh)
        return context

    pause = await paused(run, mistral, context())
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  start", "  tool: weigh"]
    assert (rows[0].get("error"), rows[0]["output"]) == (None, [*turn, gives("500 g")])
    assert "tool_approval" not in rows[2]["metadata"]

    decisions = [call.confirm() for call in pause.deferred_calls]
    await run(mistral, context(conversation_id=pause.conversation_id), [*pause.executed_results, *decisions])
    rows = spans.pop_ended()
    assert outline(rows) == ["run", "  tool: bake", "    fire", "  append"]
    assert rows[1]["metadata"]["tool_approval"] == "approved"
    assert [entry["result"] for entry in mistral.requests[1]["inputs"]] == ["500 g", "baked at 230"]


UNKNOWN: dict[str, tuple[str, Json]] = {
    "confirm": ("tool: bake", {"tool_type": "function", "tool_name": "bake", "tool_approval": "approved"}),
    "reject": ("tool: unknown", {"tool_approval": "denied"}),
    "confirm_at_mistral": ("tool: bake", {"tool_type": "function", "tool_name": "bake", "tool_approval": "approved"}),
}


@both_ways
@pytest.mark.parametrize("decision", UNKNOWN)
async def test_a_decision_about_a_call_that_another_process_deferred_has_a_span(
    decision: str, run: Run, spans: LoggedSpans
) -> None:
    """It is called what the decision calls it, if anything."""
    confirmation = {"confirmation_status": "pending"} if decision == "confirm_at_mistral" else {}
    mistral = ScriptedMistral([{**CALL, **confirmation}], TURNS[1])
    pause = await paused(unstreamed_run, mistral, asking(bake))
    (call,) = pause.deferred_calls
    assert deferred_calls.pop(ToolCallKey(pause.conversation_id, "call_1")) is not None
    spans.pop_ended()
    context = asking(bake, conversation_id=pause.conversation_id)
    await run(mistral, context, [call.reject("No") if decision == "reject" else call.confirm()])
    name, metadata = UNKNOWN[decision]
    tool = logged_span(by_name(spans.pop_ended())[name])
    assert tool.metadata == {**metadata, "tool_call_id": "call_1"}
    assert (tool.input is None) == (decision == "reject")
