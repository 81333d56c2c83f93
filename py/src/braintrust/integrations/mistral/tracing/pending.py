"""Function calls that wait for their results, which a later request brings."""

import os
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from ..operations import ToolCallKey


T = TypeVar("T")


class PendingToolCalls(Generic[T]):
    """What is known of function calls whose results have not been seen yet: at most `limit`, the oldest dropped.

    Dropping one loses only what would have been added to it: its span was logged, with an end, when it was made.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._calls: OrderedDict[ToolCallKey, T] = OrderedDict()
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, key: ToolCallKey, call: T) -> None:
        """Let a call wait."""
        with self._lock:
            self._calls[key] = call
            self._calls.move_to_end(key)
            if len(self._calls) > self._limit:
                self._calls.popitem(last=False)

    def find(self, key: ToolCallKey) -> T | None:
        """Return a waiting call, which goes on waiting."""
        return self._calls.get(key)

    def take(self, key: ToolCallKey) -> T | None:
        """Return a waiting call, which waits no longer."""
        with self._lock:
            return self._calls.pop(key, None)

    def _renew_lock(self) -> None:
        # Another thread may have held it when this process was forked.
        self._lock = threading.Lock()


class EarlySettlements(PendingToolCalls[T]):
    """What was sent for function calls whose stream is not over; kept only while there are open streams.

    An application may answer a call as soon as it has read it, and a stream that it then drops ends a little later.
    """

    def opened(self) -> None:
        """Take note of a stream, which may bring calls."""
        with self._lock:
            self.streams += 1

    def closed(self) -> None:
        """Take note of the end of a stream, whose calls are known now."""
        with self._lock:
            self.streams -= 1
            # What nobody waits for any more belongs to calls of other processes.
            if self.streams <= 0:
                self._calls.clear()

    def add(self, key: ToolCallKey, call: T) -> None:
        """Keep what was sent for a call first."""
        if self.streams > 0 and key not in self._calls:
            super().add(key, call)

    def _renew_lock(self) -> None:
        super()._renew_lock()
        # A forked child does not end its parent's streams.
        self.streams = 0
        """How many streams are open; one that was dropped is, until it has been ended."""
