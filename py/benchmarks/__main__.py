"""Measure all sides in turn, in processes of their own, and print the table."""

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from . import chart, report
from .figures import FIGURES
from .sides import OPENTELEMETRY, Side
from .workers import Worker, WorkerError


def main() -> int:
    """Run the benchmark; the exit status tells of missed targets only with ``--check``."""
    options = _options()
    pythons = _pythons(options)
    samples: dict[str, dict[Side, list[float]]] = {title: {} for title in FIGURES}
    versions: dict[str, str] = {}
    try:
        for _ in range(1 if options.quick else options.rounds):
            versions |= _round(pythons, samples, quick=options.quick, slow=options.slow)
    except WorkerError as error:
        sys.exit(str(error))
    lines = [report.Line(FIGURES[title], measured) for title, measured in samples.items() if measured]
    measured = report.Report(lines, report.machine(), versions)
    print(measured.as_text())
    if options.json:
        options.json.write_text(measured.as_json(), encoding="utf-8")
    if options.svg:
        options.svg.write_text(chart.svg(measured), encoding="utf-8")
    return int(options.check and any(line.reached() is False for line in lines))


def _round(
    pythons: Mapping[Side, str], samples: dict[str, dict[Side, list[float]]], *, quick: bool, slow: bool
) -> dict[str, str]:
    """Take turns figure by figure, so that whatever slows the machine down for a while slows all sides down.

    Returns what the processes measured with: packages' versions.
    """
    with ExitStack() as stack:
        workers = {side: stack.enter_context(Worker(side, python, quick=quick)) for side, python in pythons.items()}
        versions = {name: version for worker in workers.values() for name, version in worker.wait().items()}
        for title, figure in FIGURES.items():
            for repeat in range(1 if quick else figure.repeats):
                turns = [side for side in pythons if side in figure.sides and (slow or side not in figure.slow)]
                for side in turns if repeat % 2 else reversed(turns):
                    samples[title].setdefault(side, []).append(workers[side].measure(title))
    return versions


def _pythons(options: argparse.Namespace) -> dict[Side, str]:
    """Return the interpreter of each side to be measured; the sides without one are left out, which is said."""
    pythons = {side: sys.executable for side in options.sides if side not in OPENTELEMETRY}
    for side in OPENTELEMETRY:
        python: str | None = getattr(options, side.value)
        if side in options.sides and python:
            pythons[side] = python
        elif side in options.sides:
            print(f"{side.value} is left out: --{side.value} names no Python that has it", file=sys.stderr)
    return pythons


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What tracing Mistral costs.")
    parser.add_argument("--rounds", type=int, default=5, help="how many times to start fresh processes (5)")
    parser.add_argument("--quick", action="store_true", help="hardly measure: shows that all of it runs, and no more")
    parser.add_argument("--slow", action="store_true", help="let the SDK's own module do what takes it minutes, too")
    names = ", ".join(side.value for side in Side)
    parser.add_argument("--sides", type=Side, nargs="+", default=list(Side), metavar="SIDE", help=f"some of {names}")
    parser.add_argument("--native", metavar="PYTHON", help="one that has mistralai and opentelemetry-sdk")
    package = "openinference-instrumentation-mistralai"
    parser.add_argument("--openinference", metavar="PYTHON", help=f"one that has these and {package}")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the samples to a file too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw some of the figures as a bar chart")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
