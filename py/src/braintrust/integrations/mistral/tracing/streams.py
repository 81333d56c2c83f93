"""A traced stream: the SDK's own object, whose class becomes a subclass that has its events folded as they pass.

What a stream costs and when it ends is decided in its lifecycle, which only the stream refers to: when the stream
goes, so does the lifecycle, and its finalizer ends the span.
"""

import contextlib
import functools
import time
import types
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from ..faults import guarded, report_fault
from ..operations import (
    Accumulator,
    Outcome,
    Request,
    ResponseReader,
    ToolCallKey,
    read_stream,
)
from . import handover
from .spans import CallSpan


_LIFECYCLE = "__braintrust_lifecycle__"


class _Events(NamedTuple):
    """What has arrived of a stream, and how that is read."""

    accumulator: Accumulator
    read: ResponseReader
    request: Request

    def outcome(self) -> Outcome:
        return read_stream(self.accumulator, self.read, self.request)


class StreamLifecycle:
    """What happens to the span of a traced stream: events are folded as they pass, and it ends exactly once.

    Attributes:
        fold: folds one event; called for each, and so bound once.
    """

    __slots__ = ("__weakref__", "_block_error", "_events", "_span", "fold")

    def __init__(self, read: ResponseReader, request: Request, span: CallSpan, accumulator: Accumulator) -> None:
        self._events: _Events | None = _Events(accumulator, read, request)
        self._span = span
        self._block_error: BaseException | None = None
        self.fold: Callable[[Any], None] = accumulator.add
        handover.watch(self)

    @guarded(fallback=None)
    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        """End the span with what has arrived, and keep nothing of it.

        Args:
            error: what the caller saw, if the stream did not just end.
            at: when it ended, in seconds of `time.monotonic`; now if left out.
        """
        events, self._events, self.fold = self._events, None, _ignore
        if events is None:
            return
        error, self._block_error = self._block_error if error is None else error, None
        self._span.close(events.outcome, error=error, first_output=_first_output(events.accumulator), at=at)
        handover.forget(self)

    @guarded(fallback=None)
    def end_call(self, key: ToolCallKey) -> None:
        """Log the function call with this key, if it is arriving: somebody has answered it."""
        events = self._events
        end_call = None if events is None else getattr(events.accumulator, "end_call", None)
        if end_call is not None:
            end_call(key)

    @guarded(fallback=None)
    def stopped(self, stop: BaseException, stream: Any) -> None:
        """End the span after the stream raised instead of bringing an event."""
        if isinstance(stop, StopIteration | StopAsyncIteration):
            self.end()
        # A second reader was refused, and the first one reads on.
        elif not _is_being_read(stream):
            self.end(stop)

    @guarded(fallback=None)
    def leave_block(self, error: BaseException | None) -> None:
        """Know what raised in the caller's `with` block, which is about to close the stream."""
        self._block_error = error

    def __del__(self) -> None:
        # Runs wherever the garbage collector does, also inside of locks.
        span = getattr(self, "_span", None)
        if span is not None and not span.is_closed:
            handover.hand_over(functools.partial(self.end, None, time.monotonic()))


def traced_stream(stream: Any, lifecycle: StreamLifecycle) -> Any:
    """Return a stream with its events traced: itself, unless its class cannot be changed, as that of a generator."""
    # Not where it is the result of another traced call as well, as in tests.
    if _LIFECYCLE not in getattr(stream, "__dict__", {}):
        with contextlib.suppress(AttributeError, TypeError):
            kind = _traced_class(type(stream))
            setattr(stream, _LIFECYCLE, lifecycle)
            stream.__class__ = kind
            # A mock only says that this is its class.
            if type(stream) is kind:
                return stream
            delattr(stream, _LIFECYCLE)
    return traced_stream((_AsyncIterator if hasattr(stream, "__anext__") else _Iterator)(stream), lifecycle)


# Bounded: an application may make classes of streams at run time.
@functools.lru_cache(maxsize=64)
def _traced_class(kind: type[Any]) -> type[Any]:
    """Return the subclass of a class of streams that has their events folded and their ends noticed."""
    methods = _async_methods(kind) if hasattr(kind, "__anext__") else _methods(kind)
    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    overridden = {name: method for name, method in methods.items() if hasattr(kind, name)}
    namespace = {**names, **overridden, "__slots__": ()}
    return types.new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(namespace))


def _methods(kind: type[Any]) -> dict[str, Callable[..., Any]]:
    next_event: Callable[[Any], Any] = kind.__next__

    def __next__(self: Any) -> Any:  # noqa: N807
        lifecycle = self.__braintrust_lifecycle__
        try:
            event = next_event(self)
        except BaseException as stop:
            lifecycle.stopped(stop, self)
            raise
        try:
            lifecycle.fold(event)
        except Exception:
            report_fault()
        return event

    def __exit__(  # noqa: N807
        self: Any, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        lifecycle = self.__braintrust_lifecycle__
        lifecycle.leave_block(error)
        try:
            return kind.__exit__(self, error_type, error, traceback)
        except BaseException as raised:
            lifecycle.end(raised)
            raise
        finally:
            lifecycle.end()

    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        lifecycle = self.__braintrust_lifecycle__
        try:
            return kind.close(self, *args, **kwargs)
        except BaseException as raised:
            lifecycle.end(raised)
            raise
        finally:
            lifecycle.end()

    return {"__next__": __next__, "__exit__": __exit__, "close": close}


def _async_methods(kind: type[Any]) -> dict[str, Callable[..., Any]]:
    next_event: Callable[[Any], Any] = kind.__anext__

    async def __anext__(self: Any) -> Any:  # noqa: N807
        lifecycle = self.__braintrust_lifecycle__
        try:
            event = await next_event(self)
        except BaseException as stop:
            lifecycle.stopped(stop, self)
            raise
        try:
            lifecycle.fold(event)
        except Exception:
            report_fault()
        return event

    async def __aexit__(  # noqa: N807
        self: Any, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        lifecycle = self.__braintrust_lifecycle__
        lifecycle.leave_block(error)
        try:
            return await kind.__aexit__(self, error_type, error, traceback)
        except BaseException as raised:
            lifecycle.end(raised)
            raise
        finally:
            lifecycle.end()

    def closing(name: str) -> Callable[..., Any]:
        async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
            lifecycle = self.__braintrust_lifecycle__
            try:
                return await getattr(kind, name)(self, *args, **kwargs)
            except BaseException as raised:
                lifecycle.end(raised)
                raise
            finally:
                lifecycle.end()

        return close

    closes = {name: closing(name) for name in ("close", "aclose")}
    return {"__anext__": __anext__, "__aexit__": __aexit__, **closes}


class _Iterator:
    """An iterator that is no stream of the SDK's, such as a generator of the application's own class of clients."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __iter__(self) -> "_Iterator":
        return self

    def __next__(self) -> Any:
        return next(self._events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    def close(self) -> Any:
        """Close the iterator, if it can be."""
        close = getattr(self._events, "close", None)
        return None if close is None else close()


class _AsyncIterator:
    """An async iterator that is no stream of the SDK's."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __aiter__(self) -> "_AsyncIterator":
        return self

    async def __anext__(self) -> Any:
        return await anext(self._events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    async def aclose(self) -> Any:
        """Close the iterator, if it can be."""
        close = getattr(self._events, "aclose", None)
        return None if close is None else await close()


def _is_being_read(stream: Any) -> bool:
    """Tell whether another reader is waiting for an event of the SDK's generator."""
    generator = getattr(stream, "generator", None)
    return bool(getattr(generator, "gi_running", False) or getattr(generator, "ag_running", False))


@guarded(fallback=None)
def _first_output(accumulator: Accumulator) -> float | None:
    return accumulator.first_output


def _ignore(event: Any) -> None:
    """Fold nothing any more: the stream is over."""
