"""Some of the figures as a bar chart, an SVG image that is readable on a light and on a dark page."""

import textwrap
from collections.abc import Iterator
from xml.sax.saxutils import escape

from .report import Line, Report, number
from .sides import Side


ROWS = (
    "a plain call",
    "a call with 16 tools",
    "one of 10,000 stream events",
    "a plain call over HTTP",
    "a chat.complete over HTTP",
    "one of 200 chunks over HTTP",
)
"""The titles of the figures that are drawn, where they were measured."""

_SIDES = {
    Side.FLOOR: "bare SDK spans",
    Side.OURS: "braintrust-mistral",
    Side.SDK: "the SDK's own module",
    Side.NATIVE: "Mistral's OpenTelemetry",
    Side.OPENINFERENCE: "openinference",
}

# Longer bars would make the others too short to compare, and end in a gap.
_MOST = 4.0

_WIDTH = 860
_MARGIN = 24
_BARS_AT = 200
_UNIT = 130  # as wide as ours
_BAR = 14
_STEP = 19
_SMALL_PRINT = 130  # characters a line

_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 } .row { font-weight: 600 } .small { font-size: 11px; fill: #59636e }
.side { text-anchor: end } .other { fill: #afb8c1 } .ours { fill: #fa500f } .gap { fill: #ffffff }
.page { fill: #ffffff } .one { stroke: #59636e; stroke-dasharray: 2 3 }
.cost { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 } .other { fill: #656c76 } .gap, .page { fill: #0d1117 }
  .one { stroke: #9198a1 } .cost { stroke: #0d1117 }
}"""


def svg(report: Report) -> str:
    """Return the chart: for each row a bar for each side, as long as its cost in multiples of ours."""
    lines = {line.figure.title: line for line in report.lines}
    parts = [_text(_MARGIN, 36, "What tracing a Mistral call costs", "title")]
    parts.append(
        _text(_MARGIN, 56, "beyond the call itself, by what traces it; the line is braintrust-mistral", "small")
    )
    y = 86
    for line in (lines[title] for title in ROWS if title in lines):
        y = _add_row(parts, line, y)
    for small_print in textwrap.wrap(report.about(), _SMALL_PRINT):
        parts.append(_text(_MARGIN, y, small_print, "small"))
        y += 15
    size = f'width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}"'
    page = f'<rect class="page" width="{_WIDTH}" height="{y}" rx="8"/>'
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{_STYLE}</style>", page, *parts, "</svg>\n"]
    )


def _add_row(parts: list[str], line: Line, y: int) -> int:
    """Draw a row from `y` downwards, and return where the next one goes."""
    parts.append(_text(_MARGIN, y, line.figure.title, "row"))
    bars = list(_bars(line))
    y += 8
    one = _BARS_AT + _UNIT
    # Below the costs, which it would strike out.
    parts.append(f'<line class="one" x1="{one}" y1="{y - 3}" x2="{one}" y2="{y + len(bars) * _STEP - 2}"/>')
    for side, median, ratio in bars:
        parts.append(_text(_BARS_AT - 8, y + 12, _SIDES[side], "side"))
        length = round(max(0.0, min(ratio, _MOST)) * _UNIT)
        kind = "ours" if side is Side.OURS else "other"
        parts.append(f'<rect class="{kind}" x="{_BARS_AT}" y="{y}" width="{length}" height="{_BAR}" rx="2"/>')
        if ratio > _MOST:
            parts.append(f'<rect class="gap" x="{_BARS_AT + length - 16}" y="{y}" width="4" height="{_BAR}"/>')
        times = "" if side is Side.OURS else f", {number(ratio)}x"
        cost = f"{number(median)} {line.figure.unit}{times}".strip()
        parts.append(_text(_BARS_AT + length + 6, y + 12, cost, "cost"))
        y += _STEP
    return y + 24


def _bars(line: Line) -> Iterator[tuple[Side, float, float]]:
    """Yield the measured sides with their medians and what these are in multiples of ours."""
    for side in _SIDES:
        median, ratio = line.median(side), line.ratio(side, Side.OURS)
        if median is not None and ratio is not None:
            yield side, median, ratio


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    return f'<text x="{x}" y="{y}"{f" class={kind!r}" if kind else ""}>{escape(text)}</text>'
