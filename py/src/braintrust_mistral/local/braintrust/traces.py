"""Traces: spans with one root, what they add up to, and the conversation that they tell."""

from collections.abc import Iterable
from typing import NamedTuple

from braintrust_mistral.local.braintrust.thread import thread_of
from braintrust_mistral.local.braintrust.totals import Totals, totals_of
from braintrust_mistral.local.mistral.answers import Json


SHOWN_ROLES = 12
"""How many messages of a thread `described` tells by their roles."""


class Trace(NamedTuple):
    """The spans with one root, in the order in which they arrived, as `spans_of` makes them of rows."""

    root_span_id: str
    spans: list[Json]

    @property
    def totals(self) -> Totals:
        """What the spans add up to."""
        return totals_of(self.spans)

    @property
    def thread(self) -> list[Json]:
        """The messages of the llm spans, as one conversation."""
        return thread_of(self.spans)


def traces_of(spans: Iterable[Json]) -> list[Trace]:
    """Return these spans by their roots, in the order in which the first span of each arrived."""
    traces: dict[str, Trace] = {}
    for span in spans:
        root_span_id = span.get("root_span_id") or span["id"]
        traces.setdefault(root_span_id, Trace(root_span_id, [])).spans.append(span)
    return list(traces.values())


def described(trace: Trace) -> str:
    """Return one line for below a trace's tree: its tokens, its cost, and what its thread shows."""
    totals = trace.totals
    if not totals.tokens:
        counted = "no tokens"
    else:
        counted = f"{totals.tokens} tokens ({totals.prompt_tokens} in, {totals.completion_tokens} out)"
        counted += ", of no known price" if totals.cost is None else f", ${totals.cost:.5f}"
    roles = [message["role"] for message in trace.thread]
    if not roles:
        return f"{counted}; no thread, as no span is a model call with messages"
    shown = " → ".join(roles if len(roles) <= SHOWN_ROLES else [*roles[: SHOWN_ROLES - 2], "…", roles[-1]])
    return f"{counted}; thread of {len(roles)}: {shown}"
