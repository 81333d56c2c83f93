"""Rows as the SDK sends them, put together to spans as the backend does it."""

import math
from collections.abc import Iterable
from typing import Any

from braintrust_mistral.local.json_types import Json


_CREATED_ONCE = {"created", "span_id", "root_span_id", "span_parents", "_parent_id"}
"""Fields that a later row of the same id does not change."""


def spans_of(rows: Iterable[Json]) -> list[Json]:
    """Return the spans of these rows, in the order in which their first rows arrived; the rows stay as they are.

    A row with `_is_merge` is merged in depth into what its id has so far; another row replaces it. What is in a span
    may be what is in a row: to read, not to change.
    """
    spans: dict[str, Json] = {}
    for row in rows:
        spans[row["id"]] = with_row(spans.get(row["id"]), row)
    return list(spans.values())


def with_row(span: Json | None, row: Json) -> Json:
    """Return the span that a row makes of what its id has so far, which is None for the first one."""
    later = {key: value for key, value in row.items() if key != "_is_merge"}
    if not (row.get("_is_merge") and span):
        return later
    later = {key: value for key, value in later.items() if key not in _CREATED_ONCE}
    return _merged(span, later) | _tags(span, later)


def orderly(span: Json) -> Json:
    """Return a span of which the fields that are computed with have the types that they should have, or are empty.

    A row may hold anything anywhere.
    """
    attributes, metrics, scores = (_dict(span.get(field)) for field in ("span_attributes", "metrics", "scores"))
    parents = span.get("span_parents")
    counter = attributes.get("exec_counter")
    return {
        **span,
        "span_attributes": {**attributes, "exec_counter": counter if _is_number(counter) else 0},
        "span_parents": [str(parent) for parent in parents] if isinstance(parents, list) else [],
        "metadata": _dict(span.get("metadata")),
        "metrics": {name: value for name, value in metrics.items() if _is_number(value)},
        "scores": {name: score for name, score in scores.items() if _is_number(score)},
    }


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _merged(before: Json, later: Json) -> Json:
    """Return two objects merged in depth; where they differ, and in lists, the later one wins."""
    both = {
        key: _merged(before[key], later[key])
        for key in before.keys() & later.keys()
        if isinstance(before[key], dict) and isinstance(later[key], dict)
    }
    return before | later | both


def _tags(before: Json, later: Json) -> Json:
    """Return the tags of a span, which add up."""
    if not (before.get("tags") and later.get("tags")):
        return {}
    return {"tags": list(dict.fromkeys([*before["tags"], *later["tags"]]))}
