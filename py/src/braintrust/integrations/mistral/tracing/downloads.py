"""A traced download: the span of a file that holds results, which are logged one by one as the file is read.

The HTTP client reads a response's body from its stream, whichever way the application asks for it; so that is where
the bytes are seen, and where the end of the reading is.
"""

import functools
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Protocol

from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded
from ..operations import Outcome, Request
from ..patching import ObjectProxy, Wrapper, is_traced_outside
from .arguments import own_arguments
from .around import OngoingCall, around, around_async
from .arriving import ArrivingChildren, Reader
from .spans import CallSpan, is_tracing
from .streams import StreamLifecycle


# Tells gzip from zlib by the head of either.
_ANY_HEAD = 32


class Results(Reader, Protocol):
    """Reads what is in a file, piece by piece."""

    @property
    def request(self) -> Request:
        """What the span of the download logs at its beginning."""
        ...


ResultsReader = Callable[[Mapping[str, Any]], Results | None]
"""Returns what reads the file that a download with these arguments brings, or `None` where that is no traced one."""


Listener = Callable[[Mapping[str, Any], Any], object]
"""Is told the arguments of a call and what it returned; never raises."""


def wrappers(find: ResultsReader) -> dict[str, Wrapper]:
    """Return the wrappers of what downloads files, sync and async, by their names."""
    begin = functools.partial(_Download.begin, find)
    return {"download": around(begin), "download_async": around_async(begin)}


def upload_wrappers(listener: Listener) -> dict[str, Wrapper]:
    """Return the wrappers of what uploads files, by their names: no spans, but the listener hears of each file."""

    def upload(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        response = wrapped(*args, **kwargs)
        if is_tracing(may_leave_out=False):
            listener(kwargs, response)
        return response

    async def upload_async(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        response = await wrapped(*args, **kwargs)
        if is_tracing(may_leave_out=False):
            listener(kwargs, response)
        return response

    return {"upload": upload, "upload_async": upload_async}


class _Download(OngoingCall):
    """A download in progress."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._span = CallSpan("mistral.files.download", SpanTypeAttribute.TASK, results.request)

    @classmethod
    def begin(
        cls, find: ResultsReader, method: Callable[..., Any], resource: Any, _: object, named: Mapping[str, Any]
    ) -> "_Download | None":
        """Open the span of a download, or return `None` where nobody would see it, or it brings no results."""
        # Whether the job is known was decided with the calls that told of it.
        if is_traced_outside(resource) or not is_tracing(may_leave_out=False):
            return None
        results = find(own_arguments(method, named))
        return None if results is None else cls(results)

    def failed(self, error: BaseException) -> None:
        """End the span with the exception that the caller is about to see."""
        self._span.close(Outcome, error=error)

    def returned(self, result: Any) -> None:
        """See the body of a response as it is read, or now where it was read already."""
        try:
            children = ArrivingChildren(self._results, self._span)
            lifecycle = StreamLifecycle(lambda outcome, _: outcome, self._results.request, self._span, children)
            if result.is_closed:
                lifecycle.fold(result.content)
                lifecycle.end()
            else:
                decode = _decoder(result.headers.get("content-encoding", ""))
                result.stream = _Body(result.stream, lifecycle, decode)
        except Exception:
            # Nobody sees when it ends.
            self._span.close(Outcome)
            raise


class _Body(ObjectProxy):
    """The stream of a response's body, of a sync or an async client."""

    def __init__(self, stream: Any, lifecycle: StreamLifecycle, decode: Callable[[bytes], bytes]) -> None:
        super().__init__(stream)
        self._self_lifecycle = lifecycle
        self._self_decode = decode

    def __iter__(self) -> Iterator[bytes]:
        lifecycle = self._self_lifecycle
        try:
            for data in self.__wrapped__:
                self._self_fold(data)
                yield data
        except BaseException as error:
            lifecycle.end(error)
            raise
        lifecycle.end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        lifecycle = self._self_lifecycle
        try:
            async for data in self.__wrapped__:
                self._self_fold(data)
                yield data
        except BaseException as error:
            lifecycle.end(error)
            raise
        lifecycle.end()

    @guarded(fallback=None)
    def _self_fold(self, data: bytes) -> None:
        self._self_lifecycle.fold(self._self_decode(data))

    def close(self) -> None:
        """Close the stream, and end its span."""
        try:
            self.__wrapped__.close()
        finally:
            self._self_lifecycle.end()

    async def aclose(self) -> None:
        """Close the stream, and end its span."""
        try:
            await self.__wrapped__.aclose()
        finally:
            self._self_lifecycle.end()


def _decoder(encoding: str) -> Callable[[bytes], bytes]:
    """Return what undoes the encoding in which a body was sent.

    Raises:
        ValueError: if it is one that cannot be undone here.
    """
    if encoding in ("", "identity"):
        return bytes
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(zlib.MAX_WBITS | _ANY_HEAD).decompress
    raise ValueError(f"cannot decode {encoding}")
