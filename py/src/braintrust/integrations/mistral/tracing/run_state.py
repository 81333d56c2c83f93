"""What the requests of a client-side run add up to, while they are made."""

import contextvars
from collections.abc import Sequence
from typing import Any

from ..faults import guarded
from ..operations import Accumulator, Arrival, Child, LiveReader, Outcome, Request, ResponseReader, read_stream
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
        """When the first output of a stream arrived, in seconds of `time.monotonic`."""
        return None if self._accumulator is None else self._accumulator.first_output

    def follow(self, accumulator: Accumulator, request: Request) -> None:
        """Know the stream that the request was answered with."""
        self._accumulator, self._request = accumulator, request

    def read(self, response: Any, request: Request) -> Outcome:
        """Read the response for the request's own span, without the function calls."""
        outcome = self._read(response, request)
        self.calls = [child for child in outcome.children if _is_function_call(child)]
        others = [child for child in outcome.children if not _is_function_call(child)]
        self._outcome = outcome._replace(children=others)
        return self._outcome

    def reading_ended(self, read_ended: LiveReader) -> LiveReader:
        """Return what reads the children of the stream that are over, without the function calls."""

        def read_others(accumulator: Any, request: Request) -> list[Child]:
            return [child for child in read_ended(accumulator, request) if not _is_function_call(child)]

        return read_others

    def outcome(self) -> Outcome:
        """Return what came of the request; of a stream that is still open, what has arrived."""
        if self._outcome is None and self._accumulator is not None:
            return self._read_so_far(self._accumulator)
        return self._outcome or Outcome()

    @guarded(fallback=Outcome())
    def _read_so_far(self, accumulator: Accumulator) -> Outcome:
        return read_stream(accumulator, self.read, self._request)

    def close(self) -> None:
        """End the request, if that is still open: a generator that was thrown into may keep its stream for long."""
        if self.span is not None:
            self.span.close(self.outcome, first_output=self.first_output)


class RunState:
    """All requests of a run: an accumulator that needs no events, because the requests have theirs."""

    def __init__(self) -> None:
        self._requests: list[RunRequest] = []
        self._results: dict[str, Loggable] = {}
        self.approved: set[str] = set()
        """The function calls of an earlier run that the user approved, by `tool_call_id`."""
        self.shown: set[str] = set()
        """The function calls that have spans, or get them in another run as they wait for a confirmation."""

    @property
    def first_output(self) -> float | None:
        """When the first output of a streamed run arrived, in seconds of `time.monotonic`."""
        arrivals = [request.first_output for request in self._requests]
        return min((arrival for arrival in arrivals if arrival is not None), default=None)

    def begin(self, read: ResponseReader) -> RunRequest:
        """Return the state of a request that is about to be made; `read` is its operation's."""
        request = RunRequest(read)
        self._requests.append(request)
        return request

    def add_result(self, tool_call_id: str, result: Loggable) -> None:
        """Know what the run will send as the result of a function call."""
        self._results[tool_call_id] = result

    def add(self, event: Any) -> None:
        """Do nothing: events of a streamed run pass through the stream of a request before."""

    def response(self) -> list[Outcome]:
        """Return what came of the requests, each with the results of its function calls among the outputs.

        Read when the run is over, and so are the requests then.
        """
        for request in self._requests:
            request.close()
        outcomes = [self._with_results(request) for request in self._requests]
        # Not before: another thread may be ending a request without having read it, and now its calls are known.
        for request in self._requests:
            self._show_calls_left_alone(request)
        return outcomes

    def arrivals(self) -> dict[int, Arrival]:
        """Return none: its children are those of the requests."""
        return {}

    def _show_calls_left_alone(self, request: RunRequest) -> None:
        """Log the function calls that the run did not execute, as one of a turn was unknown to it or it ended before.

        The application may answer them itself, with a later `append`.
        """
        calls = [call for call in request.calls if call.metadata.get("tool_call_id") not in self.shown]
        if request.span is not None:
            request.span.log_children(calls)

    def _with_results(self, request: RunRequest) -> Outcome:
        outcome = request.outcome()
        results: list[Loggable] = []
        for call in request.calls:
            tool_call_id = str(call.metadata.get("tool_call_id"))
            if tool_call_id in self._results:
                result = {"tool_call_id": tool_call_id, "result": self._results[tool_call_id]}
                results.append({"object": "entry", "type": "function.result", **result})
        return outcome._replace(output=[*outcome.output, *results]) if isinstance(outcome.output, list) else outcome


current_run: contextvars.ContextVar[RunState | None] = contextvars.ContextVar("current_run", default=None)
"""The run that makes the requests of this context, if one does; a function that a run executes is no part of it."""


def _is_function_call(child: Child) -> bool:
    return child.metadata.get("tool_type") == "function.call"
