"""Opening, closing and nesting spans."""

import asyncio
import contextlib
import contextvars
import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from braintrust.logger import NOOP_SPAN, get_span_parent_object, start_span
from braintrust.span_types import SpanTypeAttribute

from ..contexts import reset
from ..errors import error_text_of
from ..faults import guarded, report_fault
from ..operations import Arrival, Child, Outcome, Request
from ..payloads import Loggable
from ..settings import settings
from . import handover, rows, sampling
from .children import PROVENANCE, Children, log_span
from .counting import framework_that_counts, without_count
from .pending import update_tool_call


T = TypeVar("T")

# By their names: trio and gevent need not be installed.
_CANCELLATIONS = frozenset({"Cancelled", "GreenletExit"})


silenced: contextvars.ContextVar[bool] = contextvars.ContextVar("silenced", default=False)
"""Whether calls made now are part of one that has a span, which says all there is to say of them."""


def is_tracing(*, may_leave_out: bool = True) -> bool:
    """Tell whether a span opened now would be logged anywhere: there is a current span, an experiment or a logger.

    Where only a share of the traces is logged, this decides whether one that begins now is among them; not so where
    `may_leave_out` is false.

    What a finalizer calls inside of the lock of the SDK's log queue is not traced: its span would wait for that lock.
    """
    if silenced.get() or not handover.may_open():
        return False
    parent = get_span_parent_object()
    if parent is NOOP_SPAN:
        return False
    return not may_leave_out or settings().sample_rate is None or sampling.is_sampled(parent)


class CallSpan:
    """The span of one call from open to close, which happens exactly once, from whichever thread comes first.

    A forked child has copies of its parent's spans, which only the parent closes.
    """

    __slots__ = (
        "_children",
        "_closing",
        "_counted_by",
        "_end",
        "_is_stream",
        "_process",
        "_span",
        "_start",
        "_started",
        "_time_of_day",
    )

    def __init__(self, name: str, span_type: SpanTypeAttribute, request: Request) -> None:
        handover.prepare()
        # Durations are those of a clock that nobody sets; what is logged are times of day.
        self._start, self._started = time.time(), time.monotonic()
        # No method: it is to go as soon as nobody needs it, and not when a collector finds its cycle.
        self._time_of_day = functools.partial(_time_of_day, self._start, self._started)
        self._children = Children(self._start, self._time_of_day)
        # A lock that is never released: the one test-and-set that is atomic on every build of Python.
        self._closing = threading.Lock()
        self._process = os.getpid()
        self._end: float | None = None
        self._is_stream = bool(request.metadata.get("stream"))
        self._counted_by = framework_that_counts(request.metadata.get("model"))
        self._span = rows.open_span(
            start_span,
            name=name,
            type=span_type,
            start_time=self._start,
            input=request.input,
            metadata=request.metadata,
            internal=PROVENANCE,
        )
        self._children.parent = self._span
        for update in request.tool_call_updates:
            update_tool_call(update, self._start)

    @guarded(fallback=contextlib.nullcontext())
    def as_current(self, variable: contextvars.ContextVar[T], value: T) -> contextlib.AbstractContextManager[object]:
        """Have this be the current span, and a variable hold a value, until what is returned is left."""
        block = contextlib.ExitStack()
        block.callback(self._leave, variable, variable.set(value))
        self._span.set_current()
        return block

    @guarded(fallback=None)
    def _leave(self, variable: contextvars.ContextVar[T], token: contextvars.Token[T]) -> None:
        if reset(variable, token):
            self._span.unset_current()

    @guarded(fallback=None)
    def log_child(self, child: Child, first_output: float | None = None) -> None:
        """Log a child that is over while the call goes on; of a stream, `first_output` as in `close`."""
        if self._process == os.getpid():
            now = self._time_of_day(time.monotonic())
            self._children.log(child, now, self._seconds_to(first_output))

    @guarded(fallback=None)
    def log_result(self, result: Child) -> None:
        """Log a child that happened at times of its own, whenever that was; else when it was seen here, else now."""
        now = time.monotonic()
        seen = result.arrival or Arrival(now, now)
        end = self._time_of_day(seen.last or now) if result.end is None else result.end
        start = min(self._time_of_day(seen.first), end) if result.start is None else result.start
        log_span(self._span, result, start, end)

    @guarded(fallback=None)
    def log_children(self, children: Sequence[Child]) -> None:
        """Log children of a call that is over, in its time; it is over now where another thread is about to end it."""
        if self._process == os.getpid():
            end = self._time_of_day(time.monotonic()) if self._end is None else self._end
            self._children.log_rest(children, end, None)

    @guarded(fallback=None)
    def log_so_far(self, output: Loggable) -> None:
        """Log the output of a call that goes on, as far as it has arrived."""
        if not self.is_closed:
            rows.log(self._span, output=output)

    @property
    def is_closed(self) -> bool:
        """Whether someone closed the span or is about to, or it is another process that will."""
        return self._closing.locked() or self._process != os.getpid()

    @guarded(fallback=None)
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
                is a cancellation, nor the pause of a run whose function calls ask for a confirmation.
            first_output: when the first output of a stream arrived, in seconds of `time.monotonic`.
            at: when the call ended, in seconds of `time.monotonic`; now if left out.
        """
        if self._process != os.getpid() or not self._closing.acquire(blocking=False):
            return
        self._end = end = self._time_of_day(time.monotonic() if at is None else at)
        if handover.may_log():
            self._finish(read_outcome, end, error, first_output)
        else:
            handover.hand_over(functools.partial(self._finish, read_outcome, end, error, first_output))

    @guarded(fallback=None)
    def log_error(self, error: BaseException) -> None:
        """Log what the caller saw after the call was over and its span closed."""
        if self._process != os.getpid():
            return
        log = functools.partial(self._log_error, error)
        if handover.may_log():
            log()
        else:
            handover.hand_over(log)

    def _finish(
        self, read_outcome: Callable[[], Outcome], end: float, error: BaseException | None, first_output: float | None
    ) -> None:
        is_logged = False
        try:
            outcome = _read(read_outcome)
            if self._counted_by is not None:
                outcome = without_count(outcome, self._counted_by, self._is_stream)
            seconds = self._seconds_to(first_output)
            if outcome.children:
                self._children.log_rest(outcome.children, end, seconds)
            for result in outcome.results:
                self.log_result(result)
            is_logged = self._log(outcome, end, error, seconds)
        finally:
            # An interrupt goes on to the caller, but not without the end of the span.
            if not is_logged:
                self._span.end(end)

    @guarded(fallback=False)
    def _log(
        self, outcome: Outcome, end: float, error: BaseException | None, first_output: float | None
    ) -> Literal[True]:
        metrics = {**outcome.metrics, "end": end, "duration": end - self._start}
        if first_output is not None:
            metrics["time_to_first_token"] = first_output
        event: dict[str, Any] = {"metadata": outcome.metadata, "error": outcome.error}
        if error is not None:
            event = _with_error(event, error)
        rows.log(self._span, output=outcome.output, metrics=metrics, **event)
        return True

    @guarded(fallback=None)
    def _log_error(self, error: BaseException) -> None:
        event = _with_error({}, error)
        if event:
            rows.log(self._span, **event)

    def _seconds_to(self, first_output: float | None) -> float | None:
        return None if first_output is None else first_output - self._started


def _time_of_day(start: float, started: float, seconds: float) -> float:
    """Return a time of `time.monotonic` in Unix seconds, by the clocks as they were when the call began."""
    return start + (seconds - started)


@guarded(fallback=Outcome())
def _read(read_outcome: Callable[[], Outcome]) -> Outcome:
    return read_outcome()


def _with_error(event: dict[str, Any], error: BaseException) -> dict[str, Any]:
    """Return what a span logs, with what the caller saw."""
    if _is_cancellation(error):
        return {**event, "metadata": {**(event.get("metadata") or {}), "cancelled": True}}
    return event if _is_pause(error) else {**event, "error": _error_text(error)}


def _is_pause(error: BaseException) -> bool:
    # By its name: only 2.x and 3.x have the class, with the extra "agents".
    return isinstance(error, GeneratorExit) or type(error).__name__ == "DeferredToolCallsException"


def _is_cancellation(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError) or type(error).__name__ in _CANCELLATIONS


def _error_text(error: BaseException) -> str:
    try:
        return error_text_of(error)
    except Exception:
        report_fault()
        return type(error).__name__
