"""The pictures of traces: what the README shows."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from braintrust_mistral.local.drawing.picture import BAR_WIDTH, save_picture
from braintrust_mistral.local.drawing.svg import COLUMN


SVG = "{http://www.w3.org/2000/svg}"


def span(name: str, start: float, end: float, parent: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "span_id": name,
        "span_parents": [parent] if parent else None,
        "span_attributes": {"name": name, "type": "task", "exec_counter": start},
        "metrics": {"start": start, "end": end},
        **more,
    }


TRACE = [
    span("a <conversation>", 0.0, 4.0),
    span(
        "search", 1.0, 2.0, "a <conversation>", span_attributes={"name": "search", "type": "tool", "exec_counter": 1}
    ),
    span("book", 2.0, 4.0, "a <conversation>", error="Traceback ...\nValueError: no ferry"),
]


def drawn(folder: Path, name: str) -> str:
    path = folder / "pictures" / f"{name}.svg"
    save_picture(TRACE, path)
    return path.read_text()


def test_the_same_trace_is_the_same_bytes(tmp_path: Path) -> None:
    assert drawn(tmp_path, "one") == drawn(tmp_path, "other")


def test_bars_are_as_long_as_spans(tmp_path: Path) -> None:
    root = ElementTree.fromstring(drawn(tmp_path, "picture"))
    _, *bars = root.findall(f"{SVG}rect")
    whole = BAR_WIDTH * COLUMN
    assert [int(bar.attrib["width"]) for bar in bars] == [whole, whole // 4, whole // 2]
    begin = int(bars[0].attrib["x"])
    assert [int(bar.attrib["x"]) - begin for bar in bars] == [0, whole // 4, whole // 2]


def test_names_errors_and_kinds_are_told_apart(tmp_path: Path) -> None:
    root = ElementTree.fromstring(drawn(tmp_path, "picture"))
    classes = {text.text: text.attrib["class"] for text in root.findall(f"{SVG}text")}
    assert classes["a <conversation>"] == "cyan"
    assert classes["search"] == "yellow"
    assert classes["ValueError: no ferry"] == classes["book"] == "red"
    assert classes["tokens"] == "dim"


def test_it_is_light_and_dark_and_needs_no_other_file(tmp_path: Path) -> None:
    text = drawn(tmp_path, "picture")
    assert "@media(prefers-color-scheme:dark)" in text
    assert re.findall(r"https?://[^\"']*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"@import|@font-face|href", text)


def test_the_pictures_of_the_readme_are_small() -> None:
    pictures = sorted((Path(__file__).parents[2] / "examples/pictures").glob("*.svg"))
    assert [picture.stem for picture in pictures] == ["conversation", "run", "streamed"]
    assert all(ElementTree.parse(picture) and picture.stat().st_size < 60_000 for picture in pictures)


GROWING = """
import time
from braintrust_mistral.local.drawing.picture import growing_trace
from tests.local.test_local_picture import TRACE

asked = []

def arrived():
    asked.append(None)
    return [{**TRACE[0], "metrics": {"start": 0.0}}, *TRACE[1 : len(asked)]]

with growing_trace(arrived):
    while len(asked) < 4 and {is_watched}:
        time.sleep(0.05)
print("over", len(asked) > 0)
"""


def printed(is_terminal: bool) -> str:
    """Return what a program prints that draws a growing trace, to a terminal or into a pipe."""
    ours, its = pty.openpty() if is_terminal else os.pipe()
    code = GROWING.replace("{is_watched}", str(is_terminal))
    folder = Path(__file__).parent.parent.parent
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    with subprocess.Popen(command, stdout=its, cwd=folder, env=environment) as process:
        os.close(its)
        output = b""
        # A terminal that nobody writes to any more is an error on Linux, and an end elsewhere.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65_536):
                output += part
    os.close(ours)
    assert process.returncode == 0
    return output.decode()


def test_a_trace_grows_in_a_terminal() -> None:
    screen = printed(is_terminal=True)
    assert screen.index("a <conversation>") < screen.index("search") < screen.index("book")
    assert "over True" in screen


def test_a_trace_does_not_grow_in_a_pipe() -> None:
    assert printed(is_terminal=False) == "over False\n"
