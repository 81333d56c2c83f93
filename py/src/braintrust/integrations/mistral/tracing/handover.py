"""Ends spans from another place where this one may hold a lock of the SDK's, and knows the streams that are open.

A garbage collector runs at any moment, also while its thread is inside the lock of the SDK's log queue, and whatever
it finishes there (a dropped stream, a generator of the application with a stream in its `with`, a coroutine that
waited for a call) may end a span. Logging it there would wait for that lock forever. So it is handed over: to a thread
that lives as long as there is something to end, or to the next flush of the SDK's logger, which would miss it else.

Nothing here is made before it is needed: gevent and eventlet may replace locks and threads later than our import, and
a forked process needs its own.
"""

import _thread
import atexit
import functools
import gc
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import braintrust.logger
import wrapt

from ..faults import guarded
from ..operations import ToolCallKey


class Endable(Protocol):
    """What has a span that is still open."""

    def end(self) -> object:
        """End the span with what is known by now; never raises, and does nothing the second time."""
        ...

    def end_call(self, key: ToolCallKey) -> object:
        """Log the function call with this key, if it is arriving: somebody has answered it. Never raises."""
        ...


class _Collection(set[str]):
    """What is told of a collection by its collector: something while that runs, and else nothing.

    None of it is Python's own code: a handler of a signal could run there, and what that raised would be lost.
    """

    start: Any = property(fset=set.update)
    stop: Any = property(fset=set.difference_update)


_MOST_SECONDS_TO_WAIT = 5.0

_collection = _Collection()

_handed_over: deque[Callable[[], object]] = deque()
# Held while a thread ends what was handed over; by process, as a fork may leave a copy that nobody releases.
_working: dict[int, Any] = {}
_open: dict[int, "weakref.ref[Endable]"] = {}
# The thread that ends what was handed over.
_worker: int | None = None
_is_prepared = False
_ends_at_exit = False


def prepare() -> None:
    """Have flushes wait for what is handed over, and know when the collector runs; done once, by the first span."""
    global _is_prepared  # noqa: PLW0603
    if _is_prepared:
        return
    _is_prepared = True
    gc.callbacks.append(functools.partial(setattr, _collection))
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_open.clear)
    for name in ("_HTTPBackgroundLogger", "_MemoryBackgroundLogger"):
        logger = getattr(braintrust.logger, name, None)
        if hasattr(logger, "flush"):
            wrapt.wrap_function_wrapper(logger, "flush", _flush)


@guarded(fallback=True)
def may_open() -> bool:
    """Tell whether a span may be opened now: not in a collector that runs inside the lock of the log queue."""
    return not (_collection and _log_queue_is_locked())


@guarded(fallback=True)
def may_log() -> bool:
    """Tell whether this thread may log now: not in a collector, nor where it could hold the lock of the log queue."""
    return not _collection and not _log_queue_is_locked()


def hand_over(end: Callable[[], object]) -> None:
    """Have a span ended elsewhere, soon. Takes no lock and makes none that could be held: safe in a finalizer."""
    _handed_over.append(end)
    lock = _lock()
    if lock.acquire(blocking=False):
        try:
            _thread.start_new_thread(_work, (lock,))
        except RuntimeError:
            # No thread is to be had, as in an interpreter that exits; the flush there ends it.
            lock.release()


def watch(stream: Endable) -> None:
    """Know a stream to be open, and have it ended when the interpreter exits."""
    global _ends_at_exit  # noqa: PLW0603
    _open[id(stream)] = weakref.ref(stream)
    if not _ends_at_exit:
        _ends_at_exit = True
        # After the SDK's logger registered its own: the last registered runs first, and that one flushes.
        atexit.register(_finish)


def forget(stream: Endable) -> None:
    """Know a stream to be over."""
    _open.pop(id(stream), None)


def have_call_logged(key: ToolCallKey) -> bool:
    """Have a function call logged that somebody answers while its stream is open, or dropped and not ended yet.

    Returns whether there was any such stream.
    """
    streams = _open_streams()
    for stream in streams:
        stream.end_call(key)
    is_ending = bool(_handed_over) or _worker is not None
    if is_ending:
        _finish()
    return bool(streams) or is_ending


@guarded(fallback=None)
def end_open() -> None:
    """End the streams that are open, as at the exit of the interpreter."""
    for stream in _open_streams():
        stream.end()


def _open_streams() -> list[Endable]:
    streams = (reference() for reference in list(_open.values()))
    return [stream for stream in streams if stream is not None]


def _lock() -> Any:
    process = os.getpid()
    return _working.get(process) or _working.setdefault(process, threading.Lock())


def _work(lock: Any) -> None:
    global _worker  # noqa: PLW0603
    is_mine = True
    while is_mine:
        _worker = _thread.get_ident()
        _end_handed_over()
        _worker = None
        lock.release()
        # One may have come after the last look, and found the lock taken.
        is_mine = bool(_handed_over) and lock.acquire(blocking=False)


@guarded(fallback=None)
def _end_handed_over() -> None:
    while _handed_over:
        try:
            end = _handed_over.popleft()
        except IndexError:
            return
        _call(end)


@guarded(fallback=None)
def _call(end: Callable[[], object]) -> None:
    end()


def _flush(wrapped: Callable[..., Any], _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _finish()
    return wrapped(*args, **kwargs)


@guarded(fallback=None)
def _finish() -> None:
    """End what was handed over, and in an interpreter that exits all that is open: nobody will read on."""
    if not threading.main_thread().is_alive():
        end_open()
    _end_handed_over()
    lock = _working.get(os.getpid())
    # A thread may be about to log what it took before; a logger that does not batch flushes in that thread itself.
    if lock is None or _worker in (None, _thread.get_ident()) or not may_open():
        return
    # Bounded, as a flush must not hang.
    if lock.acquire(timeout=_MOST_SECONDS_TO_WAIT):
        lock.release()


def _log_queue_is_locked() -> bool:
    """Tell whether anyone holds the lock of the SDK's log queue, or is about to make that."""
    logger = getattr(braintrust.logger._state, "_global_bg_logger", None)  # pyright: ignore[reportPrivateUsage]
    if logger is None:
        return False
    if not logger.has_succeeded:
        return logger.mutex is not None and logger.mutex.locked()
    queue = getattr(logger.value, "queue", None)
    mutex = getattr(queue, "_mutex", None)
    return mutex is not None and mutex.locked()
