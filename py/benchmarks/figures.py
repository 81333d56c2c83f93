"""The figures: each a small function that measures one thing once, on whichever side the process is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mistralai.client.models import ConversationResponse
from pydantic import BaseModel

from . import interpreters
from .answers import PLAIN, PLAIN_COMPLETION, TWO_TOOL_CALLS, fresh_events, ready_events, wire_chunks, with_tools
from .bench import Bench, Consume, complete, start, stream
from .sides import OPENTELEMETRY, Side


_TEXT = "The brightest of the eighty cones might be the Puy de Dôme, 1,465 metres high and eleven thousand years old. "


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
BESIDE_FLOOR = (*TRACED, Side.FLOOR)
STREAMED = (*TRACED, Side.UNTRACED)
EVERY = (*BESIDE_FLOOR, Side.UNTRACED)
STREAMED_CHATS = (*TRACED, *OPENTELEMETRY)
CHATS = (*BESIDE_FLOOR, *OPENTELEMETRY)
# openinference knows no conversations.
CONVERSATIONS = (*BESIDE_FLOOR, Side.NATIVE)

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


@figure("a plain call", "µs", sides=EVERY, at_most_floors=1.2, over_untraced=True)
def plain_call(bench: Bench) -> float:
    """A conversation started, one message answered."""
    with bench.traced():
        return bench.microseconds(bench.call)


@figure("a call with 1 tool", "µs", sides=EVERY, over_untraced=True)
def call_with_1_tool(bench: Bench) -> float:
    """The same with a hosted tool run on the way."""
    return _call_with_tools(bench, 1)


@figure("a call with 4 tools", "µs", sides=EVERY, over_untraced=True)
def call_with_4_tools(bench: Bench) -> float:
    """The same with more of them."""
    return _call_with_tools(bench, 4)


@figure("a call with 16 tools", "µs", sides=EVERY, over_untraced=True)
def call_with_16_tools(bench: Bench) -> float:
    """The same with many."""
    return _call_with_tools(bench, 16)


@figure("a finished child", "µs", sides=BESIDE_FLOOR, at_most_floors=1.1)
def finished_child(bench: Bench) -> float:
    """One of these 16 tools, without its call."""
    return (_call_with_tools(bench, 16) - plain_call(bench)) / 16


def _call_with_tools(bench: Bench, count: int) -> float:
    with bench.traced():
        return bench.microseconds(partial(bench.call, with_tools(count)))


@figure("records of a plain call", "", sides=BESIDE_FLOOR, repeats=1)
def records_of_plain_call(bench: Bench) -> float:
    """The SDK's queue holds 25,000 records and then drops the oldest."""
    with bench.traced():
        return bench.records(bench.call)


@figure("records of a call with 16 tools", "", sides=BESIDE_FLOOR, repeats=1)
def records_of_call_with_16_tools(bench: Bench) -> float:
    """Every span that is logged in one record leaves room for another."""
    with bench.traced():
        return bench.records(partial(bench.call, with_tools(16)))


@figure("bytes sent of a plain call", "", sides=BESIDE_FLOOR, repeats=1)
def bytes_of_plain_call(bench: Bench) -> float:
    """The body of the request that brings them to Braintrust."""
    with bench.traced():
        return bench.sent_bytes(bench.call)


@figure("bytes sent of a call with 16 tools", "", sides=BESIDE_FLOOR, repeats=1)
def bytes_of_call_with_16_tools(bench: Bench) -> float:
    """The same with many spans."""
    with bench.traced():
        return bench.sent_bytes(partial(bench.call, with_tools(16)))


@figure("one of 100 stream events", "µs", sides=TRACED, at_most=0.6)
def event_of_100(bench: Bench) -> float:
    """What tracing adds to it, opening and ending left out."""
    return _an_event(bench, bench.consume_events, 100)


@figure("one of 10,000 stream events", "µs", sides=TRACED, at_most=0.6)
def event_of_10_000(bench: Bench) -> float:
    """The same in a longer stream."""
    return _an_event(bench, bench.consume_events, 10_000)


@figure("one of 200,000 stream events", "µs", sides=TRACED, at_most=0.6, repeats=1, slow=(Side.SDK,))
def event_of_200_000(bench: Bench) -> float:
    """The same in a very long one; the SDK's own module takes too long for it to do it unasked."""
    return _an_event(bench, bench.consume_events, 200_000)


@figure("one of 200,000 events against one of 100", "times", sides=TRACED, at_most=1.1, slow=(Side.SDK,))
def growth(bench: Bench) -> float:
    """One, where time grows as the number of events does."""
    return event_of_200_000(bench) / event_of_100(bench)


@figure("memory at the peak of 5,000 events", "MiB", sides=STREAMED, at_most=0.3, over_untraced=True, repeats=1)
def stream_memory(bench: Bench) -> float:
    """Events come and go one by one; what stays is what tracing keeps of them."""
    with bench.traced():
        bench.consume(partial(fresh_events, 10))
        return bench.mebibytes(partial(bench.consume, partial(fresh_events, 5_000)))


@figure("an event of 1,000 streams at once", "µs", sides=STREAMED, over_untraced=True, repeats=1)
def concurrent_event(bench: Bench) -> float:
    """Its share of streams of 350 events, a packet of each stream in turn, opening and ending included."""
    with bench.traced():
        consume = partial(bench.consume_many, 1_000, partial(ready_events, 350))
        return bench.microseconds(consume, batches=1, repetitions=1) / 350_000


@figure(
    "memory at the peak of 1,000 streams",
    "x their texts",
    sides=STREAMED,
    at_most=2,
    over_untraced=True,
    repeats=1,
    slow=(Side.SDK,),
)
def concurrent_memory(bench: Bench) -> float:
    """What tracing keeps of 1,000 texts of 8,400 characters, its log records included."""
    with bench.traced():
        bench.consume_many(10, partial(fresh_events, 10))
        texts = 1_000 * 350 * 24 / 2**20
        return bench.mebibytes(partial(bench.consume_many, 1_000, partial(fresh_events, 350))) / texts


@figure("a plain chat.complete", "µs", sides=EVERY, at_most_floors=1.4, over_untraced=True)
def plain_completion(bench: Bench) -> float:
    """One message answered by one message."""
    with bench.traced():
        return bench.microseconds(bench.complete)


@figure("records of a chat call with two tool calls", "", sides=BESIDE_FLOOR, repeats=1)
def records_of_completion_with_two_tool_calls(bench: Bench) -> float:
    """Two for the call, and one for each function that the application is to run."""
    with bench.traced():
        return bench.records(partial(bench.complete, TWO_TOOL_CALLS))


@figure("one of 10,000 completion chunks", "µs", sides=TRACED, at_most=1.5)
def completion_chunk(bench: Bench) -> float:
    """What tracing adds to it, opening and ending left out."""
    return _an_event(bench, bench.consume_chunks, 10_000)


@figure("one of 10,000 chunks against one of 100", "times", sides=TRACED)
def completion_growth(bench: Bench) -> float:
    """One, where time grows as the number of chunks does."""
    return completion_chunk(bench) / _an_event(bench, bench.consume_chunks, 100)


def _an_event(bench: Bench, consume: Consume, count: int) -> float:
    with bench.traced():
        return bench.microseconds_an_event(consume, count)


@figure("a chat.complete over HTTP", "µs", sides=CHATS)
def completion_over_http(bench: Bench) -> float:
    """What tracing adds to the real method of the client, answered below its HTTP."""
    bench.provider.completion = PLAIN_COMPLETION
    with bench.traced(_body(PLAIN_COMPLETION)):
        return bench.microseconds_on_the_wire(complete)


@figure("one of 200 chunks over HTTP", "µs", sides=STREAMED_CHATS)
def chunk_over_http(bench: Bench) -> float:
    """Its share of the whole stream, opening and ending included."""
    with bench.traced(wire_chunks(200)):
        return bench.microseconds_on_the_wire(stream, repetitions=3) / 200


@figure("a plain call over HTTP", "µs", sides=CONVERSATIONS)
def call_over_http(bench: Bench) -> float:
    """What tracing adds to a conversation started, one message answered."""
    return _call_over_http(bench, PLAIN)


@figure("a call with 4 tools over HTTP", "µs", sides=CONVERSATIONS)
def call_with_4_tools_over_http(bench: Bench) -> float:
    """The same with hosted tools run on the way."""
    return _call_over_http(bench, with_tools(4))


def _call_over_http(bench: Bench, response: ConversationResponse) -> float:
    bench.provider.response = response
    with bench.traced(_body(response)):
        return bench.microseconds_on_the_wire(start)


def _body(response: BaseModel) -> bytes:
    return response.model_dump_json().encode()


@figure("a call with 10 MB of text", "ms", sides=EVERY, over_untraced=True)
def large_call(bench: Bench) -> float:
    """The plain call with a long input."""
    with bench.traced():
        return bench.microseconds(partial(bench.call, inputs=_ten_megabytes()), repetitions=1) / 1_000


@figure("memory at the peak of 10 MB of text", "MiB", sides=EVERY, over_untraced=True, repeats=1)
def large_call_memory(bench: Bench) -> float:
    """What tracing adds to the text, which the application holds."""
    with bench.traced():
        bench.call()
        return bench.mebibytes(partial(bench.call, inputs=_ten_megabytes()))


def _ten_megabytes() -> str:
    return _TEXT * (10_000_000 // len(_TEXT))


@figure("a call without a logger", "µs", sides=EVERY, at_most=5, over_untraced=True)
def call_without_logger(bench: Bench) -> float:
    """Nobody asked for traces, so nobody should wait for them."""
    return bench.microseconds(bench.call)


@figure("a stream opened without a logger", "µs", sides=STREAMED, at_most=5, over_untraced=True)
def stream_without_logger(bench: Bench) -> float:
    """Opened and dropped, without an event."""
    bench.provider.events = lambda: iter(())
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
