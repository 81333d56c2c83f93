"""The figures: each a small function that measures one thing once, on whichever side the process is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from . import interpreters
from .bench import Bench, Side
from .provider import TWO_TOOL_CALLS, TWO_TOOLS, fresh_events, ready_chunks, ready_events


_T = TypeVar("_T")


@dataclass(frozen=True)
class Figure:
    """One line of the table: what is measured, on which sides, and what is to be reached."""

    title: str
    unit: str
    measure: Callable[[Bench], float]
    sides: tuple[Side, ...]
    at_most: float | None
    at_most_floors: float | None
    over_untraced: bool
    repeats: int
    slow: tuple[Side, ...]

    def target(self) -> str:
        """What is to be reached, in words."""
        limits = [f"{self.at_most:g} {self.unit}".rstrip()] if self.at_most is not None else []
        limits += [f"{self.at_most_floors:g} floors"] if self.at_most_floors is not None else []
        return "≤ " + " or ".join(limits) if limits else ""

    def reached(self, ours: float, floors: float | None) -> bool | None:
        """Whether it is by ours, which is so many floors, where something is to be."""
        limits = ((ours, self.at_most), (floors, self.at_most_floors))
        reached = [value <= limit for value, limit in limits if value is not None and limit is not None]
        return any(reached) if reached else None


TRACED = (Side.OURS, Side.SDK)
STREAMED = (*TRACED, Side.UNTRACED)
EVERY = (*TRACED, Side.FLOOR, Side.UNTRACED)

FIGURES: dict[str, Figure] = {}


def figure(
    title: str,
    unit: str,
    *,
    sides: tuple[Side, ...],
    at_most: float | None = None,
    at_most_floors: float | None = None,
    over_untraced: bool = False,
    repeats: int = 3,
    slow: tuple[Side, ...] = (),
) -> Callable[[Callable[[Bench], float]], Callable[[Bench], float]]:
    """Make a line of the table out of the function that measures it."""

    def add(measure: Callable[[Bench], float]) -> Callable[[Bench], float]:
        FIGURES[title] = Figure(title, unit, measure, sides, at_most, at_most_floors, over_untraced, repeats, slow)
        return measure

    return add


@figure("a plain call", "µs", sides=EVERY, at_most=75, at_most_floors=1.35, over_untraced=True)
def plain_call(bench: Bench) -> float:
    """A conversation started, one message answered."""
    with bench.logger():
        return bench.microseconds(bench.call)


@figure("a call with two tools", "µs", sides=EVERY, at_most=230, over_untraced=True)
def call_with_two_tools(bench: Bench) -> float:
    """The same with a web search and a piece of code run on the way."""
    with bench.logger():
        return bench.microseconds(partial(bench.call, TWO_TOOLS))


@figure("records of a plain call", "", sides=(*TRACED, Side.FLOOR), repeats=1)
def records_of_plain_call(bench: Bench) -> float:
    """The SDK's queue holds 25,000 records and then drops the oldest."""
    with bench.logger():
        return bench.records(bench.call)


@figure("records of a call with two tools", "", sides=(*TRACED, Side.FLOOR), repeats=1)
def records_of_call_with_two_tools(bench: Bench) -> float:
    """Every span that is logged in one record leaves room for another."""
    with bench.logger():
        return bench.records(partial(bench.call, TWO_TOOLS))


@figure("one of 20,000 stream events", "µs", sides=STREAMED, at_most=0.8, over_untraced=True)
def stream_event(bench: Bench) -> float:
    """Its share of the whole stream, opening and ending included."""
    with bench.logger():
        return bench.seconds(partial(bench.consume, ready_events(20_000))) / 20_000 * 1e6


@figure("20,000 deltas against 2,000", "times", sides=TRACED)
def growth(bench: Bench) -> float:
    """Ten, where time grows as the number of events does."""
    return _growth(bench, bench.consume, ready_events, 2_000)


@figure("200,000 deltas against 20,000", "times", sides=TRACED, at_most=11, repeats=1, slow=(Side.SDK,))
def long_growth(bench: Bench) -> float:
    """The same for long streams; the SDK's own module takes too long for one to do it unasked."""
    return _growth(bench, bench.consume, ready_events, 20_000)


@figure("memory at the peak of 5,000 events", "MiB", sides=STREAMED, at_most=0.3, over_untraced=True, repeats=1)
def stream_memory(bench: Bench) -> float:
    """Events come and go one by one; what stays is what tracing keeps of them."""
    with bench.logger():
        bench.consume(fresh_events(10))
        return bench.mebibytes(partial(bench.consume, fresh_events(5_000)))


@figure("a plain chat.complete", "µs", sides=EVERY, at_most_floors=1.4, over_untraced=True)
def plain_completion(bench: Bench) -> float:
    """One message answered by one message."""
    with bench.logger():
        return bench.microseconds(bench.complete)


@figure("records of a chat call with two tool calls", "", sides=(*TRACED, Side.FLOOR), repeats=1)
def records_of_completion_with_two_tool_calls(bench: Bench) -> float:
    """Two for the call, and one for each function that the application is to run."""
    with bench.logger():
        return bench.records(partial(bench.complete, TWO_TOOL_CALLS))


@figure("one of 20,000 completion chunks", "µs", sides=STREAMED, at_most=1.5, over_untraced=True)
def completion_chunk(bench: Bench) -> float:
    """Its share of the whole stream, opening and ending included."""
    with bench.logger():
        return bench.seconds(partial(bench.consume_chunks, ready_chunks(20_000))) / 20_000 * 1e6


@figure("20,000 chunks against 2,000", "times", sides=TRACED)
def completion_growth(bench: Bench) -> float:
    """Ten, where time grows as the number of chunks does."""
    return _growth(bench, bench.consume_chunks, ready_chunks, 2_000)


@figure("a call without a logger", "µs", sides=EVERY, at_most=5, over_untraced=True)
def call_without_logger(bench: Bench) -> float:
    """Nobody asked for traces, so nobody should wait for them."""
    return bench.microseconds(bench.call)


@figure("a stream opened without a logger", "µs", sides=STREAMED, at_most=5, over_untraced=True)
def stream_without_logger(bench: Bench) -> float:
    """Opened and dropped, without an event."""
    bench.provider.events = ()
    return bench.microseconds(bench.open_stream)


@figure("streams wrapped without a logger", "", sides=TRACED, at_most=0, repeats=1)
def streams_wrapped_without_logger(bench: Bench) -> float:
    """Zero when the caller gets the very object that the SDK made."""
    return float(bench.open_stream() is not bench.provider.last_stream)


@figure("interpreter start-up, our files", "ms", sides=(Side.OURS,), at_most=0.5, repeats=1)
def overlay_start(_bench: Bench) -> float:
    """What the overlay's start-up files take by themselves."""
    return interpreters.overlay_milliseconds()


@figure("interpreter start-up, with against without", "ms", sides=(Side.OURS,), repeats=1)
def interpreter_start(_bench: Bench) -> float:
    """The same seen from outside, where it is small beside the noise of starting a process."""
    return interpreters.start_milliseconds()


@figure("import of the integration", "ms", sides=TRACED, repeats=1)
def import_of_integration(_bench: Bench) -> float:
    """Beyond what the SDK loads for any integration."""
    return interpreters.import_milliseconds("braintrust.integrations.mistral", after="braintrust.integrations.base")


def _growth(
    bench: Bench, consume: Callable[[Iterator[_T]], None], ready: Callable[[int], Iterator[_T]], few: int
) -> float:
    with bench.logger():
        short, long = (bench.seconds(partial(consume, ready(count))) for count in (few, 10 * few))
        return long / short
