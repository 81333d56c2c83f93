"""OpenTelemetry's GenAI messages and tool definitions, from Mistral's payloads.

Pure functions from plain dicts, or the SDK's models, to dicts in the shapes of OpenTelemetry's schemas. Nothing is
made text: whoever needs that serializes a whole collection at once. Nothing raises: a malformed payload becomes the
best message that can be made of it. Functions named `format_…` take any value, the others what `verbatim` returned.
"""

import base64
from typing import Any

from braintrust.logger import BaseAttachment

from ..media import bytes_in_memory
from ..payloads import MAX_DEPTH, to_loggable, without_none
from ..secret_names import is_secret_name
from .parts import ENTRIES, Fields, content_parts, fields_of, message_parts, text_of, tool_response_part


_SCALARS = (str, int, float, bool)
_FINISH_REASONS = {"tool_calls": "tool_call", "model_length": "length"}
_FUNCTION_CALLS = ("function.call", "function_call")
"""As conversations and the Responses API name the entries."""


def format_input_message(message: Any) -> Fields:
    """Return a chat message or a conversation entry as one message: `role`, `parts` and, if it has one, `name`."""
    return input_message(verbatim(message))


def format_output_message(choice: Any) -> Fields:
    """Return a completion's choice as one message, with its `finish_reason`.

    The messages of a choice that has several, because Mistral ran tools itself, are put together.
    """
    return output_message(verbatim(choice))


def format_output_entries(outputs: Any) -> list[Fields]:
    """Return a conversation's outputs as a list with one message, its parts in the order of the entries.

    Its `finish_reason` is `tool_call` where function calls wait for results, else `stop`.
    """
    return output_entries(verbatim(outputs))


def format_tool_definition(tool: Any) -> Fields | None:
    """Return a tool of a request in the flat form, or `None` for a function without a name."""
    return tool_definition(fields_of(verbatim(tool)))


def verbatim(value: Any, ancestors: tuple[int, ...] = ()) -> Any:
    """Return `value` as JSON-able values; unlike with `to_loggable`, texts stay as they are, data URLs above all."""
    if value is None or type(value) in _SCALARS:
        return value
    if id(value) in ancestors or len(ancestors) >= MAX_DEPTH:
        return f"<{type(value).__name__}>"
    ancestors = (*ancestors, id(value))
    try:
        if isinstance(value, dict):
            return {str(name): verbatim(item, ancestors) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [verbatim(item, ancestors) for item in value]
        return verbatim(_plain(value), ancestors)
    except Exception as error:
        return f"<unreadable {type(value).__name__}: {type(error).__name__}>"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseAttachment):
        return _embedded(value)
    # The types of spans are texts and members of an enum.
    return str.__str__(value) if isinstance(value, str) else to_loggable(value)


def _embedded(attachment: BaseAttachment) -> str | Fields:
    """Return an attachment as a data URL, or as what Braintrust stores of it where its bytes are not in memory."""
    data = bytes_in_memory(attachment)
    if data is None:
        return {**attachment.reference}
    return f"data:{attachment.reference['content_type']};base64,{base64.b64encode(data).decode()}"


# Messages


def input_message(message: Any) -> Fields:
    """Do what `format_input_message` does, given what `verbatim` returned."""
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


def output_message(choice: Any) -> Fields:
    """Do what `format_output_message` does, given what `verbatim` returned."""
    fields = fields_of(choice)
    message = fields.get("message") if isinstance(choice, dict) else choice
    if isinstance(message, dict):
        role, parts = text_of(message.get("role"), "assistant"), message_parts(message)
    elif message is None:
        role, parts = "assistant", _entry_parts(fields.get("messages"))
    else:
        role, parts = "assistant", content_parts(message)
    return {"role": role, "parts": parts, "finish_reason": finish_reason(fields.get("finish_reason"))}


def output_entries(outputs: Any) -> list[Fields]:
    """Do what `format_output_entries` does, given what `verbatim` returned."""
    entries = outputs if isinstance(outputs, list) else [outputs]
    finish_reason = "tool_call" if _wait_for_results([fields_of(entry) for entry in entries]) else "stop"
    return [{"role": "assistant", "parts": _entry_parts(entries), "finish_reason": finish_reason}]


def _wait_for_results(entries: list[Fields]) -> bool:
    """Tell whether a function call that nobody refused has no result yet; a run's outputs have the results as well."""
    results = {text_of(entry.get("tool_call_id")) for entry in entries if entry.get("type") == "function.result"}
    return any(
        entry.get("type") in _FUNCTION_CALLS
        and entry.get("confirmation_status") != "denied"
        and text_of(entry.get("tool_call_id")) not in results
        for entry in entries
    )


def _entry_parts(entries: Any) -> list[Fields]:
    entries = entries if isinstance(entries, list) else [entries]
    return [part for entry in entries for part in input_message(entry)["parts"]]


def finish_reason(reason: Any) -> str:
    """Return why a choice ended, in OpenTelemetry's word for it where that is another."""
    text = text_of(reason)
    return _FINISH_REASONS.get(text, text)


# Tools


def tool_definition(tool: Fields) -> Fields | None:
    """Do what `format_tool_definition` does, given what `verbatim` returned."""
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
