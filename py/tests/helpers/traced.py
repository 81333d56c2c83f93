"""Programs that `python -m braintrust_mistral run` executes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


LOGS = "import braintrust\nwith braintrust.start_span(name='job', type='task') as span:\n    span.log(output='done')\n"
"""A program that logs one span, to a logger that it does not set up."""

RUN = [sys.executable, "-m", "braintrust_mistral", "run"]


class Traced:
    """A folder, in which programs run traced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self, **environ: str) -> dict[str, str]:
        """Return the environment of someone without an account, and with these variables."""
        return {name: os.environ[name] for name in os.environ if not name.startswith("BRAINTRUST")} | environ

    def write(self, code: str, name: str = "app.py") -> str:
        """Write a program, and return its name."""
        (self.folder / name).write_text(code, encoding="utf-8")
        return name

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start `run` with these arguments."""
        return subprocess.Popen(
            [*RUN, *arguments],
            cwd=self.folder,
            env=self.environment(**environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, given: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run `run` with these arguments to its end."""
        return subprocess.run(
            [*RUN, *arguments],
            cwd=self.folder,
            env=self.environment(**environ),
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def names(self, *arguments: str, status: int = 0, **environ: str) -> list[str]:
        """Run `run` with these arguments to this status, and return the names of the spans that arrived."""
        ran = self.run("--quiet", "--json", "rows.jsonl", *arguments, **environ)
        assert ran.returncode == status, ran.stderr
        rows = self.rows()
        return sorted(row["span_attributes"]["name"] for row in rows if "name" in row.get("span_attributes", {}))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows that `names` wrote."""
        return [json.loads(line) for line in (self.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
