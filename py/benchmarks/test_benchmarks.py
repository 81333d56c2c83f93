"""The benchmark as `make bench` runs it, but quick, and without the sides that take an environment of their own."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from .chart import ROWS
from .figures import FIGURES
from .sides import OPENTELEMETRY


def test_every_figure_is_measured_on_every_side_and_reported(tmp_path: Path) -> None:
    in_json, in_svg = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, "-m", "benchmarks", "--quick", f"--json={in_json}", f"--svg={in_svg}"]
    run = subprocess.run(command, check=False, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert [title for title in FIGURES if f"\n{title}" not in run.stdout] == []
    measured = {
        figure["title"]: set(figure["samples"])
        for figure in json.loads(in_json.read_text(encoding="utf-8"))["figures"]
    }
    assert measured == {
        title: {side.value for side in figure.sides if side not in {*OPENTELEMETRY, *figure.slow}}
        for title, figure in FIGURES.items()
    }
    assert set(ROWS) <= {text.text for text in ElementTree.parse(in_svg).iter("{http://www.w3.org/2000/svg}text")}
