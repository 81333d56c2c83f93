"""Function calls that wait for their results, which a later request brings."""

import os
import threading
from collections import OrderedDict

from braintrust.logger import Span

from .operations import CallKey


class PendingCalls:
    """The spans of function calls whose results have not been seen yet: at most `limit`, the oldest dropped.

    Dropping one loses only what would have been added to it: its span was logged, with an end, when it was made.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._spans: OrderedDict[CallKey, Span] = OrderedDict()
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def __len__(self) -> int:
        return len(self._spans)

    def add(self, key: CallKey, span: Span) -> None:
        """Let a call wait."""
        with self._lock:
            self._spans[key] = span
            self._spans.move_to_end(key)
            if len(self._spans) > self._limit:
                self._spans.popitem(last=False)

    def find(self, key: CallKey) -> Span | None:
        """Return the span of a waiting call, which goes on waiting."""
        return self._spans.get(key)

    def take(self, key: CallKey) -> Span | None:
        """Return the span of a waiting call, which waits no longer."""
        with self._lock:
            return self._spans.pop(key, None)

    def _renew_lock(self) -> None:
        # Another thread may have held it when this process was forked.
        self._lock = threading.Lock()
