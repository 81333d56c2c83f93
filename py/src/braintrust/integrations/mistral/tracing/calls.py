"""The traced call, sync and async."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from ..faults import guarded
from ..llm_spans import llm_spans_enabled
from ..operations import Accumulator, CallsInside, LiveAccumulator, Operation, Outcome, Readers, Request
from ..patching import Wrapper, is_traced_outside
from ..providers import MISTRAL, deployment_host, provider_of
from . import parsing
from .arguments import own_arguments, pop_prompt
from .around import OngoingCall, around, around_async
from .progress import StreamProgress
from .run_state import current_run
from .spans import CallSpan, is_tracing, silenced
from .streams import StreamLifecycle, traced_stream


def traced(operation: Operation) -> Wrapper:
    """Return the wrapper that traces the calls of a sync method."""
    return around(functools.partial(TracedCall.begin, operation))


def traced_async(operation: Operation | Callable[[Any], Operation]) -> Wrapper:
    """Return the wrapper that traces the calls of an async method; its row may depend on the object that has it."""
    return around_async(functools.partial(TracedCall.begin, operation))


class TracedCall(OngoingCall):
    """One call of a traced method: opens its span, and closes it or hands it on to the stream that was returned."""

    def __init__(self, operation: Operation, resource: Any, request: Request) -> None:
        self._operation = operation
        self._readers = _readers(operation, resource, request) or Readers(operation.response, operation.live)
        # What a run asks of its agent is no request of the model.
        run = current_run.get() if operation.with_llm_spans is not None else None
        self._run_request = None if run is None else run.begin(self._readers.response)
        self._read = self._readers.response if self._run_request is None else self._run_request.read
        self._request = request
        self.span = CallSpan(operation.span_name, operation.span_type, request)
        if self._run_request is not None:
            self._run_request.span = self.span

    @classmethod
    def begin(
        cls,
        operation: Operation | Callable[[Any], Operation],
        method: Callable[..., Any],
        resource: Any,
        positional: Sequence[Any],
        named: dict[str, Any],
    ) -> "TracedCall | None":
        """Open the span of a call, or return `None` where nobody would see it, or another span is that call's."""
        prompt = pop_prompt(named)
        if is_traced_outside(resource) or not is_tracing():
            return None
        if not isinstance(operation, Operation):
            operation = operation(resource)
        request = _read_request(operation, method, positional, named).built_from(prompt)
        provider = provider_of(type(resource))
        if provider != MISTRAL.name:
            request = request.sent_to(provider, _deployment_host(resource, named.get("server_url")))
        call = cls(operation, resource, request)
        if operation.calls_inside is not CallsInside.NONE:
            is_silent = operation.calls_inside is CallsInside.SILENT
            call.context = call.span.as_current(silenced, is_silent or silenced.get())
        return call

    def failed(self, error: BaseException) -> None:
        """End the span with the exception that the caller is about to see."""
        self.span.close(Outcome, error=error)

    def returned(self, result: Any) -> Any:
        """Return the traced stream that the caller gets, or `None` where that is no stream, and end the span then."""
        parsing.answered(self.span)
        try:
            make_accumulator = self._operation.accumulator
            if make_accumulator is not None and isinstance(result, Iterator | AsyncIterator):
                return self._stream(make_accumulator, result)
        except Exception:
            # A stream that was not read is no response.
            self.span.close(Outcome)
            raise
        return self.span.close(lambda: self._read(result, self._request))

    def _stream(self, make_accumulator: Callable[[], Accumulator], stream: Any) -> Any:
        accumulator = make_accumulator()
        if self._run_request is not None:
            self._run_request.follow(accumulator, self._request)
        self._have_logged(accumulator)
        return traced_stream(stream, StreamLifecycle(self._read, self._request, self.span, accumulator))

    @guarded(fallback=None)
    def _have_logged(self, accumulator: Accumulator) -> None:
        """Have logged what is over of a stream while that is open, if its accumulator tells."""
        read_ended = self._readers.live
        if read_ended is None:
            return
        live = cast(LiveAccumulator, accumulator)
        if self._run_request is not None:
            read_ended = self._run_request.reading_ended(read_ended)
        live.is_followed = self._readers.is_following
        live.on_progress = StreamProgress(self.span, read_ended, self._operation.response, self._request).progressed


@guarded(fallback=Request())
def _read_request(
    operation: Operation, method: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any]
) -> Request:
    return operation.request(own_arguments(method, arguments, positional))


_deployment_host = guarded(fallback=None)(deployment_host)


@guarded(fallback=None)
def _readers(operation: Operation, resource: Any, request: Request) -> Readers | None:
    """Return what reads the response where the model calls inside are to be shown as well."""
    if operation.with_llm_spans is None or not llm_spans_enabled(resource):
        return None
    return operation.with_llm_spans(request)
