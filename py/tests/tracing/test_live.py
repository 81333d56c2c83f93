"""What is over in a stream is logged while that is open: once, whole, and as it would have been unstreamed."""

import gc
import itertools
import json
import logging
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral import GenAIAttributes
from braintrust.integrations.mistral.llm_spans import LLM_SPANS
from braintrust.integrations.mistral.resources.conversation_stream import ConversationAccumulator
from braintrust.integrations.mistral.tracing import handover
from braintrust.integrations.mistral.tracing.pending import pending_tool_calls
from braintrust.integrations.mistral.tracing.progress import PROGRESS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import LoggedSpans
from tests.helpers.clock import monotonic_clock
from tests.helpers.runs import BREAD, context_of, import_runs
from tests.helpers.wire import USAGE, Json, ScriptedMistral, answer, answer_stream, client_of


STARTED: Json = {"type": "conversation.response.started", "conversation_id": "conv_1"}
DONE: Json = {"type": "conversation.response.done", "usage": USAGE}


def iso(seconds: float) -> str:
    """Return a time of day as Mistral writes it."""
    whole, fraction = divmod(seconds, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{fraction * 1_000_000:06.0f}Z"


def search(number: int, at: float | None = None, until: float | None = None, **fields: Any) -> list[Json]:
    """Return the events of one search: it starts, gets its arguments in two pieces, and is done."""
    started: Json = {} if at is None else {"created_at": iso(at)}
    done: Json = {} if until is None else {"created_at": iso(until)}
    event = {"id": f"t{number}", "name": "web_search", "model": "small", **fields}
    return [
        {"type": "tool.execution.started", **event, **started, "arguments": ""},
        {"type": "tool.execution.delta", **event, **started, "arguments": '{"query": '},
        {"type": "tool.execution.delta", **event, **started, "arguments": f'"{number}"}}'},
        {"type": "tool.execution.done", **event, **done, "info": {"result": f"found {number}"}},
    ]


def indexed(*events: Json) -> list[Json]:
    """Return events with the places of their entries, in the order in which these begin."""
    ids = [*dict.fromkeys(event["id"] for event in events)]
    return [{**event, "output_index": ids.index(event["id"])} for event in events]


def text(content: str, id: str = "m1") -> Json:
    return {"type": "message.output.delta", "id": id, "content": content, "model": "small"}


def call(number: int, arguments: str) -> Json:
    event = {"id": f"f{number}", "tool_call_id": f"call_{number}", "name": "add", "model": "small"}
    return {"type": "function.call.delta", **event, "arguments": arguments}


HANDOFF: list[Json] = [
    {"type": "agent.handoff.started", "id": "h1", "previous_agent_id": "ag1", "previous_agent_name": "one"},
    {"type": "agent.handoff.done", "id": "h1", "next_agent_id": "ag2", "next_agent_name": "two"},
]


def name_of(row: Json) -> str:
    name: str = row["span_attributes"]["name"]
    return name


def children(spans: LoggedSpans) -> list[Json]:
    """Return the first records of the children so far, in the order in which they were logged."""
    return [row for row in spans.so_far if row.get("span_attributes", {}).get("type") in ("tool", "llm")]


def watched(spans: LoggedSpans, *events: Json, **arguments: Any) -> list[list[str]]:
    """Return the names of the children that were logged by the time at which each event was there."""
    client = client_of(lambda request: answer_stream(events))
    seen: list[list[str]] = []
    with client.beta.conversations.start_stream(inputs="Bread?", **{"model": "small", **arguments}) as stream:
        for _ in stream:
            seen += [[name_of(row) for row in children(spans)]]
    return seen


def new_by_event(seen: list[list[str]]) -> dict[int, list[str]]:
    """Return what each event had logged, by its place, where it had anything."""
    before = 0
    new: dict[int, list[str]] = {}
    for place, names in enumerate(seen):
        if names[before:]:
            new[place] = names[before:]
        before = len(names)
    return new


# --- when ---


def test_a_child_is_logged_when_it_is_over_and_not_again_when_the_stream_is(spans: LoggedSpans) -> None:
    events = [STARTED, *search(1), *HANDOFF, text("So"), *search(2), text("."), call(1, "{"), call(1, "}"), DONE]
    seen = watched(spans, *events)
    assert new_by_event(seen) == {
        4: ["tool: web_search"],
        6: ["handoff: two"],
        11: ["tool: web_search"],
        15: ["tool: add"],
    }
    # The call's two, and one for each child.
    assert spans.records == 2 + 4
    assert set(Counter(row["span_id"] for row in spans.so_far).values()) == {1, 2}
    spans.pop()


def test_a_function_call_is_over_with_whatever_comes_next(spans: LoggedSpans) -> None:
    """With a text as well, be it of a message that began before, and with another call."""
    events = [STARTED, text("A"), call(1, '{"a": 1}'), text("B"), call(2, "{}"), call(3, "{}"), text("C"), DONE]
    assert new_by_event(watched(spans, *events)) == {3: ["tool: add"], 5: ["tool: add"], 6: ["tool: add"]}
    root, rows = spans.pop_tree()
    assert [row["input"] for row in rows] == [{"a": 1}, {}, {}]
    assert root["output"][0]["content"] == "ABC"


def test_a_function_call_that_arrives_is_over_with_its_own_answer(spans: LoggedSpans) -> None:
    reply = {"conversation_id": "conv_1", "outputs": [], "usage": {}}
    events = [STARTED, call(1, "{"), call(1, "}"), DONE]
    client = client_of(lambda request: answer_stream(events) if b'"stream":true' in request.content else answer(reply))
    with client.beta.conversations.start_stream(inputs="Add", model="small") as stream:
        for _ in range(3):
            next(stream)
        for tool_call_id, logged in (("call_9", []), ("call_1", ["tool: add"])):
            results: list[Any] = [{"tool_call_id": tool_call_id, "result": "3"}]
            client.beta.conversations.append(conversation_id="conv_1", inputs=results)
            assert [name_of(row) for row in children(spans)] == logged
    (row,) = [row for row in spans.pop() if name_of(row) == "tool: add"]
    assert row["output"] == "3"


def test_calls_whose_deltas_alternate_are_whole_in_the_end(spans: LoggedSpans) -> None:
    watched(spans, STARTED, call(1, '{"a"'), call(2, '{"b"'), call(1, ": 1}"), call(2, ": 2}"), DONE)
    _, rows = spans.pop_tree()
    assert [row["input"] for row in rows] == [{"a": 1}, {"b": 2}]


def test_a_live_child_is_whole(spans: LoggedSpans) -> None:
    now = time.time()
    client = client_of(lambda request: answer_stream([STARTED, *search(1, now + 0.001, now + 0.002), text("So")]))
    with client.beta.conversations.start_stream(inputs="Bread?", model="small") as stream:
        time.sleep(0.01)
        for event in stream:
            if event.event == "tool.execution.done":
                break
        root, row = spans.so_far
        list(stream)
    assert (row["input"], row["output"]) == ({"query": "1"}, {"result": "found 1"})
    assert row["metadata"].items() >= {"tool_call_id": "t1", "tool_index": 0, "tool_name": "web_search"}.items()
    assert row["span_parents"] == [root["span_id"]]
    assert row["metrics"]["end"] - row["metrics"]["start"] == pytest.approx(0.001, abs=1e-5)
    assert row["context"]["span_origin"]["instrumentation"] == {"name": "mistral-auto"}
    assert spans.records == 3


# --- where in time, and in which order ---


def test_a_child_is_moved_where_the_alignment_of_all_asks_for_that(spans: LoggedSpans) -> None:
    """By a clock an hour ahead, the last of them ends with the stream, and those before keep their distance."""
    ahead = time.time() + 3_600
    events = [STARTED, *search(1, ahead, ahead + 1), *search(2, ahead + 2, ahead + 3), DONE]
    client = client_of(lambda request: answer_stream(events))
    with client.beta.conversations.start_stream(inputs="Bread?", model="small") as stream:
        for event in stream:
            if event.event == "tool.execution.done":
                time.sleep(0.05)
    moves = [row for row in spans.so_far if "span_attributes" not in row and row.get("output") is None]
    assert [set(row["metrics"]) for row in moves] == [{"start", "end"}] * 2
    assert not any("input" in row or row.get("metadata") for row in moves)
    root, (first, second) = spans.pop_tree()
    assert second["metrics"]["end"] == pytest.approx(root["metrics"]["end"], abs=1e-5)
    assert second["metrics"]["start"] - first["metrics"]["end"] == pytest.approx(1, abs=1e-5)


def test_a_child_that_stands_where_it_should_to_ten_milliseconds_is_not_moved(spans: LoggedSpans) -> None:
    behind = time.time() - 3_600
    watched(spans, STARTED, *search(1, behind, behind + 1e-5), *search(2, behind + 2e-5, behind + 3e-5), DONE)
    assert spans.records == 4
    root, (first, _) = spans.pop_tree()
    assert first["metrics"]["start"] == pytest.approx(root["metrics"]["start"], abs=1e-5)


def test_a_function_call_is_moved_with_the_others(spans: LoggedSpans) -> None:
    ahead = time.time() + 3_600
    events = [STARTED, {**call(1, "{}"), "created_at": iso(ahead)}, *search(1, ahead + 2, ahead + 3), DONE]
    watched(spans, *events)
    _, (function_call, tool) = spans.pop_tree()
    assert tool["metrics"]["start"] - function_call["metrics"]["start"] == pytest.approx(2, abs=0.1)


def test_a_function_call_that_was_answered_is_not_moved(spans: LoggedSpans) -> None:
    """It ended when its result was sent, by our clock."""
    ahead = iso(time.time() + 3_600)
    events = [STARTED, {**call(1, "{}"), "created_at": ahead}, text("So"), text("."), DONE]
    reply = {"conversation_id": "conv_1", "outputs": [], "usage": {}}
    client = client_of(lambda request: answer_stream(events) if b'"stream":true' in request.content else answer(reply))
    with client.beta.conversations.start_stream(inputs="Add", model="small") as stream:
        for event in stream:
            if event.event == "message.output.delta":
                client.beta.conversations.append(
                    conversation_id="conv_1", inputs=[{"tool_call_id": "call_1", "result": "3"}]
                )
                time.sleep(0.05)
    rows = {name_of(row).rpartition(".")[2]: row for row in spans.pop()}
    assert rows["tool: add"]["output"] == "3"
    assert rows["tool: add"]["metrics"]["end"] < rows["start_stream"]["metrics"]["end"] - 0.04


def test_executions_that_overlap_stand_in_the_order_of_the_outputs_whichever_is_over_first(spans: LoggedSpans) -> None:
    one, two, three, four = (search(number) for number in range(1, 5))
    begun = [*one[:3], *two[:3], *three[:3], *four[:3]]
    events = [STARTED, *begun, two[3], four[3], three[3], one[3], text("So"), *search(5), DONE]
    assert new_by_event(watched(spans, *events)).keys() == {13, 14, 15, 16, 21}
    assert spans.records == 2 + 5
    _, rows = spans.pop_tree()
    assert [row["metadata"]["tool_index"] for row in rows] == [0, 1, 2, 3, 5]
    assert [row["input"]["query"] for row in rows] == ["1", "2", "3", "4", "5"]
    # No hosted tool waits for a result.
    assert len(pending_tool_calls) == 0


def test_a_live_child_knows_its_place_where_entries_come_in_another_order(spans: LoggedSpans) -> None:
    one, two = ([{**event, "output_index": number - 1} for event in search(number)] for number in (1, 2))
    watched(spans, STARTED, *two[:3], *one, two[3], DONE)
    assert [(row["input"]["query"], row["metadata"]["tool_index"]) for row in children(spans)] == [("1", 0), ("2", 1)]
    spans.pop()


def test_a_child_that_takes_an_earlier_place_has_what_the_spans_above_pass_on(spans: LoggedSpans) -> None:
    one, two = search(1), search(2)
    passed_on: Json = {"metadata": {"tenant": "ferries"}, "span_attributes": {"purpose": "scorer"}}
    with braintrust.start_span(propagated_event=passed_on):
        watched(spans, STARTED, *one[:3], *two[:3], two[3], one[3], DONE)
    rows = spans.pop()[2:]
    assert [row["input"]["query"] for row in rows] == ["1", "2"]
    assert [row["metadata"]["tenant"] for row in rows] == ["ferries"] * 2
    assert [row["span_attributes"]["purpose"] for row in rows] == ["scorer"] * 2


# --- as unstreamed ---


KINDS = st.sampled_from(["tool", "function", "text", "handoff"])


@st.composite
def interleaved(draw: st.DrawFn, *, entries_go_on: bool) -> list[Json]:
    """Return the events of some entries in any order that keeps each entry's own, with or without their indexes."""
    sequences: list[list[Json]] = []
    for number, kind in enumerate(draw(st.lists(KINDS, max_size=5))):
        events: list[Json] = {
            "tool": search(number),
            "function": [call(number, '{"a"'), call(number, ": 1}")] if entries_go_on else [call(number, "{}")],
            "text": [text("So ", f"m{number}"), text("it is.", f"m{number}")][: 1 + entries_go_on],
            "handoff": [{**event, "id": f"h{number}"} for event in HANDOFF],
        }[kind]
        sequences.append(events)
    # What the calls had seen, in another order than it came in, is known only in the end.
    indexes = draw(st.none() | st.permutations(range(len(sequences)))) if entries_go_on else None
    if indexes is not None:
        sequences = [
            [{**event, "output_index": index} for event in events]
            for index, events in zip(indexes, sequences, strict=True)
        ]
    order = draw(st.permutations([number for number, events in enumerate(sequences) for _ in events]))
    iterators = [iter(events) for events in sequences]
    return [STARTED, *(next(iterators[number]) for number in order), DONE]


def shown(rows: list[Json]) -> list[Any]:
    """Return what the spans of one call show, apart from times and identities."""
    times = ("start", "end", "duration", "time_to_first_token")
    return [
        (
            name_of(row),
            row.get("input"),
            row.get("output"),
            row.get("error"),
            row.get("metadata"),
            {name: value for name, value in row["metrics"].items() if name not in times},
        )
        for row in rows
    ]


@given(events=interleaved(entries_go_on=True))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_stream_shows_what_it_shows_when_all_is_logged_at_its_end(events: list[Json], spans: LoggedSpans) -> None:
    """Whatever is interleaved with whatever: nothing twice, nothing missing, nothing half."""
    assert_shows_the_same_when_all_is_logged_at_its_end(events, spans, llm_spans="")


@given(events=interleaved(entries_go_on=False))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_so_does_a_stream_with_its_model_calls(events: list[Json], spans: LoggedSpans) -> None:
    """Where messages and function calls go on after what followed them, the calls after those have not seen it."""
    assert_shows_the_same_when_all_is_logged_at_its_end(events, spans, llm_spans="1")


def assert_shows_the_same_when_all_is_logged_at_its_end(
    events: list[Json], spans: LoggedSpans, llm_spans: str
) -> None:
    seen: list[list[Any]] = []
    for is_live in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(LLM_SPANS, llm_spans)
            if not is_live:
                patch.setattr(ConversationAccumulator, "_end", lambda self, entry: None)
            watched(spans, *events)
        rows = spans.pop()
        seen.append(shown(rows[:1]) + sorted(shown(rows[1:]), key=repr))
    assert seen[0] == seen[1]


# --- model calls ---


def test_a_model_call_is_logged_when_it_is_known_what_it_asked_for(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LLM_SPANS, "1")
    now = time.time()
    events = [
        STARTED,
        *indexed(
            text("Let me see."),
            *search(1, now, now + 0.001),
            *search(2, now + 0.002, now + 0.003),
            text("Rye.", "m2"),
        ),
        DONE,
    ]
    assert new_by_event(watched(spans, *events)) == {
        4: ["chat small"],
        5: ["tool: web_search"],
        8: ["chat small"],
        9: ["tool: web_search"],
    }
    # Two for the call, one for each tool and each model call: the last of these answers.
    assert spans.records == 2 + 2 + 3
    _, rows = spans.pop_tree()
    assert [name_of(row) for row in rows] == ["chat small", "tool: web_search"] * 2 + ["chat small"]
    first, _, second, _, last = rows
    assert first["output"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"query": "1"}'
    assert first["output"][0]["message"]["content"] == "Let me see."
    assert [message["role"] for message in second["input"]] == ["user", "assistant", "tool"]
    assert [message["role"] for message in last["input"]] == ["user", "assistant", "tool", "assistant", "tool"]
    assert ["time_to_first_token" in row["metrics"] for row in rows] == [True, False, False, False, False]
    assert [row["metrics"].get("tokens") for row in rows] == [None, None, None, None, 8]
    # None was moved: these are the times at which they were logged.
    for before, after in itertools.pairwise(rows):
        assert after["metrics"]["start"] == pytest.approx(before["metrics"]["end"], abs=1e-5)


def test_a_model_call_that_goes_on_to_ask_for_more_has_all_of_it_in_the_end(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LLM_SPANS, "1")
    one, two = search(1), search(2)
    seen = watched(spans, STARTED, *one[:3], *two[:3], two[3], one[3], text("Rye."), DONE)
    assert seen[3] == ["chat small"]
    _, rows = spans.pop_tree()
    assert [name_of(row) for row in rows] == ["chat small", "tool: web_search", "tool: web_search", "chat small"]
    asked = rows[0]["output"][0]["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"])["query"] for call in asked] == ["1", "2"]


def test_a_message_that_goes_on_after_a_tool_is_whole_in_the_end(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LLM_SPANS, "1")
    watched(spans, STARTED, text("Let"), *search(1), text(" me"), text(" see."), DONE)
    root, _ = spans.pop_tree()
    assert [entry.get("content") for entry in root["output"]] == ["Let me see.", None]


def test_a_model_call_names_its_model_and_its_agent_once_these_are_known(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LLM_SPANS, "1")
    unnamed = [{name: event[name] for name in event.keys() - {"model"}} for event in search(1)]
    named = {**text("Rye."), "agent_id": "ag_7"}
    seen = watched(spans, STARTED, *unnamed, named, DONE, model=None, agent_id="ag_1")
    assert seen[-2] == ["chat", "tool: web_search"]
    first, _, second = spans.pop_tree()[1]
    assert [name_of(row) for row in (first, second)] == ["chat small"] * 2
    assert [row["metadata"]["agent_id"] for row in (first, second)] == ["ag_7"] * 2


def test_model_calls_before_and_after_a_handoff_name_their_models_and_agents(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LLM_SPANS, "1")
    second = [{**text("Hm.", "m2"), "model": "large"}, *search(2, model="large")]
    events = [STARTED, text("Let me see."), *search(1), *HANDOFF, *second, {**text("Rye.", "m3"), "model": "large"}]
    watched(spans, *events, DONE, model=None, agent_id="ag1")
    known = [("small", "ag1"), ("large", "ag2"), ("large", "ag2")]

    def shown(rows: list[Json]) -> list[Json]:
        about = [row["metadata"] for row in rows if row["span_attributes"]["type"] == "llm"]
        assert [(metadata["model"], metadata["agent_id"]) for metadata in about] == known
        return about

    shown(children(spans))
    about = shown(spans.pop())
    assert [metadata["agent_name"] for metadata in about] == ["one", "two", "two"]


def test_the_tokens_of_a_response_that_ends_with_function_calls_stand_on_its_model_call(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LLM_SPANS, "1")
    seen = watched(spans, STARTED, call(1, "{}"), DONE)
    assert seen[-1] == ["chat small", "tool: add"]
    root, rows = spans.pop_tree()
    assert [row["metrics"].get("tokens") for row in (root, *rows)] == [None, 8, None]


# --- runs ---


async def test_a_streamed_run_shows_its_hosted_tools_live_and_leaves_its_functions_alone(spans: LoggedSpans) -> None:
    import_runs()

    def knead(minutes: int) -> str:
        """Knead the dough."""
        return "kneaded"

    function_call = {**call(1, '{"minutes": 8}'), "name": "knead", "output_index": 1}
    events = [STARTED, *search(1, output_index=0), function_call, DONE]
    mistral = ScriptedMistral(answer_stream(events), BREAD[1])
    stream = await mistral.client.beta.conversations.run_stream_async(context_of(knead), "Bake")
    seen = [[name_of(row) for row in children(spans)] async for _ in stream]
    assert seen[4] == ["tool: web_search"]
    assert seen[-1] == ["tool: web_search", "tool: knead"]
    rows = spans.pop_ended()
    assert [name_of(row) for row in rows].count("tool: knead") == 1
    assert len(rows) == 5


# --- the answer so far ---


@pytest.fixture
def clock() -> Iterator[Callable[[float], None]]:
    """Let time pass: `clock(10)`."""
    passed = [0.0]
    monotonic = time.monotonic

    def let_pass(seconds: float) -> None:
        passed[0] += seconds

    with monotonic_clock(lambda: monotonic() + passed[0]):
        yield let_pass


def answers(spans: LoggedSpans) -> list[Any]:
    """Return the outputs of the call that were logged so far."""
    root = spans.so_far[0]["span_id"]
    return [row["output"] for row in spans.so_far if row["span_id"] == root and "output" in row]


def stream_of(events: list[Json]) -> Iterator[Any]:
    return iter(
        client_of(lambda request: answer_stream(events)).beta.conversations.start_stream(inputs="B", model="m")
    )


def test_the_answer_so_far_is_logged_after_ten_seconds_if_there_is_more_of_it(
    spans: LoggedSpans, clock: Callable[[float], None]
) -> None:
    pieces = [text("x" * 1_000) for _ in range(64)]
    stream = stream_of([STARTED, *search(1), *pieces, *search(2), DONE])
    for _ in range(5):
        next(stream)
    assert answers(spans) == []
    clock(10.5)
    for _ in range(31):
        next(stream)
    assert answers(spans) == []
    for _ in range(10):
        next(stream)
    (so_far,) = answers(spans)
    assert (so_far[0]["info"], so_far[1]["content"]) == ({"result": "found 1"}, "x" * len(so_far[1]["content"]))
    assert 4_096 <= len(so_far[1]["content"]) <= 41_000
    for _ in range(23):
        next(stream)
    assert len(answers(spans)) == 1
    clock(10.5)
    for _ in range(4):
        next(stream)
    assert len(answers(spans)) == 2
    clock(10.5)
    assert len(list(stream)) == 1
    assert len(answers(spans)) == 3
    root, *_ = spans.pop()
    assert [entry["type"] for entry in root["output"]] == ["tool.execution", "message.output", "tool.execution"]
    assert root["output"][1]["content"] == "x" * 64_000


def test_no_answer_so_far_is_logged_of_a_short_one_or_without_news(
    spans: LoggedSpans, clock: Callable[[float], None]
) -> None:
    stream = stream_of([STARTED, *[text("x" * 50) for _ in range(64)], DONE])
    for _ in range(64):
        next(stream)
        clock(1.0)
    assert answers(spans) == []
    list(stream)
    assert len(answers(spans)) == 1
    spans.pop()


@pytest.mark.parametrize("value", ["0", "false"])
def test_the_answer_so_far_is_not_logged_where_that_is_turned_off(
    value: str, spans: LoggedSpans, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROGRESS, value)
    stream = stream_of([STARTED, text("x" * 10_000), *search(1), DONE])
    next(stream)
    clock(20)
    for _ in range(5):
        next(stream)
    assert (answers(spans), len(children(spans))) == ([], 1)
    list(stream)
    spans.pop()


# --- what could go wrong ---


def test_a_fault_while_a_child_is_logged_loses_that_child_at_most(
    spans: LoggedSpans, faults: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not even that, where it can be logged in the end."""
    from braintrust.integrations.mistral.tracing import children as module

    start_span, failures = module.Children._start_span, [1]

    def fail_once(self: Any, *arguments: Any) -> Any:
        if failures:
            raise RuntimeError(failures.pop())
        return start_span(self, *arguments)

    monkeypatch.setattr(module.Children, "_start_span", fail_once)
    seen = watched(spans, STARTED, *search(1), *search(2), DONE)
    assert [len(names) for names in seen] == [0] * 8 + [1] * 2
    _, rows = spans.pop_tree()
    assert sorted(row["input"]["query"] for row in rows) == ["1", "2"]
    assert faults.pop()


def test_an_entry_that_cannot_be_read_costs_no_other(
    spans: LoggedSpans, faults: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    from braintrust.integrations.mistral.resources import conversations as module

    read = module.parse_arguments

    def fail_for_one(arguments: Any) -> Any:
        if "1" in str(arguments) and not broken:
            broken.append(1)
            raise RuntimeError("ours")
        return read(arguments)

    broken: list[int] = []
    monkeypatch.setattr(module, "parse_arguments", fail_for_one)
    seen = watched(spans, STARTED, *search(1), *search(2), DONE)
    assert len(seen[-1]) == 1
    _, rows = spans.pop_tree()
    assert len(rows) == 2
    assert faults.pop()


def test_nothing_is_logged_in_a_collector_inside_the_lock_of_the_log_queue_and_all_of_it_afterwards(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an object of the application's that reads on in its `__del__`, wherever the collector finds it."""
    stream = stream_of([STARTED, *search(1), text("So"), *search(2), DONE])
    logged: list[tuple[bool, int]] = []

    class Reader:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            for _ in range(6):
                next(stream)
            logged.append((handover.may_open(), len(children(spans))))

    Reader()
    with monkeypatch.context() as patch:
        patch.setattr(handover, "_log_queue_is_locked", lambda: True)
        gc.collect()
    assert logged == [(False, 0)]
    for _ in range(4):
        next(stream)
    assert [name_of(row) for row in children(spans)] == ["tool: web_search"] * 2
    list(stream)
    assert spans.records == 4
    spans.pop()


def test_a_masking_function_sees_live_children(spans: LoggedSpans) -> None:
    """And their errors repeat nothing, as those of others."""
    failed: Json = {**search(1)[3], "info": {"result": "Error executing tool web_search: secret"}}
    spans.memory.set_masking_function(lambda value: "masked")
    watched(spans, STARTED, *search(1)[:3], failed, DONE)
    _, (row,) = spans.pop_tree()
    assert (row["input"], row["output"]) == ("masked", "masked")
    assert row["error"] == "Error executing tool web_search"


def test_an_open_stream_holds_what_is_over_once(spans: LoggedSpans) -> None:
    """The size of the results counts, and not how often they are looked at."""
    events = [STARTED]
    for number in range(200):
        *begin, done = search(number)
        events += [*begin, {**done, "info": {"result": "x" * 10_000 + str(number)}}]
    stream = stream_of([*events, DONE])
    tracemalloc.start()
    try:
        for _ in range(801):
            next(stream)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Less than two of each, with all else that the stream and its spans hold.
    assert held < 2 * 200 * 10_000
    list(stream)
    spans.pop()


@pytest.mark.skipif(not hasattr(braintrust, "set_span_customizers"), reason="this braintrust has no span customizers")
def test_the_genai_attributes_of_a_model_call_tell_what_else_it_asked_for(
    spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LLM_SPANS, "1")
    braintrust.set_span_customizers([GenAIAttributes()])
    try:
        one, two = search(1), search(2)
        watched(spans, STARTED, *one[:3], *two[:3], two[3], one[3], text("Rye."), DONE)
        _, (first, *_) = spans.pop_tree()
    finally:
        braintrust.set_span_customizers(None)
    (message,) = first["metadata"]["gen_ai.output.messages"]
    assert [json.loads(part["arguments"])["query"] for part in message["parts"] if part["type"] == "tool_call"] == [
        "1",
        "2",
    ]
