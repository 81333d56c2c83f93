"""The measured samples as medians and ratios, as a table and as a file."""

import json
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .figures import Figure
from .sides import Side


_OTHERS = (Side.SDK, Side.NATIVE, Side.OPENINFERENCE)
_COLUMNS = (Side.OURS, Side.FLOOR, Side.SDK, Side.NATIVE, Side.OPENINFERENCE, Side.UNTRACED)
_HEADINGS = ("", "ours", "floor", "SDK's", "native", "openinference", "untraced", "ours/floor", "  to reach")
_WIDTHS = (-54, 9, 9, 17, 17, 17, 10, 12, -30)

_NOTES = """\
* what it takes longer than the same call or stream untraced; the untraced column is what that takes
(2x): twice what ours takes; floor: bare start_span and log of the same rows; SDK's: the module that the Braintrust SDK
brings; native: the Mistral client's own OpenTelemetry tracing; openinference: openinference-instrumentation-mistralai;
both with an exporter in memory"""


@dataclass(frozen=True)
class Line:
    """A figure with what was measured for it."""

    figure: Figure
    samples: Mapping[Side, Sequence[float]]

    def cost(self, side: Side) -> Sequence[float]:
        """Return what this side takes, over the untraced where the figure says so.

        Samples at one position were taken within seconds: what slowed the one down slowed the other down.
        """
        samples, untraced = self.samples.get(side), self.samples.get(Side.UNTRACED)
        if not samples or not untraced or not self.figure.over_untraced or side is Side.UNTRACED:
            return samples or ()
        return [sample - bare for sample, bare in zip(samples, untraced, strict=True)]

    def median(self, side: Side) -> float | None:
        """Return the median of its cost."""
        return _median(self.cost(side))

    def ratio(self, side: Side, to: Side) -> float | None:
        """Return how many times the one is the other."""
        if not self.cost(side) or not self.cost(to):
            return None
        return _median([one / other for one, other in zip(self.cost(side), self.cost(to), strict=True) if other])

    def reached(self) -> bool | None:
        """Return whether ours is as low as it is to be, where it is to be."""
        ours, floors = self.median(Side.OURS), self.ratio(Side.OURS, Side.FLOOR)
        others = [ratio for side in _OTHERS if (ratio := self.ratio(side, Side.OURS)) is not None]
        return None if ours is None else self.figure.reached(ours, floors, others)

    def as_json(self) -> dict[str, object]:
        """Return the line as the file has it."""
        return {
            "title": self.figure.title,
            "unit": self.figure.unit,
            "over_untraced": self.figure.over_untraced,
            "target": self.figure.target(),
            "reached": self.reached(),
            "medians": {side.value: self.median(side) for side in self.samples},
            "times_ours": {side.value: self.ratio(side, Side.OURS) for side in self.samples},
            "ours_in_floors": self.ratio(Side.OURS, Side.FLOOR),
            "samples": {side.value: list(samples) for side, samples in self.samples.items()},
        }


@dataclass(frozen=True)
class Report:
    """All that was measured, where, and with what."""

    lines: Sequence[Line]
    machine: Mapping[str, str]
    versions: Mapping[str, str]

    def about(self) -> str:
        """Return the machine and the versions in words."""
        return ", ".join(f"{name} {value}" for name, value in [*self.machine.items(), *self.versions.items()])

    def as_text(self) -> str:
        """Return everything for a reader."""
        rows = [_HEADINGS, *(tuple(_cells(line)) for line in self.lines)]
        table = ["".join(map(_aligned, row, _WIDTHS)).rstrip() for row in rows]
        return "\n".join([*table, "", _NOTES, self.about()])

    def as_json(self) -> str:
        """Return everything for a program, samples included."""
        figures = [line.as_json() for line in self.lines]
        return json.dumps({"machine": self.machine, "versions": self.versions, "figures": figures}, indent=2) + "\n"


def machine() -> dict[str, str]:
    """Return what the figures were taken on."""
    return {
        "CPU": _processor(),
        "cores": str(os.cpu_count()),
        platform.python_implementation(): platform.python_version(),
        "on": platform.system(),
    }


def number(value: float | None) -> str:
    """Return a measured value as a reader wants it."""
    if value is None:
        return "-"
    return f"{value:,.{0 if abs(value) >= 100 or value == int(value) else 2}f}"


def _median(samples: Sequence[float]) -> float | None:
    return statistics.median(samples) if samples else None


def _cells(line: Line) -> Iterator[str]:
    figure = line.figure
    star = " *" if figure.over_untraced and Side.UNTRACED in line.samples else ""
    yield figure.title + (f", {figure.unit}" if figure.unit else "") + star
    for side in _COLUMNS:
        ratio = line.ratio(side, Side.OURS)
        is_compared = ratio is not None and side in _OTHERS
        yield number(line.median(side)) + (f" ({number(ratio)}x)" if is_compared else "")
    yield number(line.ratio(Side.OURS, Side.FLOOR))
    yield "  " + figure.target() + {True: ": reached", False: ": MISSED", None: ""}[line.reached()]


def _aligned(cell: str, width: int) -> str:
    return cell.ljust(-width) if width < 0 else cell.rjust(width)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
