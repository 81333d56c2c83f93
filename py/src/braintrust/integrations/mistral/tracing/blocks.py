"""Traced calls that make further calls: the spans of these are below theirs."""

import contextlib
from collections.abc import Callable
from typing import Any

from ..contexts import reset
from ..faults import guarded
from ..operations import Operation
from ..patching import Wrapper
from .arguments import pop_prompt
from .calls import TracedCall
from .sampling import leaving_out
from .spans import silenced


def traced_around(operation: Callable[[Any], Operation], *, silent: bool = False) -> Wrapper:
    """Return the wrapper that traces the calls of an async method, with its span the current one meanwhile.

    Args:
        operation: returns the method's row for the object whose method it is.
        silent: whether the calls that it makes have no spans, such as those that ask again and again.
    """

    async def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        prompt = pop_prompt(kwargs)
        traced_call = _begin(operation, instance, wrapped, args, kwargs, prompt)
        if traced_call is None:
            with leaving_out():
                return await wrapped(*args, **kwargs)
        try:
            with _inside(traced_call, silent):
                result = await wrapped(*args, **kwargs)
        except BaseException as error:
            traced_call.failed(error)
            raise
        traced_call.returned(result)
        return result

    return call


@guarded(fallback=None)
def _begin(operation: Callable[[Any], Operation], instance: Any, *call: Any) -> TracedCall | None:
    return TracedCall.begin(operation(instance), instance, *call)


@guarded(fallback=contextlib.nullcontext())
def _inside(traced_call: TracedCall, silent: bool) -> contextlib.AbstractContextManager[object]:
    block = contextlib.ExitStack()
    block.callback(_leave, traced_call, silenced.set(silent or silenced.get()))
    traced_call.span.set_current()
    return block


@guarded(fallback=None)
def _leave(traced_call: TracedCall, token: Any) -> None:
    if reset(silenced, token):
        traced_call.span.unset_current()
