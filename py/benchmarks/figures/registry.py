"""The lines of the table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..bench import Bench
from ..sides import OPENTELEMETRY, Side


@dataclass(frozen=True)
class Figure:
    """One line of the table: what is measured, on which sides, and what is to be reached.

    Attributes:
        at_most: what ours is to be at most,
        at_most_floors: or how many times the floor.
        ahead: whether ours is to be less than that of everybody else.
        over_untraced: whether it is what is added to the same thing untraced.
        repeats: how often a round measures it.
        slow: the sides that take minutes.
    """

    title: str
    unit: str
    measure: Callable[[Bench], float]
    sides: tuple[Side, ...]
    at_most: float | None
    at_most_floors: float | None
    ahead: bool
    over_untraced: bool
    repeats: int
    slow: tuple[Side, ...]

    def target(self) -> str:
        """Return what is to be reached, in words."""
        limits = [f"{self.at_most:g} {self.unit}".rstrip()] if self.at_most is not None else []
        limits += [f"{self.at_most_floors:g} floors"] if self.at_most_floors is not None else []
        return "≤ " + " or ".join(limits) if limits else "ahead of all" if self.ahead else ""

    def reached(self, ours: float, floors: float | None, others: Sequence[float]) -> bool | None:
        """Return whether it is by ours, which is so many floors, beside the others' so many times ours.

        `None` where nothing is to be reached, or nothing was measured to compare with.
        """
        limits = ((ours, self.at_most), (floors, self.at_most_floors))
        reached = [value <= limit for value, limit in limits if value is not None and limit is not None]
        if self.ahead and others:
            reached.append(min(others) > 1)
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
    ahead: bool = False,
    over_untraced: bool = False,
    repeats: int = 3,
    slow: tuple[Side, ...] = (),
) -> Callable[[Callable[[Bench], float]], Callable[[Bench], float]]:
    """Make a line of the table out of the function that measures it."""

    def add(measure: Callable[[Bench], float]) -> Callable[[Bench], float]:
        FIGURES[title] = Figure(
            title, unit, measure, sides, at_most, at_most_floors, ahead, over_untraced, repeats, slow
        )
        return measure

    return add
