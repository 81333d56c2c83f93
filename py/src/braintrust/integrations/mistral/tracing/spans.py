"""Opening, closing and nesting spans; aligning Mistral's clock with ours."""

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from braintrust.logger import NOOP_SPAN, Span, SpanInternalOptions, get_span_parent_object, start_span
from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded
from ..operations import INSTRUMENTATION, Child, Outcome, Request, ToolCallUpdate
from ..payloads import redact
from .pending import EarlySettlements, PendingToolCalls


# A proxy's error page may be long.
_MOST_OF_A_BODY = 10_000

_PROVENANCE: SpanInternalOptions = {"instrumentation": INSTRUMENTATION}

pending_calls: PendingToolCalls[Span] = PendingToolCalls()
"""The spans of the function calls of this process that wait for their results."""

early_settlements: EarlySettlements[tuple[ToolCallUpdate, float]] = EarlySettlements()
"""What was sent, and when, for calls that have no spans yet as their streams are open."""


def is_tracing() -> bool:
    """Tell whether a span opened now would be logged anywhere: there is a current span, an experiment or a logger."""
    return get_span_parent_object() is not NOOP_SPAN


class CallSpan:
    """The span of one call from open to close, which happens exactly once, from whichever thread comes first.

    A forked child has copies of its parent's spans, which only the parent closes.
    """

    __slots__ = ("_closing", "_is_stream", "_process", "_span", "_start")

    def __init__(self, name: str, span_type: SpanTypeAttribute, request: Request) -> None:
        self._start = time.time()
        # A lock that is never released: the one test-and-set that is atomic on every build of Python.
        self._closing = threading.Lock()
        self._is_stream = False
        self._process = os.getpid()
        self._span = start_span(
            name=name,
            type=span_type,
            start_time=self._start,
            input=request.input,
            metadata=request.metadata,
            internal=_PROVENANCE,
        )
        for settlement in request.tool_call_updates:
            guarded(_settle, settlement, self._start, fallback=None)

    def set_current(self) -> None:
        """Make this the current span."""
        self._span.set_current()

    def unset_current(self) -> None:
        """Make that the current span which was so before `set_current`, in the same context."""
        self._span.unset_current()

    def expect_events(self) -> None:
        """Take note that what comes of the call comes in a stream, and may be answered before that is over."""
        self._is_stream = True
        early_settlements.opened()

    def log_child(self, child: Child) -> None:
        """Log a child that is over before the call is."""
        now = time.time()
        guarded(_log_child, self._span, child, now, now, fallback=None)

    @property
    def is_closed(self) -> bool:
        """Whether someone closed the span or is about to, or it is another process that will."""
        return self._closing.locked() or self._process != os.getpid()

    def close(
        self,
        read_outcome: Callable[[], Outcome],
        *,
        error: BaseException | None = None,
        first_output: float | None = None,
        at: float | None = None,
    ) -> None:
        """Log what came of the call and end the span, unless it was closed before.

        Args:
            read_outcome: reads what the response logs, as far as there is one.
            error: what the caller saw; it wins over an error in the outcome. Closing a generator is no failure, nor
                is the pause of a run whose function calls ask for a confirmation.
            first_output: when the first output of a stream arrived, in Unix seconds.
            at: when the call ended, in Unix seconds; now if left out.
        """
        if self._process != os.getpid() or not self._closing.acquire(blocking=False):
            return
        end = time.time() if at is None else at
        is_logged = False
        try:
            outcome = guarded(read_outcome, fallback=Outcome())
            if outcome.children:
                if first_output is not None:
                    outcome = guarded(_with_first_output, outcome, first_output - self._start, fallback=outcome)
                guarded(_log_children, self._span, outcome.children, self._start, end, fallback=None)
            is_logged = guarded(self._log, outcome, end, error, first_output, fallback=False)
        finally:
            # An interrupt goes on to the caller, but not without the end of the span.
            if not is_logged:
                guarded(self._span.end, end, fallback=end)
            if self._is_stream:
                early_settlements.closed()

    def _log(
        self, outcome: Outcome, end: float, error: BaseException | None, first_output: float | None
    ) -> Literal[True]:
        metrics = {**outcome.metrics, "end": end, "duration": end - self._start}
        if first_output is not None:
            metrics["time_to_first_token"] = first_output - self._start
        message = outcome.error
        if error is not None and not _is_pause(error):
            message = guarded(_error_text, error, fallback=type(error).__name__)
        self._span.log(output=outcome.output, metadata=outcome.metadata, metrics=metrics, error=message)
        return True


def align(children: Sequence[Child], start: float, end: float) -> Iterator[tuple[float, float]]:
    """Yield each child's start and end on our clock, in Unix seconds, given the call's own.

    Mistral's times are shifted together by the least that makes them fit into the call, lengths and order kept; when
    they are longer than the call, they end with it. A time that Mistral did not give is that of the event's arrival
    here, or else the end of the call.
    """
    times = [time for child in children for time in (child.start, child.end) if time is not None]
    shift = 0.0
    if times:
        first, last = min(times), max(times)
        if last > end or last - first > end - start:
            shift = end - last
        elif first < start:
            shift = start - first
    for child in children:
        first_seen, last_seen = child.arrival or (None, None)
        child_end = _first_known(child.end, shift, last_seen, end)
        child_start = _first_known(child.start, shift, first_seen, child_end)
        # The sum of floats may fall beyond the call by a rounding error.
        child_start = min(child_start, end)
        yield child_start, max(child_start, min(child_end, end))


def _first_known(server_time: float | None, shift: float, arrival: float | None, otherwise: float) -> float:
    if server_time is not None:
        return server_time + shift
    return otherwise if arrival is None else arrival


def _is_pause(error: BaseException) -> bool:
    # By its name: only 2.x and 3.x have the class, with the extra "agents".
    return isinstance(error, GeneratorExit) or type(error).__name__ == "DeferredToolCallsException"


def _error_text(error: BaseException) -> str:
    """Return an exception with its traceback, and with what Mistral answered where its own text does not say so."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    for name in ("status_code", "body"):
        value = str(getattr(error, name, None) or "")
        if value not in text:
            text += f"{name}: {value[:_MOST_OF_A_BODY]}\n"
    return redact(text)


def _with_first_output(outcome: Outcome, seconds: float) -> Outcome:
    """Give the time to the first token to the only model call, which is the child that has metrics."""
    children = [
        child._replace(metrics={**child.metrics, "time_to_first_token": seconds}) if child.metrics else child
        for child in outcome.children
    ]
    return outcome._replace(children=children)


def _log_children(parent: Span, children: Sequence[Child], start: float, end: float) -> None:
    for child, (child_start, child_end) in zip(children, align(children, start, end), strict=True):
        guarded(_log_child, parent, child, child_start, child_end, fallback=None)


def _log_child(parent: Span, child: Child, start: float, end: float) -> None:
    # One record: a child is over when it is logged.
    span = parent.start_span(
        name=child.name,
        type=child.span_type,
        start_time=start,
        input=child.input,
        output=child.output,
        metadata=child.metadata,
        metrics={**child.metrics, "end": end},
        error=child.error,
        internal=_PROVENANCE,
    )
    if child.pending_key is not None:
        pending_calls.add(child.pending_key, span)
        early = early_settlements.take(child.pending_key)
        if early is not None:
            settlement, sent = early
            # By Mistral's clock the call may have begun later.
            _settle(settlement, max(sent, start))


def _settle(settlement: ToolCallUpdate, now: float) -> None:
    """Log what a request brings to the function call that waits for it; the call ended when this was sent."""
    if pending_calls.find(settlement.key) is None:
        early_settlements.add(settlement.key, (settlement, now))
        # Its stream may have ended in between, in another thread; then one of the two finds it there.
        if pending_calls.find(settlement.key) is None or early_settlements.take(settlement.key) is None:
            return
    goes_on = settlement.approval == "approved"
    span = pending_calls.find(settlement.key) if goes_on else pending_calls.take(settlement.key)
    if span is None:
        return
    approval = {"tool_approval": settlement.approval} if settlement.approval else None
    span.log(output=settlement.output, metadata=approval, metrics={"end": now})
