"""What a call costs that says much, or what must not be logged."""

from functools import partial

from .. import requests
from ..bench import Bench
from .registry import BESIDE_FLOOR, EVERY, figure


@figure("a call with 10 MB of text", "ms", sides=EVERY, at_most=0.5, over_untraced=True)
def large_call(bench: Bench) -> float:
    """The plain call with a long input."""
    with bench.traced():
        return bench.microseconds(partial(bench.call, inputs=requests.text(10_000_000)), repetitions=1) / 1_000


@figure("memory at the peak of 10 MB of text", "MiB", sides=EVERY, over_untraced=True, repeats=1)
def large_call_memory(bench: Bench) -> float:
    """What tracing adds to the text, which the application holds."""
    call = partial(bench.call, inputs=requests.text(10_000_000))
    with bench.traced():
        call()
        return bench.mebibytes(call)


@figure("a chat of 1,000 messages", "ms", sides=EVERY, at_most_floors=1.2, over_untraced=True)
def chat_of_1_000_messages(bench: Bench) -> float:
    """What an application sends that keeps a long chat itself."""
    with bench.traced():
        complete = partial(bench.complete, messages=requests.messages(1_000))
        return bench.microseconds(complete, repetitions=2) / 1_000


@figure("a chat with 1,000 tools", "ms", sides=EVERY, at_most_floors=1.2, over_untraced=True)
def chat_with_1_000_tools(bench: Bench) -> float:
    """As many functions as no model should have to choose from."""
    with bench.traced():
        complete = partial(bench.complete, tools=requests.tools(1_000))
        return bench.microseconds(complete, repetitions=2) / 1_000


@figure("a call with 300 entries", "ms", sides=EVERY, at_most_floors=1.2, over_untraced=True)
def call_with_300_entries(bench: Bench) -> float:
    """What an application sends that stores no conversations with Mistral."""
    with bench.traced():
        call = partial(bench.call, inputs=requests.entries(300))
        return bench.microseconds(call, repetitions=4) / 1_000


@figure("a chat with 10 images and documents", "ms", sides=EVERY, over_untraced=True)
def chat_with_media(bench: Bench) -> float:
    """Each of 100 KB, in base64; bare spans are given them decoded."""
    with bench.traced():
        complete = partial(bench.complete, messages=requests.media(5, 100_000))
        return bench.microseconds(complete, repetitions=2) / 1_000


@figure("a call with 50 signed links", "µs", sides=EVERY, over_untraced=True)
def call_with_signed_links(bench: Bench) -> float:
    """Their signatures are looked for in the text; bare spans are given it without them."""
    with bench.traced():
        return bench.microseconds(partial(bench.call, inputs=requests.signed_links(50)))


@figure("a call with 20 connectors", "µs", sides=EVERY, over_untraced=True)
def call_with_connectors(bench: Bench) -> float:
    """Each with a token under a key of its own."""
    with bench.traced():
        return bench.microseconds(partial(bench.call, tools=requests.connectors(20)))


@figure("a call that is refused", "µs", sides=BESIDE_FLOOR)
def refused_call(bench: Bench) -> float:
    """With an answer that repeats the request; the error that the span has must not."""
    bench.provider.error = requests.refusal()
    try:
        with bench.traced():
            return bench.microseconds(bench.refused_call)
    finally:
        bench.provider.error = None
