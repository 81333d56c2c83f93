"""Whose tracing is measured, and what the measuring needs of each."""

from enum import Enum
from typing import Protocol


class Side(str, Enum):
    """Whose tracing a process measures."""

    OURS = "ours"
    SDK = "sdk"
    FLOOR = "floor"
    NATIVE = "native"
    OPENINFERENCE = "openinference"
    UNTRACED = "untraced"


OPENTELEMETRY = (Side.NATIVE, Side.OPENINFERENCE)
"""The sides whose spans are OpenTelemetry's; each needs an environment that has its packages."""


class SideError(Exception):
    """The process does not trace as its side should."""


class Log(Protocol):
    """Where a side leaves what it traced."""

    def open(self) -> None:
        """Have the calls from now on traced."""
        ...

    def close(self) -> None:
        """Have them traced no more, where that can be."""
        ...

    def clear(self) -> None:
        """Forget what was traced."""
        ...

    def records(self) -> int:
        """Count what was traced: Braintrust's log records, or OpenTelemetry's spans."""
        ...

    def sent_bytes(self) -> int:
        """Return how many bytes of it would go to Braintrust."""
        ...
