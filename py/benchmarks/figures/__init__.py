"""The figures: each a small function that measures one thing once, on whichever side the process is.

They stand in the table in the order of these imports.
"""

from . import calls, http, idle, payloads, streams
from .registry import FIGURES, Figure


__all__ = ["FIGURES", "Figure", "calls", "http", "idle", "payloads", "streams"]
