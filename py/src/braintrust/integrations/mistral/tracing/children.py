"""The spans below a call: each is logged once, while the call goes on where it is over by then, else at its end."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import braintrust.logger
from braintrust.logger import NOOP_SPAN, Span, SpanInternalOptions
from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded
from ..operations import INSTRUMENTATION, Child
from . import rows
from .alignment import LiveAlignment, align
from .pending import PendingToolCall, pending_tool_calls


PROVENANCE: SpanInternalOptions = {"instrumentation": INSTRUMENTATION}

_LEAST_SECONDS_TO_MOVE = 0.01


class _Logged:
    """A child that was logged, or is about to be.

    Attributes:
        child: as it was logged; `None` once the call is over.
        span: its span, where it was logged while the call went on.
    """

    __slots__ = ("child", "span", "times")

    def __init__(self, child: Child) -> None:
        self.child: Child | None = child
        self.span: Span | None = None
        self.times = (0.0, 0.0)


class Children:
    """The children of one call, whichever threads log them.

    Attributes:
        parent: the span of the call, once it is there.

    Args:
        start: when it began, in Unix seconds.
        time_of_day: turns seconds of `time.monotonic` into Unix seconds.
    """

    __slots__ = (
        "_alignment",
        "_has_model_call",
        "_logged",
        "_next_index",
        "_places",
        "_start",
        "_time_of_day",
        "parent",
    )

    def __init__(self, start: float, time_of_day: Callable[[float], float]) -> None:
        self.parent: Span = NOOP_SPAN
        self._start = start
        self._time_of_day = time_of_day
        self._alignment = LiveAlignment(start, time_of_day)
        # Each step on it is atomic: of two threads, the one that puts a child there logs it.
        self._logged: dict[Hashable, _Logged] = {}
        # Of children that are not over while later ones are: where they will stand.
        self._places: dict[int, int | None] = {}
        self._next_index = 0
        self._has_model_call = False

    def log(self, child: Child, now: float, first_output: float | None) -> None:
        """Log a child that is over while the call goes on, at `now` in Unix seconds, unless it was logged before.

        The first model call has the seconds from the request to the first output.
        """
        if child.span_type is SpanTypeAttribute.LLM and first_output is not None and not self._has_model_call:
            self._has_model_call = True
            (child,) = _with_first_output([child], first_output)
        key, logged = _key(child), _Logged(child)
        if self._logged.setdefault(key, logged) is not logged:
            return
        try:
            start, end = logged.times = self._alignment.align(child, now)
            self._keep_places_before(child)
            logged.span = self._start_span(child, start, end)
        finally:
            if logged.span is None:
                # Then the end of the call tries again.
                del self._logged[key]

    @guarded(fallback=None)
    def log_rest(self, children: Sequence[Child], end: float, first_output: float | None) -> None:
        """Log the children of a call that ended then, as far as they were not; correct the others as far as is due."""
        if first_output is not None:
            children = _with_first_output(children, first_output)
        times = align(children, self._start, end, arrived_at=self._time_of_day)
        seen: set[Hashable] = set()
        for child, (child_start, child_end) in zip(children, times, strict=True):
            key, logged = _key(child), _Logged(child)
            # A model may give two calls the same id.
            before = logged if key in seen else self._logged.setdefault(key, logged)
            seen.add(key)
            if before is logged:
                self._log_at_the_end(child, child_start, child_end)
            elif before.span is not None and before.child is not None:
                _correct(before.span, before.child, before.times, child, (child_start, child_end))
        # The keys stay, for a thread that still reads. A call that is over keeps nothing else.
        for logged in list(self._logged.values()):
            logged.child = None

    @guarded(fallback=None)
    def _log_at_the_end(self, child: Child, start: float, end: float) -> None:
        self._start_span(child, start, end)

    def _start_span(self, child: Child, start: float, end: float) -> Span:
        is_model_call = child.span_type is SpanTypeAttribute.LLM
        place = None if is_model_call or child.child_index is None else self._places.pop(child.child_index, None)
        return log_span(self.parent, child, start, end, place)

    def _keep_places_before(self, child: Child) -> None:
        """Have the entries before a child that are still to come stand before it, as they do unstreamed."""
        if child.child_index is None or child.span_type is SpanTypeAttribute.LLM:
            return
        for index in range(self._next_index, child.child_index):
            self._places[index] = _next_place()
        self._next_index = max(self._next_index, child.child_index + 1)


def log_span(parent: Span, child: Child, start: float, end: float, place: int | None = None) -> Span:
    """Log a child with those below it, and return its span; it stands at this place among others, if that is given."""
    # One record: a child is over when it is logged.
    span = rows.open_span(
        parent.start_span,
        name=child.name,
        type=child.span_type,
        start_time=start,
        input=child.input,
        output=child.output,
        metadata=child.metadata,
        metrics={**child.metrics, "end": end},
        error=child.error,
        internal=PROVENANCE,
        propagated_event=None if place is None else _at_place(parent, place),
    )
    for below in child.children:
        log_span(span, below, start, end)
    if child.pending_key is not None:
        pending_tool_calls.set(child.pending_key, PendingToolCall(span, start))
    return span


def _key(child: Child) -> Hashable:
    """Return what a child is known by while other entries of its response may still take their places before it."""
    return child.span_type is SpanTypeAttribute.LLM, str(child.metadata.get("tool_call_id", child.child_index))


@guarded(fallback=None)
def _correct(span: Span, was: Child, was_at: tuple[float, float], child: Child, at: tuple[float, float]) -> None:
    """Log what has become known of a child since it was logged: where it stands in time among all, above all."""
    # Nearly every child was read once, and is the same.
    event = {} if child is was else _changes(was, child)
    if max(abs(at[0] - was_at[0]), abs(at[1] - was_at[1])) > _LEAST_SECONDS_TO_MOVE and _may_move(span, child):
        event["metrics"] = {**event.get("metrics", {}), "start": at[0], "end": at[1]}
    if event:
        rows.log(span, **event)
    if child.name != was.name:
        span.set_attributes(name=child.name)


def _changes(was: Child, child: Child) -> dict[str, Any]:
    """Return what to log of a child that is known better than it was."""
    event = {name: getattr(child, name) for name in ("input", "output", "error")}
    event = {name: value for name, value in event.items() if value != getattr(was, name)}
    event |= {name: _new(getattr(child, name), getattr(was, name)) for name in ("metadata", "metrics")}
    return {name: value for name, value in event.items() if value}


def _new(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != before.get(name)}


def _may_move(span: Span, child: Child) -> bool:
    """Tell whether a child ended when Mistral says so; a function call did when its result was sent, if that was."""
    if child.pending_key is None:
        return True
    call = pending_tool_calls.get(child.pending_key)
    return call is not None and call.span is span


def _with_first_output(children: Sequence[Child], seconds: float) -> Sequence[Child]:
    """Give the time to the first token to the first model call, if any is shown."""
    for index, child in enumerate(children):
        if child.span_type is SpanTypeAttribute.LLM:
            first = child._replace(metrics={**child.metrics, "time_to_first_token": seconds})
            return [*children[:index], first, *children[index + 1 :]]
    return children


def _next_place() -> int | None:
    """Return the next of the numbers by which Braintrust orders the spans of a trace; the SDK counts them."""
    lock = getattr(braintrust.logger, "_EXEC_COUNTER_LOCK", None)
    if lock is None:
        return None
    with lock:
        braintrust.logger._EXEC_COUNTER += 1  # pyright: ignore[reportPrivateUsage]
        return braintrust.logger._EXEC_COUNTER  # pyright: ignore[reportPrivateUsage]


def _at_place(parent: Span, place: int) -> dict[str, Any]:
    """Return what a span below another propagates, and has itself, with the number by which it is ordered."""
    propagated: dict[str, Any] = getattr(parent, "propagated_event", None) or {}
    attributes = propagated.get("span_attributes") or {}
    return {**propagated, "span_attributes": {**attributes, "exec_counter": place}}
