"""Tells of traces in the terminal: each as a tree, and in the end what all of them add up to."""

from collections.abc import Iterable

from rich.text import Text

from braintrust_mistral.local.braintrust.rows import orderly
from braintrust_mistral.local.braintrust.totals import Totals
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.drawing.picture import tree_of


SHOWN_SPANS = 500
"""How many spans of one trace are drawn."""


def drawn(trace: Trace, *, details: bool = False, width: int | None = None, now: float | None = None) -> Text:
    """Return one trace as a tree of its first `SHOWN_SPANS` spans; see `tree_of`."""
    return tree_of(trace.spans, details=details, width=width, now=now, max_spans=SHOWN_SPANS)


def summary(count: int, totals: Totals) -> str:
    """Return what so many traces add up to, in a line."""
    parts = [_counted(count, "trace"), _counted(totals.spans, "span"), _counted(totals.errors, "error")]
    if totals.tokens:
        parts.append(f"{totals.tokens} tokens ({totals.prompt_tokens} in, {totals.completion_tokens} out)")
        parts.append("of no known price" if totals.cost is None else f"about ${totals.cost:.5f}")
    return ", ".join(parts)


def open_spans(traces: Iterable[Trace]) -> int:
    """Return how many spans of these traces have not ended."""
    return sum("end" not in orderly(span)["metrics"] for trace in traces for span in trace.spans)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
