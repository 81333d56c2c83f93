import json
import logging
import threading
from typing import Any, NoReturn

import pytest
from braintrust.integrations.mistral.bounded import BoundedMap
from braintrust.integrations.mistral.operations import Arrival, Child, Outcome, Request, ToolCallKey
from braintrust.integrations.mistral.tracing.alignment import align
from braintrust.integrations.mistral.tracing.pending import PendingToolCall, pending_tool_calls
from braintrust.integrations.mistral.tracing.spans import CallSpan
from braintrust.span_types import SpanTypeAttribute
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.conftest import LoggedSpans, MakeClient, Mistral, wait_for_abandoned_streams
from tests.helpers.wire import Json, answer, answer_stream


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models

takes_confirmations = pytest.mark.skipif(
    not hasattr(models, "ToolCallConfirmation"), reason="this mistralai has no tool confirmations"
)


@pytest.fixture(autouse=True)
def pending() -> BoundedMap[ToolCallKey, PendingToolCall]:
    """No call of another test waits here."""
    pending_tool_calls.clear()
    return pending_tool_calls


# Clock alignment: the call runs from 100 to 110.


def child(start: float | None, end: float | None, arrival: Arrival | None = None) -> Child:
    return Child("tool: x", start=start, end=end, arrival=arrival)


def aligned(*children: Child, start: float = 100.0, end: float = 110.0) -> list[tuple[float, float]]:
    return list(align(children, start, end))


def test_children_that_fit_stay_where_they_are() -> None:
    assert aligned(child(101.0, 103.5), child(102.0, 110.0), child(100.0, 100.0)) == [
        (101.0, 103.5),
        (102.0, 110.0),
        (100.0, 100.0),
    ]


def test_children_of_a_fast_clock_are_shifted_back_together_by_the_least_that_fits() -> None:
    assert aligned(child(105.0, 107.5), child(108.0, 112.0)) == [(103.0, 105.5), (106.0, 110.0)]


def test_children_of_a_slow_clock_are_shifted_forth_together_by_the_least_that_fits() -> None:
    assert aligned(child(95.0, 97.5), child(97.0, 99.0)) == [(100.0, 102.5), (102.0, 104.0)]


def test_children_as_long_as_the_call_fit_it_exactly() -> None:
    assert aligned(child(90.0, 95.0), child(95.0, 100.0)) == [(100.0, 105.0), (105.0, 110.0)]


@pytest.mark.parametrize("offset", [-1000.0, -10.0, 0.0, 10.0, 1000.0])
def test_children_longer_than_the_call_keep_their_lengths_and_end_with_it(offset: float) -> None:
    children = (child(100.0 + offset, 105.0 + offset), child(106.0 + offset, 112.0 + offset))
    assert aligned(*children) == [(98.0, 103.0), (104.0, 110.0)]


def test_a_child_without_server_times_was_when_its_events_arrived() -> None:
    assert aligned(child(None, None, Arrival(102.0, 105.0))) == [(102.0, 105.0)]


def test_a_child_that_did_not_finish_ends_with_the_call() -> None:
    assert aligned(child(None, None, Arrival(102.0, None)), child(103.0, None, Arrival(104.0, None))) == [
        (102.0, 110.0),
        (103.0, 110.0),
    ]


def test_a_child_of_which_nothing_is_known_was_at_the_end_of_the_call() -> None:
    assert aligned(child(None, None)) == [(110.0, 110.0)]


def test_what_only_one_clock_knows_completes_what_the_other_knows() -> None:
    assert aligned(
        child(103.0, None),
        child(103.0, None, Arrival(102.0, 105.0)),
        child(None, 104.0),
        child(None, 104.0, Arrival(102.0, 105.0)),
    ) == [(103.0, 110.0), (103.0, 105.0), (104.0, 104.0), (102.0, 104.0)]


def test_the_moments_at_which_events_arrived_are_of_our_clock_and_not_shifted() -> None:
    assert aligned(child(110.0, 112.0), child(None, None, Arrival(102.0, 105.0))) == [(108.0, 110.0), (102.0, 105.0)]


def test_a_child_never_ends_before_it_begins() -> None:
    assert aligned(child(105.0, 103.0), child(109.0, None, Arrival(101.0, 102.0))) == [(105.0, 105.0), (109.0, 109.0)]


def model_call(end: float | None) -> Child:
    return Child("chat m", end=end, arrival=Arrival(104.0, None), span_type=SpanTypeAttribute.LLM)


def test_a_model_call_lasts_from_what_came_before_it_to_its_end_or_to_what_it_asked_for() -> None:
    tools = child(103.0, 105.0), child(102.0, 104.0)
    expected = [(103.0, 105.0), (102.0, 104.0)]
    assert aligned(model_call(None), *tools, model_call(107.0)) == [(100.0, 103.0), *expected, (105.0, 107.0)]
    assert aligned(model_call(102.5), *tools, model_call(None)) == [(100.0, 102.5), *expected, (105.0, 110.0)]


def test_no_children_align_to_nothing() -> None:
    assert aligned() == []


# Multiples of 1/1024 s, which sums of floats keep exactly.
MOMENTS = st.integers(0, 60 * 1024).map(lambda ticks: 1_760_000_000 + ticks / 1024)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[float, float]:
    start, end = sorted((draw(MOMENTS), draw(MOMENTS)))
    return start, end


@given(st.lists(intervals(), min_size=1, max_size=5), intervals())
def test_all_children_are_shifted_by_one_amount_the_least_that_fits(
    times: list[tuple[float, float]], call: tuple[float, float]
) -> None:
    start, end = call
    result = aligned(*(child(*time) for time in times), start=start, end=end)
    (shift,) = {
        new - old for before, after in zip(times, result, strict=True) for old, new in zip(before, after, strict=True)
    }
    first, last = min(time for time, _ in times), max(time for _, time in times)
    assert last + shift <= end
    if last - first > end - start:
        assert last + shift == end
    else:
        assert first + shift >= start
        if shift > 0:
            assert first + shift == start
        if shift < 0:
            assert last + shift == end


TIMES = st.none() | st.floats(1_700_000_000, 1_800_000_000)
ARRIVALS = st.none() | st.builds(
    lambda times, finished: Arrival(times[0], times[1] if finished else None), intervals(), st.booleans()
)


@given(st.lists(st.builds(child, TIMES, TIMES, ARRIVALS), max_size=5), intervals())
def test_whatever_the_times_each_child_has_one_interval_that_ends_with_the_call_at_the_latest(
    children: list[Child], call: tuple[float, float]
) -> None:
    result = aligned(*children, start=call[0], end=call[1])
    assert len(result) == len(children)
    assert all(start <= end <= call[1] for start, end in result)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=5), st.floats(0, 100))
def test_children_of_any_clock_are_within_the_call_as_far_as_they_can_to_a_microsecond(
    times: list[tuple[float | None, float | None]], length: float
) -> None:
    known = [time for pair in times for time in pair if time is not None]
    assume(not known or max(known) - min(known) <= length)
    start = 1_750_000_000.3
    result = aligned(*(child(*pair) for pair in times), start=start, end=start + length)
    assert all(begin >= start - 1e-6 for begin, _ in result)


# One call


def opened() -> CallSpan:
    return CallSpan("mistral.test", SpanTypeAttribute.TASK, Request("hello", {"provider": "mistral"}))


def test_a_call_is_two_records_and_a_child_one(spans: LoggedSpans) -> None:
    call = opened()
    assert spans.records == 1
    call.close(lambda: Outcome("done", children=[Child("tool: a"), Child("tool: b"), Child("tool: c")]))
    assert spans.records == 5


def test_a_call_shows_its_request_its_outcome_and_its_times(spans: LoggedSpans) -> None:
    call = opened()
    start, started = call._start, call._started
    outcome = Outcome("done", {"model": "small"}, {"tokens": 3})
    call.close(lambda: outcome, first_output=started + 0.5, at=started + 2.0)
    row = spans.pop_one()
    assert row["span_attributes"]["name"] == "mistral.test"
    assert row["span_attributes"]["type"] == "task"
    assert row["context"]["span_origin"]["instrumentation"] == {"name": "mistral-auto"}
    assert (row["input"], row["output"]) == ("hello", "done")
    assert row["metadata"] == {"provider": "mistral", "model": "small"}
    assert row["metrics"] == {
        "start": start,
        "end": pytest.approx(start + 2.0),
        "duration": pytest.approx(2.0),
        "time_to_first_token": pytest.approx(0.5),
        "tokens": 3,
    }
    assert row.get("error") is None


def test_a_child_shows_what_it_did_when_it_did_it(spans: LoggedSpans) -> None:
    call = opened()
    start = call._start
    tool = Child(
        "tool: search",
        input={"query": "tides"},
        output={"result": "no"},
        metadata={"tool_index": 0},
        error="no",
        start=start + 1.0,
        end=start + 3.5,
    )
    call.close(lambda: Outcome(children=[tool]), at=start + 4.0)
    root, (row,) = spans.pop_tree()
    assert row["span_attributes"]["name"] == "tool: search"
    assert row["span_attributes"]["type"] == "tool"
    assert row["context"]["span_origin"]["instrumentation"] == {"name": "mistral-auto"}
    assert (row["input"], row["output"], row["error"]) == ({"query": "tides"}, {"result": "no"}, "no")
    assert row["metadata"] == {"tool_index": 0}
    assert row["metrics"] == {"start": start + 1.0, "end": start + 3.5}
    assert row["root_span_id"] == root["root_span_id"]


def test_a_tool_of_two_and_a_half_seconds_is_that_long_whatever_mistrals_clock_says(spans: LoggedSpans) -> None:
    call = opened()
    start = call._start
    for_years = Child("tool: search", start=5.0, end=7.5)
    call.close(lambda: Outcome(children=[for_years]), at=start + 4.0)
    _, (row,) = spans.pop_tree()
    assert row["metrics"]["start"] == pytest.approx(start, abs=1e-6)
    assert row["metrics"]["end"] == pytest.approx(start + 2.5, abs=1e-6)


def test_a_call_that_many_threads_end_ends_once(spans: LoggedSpans) -> None:
    call = opened()
    barrier = threading.Barrier(16)
    read: list[int] = []

    def outcome() -> Outcome:
        read.append(1)
        return Outcome("done")

    def close() -> None:
        barrier.wait()
        call.close(outcome)

    threads = [threading.Thread(target=close) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(read), spans.records) == (1, 2)


def raise_(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(1)])
def test_the_error_of_a_call_is_its_traceback_beside_what_had_arrived(
    spans: LoggedSpans, error: BaseException
) -> None:
    call = opened()
    try:
        raise_(error)
    except BaseException as raised:
        call.close(lambda: Outcome("half", metrics={"tokens": 3}), error=raised)
    row = spans.pop_one()
    assert row["error"].startswith("Traceback (most recent call last)")
    assert row["error"].strip().splitlines()[-1].startswith(type(error).__name__)
    assert (row["output"], row["metrics"]["tokens"]) == ("half", 3)
    assert row["metadata"] == {"provider": "mistral"}


def test_what_the_caller_saw_wins_over_what_the_stream_said(spans: LoggedSpans) -> None:
    opened().close(lambda: Outcome(error="overloaded"), error=ValueError("broken"))
    assert spans.pop_one()["error"].strip().endswith("ValueError: broken")


def test_an_outcome_that_cannot_be_read_costs_nothing_else(
    spans: LoggedSpans, faults: list[logging.LogRecord]
) -> None:
    opened().close(lambda: raise_(RuntimeError("ours")), error=ValueError("broken"))
    row = spans.pop_one()
    assert row["error"].strip().endswith("ValueError: broken")
    assert row["metrics"]["duration"] >= 0
    assert faults.pop().exc_info is not None


def test_children_that_cannot_be_logged_cost_nothing_else(
    spans: LoggedSpans, faults: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = opened()
    start_span = call._span.start_span

    def start_some(**arguments: Any) -> Any:
        if arguments["name"] == "tool: b":
            raise_(RuntimeError("ours"))
        return start_span(**arguments)

    monkeypatch.setattr(call._span, "start_span", start_some)
    call.close(lambda: Outcome("done", children=[Child("tool: a"), Child("tool: b"), Child("tool: c")]))
    root, children = spans.pop_tree()
    assert root["output"] == "done"
    assert [child["span_attributes"]["name"] for child in children] == ["tool: a", "tool: c"]
    assert faults.pop()


# Function calls and their results


def calls(conversation_id: str, *tool_call_ids: str) -> Json:
    """Return a response of a conversation that ends with function calls."""
    outputs = [
        {"type": "function.call", "id": f"f{id}", "tool_call_id": id, "name": "add", "arguments": '{"a": 1}'}
        for id in tool_call_ids
    ]
    return {"conversation_id": conversation_id, "outputs": outputs, "usage": {}}


def result_of(tool_call_id: str, result: str) -> Json:
    return {"type": "function.result", "tool_call_id": tool_call_id, "result": result}


def as_stream(response: Json) -> list[Json]:
    """Return the events of such a response."""
    return [
        {"type": "conversation.response.started", "conversation_id": response["conversation_id"]},
        *({**entry, "type": "function.call.delta"} for entry in response["outputs"]),
        {"type": "conversation.response.done", "usage": {}},
    ]


@pytest.fixture
def client(make_client: MakeClient) -> Mistral:
    """A client for whom every start of a conversation calls functions, and every append is answered by a text.

    What is started names the conversation and its calls: "conv1 call1 call2".
    """
    reply: Json = {"type": "message.output", "id": "m1", "content": "Done."}

    def handle(request: Any) -> Any:
        if request.url.path.startswith("/v1/conversations/"):
            return answer({"conversation_id": request.url.path.split("/")[3], "outputs": [reply], "usage": {}})
        body = json.loads(request.content)
        response = calls(*body["inputs"].split())
        return answer_stream(as_stream(response)) if body["stream"] else answer(response)

    return make_client(handle)


def started(client: Mistral, conversation: str) -> None:
    client.beta.conversations.start(inputs=conversation, model="small")


def appended(client: Mistral, conversation_id: str, *inputs: Json, **arguments: Any) -> None:
    client.beta.conversations.append(conversation_id=conversation_id, inputs=list(inputs), **arguments)


def by_name(rows: list[Json]) -> dict[str, list[Json]]:
    """Return the rows by the last word of their span's name."""
    found: dict[str, list[Json]] = {}
    for row in rows:
        found.setdefault(row["span_attributes"]["name"].replace(".", " ").split()[-1], []).append(row)
    return found


def test_a_call_has_an_end_and_no_output_until_its_result_is_known(spans: LoggedSpans, client: Mistral) -> None:
    started(client, "conv1 call1")
    assert spans.records == 3
    root, (row,) = spans.pop_tree()
    assert row.get("output") is None
    assert row["metadata"] == {
        "tool_type": "function.call",
        "tool_name": "add",
        "tool_call_id": "call1",
        "tool_index": 0,
    }
    assert row["metrics"]["end"] == root["metrics"]["end"]


def test_a_result_is_the_output_of_its_call_which_ended_when_it_was_sent(spans: LoggedSpans, client: Mistral) -> None:
    started(client, "conv1 call1")
    appended(client, "conv1", result_of("call1", "3"))
    assert spans.records == 3 + 1 + 2
    rows = by_name(spans.pop())
    ((call,), (append,), (start,)) = (rows[name] for name in ("add", "append", "start"))
    assert call["output"] == "3"
    assert call["input"] == {"a": 1}
    assert call["span_parents"] == [start["span_id"]]
    assert call["metrics"]["end"] == append["metrics"]["start"]


def test_a_result_settles_a_call_that_was_streamed(spans: LoggedSpans, client: Mistral) -> None:
    with client.beta.conversations.start_stream(inputs="conv1 call1", model="small") as stream:
        assert len(list(stream)) == 3
    appended(client, "conv1", result_of("call1", "3"))
    rows = by_name(spans.pop())
    assert rows["add"][0]["output"] == "3"
    assert rows["add"][0]["metrics"]["end"] == rows["append"][0]["metrics"]["start"]


def test_a_result_may_be_sent_before_the_stream_of_its_call_is_over(spans: LoggedSpans, client: Mistral) -> None:
    """By an application that answers while it reads; what is sent again later does not count."""
    with client.beta.conversations.start_stream(inputs="conv1 call1 call2", model="small") as stream:
        for event in stream:
            if event.event == "conversation.response.done":
                appended(client, "conv1", result_of("call1", "3"))
                appended(client, "conv1", result_of("call1", "4"))
    appended(client, "conv1", result_of("call2", "5"))
    rows = by_name(spans.pop())
    first, second = rows["add"]
    assert [first["output"], second["output"]] == ["3", "5"]
    assert first["metrics"]["start"] <= first["metrics"]["end"]
    assert first["metrics"]["end"] == pytest.approx(rows["append"][0]["metrics"]["start"], abs=0.1)
    assert first["metrics"]["end"] < rows["start_stream"][0]["metrics"]["end"]


def test_a_result_may_be_sent_as_soon_as_the_stream_of_its_call_was_dropped(
    spans: LoggedSpans, client: Mistral
) -> None:
    """Another thread ends that stream, before or after the result is sent."""
    for number in range(50):
        for event in client.beta.conversations.start_stream(inputs=f"conv{number} call1", model="small"):
            if event.event == "function.call.delta":
                break
        appended(client, f"conv{number}", result_of("call1", str(number)))
    wait_for_abandoned_streams()
    assert [row["output"] for row in by_name(spans.pop())["add"]] == [str(number) for number in range(50)]


def test_a_call_that_began_later_by_mistrals_clock_does_not_end_before(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    """Of two calls, an hour apart by that clock, the second ends the stream; its result was sent before that."""
    events = as_stream(calls("conv1", "call1", "call2"))
    for event, hour in zip(events[1:3], (12, 13), strict=True):
        event["created_at"] = f"2026-05-01T{hour}:00:00Z"
    client = make_client(
        lambda request: answer_stream(events) if b'"stream":true' in request.content else answer(calls("conv1"))
    )
    for event in client.beta.conversations.start_stream(inputs="Add", model="small"):
        if event.event == "conversation.response.done":
            appended(client, "conv1", result_of("call2", "3"))
    call = by_name(spans.pop())["add"][1]
    assert call["output"] == "3"
    assert call["metrics"]["start"] <= call["metrics"]["end"]


def test_a_result_finds_a_call_whose_stream_has_brought_nothing_else_yet(spans: LoggedSpans, client: Mistral) -> None:
    """The application took it for whole when it had its arguments, and answers before it reads on."""
    with client.beta.conversations.start_stream(inputs="conv1 call1", model="small") as stream:
        for event in stream:
            if event.event == "function.call.delta":
                appended(client, "conv2", result_of("call1", "of another conversation"))
                appended(client, "conv1", result_of("call1", "3"))
                # Before the stream goes on.
                assert "3" in [record.get("output") for record in spans.so_far]
    (call,) = by_name(spans.pop())["add"]
    assert (call["input"], call["output"]) == ({"a": 1}, "3")


async def test_a_result_settles_its_call_whichever_form_of_append_brings_it(
    spans: LoggedSpans, client: Mistral
) -> None:
    await client.beta.conversations.start_async(inputs="conv1 call1", model="small")
    await client.beta.conversations.append_async(conversation_id="conv1", inputs=[result_of("call1", "3")])
    assert by_name(spans.pop())["add"][0]["output"] == "3"


def test_results_of_several_calls_go_to_their_own(spans: LoggedSpans, client: Mistral) -> None:
    started(client, "conv1 call1 call2 call3")
    appended(client, "conv1", result_of("call3", "three"), result_of("call1", "one"))
    assert [row.get("output") for row in by_name(spans.pop())["add"]] == ["one", None, "three"]


def test_a_result_for_a_call_that_nobody_knows_leaves_no_trace_but_in_the_input(
    spans: LoggedSpans, client: Mistral
) -> None:
    started(client, "conv1 call1")
    spans.pop()
    appended(client, "conv1", result_of("call2", "3"), result_of("", "4"))
    assert spans.records == 2
    assert spans.pop_one()["input"] == [result_of("call2", "3"), result_of("", "4")]


def test_a_call_of_another_conversation_with_the_same_id_is_untouched(spans: LoggedSpans, client: Mistral) -> None:
    started(client, "conv1 call1")
    started(client, "conv2 call1")
    appended(client, "conv1", result_of("call1", "3"))
    assert [row.get("output") for row in by_name(spans.pop())["add"]] == ["3", None]


def test_only_the_first_result_of_a_call_counts(spans: LoggedSpans, client: Mistral) -> None:
    started(client, "conv1 call1")
    appended(client, "conv1", result_of("call1", "3"))
    appended(client, "conv1", result_of("call1", "4"))
    assert by_name(spans.pop())["add"][0]["output"] == "3"


@takes_confirmations
def test_an_approved_call_shows_it_and_still_waits_for_its_result(spans: LoggedSpans, client: Mistral) -> None:
    started(client, "conv1 call1 call2")
    appended(client, "conv1", tool_confirmations=[{"tool_call_id": "call1", "confirmation": "allow"}])
    appended(client, "conv1", result_of("call1", "3"))
    rows = by_name(spans.pop())
    assert [row["metadata"].get("tool_approval") for row in rows["add"]] == ["approved", None]
    assert [row.get("output") for row in rows["add"]] == ["3", None]
    assert rows["add"][0]["metrics"]["end"] == rows["append"][1]["metrics"]["start"]
    assert rows["add"][0]["metadata"]["tool_name"] == "add"


@takes_confirmations
def test_a_denied_call_shows_it_and_waits_no_longer(
    spans: LoggedSpans, client: Mistral, pending: BoundedMap[ToolCallKey, PendingToolCall]
) -> None:
    started(client, "conv1 call1")
    appended(client, "conv1", tool_confirmations=[{"tool_call_id": "call1", "confirmation": "deny"}])
    assert len(pending) == 0
    rows = by_name(spans.pop())
    assert rows["add"][0]["metadata"]["tool_approval"] == "denied"
    assert rows["add"][0].get("output") is None
    assert rows["add"][0]["metrics"]["end"] == rows["append"][0]["metrics"]["start"]


def test_the_calls_that_wait_are_bounded_and_dropping_one_loses_nothing_already_logged(
    spans: LoggedSpans, client: Mistral, pending: BoundedMap[ToolCallKey, PendingToolCall]
) -> None:
    ids = [f"call{number}" for number in range(1_025)]
    started(client, " ".join(["conv1", *ids]))
    assert len(pending) == 1_024
    appended(client, "conv1", result_of("call0", "dropped"), result_of("call1", "kept"))
    first, second, *others = by_name(spans.pop())["add"]
    assert first.get("output") is None
    assert first["metrics"]["end"] > 0
    assert first["metadata"]["tool_call_id"] == "call0"
    assert second["output"] == "kept"
    assert len(others) == 1_023
