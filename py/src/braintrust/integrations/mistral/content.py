"""What is left of a log record without its content: names, times, ids, types, models, counts and settings.

Content is what people, models, tools and documents say: input and output, and in metadata instructions, descriptions,
schemas, file names and the like. Listed here is what is no content, so that anything else is left out.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias, Union

from .payloads import only_dicts


_Kept: TypeAlias = Mapping[str, Union["_Kept", None]]

_CONTENT = ("input", "output")

# The response format of speech is a text.
_RESPONSE_FORMAT: _Kept = {"": None, "type": None}
_AUDIO_FORMAT: _Kept = {"encoding": None}
_COMPLETION_ARGS: _Kept = {
    "prompt_mode": None,
    "reasoning_effort": None,
    "response_format": _RESPONSE_FORMAT,
    "tool_choice": None,
}
_TOOL: _Kept = {"type": None, "function": {"name": None}, "connector_id": None, "library_ids": None}

_KEPT: _Kept = {
    # Which call it is, and of what.
    "provider": None,
    "host": None,
    "model": None,
    "requested_model": None,
    "id": None,
    "object": None,
    "created_at": None,
    "conversation_id": None,
    "from_entry_id": None,
    "agent_id": None,
    "agent_name": None,
    "agent_version": None,
    "conversation": {"": None, "id": None},
    "previous_response_id": None,
    "request_id": None,
    "connector_id_or_name": None,
    "index_name": None,
    "library_id": None,
    "voice": None,
    "voice_id": None,
    "endpoint": None,
    "job_id": None,
    "batch_job_id": None,
    "custom_id": None,
    "workflow_identifier": None,
    "workflow_registration_id": None,
    "workflow_name": None,
    "execution_id": None,
    "prompt": {"id": None, "project_id": None, "version": None, "prompt_session_id": None},
    # What a tool's call is.
    "tool_type": None,
    "tool_name": None,
    "tool_call_id": None,
    "tool_approval": None,
    "tool_confirmations": {"tool_call_id": None, "confirmation": None},
    "tools": _TOOL,
    # What was asked for.
    **_COMPLETION_ARGS,
    "completion_args": _COMPLETION_ARGS,
    "text": {"format": {"type": None}, "format_": {"type": None}},
    "output_format": None,
    "handoff_execution": None,
    "service_tier": None,
    "encoding_format": None,
    "output_dtype": None,
    "timestamp_granularities": None,
    "confidence_scores_granularity": None,
    "table_format": None,
    "document_type": None,
    "audio_format": _AUDIO_FORMAT,
    "streaming_mode": None,
    # What came of it.
    "status": None,
    "finish_reason": None,
    "finish_reasons": None,
    "incomplete_details": {"reason": None},
    "language": None,
    "connectors": {},
    "usage": {},
    "usage_service_tier": None,
    "turns": {"type": None, "end_reason": None},
}
"""The texts that are no content, by their names in a span's metadata, and in the dicts and lists of dicts in there.

With a name of "", a text in the place of such a dict is kept as well. Numbers and truth values are no content,
whatever their names.
"""


def without_content(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a span is about to log without content.

    Errors have none already (`errors.py`). The reasons why choices ended, which stand in the output, become metadata.
    """
    rest = {name: value for name, value in record.items() if name not in _CONTENT}
    reasons = [choice["finish_reason"] for choice in only_dicts(record.get("output")) if choice.get("finish_reason")]
    metadata = {**(rest.get("metadata") or {}), **({"finish_reasons": reasons} if reasons else {})}
    if metadata:
        rest["metadata"] = _kept(metadata, _KEPT)
    return rest


def _kept(fields: Mapping[str, Any], kept: _Kept) -> dict[str, Any]:
    found = {name: _kept_value(value, name, kept) for name, value in fields.items()}
    return {name: value for name, value in found.items() if value is not None}


def _kept_value(value: Any, name: str, kept: _Kept) -> Any:
    """Return what is kept of a value, `None` for nothing."""
    if isinstance(value, bool | int | float):
        return value
    if name not in kept:
        return None
    if isinstance(value, list):
        items = (_kept_value(item, name, kept) for item in value)
        return [item for item in items if item is not None] or None
    below = kept[name]
    if isinstance(value, str):
        return value if below is None or "" in below else None
    return None if below is None or not isinstance(value, Mapping) else _kept(value, below)
