"""Rows as the SDK would log them, for what reads traces."""

import uuid
from typing import Any

import requests

from braintrust_mistral.local import LocalBraintrust


Row = dict[str, Any]

BEGIN = 1_795_000_000.0
"""When these rows' traces begin, in Unix seconds."""


def row(name: str, start: float = 0.0, end: float | None = 1.0, parent: Row | None = None, **fields: Any) -> Row:
    """Return a span's row.

    Args:
        start: in seconds from `BEGIN`.
        end: likewise; None for a span that is still open.
        parent: the row of its parent; without one it is the root of its trace.
    """
    span_id = uuid.uuid4().hex
    metrics = {"start": BEGIN + start, **({} if end is None else {"end": BEGIN + end}), **fields.pop("metrics", {})}
    return {
        "id": uuid.uuid4().hex,
        "span_id": span_id,
        "root_span_id": parent["root_span_id"] if parent else span_id,
        "span_parents": [parent["span_id"]] if parent else None,
        "span_attributes": {"name": name, "type": fields.pop("type", "task"), "exec_counter": 0},
        "metrics": metrics,
        **fields,
    }


def large_trace(spans: int, width: int = 9) -> list[Row]:
    """Return a trace of so many spans, the root's children and theirs `width` to a parent."""
    rows = [row("root", 0.0, float(spans))]
    for number in range(1, spans):
        parent = rows[(number - 1) // width]
        rows.append(row(f"span {number}", float(number), number + 0.5, parent, type=("tool", "llm")[number % 2]))
    return rows


def send(bt: LocalBraintrust, *rows: Row) -> None:
    """Send rows to a local Braintrust as the SDK does."""
    requests.post(f"{bt.url}/logs3", json={"rows": rows, "api_version": 2}, timeout=10).raise_for_status()
