"""What a call costs."""

from functools import partial

from ..answers import with_tools
from ..bench import Bench
from ..sides import Side
from .registry import BESIDE_FLOOR, EVERY, SHOWN, figure


@figure("a plain call", "µs", sides=EVERY, at_most_floors=1.5, over_untraced=True)
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


@figure("a finished child", "µs", sides=BESIDE_FLOOR, at_most_floors=1.25)
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


@figure("a call with 16 tools and their model calls", "µs", sides=SHOWN, at_most_floors=1.5, over_untraced=True)
def call_with_model_calls(bench: Bench) -> float:
    """Each tool was asked for by a model call of its own, whose input is all that was before."""
    with bench.setting("LLM_SPANS", "true"):
        return _call_with_tools(bench, 16)


@figure("records of a call with 16 tools and model calls", "", sides=(Side.OURS, Side.FLOOR), repeats=1)
def records_of_call_with_model_calls(bench: Bench) -> float:
    """Two for the call, and one for each tool and for each of 17 model calls."""
    with bench.setting("LLM_SPANS", "true"), bench.traced():
        return bench.records(partial(bench.call, with_tools(16)))
