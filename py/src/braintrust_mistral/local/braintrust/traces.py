"""Traces: spans with one root, what they add up to, and the conversation that they tell."""

import base64
import sys
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from braintrust_mistral.local.braintrust.thread import thread_of
from braintrust_mistral.local.braintrust.totals import Totals, totals_of
from braintrust_mistral.local.drawing.encoding import encodable
from braintrust_mistral.local.drawing.picture import picture_of, tree_of
from braintrust_mistral.local.json_types import Json


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

    @property
    def is_of_spans(self) -> bool:
        """Whether there is something to draw: what is logged to datasets, and feedback, are no spans."""
        return any(span.get("span_attributes") for span in self.spans)

    def tree(self, *, details: bool = False) -> str:
        """Return the spans as a tree, a line each: name, type, seconds, when it ran, tokens; an error is a line below.

        It can be printed: where stdout has no lines and bars, they are made of simpler characters.

        Args:
            details: whether to add each span's input and output, shortened.
        """
        return encodable(self._tree(details), getattr(sys.stdout, "encoding", None))

    def _tree(self, details: bool = False) -> str:
        lines = tree_of(self.spans, details=details).plain.splitlines()
        return "\n".join(line.rstrip() for line in lines)

    def as_html(self) -> str:
        """Return the tree as a picture for a page, with the tree's text for those who do not see it."""
        svg = picture_of(self.spans)
        # As an image, its style is its own, and nothing in it can act.
        encoded = base64.b64encode(svg.encode()).decode()
        width = svg.split('viewBox="0 0 ', 1)[1].split(" ", 1)[0]
        text = escape(self._tree(), quote=True)
        return f'<img alt="{text}" style="width:{width}px;max-width:100%" src="data:image/svg+xml;base64,{encoded}">'

    def _repr_html_(self) -> str:
        return self.as_html()


def traces_of(spans: Iterable[Json]) -> list[Trace]:
    """Return these spans by their roots, in the order in which the first span of each arrived."""
    traces: dict[str, Trace] = {}
    for span in spans:
        root_span_id = span.get("root_span_id") or span["id"]
        traces.setdefault(root_span_id, Trace(root_span_id, [])).spans.append(span)
    return list(traces.values())
