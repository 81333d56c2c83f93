import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from braintrust.integrations.mistral.operations import Arrival, Request
from braintrust.integrations.mistral.payloads import to_loggable
from braintrust.integrations.mistral.resources.conversation_stream import ConversationAccumulator
from braintrust.integrations.mistral.resources.conversations import read_response
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.features import WRAPS_INVALID, keeps
from tests.helpers.folding import LETTERS, NAMES, URLS, Folding, Streamed, merged, optional, pieces, retained
from tests.helpers.wire import Json


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


KEEPS_MODEL_OF_TOOLS = keeps("ToolExecutionEntry", "model")
THINKS_WITH_TOOL_REFERENCES = "ToolReferenceChunk" in str(models.ThinkChunk.model_fields["thinking"].annotation)

needs_unknown_events = pytest.mark.skipif(
    not WRAPS_INVALID, reason="this mistralai raises on events that it cannot validate"
)


def parsed(event: Json) -> Any:
    """Return an event as the SDK hands it to its user."""
    return models.ConversationEvents.model_validate({"event": event["type"], "data": event})


def unparsed(event: Any) -> Any:
    """Return an event as the SDK hands on one that it cannot validate, whatever it is."""
    return SimpleNamespace(data=SimpleNamespace(type="UNKNOWN", raw=event, is_unknown=True))


def add_anything(accumulator: ConversationAccumulator, event: Any) -> None:
    """Fold an event, which may fail, as a traced stream does."""
    try:
        accumulator.add(event)
    except Exception:  # The stream reports it.
        return


FOLDING = Folding(ConversationAccumulator, parsed, read_response)
accumulated, folded, seen_at = FOLDING.accumulated, FOLDING.folded, FOLDING.seen_at


def outputs_of(*events: Json) -> list[Json]:
    return folded(*events)["outputs"]


def at(second: float) -> str:
    return f"2026-05-01T12:00:{second:09.6f}Z"


def text(content: Any, id: str = "m1", **fields: Any) -> Json:
    return {"type": "message.output.delta", "id": id, "content": content, **fields}


def tool_started(id: str, name: str = "web_search", **fields: Any) -> Json:
    return {"type": "tool.execution.started", "id": id, "name": name, "arguments": "", **fields}


def tool_delta(id: str, arguments: str, name: str = "web_search", **fields: Any) -> Json:
    return {"type": "tool.execution.delta", "id": id, "name": name, "arguments": arguments, **fields}


def tool_done(id: str, name: str = "web_search", **fields: Any) -> Json:
    return {"type": "tool.execution.done", "id": id, "name": name, **fields}


def call_delta(arguments: str, id: str = "f1", **fields: Any) -> Json:
    return {
        "type": "function.call.delta",
        "id": id,
        "tool_call_id": f"call_{id}",
        "name": "add",
        "arguments": arguments,
        **fields,
    }


def tool(id: str, arguments: str, **fields: Any) -> Json:
    return {
        "object": "entry",
        "type": "tool.execution",
        "id": id,
        "name": "web_search",
        "arguments": arguments,
        **fields,
    }


def message(content: Any, id: str = "m1", **fields: Any) -> Json:
    return {"object": "entry", "type": "message.output", "id": id, "role": "assistant", "content": content, **fields}


def thinking(*texts: str, **fields: Any) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text} for text in texts], **fields}


# A conversation


def test_no_events_are_a_response_without_outputs() -> None:
    assert folded() == {"object": "conversation.response", "outputs": []}


def test_a_whole_stream_adds_up_to_the_response_it_would_have_been() -> None:
    usage = {"prompt_tokens": 240, "completion_tokens": 34, "total_tokens": 279, "connector_tokens": 5}
    usage |= {"connectors": {"code_interpreter": 1}}
    assert folded(
        {"type": "conversation.response.started", "conversation_id": "conv1", "created_at": at(0)},
        tool_started("t1", "code_interpreter", output_index=0, created_at=at(1.5), model="small"),
        tool_delta("t1", '{"code', "code_interpreter", output_index=0, created_at=at(1.6)),
        tool_delta("t1", '": "6 * 7"}', "code_interpreter", output_index=0, created_at=at(1.7)),
        tool_done("t1", "code_interpreter", output_index=0, created_at=at(3.5), info={"code_output": "42"}),
        text("4", output_index=1, content_index=0, model="small", created_at=at(4.5), role="assistant"),
        text("2", output_index=1, content_index=0, model="small", created_at=at(5.5), role="assistant"),
        {"type": "conversation.response.done", "usage": usage, "created_at": at(6.5)},
    ) == {
        "object": "conversation.response",
        "conversation_id": "conv1",
        "outputs": [
            tool(
                "t1",
                '{"code": "6 * 7"}',
                name="code_interpreter",
                created_at=at(1.5),
                completed_at=at(3.5),
                info={"code_output": "42"},
                **({"model": "small"} if KEEPS_MODEL_OF_TOOLS else {}),
            ),
            message("42", model="small", created_at=at(4.5), completed_at=at(5.5)),
        ],
        "usage": usage,
    }


def test_an_error_event_stands_beside_what_had_arrived() -> None:
    error = {"type": "conversation.response.error", "message": "Overloaded", "code": 3000, "created_at": at(1)}
    assert folded(text("Hel"), error) == {
        "object": "conversation.response",
        "outputs": [message("Hel")],
        "error": {"message": "Overloaded", "code": 3000},
    }


# Which entry


def test_pieces_of_overlapping_executions_may_alternate() -> None:
    assert outputs_of(
        tool_started("t1"),
        tool_started("t2"),
        tool_delta("t1", '{"a":'),
        tool_delta("t2", '{"b":'),
        tool_delta("t1", " 1}"),
        tool_done("t1"),
        tool_delta("t2", " 2}"),
    ) == [tool("t1", '{"a": 1}'), tool("t2", '{"b": 2}')]


A, B, C = text("a", "m1"), text("b", "m2"), text("c", "m3")


@pytest.mark.parametrize(
    ("events", "order"),
    [
        pytest.param([{**C, "output_index": 2}, {**A, "output_index": 0}, {**B, "output_index": 1}], "abc", id="all"),
        pytest.param([B, {**C, "output_index": 1}, {**A, "output_index": 0}], "bca", id="some"),
        pytest.param([C, A, B, C], "ccab", id="none"),
    ],
)
def test_an_output_index_orders_entries_if_all_have_one_and_never_tells_them_apart(
    events: list[Json], order: str
) -> None:
    assert "".join(entry["content"] for entry in outputs_of(*events)) == order


# Messages


def test_a_text_of_many_pieces_is_whole() -> None:
    cut = [f"{number} " for number in range(5_000)]
    assert outputs_of(*map(text, cut)) == [message("".join(cut))]


def test_a_message_of_one_event_ends_when_it_began() -> None:
    (entry,) = outputs_of(text("a", created_at=at(1.5)))
    assert (entry["created_at"], entry["completed_at"]) == (at(1.5), at(1.5))


@pytest.mark.parametrize("named", [[{"model": "small", "agent_id": "ag1"}, {}], [{}, {"model": "small"}]])
def test_a_model_and_an_agent_that_only_some_event_names_are_kept(named: list[Json]) -> None:
    first, second = named
    assert outputs_of(text("a", **first), text("b", **second)) == [message("ab", **first, **second)]


REFERENCE: Json = {"type": "tool_reference", "tool": "web_search", "title": "Tides"}


def test_chunks_are_told_apart_by_their_content_index_which_goes_beyond_two() -> None:
    assert outputs_of(
        text("The ", content_index=0),
        text(REFERENCE, content_index=3),
        text("So ", content_index=7),
        text("tides.", content_index=0),
        text("it is.", content_index=7),
    ) == [message([{"type": "text", "text": "The tides."}, REFERENCE, {"type": "text", "text": "So it is."}])]


def test_chunks_without_a_content_index_stand_in_the_order_of_their_arrival() -> None:
    assert outputs_of(text("a"), text("b"), text(REFERENCE), text(REFERENCE), text("c")) == [
        message([{"type": "text", "text": "ab"}, REFERENCE, REFERENCE, {"type": "text", "text": "c"}])
    ]


def test_a_list_of_one_chunk_stays_a_list() -> None:
    assert outputs_of(text({"type": "text", "text": "Hel"}), text({"type": "text", "text": "lo"})) == [
        message([{"type": "text", "text": "Hello"}])
    ]


def test_an_empty_first_delta_is_no_chunk_of_its_own() -> None:
    assert outputs_of(text("", content_index=0), text(REFERENCE, content_index=0)) == [message([REFERENCE])]


# Tools, function calls and handoffs


def test_an_execution_that_is_not_done_has_no_end() -> None:
    assert outputs_of(tool_started("t1", created_at=at(1.25)), tool_delta("t1", "{", created_at=at(1.5))) == [
        tool("t1", "{", created_at=at(1.25))
    ]


@needs_unknown_events
def test_older_events_without_arguments_are_folded_all_the_same() -> None:
    started = {"type": "tool.execution.started", "id": "t1", "name": "web_search", "created_at": at(1.5), "model": "s"}
    assert outputs_of(started, tool_done("t1", created_at=at(2.5), info={"result": "x"})) == [
        {
            "object": "entry",
            "type": "tool.execution",
            "id": "t1",
            "name": "web_search",
            "created_at": at(1.5),
            "completed_at": at(2.5),
            "model": "s",
            "info": {"result": "x"},
        }
    ]


def test_a_function_call_is_the_sum_of_its_deltas() -> None:
    assert outputs_of(call_delta('{"a"', created_at=at(1.5)), call_delta(": 1}", created_at=at(2.5))) == [
        {
            "object": "entry",
            "type": "function.call",
            "id": "f1",
            "tool_call_id": "call_f1",
            "name": "add",
            "arguments": '{"a": 1}',
            "created_at": at(1.5),
        }
    ]


def test_later_pieces_of_a_call_may_name_nothing_or_the_same_again() -> None:
    begun = call_delta('{"a"', created_at=at(1.5))
    whole = outputs_of(begun, call_delta(": 1}"))
    assert outputs_of(begun, {**call_delta(": 1}"), "name": "", "tool_call_id": ""}) == whole


@needs_unknown_events
def test_a_function_call_whose_arguments_are_an_object_keeps_them() -> None:
    (entry,) = outputs_of(call_delta({"a": 1}))  # type: ignore[arg-type]
    assert entry["arguments"] == {"a": 1}


# Unknown events


@needs_unknown_events
def test_an_event_of_an_unknown_type_leaves_no_trace() -> None:
    unknown = {"type": "message.output.dream", "id": "m1", "content": "zzz", "conversation_id": "conv2"}
    event = parsed({**unknown, "type": "message.output.delta"})
    assert type(parsed(unknown).data).__name__ == "UnknownConversationEventsData"
    assert type(event.data).__name__ == "MessageOutputEvent"
    assert folded(text("a"), unknown, text("b")) == folded(text("a"), text("b"))


@pytest.mark.parametrize("fields", [{}, {"content": "ab"}, {"content": "ab", "content_index": 0}])
def test_an_event_that_only_a_later_sdk_has_a_model_for_leaves_no_trace(fields: Json) -> None:
    accumulator = accumulated([text("a"), text("b")])
    accumulator.add(SimpleNamespace(data=SimpleNamespace(type="message.output.done", id="m1", **fields)))
    assert to_loggable(accumulator.response()) == folded(text("a"), text("b"))


@needs_unknown_events
def test_a_known_event_with_an_unknown_chunk_is_folded_from_what_it_was() -> None:
    chunk: Json = {"type": "hologram", "url": "https://example.com/h", "voxels": [1, 2]}
    unknown = text(chunk, content_index=1, model="small", created_at=at(2.5))
    assert type(parsed(unknown).data).__name__ == "UnknownConversationEventsData"
    assert outputs_of(
        text("Look: ", content_index=0, created_at=at(1.5)), unknown, text("!", content_index=2, created_at=at(3.5))
    ) == [
        message(
            [{"type": "text", "text": "Look: "}, chunk, {"type": "text", "text": "!"}],
            model="small",
            created_at=at(1.5),
            completed_at=at(3.5),
        )
    ]


@needs_unknown_events
def test_an_unknown_field_of_a_known_event_does_no_harm() -> None:
    assert outputs_of(text("a", temperature=1), tool_started("t1", function="web_search")) == [
        message("a"),
        tool("t1", ""),
    ]


# When it came


STARTED: Json = {"type": "conversation.response.started", "conversation_id": "conv1"}
EMPTY = [text(""), text({"type": "text", "text": ""}), text(thinking()), text(thinking(""))]


@pytest.mark.parametrize("first", [text("a"), text(thinking("Hm")), tool_started("t1"), call_delta("")])
def test_the_first_output_is_the_first_event_that_carries_any(first: Json) -> None:
    events = [(1.0, event) for event in (STARTED, *EMPTY)]
    assert seen_at(*events, (2.0, first), (3.0, text("b"))).first_output == 2.0


def test_a_stream_without_output_has_no_first_output() -> None:
    accumulator = seen_at(
        (1.0, STARTED),
        (2.0, text("")),
        (3.0, {"type": "conversation.response.error", "message": "no", "code": 1}),
        (4.0, {"type": "conversation.response.done", "usage": {}}),
    )
    assert accumulator.first_output is None


def test_arrivals_are_the_first_and_the_last_event_of_each_output() -> None:
    accumulator = seen_at(
        (1.0, tool_started("t2", output_index=1)),
        (2.0, tool_started("t1", output_index=0)),
        (3.0, tool_delta("t1", "{}", output_index=0)),
        (4.0, tool_done("t1", output_index=0)),
        (5.0, tool_done("t2", output_index=1)),
        (6.0, call_delta("{", output_index=2)),
        (7.0, call_delta("}", output_index=2)),
        (8.0, tool_started("t4", output_index=3)),
        (9.0, tool_delta("t4", "{", output_index=3)),
    )
    accumulator.response()
    assert accumulator.arrivals() == {
        0: Arrival(2.0, 4.0),
        1: Arrival(1.0, 5.0),
        2: Arrival(6.0, 7.0),
        3: Arrival(8.0, None),
    }


def test_reading_the_response_does_not_disturb_the_folding() -> None:
    FOLDING.assert_reading_disturbs_nothing(
        tool_started("t1"), text("a"), tool_delta("t1", "{}"), text(thinking("b"), content_index=1), text("c")
    )


# Memory


@pytest.mark.parametrize(
    "make_event",
    [
        lambda letter: text(letter, content_index=0, created_at=at(ord(letter) % 60)),
        lambda letter: text({"type": "text", "text": letter}),
        lambda letter: text(thinking(letter)),
        lambda letter: tool_delta("t1", letter),
        call_delta,
        lambda letter: text(""),
        lambda letter: tool_delta("t1", ""),
        lambda letter: {**STARTED, "conversation_id": f"conv{letter}"},
    ],
)
def test_memory_grows_with_the_text_and_not_with_the_events(make_event: Callable[[str], Json]) -> None:
    FOLDING.assert_memory_grows_with_the_text(make_event)


@needs_unknown_events
def test_unknown_events_take_no_memory() -> None:
    accumulator = accumulated([{"type": "later", "id": f"x{number}", "text": "x" * 100} for number in range(1_000)])
    assert retained(accumulator) - retained(ConversationAccumulator()) <= 0


# Any response


TIMES = st.integers(0, 59_999).map(lambda milliseconds: at(milliseconds / 1000))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | LETTERS,
    lambda items: st.lists(items, max_size=3) | st.dictionaries(LETTERS, items, max_size=3),
    max_leaves=6,
)
INFOS = (
    st.just({})
    | st.builds(lambda value: {"result": json.dumps(value)}, VALUES)
    | st.builds(lambda value: {"result": [{"type": "text", "text": value}]}, LETTERS)
    | st.builds(lambda value: {"result": f"Error executing tool {value}"}, LETTERS)
    | st.dictionaries(LETTERS, VALUES, max_size=3)
)


@st.composite
def thinking_chunks(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """Return a thinking chunk and its deltas. Two texts never stand side by side: no event would tell them apart."""
    others = st.builds(
        lambda ids: {"type": "reference", "reference_ids": ids}, st.lists(st.integers(0, 9), max_size=2)
    )
    if THINKS_WITH_TOOL_REFERENCES:
        others |= st.just({"type": "tool_reference", "tool": "web_search", "title": "Tides"})
    parts: list[Json] = []
    deltas: list[list[Json]] = [[]]
    for part in draw(st.lists(others | st.builds(lambda text: {"type": "text", "text": text}, LETTERS), max_size=4)):
        if parts and parts[-1]["type"] == part["type"] == "text":
            continue
        parts.append(part)
        cut = [part] if part["type"] != "text" else [{**part, "text": piece} for piece in draw(pieces(part["text"]))]
        for piece in cut:
            if draw(st.booleans()):
                deltas.append([])
            deltas[-1].append(piece)
    extra = draw(st.fixed_dictionaries({}, optional={"closed": st.booleans(), "signature": LETTERS}))
    events = [{"type": "thinking", "thinking": delta} for delta in deltas]
    events[draw(st.integers(0, len(events) - 1))].update(extra)
    return {"type": "thinking", "thinking": parts, **extra}, events


@st.composite
def text_chunks(draw: st.DrawFn, *, bare: bool) -> tuple[Json, list[Any]]:
    """Return a text chunk and its deltas, at least one of them a chunk unless `bare` strings will do."""
    whole = draw(LETTERS)
    cut: list[Any] = draw(pieces(whole))
    chunks = draw(st.lists(st.booleans(), min_size=len(cut), max_size=len(cut)))
    if not bare and not any(chunks):
        chunks[0] = True
    return {"type": "text", "text": whole}, [
        {"type": "text", "text": piece} if is_chunk else piece for piece, is_chunk in zip(cut, chunks, strict=True)
    ]


@st.composite
def whole_chunks(draw: st.DrawFn) -> tuple[Json, list[Any]]:
    """Return a chunk that comes in one piece."""
    kind = draw(st.sampled_from(["tool_reference", "tool_file", "image_url", "document_url"]))
    if kind == "tool_reference":
        chunk = {"tool": draw(NAMES), "title": draw(LETTERS)}
        chunk |= optional(draw, url=URLS, favicon=URLS, description=LETTERS)
    elif kind == "tool_file":
        chunk = {"tool": draw(NAMES), "file_id": draw(LETTERS), **optional(draw, file_name=LETTERS, file_type=LETTERS)}
    elif kind == "image_url":
        url = {"url": draw(URLS), **optional(draw, detail=st.sampled_from(["low", "high"]))}
        chunk = {"image_url": draw(URLS | st.just(url))}
    else:
        chunk = {"document_url": draw(URLS), **optional(draw, document_name=LETTERS)}
    chunk["type"] = kind
    return chunk, [chunk]


@st.composite
def messages(draw: st.DrawFn, id: str) -> Streamed:
    """Return a message: a text, or a list of chunks that come interleaved."""
    deltas: list[Json]
    if draw(st.booleans()):
        content: Any = draw(LETTERS)
        deltas = [{"content": piece, "content_index": 0} for piece in draw(pieces(content))]
        if draw(st.booleans()):
            deltas = [{"content": delta["content"]} for delta in deltas]
    else:
        count = draw(st.integers(1, 4))
        kinds = st.one_of(text_chunks(bare=count > 1), thinking_chunks(), whole_chunks())
        chunks = [draw(kinds) for _ in range(count)]
        indexes = sorted(draw(st.lists(st.integers(0, 9), min_size=count, max_size=count, unique=True)))
        content = [chunk for chunk, _ in chunks]
        deltas = [
            {"content": delta, "content_index": indexes[number]}
            for number, delta in merged(draw, [deltas for _, deltas in chunks])
        ]
    shared = optional(draw, model=NAMES, agent_id=NAMES)
    entry = {"object": "entry", "type": "message.output", "id": id, "role": "assistant", "content": content, **shared}
    events = [{"type": "message.output.delta", "id": id, **shared, **delta} for delta in deltas]
    if draw(st.booleans()):
        for event in events:
            event["created_at"] = draw(TIMES)
        entry |= {"created_at": events[0]["created_at"], "completed_at": events[-1]["created_at"]}
    return Streamed(entry, events)


@st.composite
def tool_executions(draw: st.DrawFn, id: str) -> Streamed:
    """Return a hosted tool's execution: started, its arguments in pieces, done."""
    arguments = draw(LETTERS | VALUES.map(json.dumps))
    named = {"id": id, "name": draw(NAMES)}
    started = optional(draw, model=NAMES, agent_id=NAMES)
    info = draw(st.fixed_dictionaries({}, optional={"info": INFOS}))
    begin, end = ({"created_at": draw(TIMES)} if draw(st.booleans()) else {} for _ in range(2))
    entry = {"object": "entry", "type": "tool.execution", **named, "arguments": arguments, **started, **info, **begin}
    if end:
        entry["completed_at"] = end["created_at"]
    return Streamed(
        entry,
        [
            {"type": "tool.execution.started", **named, "arguments": "", **started, **begin},
            *(
                {"type": "tool.execution.delta", **named, "arguments": piece, **optional(draw, created_at=TIMES)}
                for piece in draw(pieces(arguments))
            ),
            {"type": "tool.execution.done", **named, **info, **end},
        ],
    )


@st.composite
def function_calls(draw: st.DrawFn, id: str) -> Streamed:
    """Return a function call; no event carries its `completed_at`."""
    arguments = draw(LETTERS | VALUES.map(json.dumps))
    status = st.sampled_from(["pending", "allowed", "denied"])
    shared = {"id": id, "tool_call_id": draw(LETTERS), "name": draw(NAMES)}
    shared |= optional(draw, model=NAMES, agent_id=NAMES, confirmation_status=status)
    entry = {"object": "entry", "type": "function.call", **shared, "arguments": arguments}
    entry |= optional(draw, completed_at=TIMES)
    events = [{"type": "function.call.delta", **shared, "arguments": piece} for piece in draw(pieces(arguments))]
    if draw(st.booleans()):
        for event in events:
            event["created_at"] = draw(TIMES)
        entry["created_at"] = events[0]["created_at"]
    return Streamed(entry, events)


@st.composite
def handoffs(draw: st.DrawFn, id: str) -> Streamed:
    """Return a handoff from one agent to the next."""
    before = {"previous_agent_id": draw(LETTERS), "previous_agent_name": draw(LETTERS)}
    after = {"next_agent_id": draw(LETTERS), "next_agent_name": draw(LETTERS)}
    begin, end = ({"created_at": draw(TIMES)} if draw(st.booleans()) else {} for _ in range(2))
    entry = {"object": "entry", "type": "agent.handoff", "id": id, **before, **after, **begin}
    if end:
        entry["completed_at"] = end["created_at"]
    started = {"type": "agent.handoff.started", "id": id, **before, **begin}
    return Streamed(entry, [started, {"type": "agent.handoff.done", "id": id, **after, **end}])


@st.composite
def conversations(draw: st.DrawFn, *, indexed: bool | None = None) -> Streamed:
    """Return any response with any valid sequence of events, its entries interleaved.

    Args:
        draw: hypothesis's own.
        indexed: whether every event has an `output_index`; drawn if `None`.
    """
    makers = st.sampled_from([messages, tool_executions, function_calls, handoffs])
    count = draw(st.integers(0, 4))
    entries = [draw(draw(makers)(f"entry{number}")) for number in range(count)]
    events = merged(draw, [entry.events for entry in entries])
    if indexed is None:
        indexed = draw(st.booleans())
    if indexed:
        # Then the events may come in any order.
        order = list(range(count))
        events = [(number, {**event, "output_index": number}) for number, event in events]
    else:
        # Then outputs stand in the order in which they began; an index that some lack tells nothing.
        order = list(dict.fromkeys(number for number, _ in events))
        some = draw(st.sets(st.integers(0, 3), max_size=max(0, count - 1)))
        some &= set(order[:-1])
        events = [
            (number, {**event, "output_index": order.index(number)} if number in some else event)
            for number, event in events
        ]
    usage = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "prompt_tokens": st.integers(0, 99),
                "completion_tokens": st.integers(0, 99),
                "total_tokens": st.integers(0, 99),
                "connector_tokens": st.none() | st.integers(0, 99),
                "connectors": st.none() | st.dictionaries(NAMES, st.integers(0, 9), max_size=2),
            },
        )
    )
    response = {
        "object": "conversation.response",
        "conversation_id": "conv1",
        "outputs": [entries[number].whole for number in order],
        "usage": usage,
        **draw(st.fixed_dictionaries({}, optional={"guardrails": st.none() | st.just([{"v": {"action": "none"}}])})),
    }
    started = {"type": "conversation.response.started", "conversation_id": "conv1", "created_at": at(0)}
    done = {"type": "conversation.response.done", "usage": usage, "created_at": at(59)}
    return Streamed(response, [started, *(event for _, event in events), done])


def as_streams_bring_it(response: Json) -> Any:
    """Return a response as the SDK parses it, made plain, without what no event carries."""
    result = to_loggable(models.ConversationResponse.model_validate(response))
    assert isinstance(result, dict)
    assert isinstance(result["outputs"], list)
    result.pop("guardrails", None)
    for entry in result["outputs"]:
        assert isinstance(entry, dict)
        if entry["type"] == "function.call":
            entry.pop("completed_at", None)
    return result


@settings(max_examples=200)
@given(conversations())
def test_any_response_cut_into_any_events_folds_back_into_itself_and_logs_the_same(conversation: Streamed) -> None:
    unstreamed = as_streams_bring_it(conversation.whole)
    assert folded(*conversation.events) == unstreamed
    assert FOLDING.logged(conversation.events) == read_response(unstreamed, Request())


@given(conversations(indexed=False), st.integers(0, 50))
def test_whatever_had_arrived_of_a_broken_stream_is_there(conversation: Streamed, count: int) -> None:
    broken = folded(*conversation.events[:count])
    whole = folded(*conversation.events)
    assert [entry["id"] for entry in broken["outputs"]] == [
        entry["id"] for entry in whole["outputs"][: len(broken["outputs"])]
    ]
    for entry, complete in zip(broken["outputs"], whole["outputs"], strict=False):
        assert entry["type"] == complete["type"]
        for name in ("content", "arguments"):
            if isinstance(entry.get(name), str) and isinstance(complete[name], str):
                assert complete[name].startswith(entry[name])


# Any events

EVENT_TYPES = st.sampled_from(
    [
        "message.output.delta",
        "tool.execution.started",
        "tool.execution.delta",
        "tool.execution.done",
        "function.call.delta",
        "agent.handoff.started",
        "agent.handoff.done",
        "conversation.response.started",
        "conversation.response.done",
        "conversation.response.error",
        "later",
        "UNKNOWN",
    ]
)
ODD = st.sampled_from(
    [None, False, True, 0, 1, -1, 0.5, "", "a", [], ["a"], [[]], {}, {"a": 1}, [{"type": "text", "text": "a"}]]
)
ODD_CHUNKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking"]) | ODD},
    optional={"text": ODD, "thinking": ODD | st.lists(st.builds(lambda odd: {"type": "text", "text": odd}, ODD))},
)
ODD_FIELDS = {
    "content": ODD | ODD_CHUNKS,
    **dict.fromkeys(("content_index", "output_index", "created_at", "arguments", "name", "info"), ODD),
    **dict.fromkeys(("usage", "message", "code", "conversation_id"), ODD),
}


def anything(ids: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return events of any form, most of them nearly right."""
    delta = {"type": st.just("message.output.delta"), "id": ids, "content": ODD | ODD_CHUNKS}
    events = st.fixed_dictionaries(delta, optional={"content_index": ODD, "created_at": ODD})
    events |= st.fixed_dictionaries({"type": EVENT_TYPES, "id": ids}, optional=ODD_FIELDS)
    return (
        events.map(unparsed)
        | events.map(lambda event: SimpleNamespace(data=SimpleNamespace(**event)))
        | st.dictionaries(st.sampled_from(["type", "id", "raw"]), ODD).map(unparsed)
        | ODD.map(unparsed)
        | st.sampled_from([None, object(), SimpleNamespace(), SimpleNamespace(data=None), "text"])
    )


@settings(max_examples=300)
@given(st.lists(anything(st.sampled_from(["e1", "e2"]) | ODD), max_size=6))
def test_whatever_the_events_were_their_response_can_be_read(events: list[Any]) -> None:
    accumulator = ConversationAccumulator()
    for event in events:
        add_anything(accumulator, event)
    response = to_loggable(accumulator.response())
    assert isinstance(response, dict)
    assert read_response(response, Request()).output == response["outputs"]


@given(st.data(), conversations(indexed=False), st.lists(anything(st.just("other") | ODD), max_size=4))
def test_whatever_comes_between_the_events_they_fold_all_the_same(
    data: st.DataObject, conversation: Streamed, others: list[Any]
) -> None:
    accumulator = ConversationAccumulator()
    for _, event in merged(data.draw, [[parsed(event) for event in conversation.events], others]):
        add_anything(accumulator, event)
    outputs = to_loggable(accumulator.response()["outputs"])
    assert isinstance(outputs, list)
    ids = [entry["id"] for entry in conversation.whole["outputs"]]
    found = {str(entry["id"]): entry for entry in outputs if isinstance(entry, dict)}
    assert [found.get(id) for id in ids] == as_streams_bring_it(conversation.whole)["outputs"]
