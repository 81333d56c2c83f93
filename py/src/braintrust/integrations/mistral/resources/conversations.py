"""What a conversation logs: its request, its response, and the response's entries as child spans.

Only plain values are read here; the shapes are those of Mistral's OpenAPI document, and where recorded traffic differs
from it a comment says so.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..errors import tool_error_text
from ..faults import guarded
from ..operations import Arrival, Child, Operation, Outcome, Request, ToolCallKey, ToolCallUpdate
from ..payloads import Loggable, LoggableFields, only_dicts, parse_arguments, to_loggable, without_none
from .agent_names import agent_name_of, learn_from_handoff
from .conversation_stream import ConversationAccumulator, StreamedEntry
from .model_calls import with_llm_spans
from .reading import error_text, from_loggable, parameters_of, request_metadata, unix_time, with_stream
from .shapes import shape_entries
from .usage import usage_metrics


_APPROVALS = {"allow": "approved", "allowed": "approved", "deny": "denied", "denied": "denied"}
_CHILD_TYPES = ("tool.execution", "function.call", "agent.handoff")
_TOOL_FAILURE = "Error executing tool"


def read_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of `start`, `append` or `restart` log."""
    metadata = request_metadata(arguments, {"inputs"})
    inputs = shape_entries(to_loggable(arguments.get("inputs")))
    for entry in only_dicts(inputs):
        learn_from_handoff(entry)
    return Request(inputs, metadata, tuple(_tool_call_updates(inputs, metadata)))


@from_loggable
def read_response(response: dict[str, Loggable]) -> Outcome:
    """Return what a `ConversationResponse` logs."""
    outputs = shape_entries(response.get("outputs"))
    conversation_id = response.get("conversation_id")
    usage = response.get("usage")
    entries = only_dicts(outputs)
    for entry in entries:
        learn_from_handoff(entry)
    children = [
        _child_read_before(entry, index) or _child(entry, index, conversation_id)
        for index, entry in enumerate(outputs if isinstance(outputs, list) else ())
        if isinstance(entry, dict) and entry.get("type") in _CHILD_TYPES
    ]
    metadata: dict[str, Loggable] = {
        "model": next((entry["model"] for entry in entries if entry.get("model")), None),
        "conversation_id": conversation_id,
        "object": response.get("object"),
        "connectors": usage.get("connectors") if isinstance(usage, dict) else None,
        "response_guardrails": response.get("guardrails"),
    }
    return Outcome(
        output=outputs,
        metadata=without_none(metadata),
        metrics=usage_metrics(usage),
        children=children,
        error=error_text(response.get("error")),
    )


def _child_read_before(entry: dict[str, Loggable], index: int) -> Child | None:
    """Return what `read_ended` read of an entry, unless its index or the name of its agent is another one by now."""
    child: Child | None = entry.reading if isinstance(entry, LoggableFields) else None
    if child is None or child.child_index != index:
        return None
    return child if child.metadata.get("agent_name") == agent_name_of(entry.get("agent_id")) else None


def read_ended(accumulator: ConversationAccumulator, request: Request) -> list[Child]:
    """Return the children of an open stream that have ended, each once."""
    conversation_id = accumulator.conversation_id
    children = [_streamed_child(entry, conversation_id) for entry in accumulator.pop_ended()]
    return [child for child in children if child is not None]


@guarded(fallback=None)
def _streamed_child(entry: StreamedEntry, conversation_id: str | None) -> Child:
    learn_from_handoff(entry.fields)
    # The response, which is read when the stream ends, holds the same fields.
    child = entry.fields.reading = _child(entry.fields, entry.output_index, conversation_id, entry.arrival)
    return child


def read_lookup_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of `get`, `list`, `delete`, `get_history` or `get_messages` log."""
    parameters = parameters_of(arguments)
    metadata = {"provider": "mistral", "conversation_id": parameters.get("conversation_id")}
    return Request(parameters or None, without_none(metadata))


@from_loggable
def read_lookup_response(response: dict[str, Loggable]) -> Outcome:
    """Return what a conversation, a list of them, a history or messages log: all of it, and no children."""
    shaped = {name: shape_entries(response[name]) for name in ("entries", "messages") if name in response}
    for entry in only_dicts(shaped.get("entries")):
        learn_from_handoff(entry)
    metadata = {name: response.get(name) for name in ("object", "model", "agent_id")}
    return Outcome({**response, **shaped}, without_none(metadata))


def _tool_call_updates(inputs: Loggable, metadata: Mapping[str, Loggable]) -> Iterable[ToolCallUpdate]:
    """Yield what an append brings for the function calls of the conversation so far."""
    conversation_id = metadata.get("conversation_id")
    for confirmation in only_dicts(metadata.get("tool_confirmations")):
        key = _call_key(conversation_id, confirmation)
        approval = _APPROVALS.get(str(confirmation.get("confirmation")))
        if key is not None and approval is not None:
            yield ToolCallUpdate(key, approval=approval)
    for entry in only_dicts(inputs):
        key = _call_key(conversation_id, entry)
        # The SDK lets typed dicts go without "type".
        if key is not None and entry.get("type", "function.result") == "function.result" and "result" in entry:
            yield ToolCallUpdate(key, output=entry["result"])


def _child(
    entry: Mapping[str, Loggable], index: int, conversation_id: Loggable, arrival: Arrival | None = None
) -> Child:
    """Return an entry of one of `_CHILD_TYPES` as a child span."""
    kind = entry["type"]
    metadata: dict[str, Loggable] = {
        "tool_type": kind,
        "tool_name": entry.get("name"),
        "tool_call_id": entry.get("id"),
        "tool_index": index,
        "agent_id": entry.get("agent_id"),
        "agent_name": agent_name_of(entry.get("agent_id")),
        "model": entry.get("model"),
    }
    name = f"tool: {metadata['tool_name']}"
    output = error = pending_key = None
    if kind == "agent.handoff":
        arguments = _agent(entry, "previous")
        output = _agent(entry, "next")
        metadata["tool_name"] = (output or {}).get("agent_name") or entry.get("next_agent_id")
        # A stream may break off before it names the agent.
        name = f"handoff: {metadata['tool_name']}" if metadata["tool_name"] else "handoff"
    else:
        arguments = parse_arguments(entry.get("arguments"))
    if kind == "tool.execution":
        output = entry.get("info")
        error = _tool_failure(output, str(entry.get("name")))
    elif kind == "function.call":
        metadata["tool_call_id"] = entry.get("tool_call_id") or entry.get("id")
        metadata["tool_approval"] = _APPROVALS.get(str(entry.get("confirmation_status")))
        pending_key = _call_key(conversation_id, entry) if metadata["tool_approval"] != "denied" else None
    start, end = unix_time(entry.get("created_at")), unix_time(entry.get("completed_at"))
    about = without_none(metadata)
    return Child(name, arguments, output, about, index, error, start, end, arrival, pending_key)


def _tool_failure(info: Loggable, name: str) -> str | None:
    """Return the error of a failed hosted tool; its ids, times and status are those of a success."""
    result = info.get("result") if isinstance(info, dict) else None
    if isinstance(result, str) and result.startswith(_TOOL_FAILURE):
        return tool_error_text(result, name)
    return None


def _call_key(conversation_id: Loggable, entry: Mapping[str, Loggable]) -> ToolCallKey | None:
    tool_call_id = entry.get("tool_call_id")
    if isinstance(conversation_id, str) and isinstance(tool_call_id, str):
        return ToolCallKey(conversation_id, tool_call_id)
    return None


def _agent(entry: Mapping[str, Loggable], side: str) -> dict[str, Loggable] | None:
    """Return the agent on one side of a handoff, `previous` or `next`."""
    agent_id = entry.get(f"{side}_agent_id")
    name = entry.get(f"{side}_agent_name") or agent_name_of(agent_id)
    return without_none({"agent_id": agent_id, "agent_name": name}) or None


OPERATIONS = {
    **{
        method: Operation(
            f"mistral.beta.conversations.{method}",
            SpanTypeAttribute.TASK,
            with_stream(read_request, streams=accumulator is not None),
            read_response,
            accumulator,
            with_llm_spans(read_response, read_ended),
            read_ended,
        )
        for name in ("start", "append", "restart")
        for method, accumulator in ((name, None), (f"{name}_stream", ConversationAccumulator))
    },
    **{
        method: Operation(
            f"mistral.beta.conversations.{method}", SpanTypeAttribute.TASK, read_lookup_request, read_lookup_response
        )
        for method in ("get", "list", "delete", "get_history", "get_messages")
    },
}
"""The traced methods of `client.beta.conversations`, by name; each has an `_async` twin."""
