"""The floor: a traced call's rows, known beforehand and logged with Braintrust's bare ``start_span`` and ``log``.

No tracing that logs these rows can cost less. The records are as few as can be: two for a call, one for a tool.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import braintrust
from braintrust import SpanTypeAttribute
from mistralai.client.chat import Chat
from mistralai.client.conversations import Conversations
from mistralai.client.models import ChatCompletionResponse, ConversationResponse, ToolCall, ToolExecutionEntry

from .answers import MODEL
from .provider import Provider


_Response = TypeVar("_Response")

_PROVENANCE: Any = {"instrumentation": "mistral-auto"}


@dataclass(frozen=True)
class Rows:
    """What the span of one response and the spans of its tools log."""

    output: list[dict[str, Any]]
    metadata: dict[str, Any]
    metrics: dict[str, float]
    tools: list[dict[str, Any]]


def install(provider: Provider) -> None:
    """Make ``Conversations.start`` and ``Chat.complete`` log the rows of what this provider answers."""
    start = _logging(
        Conversations.start,
        "mistral.beta.conversations.start",
        SpanTypeAttribute.TASK,
        "inputs",
        _once(rows_of, lambda: provider.response),
    )
    complete = _logging(
        Chat.complete,
        "mistral.chat.complete",
        SpanTypeAttribute.LLM,
        "messages",
        _once(rows_of_completion, lambda: provider.completion),
    )
    cast(Any, Conversations).start = start
    cast(Any, Chat).complete = complete


def _logging(
    answer: Callable[..., _Response],
    name: str,
    span_type: SpanTypeAttribute,
    parameter: str,
    known: Callable[[], Rows],
) -> Callable[..., _Response]:
    """A method that answers as this one does and logs the rows, with this parameter as its input."""

    def call(resource: object, **request: Any) -> _Response:
        started = time.time()
        span = braintrust.start_span(
            name=name, type=span_type, input=request[parameter], start_time=started, internal=_PROVENANCE
        )
        response = answer(resource, **request)
        ended = time.time()
        rows = known()
        for tool in rows.tools:
            span.start_span(**tool, internal=_PROVENANCE)
        metrics = {**rows.metrics, "end": ended, "duration": ended - started}
        span.log(output=rows.output, metadata=rows.metadata, metrics=metrics)
        return response

    return call


def _once(read: Callable[[_Response], Rows], ready: Callable[[], _Response]) -> Callable[[], Rows]:
    """Return what gives the rows of the ready-made response of the moment, read once."""
    known: dict[int, tuple[_Response, Rows]] = {}

    def rows() -> Rows:
        response = ready()
        # With the response, whose id may be another's once it is garbage.
        return (known.get(id(response)) or known.setdefault(id(response), (response, read(response))))[1]

    return rows


def rows_of(response: ConversationResponse) -> Rows:
    """The rows that a trace of this response has."""
    plain = response.model_dump(mode="json")
    usage = plain["usage"]
    metadata = {"provider": "mistral", "model": MODEL, "stream": False} | {
        key: plain[key] for key in ("conversation_id", "object")
    }
    if "connectors" in usage:
        metadata["connectors"] = usage["connectors"]
    return Rows(
        output=plain["outputs"],
        metadata=metadata,
        metrics=_metrics(usage),
        tools=[
            _tool_row(entry, index)
            for index, entry in enumerate(response.outputs)
            if isinstance(entry, ToolExecutionEntry)
        ],
    )


def rows_of_completion(completion: ChatCompletionResponse) -> Rows:
    """The rows that a trace of this completion has."""
    plain = completion.model_dump(mode="json")
    calls = [call for choice in completion.choices if choice.message for call in choice.message.tool_calls or ()]
    return Rows(
        output=plain["choices"],
        metadata={"provider": "mistral", "stream": False}
        | {key: plain[key] for key in ("model", "id", "object", "created")},
        metrics=_metrics(plain["usage"]),
        tools=[_call_row(call, index) for index, call in enumerate(calls)],
    )


def _metrics(usage: dict[str, Any]) -> dict[str, float]:
    names = {
        "prompt_tokens": "prompt_tokens",
        "completion_tokens": "completion_tokens",
        "tokens": "total_tokens",
        "connector_tokens": "connector_tokens",
    }
    return {name: usage[field] for name, field in names.items() if field in usage}


def _call_row(call: ToolCall, index: int) -> dict[str, Any]:
    assert isinstance(call.function.arguments, str), "a ready-made call has its arguments as JSON"
    return {
        "name": f"tool: {call.function.name}",
        "type": SpanTypeAttribute.TOOL,
        "input": json.loads(call.function.arguments),
        "metadata": {
            "tool_type": "function",
            "tool_name": call.function.name,
            "tool_call_id": call.id,
            "tool_index": index,
        },
    }


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
