"""What the page gets of rows: each span with what its tree needs, and each trace with its totals and its thread.

    {"traces": [{"id": …, "totals": {…}, "thread": [[<id of a span>, "input" or "output", <position>], …]}],
     "spans": [{"id": …, "trace": …, "name": …, "start": …, "end": …, …, "row": <the span as it was logged>}]}

A row may hold anything anywhere. What the page computes with is of the right type here, or missing; `row` is shown.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeAlias

from braintrust_mistral.local.braintrust.rows import orderly, spans_of
from braintrust_mistral.local.braintrust.thread import said_in
from braintrust_mistral.local.braintrust.totals import is_llm, totals_of
from braintrust_mistral.local.braintrust.traces import Trace, traces_of
from braintrust_mistral.local.json_types import Json


NumberedRow: TypeAlias = tuple[int, Json]
"""A row, and as the how manieth it arrived, from 1 on; rows between may be gone."""

SHOWN_TYPES = frozenset(
    {
        *(f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "avif", "bmp")),
        *(f"audio/{name}" for name in ("mpeg", "mp3", "mp4", "wav", "x-wav", "wave", "ogg", "webm", "flac", "aac")),
        "application/pdf",
        "text/plain",
    }
)
"""The types of attachments that a browser gets to show; none of them runs anything."""

_LONGEST_EXACT_INTEGER = 15
"""How many digits a browser's numbers hold in any case."""


def data_of(rows: Iterable[Json]) -> Json:
    """Return all traces of these rows."""
    return _data(traces_of(spans_of(rows)))


def data_since(rows: Sequence[NumberedRow], since: int) -> Json:
    """Return the traces that came or changed after the row of the number `since`, with the spans that did.

    `kept` has the ids of all traces: a page forgets the others. `latest` is the number of the last row, from which on
    the page asks for more; where it asks for what comes after that already, another server has counted.
    """
    latest = rows[-1][0] if rows else 0
    if latest == since:
        return {"latest": latest}
    changed = {row["id"] for number, row in rows if number > since or latest < since}
    # A later row of a span need not name its root.
    roots = {row["id"]: row.get("root_span_id") or row["id"] for _, row in reversed(rows)}
    concerned = {roots[span_id] for span_id in changed}
    spans = spans_of(row for _, row in rows if roots[row["id"]] in concerned)
    return {**_data(traces_of(spans), changed), "kept": list(set(roots.values())), "latest": latest}


def to_browser_json(value: Any) -> str:
    """Return JSON that a browser reads as it was meant, also inside of a script element.

    Integers that its numbers would round, and what is no number in JSON (NaN, Infinity), become strings.
    """
    exact: Any = json.loads(
        json.dumps(value),
        parse_int=lambda digits: digits if len(digits) > _LONGEST_EXACT_INTEGER else int(digits),
        parse_constant=str,
    )
    text = json.dumps(exact, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _data(traces: Iterable[Trace], only: Collection[str] | None = None) -> Json:
    """Return these traces, with all of their spans or only with those of these ids."""
    data: Json = {"traces": [], "spans": []}
    for trace in traces:
        if not trace.is_of_spans:
            continue
        spans = [orderly(span) for span in trace.spans]
        thread = [(said.span["id"], said.field, said.position) for said in said_in(spans)]
        data["traces"].append({"id": trace.root_span_id, "totals": _totals(spans), "thread": thread})
        data["spans"] += [
            _node(trace.root_span_id, span, row)
            for span, row in zip(spans, trace.spans, strict=True)
            if only is None or row["id"] in only
        ]
    return data


def _totals(spans: Sequence[Json]) -> Json:
    return {**totals_of(spans)._asdict(), "llm_calls": sum(map(is_llm, spans))}


def _node(trace: str, span: Json, row: Json) -> Json:
    attributes, metrics = span["span_attributes"], span["metrics"]
    return {
        "id": span["id"],
        "trace": trace,
        "span_id": span.get("span_id") or span["id"],
        "parents": span["span_parents"],
        "name": str(attributes.get("name") or "unnamed"),
        "type": str(attributes.get("type") or "none"),
        "start": metrics.get("start"),
        "end": metrics.get("end"),
        "first_token": metrics.get("time_to_first_token"),
        "tokens": metrics.get("tokens"),
        "order": attributes["exec_counter"],
        "failed": bool(span.get("error")),
        "row": row,
    }
