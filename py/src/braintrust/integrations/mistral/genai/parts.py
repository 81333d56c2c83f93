"""The parts of OpenTelemetry's GenAI messages: of content chunks, tool calls and conversation entries.

Only JSON-able values are read here; whatever they are, the parts fit the schema.
"""

import base64
import mimetypes
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..payloads import only_dicts, without_none


Fields: TypeAlias = dict[str, Any]

_LONGEST_TYPE = 100
_MODALITIES = {"image_url": "image", "document_url": "document", "input_audio": "audio"}
_IMAGE_TYPES = frozenset({"avif", "bmp", "gif", "heic", "jpeg", "jpg", "png", "svg", "svg+xml", "tif", "tiff", "webp"})
_HANDOFF_FIELDS = ("previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name")

# To OpenTelemetry, these types mean parts with fields that a chunk of Mistral's would not have.
_FOREIGN_TYPES = frozenset(
    {"blob", "reasoning", "server_tool_call", "server_tool_call_response", "tool_call", "tool_call_response", "uri"}
)


def fields_of(value: Any) -> Fields:
    """Return a dict, or an empty one for what is none."""
    if not isinstance(value, dict):
        return {}
    # SDK 2.x and 3.x wrap chunks and entries of types that they do not know.
    raw = value.get("raw")
    return raw if value.get("type") == "UNKNOWN" and isinstance(raw, dict) else value


def text_of(value: Any, missing: str = "") -> str:
    """Return a value as a text, and `missing` for none."""
    try:
        return missing if value is None else str(value)
    except ValueError:
        # Python writes out no integer of more than 4,300 digits.
        return f"<{type(value).__name__}>"


def message_parts(message: Fields) -> list[Fields]:
    """Return the content of a message and the tool calls in it."""
    parts = content_parts(message.get("content"))
    calls = message.get("tool_calls")
    for call in only_dicts(calls if isinstance(calls, list) else [calls]):
        function = fields_of(call.get("function"))
        parts.append(_tool_call_part(function.get("name"), call.get("id"), function.get("arguments")))
    return parts


def content_parts(content: Any) -> list[Fields]:
    """Return the content of a message, a text or chunks."""
    if content is None:
        return []
    if isinstance(content, list):
        return [_chunk_part(chunk) for chunk in content if isinstance(chunk, str | dict)]
    return [_chunk_part(content if isinstance(content, dict) else text_of(content))]


def tool_response_part(response: Any, call_id: Any) -> Fields:
    """Return the result of a tool that the application ran."""
    return {"type": "tool_call_response", "response": response, **_identity(call_id)}


def _chunk_part(chunk: str | Fields) -> Fields:
    if isinstance(chunk, str):
        return {"type": "text", "content": chunk}
    fields = fields_of(chunk)
    kind = _chunk_type(fields)
    if kind == "text":
        return {"type": "text", "content": text_of(fields.get("text"))}
    if kind == "thinking":
        return {"type": "reasoning", "content": _thinking(fields.get("thinking"))}
    if kind in _MODALITIES:
        return _media_part(fields.get(kind), _MODALITIES[kind])
    if kind in ("file", "tool_file"):
        return _file_part(fields)
    # OpenTelemetry has no part for it: its own type, with its own fields.
    return {**fields, "type": f"mistral.{kind}" if kind in _FOREIGN_TYPES else kind or "unknown"}


def _chunk_type(chunk: Fields) -> str:
    # The SDK lets typed dicts go without "type".
    named = (kind for kind in ("text", "thinking", *_MODALITIES) if kind in chunk)
    return text_of(chunk.get("type")) or next(named, "")


def _thinking(thinking: Any) -> str:
    if not isinstance(thinking, list):
        return text_of(thinking)
    return "\n".join(text_of(part.get("text")) for part in only_dicts(thinking) if _chunk_type(part) == "text")


def _media_part(media: Any, modality: str) -> Fields:
    """Return an image, a document or a recording, given as a URL, as base64, or as an object with either."""
    while isinstance(media, dict) and media.get("type") != "braintrust_attachment":
        media = media.get("url", media.get("data"))
    if isinstance(media, dict):
        mime_type, file_id = _mime_type(media.get("content_type")), text_of(media.get("key"))
        return {"type": "file", "modality": modality, **mime_type, "file_id": file_id}
    text = text_of(media)
    if text[:1] == "<":
        # A note of what was not uploaded.
        return {"type": "text", "content": text}
    if text[:5].lower() == "data:":
        blob = _data_url_blob(text, modality)
        if blob is not None:
            return blob
    elif modality == "audio" and ":" not in text:
        return {"type": "blob", "modality": modality, "content": text}
    return {"type": "uri", "modality": modality, "uri": text}


def _data_url_blob(url: str, modality: str) -> Fields | None:
    """Return what a data URL holds, or `None` where it is not a valid one."""
    header, comma, content = url.partition(",")
    if not comma:
        return None
    if header.lower().endswith(";base64"):
        content = urllib.parse.unquote(content)
    else:
        try:
            content = base64.b64encode(urllib.parse.unquote_to_bytes(content)).decode()
        except UnicodeEncodeError:
            return None
    return {"type": "blob", "modality": modality, **_mime_type(header[5:].partition(";")[0]), "content": content}


def _file_part(fields: Fields) -> Fields:
    """Return a file, whose content is in it in the shape of OpenAI's chat format, and elsewhere in Mistral's."""
    file = fields.get("file")
    if isinstance(file, dict) and file.get("file_data") is not None:
        return _media_part(file["file_data"], _data_modality(file["file_data"], text_of(file.get("filename"))))
    fields = file if isinstance(file, dict) else fields
    name = without_none({"file_name": fields.get("file_name")})
    return {"type": "file", "modality": _file_modality(fields), "file_id": text_of(fields.get("file_id")), **name}


def _data_modality(data: Any, name: str) -> str:
    """Return what kind of media the `file_data` of OpenAI's chat format is, by its type, else by the file's name."""
    if isinstance(data, dict):
        mime_type = text_of(data.get("content_type"))
    else:
        text = text_of(data)
        mime_type = text[5:_LONGEST_TYPE] if text[:5].lower() == "data:" else ""
    mime_type = mime_type or mimetypes.guess_type(name)[0] or ""
    kind = mime_type.partition("/")[0].lower()
    return kind if kind in ("image", "audio", "video") else "document"


def _file_modality(chunk: Fields) -> str:
    file_type = text_of(chunk.get("file_type")) or text_of(chunk.get("file_name")).rpartition(".")[2]
    return "image" if file_type.lower().removeprefix("image/") in _IMAGE_TYPES else "document"


def _mime_type(mime_type: Any) -> Fields:
    return {"mime_type": text_of(mime_type)} if mime_type else {}


def _identity(identity: Any) -> Fields:
    return {} if identity is None else {"id": text_of(identity)}


def _tool_call_part(name: Any, call_id: Any, arguments: Any) -> Fields:
    return {"type": "tool_call", "name": text_of(name), **_identity(call_id), **without_none({"arguments": arguments})}


def _function_result_parts(entry: Fields) -> list[Fields]:
    return [tool_response_part(entry.get("result"), entry.get("tool_call_id"))]


def _function_call_parts(entry: Fields) -> list[Fields]:
    call = _tool_call_part(entry.get("name"), entry.get("tool_call_id"), entry.get("arguments"))
    return [{**call, **without_none({"confirmation_status": entry.get("confirmation_status")})}]


def _tool_execution_parts(entry: Fields) -> list[Fields]:
    name = text_of(entry.get("name"))
    identity = _identity(entry.get("id"))
    call = {"type": name, **without_none({"arguments": entry.get("arguments")})}
    parts: list[Fields] = [{"type": "server_tool_call", "name": name, **identity, "server_tool_call": call}]
    if entry.get("info") is not None:
        response = {"type": name, "info": entry["info"]}
        parts.append({"type": "server_tool_call_response", **identity, "server_tool_call_response": response})
    return parts


def _handoff_parts(entry: Fields) -> list[Fields]:
    return [{"type": "agent.handoff", **without_none({name: entry.get(name) for name in _HANDOFF_FIELDS})}]


ENTRIES: Mapping[str, tuple[str, Callable[[Fields], list[Fields]]]] = {
    "function.result": ("tool", _function_result_parts),
    "function.call": ("assistant", _function_call_parts),
    "tool.execution": ("assistant", _tool_execution_parts),
    "agent.handoff": ("assistant", _handoff_parts),
}
"""The entries of a conversation that are no messages, by type: their role in OpenTelemetry, and their parts."""
