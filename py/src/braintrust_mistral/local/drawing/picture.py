"""Draws traces in the terminal: a tree, and beside each span a bar that shows when it ran."""

import contextlib
import json
import sys
import time
import unicodedata
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.text import Text

from braintrust_mistral.local.braintrust.rows import orderly
from braintrust_mistral.local.drawing.svg import draw
from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.screen import Screen


BAR_WIDTH = 44
NAME_WIDTH = 60
"""How wide the names of spans may be, their guides included."""

_NARROWEST_BAR, _NARROWEST_NAME = 12, 24
_COLORS = {"task": "cyan", "llm": "green", "tool": "yellow"}
_FADE = "╌╌╌"


class _Line(NamedTuple):
    guide: str
    below: str
    span: Json


class _Columns(NamedTuple):
    """How wide the columns are that differ, and the times of the first and the last column of the bars."""

    name: int
    kind: int
    bar: int
    start: float
    end: float

    @property
    def width(self) -> int:
        """The width of a line."""
        return self.name + self.kind + self.bar + 21


def show_trace(spans: Sequence[Json]) -> None:
    """Print one trace: its spans as `LocalBraintrust.spans()` returns them."""
    screen = Screen(sys.stdout, live=False)
    screen.say(tree_of(spans, width=screen.width))


@contextlib.contextmanager
def growing_trace(spans: Callable[[], Sequence[Json]]) -> Generator[None, None, None]:
    """Draw a trace again and again while it grows, where the output is a terminal for it; then it is wiped away.

    `spans` returns what has arrived of it.
    """
    console = Console()
    if not (console.is_terminal and console.encoding.startswith("utf")):
        yield
        return

    def picture() -> Text:
        arrived = spans()
        has_root = any(not span.get("span_parents") for span in arrived)
        return tree_of(arrived, now=time.time(), width=console.width) if has_root else Text("")

    with Live(get_renderable=picture, console=console, refresh_per_second=5, transient=True):
        yield


def save_picture(spans: Sequence[Json], path: Path) -> None:
    """Save one trace as SVG, light or dark as the reader likes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(picture_of(spans), encoding="utf-8")


def picture_of(spans: Sequence[Json]) -> str:
    """Return one trace as SVG, light or dark as the reader likes it."""
    return draw(tree_of(spans), "A trace: its spans as a tree, and when each of them ran")


def tree_of(
    spans: Sequence[Json],
    *,
    now: float | None = None,
    details: bool = False,
    width: int | None = None,
    max_spans: int | None = None,
) -> Text:
    """Return one trace as lines: per span its name, type, duration, bar and tokens, and its error in red below.

    A span that has not ended is drawn as open: the word in the place of its duration, and a bar that fades out.

    Args:
        spans: of one trace, at least one. Those whose parent is not among them are drawn as roots.
        now: until when, in Unix seconds, what is open has run; the latest time in the trace if that is None.
        details: whether to add each span's input and output, shortened.
        width: how wide the lines should be, in columns of a terminal; as wide as it takes if that is None.
        max_spans: how many spans to draw; a last line says how many more there are.
    """
    spans = [orderly(span) for span in spans]
    lines = list(_lines(spans))
    shown = lines[:max_spans]
    until = now if now is not None and any(_end(span) is None for span in spans) else 0.0
    columns = _columns(shown, min(map(_start, spans)), max([*map(_latest, spans), until]), width)
    scale = f"0{columns.end - columns.start:>{columns.bar - 3}.1f} s"
    heading = f"{'span':{columns.name}}  {'type':{columns.kind}}  {'seconds':>7}  {scale}  {'tokens':>6}"
    picture = Text(f"{heading}\n", style="dim", no_wrap=True, overflow="crop")
    for line in shown:
        _draw_line(picture, line, columns)
        for field in ("input", "output") if details else ():
            if line.span.get(field) is not None:
                _draw_below(picture, line, f"{field}: {_text_of(line.span[field])}", columns, "dim")
        if error := line.span.get("error"):
            _draw_below(picture, line, _summary(error), columns, "not dim red")
    if len(shown) < len(lines):
        picture.append(f"… and {len(lines) - len(shown)} more spans\n", style="dim")
    picture.rstrip()
    return picture


def printable(text: object) -> str:
    """Return the text without what a terminal would obey: a trace is others' input."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in str(text))


def _columns(lines: Sequence[_Line], start: float, end: float, width: int | None) -> _Columns:
    name = min(max(len("span"), *(cell_len(line.guide + _name(line.span)) for line in lines)), NAME_WIDTH)
    columns = _Columns(name, max(5, *(cell_len(_kind(line.span)) for line in lines)), BAR_WIDTH, start, end)
    if width is None or columns.width <= width:
        return columns
    bar = max(_NARROWEST_BAR, BAR_WIDTH - (columns.width - width))
    columns = columns._replace(bar=bar)
    return columns._replace(name=max(min(name, _NARROWEST_NAME), name - max(columns.width - width, 0)))


def _draw_line(picture: Text, line: _Line, columns: _Columns) -> None:
    span = line.span
    style = "red" if span.get("error") else _COLORS.get(_kind(span), "white")
    ended = _end(span)
    seconds = "open" if ended is None else f"{ended - _start(span):.2f}"
    guide = (
        line.guide if cell_len(line.guide + _name(span)) <= columns.name else line.guide[: max(columns.name - 8, 0)]
    )
    picture.append(guide, style="dim")
    picture.append(f"{_fitting(_name(span), columns.name - len(guide))}  ", style=f"not dim {style}")
    picture.append(f"{set_cell_size(_kind(span), columns.kind)}  {seconds:>7}  ", style="not dim")
    faded = _FADE if ended is None else ""
    before, length = _bar(_start(span), columns.end if ended is None else ended, columns, 1 + len(faded))
    # Apart from its bar, as some viewers of SVG drop the spaces that a text begins with.
    picture.append(" " * before)
    picture.append("━" * (length - len(faded)), style=f"not dim {style}")
    picture.append(faded, style=f"dim {style}")
    if (tokens := span["metrics"].get("tokens")) is not None:
        picture.append(f"{' ' * (columns.bar - before - length + 2)}{tokens:>6.0f}", style="not dim")
    picture.append("\n")


def _draw_below(picture: Text, line: _Line, text: str, columns: _Columns, style: str) -> None:
    below = line.below[: columns.name]
    picture.append(below, style="dim")
    picture.append(f"{_fitting(text, columns.width - len(below)).rstrip()}\n", style=style)


def _lines(spans: Sequence[Json]) -> Iterator[_Line]:
    """Yield the spans depth first, siblings in the order in which they were opened."""
    known = {span.get("span_id") for span in spans}
    children: dict[str | None, list[Json]] = {}
    for span in sorted(spans, key=_opened):
        parent = next(iter(span["span_parents"]), None)
        children.setdefault(parent if parent in known else None, []).append(span)
    # A stack, as a trace may be deeper than Python recurses.
    stack = [(span, "", "", "") for span in reversed(children.pop(None, []))]
    while stack or children:
        if not stack:  # Spans that are below one another.
            stack += [(span, "", "", "") for span in children.pop(next(iter(children)))]
        span, guide, indent, rest = stack.pop()
        below = children.pop(span.get("span_id"), [])
        yield _Line(indent + guide, indent + rest + ("│  " if below else "   "), span)
        for child in reversed(below):
            last = child is below[-1]
            stack.append((child, "└─ " if last else "├─ ", indent + rest, "   " if last else "│  "))


def _opened(span: Json) -> tuple[float, float]:
    # The times first: each process counts its spans for itself.
    return _start(span), span["span_attributes"]["exec_counter"]


def _bar(began: float, ended: float, columns: _Columns, shortest: int) -> tuple[int, int]:
    """Return how far to the right a span's bar begins, and its length."""
    scale = columns.bar / max(columns.end - columns.start, 1e-9)
    before = min(max(round((began - columns.start) * scale), 0), columns.bar - shortest)
    length = max(round((ended - began) * scale), shortest)
    return before, min(length, columns.bar - before)


def _name(span: Json) -> str:
    return printable(span["span_attributes"].get("name") or "?")


def _kind(span: Json) -> str:
    return set_cell_size(printable(span["span_attributes"].get("type") or ""), 8).rstrip()


def _start(span: Json) -> float:
    return span["metrics"].get("start", 0.0)


def _end(span: Json) -> float | None:
    return span["metrics"].get("end")


def _latest(span: Json) -> float:
    ended = _end(span)
    return _start(span) if ended is None else ended


def _summary(error: object) -> str:
    """Return the line of an error that says most: the last one of a traceback."""
    return printable((str(error).strip().splitlines() or [""])[-1])


def _text_of(value: Any) -> str:
    # No more than is ever shown, of what may be megabytes.
    return printable((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:1_000])


def _fitting(text: str, width: int) -> str:
    """Return the text as wide as that: with spaces behind it, or cut off at an ellipsis."""
    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"
