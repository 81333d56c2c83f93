"""Text of the terminal as a picture that needs no other file, and is light or dark as its reader likes it."""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text


COLUMN, LINE, MARGIN = 8, 20, 16
"""The size of a character and the margin of the picture, in pixels."""

_BAR = "━"
# By class: the light colour, and the dark one.
_COLORS = {
    "text": ("#1f2328", "#e6edf3"),
    "paper": ("#ffffff", "#0d1117"),
    "dim": ("#656d76", "#8b949e"),
    "cyan": ("#0b7285", "#56d4dd"),
    "green": ("#1a7f37", "#56d364"),
    "yellow": ("#8a5a00", "#e3b341"),
    "red": ("#cf222e", "#ff7b72"),
}


def draw(text: Text, title: str) -> str:
    """Return the text as SVG; the same text is the same bytes.

    Args:
        text: lines of characters of one width; a style's colour is one of `_COLORS`, others are that of plain text.
        title: what the picture is, for those who do not see it.
    """
    lines = text.plain.split("\n")
    width = max(map(len, lines)) * COLUMN + 2 * MARGIN
    height = len(lines) * LINE + 2 * MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="8"/>',
    )
    return "\n".join([*head, *_elements(text), "</svg>", ""])


def _style() -> str:
    font = f"text{{font:{COLUMN * 5 / 3:.2f}px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}}"
    light, dark = ("".join(f".{name}{{fill:{both[i]}}}" for name, both in _COLORS.items()) for i in (0, 1))
    return f"{font}{light}@media(prefers-color-scheme:dark){{{dark}}}"


def _elements(text: Text) -> Iterator[str]:
    """Yield each piece of one style at its place; a bar is a rectangle, as fonts leave gaps between its characters."""
    for row, segments in enumerate(Segment.split_lines(text.render(Console(width=1_000)))):
        y = MARGIN + row * LINE
        column = 0
        for content, style, _ in segments:
            # Some viewers draw several spaces as one.
            for piece in re.finditer(r"\S+( \S+)*", content):
                x = MARGIN + (column + piece.start()) * COLUMN
                length = len(piece[0]) * COLUMN
                place = f'class="{_class(style)}" x="{x}"'
                if piece[0].strip(_BAR):
                    yield f'<text {place} y="{y + 14}" textLength="{length}">{escape(piece[0])}</text>'
                else:
                    yield f'<rect {place} y="{y + 7}" width="{length}" height="6" rx="2"/>'
            column += len(content)


def _class(style: Style | None) -> str:
    if style is None:
        return "text"
    color = style.color.name if style.color else ""
    return color if color in _COLORS else "dim" if style.dim else "text"
