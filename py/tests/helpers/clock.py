"""A clock for the thread of a test alone: a server's event loop in another one would go by it, and wait for hours."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from unittest import mock


@contextlib.contextmanager
def monotonic_clock(read: Callable[[], float]) -> Iterator[None]:
    """Have `time.monotonic` return in this thread what a function does."""
    monotonic, thread = time.monotonic, threading.get_ident()

    def clock() -> float:
        return read() if threading.get_ident() == thread else monotonic()

    with mock.patch("time.monotonic", clock):
        yield
