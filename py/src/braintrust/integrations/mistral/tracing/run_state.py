"""What the requests of a client-side run add up to, while they are made."""

import contextvars
from collections.abc import Sequence
from typing import Any

from ..faults import guarded
from ..operations import Accumulator, Arrival, Child, Outcome, Request, ResponseReader, read_stream
from ..payloads import Loggable
from .spans import CallSpan


class RunRequest:
    """One request of a run.

    Attributes:
        span: the request's own, once it is open.
        calls: the function calls in its response, which the run executes and gives spans of their own.
    """

    __slots__ = ("_accumulator", "_outcome", "_read", "_request", "calls", "span")

    def __init__(self, read: ResponseReader) -> None:
        self.span: CallSpan | None = None
        self._read = read
        self._outcome: Outcome | None = None
        self._accumulator: Accumulator | None = None
        self._request = Request()
        self.calls: Sequence[Child] = ()

    @property
    def first_output(self) -> float | None:
        """When the first output of a stream arrived, in Unix seconds."""
        return None if self._accumulator is None else self._accumulator.first_output

    def follow(self, accumulator: Accumulator, request: Request) -> None:
        """Take note of the stream that the request was answered with."""
        self._accumulator, self._request = accumulator, request

    def read(self, response: Any, request: Request) -> Outcome:
        """Read the response for the request's own span, without the function calls."""
        outcome = self._read(response, request)
        self.calls = [child for child in outcome.children if _is_function_call(child)]
        others = [child for child in outcome.children if not _is_function_call(child)]
        self._outcome = outcome._replace(children=others)
        return self._outcome

    def outcome(self) -> Outcome:
        """Return what came of the request; of a stream that is still open, what has arrived."""
        if self._outcome is None and self._accumulator is not None:
            return guarded(read_stream, self._accumulator, self.read, self._request, fallback=Outcome())
        return self._outcome or Outcome()

    def close(self) -> None:
        """End the request, if that is still open: a generator that was thrown into may keep its stream for long."""
        if self.span is not None:
            self.span.close(self.outcome, first_output=self.first_output)


class RunState:
    """All requests of a run: an accumulator that needs no events, because the requests have theirs."""

    def __init__(self) -> None:
        self._turns: list[RunRequest] = []
        self._results: dict[str, Loggable] = {}
        self.approved: set[str] = set()
        """The function calls of an earlier run that the user approved, by `tool_call_id`."""

    @property
    def first_output(self) -> float | None:
        """When the first output of a streamed run arrived, in Unix seconds."""
        arrivals = [turn.first_output for turn in self._turns]
        return min((arrival for arrival in arrivals if arrival is not None), default=None)

    def begin(self, read: ResponseReader) -> RunRequest:
        """Take note of a request that is about to be made; `read` is its operation's."""
        turn = RunRequest(read)
        self._turns.append(turn)
        return turn

    def add_result(self, tool_call_id: str, result: Loggable) -> None:
        """Take note of what the run will send as the result of a function call."""
        self._results[tool_call_id] = result

    def add(self, event: Any) -> None:
        """Do nothing: events of a streamed run pass through the stream of a request before."""

    def response(self) -> list[Outcome]:
        """Return what came of the requests, each with the results of its function calls among the outputs.

        Read when the run is over, and so are the requests then.
        """
        for turn in self._turns:
            turn.close()
        return [self._with_results(turn) for turn in self._turns]

    def arrivals(self) -> dict[int, Arrival]:
        """Return none: its children are those of the requests."""
        return {}

    def _with_results(self, turn: RunRequest) -> Outcome:
        outcome = turn.outcome()
        results: list[Loggable] = []
        for call in turn.calls:
            tool_call_id = str(call.metadata.get("tool_call_id"))
            if tool_call_id in self._results:
                result = {"tool_call_id": tool_call_id, "result": self._results[tool_call_id]}
                results.append({"object": "entry", "type": "function.result", **result})
        return outcome._replace(output=[*outcome.output, *results]) if isinstance(outcome.output, list) else outcome


current_run: contextvars.ContextVar[RunState | None] = contextvars.ContextVar("current_run", default=None)
"""The run that makes the requests of this context, if one does; a function that a run executes is no part of it."""


def _is_function_call(child: Child) -> bool:
    return child.metadata.get("tool_type") == "function.call"
