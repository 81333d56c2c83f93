"""The measured samples as medians, as a table and as a file."""

import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from .bench import Side
from .figures import Figure


_HEADINGS = ("", "ours", "SDK's", "floor", "untraced", "ours/floor", "SDK's/ours", "  to reach")
_WIDTHS = (-44, 9, 9, 9, 9, 12, 12, -30)

_PACKAGES = ("braintrust", "braintrust-mistral", "mistralai", "pydantic", "wrapt")


@dataclass(frozen=True)
class Line:
    """A figure with what was measured for it."""

    figure: Figure
    samples: Mapping[Side, Sequence[float]]

    def cost(self, side: Side) -> Sequence[float]:
        """What this side takes, over the untraced where the figure says so.

        Samples at one position were taken within seconds: what slowed the one down slowed the other down.
        """
        samples, untraced = self.samples.get(side), self.samples.get(Side.UNTRACED)
        if not samples or not untraced or not self.figure.over_untraced or side is Side.UNTRACED:
            return samples or ()
        return [sample - bare for sample, bare in zip(samples, untraced, strict=True)]

    def median(self, side: Side) -> float | None:
        """The median of its cost."""
        return _median(self.cost(side))

    def ratio(self, side: Side, to: Side) -> float | None:
        """How many times the one is the other."""
        if not self.cost(side) or not self.cost(to):
            return None
        return _median([one / other for one, other in zip(self.cost(side), self.cost(to), strict=True) if other])

    def reached(self) -> bool | None:
        """Whether ours is as low as it is to be, where it is to be."""
        ours, floors = self.median(Side.OURS), self.ratio(Side.OURS, Side.FLOOR)
        return None if ours is None else self.figure.reached(ours, floors)

    def as_json(self) -> dict[str, object]:
        """The line as the file has it."""
        return {
            "title": self.figure.title,
            "unit": self.figure.unit,
            "over_untraced": self.figure.over_untraced,
            "target": self.figure.target(),
            "reached": self.reached(),
            "medians": {side.value: self.median(side) for side in self.samples},
            "samples": {side.value: list(samples) for side, samples in self.samples.items()},
        }


def text(lines: Sequence[Line]) -> str:
    """Everything for a reader."""
    rows = [_HEADINGS, *(tuple(_cells(line)) for line in lines)]
    table = ["".join(map(_aligned, row, _WIDTHS)).rstrip() for row in rows]
    notes = [
        "* what it takes longer than the same call or stream untraced; the untraced column is what that takes",
        "SDK's: the module that the Braintrust SDK brings; floor: bare start_span and log of the same rows",
    ]
    about = [f"{name} {value}" for name, value in (_machine() | _versions()).items()]
    return "\n".join([*table, "", *notes, ", ".join(about)])


def write_json(lines: Sequence[Line], path: Path) -> None:
    """Everything for a program, samples included."""
    report = {"machine": _machine(), "versions": _versions(), "figures": [line.as_json() for line in lines]}
    path.write_text(json.dumps(report, indent=2) + "\n")


def _median(samples: Sequence[float]) -> float | None:
    return statistics.median(samples) if samples else None


def _cells(line: Line) -> Iterator[str]:
    figure = line.figure
    star = " *" if figure.over_untraced and Side.UNTRACED in line.samples else ""
    yield figure.title + (f", {figure.unit}" if figure.unit else "") + star
    yield from (_number(line.median(side)) for side in Side)
    yield _number(line.ratio(Side.OURS, Side.FLOOR))
    yield _number(line.ratio(Side.SDK, Side.OURS))
    yield "  " + figure.target() + {True: ": reached", False: ": MISSED", None: ""}[line.reached()]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.{0 if abs(value) >= 100 or value == int(value) else 2}f}"


def _aligned(cell: str, width: int) -> str:
    return cell.ljust(-width) if width < 0 else cell.rjust(width)


def _machine() -> dict[str, str]:
    return {
        "CPU": _processor(),
        "cores": str(os.cpu_count()),
        platform.python_implementation(): platform.python_version(),
        "on": platform.system(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {distribution.name: distribution.version for distribution in distributions()}
    return {name: found[name] for name in _PACKAGES if name in found}
