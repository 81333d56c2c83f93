"""The guard around our own code: a fault in tracing is reported once, and the call goes on."""

import contextlib
import functools
import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar


P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F")

_logger = logging.getLogger(__name__.rpartition(".")[0])

_MAX_REPORTED = 1024
_reported: set[tuple[type[BaseException], str, int]] = set()


def guarded(fallback: F) -> Callable[[Callable[P, T]], Callable[P, T | F]]:
    """Decorate what must never raise: where it raises an `Exception`, that is reported, and `fallback` returned.

    For our own code only: the provider's call is never made in a function that is decorated so.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T | F]:
        @functools.wraps(function)
        def call(*args: "P.args", **kwargs: "P.kwargs") -> "T | F":
            try:
                return function(*args, **kwargs)
            except Exception:
                report_fault()
                return fallback

        return call

    return decorate


def report_fault() -> None:
    """Log the exception being handled, with its traceback, unless one like it from the same line was logged before."""
    kind, error, traceback = sys.exc_info()
    if kind is None or error is None:
        return
    # Logging calls the application's handlers, which may raise.
    with contextlib.suppress(Exception):
        fault = (kind, *_origin(traceback))
        if fault in _reported or len(_reported) >= _MAX_REPORTED:
            return
        _reported.add(fault)
        _logger.warning("Tracing a Mistral call failed; the call itself is not affected.", exc_info=error)


def _origin(traceback: TracebackType | None) -> tuple[str, int]:
    """Return the file and line that raised."""
    file, line = "", 0
    while traceback is not None:
        file, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return file, line
