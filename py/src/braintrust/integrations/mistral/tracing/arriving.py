"""Children of a call that is still going on, logged as soon as each is there."""

from collections.abc import Iterator
from typing import Any, Protocol

from ..operations import Arrival, Child, Outcome
from .spans import CallSpan


class Reader(Protocol):
    """Reads what arrives, piece by piece."""

    def add(self, piece: Any, /) -> Iterator[Child]:
        """Yield what is whole with this piece."""
        ...

    def finish(self) -> Iterator[Child]:
        """Yield what is left in the end."""
        ...

    def outcome(self) -> Outcome:
        """Return what the call logs in the end."""
        ...


class ArrivingChildren:
    """An accumulator that logs what its reader finds."""

    first_output = None

    def __init__(self, reader: Reader, span: CallSpan) -> None:
        self._reader = reader
        self._span = span

    def add(self, event: Any) -> None:
        """Log what is whole with this piece."""
        for child in self._reader.add(event):
            self._span.log_result(child)

    def response(self) -> Outcome:
        """Log what is left, and return what the call logs."""
        for child in self._reader.finish():
            self._span.log_result(child)
        return self._reader.outcome()

    def arrivals(self) -> dict[int, Arrival]:
        """Return none: children that are logged already."""
        return {}
