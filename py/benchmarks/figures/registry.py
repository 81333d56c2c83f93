"""The lines of the table."""

from collections.abc import Callable
from dataclasses import dataclass

from ..bench import Bench
from ..sides import OPENTELEMETRY, Side


@dataclass(frozen=True)
class Figure:
    """One line of the table: what is measured, on which sides, and what is to be reached."""

    title: str
    unit: str
    measure: Callable[[Bench], float]
    sides: tuple[Side, ...]
    at_most: float | None
    at_most_floors: float | None
    over_untraced: bool
    repeats: int
    slow: tuple[Side, ...]

    def target(self) -> str:
        """What is to be reached, in words."""
        limits = [f"{self.at_most:g} {self.unit}".rstrip()] if self.at_most is not None else []
        limits += [f"{self.at_most_floors:g} floors"] if self.at_most_floors is not None else []
        return "≤ " + " or ".join(limits) if limits else ""

    def reached(self, ours: float, floors: float | None) -> bool | None:
        """Whether it is by ours, which is so many floors, where something is to be."""
        limits = ((ours, self.at_most), (floors, self.at_most_floors))
        reached = [value <= limit for value, limit in limits if value is not None and limit is not None]
        return any(reached) if reached else None


TRACED = (Side.OURS, Side.SDK)
BESIDE_FLOOR = (*TRACED, Side.FLOOR)
STREAMED = (*TRACED, Side.UNTRACED)
EVERY = (*BESIDE_FLOOR, Side.UNTRACED)
# The SDK's own module shows no model calls.
SHOWN = (Side.OURS, Side.FLOOR, Side.UNTRACED)
STREAMED_CHATS = (*TRACED, *OPENTELEMETRY)
CHATS = (*BESIDE_FLOOR, *OPENTELEMETRY)
# openinference knows no conversations.
CONVERSATIONS = (*BESIDE_FLOOR, Side.NATIVE)

FIGURES: dict[str, Figure] = {}


def figure(
    title: str,
    unit: str,
    *,
    sides: tuple[Side, ...],
    at_most: float | None = None,
    at_most_floors: float | None = None,
    over_untraced: bool = False,
    repeats: int = 3,
    slow: tuple[Side, ...] = (),
) -> Callable[[Callable[[Bench], float]], Callable[[Bench], float]]:
    """Make a line of the table out of the function that measures it."""

    def add(measure: Callable[[Bench], float]) -> Callable[[Bench], float]:
        FIGURES[title] = Figure(title, unit, measure, sides, at_most, at_most_floors, over_untraced, repeats, slow)
        return measure

    return add
