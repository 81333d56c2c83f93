"""The measuring instruments: one process, one side, one figure at a time."""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, cast

import braintrust
from braintrust import logger as braintrust_logger
from mistralai.client import Mistral
from mistralai.client.models import (
    ChatCompletionResponse,
    CompletionEvent,
    ConversationEvents,
    ConversationResponse,
    UserMessageTypedDict,
)
from mistralai.client.utils.eventstreaming import EventStream

from . import floor
from .provider import MODEL, PLAIN, PLAIN_COMPLETION, Provider


_MESSAGES: list[UserMessageTypedDict] = [{"role": "user", "content": "Why do completions keep no state?"}]


class Side(str, Enum):
    """Whose tracing a process measures."""

    OURS = "ours"
    SDK = "sdk"
    FLOOR = "floor"
    UNTRACED = "untraced"


class SideError(Exception):
    """The process does not trace as its side should."""


class Bench:
    """A client that is traced as its side says, a place where its records go, and clocks."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.provider = Provider()
        self.provider.install()
        if side in (Side.OURS, Side.SDK):
            _trace(side)
        elif side is Side.FLOOR:
            floor.install()
        client = Mistral(api_key="none")
        self.conversations = client.beta.conversations
        self.chat = client.chat
        # Kept, because its records go to the network from the moment it is garbage.
        self._memory = braintrust_logger._internal_with_memory_background_logger()  # pyright: ignore[reportPrivateUsage]
        self._records = cast("list[object]", cast(Any, self._memory.__enter__()).logs)
        # Collections would strike at random; what stands now need never be looked at again.
        gc.disable()
        gc.collect()
        gc.freeze()

    @contextmanager
    def logger(self) -> Generator[None, None, None]:
        """Log to a project, which nobody resolves because nothing is ever sent."""
        braintrust.init_logger(project="benchmarks", project_id="benchmarks")
        yield
        if not self._records and self.side is not Side.UNTRACED:
            raise SideError(f"side {self.side.value!r} has logged nothing")
        braintrust_logger._state.reset_parent_state()  # pyright: ignore[reportPrivateUsage]

    def drain(self) -> None:
        """Forget what was logged, so that no measurement pays for the records of another."""
        self._records.clear()
        gc.collect()

    def call(self, response: ConversationResponse = PLAIN) -> None:
        """Call Mistral, which answers with this response, as an application would."""
        self.provider.response = response
        self.conversations.start(model=MODEL, inputs="Why do conversations keep state?")

    def open_stream(self) -> EventStream[ConversationEvents]:
        """Ask Mistral for a stream as an application would."""
        return self.conversations.start_stream(model=MODEL, inputs="Why do conversations keep state?")

    def consume(self, events: Iterable[ConversationEvents]) -> None:
        """Stream these events to their end."""
        self.provider.events = events
        for _ in self.open_stream():
            pass

    def complete(self, completion: ChatCompletionResponse = PLAIN_COMPLETION) -> None:
        """Have Mistral complete a chat with this completion."""
        self.provider.completion = completion
        self.chat.complete(model=MODEL, messages=_MESSAGES)

    def consume_chunks(self, chunks: Iterable[CompletionEvent]) -> None:
        """Stream the chunks of a completion to their end."""
        self.provider.chunks = chunks
        for _ in self.chat.stream(model=MODEL, messages=_MESSAGES):
            pass

    def microseconds(self, action: Callable[[], object], *, batches: int = 15, repetitions: int = 40) -> float:
        """What one of many repetitions takes, drained between their batches."""
        return statistics.median(self._batch(action, repetitions) for _ in range(batches + 1)) / 1_000

    def _batch(self, action: Callable[[], object], repetitions: int) -> float:
        self.drain()
        started = time.perf_counter_ns()
        for _ in range(repetitions):
            action()
        return (time.perf_counter_ns() - started) / repetitions

    def seconds(self, action: Callable[[], object]) -> float:
        """What doing it once takes."""
        return self._batch(action, 1) / 1e9

    def mebibytes(self, action: Callable[[], object]) -> float:
        """How far memory rises while it is done, over what it was before."""
        self.drain()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            action()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (peak - before) / 2**20

    def records(self, action: Callable[[], object]) -> int:
        """How many records it logs."""
        self.drain()
        action()
        return len(self._records)


def _trace(side: Side) -> None:
    from braintrust.integrations import mistral

    own_folder = Path(braintrust.__file__).parent
    if (own_folder in Path(mistral.__file__).parents) is (side is Side.OURS):
        raise SideError(f"braintrust.integrations.mistral is not the one of side {side.value!r}")
    if not mistral.MistralIntegration.setup():
        raise SideError(f"the Mistral integration of side {side.value!r} does not set itself up")
