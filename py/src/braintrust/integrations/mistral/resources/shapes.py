"""Mistral's messages, chunks and tools in the shapes of OpenAI's chat completions, which Braintrust draws.

Pure functions on loggable values, for requests and responses, streamed or not. What has no such shape stays as it is:
citations, thinking, files by their ids, remote documents, media that nobody could decode. Each function may be given
its own result.
"""

import json
from collections.abc import Mapping
from typing import TypeAlias

from braintrust.logger import BaseAttachment

from ..media import bytes_attachment, bytes_in_memory
from ..payloads import Loggable, only_dicts


_Fields: TypeAlias = dict[str, Loggable]

_FUNCTION: _Fields = {"type": "function"}
_MEDIA = ("image_url", "document_url", "input_audio")


def shape_content(content: Loggable) -> Loggable:
    """Return the content of a message or an entry, with the media among its chunks as `image_url` and `file` parts."""
    if isinstance(content, list):
        return [shape_chunk(chunk) for chunk in content]
    return shape_chunk(content)


def shape_chunk(chunk: Loggable) -> Loggable:
    """Return an image as `{"image_url": {"url": …}}`, an inline document or recording as `{"file": {…}}`.

    The file has the `document_name` that the caller gave it, or else one made from its type.
    """
    if not isinstance(chunk, dict):
        return chunk
    if chunk.get("type") == "thinking":
        return {**chunk, "thinking": shape_content(chunk.get("thinking"))}
    kind = _media_kind(chunk)
    if kind is None:
        return chunk
    media = chunk[kind]
    if kind == "image_url":
        return {**chunk, "type": kind, kind: media if isinstance(media, dict) else {"url": media}}
    if isinstance(media, dict):
        # A recording may come with its format, which its type says as well.
        media = media.get("data")
    if not isinstance(media, BaseAttachment):
        return chunk
    name = chunk.get("document_name")
    if isinstance(name, str) and name:
        media = _named(media, name)
    return {"type": "file", "file": file_fields(media)}


def file_fields(media: BaseAttachment | str) -> dict[str, Loggable]:
    """Return a file by its name and its data, as OpenAI's chat format has it; a note in its place has no name."""
    if isinstance(media, str):
        return {"file_data": media}
    return {"filename": media.reference["filename"], "file_data": media}


def shape_messages(messages: Loggable) -> Loggable:
    """Return chat messages with their media, and with the arguments of their tool calls as JSON text."""
    if isinstance(messages, list):
        # Moderation takes several conversations at once, classification as objects.
        return [shape_messages(message) for message in messages]
    if not isinstance(messages, dict):
        return messages
    if "messages" in messages:
        return {**messages, "messages": shape_messages(messages["messages"])}
    return _message(messages)


def shape_entries(entries: Loggable) -> Loggable:
    """Return entries of a conversation in their own shape, with the media in their content; a text stays a text."""
    if isinstance(entries, list):
        return [shape_entries(entry) for entry in entries]
    # Most contents are texts, and need no copy.
    if isinstance(entries, dict) and not isinstance(content := entries.get("content"), str) and content is not None:
        return {**entries, "content": shape_content(content)}
    return entries


def shape_choices(choices: Loggable) -> Loggable:
    """Return a completion's choices, each message with a content: a text, chunks where they say more, or null."""
    if not isinstance(choices, list):
        return choices
    return [_choice(choice) if isinstance(choice, dict) else choice for choice in choices]


def shape_parameter(name: str, value: Loggable) -> Loggable:
    """Return a parameter of a request; `None` for a list of tools without any."""
    if name == "tools" and isinstance(value, list):
        return [_tool(tool) for tool in value] or None
    if name == "tool_choice" and value == "any":
        return "required"
    if name == "completion_args" and isinstance(value, dict):
        return {key: shape_parameter(key, item) if key == "tool_choice" else item for key, item in value.items()}
    return value


def json_text(arguments: Loggable) -> Loggable:
    """Return the arguments of a tool call as JSON text, and those that are a text, malformed or not, as they came."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except TypeError:
        # An attachment inside would not be uploaded from a text.
        return arguments


def _media_kind(chunk: _Fields) -> str | None:
    """Return which of the media a chunk has, or `None`; the SDK lets typed dicts go without "type"."""
    return next((name for name in _MEDIA if chunk.get("type", name) == name and chunk.get(name) is not None), None)


def _named(attachment: BaseAttachment, filename: str) -> BaseAttachment | str:
    """Return an attachment under the name that the caller has for it."""
    data = bytes_in_memory(attachment)
    return attachment if data is None else bytes_attachment(data, attachment.reference["content_type"], filename)


def _message(message: _Fields) -> _Fields:
    content, calls = message.get("content"), message.get("tool_calls")
    if isinstance(content, str) and not calls:
        return message
    shaped = dict(message)
    if content is not None:
        shaped["content"] = shape_content(content)
    if isinstance(calls, list):
        shaped["tool_calls"] = [_tool_call(call) for call in calls]
    return shaped


def _choice(choice: _Fields) -> _Fields:
    shaped = dict(choice)
    if "message" in choice:
        shaped["message"] = _answer(choice["message"])
    # There are several where Mistral ran tools itself.
    messages = choice.get("messages")
    if isinstance(messages, list):
        shaped["messages"] = [_answer(message) for message in messages]
    return shaped


def _answer(message: Loggable) -> Loggable:
    if not isinstance(message, dict):
        return message
    shaped = _message(message)
    content = shaped.get("content")
    texts = [chunk["text"] for chunk in only_dicts(content) if _is_text(chunk)]
    if texts and isinstance(content, list) and len(texts) == len(content):
        content = "".join(str(text) for text in texts)
    return {**shaped, "content": content}


def _is_text(chunk: Mapping[str, Loggable]) -> bool:
    return chunk.get("type") == "text" and isinstance(chunk.get("text"), str)


def _tool_call(call: Loggable) -> Loggable:
    if not isinstance(call, dict):
        return call
    function = call.get("function")
    if isinstance(function, dict) and "arguments" in function:
        call = {**call, "function": {**function, "arguments": json_text(function["arguments"])}}
    return _FUNCTION | call


def _tool(tool: Loggable) -> Loggable:
    return _FUNCTION | tool if isinstance(tool, dict) and "function" in tool else tool
