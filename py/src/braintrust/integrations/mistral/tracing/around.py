"""The code around a call of the client: the one place that makes it, in the way that its caller would."""

import contextlib
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from ..patching import Wrapper
from .sampling import leaving_out


class OngoingCall(Protocol):
    """A call that is traced while it is made; none of these raises."""

    def inside(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which the call is to be made."""
        ...

    def failed(self, error: BaseException, /) -> object:
        """Know what the call raised, which its caller is about to see."""
        ...

    def returned(self, result: Any, /) -> Any:
        """Know the result, and return what the caller gets in its place; `None` for the result itself."""
        ...


Begin: TypeAlias = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], OngoingCall | None]
"""Begins to trace a call, by what `wrapt` gives a wrapper; `None` where that is not traced. Never raises.

It may take out of the named arguments what is not the method's.
"""


def around(begin: Begin) -> Wrapper:
    """Return the wrapper of a sync method."""

    def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ongoing = begin(wrapped, instance, args, kwargs)
        if ongoing is None:
            with leaving_out():
                return wrapped(*args, **kwargs)
        try:
            with ongoing.inside():
                result = wrapped(*args, **kwargs)
        except BaseException as error:
            ongoing.failed(error)
            raise
        replacement = ongoing.returned(result)
        return result if replacement is None else replacement

    return call


def around_async(begin: Begin) -> Wrapper:
    """Return the wrapper of an async method."""

    async def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ongoing = begin(wrapped, instance, args, kwargs)
        if ongoing is None:
            with leaving_out():
                return await wrapped(*args, **kwargs)
        try:
            with ongoing.inside():
                result = await wrapped(*args, **kwargs)
        except BaseException as error:
            ongoing.failed(error)
            raise
        replacement = ongoing.returned(result)
        return result if replacement is None else replacement

    return call
