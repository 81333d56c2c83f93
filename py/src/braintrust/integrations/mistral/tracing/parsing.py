"""The errors of `chat.parse`, which reads an answer after its call is over and may not be able to.

The SDK's `parse` makes an ordinary call of `complete`, whose span is closed when the answer is there. What `parse`
raises then is added to that span: there is no other.
"""

import contextvars
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from ..faults import guarded
from ..patching import Wrapper
from .spans import CallSpan


class _Parse:
    """A call of `parse` in progress, and the span of the call whose answer it reads."""

    def __init__(self) -> None:
        self.answered: CallSpan | None = None


_parse: contextvars.ContextVar[_Parse | None] = contextvars.ContextVar("parse", default=None)


@guarded(fallback=None)
def answered(span: CallSpan) -> None:
    """Know the span of a call that was answered, for the `parse` around it, if there is one.

    The first is its own: what validates the answer may ask a model as well.
    """
    parse = _parse.get()
    if parse is not None and parse.answered is None:
        parse.answered = span


@contextmanager
def _errors_on_the_answered_call() -> Generator[None, None, None]:
    parse = _Parse()
    token = _parse.set(parse)
    try:
        yield
    except BaseException as error:
        # What the call itself raised is on its span already, and is no answer.
        if parse.answered is not None:
            parse.answered.log_error(error)
        raise
    finally:
        _parse.reset(token)


def _trace_parse(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with _errors_on_the_answered_call():
        return wrapped(*args, **kwargs)


async def _trace_parse_async(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    with _errors_on_the_answered_call():
        return await wrapped(*args, **kwargs)


WRAPPERS: dict[str, Wrapper] = {"parse": _trace_parse, "parse_async": _trace_parse_async}
"""The wrappers of those methods of `client.chat` that read the answer; `parse_stream` leaves that to its caller."""
