"""Tells of traces in the terminal: each as a tree, and in the end what all of them add up to."""

from collections.abc import Iterable

from rich.text import Text

from braintrust_mistral.local.braintrust.rows import orderly
from braintrust_mistral.local.braintrust.totals import Totals
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.drawing.picture import tree_of


SHOWN_SPANS = 500
"""How many spans of one trace are drawn."""
SHOWN_ROLES = 12
"""How many messages of a thread `described` tells by their roles."""


def drawn(trace: Trace, *, details: bool = False, width: int | None = None, now: float | None = None) -> Text:
    """Return one trace as a tree of its first `SHOWN_SPANS` spans; see `tree_of`."""
    return tree_of(trace.spans, details=details, width=width, now=now, max_spans=SHOWN_SPANS)


def summary(count: int, totals: Totals) -> str:
    """Return what so many traces add up to, in a line."""
    parts = [_counted(count, "trace"), _counted(totals.spans, "span"), _counted(totals.errors, "error")]
    return ", ".join([*parts, *([_priced(totals)] if totals.tokens else [])])


def described(trace: Trace) -> str:
    """Return a line for below a trace's tree: its tokens, their cost, and what its thread shows."""
    tokens = _priced(trace.totals) if trace.totals.tokens else "no tokens"
    roles = [message["role"] for message in trace.thread]
    if not roles:
        return f"{tokens}; no thread, as no span is a model call with messages"
    shown = roles if len(roles) <= SHOWN_ROLES else [*roles[: SHOWN_ROLES - 2], "…", roles[-1]]
    return f"{tokens}; thread of {len(roles)}: {' → '.join(shown)}"


def open_spans(traces: Iterable[Trace]) -> int:
    """Return how many spans of these traces have not ended."""
    return sum("end" not in orderly(span)["metrics"] for trace in traces for span in trace.spans)


def _priced(totals: Totals) -> str:
    price = "of no known price" if totals.cost is None else f"about ${totals.cost:.5f}"
    return f"{totals.tokens} tokens ({totals.prompt_tokens} in, {totals.completion_tokens} out), {price}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
