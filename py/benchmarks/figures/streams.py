"""What a stream costs, of a conversation and of a completion."""

from functools import partial

from ..answers import TWO_TOOL_CALLS, fresh_events, ready_events, tool_events
from ..bench import Bench, Consume
from ..sides import Side
from .registry import BESIDE_FLOOR, EVERY, SHOWN, STREAMED, TRACED, figure


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


@figure("a streamed call with 16 tools", "µs", sides=EVERY, over_untraced=True)
def streamed_call_with_16_tools(bench: Bench) -> float:
    """Each tool is logged as soon as it is over; bare spans all at the end."""
    return _streamed_call_with_tools(bench)


@figure("a streamed call with 16 tools and model calls", "µs", sides=SHOWN, over_untraced=True)
def streamed_call_with_model_calls(bench: Bench) -> float:
    """The same with each model call as soon as it is known what it asked for."""
    with bench.setting("LLM_SPANS", "true"):
        return _streamed_call_with_tools(bench)


def _streamed_call_with_tools(bench: Bench) -> float:
    with bench.traced():
        return bench.microseconds(partial(bench.consume, partial(tool_events, 16)))


@figure("records of a streamed call with 16 tools", "", sides=BESIDE_FLOOR, at_most=19, repeats=1)
def records_of_streamed_call_with_16_tools(bench: Bench) -> float:
    """One more than unstreamed, where a tool is moved that was logged before all were known."""
    with bench.traced():
        return bench.records(partial(bench.consume, partial(tool_events, 16)))


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
    at_most=1.5,
    over_untraced=True,
    repeats=1,
    slow=(Side.SDK,),
)
def concurrent_memory(bench: Bench) -> float:
    """What tracing keeps of 1,000 texts of 8,400 characters, its log records included.

    Those of the answers so far aside: there are the more of them, the slower the machine.
    """
    with bench.setting("PROGRESS", "0"), bench.traced():
        bench.consume_many(10, partial(fresh_events, 10))
        texts = 1_000 * 350 * 24 / 2**20
        return bench.mebibytes(partial(bench.consume_many, 1_000, partial(fresh_events, 350))) / texts


@figure("a plain chat.complete", "µs", sides=EVERY, at_most_floors=1.5, over_untraced=True)
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
