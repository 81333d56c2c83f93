from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from braintrust.integrations.mistral.operations import Arrival, Request
from braintrust.integrations.mistral.payloads import to_loggable
from braintrust.integrations.mistral.resources.response_stream import ResponseAccumulator
from braintrust.integrations.mistral.resources.responses import read_response
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.folding import LETTERS, NAMES, Folding, Streamed, merged, pieces
from tests.helpers.wire import Json
from tests.resources.test_responses import USAGE, has_responses, response


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


pytestmark = has_responses


CREATED: Json = {"type": "response.created", "response": response(status="in_progress")}


def output_text(text: str = "", **fields: Any) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], **fields}


def message(*content: Json, id: str = "msg1", status: str = "completed") -> Json:
    return {"type": "message", "id": id, "role": "assistant", "status": status, "content": list(content)}


def reasoning(*texts: str, id: str = "rs1") -> Json:
    content = [{"type": "reasoning_text", "text": text} for text in texts]
    return {"type": "reasoning", "id": id, "summary": [], "content": content}


def function_call(arguments: str = "", id: str = "fc1", name: str = "bake", **fields: Any) -> Json:
    return {"type": "function_call", "id": id, "call_id": "call1", "name": name, "arguments": arguments, **fields}


def event(kind: str, index: int = 0, **fields: Any) -> Json:
    """Return an event of an item of the output; only items themselves go without the item's id."""
    return {"type": f"response.{kind}", "output_index": index, "item_id": f"item{index}", **fields}


def added(item: Json, index: int = 0) -> Json:
    return event("output_item.added", index, item=item)


def text(delta: str, index: int = 0, content_index: int = 0) -> Json:
    return event("output_text.delta", index, content_index=content_index, delta=delta, logprobs=[])


def thought(delta: str, index: int = 0, content_index: int = 0) -> Json:
    return event("reasoning_text.delta", index, content_index=content_index, delta=delta)


def arguments_delta(delta: str, index: int = 0) -> Json:
    return event("function_call_arguments.delta", index, delta=delta)


def parsed(event: Json) -> Any:
    """Return an event as the SDK hands it to its user."""
    return models.ResponsesStreamFrame.model_validate(
        {"event": event["type"], "data": {"sequence_number": 0, **event}}
    )


FOLDING = Folding(ResponseAccumulator, parsed, read_response)
accumulated, folded, seen_at = FOLDING.accumulated, FOLDING.folded, FOLDING.seen_at


def output_of(*events: Json) -> list[Json]:
    return folded(*events)["output"]


# A response


def test_no_events_are_a_response_without_output() -> None:
    assert folded() == {"output": []}


def test_the_last_event_holds_the_whole_response() -> None:
    whole = response(message(output_text("Rye.")), usage=USAGE)
    assert (
        folded(
            CREATED,
            added(message(status="in_progress")),
            text("Something else"),
            {"type": "response.completed", "response": whole},
        )
        == whole
    )


def test_what_a_stream_has_brought_before_its_last_event_is_what_it_has_begun_with_and_its_deltas() -> None:
    assert folded(
        CREATED,
        added(reasoning()),
        thought("Whe"),
        thought("at?"),
        event("content_part.done", content_index=0, part={"type": "reasoning_text", "text": "Wheat?"}),
        event("output_item.done", item=reasoning("Wheat?")),
        added(function_call(status="in_progress"), 1),
        arguments_delta('{"flour": ', 1),
        arguments_delta('"ry', 1),
        added(message(id="msg1", status="in_progress"), 2),
        event("content_part.added", 2, content_index=0, part=output_text()),
        text("R", 2),
        text("ye", 2),
    ) == response(
        reasoning("Wheat?"),
        function_call('{"flour": "ry', status="in_progress"),
        message({"type": "output_text", "text": "Rye"}, status="in_progress"),
        status="in_progress",
    )


def test_a_failed_response_keeps_what_it_lost() -> None:
    failed = response(status="failed", error={"code": "server_error", "message": "The oven is cold"})
    assert folded(
        CREATED, added(message(status="in_progress")), text("Ry"), {"type": "response.failed", "response": failed}
    ) == {**failed, "output": [message({"type": "output_text", "text": "Ry"}, status="in_progress")]}


def test_an_error_event_stands_beside_what_had_arrived() -> None:
    error: Json = {"type": "error", "message": "The oven is cold", "code": "server_error", "param": None}
    broken = folded(CREATED, added(message(status="in_progress")), text("Ry"), error)
    assert broken.pop("error").items() >= {"message": "The oven is cold", "code": "server_error"}.items()
    assert broken == folded(CREATED, added(message(status="in_progress")), text("Ry"))


# Its items


def test_a_text_of_many_pieces_is_whole() -> None:
    deltas = [f"{number} " for number in range(5_000)]
    assert output_of(added(message()), *map(text, deltas)) == [
        message({"type": "output_text", "text": "".join(deltas)})
    ]


def test_the_parts_of_a_message_are_told_apart_by_their_content_index_and_items_by_theirs() -> None:
    refusal = {"type": "refusal", "refusal": "No."}
    assert output_of(
        added(message(id="msg2"), 1),
        added(message(id="msg1"), 0),
        text("c", 1),
        text("b", 0, 1),
        text("a", 0, 0),
        text("B", 0, 1),
        text("A", 0, 0),
        text("C", 1),
        event("content_part.done", 1, content_index=1, part=refusal),
    ) == [
        message({"type": "output_text", "text": "aA"}, {"type": "output_text", "text": "bB"}),
        message({"type": "output_text", "text": "cC"}, refusal, id="msg2"),
    ]


def test_a_part_that_is_done_has_all_that_belongs_to_it() -> None:
    citation = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "Rye", "url": "https://example.com"}
    part = output_text("Rye", annotations=[citation])
    assert output_of(added(message()), text("Ry"), event("content_part.done", content_index=0, part=part)) == [
        message(part)
    ]


def test_events_that_repeat_what_others_bring_and_those_that_nobody_knows_leave_no_trace() -> None:
    events = [added(message()), text("a")]
    accumulator = accumulated(events)
    repeated = [
        event("output_text.done", content_index=0, text="other", logprobs=[]),
        event("reasoning_text.done", 1, content_index=0, text="other"),
        event("function_call_arguments.done", 2, name="bake", arguments="other"),
        event("content_part.added", 3, content_index=0, part=output_text("other")),
    ]
    for one in repeated:
        accumulator.add(parsed(one))
    for kind in ("response.dream.delta", "response.output_item.dreamt"):
        data = SimpleNamespace(type=kind, output_index=4, item_id="item4", content_index=0, delta="zzz")
        accumulator.add(SimpleNamespace(data=data))
    assert to_loggable(accumulator.response()) == folded(*events)


# When it came


CALL = added(function_call())


@pytest.mark.parametrize("first", [text("a"), thought("a"), CALL, arguments_delta("{")])
def test_the_first_output_is_the_first_event_that_carries_any(first: Json) -> None:
    accumulator = seen_at(
        (1.0, CREATED),
        (2.0, added(message(status="in_progress"))),
        (3.0, event("content_part.added", content_index=0, part=output_text())),
        (4.0, text("")),
        (5.0, thought("", 1)),
        (6.0, first),
        (7.0, text("b")),
    )
    assert accumulator.first_output == 6.0


def test_a_stream_without_output_has_no_first_output() -> None:
    accumulator = seen_at((1.0, CREATED), (2.0, added(message())), (3.0, text("")), (4.0, text("")))
    assert accumulator.first_output is None


def test_arrivals_are_the_first_and_the_last_event_of_each_item() -> None:
    accumulator = seen_at(
        (1.0, added(function_call(id="a"), 2)),
        (2.0, added(message(id="b"), 0)),
        (3.0, arguments_delta("{}", 2)),
        (4.0, event("output_item.done", 2, item=function_call("{}", id="a"))),
        (5.0, text("a")),
    )
    items: Any = to_loggable(accumulator.response()["output"])
    assert [item["id"] for item in items] == ["b", "a"]
    assert accumulator.arrivals() == {0: Arrival(2.0, None), 1: Arrival(1.0, 4.0)}


# Events that nobody can read, memory


@pytest.mark.parametrize(
    "event",
    [
        None,
        SimpleNamespace(data=None),
        SimpleNamespace(data=SimpleNamespace(type="response.output_text.delta")),
        SimpleNamespace(data=SimpleNamespace(type="response.output_item.done", output_index=0)),
    ],
)
def test_an_event_of_another_shape_costs_no_other(event: Any) -> None:
    FOLDING.assert_costs_no_other(event, added(message()), text("a"), text("b"), text("c", 0, 1))


@pytest.mark.parametrize(
    "make_event", [text, thought, arguments_delta, lambda letter: CREATED, lambda letter: text("")]
)
def test_memory_grows_with_the_text_and_not_with_the_events(make_event: Callable[[str], Json]) -> None:
    FOLDING.assert_memory_grows_with_the_text(make_event)


# Any response


class Step(NamedTuple):
    """An event of an item, and what the item is after it."""

    event: Json
    item: Json


@st.composite
def parts(draw: st.DrawFn, kind: str) -> tuple[Json, list[tuple[Json, Json | None]]]:
    """Return a part of an item, and its events, each with what the part is after it, if it is anything."""
    if kind == "refusal":
        whole = {"type": "refusal", "refusal": draw(LETTERS)}
        return whole, [({"type": "content_part.added", "part": {**whole, "refusal": ""}}, None)]
    said = draw(LETTERS)
    whole = {"type": kind, "text": said}
    if kind == "output_text":
        whole |= {"annotations": [], **draw(st.fixed_dictionaries({}, optional={"logprobs": st.just([])}))}
    more: Json = {"logprobs": []} if kind == "output_text" else {}
    name = kind.removesuffix("_text") + "_text"
    steps: list[tuple[Json, Json | None]] = [({"type": "content_part.added", "part": {**whole, "text": ""}}, None)]
    so_far = ""
    for piece in draw(pieces(said)):
        so_far += piece
        steps.append(({"type": f"{name}.delta", "delta": piece, **more}, {"type": kind, "text": so_far}))
    steps.append(({"type": f"{name}.done", "text": said, **more}, steps[-1][1]))
    return whole, steps


@st.composite
def written_items(draw: st.DrawFn, index: int) -> tuple[Json, list[Step]]:
    """Return a message or a reasoning and its events: its parts come one after the other."""
    is_message = draw(st.booleans())
    item = message(id=f"item{index}") if is_message else reasoning(id=f"item{index}")
    begun = {**item, "status": "in_progress", "content": []}
    steps = [Step(added(begun, index), begun)]
    kinds = ["output_text", "refusal"] if is_message else ["reasoning_text"]
    content: list[Json] = []
    for place, kind in enumerate(draw(st.lists(st.sampled_from(kinds), max_size=2))):
        whole, events = draw(parts(kind))
        for fields, part in events:
            so_far = [*content, *([] if part is None else [part])]
            step = {**fields, "content_index": place}
            steps.append(Step(event(step.pop("type"), index, **step), {**begun, "content": so_far}))
        content.append(whole)
        done = event("content_part.done", index, content_index=place, part=whole)
        steps.append(Step(done, {**begun, "content": list(content)}))
    whole_item = {**item, "status": "completed", "content": content}
    return whole_item, [*steps, Step(event("output_item.done", index, item=whole_item), whole_item)]


@st.composite
def call_items(draw: st.DrawFn, index: int) -> tuple[Json, list[Step]]:
    """Return a call of a function and its events."""
    arguments = draw(LETTERS)
    begun = function_call("", f"item{index}", draw(NAMES), status="in_progress")
    steps = [Step(added(begun, index), begun)]
    so_far = ""
    for piece in draw(pieces(arguments)):
        so_far += piece
        steps.append(Step(arguments_delta(piece, index), {**begun, "arguments": so_far}))
    done = event("function_call_arguments.done", index, name=begun["name"], arguments=arguments)
    whole = {**begun, "arguments": arguments, "status": "completed"}
    steps += [Step(done, steps[-1].item), Step(event("output_item.done", index, item=whole), whole)]
    return whole, steps


@st.composite
def responses(draw: st.DrawFn) -> Streamed:
    """Return any response with the events of its stream, each with the output so far; its items are interleaved."""
    count = draw(st.integers(0, 3))
    items = [draw(draw(st.sampled_from([written_items, call_items]))(index)) for index in range(count)]
    status = draw(st.sampled_from(["completed", "incomplete"]))
    details = {"incomplete_details": {"reason": "max_output_tokens"}} if status == "incomplete" else {}
    whole = response(*(item for item, _ in items), status=status, usage=USAGE, error=None, **details)
    states: dict[int, Json] = {}
    events: list[tuple[Json, list[Json]]] = [(CREATED, []), ({**CREATED, "type": "response.in_progress"}, [])]
    for index, step in merged(draw, [steps for _, steps in items]):
        states[index] = step.item
        events.append((step.event, [states[index] for index in sorted(states)]))
    return Streamed(whole, [*events, ({"type": f"response.{status}", "response": whole}, whole["output"])])


@given(responses())
def test_any_response_as_events_logs_what_it_would_have_logged_unstreamed(streamed: Streamed) -> None:
    unstreamed = models.CreateResponseResponse.model_validate(streamed.whole)
    assert FOLDING.logged(event for event, _ in streamed.events) == read_response(unstreamed, Request())


@given(responses())
def test_a_stream_that_breaks_off_after_any_event_has_the_items_and_their_texts_so_far(streamed: Streamed) -> None:
    accumulator = ResponseAccumulator()
    for event, so_far in streamed.events[:-1]:
        accumulator.add(parsed(event))
        assert to_loggable(accumulator.response()) == response(*so_far, status="in_progress")
