"""Writes on a terminal that a program writes on as well: what stays, and below it what changes.

The lowest lines are set apart as terminals can do it (a scroll region, as package managers do for their progress), so
that the program's own output scrolls above them, and none of it is touched.
"""

import contextlib
import sys
from io import StringIO
from typing import TextIO

from rich.console import Console
from rich.text import Text

from braintrust_mistral.local.drawing.encoding import encodable


if sys.platform != "win32":
    import termios


SHARE = 0.4
"""How much of the terminal's height may change."""


class Screen:
    """What the user sees on one stream, usually stderr: texts that stay, and where it is a terminal one that changes.

    Args:
        stream: where to write; colours are for terminals only, and not where NO_COLOR is set.
        live: whether a text that changes may be shown.
    """

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._console = Console(file=stream)
        self._is_live = live and stream.isatty() and not self._console.is_dumb_terminal
        self._reserved = self._height = 0

    @property
    def width(self) -> int | None:
        """How wide the terminal is, in columns; `None` where it is none."""
        return self._console.width if self._console.is_terminal else None

    @property
    def lines_to_change(self) -> int:
        """How many lines a text that changes may have; 0 where none is shown, or while the program has the screen."""
        if not self._is_live or _is_taken(self._stream.fileno()):
            return 0
        return int(self._console.height * SHARE)

    def say(self, text: Text | str) -> None:
        """Write a text that stays, below all that was written before."""
        self.clear()
        self._write(self._rendered(Text(text) if isinstance(text, str) else text) + "\n")

    def change(self, text: Text) -> None:
        """Show this text in the place of the one that was shown before: its last `lines_to_change` lines."""
        room = self.lines_to_change
        lines = self._rendered(text).split("\n")[-room:] if room else []
        if not lines:
            return
        if self._console.height != self._height:
            self.clear()
        moves = self._reserve(len(lines)) if len(lines) > self._reserved else ""
        top = self._height - self._reserved
        drawn = "".join(
            f"\x1b[{top + row + 1};1H\x1b[2K{lines[row] if row < len(lines) else ''}" for row in range(self._reserved)
        )
        # In one piece: the program may write between two.
        self._write(f"{moves}\x1b7{drawn}\x1b8")

    def clear(self) -> None:
        """Take away the text that changes, and give its lines back."""
        if self._reserved:
            top = max(self._console.height - self._reserved, 0)
            self._write(f"\x1b7\x1b[r\x1b[{top + 1};1H\x1b[J\x1b8")
            self._reserved = 0

    def _reserve(self, lines: int) -> str:
        """Return what makes room for that many lines: it moves up what is there, and keeps the cursor above them."""
        more, self._reserved, self._height = lines - self._reserved, lines, self._console.height
        # Down without a return to the first column: the program may be in the middle of a line.
        down = "\x1bD" * more
        return f"{down}\x1b[{more}A\x1b7\x1b[1;{self._height - lines}r\x1b8"

    def _rendered(self, text: Text) -> str:
        made = StringIO()
        Console(
            file=made,
            force_terminal=self._console.is_terminal,
            color_system=self._console.color_system,  # pyright: ignore[reportArgumentType]
            no_color=self._console.no_color,
            width=self._console.width if self._console.is_terminal else 1_000,
        ).print(text, soft_wrap=not self._console.is_terminal)
        return made.getvalue().removesuffix("\n")

    def _write(self, text: str) -> None:
        # Whoever reads it may be gone.
        with contextlib.suppress(OSError):
            self._stream.write(encodable(text, self._stream.encoding))
            self._stream.flush()


def _is_taken(terminal: int) -> bool:
    """Return whether a program reads the terminal key by key, as editors and debuggers do: the screen is theirs."""
    if sys.platform == "win32":
        return True
    try:
        return not termios.tcgetattr(terminal)[3] & termios.ICANON
    except termios.error:
        return False
