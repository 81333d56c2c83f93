"""A traced stream: one lifecycle, and its sync and its async face.

The faces are proxies of the SDK's stream objects. What a stream costs and when it ends is decided in the lifecycle
alone, which only its face refers to: when the face goes, so does the lifecycle, and its finalizer ends the span.
"""

import atexit
import contextlib
import functools
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import wrapt

from ..faults import guarded, report_fault
from ..operations import Accumulator, Outcome, Request, ResponseReader, read_stream
from .spans import CallSpan


if TYPE_CHECKING:
    # Generic in its stubs only.
    ObjectProxy = wrapt.ObjectProxy[Any]
else:
    ObjectProxy = wrapt.ObjectProxy


class StreamLifecycle:
    """What happens to the span of a traced stream: events are folded as they pass, and it ends exactly once."""

    __slots__ = ("__weakref__", "_accumulator", "_read", "_request", "_span", "fold", "next_event")

    def __init__(self, read: ResponseReader, request: Request, span: CallSpan, accumulator: Accumulator) -> None:
        self._read = read
        self._request = request
        self._span = span
        self._accumulator = accumulator
        # Called for every event: bound once, and by the faces themselves.
        self.fold = accumulator.add
        _open_streams.watch(self)
        span.expect_events()

    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        """End the span with what has arrived.

        Args:
            error: what the caller saw, if the stream did not just end.
            at: when it ended, in Unix seconds; now if left out.
        """
        first_output = guarded(lambda: self._accumulator.first_output, fallback=None)
        self._span.close(self._outcome, error=error, first_output=first_output, at=at)
        _open_streams.forget(self)

    def closing(self, error: BaseException | None = None) -> contextlib.AbstractContextManager[object]:
        """Return what ends the stream after a block, with `error` or with what the block raises."""
        block = contextlib.ExitStack()
        block.push(functools.partial(guarded, self._left, error, fallback=None))
        return block

    def _left(self, error: BaseException | None, _kind: object, raised: BaseException | None, _: object) -> None:
        self.end(error if raised is None else raised)

    def _outcome(self) -> Outcome:
        return read_stream(self._accumulator, self._read, self._request)

    def __del__(self) -> None:
        # Runs wherever the garbage collector does, also while this thread holds the lock of the SDK's log queue:
        # logging here could wait for that lock forever. So someone else does it.
        span = getattr(self, "_span", None)
        if span is not None and not span.is_closed:
            # The SDK's stream goes here, as it would untraced: its event loop does not bear that in another thread.
            with contextlib.suppress(AttributeError):
                del self.next_event
            _open_streams.abandon(self, time.time())


class _OpenStreams:
    """The streams that are not over, and the thread that ends those which were abandoned."""

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def watch(self, stream: StreamLifecycle) -> None:
        """Take note of a stream. The first one starts the thread: a finalizer could not."""
        self._open.add(stream)
        if self._thread is None:
            with self._start_lock:
                if self._thread is None:
                    self._start()

    def forget(self, stream: StreamLifecycle) -> None:
        """Drop a stream that is over."""
        self._open.discard(stream)

    def abandon(self, stream: StreamLifecycle, at: float) -> None:
        """Have a stream ended that nobody can read any more. Takes no lock that could be held: safe in a finalizer."""
        self._abandoned.put((stream, at))

    def end_all(self) -> None:
        """End what is still open when the interpreter exits."""
        if self._thread is not None:
            self._abandoned.put(None)
            # Bounded, as an exit must not hang.
            self._thread.join(timeout=5)
        for stream in list(self._open):
            guarded(stream.end, fallback=None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="braintrust-mistral-streams", daemon=True)
        thread.start()
        self._thread = thread
        # After the SDK's logger registered its own: the last registered runs first, and that one flushes.
        atexit.register(guarded, self.end_all, fallback=None)

    def _run(self) -> None:
        while (abandoned := self._abandoned.get()) is not None:
            stream, at = abandoned
            guarded(stream.end, None, at, fallback=None)
            # Held until the next one came, it would keep its text.
            del stream, abandoned

    def _reset(self) -> None:
        """Begin anew: a forked child has neither the thread nor usable locks, and its parent ends its own streams."""
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._open: weakref.WeakSet[StreamLifecycle] = weakref.WeakSet()
        # The one queue whose `put` may be called from a finalizer.
        self._abandoned: queue.SimpleQueue[tuple[StreamLifecycle, float] | None] = queue.SimpleQueue()


_open_streams = _OpenStreams()


class TracedStream(ObjectProxy):
    """The SDK's `EventStream`, traced."""

    def __init__(self, stream: Any, lifecycle: StreamLifecycle) -> None:
        super().__init__(stream)
        self._self_lifecycle = lifecycle
        lifecycle.next_event = stream.__next__

    def __iter__(self) -> "TracedStream":
        return self

    def __next__(self) -> Any:
        lifecycle = self._self_lifecycle
        try:
            event = lifecycle.next_event()
        except StopIteration:
            guarded(lifecycle.end, fallback=None)
            raise
        except BaseException as error:
            guarded(lifecycle.end, error, fallback=None)
            raise
        try:
            lifecycle.fold(event)
        except Exception:
            report_fault()
        return event

    def __enter__(self) -> "TracedStream":
        self.__wrapped__.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        with guarded(self._self_lifecycle.closing, error, fallback=contextlib.nullcontext()):
            return self.__wrapped__.__exit__(kind, error, traceback)

    @property
    def close(self) -> Callable[..., Any]:
        """The SDK's `close`, which the streams of `mistralai` 1.x do not have."""
        close: Callable[..., Any] = self.__wrapped__.close

        def traced_close(*args: Any, **kwargs: Any) -> Any:
            with guarded(self._self_lifecycle.closing, fallback=contextlib.nullcontext()):
                return close(*args, **kwargs)

        return traced_close


class AsyncTracedStream(ObjectProxy):
    """The SDK's `EventStreamAsync`, traced."""

    def __init__(self, stream: Any, lifecycle: StreamLifecycle) -> None:
        super().__init__(stream)
        self._self_lifecycle = lifecycle
        lifecycle.next_event = stream.__anext__

    def __aiter__(self) -> "AsyncTracedStream":
        return self

    async def __anext__(self) -> Any:
        lifecycle = self._self_lifecycle
        try:
            event = await lifecycle.next_event()
        except StopAsyncIteration:
            guarded(lifecycle.end, fallback=None)
            raise
        except BaseException as error:
            guarded(lifecycle.end, error, fallback=None)
            raise
        try:
            lifecycle.fold(event)
        except Exception:
            report_fault()
        return event

    async def __aenter__(self) -> "AsyncTracedStream":
        await self.__wrapped__.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        with guarded(self._self_lifecycle.closing, error, fallback=contextlib.nullcontext()):
            return await self.__wrapped__.__aexit__(kind, error, traceback)

    @property
    def close(self) -> Callable[..., Any]:
        """The SDK's `close`, a coroutine function, which the streams of `mistralai` 1.x do not have."""
        close: Callable[..., Any] = self.__wrapped__.close

        async def traced_close(*args: Any, **kwargs: Any) -> Any:
            with guarded(self._self_lifecycle.closing, fallback=contextlib.nullcontext()):
                return await close(*args, **kwargs)

        return traced_close


def traced_stream(stream: Any, lifecycle: StreamLifecycle) -> Any:
    """Return a stream with its events traced; `stream` must have `__next__` or `__anext__`."""
    face = AsyncTracedStream if hasattr(stream, "__anext__") else TracedStream
    return face(stream, lifecycle)
