"""The pictures of traces: what the README shows."""

import contextlib
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from braintrust_mistral.local.braintrust.totals import totals_of
from braintrust_mistral.local.drawing.picture import BAR_WIDTH, save_picture, tree_of
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
    return path.read_text(encoding="utf-8")


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
    names = ["conversation-llm-spans", "conversation", "run", "streamed", "streamed-open"]
    assert sorted(picture.stem for picture in pictures) == sorted(names)
    assert all(ElementTree.parse(picture) and picture.stat().st_size < 60_000 for picture in pictures)


def test_what_is_open_is_drawn_as_open() -> None:
    trace = [{**TRACE[0], "metrics": {"start": 0.0}}, *TRACE[1:]]
    lines = tree_of(trace).plain.splitlines()
    assert lines[1].split()[-2:] == ["open", "━" * (BAR_WIDTH - 3) + "╌╌╌"]
    # Alone, there is nothing to tell how long it has been, and it is open all the same.
    assert tree_of(trace[:1]).plain.splitlines()[1].split()[-2:] == ["open", "━╌╌╌"]
    # As far as the clock says; what is over ends where it ended.
    lines = tree_of(trace, now=8.0).plain.splitlines()
    assert lines[0].split()[3:5] == ["0", "8.0"]
    assert lines[3].count("━") == BAR_WIDTH // 4
    assert tree_of(TRACE, now=8.0).plain == tree_of(TRACE).plain


def test_details_are_short_and_many_spans_are_some() -> None:
    trace = [{**TRACE[0], "input": {"text": "x" * 10_000}, "output": "answered"}, *TRACE[1:]]
    lines = tree_of(trace, details=True, width=80).plain.splitlines()
    assert lines[2].startswith('│  input: {"text": "xxx')
    assert lines[3] == "│  output: answered"
    assert max(map(len, lines)) <= 80
    many = [TRACE[0], *(span(str(n), 1.0, 2.0, "a <conversation>") for n in range(100))]
    lines = tree_of(many, max_spans=10).plain.splitlines()
    assert (len(lines), lines[-1]) == (12, "… and 91 more spans")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
IDS = st.sampled_from(["a", "b", "c", "d"])
HARD_NAMES = [
    *("\u65e5\u672c\u8a9e" * 15, "\x1b[31mred", "\u202eright to left"),
    *("line\nbreak", "\U0001f469\u200d\U0001f467", "\ud800"),
]
NAMES = st.text(max_size=40) | st.sampled_from(HARD_NAMES)
SPANS = st.fixed_dictionaries(
    {"id": IDS, "span_id": IDS},
    optional={
        "span_parents": st.lists(IDS, max_size=1) | ANYTHING,
        "span_attributes": st.fixed_dictionaries({"name": NAMES, "type": NAMES}) | ANYTHING,
        "metrics": st.dictionaries(st.sampled_from(["start", "end", "tokens"]), st.integers(0, 10)) | ANYTHING,
        "error": ANYTHING,
        "input": ANYTHING,
        "metadata": ANYTHING,
        "scores": ANYTHING,
    },
)


TRACES = st.lists(SPANS, min_size=1, max_size=6, unique_by=lambda drawn: drawn["span_id"])


WIDE_NAMES = {"name": "\u65e5\u672c\u8a9e" * 15, "type": "0000000\u65e5"}


@given(spans=TRACES, width=st.integers(65, 140))
@example(spans=[{"id": "a", "span_id": "a", "span_attributes": WIDE_NAMES}], width=65)
def test_whatever_a_trace_holds_is_drawn_within_the_terminal_and_commands_it_nothing(
    spans: list[dict[str, Any]], width: int
) -> None:
    text = tree_of(spans, width=width, details=True).plain
    lines = text.split("\n")
    assert sum("type" not in line and ("open" in line or "━" in line) for line in lines) >= len(spans) - 1
    assert not [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")]
    assert max(map(cell_len, lines)) <= width
    totals = totals_of(spans)
    assert (totals.spans, totals.tokens >= 0) == (len(spans), True)


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
    if is_terminal:
        import pty

        ours, its = pty.openpty()
    else:
        ours, its = os.pipe()
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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_a_trace_grows_in_a_terminal() -> None:
    screen = printed(is_terminal=True)
    assert screen.index("a <conversation>") < screen.index("search") < screen.index("book")
    assert "over True" in screen


def test_a_trace_does_not_grow_in_a_pipe() -> None:
    assert printed(is_terminal=False) == "over False\n"
