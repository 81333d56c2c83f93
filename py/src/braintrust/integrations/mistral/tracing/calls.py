"""The traced call, sync and async."""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from ..faults import guarded
from ..operations import Accumulator, Operation, Outcome, Request
from ..patching import Wrapper
from .arguments import own_arguments
from .run_state import current_run
from .spans import CallSpan, is_tracing
from .streams import StreamLifecycle, traced_stream


LLM_SPANS = "BRAINTRUST_MISTRAL_LLM_SPANS"
"""The environment variable that turns on the spans of model calls inside conversations."""

_LLM_SPANS_ENABLED = "__braintrust_llm_spans__"


def traced(operation: Operation) -> Wrapper:
    """Return the wrapper that traces the calls of a sync method."""

    def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        traced_call = guarded(TracedCall.begin, operation, instance, wrapped, kwargs, fallback=None)
        if traced_call is None:
            return wrapped(*args, **kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as error:
            guarded(traced_call.failed, error, fallback=None)
            raise
        return guarded(traced_call.returned, result, fallback=result)

    return call


def traced_async(operation: Operation) -> Wrapper:
    """Return the wrapper that traces the calls of an async method."""

    async def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        traced_call = guarded(TracedCall.begin, operation, instance, wrapped, kwargs, fallback=None)
        if traced_call is None:
            return await wrapped(*args, **kwargs)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            guarded(traced_call.failed, error, fallback=None)
            raise
        return guarded(traced_call.returned, result, fallback=result)

    return call


def set_llm_spans(resource: Any, wanted: bool) -> None:
    """Decide for the calls of one resource of a client whether they show the model calls inside."""
    resource.__dict__[_LLM_SPANS_ENABLED] = wanted


def llm_spans_enabled(resource: Any) -> bool:
    """Tell whether the calls of a resource show the model calls inside: as decided for it, else for the process."""
    wanted: bool | None = getattr(resource, _LLM_SPANS_ENABLED, None)
    return os.environ.get(LLM_SPANS, "").lower() in ("1", "true") if wanted is None else wanted


class TracedCall:
    """One call of a traced method: opens its span, and closes it or hands it on to the stream that was returned."""

    __slots__ = ("_make_accumulator", "_read", "_request", "_span", "_turn")

    def __init__(self, operation: Operation, resource: Any, request: Request) -> None:
        self._make_accumulator = operation.accumulator
        read = operation.response
        if operation.with_llm_spans is not None and llm_spans_enabled(resource):
            read = operation.with_llm_spans
        run = current_run.get()
        self._turn = None if run is None else run.begin(read)
        self._read = read if self._turn is None else self._turn.read
        self._request = request
        self._span = CallSpan(operation.span_name, operation.span_type, request)
        if self._turn is not None:
            self._turn.span = self._span

    @classmethod
    def begin(
        cls, operation: Operation, resource: Any, method: Callable[..., Any], arguments: Mapping[str, Any]
    ) -> "TracedCall | None":
        """Open the span of a call, or return `None` where nobody would see it."""
        if not is_tracing():
            return None
        request = guarded(lambda: operation.request(own_arguments(method, arguments)), fallback=Request())
        return cls(operation, resource, request)

    def failed(self, error: BaseException) -> None:
        """End the span with the exception that the caller is about to see."""
        self._span.close(Outcome, error=error)

    def returned(self, result: Any) -> Any:
        """Return what the caller gets: `result` itself, or the traced stream around it."""
        make_accumulator = self._make_accumulator
        if make_accumulator is None or not guarded(isinstance, result, (Iterator, AsyncIterator), fallback=False):
            self._span.close(lambda: self._read(result, self._request))
            return result
        stream = guarded(self._stream, make_accumulator, result, fallback=None)
        if stream is None:
            # Unread, it is no response.
            self._span.close(Outcome)
            return result
        return stream

    def _stream(self, make_accumulator: Callable[[], Accumulator], stream: Any) -> Any:
        accumulator = make_accumulator()
        if self._turn is not None:
            self._turn.follow(accumulator, self._request)
        return traced_stream(stream, StreamLifecycle(self._read, self._request, self._span, accumulator))
