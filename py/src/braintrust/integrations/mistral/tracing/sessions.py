"""A traced session over a connection that both sides talk on: its span, and what it brings about, as it does.

The connection is the SDK's own object, whose class becomes a subclass that sees what is sent and what arrives.
"""

import asyncio
import functools
import types
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol

from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded, report_fault
from ..operations import Child, Outcome, Request
from ..patching import Wrapper, is_traced_outside
from ..payloads import Loggable
from .arguments import own_arguments, pop_prompt
from .around import OngoingCall, around_async
from .arriving import ArrivingChildren
from .spans import CallSpan, is_tracing
from .streams import StreamLifecycle


_LIFECYCLE = "__braintrust_lifecycle__"
_SENDING = ("send_audio", "send_text", "flush", "update_session")


class Session(Protocol):
    """Reads what is sent and what arrives in a session."""

    name: str
    request: Request

    def connected(self, session: Any) -> None:
        """Know what the service said of the session when it began."""
        ...

    def sent(self, method: str, value: Any) -> None:
        """Take up what the application sends."""
        ...

    def add(self, event: Any) -> Iterator[Child]:
        """Take up an event, and yield what is over with it."""
        ...

    def finish(self) -> Iterator[Child]:
        """Yield what is not over when the session ends."""
        ...

    def outcome(self) -> Outcome:
        """Return what the session logs when it ends."""
        ...


SessionMaker = Callable[[Mapping[str, Any]], Session]
"""Makes what reads a session from the arguments of the call that connects."""


def traced_connect(make: SessionMaker) -> Wrapper:
    """Return the wrapper that traces the sessions that an async method opens."""
    return around_async(functools.partial(_Opening.begin, make))


class _Opening(OngoingCall):
    """A session from the call that connects to the connection that it returns."""

    def __init__(self, session: Session, prompt: Loggable) -> None:
        self._session = session
        self._span = CallSpan(session.name, SpanTypeAttribute.TASK, session.request.built_from(prompt))

    @classmethod
    def begin(
        cls,
        make: SessionMaker,
        method: Callable[..., Any],
        resource: Any,
        positional: tuple[Any, ...],
        named: dict[str, Any],
    ) -> "_Opening | None":
        """Open the span of a session, or return `None` where nobody would see it."""
        prompt = pop_prompt(named)
        if is_traced_outside(resource) or not is_tracing():
            return None
        return cls(make(own_arguments(method, named, positional)), prompt)

    def failed(self, error: BaseException) -> None:
        """End the span with the exception that the caller is about to see."""
        self._span.close(Outcome, error=error)

    def returned(self, result: Any) -> None:
        """See what is sent and what arrives on a connection, and when it ends."""
        try:
            lifecycle = _SessionLifecycle(self._session, self._span)
            self._session.connected(result.session)
            kind = _traced_class(type(result))
            setattr(result, _LIFECYCLE, lifecycle)
            result.__class__ = kind
        except Exception:
            # Nobody sees when it ends.
            self._span.close(Outcome)
            raise


class _SessionLifecycle(StreamLifecycle):
    """What happens to the span of a session.

    Attributes:
        readers: how many wait for an event just now; their connection is closed inside of that, before they know why.
    """

    __slots__ = ("readers", "sent")

    def __init__(self, session: Session, span: CallSpan) -> None:
        super().__init__(lambda outcome, _: outcome, session.request, span, ArrivingChildren(session, span))
        self.sent: Callable[[str, Any], None] = session.sent
        self.readers = 0

    @guarded(fallback=None)
    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        """End the span with what has arrived, and keep nothing of it."""
        self.sent = _ignore
        super().end(_cancellation() if error is None else error, at)


def _ignore(_: str, __: Any) -> None:
    """Take up nothing: the session is over."""


@guarded(fallback=None)
def _cancellation() -> BaseException | None:
    """Return the cancellation of the task that this runs in, which the SDK's connections keep to themselves."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    # From Python 3.11 on.
    cancelling: Callable[[], int] | None = getattr(task, "cancelling", None)
    return asyncio.CancelledError() if cancelling is not None and cancelling() else None


# Bounded: an application may make classes of connections at run time.
@functools.lru_cache(maxsize=64)
def _traced_class(kind: type[Any]) -> type[Any]:
    """Return the subclass of a class of connections whose sessions are traced."""
    names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
    sending = {name: _sending(kind, name) for name in _SENDING if hasattr(kind, name)}
    namespace = {**names, **sending, **_reading(kind), **_closing(kind), "__slots__": ()}
    return types.new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(namespace))


def _sending(kind: type[Any], name: str) -> Callable[..., Any]:
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            self.__braintrust_lifecycle__.sent(name, next(iter([*args, *kwargs.values()]), None))
        except Exception:
            report_fault()
        return await getattr(kind, name)(self, *args, **kwargs)

    return send


def _reading(kind: type[Any]) -> dict[str, Callable[..., Any]]:
    async def events(self: Any) -> AsyncIterator[Any]:
        lifecycle = self.__braintrust_lifecycle__
        inner = kind.events(self)
        try:
            while True:
                lifecycle.readers += 1
                try:
                    event = await anext(inner)
                finally:
                    lifecycle.readers -= 1
                try:
                    lifecycle.fold(event)
                except Exception:
                    report_fault()
                yield event
        except StopAsyncIteration:
            lifecycle.end()
        except GeneratorExit:
            await inner.aclose()
            lifecycle.end()
            raise
        except BaseException as error:
            lifecycle.end(error)
            raise

    return {"events": events}


def _closing(kind: type[Any]) -> dict[str, Callable[..., Any]]:
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        lifecycle = self.__braintrust_lifecycle__
        try:
            return await kind.close(self, *args, **kwargs)
        except BaseException as error:
            lifecycle.end(error)
            raise
        finally:
            # Whoever is reading sees the end of it, and whether that is a failure.
            if not lifecycle.readers:
                lifecycle.end()

    async def __aexit__(  # noqa: N807
        self: Any, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        self.__braintrust_lifecycle__.leave_block(error)
        return await kind.__aexit__(self, error_type, error, traceback)

    return {"close": close, "__aexit__": __aexit__}
