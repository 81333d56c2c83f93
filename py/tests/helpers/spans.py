"""What tests share about spans: how they look to their reader, by name and as a tree."""

from collections.abc import Iterable
from typing import Any

# The recorded tests hold them, since Braintrust could take those without this folder.
from braintrust.integrations.mistral.test_mistral import (
    LoggedSpan,
    Media,
    consume,
    expected_conversation,
    logged_calls,
    logged_span,
    parsed_by_sdk,
    with_media,
)
from braintrust.logger import BaseAttachment

from tests.helpers.wire import Json


__all__ = [
    "LoggedSpan",
    "Media",
    "attachments_in",
    "by_name",
    "consume",
    "expected_conversation",
    "logged_calls",
    "logged_span",
    "outline",
    "parsed_by_sdk",
    "short_name",
    "with_media",
    "without_identity",
]


def without_identity(value: Any) -> Any:
    """A value without what no two conversations share: ids and times."""
    if isinstance(value, dict):
        return {key: without_identity(item) for key, item in value.items() if key not in _IDENTITY}
    if isinstance(value, (list, tuple)):
        return [without_identity(item) for item in value]
    return value


_IDENTITY = {"id", "tool_call_id", "conversation_id", "created_at", "completed_at"}


def attachments_in(value: Any) -> list[BaseAttachment]:
    """Return the attachments anywhere in a value."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [found for item in items for found in attachments_in(item)]
    return [value] if isinstance(value, BaseAttachment) else []


def short_name(row: Json) -> str:
    """Return the name of a span; of a conversation's, streamed or not, only the method."""
    name: str = row["span_attributes"]["name"]
    return name.removeprefix("mistral.beta.conversations.").removesuffix("_stream")


def by_name(rows: Iterable[Json]) -> dict[str, Json]:
    """Return these spans, of which no two have one name, by their short names."""
    rows = list(rows)
    named = {short_name(row): row for row in rows}
    assert len(named) == len(rows)
    return named


def outline(rows: Iterable[Json], parent: str | None = None) -> list[str]:
    """Return the tree of these spans: short names in the order they were opened, indented below the parent's."""
    rows = list(rows)
    ids = {row["span_id"] for row in rows}
    lines: list[str] = []
    for row in rows:
        (above,) = row.get("span_parents") or [None]
        if (above if above in ids else None) == parent:
            lines += [short_name(row), *(f"  {line}" for line in outline(rows, row["span_id"]))]
    return lines
