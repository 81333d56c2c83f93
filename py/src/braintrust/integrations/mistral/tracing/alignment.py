"""Mistral's clock and ours: where the children of a call stand in its time."""

import math
from collections.abc import Callable, Sequence

from braintrust.span_types import SpanTypeAttribute

from ..operations import Child


class LiveAlignment:
    """Where the children of a call stand in its time while it goes on: as `align` says, for what is over by now.

    Args:
        start: when the call began, in Unix seconds.
        arrived_at: turns arrivals into Unix seconds.
    """

    __slots__ = ("_arrived_at", "_before", "_first", "_last", "_start")

    def __init__(self, start: float, arrived_at: Callable[[float], float]) -> None:
        self._start = self._before = start
        self._first, self._last = math.inf, -math.inf
        self._arrived_at = arrived_at

    def align(self, child: Child, now: float) -> tuple[float, float]:
        """Return the start and end of a child that is over now."""
        for time in (child.start, child.end):
            if time is not None:
                self._first = min(self._first, time)
                self._last = max(self._last, time)
        shift = _shift(self._first, self._last, self._start, now)
        start, end = _own_times(child, shift, now, self._arrived_at)
        if child.span_type is SpanTypeAttribute.LLM:
            start, self._before = min(self._before, end), end
        else:
            self._before = max(self._before, end)
        return start, end


def align(
    children: Sequence[Child], start: float, end: float, arrived_at: Callable[[float], float] = float
) -> list[tuple[float, float]]:
    """Return each child's start and end on our clock, in Unix seconds, given the call's own.

    Mistral's times are shifted together by the least that makes them fit into the call, lengths and order kept; when
    they are longer than the call, they end with it. A time that Mistral did not give is that of the event's arrival
    here, or else the end of the call. `arrived_at` turns arrivals into Unix seconds.

    A model call begins where what came before it ended, and where its end is not known, lasts until the next child
    begins.
    """
    known = [time for child in children for time in (child.start, child.end) if time is not None]
    shift = _shift(min(known, default=math.inf), max(known, default=-math.inf), start, end)
    times = [_own_times(child, shift, end, arrived_at) for child in children]
    before = start
    for index, child in enumerate(children):
        if child.span_type is SpanTypeAttribute.LLM:
            times[index] = _fill(child, before, times[index : index + 2])
            before = times[index][1]
        else:
            before = max(before, times[index][1])
    return times


def _shift(first: float, last: float, start: float, end: float) -> float:
    """Return by how much to shift what was from `first` to `last` by Mistral's clock; not at all if nothing was."""
    if last > end or last - first > end - start:
        return end - last
    return start - first if first < start else 0.0


def _own_times(child: Child, shift: float, end: float, arrived_at: Callable[[float], float]) -> tuple[float, float]:
    first_seen, last_seen = child.arrival or (None, None)
    child_end = end
    if child.end is not None:
        child_end = child.end + shift
    elif last_seen is not None:
        child_end = arrived_at(last_seen)
    child_start = child_end
    if child.span_type is not SpanTypeAttribute.LLM:
        if child.start is not None:
            child_start = child.start + shift
        elif first_seen is not None:
            child_start = arrived_at(first_seen)
    # The sum of floats may fall beyond the call by a rounding error.
    child_start = min(child_start, end)
    return child_start, max(child_start, min(child_end, end))


def _fill(call: Child, before: float, own_and_next: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the times of a model call, given its own, if known, and those of the next child."""
    (_, until), *following = own_and_next
    if call.end is None and following:
        until = following[0][0]
    # Children that are longer than the call begin before it.
    return min(before, until), until
