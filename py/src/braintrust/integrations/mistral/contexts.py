"""Context variables that are set for a while, by what may be left in the context of someone else."""

import contextlib
import contextvars
from typing import TypeVar

from .faults import guarded


T = TypeVar("T")


@guarded(fallback=contextlib.nullcontext())
def holding(variable: contextvars.ContextVar[T], value: T) -> contextlib.AbstractContextManager[object]:
    """Have a variable hold a value until what is returned is left."""
    block = contextlib.ExitStack()
    block.callback(reset, variable, variable.set(value))
    return block


@guarded(fallback=False)
def reset(variable: contextvars.ContextVar[T], token: contextvars.Token[T]) -> bool:
    """Have a variable hold what it held before, and return whether this is the context where it was set.

    A coroutine that nobody waits for any more is closed wherever the garbage collector runs: that is the context of
    someone else, where nothing was set.
    """
    try:
        variable.reset(token)
    except ValueError:
        return False
    return True
