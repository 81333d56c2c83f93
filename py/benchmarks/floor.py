"""The floor: a traced call's rows, known beforehand and logged with Braintrust's bare ``start_span`` and ``log``.

No tracing that logs these rows can cost less. The records are as few as can be: two for a call, one for a finished
tool.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import braintrust
from braintrust import SpanTypeAttribute
from mistralai.client.conversations import Conversations
from mistralai.client.models import ConversationResponse, ToolExecutionEntry

from .provider import MODEL


_PROVENANCE: Any = {"instrumentation": "mistral-auto"}


@dataclass(frozen=True)
class Rows:
    """What the span of one response and the spans of its tools log."""

    output: list[dict[str, Any]]
    metadata: dict[str, Any]
    metrics: dict[str, float]
    tools: list[dict[str, Any]]


def install() -> None:
    """Make ``Conversations.start`` log its rows."""
    answer: Callable[..., ConversationResponse] = Conversations.start
    known: dict[int, Rows] = {}

    def start(conversations: Conversations, **request: Any) -> ConversationResponse:
        started = time.time()
        span = braintrust.start_span(
            name="mistral.beta.conversations.start",
            type=SpanTypeAttribute.TASK,
            input=request["inputs"],
            start_time=started,
            internal=_PROVENANCE,
        )
        response = answer(conversations, **request)
        ended = time.time()
        rows = known.get(id(response)) or known.setdefault(id(response), rows_of(response))
        for tool in rows.tools:
            span.start_span(**tool, internal=_PROVENANCE)
        metrics = {**rows.metrics, "end": ended, "duration": ended - started}
        span.log(output=rows.output, metadata=rows.metadata, metrics=metrics)
        return response

    cast(Any, Conversations).start = start


def rows_of(response: ConversationResponse) -> Rows:
    """The rows that a trace of this response has."""
    plain = response.model_dump(mode="json")
    usage = plain["usage"]
    metadata = {"provider": "mistral", "model": MODEL, "stream": False} | {
        key: plain[key] for key in ("conversation_id", "object")
    }
    if "connectors" in usage:
        metadata["connectors"] = usage["connectors"]
    names = {
        "prompt_tokens": "prompt_tokens",
        "completion_tokens": "completion_tokens",
        "tokens": "total_tokens",
        "connector_tokens": "connector_tokens",
    }
    return Rows(
        output=plain["outputs"],
        metadata=metadata,
        metrics={name: usage[field] for name, field in names.items() if field in usage},
        tools=[
            _tool_row(entry, index)
            for index, entry in enumerate(response.outputs)
            if isinstance(entry, ToolExecutionEntry)
        ],
    )


def _tool_row(entry: ToolExecutionEntry, index: int) -> dict[str, Any]:
    assert entry.created_at, "a ready-made tool has its times"
    assert entry.completed_at, "a ready-made tool has its times"
    return {
        "name": f"tool: {entry.name}",
        "type": SpanTypeAttribute.TOOL,
        "start_time": entry.created_at.timestamp(),
        "input": json.loads(entry.arguments),
        "output": entry.info,
        "metadata": {
            "tool_type": entry.type,
            "tool_name": entry.name,
            "tool_call_id": entry.id,
            "tool_index": index,
            "model": entry.model,
        },
        "metrics": {"end": entry.completed_at.timestamp()},
    }
