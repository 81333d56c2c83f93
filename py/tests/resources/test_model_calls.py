"""The model calls inside of conversations, through a real client: their order, messages, times and tokens."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from braintrust.integrations.mistral.llm_spans import LLM_SPANS
from braintrust.integrations.mistral.patchers import wrap_mistral
from braintrust.integrations.mistral.payloads import without_none

from braintrust_mistral.local import LocalMistral
from tests.conftest import LoggedSpans, Mistral
from tests.helpers.runs import context_of, import_runs
from tests.helpers.spans import consume, outline
from tests.helpers.wire import Json, ScriptedMistral, answer, calls, client_of, gives, says


USAGE: Json = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
TOKENS = {"prompt_tokens": 30, "completion_tokens": 12, "tokens": 42}


def at(seconds: float) -> str:
    return f"2026-10-05T14:45:{seconds:06.3f}Z"


def entry(kind: str, start: float | None = None, end: float | None = None, **fields: Any) -> Json:
    times = without_none({"created_at": start and at(start), "completed_at": end and at(end)})
    return {"object": "entry", "type": kind, **times, **fields}


def message(text: Any = "Rye.", start: float | None = None, end: float | None = None, **fields: Any) -> Json:
    return entry("message.output", start, end, role="assistant", content=text, model="small", id="m1", **fields)


def search(start: float | None = None, end: float | None = None, number: int = 1, **fields: Any) -> Json:
    about = {"id": f"t{number}", "name": "web_search", "arguments": '{"query": "flour"}', "info": {"result": "rye"}}
    return entry("tool.execution", start, end, **{**about, **fields})


def function(number: int = 1, **fields: Any) -> Json:
    about = {"id": f"f{number}", "tool_call_id": f"c{number}", "name": "bake", "arguments": {"loaves": 2}}
    return entry("function.call", **{**about, "model": "small", **fields})


def handoff(at_second: float | None = None) -> Json:
    agents = {"previous_agent_id": "ag1", "previous_agent_name": "miller", "next_agent_id": "ag2"}
    return entry("agent.handoff", at_second, at_second, id="h1", **agents, next_agent_name="baker")


def tool_call(call_id: str, name: str, arguments: str) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


class Answers:
    """A Mistral that gives these outputs, request by request, to a client whose model calls are shown."""

    def __init__(self, *turns: list[Json], usage: Json = USAGE) -> None:
        rest = iter(turns)

        def handle(request: Any) -> Any:
            body = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": next(rest)}
            return answer({**body, "usage": usage})

        self.conversations: Any = wrap_mistral(client_of(handle), llm_spans=True).beta.conversations


def model_calls(spans: LoggedSpans) -> list[Json]:
    return [row for row in spans.pop() if row["span_attributes"]["type"] == "llm"]


def asked(spans: LoggedSpans, outputs: list[Json], **arguments: Any) -> list[Json]:
    """Return the model calls of one request."""
    Answers(outputs).conversations.start(**{"inputs": "Bread?", "model": "small", **arguments})
    return model_calls(spans)


# --- the loop ---

LOOPS: dict[str, tuple[list[Json], list[str]]] = {
    "a message": ([message()], ["llm"]),
    "only functions": ([function(1), function(2)], ["llm", "tool", "tool"]),
    "a message and functions": ([message(), function(1), function(2)], ["llm", "tool", "tool"]),
    "a search and a message": ([search(1, 2), message("Rye.", 3, 4)], ["llm", "tool", "llm"]),
    "one search after another": ([search(1, 2), search(2, 3, 2), message()], ["llm", "tool", "llm", "tool", "llm"]),
    "searches that overlap": ([search(1, 3), search(2, 4, 2), message()], ["llm", "tool", "tool", "llm"]),
    "searches without times": ([search(), search(number=2), message()], ["llm", "tool", "tool", "llm"]),
    "a handoff": ([search(1, 2), handoff(2), message()], ["llm", "tool", "llm", "tool", "llm"]),
    "a handoff without times": ([search(), handoff(), message()], ["llm", "tool", "tool", "llm"]),
    "text around a search": ([message(), search(1, 2), message()], ["llm", "tool", "llm"]),
    "a search alone": ([search(1, 2)], ["llm", "tool"]),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("outputs", "loop"), LOOPS.values(), ids=LOOPS)
def test_each_model_call_stands_before_what_it_asked_for(
    outputs: list[Json], loop: list[str], spans: LoggedSpans
) -> None:
    Answers(outputs).conversations.start(inputs="Bread?", model="small")
    _, *children = spans.pop()
    assert [child["span_attributes"]["type"] for child in children] == loop


def test_a_call_that_asks_for_something_has_tool_calls_with_arguments_as_text(spans: LoggedSpans) -> None:
    (call,) = asked(spans, [message(), function(1), function(2, arguments='{"loaves": ')])
    assert call["span_attributes"]["name"] == "chat small"
    tool_calls = [tool_call("c1", "bake", '{"loaves": 2}'), tool_call("c2", "bake", '{"loaves": ')]
    wrote = {"role": "assistant", "content": "Rye.", "tool_calls": tool_calls}
    assert call["output"] == [{"index": 0, "finish_reason": "tool_calls", "message": wrote}]


def test_a_call_that_answers_stops_and_one_of_functions_alone_has_no_content(spans: LoggedSpans) -> None:
    (answered,) = asked(spans, [message()])
    assert answered["output"] == [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Rye."}}
    ]
    (called,) = asked(spans, [function()])
    assert called["output"][0]["message"]["content"] is None


def test_the_input_is_all_that_the_model_saw(spans: LoggedSpans) -> None:
    first, second = asked(spans, [message("Let me see."), search(1, 2), message()], instructions="Be brief.")
    before = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Bread?"}]
    assert first["input"] == before
    searched = {"content": "Let me see.", "tool_calls": [tool_call("t1", "web_search", '{"query": "flour"}')]}
    assert second["input"] == [
        *before,
        {"role": "assistant", **searched},
        {"role": "tool", "tool_call_id": "t1", "content": "rye"},
    ]


def test_images_of_the_request_are_in_the_shape_that_is_drawn(spans: LoggedSpans) -> None:
    content = [{"type": "image_url", "image_url": "https://a.b/c.png"}]
    (call,) = asked(spans, [message()], inputs=[{"role": "user", "content": content}])
    assert call["input"][0]["content"] == [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]


def test_a_model_call_has_the_models_of_the_agents_that_handed_over(spans: LoggedSpans) -> None:
    outputs = [handoff(), message("Rye.", agent_id="ag2")]
    first, second = asked(spans, outputs, model=None, agent_id="ag1")
    named = [(call["metadata"].get("agent_id"), call["metadata"].get("agent_name")) for call in (first, second)]
    assert named == [("ag1", "miller"), ("ag2", "baker")]
    assert second["metadata"]["model"] == "small"
    arguments = '{"agent_id": "ag2", "agent_name": "baker"}'
    assert second["input"][-2:] == [
        {"role": "assistant", "content": None, "tool_calls": [tool_call("h1", "handoff", arguments)]},
        {"role": "tool", "tool_call_id": "h1", "content": "baker"},
    ]


def test_the_metadata_are_the_provider_the_model_the_tools_and_the_sampling_parameters(spans: LoggedSpans) -> None:
    tools: Any = [{"type": "web_search"}]
    (call,) = asked(spans, [message()], tools=tools, completion_args={"temperature": 0.2})
    assert call["metadata"] == {"provider": "mistral", "model": "small", "tools": tools, "temperature": 0.2}


# --- earlier turns ---


def test_a_turn_knows_the_turns_before_it_and_what_they_said_of_tools_and_instructions(spans: LoggedSpans) -> None:
    answers = Answers([function()], [message("Baked.")])
    tools: Any = [{"type": "web_search"}]
    answers.conversations.start(inputs="Bread?", model="small", instructions="Be brief.", tools=tools)
    answers.conversations.append(conversation_id="conv_1", inputs=[gives("2 loaves", "c1")])
    _, second = model_calls(spans)
    assert second["input"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Bread?"},
        {"role": "assistant", "content": None, "tool_calls": [tool_call("c1", "bake", '{"loaves": 2}')]},
        {"role": "tool", "tool_call_id": "c1", "content": "2 loaves"},
    ]
    assert second["metadata"]["tools"] == tools


def test_a_restart_knows_the_turns_up_to_the_entry_from_which_it_goes_on(spans: LoggedSpans) -> None:
    answers = Answers([message("One.") | {"id": "e1"}], [message("Two.") | {"id": "e2"}], [message("Three.")])
    answers.conversations.start(inputs="First?", model="small")
    answers.conversations.append(conversation_id="conv_1", inputs="Second?")
    answers.conversations.restart(conversation_id="conv_1", from_entry_id="e1", inputs="Other?")
    *_, third = model_calls(spans)
    assert [seen["content"] for seen in third["input"]] == ["First?", "One.", "Other?"]


def test_nothing_is_remembered_where_model_calls_are_not_shown(spans: LoggedSpans) -> None:
    body = {"object": "conversation.response", "conversation_id": "conv_7", "outputs": [message("One.")]}
    client = client_of(lambda request: answer({**body, "usage": USAGE}))
    client.beta.conversations.start(inputs="First?", model="small")
    wrap_mistral(client, llm_spans=True).beta.conversations.append(conversation_id="conv_7", inputs="Second?")
    (call,) = model_calls(spans)
    assert [seen["content"] for seen in call["input"]] == ["Second?"]


def test_the_inputs_of_one_response_log_a_mebibyte_at_most_and_say_what_they_left_out(spans: LoggedSpans) -> None:
    outputs: list[Json] = []
    for number in range(150):
        outputs += [search(number=number, info={"result": "x" * 1_000}), message("y" * 1_000)]
    seen = asked(spans, outputs)
    # A call wrote a message and asked for the next search; the last one only answered.
    assert len(seen) == 151
    assert sum(len(json.dumps(call["input"])) for call in seen) <= 1024 * 1024
    assert seen[1]["input"][0] == {"role": "user", "content": "Bread?"}
    note, *rest = seen[-1]["input"]
    left_out = int(note["content"].split()[0].removeprefix("["))
    assert note == {"role": "system", "content": f"[{left_out} earlier messages are left out]"}
    # The question, and of each call before what it wrote and what its search found.
    assert left_out + len(rest) == 1 + 2 * 150


def test_what_the_request_brings_is_whole_in_its_first_model_call_whatever_its_size(spans: LoggedSpans) -> None:
    inputs = [{"role": "user", "content": f"{number}" * 700_000} for number in (1, 2)]
    first, second = asked(spans, [search(1, 2), message(start=3)], inputs=inputs)
    assert first["input"] == inputs
    assert second["input"] == [{"role": "system", "content": "[4 earlier messages are left out]"}]


# --- times ---


def test_calls_and_tools_together_fill_the_time_of_the_request(spans: LoggedSpans) -> None:
    Answers([search(1, 3), message("Rye.", 5, 6)]).conversations.start(inputs="Bread?", model="small")
    request, first, tool, second = (row["metrics"] for row in spans.pop())
    # Their five seconds are longer than the request here, with whose end they end.
    assert first["end"] == pytest.approx(tool["start"])
    assert second["start"] == pytest.approx(tool["end"])
    assert second["end"] == pytest.approx(request["end"])
    assert (tool["end"] - tool["start"], second["end"] - second["start"]) == (pytest.approx(2), pytest.approx(3))


def test_a_call_without_times_is_as_long_as_the_request(spans: LoggedSpans) -> None:
    Answers([message()]).conversations.start(inputs="Bread?", model="small")
    request, call = (row["metrics"] for row in spans.pop())
    assert (call["start"], call["end"]) == (request["start"], request["end"])


# --- tokens ---


@pytest.mark.parametrize(("outputs", "loop"), LOOPS.values(), ids=LOOPS)
def test_the_tokens_stand_once_on_the_last_model_call(
    outputs: list[Json], loop: list[str], spans: LoggedSpans
) -> None:
    Answers(outputs).conversations.start(inputs="Bread?", model="small")
    rows = spans.pop()
    holders = [row for row in rows if "tokens" in row["metrics"]]
    assert [{name: row["metrics"][name] for name in TOKENS} for row in holders] == [TOKENS]
    llm = [row for row in rows if row["span_attributes"]["type"] == "llm"]
    assert holders[0] is (llm[-1] if llm else rows[0])
    assert rows[0]["metadata"].get("usage") == (TOKENS if llm else None)
    assert holders[0]["metadata"].get("usage_calls") == (len(llm) if len(llm) > 1 else None)


# --- the local Mistral, streamed and not ---


@pytest.fixture(scope="module")
def service() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0) as mistral:
        yield mistral


WHOLE_TREES = {
    "plain": ["start", "  chat plain"],
    "web-search": ["start", "  chat web-search", "  tool: web_search", "  chat web-search"],
    "function-call": ["start", "  chat function-call", "  tool: get_exchange_rate"],
}


def converse(client: Mistral, scenario: str, streamed: bool) -> None:
    conversations: Any = client.beta.conversations
    if streamed:
        consume(conversations.start_stream(model=scenario, inputs="Hello"))
    else:
        conversations.start(model=scenario, inputs="Hello")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("scenario", WHOLE_TREES)
def test_the_tree_reads_model_tool_model_as_it_happened_where_that_is_wanted(
    scenario: str, streamed: bool, service: LocalMistral, spans: LoggedSpans
) -> None:
    tree = WHOLE_TREES[scenario]
    for wanted in (True, False):
        with Mistral(api_key="key", server_url=service.url) as client:
            converse(wrap_mistral(client, llm_spans=wanted), scenario, streamed)
        assert outline(spans.pop()) == (tree if wanted else [line for line in tree if "chat " not in line])


@pytest.mark.parametrize("scenario", ["agentic", "handoff", "web-search"])
def test_streamed_model_calls_are_those_of_the_same_answer_unstreamed(
    scenario: str, service: LocalMistral, spans: LoggedSpans
) -> None:
    def shown(streamed: bool) -> list[Any]:
        with Mistral(api_key="key", server_url=service.url) as client:
            converse(wrap_mistral(client, llm_spans=True), scenario, streamed)
        found = model_calls(spans)
        return [
            (call["span_attributes"]["name"], len(call["input"]), call["output"][0]["finish_reason"]) for call in found
        ]

    assert shown(streamed=True) == shown(streamed=False) != []


@pytest.mark.parametrize("scenario", ["web-search", "plain"])
def test_the_first_model_call_of_a_stream_has_the_first_output(
    scenario: str, service: LocalMistral, spans: LoggedSpans
) -> None:
    with Mistral(api_key="key", server_url=service.url) as client:
        converse(wrap_mistral(client, llm_spans=True), scenario, streamed=True)
    first, *others = model_calls(spans)
    assert "time_to_first_token" in first["metrics"]
    assert not [call for call in others if "time_to_first_token" in call["metrics"]]


@pytest.mark.parametrize(
    ("environment", "argument", "shown"),
    [
        ("true", None, True),
        ("1", None, True),
        ("false", None, False),
        ("", None, False),
        (None, None, False),
        ("true", False, False),
        ("false", True, True),
    ],
)
def test_the_environment_decides_for_clients_for_which_nothing_was_said(
    environment: str | None,
    argument: bool | None,
    shown: bool,
    service: LocalMistral,
    spans: LoggedSpans,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(LLM_SPANS, raising=False)
    if environment is not None:
        monkeypatch.setenv(LLM_SPANS, environment)
    with Mistral(api_key="key", server_url=service.url) as client:
        converse(wrap_mistral(client, **without_none({"llm_spans": argument})), "plain", streamed=False)  # type: ignore[arg-type]
    assert outline(spans.pop()) == ["start", *(["  chat plain"] if shown else [])]


# --- runs ---


@pytest.mark.parametrize("wanted", [True, False])
def test_the_tokens_of_a_run_stand_once_and_their_sum_is_metadata(wanted: bool, spans: LoggedSpans) -> None:
    import_runs()

    def bake(loaves: int) -> str:
        return f"{loaves} loaves"

    mistral = ScriptedMistral([calls("bake", {"loaves": 2})], [says("Enjoy.")])
    client = wrap_mistral(mistral.client, llm_spans=wanted)
    asyncio.run(client.beta.conversations.run_async(run_ctx=context_of(bake), inputs="Bread?"))
    rows = spans.pop_ended()
    called = [f"    chat {row['metadata']['model']}" for row in rows if row["span_attributes"]["type"] == "llm"]
    first, second = [[line] for line in called] if wanted else ([], [])
    assert outline(rows) == ["run", "  start", *first, "  tool: bake", "  append", *second]
    total = sum(row["metrics"].get("tokens", 0) for row in rows)
    assert (rows[0]["metadata"]["usage"]["tokens"], rows[0]["metadata"]["request_count"]) == (total, 2)
    assert total > 0
    assert "tokens" not in rows[0]["metrics"]
