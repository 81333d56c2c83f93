"""What tests share: spans as their reader sees them, and what a call of a conversation should show."""

import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest
from braintrust.logger import Attachment

from tests.helpers.wire import Json


class Media(NamedTuple):
    """What an attachment holds, to be compared."""

    data: bytes
    content_type: str
    filename: str


def with_media(value: Any) -> Any:
    """Return what a span logged with `Media` in the place of attachments."""
    if isinstance(value, Attachment):
        return Media(value.data, value.reference["content_type"], value.reference["filename"])
    if isinstance(value, dict):
        return {name: with_media(item) for name, item in value.items()}
    return [with_media(item) for item in value] if isinstance(value, list) else value


class LoggedSpan(NamedTuple):
    """What a span shows to its reader, to be compared whole; attachments are `Media`.

    Attributes:
        metrics: all but `start` and `end`.
        error: its last line; what stands above it, if anything, is a traceback.
        seconds: how long it is.
        children: in the order in which they were logged.
    """

    name: str
    type: str
    input: Any
    output: Any
    metadata: Json
    metrics: Json
    error: str | None
    seconds: Any
    children: "tuple[LoggedSpan, ...]"


def logged_calls(rows: Iterable[Json]) -> list[LoggedSpan]:
    """Return the calls in these rows, which are merged already, each with its children.

    Checks what holds for every call: its spans say what made them, no child has children, and the children are within
    the call, unless together they are longer than it: then they end with it.
    """
    rows = sorted(rows, key=lambda row: row["span_attributes"]["exec_counter"])
    roots = [row for row in rows if not row.get("span_parents")]
    calls: list[LoggedSpan] = []
    for root in roots:
        children = [row for row in rows if row.get("span_parents") == [root["span_id"]]]
        calls.append(logged_span(root, tuple(logged_span(child) for child in children)))
        # A function call that was settled ended with a later call.
        within = [child["metrics"] for child in children if not _is_settled(child)]
        if within:
            first, last = min(child["start"] for child in within), max(child["end"] for child in within)
            assert last <= root["metrics"]["end"]
            assert first >= root["metrics"]["start"] or last == pytest.approx(root["metrics"]["end"], abs=1e-5)
    assert len(rows) == sum(1 + len(call.children) for call in calls)
    return calls


def _is_settled(row: Json) -> bool:
    is_call = row["metadata"]["tool_type"] == "function.call"
    return is_call and (row.get("output") is not None or "tool_approval" in row["metadata"])


def logged_span(row: Json, children: tuple[LoggedSpan, ...] = ()) -> LoggedSpan:
    assert row["context"]["span_origin"]["instrumentation"] == {"name": "mistral-auto"}
    metrics = dict(row["metrics"])
    seconds = metrics.pop("end") - metrics.pop("start")
    assert seconds >= 0
    assert metrics.get("duration", seconds) == pytest.approx(seconds, abs=1e-5)
    assert 0 <= metrics.get("time_to_first_token", 0) <= seconds
    error = row.get("error")
    return LoggedSpan(
        name=row["span_attributes"]["name"],
        type=row["span_attributes"]["type"],
        input=with_media(row.get("input")),
        output=with_media(row.get("output")),
        metadata=with_media(row.get("metadata", {})),
        metrics=metrics,
        error=error.strip().splitlines()[-1] if error else None,
        seconds=seconds,
        children=children,
    )


def expected_call(
    method: str,
    response: Json,
    *,
    inputs: Any,
    results: Mapping[str, Any] = MappingProxyType({}),
    approvals: Mapping[str, str] = MappingProxyType({}),
    error: str | None = None,
    **request: Any,
) -> LoggedSpan:
    """Return what a call of a conversation should show, with its children.

    Args:
        method: the method that was called, without `_async`.
        response: what was on the wire, in the unstreamed form.
        inputs: as the caller gave them.
        results: the results of function calls that were sent later, by `tool_call_id`.
        approvals: the decisions on function calls that were sent later, likewise.
        error: the error's last line.
        request: what the request should show in the metadata.
    """
    outputs = parsed_by_sdk(response.get("outputs"))
    streamed = method.endswith("_stream")
    usage = parsed_by_sdk(response.get("usage")) or {}
    metadata = {
        "provider": "mistral",
        "stream": streamed,
        **request,
        **expected_models(request, next((entry["model"] for entry in outputs or () if "model" in entry), None)),
        "conversation_id": response.get("conversation_id", request.get("conversation_id")),
        "object": response.get("object"),
        "connectors": usage.pop("connectors", None),
        "response_guardrails": None if IS_MISTRALAI_1 else response.get("guardrails"),
    }
    if "total_tokens" in usage:
        usage["tokens"] = usage.pop("total_tokens")
    times = {"duration": ANY, "time_to_first_token": ANY} if streamed and outputs else {"duration": ANY}
    return LoggedSpan(
        name=f"mistral.beta.conversations.{method}",
        type="task",
        input=inputs,
        output=outputs,
        metadata={name: value for name, value in metadata.items() if value is not None},
        metrics=usage | times,
        error=error,
        seconds=ANY,
        children=tuple(_expected_children(outputs or [], results, approvals)),
    )


def expected_models(request: Mapping[str, Any], answered: Any) -> Json:
    """Return the models that a span names: the one that answered, and where it is another, the one that was asked."""
    requested = request.get("model")
    if answered is None or requested in (None, answered):
        return {"model": answered or requested}
    return {"model": answered, "requested_model": requested}


def _expected_children(
    outputs: list[Json], results: Mapping[str, Any], approvals: Mapping[str, str]
) -> Iterator[LoggedSpan]:
    for index, entry in enumerate(outputs):
        child = _expected_child(entry, index) if entry["type"] != "message.output" else None
        if child is not None and entry["type"] == "function.call":
            call = entry["tool_call_id"]
            approval = {"tool_approval": approvals[call]} if call in approvals else {}
            child = child._replace(output=results.get(call), metadata=child.metadata | approval)
        if child is not None:
            yield child


def _expected_child(entry: Json, index: int) -> LoggedSpan:
    kind, error = entry["type"], None
    if kind == "agent.handoff":
        name = entry["next_agent_name"]
        input, output = (
            {"agent_id": entry[f"{side}_agent_id"], "agent_name": entry[f"{side}_agent_name"]}
            for side in ("previous", "next")
        )
    else:
        name, input, output = entry["name"], _parsed(entry.get("arguments")), entry.get("info")
        if output and str(output.get("result")).startswith("Error executing tool"):
            error = output["result"]
    metadata = {
        "tool_type": kind,
        "tool_name": name,
        "tool_call_id": entry.get("tool_call_id", entry["id"]),
        "tool_index": index,
        **{key: entry[key] for key in ("agent_id", "model") if key in entry},
    }
    times = [
        datetime.fromisoformat(entry[key].replace("Z", "+00:00"))
        for key in ("created_at", "completed_at")
        if key in entry
    ]
    return LoggedSpan(
        name=f"handoff: {name}" if kind == "agent.handoff" else f"tool: {name}",
        type="tool",
        input=input,
        output=output,
        metadata=metadata,
        metrics={},
        error=error,
        seconds=pytest.approx((times[1] - times[0]).total_seconds(), abs=1e-5) if len(times) == 2 else ANY,
        children=(),
    )


def _parsed(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


IS_MISTRALAI_1 = importlib.metadata.version("mistralai").startswith("1.")

_UNKNOWN_TO_SDK = {"tool.execution": {"function"}}
_UNKNOWN_TO_MISTRALAI_1 = {
    "tool.execution": {"function", "model", "agent_id"},
    "function.call": {"model", "agent_id", "confirmation_status"},
}


def parsed_by_sdk(value: Any) -> Any:
    """Return what is left of a value on the wire after the SDK has parsed it.

    Its models drop the fields that they do not know, so nobody can trace those. What is null is left out of logs.
    """
    if isinstance(value, list):
        return [parsed_by_sdk(item) for item in value]
    if not isinstance(value, dict):
        return value
    unknown = (_UNKNOWN_TO_MISTRALAI_1 if IS_MISTRALAI_1 else _UNKNOWN_TO_SDK).get(value.get("type", ""), set())
    return {
        # These two have no model: they are as they came.
        key: item if key in ("info", "arguments") else parsed_by_sdk(item)
        for key, item in value.items()
        if item is not None and key not in unknown
    }


def without_identity(value: Any) -> Any:
    """A value without what no two conversations share: ids and times."""
    if isinstance(value, dict):
        return {key: without_identity(item) for key, item in value.items() if key not in _IDENTITY}
    if isinstance(value, (list, tuple)):
        return [without_identity(item) for item in value]
    return value


_IDENTITY = {"id", "tool_call_id", "conversation_id", "created_at", "completed_at"}


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
