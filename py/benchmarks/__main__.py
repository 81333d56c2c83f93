"""Measure all sides in turn, in processes of their own, and print the table."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from . import report
from .bench import Side
from .figures import FIGURES
from .workers import Worker, WorkerError


def main() -> int:
    """Run the benchmark; the exit status tells of missed targets only with ``--check``."""
    options = _options()
    samples: dict[str, dict[Side, list[float]]] = {title: {} for title in FIGURES}
    try:
        for _ in range(1 if options.quick else options.rounds):
            _round(options.sides, samples, quick=options.quick, slow=options.slow)
    except WorkerError as error:
        sys.exit(str(error))
    lines = [report.Line(FIGURES[title], measured) for title, measured in samples.items() if measured]
    print(report.text(lines))
    if options.json:
        report.write_json(lines, options.json)
    return int(options.check and any(line.reached() is False for line in lines))


def _round(sides: Sequence[Side], samples: dict[str, dict[Side, list[float]]], *, quick: bool, slow: bool) -> None:
    """Take turns figure by figure, so that whatever slows the machine down for a while slows all sides down."""
    with ExitStack() as stack:
        workers = {side: stack.enter_context(Worker(side)) for side in sides}
        for worker in workers.values():
            worker.wait()
        for title, figure in FIGURES.items():
            for repeat in range(1 if quick else figure.repeats):
                turns = [side for side in sides if side in figure.sides and (slow or side not in figure.slow)]
                for side in turns if repeat % 2 else reversed(turns):
                    samples[title].setdefault(side, []).append(workers[side].measure(title))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What tracing Mistral costs.")
    parser.add_argument("--rounds", type=int, default=5, help="how many times to start fresh processes (5)")
    parser.add_argument("--quick", action="store_true", help="one round, each figure measured once")
    parser.add_argument("--slow", action="store_true", help="have the SDK's own module stream 200,000 deltas as well")
    names = ", ".join(side.value for side in Side)
    parser.add_argument("--sides", type=Side, nargs="+", default=list(Side), metavar="SIDE", help=f"some of {names}")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the samples to a file too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
