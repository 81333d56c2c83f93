"""The measuring instruments: one process, one side, one figure at a time."""

import asyncio
import gc
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

import httpx2
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from mistralai.client.models import (
    ChatCompletionResponse,
    ConversationEvents,
    ConversationResponse,
    UserMessageTypedDict,
)
from mistralai.client.utils.eventstreaming import EventStream

from .answers import MODEL, PLAIN, PLAIN_COMPLETION, ready_chunks, ready_events
from .provider import Provider
from .sides import OPENTELEMETRY, Log, Side, SideError


_INPUTS = "Why do conversations keep state?"
_MESSAGES: list[UserMessageTypedDict] = [{"role": "user", "content": "Why do completions keep no state?"}]


class Consume(Protocol):
    """Streams so many events to their end, past the tracing when bare."""

    def __call__(self, count: int, *, bare: bool) -> None:
        """Do it."""
        ...


class Methods(NamedTuple):
    """Methods of one client, as they were when they were taken."""

    start: Callable[..., object]
    complete: Callable[..., object]
    stream: Callable[..., Iterable[object]]


class Bench:
    """A client that is traced as its side says, a place where its records go, and clocks.

    A quick one repeats a hundredth of what it should, and its results are worth nothing.
    """

    def __init__(self, side: Side, *, quick: bool) -> None:
        self._side = side
        self._quick = quick
        self.provider = Provider()
        # Before anything wraps them, and of a client that nothing hooks into.
        self._bare = _methods(_client(self.provider))
        client = _client(self.provider)
        self._log = _log(side, self.provider, client)
        self._methods = _methods(client)
        self._conversations = client.beta.conversations
        self._chat = client.chat
        # Collections would strike at random; what stands now need never be looked at again.
        gc.disable()
        gc.collect()
        gc.freeze()

    @contextmanager
    def traced(self, wire: bytes | list[bytes] | None = None) -> Generator[None, None, None]:
        """Trace what is called meanwhile; with `wire`, the network answers it, and not the client's methods."""
        self._log.open()
        self.provider.wire = wire
        yield
        self.provider.wire = None
        if not self._log.records() and self._side is not Side.UNTRACED:
            raise SideError(f"side {self._side.value!r} has logged nothing")
        self._log.close()

    def call(self, response: ConversationResponse = PLAIN, inputs: Any = _INPUTS, **request: Any) -> None:
        """Call Mistral, which answers with this response, as an application would."""
        self.provider.response = response
        self._conversations.start(model=MODEL, inputs=inputs, **request)

    def refused_call(self) -> None:
        """Call Mistral, which answers with an error."""
        with suppress(SDKError):
            self._conversations.start(model=MODEL, inputs=_INPUTS)

    def open_stream(self) -> EventStream[ConversationEvents]:
        """Ask Mistral for a stream as an application would."""
        return self._conversations.start_stream(model=MODEL, inputs=_INPUTS)

    def consume(self, make_events: Callable[[], Iterator[ConversationEvents]]) -> None:
        """Stream these events to their end."""
        self.provider.events = make_events
        _exhaust(self.open_stream())

    @contextmanager
    def setting(self, name: str, value: str) -> Generator[None, None, None]:
        """Have one of our environment variables set meanwhile, which the other sides do not read."""
        os.environ[f"BRAINTRUST_MISTRAL_{name}"] = value
        yield
        del os.environ[f"BRAINTRUST_MISTRAL_{name}"]

    def consume_many(self, streams: int, make_events: Callable[[], Iterator[ConversationEvents]]) -> None:
        """Stream them in so many streams at the same time."""

        async def consume_one() -> None:
            async for _ in await self._conversations.start_stream_async(model=MODEL, inputs=_INPUTS):
                pass

        async def consume_all() -> None:
            await asyncio.gather(*(consume_one() for _ in self._repeated(streams)))

        self.provider.events = make_events
        asyncio.run(consume_all())

    def consume_events(self, count: int, *, bare: bool) -> None:
        """Stream so many events of a conversation to their end."""
        self.provider.events = partial(ready_events, count)
        _exhaust(self.provider.start_stream() if bare else self.open_stream())

    def consume_chunks(self, count: int, *, bare: bool) -> None:
        """Stream so many chunks of a completion to their end."""
        self.provider.chunks = partial(ready_chunks, count)
        _exhaust(self.provider.stream() if bare else self._chat.stream(model=MODEL, messages=_MESSAGES))

    def complete(
        self, completion: ChatCompletionResponse = PLAIN_COMPLETION, messages: Any = _MESSAGES, **request: Any
    ) -> None:
        """Have Mistral complete a chat with this completion."""
        self.provider.completion = completion
        self._chat.complete(model=MODEL, messages=messages, **request)

    def microseconds(self, action: Callable[[], object], *, batches: int = 16, repetitions: int = 40) -> float:
        """Return what one of many repetitions takes, drained between their batches."""
        return statistics.median(self._batch(action, repetitions) for _ in self._repeated(batches)) / 1_000

    def microseconds_an_event(self, consume: Consume, count: int) -> float:
        """Return what tracing adds to each event of a stream, beyond what it adds to a stream of one event."""
        streams = [(1, True), (count, True), (1, False), (count, False)]
        # In turn, so that whatever slows the machine down slows all four down.
        rounds = self._repeated(min(max(100_000 // count, 5), 300))
        samples = [[self._batch(partial(consume, length, bare=bare), 1) for length, bare in streams] for _ in rounds]
        bare_one, bare_many, one, many = map(statistics.median, zip(*samples, strict=True))
        return (many - bare_many - one + bare_one) / (count - 1) / 1_000

    def microseconds_on_the_wire(self, call: Callable[[Methods], object], *, repetitions: int = 10) -> float:
        """Return what tracing adds to a call that the network answers, which takes much more than tracing."""
        traced, bare = partial(call, self._methods), partial(call, self._bare)
        # One after the other, so that what slows the machine down slows both down.
        samples = [(self._batch(bare, repetitions), self._batch(traced, repetitions)) for _ in self._repeated(20)]
        return statistics.median(with_tracing - without for without, with_tracing in samples) / 1_000

    def mebibytes(self, action: Callable[[], object]) -> float:
        """Return how far memory rises while it is done, over what it was before."""
        self._drain()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            action()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (peak - before) / 2**20

    def records(self, action: Callable[[], object]) -> int:
        """Return how many records it logs."""
        self._drain()
        action()
        return self._log.records()

    def sent_bytes(self, action: Callable[[], object]) -> int:
        """Return how many bytes of it go to Braintrust."""
        self._drain()
        action()
        return self._log.sent_bytes()

    def _batch(self, action: Callable[[], object], repetitions: int) -> float:
        """Return what one of some repetitions takes, in nanoseconds."""
        self._drain()
        repeated = self._repeated(repetitions)
        started = time.perf_counter_ns()
        for _ in repeated:
            action()
        return (time.perf_counter_ns() - started) / len(repeated)

    def _repeated(self, times: int) -> range:
        return range(-(-times // 100) if self._quick else times)

    def _drain(self) -> None:
        """Forget what was logged, so that no measurement pays for the records of another."""
        self._log.clear()
        gc.collect()


def start(methods: Methods) -> None:
    """Start a conversation."""
    methods.start(model=MODEL, inputs=_INPUTS)


def complete(methods: Methods) -> None:
    """Complete a chat."""
    methods.complete(model=MODEL, messages=_MESSAGES)


def stream(methods: Methods) -> None:
    """Complete a chat in a stream, and read it to its end."""
    _exhaust(methods.stream(model=MODEL, messages=_MESSAGES))


def _client(provider: Provider) -> Mistral:
    return Mistral(api_key="none", client=httpx2.Client(transport=httpx2.MockTransport(provider.respond)))


def _methods(client: Mistral) -> Methods:
    return Methods(client.beta.conversations.start, client.chat.complete, client.chat.stream)


def _log(side: Side, provider: Provider, client: Mistral) -> Log:
    """Start the side's tracing. Braintrust's and OpenTelemetry's packages need not be there both."""
    if side in OPENTELEMETRY:
        from .opentelemetry_log import OpenTelemetryLog

        return OpenTelemetryLog(side, client)
    from .braintrust_log import BraintrustLog

    provider.install()
    return BraintrustLog(side, provider)


def _exhaust(events: Iterable[object]) -> None:
    for _ in events:
        pass
