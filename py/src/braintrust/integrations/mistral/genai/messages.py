"""OpenTelemetry's GenAI messages, tool definitions and attributes, from Mistral's payloads.

Pure functions from plain dicts, or the SDK's models, to dicts in the shapes of OpenTelemetry's schemas. Nothing is
encoded: who needs text serializes a whole collection once. Nothing raises: of a malformed payload comes the best
message that can be made of it.
"""

import base64
from typing import Any

from braintrust.logger import BaseAttachment

from ..media import bytes_in_memory
from ..payloads import MAX_DEPTH, only_dicts, to_loggable, without_none
from ..secret_names import is_secret_name
from .parts import ENTRIES, Fields, content_parts, fields_of, message_parts, text_of, tool_response_part


CONTENT_ATTRIBUTES = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
    }
)
"""The attributes that say what people, models and tools said."""

_SCALARS = (str, int, float, bool)
_FINISH_REASONS = {"tool_calls": "tool_call", "model_length": "length"}
_OPERATIONS = {
    "chat": "chat",
    # As in Mistral's own OpenTelemetry spans.
    "agents": "invoke_agent",
    "beta.conversations": "invoke_agent",
    "embeddings": "embeddings",
    "fim": "text_completion",
    "responses": "chat",
}
_PROVIDERS = {"azure": "azure.ai.inference", "vertex": "gcp.vertex_ai"}
_LOOKUPS = frozenset({"get", "list", "delete", "get_history", "get_messages"})

_REQUEST_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "random_seed": "seed",
    "n": "choice.count",
    "stop": "stop_sequences",
}


def format_input_message(message: Any) -> Fields:
    """Return a chat message or a conversation entry as one message: `role`, `parts` and, if it has one, `name`."""
    return _input_message(_verbatim(message))


def format_output_message(choice: Any) -> Fields:
    """Return a completion's choice as one message, with its `finish_reason`.

    The messages of a choice that has several, because Mistral ran tools itself, are put together.
    """
    return _output_message(_verbatim(choice))


def format_output_entries(outputs: Any) -> list[Fields]:
    """Return a conversation's outputs as a list with one message, its parts in the order of the entries."""
    return _output_entries(_verbatim(outputs))


def format_tool_definition(tool: Any) -> Fields | None:
    """Return a tool of a request in the flat form, or `None` for a function without a name."""
    return _tool_definition(fields_of(_verbatim(tool)))


def span_attributes(record: Any, *, capture_content: bool = True) -> Fields:
    """Return the `gen_ai.*` attributes of a traced call or tool, as far as `record` holds what they tell.

    A record is a row as the SDK exports it, whole or one of its increments. An increment has either the model that was
    requested or the one that answered; in a whole row the latter took the former's place, and stands for both.

    Args:
        record: `span_attributes` with the span's `name` and `type`, and `provider` if it is known; `input`, `output`,
            `metadata` and `metrics`.
        capture_content: whether to include the `CONTENT_ATTRIBUTES`.
    """
    row = fields_of(_verbatim(record))
    span = fields_of(row.get("span_attributes")) or row
    metadata = fields_of(row.get("metadata"))
    read = _tool_attributes if span.get("type") == "tool" else _call_attributes
    attributes = {
        "gen_ai.provider.name": _PROVIDERS.get(
            text_of(metadata.get("provider") or span.get("provider")), "mistral_ai"
        ),
        "gen_ai.agent.id": metadata.get("agent_id"),
        "gen_ai.agent.name": metadata.get("agent_name"),
        **read(text_of(span.get("name")), row, metadata),
    }
    return {
        name: value
        for name, value in attributes.items()
        if value is not None and (capture_content or name not in CONTENT_ATTRIBUTES)
    }


def _verbatim(value: Any, ancestors: tuple[int, ...] = ()) -> Any:
    """Return `value` as JSON-able values; unlike `to_loggable` leaves texts as they are, data URLs above all."""
    if value is None or type(value) in _SCALARS:
        return value
    if id(value) in ancestors or len(ancestors) >= MAX_DEPTH:
        return f"<{type(value).__name__}>"
    ancestors = (*ancestors, id(value))
    try:
        if isinstance(value, dict):
            return {str(name): _verbatim(item, ancestors) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [_verbatim(item, ancestors) for item in value]
        return _verbatim(_plain(value), ancestors)
    except Exception as error:
        return f"<unreadable {type(value).__name__}: {type(error).__name__}>"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseAttachment):
        return _embedded(value)
    # Of the SDK's own enums, the types of spans are texts.
    return str.__str__(value) if isinstance(value, str) else to_loggable(value)


def _embedded(attachment: BaseAttachment) -> str | Fields:
    """Return an attachment as a data URL, or as what Braintrust stores in its place where its bytes are elsewhere."""
    data = bytes_in_memory(attachment)
    if data is None:
        return {**attachment.reference}
    return f"data:{attachment.reference['content_type']};base64,{base64.b64encode(data).decode()}"


# Messages


def _input_message(message: Any) -> Fields:
    if not isinstance(message, dict):
        return {"role": "unknown", "parts": content_parts(message)}
    fields = fields_of(message)
    kind = text_of(fields.get("type"))
    if not kind and "role" not in fields and "result" in fields:
        # The SDK lets typed dicts go without "type".
        kind = "function.result"
    if kind in ENTRIES:
        role, parts_of = ENTRIES[kind]
        return {"role": role, "parts": parts_of(fields)}
    role = text_of(fields.get("role"), "unknown")
    if role == "tool":
        parts = [tool_response_part(fields.get("content"), fields.get("tool_call_id"))]
    else:
        parts = message_parts(fields)
        if not parts and kind and "role" not in fields:
            # An entry of a type that is still to come, or a chunk by itself.
            parts = content_parts(fields)
    name = {} if fields.get("name") is None else {"name": text_of(fields["name"])}
    return {"role": role, "parts": parts, **name}


def _output_message(choice: Any) -> Fields:
    fields = fields_of(choice)
    message = fields.get("message") if isinstance(choice, dict) else choice
    if isinstance(message, dict):
        role, parts = text_of(message.get("role"), "assistant"), message_parts(message)
    elif message is None:
        role, parts = "assistant", _entry_parts(fields.get("messages"))
    else:
        role, parts = "assistant", content_parts(message)
    return {"role": role, "parts": parts, "finish_reason": _finish_reason(fields)}


def _output_entries(outputs: Any) -> list[Fields]:
    return [{"role": "assistant", "parts": _entry_parts(outputs)}]


def _entry_parts(entries: Any) -> list[Fields]:
    entries = entries if isinstance(entries, list) else [entries]
    return [part for entry in entries for part in _input_message(entry)["parts"]]


def _finish_reason(choice: Fields) -> str:
    reason = text_of(choice.get("finish_reason"))
    return _FINISH_REASONS.get(reason, reason)


# Tools


def _tool_definition(tool: Fields) -> Fields | None:
    kind = text_of(tool.get("type"), "function")
    # The Responses API has functions in the flat form.
    function = fields_of(tool.get("function")) or (tool if kind == "function" else {})
    if function:
        name = text_of(function.get("name"))
        definition = {"type": kind, "name": name, "description": function.get("description")}
    elif kind == "function":
        return None
    else:
        name = text_of(tool.get("connector_id")) or kind
        # How to log in to a connector is no part of its definition.
        definition = {key: value for key, value in tool.items() if not is_secret_name(key)}
        definition |= {"type": kind, "name": name}
        function = tool
    parameters = function.get("parameters")
    definition["parameters"] = parameters if isinstance(parameters, dict) else None
    return without_none(definition) if name else None


# Attributes


def _call_attributes(name: str, row: Fields, metadata: Fields) -> Fields:
    resource, _, method = name.removeprefix("mistral.").rpartition(".")
    attributes: Fields = {"gen_ai.conversation.id": metadata.get("conversation_id")}
    if resource == "beta.conversations" and method in _LOOKUPS:
        return attributes
    if name.partition(" ")[0] == "chat":
        # One model call of a conversation, logged as a chat completion.
        resource = "chat"
    return {
        "gen_ai.operation.name": _OPERATIONS.get(resource),
        **attributes,
        **_request_attributes(row, metadata),
        **_response_attributes(row, metadata),
        **_content_attributes(resource, row.get("input"), row.get("output")),
    }


def _request_attributes(row: Fields, metadata: Fields) -> Fields:
    parameters = {**metadata, **fields_of(metadata.get("completion_args"))}
    attributes = {
        f"gen_ai.request.{attribute}": parameters[name]
        for name, attribute in _REQUEST_PARAMETERS.items()
        if name in parameters
    }
    stop = parameters.get("stop")
    if isinstance(stop, str):
        attributes["gen_ai.request.stop_sequences"] = [stop]
    is_start = "start" in fields_of(row.get("metrics")) or row.get("input") is not None
    # An agent brings its own model: in a whole row it is the one that answered.
    if is_start and not (row.get("output") is not None and "agent_id" in metadata):
        attributes["gen_ai.request.model"] = metadata.get("model")
    tools = metadata.get("tools")
    definitions = [_tool_definition(fields_of(tool)) for tool in (tools if isinstance(tools, list) else ())]
    return {
        **attributes,
        "gen_ai.system_instructions": content_parts(metadata.get("instructions")) or None,
        "gen_ai.tool.definitions": [definition for definition in definitions if definition] or None,
    }


def _response_attributes(row: Fields, metadata: Fields) -> Fields:
    metrics = fields_of(row.get("metrics"))
    return {
        "gen_ai.response.id": metadata.get("id"),
        "gen_ai.response.model": metadata.get("model") if row.get("output") is not None else None,
        "gen_ai.response.time_to_first_chunk": metrics.get("time_to_first_token"),
        "gen_ai.usage.input_tokens": metrics.get("prompt_tokens"),
        "gen_ai.usage.output_tokens": metrics.get("completion_tokens"),
        "gen_ai.usage.cache_read.input_tokens": metrics.get("prompt_cached_tokens"),
    }


def _content_attributes(resource: str, content: Any, output: Any) -> Fields:
    """Return the messages that went in and out, and why they ended; embeddings and the like have none."""
    attributes: Fields = {}
    if _OPERATIONS.get(resource) in (None, "embeddings"):
        return attributes
    if content:
        attributes["gen_ai.input.messages"] = _input_messages(content)
    if output and resource in ("beta.conversations", "responses"):
        attributes["gen_ai.output.messages"] = _output_entries(output)
    elif output:
        choices = output if isinstance(output, list) else [output]
        reasons = [_finish_reason(choice) for choice in only_dicts(choices)]
        attributes["gen_ai.output.messages"] = [_output_message(choice) for choice in choices]
        attributes["gen_ai.response.finish_reasons"] = [reason for reason in reasons if reason] or None
    return attributes


def _input_messages(content: Any) -> list[Fields]:
    if isinstance(content, dict) and "prompt" in content:
        parts = content_parts(content["prompt"])
        if content.get("suffix"):
            parts.append({"type": "suffix", "content": content["suffix"]})
        return [{"role": "user", "parts": parts}]
    if isinstance(content, str):
        return [{"role": "user", "parts": content_parts(content)}]
    return [_input_message(message) for message in (content if isinstance(content, list) else [content])]


def _tool_attributes(name: str, row: Fields, metadata: Fields) -> Fields:
    tool_type = text_of(metadata.get("tool_type"))
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": metadata.get("tool_name") or name.partition(": ")[2] or None,
        # The application runs functions; all else ran at Mistral.
        "gen_ai.tool.type": "function" if tool_type.startswith("function") else "extension" if tool_type else None,
        "gen_ai.tool.call.id": metadata.get("tool_call_id"),
        "gen_ai.tool.call.arguments": row.get("input"),
        "gen_ai.tool.call.result": row.get("output"),
    }
