"""The code around a call of the client: the one place that makes it, in the way that its caller would."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeAlias

from ..faults import guarded
from ..patching import Wrapper
from .sampling import leaving_out


class OngoingCall:
    """A call that is traced while it is made; a fault in its methods is reported, and the call goes on.

    Attributes:
        context: what the call is made in.
    """

    context: contextlib.AbstractContextManager[object] = contextlib.nullcontext()

    def failed(self, error: BaseException) -> None:
        """Know what the call raised, which its caller is about to see."""

    def returned(self, result: Any) -> Any:
        """Know the result, and return what the caller gets in its place; `None` for the result itself."""


Begin: TypeAlias = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], OngoingCall | None]
"""Begins to trace a call, by what `wrapt` gives a wrapper; `None` where that is not traced.

It may take out of the named arguments what is not the method's.
"""


def around(begin: Begin) -> Wrapper:
    """Return the wrapper of a sync method."""
    begin_safely = guarded(fallback=None)(begin)

    def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ongoing = begin_safely(wrapped, instance, args, kwargs)
        if ongoing is None:
            with leaving_out():
                return wrapped(*args, **kwargs)
        try:
            with ongoing.context:
                result = wrapped(*args, **kwargs)
        except BaseException as error:
            _failed(ongoing, error)
            raise
        replacement = _returned(ongoing, result)
        return result if replacement is None else replacement

    return call


def around_async(begin: Begin) -> Wrapper:
    """Return the wrapper of an async method."""
    begin_safely = guarded(fallback=None)(begin)

    async def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ongoing = begin_safely(wrapped, instance, args, kwargs)
        if ongoing is None:
            with leaving_out():
                return await wrapped(*args, **kwargs)
        try:
            with ongoing.context:
                result = await wrapped(*args, **kwargs)
        except BaseException as error:
            _failed(ongoing, error)
            raise
        replacement = _returned(ongoing, result)
        return result if replacement is None else replacement

    return call


@guarded(fallback=None)
def _failed(ongoing: OngoingCall, error: BaseException) -> None:
    ongoing.failed(error)


@guarded(fallback=None)
def _returned(ongoing: OngoingCall, result: Any) -> Any:
    return ongoing.returned(result)
