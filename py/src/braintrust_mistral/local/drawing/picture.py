"""Draws traces in the terminal: a tree, and beside each span a bar that shows when it ran."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.text import Text

from braintrust_mistral.local.drawing.svg import draw
from braintrust_mistral.local.mistral.answers import Json


BAR_WIDTH = 44

_COLORS = {"task": "cyan", "llm": "green", "tool": "yellow"}


class _Line(NamedTuple):
    guide: str
    below: str
    span: Json


def show_trace(spans: Sequence[Json]) -> None:
    """Print one trace, as wide as it is: its spans as `LocalBraintrust.spans()` returns them."""
    picture = _drawn(spans)
    Console(width=max(len(line) for line in picture.plain.splitlines())).print(picture)


@contextlib.contextmanager
def growing_trace(spans: Callable[[], Sequence[Json]]) -> Generator[None, None, None]:
    """Draw a trace again and again while it grows, where the output is a terminal; then it is wiped away.

    `spans` returns what has arrived of it.
    """
    console = Console()
    if not console.is_terminal:
        yield
        return

    def picture() -> Text:
        arrived = spans()
        has_root = any(not span.get("span_parents") for span in arrived)
        return _drawn(_as_of(arrived, time.time())) if has_root else Text("")

    with Live(get_renderable=picture, console=console, refresh_per_second=5, transient=True):
        yield


def save_picture(spans: Sequence[Json], path: Path) -> None:
    """Save one trace as SVG, light or dark as the reader likes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draw(_drawn(spans), "A trace: its spans as a tree, and when each of them ran"), encoding="utf-8")


def _as_of(spans: Sequence[Json], now: float) -> list[Json]:
    """Return spans as if those that go on ended now."""
    return [{**span, "metrics": {"end": max(now, span["metrics"]["start"]), **span["metrics"]}} for span in spans]


def _drawn(spans: Sequence[Json]) -> Text:
    """Return one trace as lines: per span its name, type, duration, bar and tokens, and its error in red below."""
    start = min(span["metrics"]["start"] for span in spans)
    end = max(_end(span) for span in spans)
    lines = list(_lines(spans, None, ""))
    width = max(len(line.guide + _name(line.span)) for line in lines)
    heading = (
        f"{'span':{width}}  {'type':5}  {'seconds':>7}  {'0':{BAR_WIDTH - 7}}{end - start:>5.1f} s  {'tokens':>6}"
    )
    picture = Text(f"{heading}\n", style="dim", no_wrap=True, overflow="crop")
    for line in lines:
        span = line.span
        kind = span["span_attributes"].get("type") or ""
        style = "red" if span.get("error") else _COLORS.get(kind, "white")
        picture.append(line.guide, style="dim")
        picture.append(f"{_name(span):{width - len(line.guide)}}  ", style=f"not dim {style}")
        picture.append(f"{kind:5}  {_end(span) - span['metrics']['start']:>7.2f}  ", style="not dim")
        # Apart from its bar, as some viewers of SVG drop the spaces that a text begins with.
        before, bar = _bar(span, start, end)
        picture.append(" " * before)
        picture.append(f"{bar:{BAR_WIDTH - before}}  ", style=f"not dim {style}")
        picture.append(f"{span['metrics'].get('tokens', ''):>6}\n", style="not dim")
        if error := span.get("error"):
            picture.append(line.below, style="dim")
            picture.append(f"{_summary(error)}\n", style="not dim red")
    picture.rstrip()
    return picture


def _lines(spans: Sequence[Json], parent: str | None, indent: str) -> Iterator[_Line]:
    """Yield the spans below `parent`, depth first, in the order in which they were opened."""
    siblings = [span for span in spans if (span.get("span_parents") or [None])[0] == parent]
    siblings.sort(key=lambda span: span["span_attributes"]["exec_counter"])
    for span in siblings:
        last = span is siblings[-1]
        guide, rest = ("", "") if parent is None else ("└─ ", "   ") if last else ("├─ ", "│  ")
        has_children = any(span["span_id"] in (other.get("span_parents") or ()) for other in spans)
        yield _Line(indent + guide, indent + rest + ("│  " if has_children else "   "), span)
        yield from _lines(spans, span["span_id"], indent + rest)


def _name(span: Json) -> str:
    return span["span_attributes"]["name"]


def _bar(span: Json, start: float, end: float) -> tuple[int, str]:
    """Return how far to the right a span's bar begins, and the bar."""
    scale = BAR_WIDTH / max(end - start, 1e-9)
    before = min(round((span["metrics"]["start"] - start) * scale), BAR_WIDTH - 1)
    length = max(round((_end(span) - span["metrics"]["start"]) * scale), 1)
    return before, "━" * min(length, BAR_WIDTH - before)


def _end(span: Json) -> float:
    return span["metrics"].get("end", span["metrics"]["start"])


def _summary(error: object) -> str:
    """Return the line of an error that says most: the last one of a traceback."""
    return str(error).strip().splitlines()[-1][:100]
