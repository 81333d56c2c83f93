"""What the requests of a run add up to, without a run."""

import time
from typing import Any

from braintrust.integrations.mistral.operations import Arrival, Child, Outcome, Request
from braintrust.integrations.mistral.runs.runs import read_response
from braintrust.integrations.mistral.tracing.run_state import RunState
from braintrust.integrations.mistral.tracing.spans import CallSpan
from braintrust.span_types import SpanTypeAttribute

from tests.conftest import LoggedSpans
from tests.helpers.wire import Json


def read(response: Json, request: Request) -> Outcome:
    """Read the simplest response there could be: entries that are function calls where they have a `call`."""
    children = [
        Child(f"tool: {number}", metadata={"tool_type": kind, "tool_call_id": entry.get("call")})
        for number, entry in enumerate(response["outputs"])
        for kind in ["function.call" if "call" in entry else "tool.execution"]
    ]
    return Outcome(response["outputs"], children=children)


class Arrived:
    """An accumulator, and how often it was asked."""

    first_output: float | None = None

    def __init__(self, *outputs: Json) -> None:
        self.asked = 0
        self._outputs = list(outputs)

    def add(self, event: Any) -> None:
        raise AssertionError("no event comes here")

    def response(self) -> Json:
        self.asked += 1
        return {"outputs": self._outputs}

    def arrivals(self) -> dict[int, Arrival]:
        return {}


def test_results_follow_the_outputs_of_their_turn_in_the_order_of_the_calls() -> None:
    turns = RunState()
    for outputs in ([{"call": "2"}, {"call": "1"}, {"call": "never run"}], [{"call": "3"}], []):
        turns.begin(read).read({"outputs": outputs}, Request())
    for tool_call_id in ("3", "1", "2", "of nobody"):
        turns.add_result(tool_call_id, f"result {tool_call_id}")
    assert [outcome.output for outcome in turns.response()] == [
        [{"call": "2"}, {"call": "1"}, {"call": "never run"}, result("2"), result("1")],
        [{"call": "3"}, result("3")],
        [],
    ]


def result(tool_call_id: str) -> Json:
    fields = {"tool_call_id": tool_call_id, "result": f"result {tool_call_id}"}
    return {"object": "entry", "type": "function.result", **fields}


def test_a_stream_that_is_open_is_read_once_with_what_has_arrived_and_its_span_ends(spans: LoggedSpans) -> None:
    turns = RunState()
    turn, stream = turns.begin(read), Arrived({"call": "1"})
    turn.span = CallSpan("start", SpanTypeAttribute.TASK, Request())
    turn.follow(stream, Request())
    stream.first_output = time.monotonic()
    assert [[outcome.output for outcome in turns.response()] for _ in range(2)] == [[[{"call": "1"}]]] * 2
    assert stream.asked == 1
    row, *_ = spans.pop_ended()
    assert row["output"] == [{"call": "1"}]
    assert "time_to_first_token" in row["metrics"]


def test_a_run_has_the_sums_of_its_requests_and_what_the_first_said_of_itself() -> None:
    turns = [
        Outcome([{"n": 1}], {"conversation_id": "conv_1"}, {"tokens": 5, "connector_tokens": 2}),
        Outcome(None, None, {}, error="passing"),
        Outcome([{"n": 2}], {"conversation_id": "conv_1", "model": "small", "object": "x"}, {"tokens": 7}),
        Outcome([{"n": 3}], {"conversation_id": "conv_1", "model": "large"}, {"tokens": 1}, error="at last"),
    ]
    assert read_response(turns, Request()) == Outcome(
        [{"n": 1}, {"n": 2}, {"n": 3}],
        {
            "conversation_id": "conv_1",
            "model": "small",
            "request_count": 4,
            "usage": {"tokens": 13, "connector_tokens": 2},
        },
        error="at last",
    )
    assert read_response([], Request()) == Outcome([], {"request_count": 0})
