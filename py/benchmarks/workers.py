"""The measured processes: each takes one side, then measures the figures that it is asked for, one a line."""

import json
import os
import subprocess
import sys
from importlib.metadata import distributions

from .bench import Bench
from .figures import FIGURES
from .sides import Side, SideError


_PACKAGES = (
    "braintrust",
    "braintrust-mistral",
    "mistralai",
    "httpx2",
    "pydantic",
    "wrapt",
    "opentelemetry-sdk",
    "openinference-instrumentation-mistralai",
)


class WorkerError(Exception):
    """A measured process has ended before its time; what it had to say is on standard error."""


class Worker:
    """A process of one side, idle until it is asked, run by this Python."""

    def __init__(self, side: Side, python: str, *, quick: bool) -> None:
        self.side = side
        # Whatever the caller's environment says, nothing goes to Braintrust and imports find their bytecode.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BRAINTRUST_")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        # The floor's rows are ours.
        if side not in (Side.OURS, Side.FLOOR):
            environment["BRAINTRUST_MISTRAL_OVERLAY"] = "0"
        self._process = subprocess.Popen(
            [python, "-m", __name__, side.value, *(["quick"] if quick else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def wait(self) -> dict[str, str]:
        """Wait until it is idle, and return the versions of what it measures with."""
        return json.loads(self._line("preparing itself"))

    def measure(self, title: str) -> float:
        """Have it measure the figure of this title once."""
        assert self._process.stdin, "it is a pipe"
        self._process.stdin.write(title + "\n")
        self._process.stdin.flush()
        return json.loads(self._line(f"measuring {title!r}"))

    def _line(self, purpose: str) -> str:
        assert self._process.stdout, "it is a pipe"
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"the process of side {self.side.value!r} has ended {purpose}")
        return line

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def main(side: Side, *, quick: bool) -> None:
    """Measure what standard input asks for until it ends."""
    try:
        bench = Bench(side, quick=quick)
        print(json.dumps(_versions()), flush=True)
        for line in sys.stdin:
            print(json.dumps(FIGURES[line.strip()].measure(bench)), flush=True)
    except SideError as reason:
        sys.exit(str(reason))


def _versions() -> dict[str, str]:
    found = {distribution.name: distribution.version for distribution in distributions()}
    return {name: found[name] for name in _PACKAGES if name in found}


if __name__ == "__main__":
    main(Side(sys.argv[1]), quick="quick" in sys.argv[2:])
