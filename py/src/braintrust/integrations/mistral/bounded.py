"""A map that drops what is oldest, for what waits for something that may never come."""

import contextlib
import sys
from typing import Any, Generic, NamedTuple, TypeVar

from braintrust.logger import BaseAttachment

from .media import bytes_in_memory
from .payloads import Loggable


K = TypeVar("K")
V = TypeVar("V")


class _Entry(NamedTuple):
    # Python 3.10 has no generic named tuples.
    value: Any
    size: int


class BoundedMap(Generic[K, V]):
    """A map of at most `most_entries`, of which the oldest is dropped first.

    It has no lock: a garbage collector may end a span in the middle of any of its steps, and another thread may have
    forked this process there. Each step is atomic by itself, and a bound that two threads pass together is kept by
    whichever of them comes last.

    Args:
        most_entries: how many entries it holds.
        most_bytes: how many bytes they hold together, by the sizes that `set` is told.
    """

    def __init__(self, most_entries: int = 1024, *, most_bytes: int | None = None) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._entries: dict[K, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return what is held under a key, and go on holding it."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def pop(self, key: K) -> V | None:
        """Return what is held under a key, and hold it no longer."""
        entry = self._entries.pop(key, None)
        return None if entry is None else entry.value

    def set(self, key: K, value: V, size: int = 0) -> None:
        """Hold a value of `size` bytes under a key, as the newest; one that is too large for the map is not held."""
        self._entries.pop(key, None)
        self._entries[key] = _Entry(value, size)
        self._drop_oldest()

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()

    def _drop_oldest(self) -> None:
        while len(self._entries) > self._most_entries:
            # Another thread may change the map meanwhile.
            with contextlib.suppress(StopIteration, RuntimeError):
                self.pop(next(iter(self._entries)))
        if self._most_bytes is None:
            return
        entries = list(self._entries.items())
        size = sum(entry.size for _, entry in entries)
        for key, entry in entries:
            if size <= self._most_bytes:
                return
            self.pop(key)
            size -= entry.size


def size_of(value: Loggable) -> int:
    """Return how many bytes a loggable value holds, as far as its texts and attachments go, and roughly beyond."""
    size = 0
    rest: list[Loggable] = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest += [*item, *item.values()]
        elif isinstance(item, list):
            rest += item
        # Nearly all are texts, and to ask an abstract class takes long.
        elif not isinstance(item, str) and isinstance(item, BaseAttachment):
            size += len(bytes_in_memory(item) or b"")
        size += sys.getsizeof(item)
    return size
