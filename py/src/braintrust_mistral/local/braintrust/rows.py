"""Rows as the SDK sends them, put together to spans as the backend does it."""

from collections.abc import Iterable

from braintrust_mistral.local.mistral.answers import Json


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


def _merged(before: Json, later: Json) -> Json:
    """Two objects merged in depth; where they differ, and in lists, the later one wins."""
    both = {
        key: _merged(before[key], later[key])
        for key in before.keys() & later.keys()
        if isinstance(before[key], dict) and isinstance(later[key], dict)
    }
    return before | later | both


def _tags(before: Json, later: Json) -> Json:
    """The tags of a span, which add up."""
    if not (before.get("tags") and later.get("tags")):
        return {}
    return {"tags": list(dict.fromkeys([*before["tags"], *later["tags"]]))}
