"""Function calls that wait for their results, which a later request brings."""

import os
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from .operations import CallKey


T = TypeVar("T")


class PendingCalls(Generic[T]):
    """What is known of function calls whose results have not been seen yet: at most `limit`, the oldest dropped.

    Dropping one loses only what would have been added to it: its span was logged, with an end, when it was made.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._calls: OrderedDict[CallKey, T] = OrderedDict()
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, key: CallKey, call: T) -> None:
        """Let a call wait."""
        with self._lock:
            self._calls[key] = call
            self._calls.move_to_end(key)
            if len(self._calls) > self._limit:
                self._calls.popitem(last=False)

    def find(self, key: CallKey) -> T | None:
        """Return a waiting call, which goes on waiting."""
        return self._calls.get(key)

    def take(self, key: CallKey) -> T | None:
        """Return a waiting call, which waits no longer."""
        with self._lock:
            return self._calls.pop(key, None)

    def _renew_lock(self) -> None:
        # Another thread may have held it when this process was forked.
        self._lock = threading.Lock()
