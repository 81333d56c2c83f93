"""What our being there costs where nothing is traced."""

from .. import interpreters
from ..bench import Bench
from ..sides import Side
from .registry import EVERY, STREAMED, TRACED, figure


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


@figure("import of the integration", "ms", sides=TRACED, at_most=6, repeats=1)
def import_of_integration(_bench: Bench) -> float:
    """Beyond what the SDK loads for any integration."""
    return interpreters.import_milliseconds("braintrust.integrations.mistral", after="braintrust.integrations.base")
