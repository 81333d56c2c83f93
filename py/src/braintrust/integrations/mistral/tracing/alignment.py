"""Mistral's clock and ours: where the children of a call stand in its time."""

from collections.abc import Callable, Sequence

from braintrust.span_types import SpanTypeAttribute

from ..operations import Child


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
    shift = _shift(children, start, end)
    times = [_own_times(child, shift, end, arrived_at) for child in children]
    before = start
    for index, child in enumerate(children):
        if child.span_type is SpanTypeAttribute.LLM:
            times[index] = _fill(child, before, times[index : index + 2])
            before = times[index][1]
        else:
            before = max(before, times[index][1])
    return times


def _shift(children: Sequence[Child], start: float, end: float) -> float:
    times = [time for child in children for time in (child.start, child.end) if time is not None]
    if not times:
        return 0.0
    first, last = min(times), max(times)
    if last > end or last - first > end - start:
        return end - last
    return start - first if first < start else 0.0


def _own_times(child: Child, shift: float, end: float, arrived_at: Callable[[float], float]) -> tuple[float, float]:
    first_seen, last_seen = (time and arrived_at(time) for time in child.arrival or (None, None))
    child_end = _first_known(child.end, shift, last_seen, end)
    is_model_call = child.span_type is SpanTypeAttribute.LLM
    child_start = child_end if is_model_call else _first_known(child.start, shift, first_seen, child_end)
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


def _first_known(server_time: float | None, shift: float, arrival: float | None, otherwise: float) -> float:
    if server_time is not None:
        return server_time + shift
    return otherwise if arrival is None else arrival
