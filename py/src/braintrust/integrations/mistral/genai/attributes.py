"""OpenTelemetry's `gen_ai.*` attributes of a span, from what this integration logs of it."""

from typing import Any

from ..errors import error_type_of
from ..payloads import only_dicts
from ..settings import settings
from .messages import finish_reason, input_message, output_entries, output_message, tool_definition, verbatim
from .parts import Fields, content_parts, fields_of, text_of


CONTENT_ATTRIBUTES = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
    }
)
"""The attributes that repeat what people, models and tools said."""

# By the names of spans, whole or up to the last dot; `agents` and `ocr` as in OpenTelemetry spans of Mistral's SDK.
_OPERATIONS = {
    "agents": "invoke_agent",
    "audio.realtime.transcription": "generate_content",
    "audio.realtime_speech.generation": "generate_content",
    "audio.speech": "generate_content",
    "audio.transcriptions": "generate_content",
    "beta.agents.create": "create_agent",
    "beta.context.search_indexes": "retrieval",
    "beta.conversations": "invoke_agent",
    "beta.libraries.documents": "retrieval",
    "beta.rag.managed_indexes": "retrieval",
    "chat": "chat",
    "embeddings": "embeddings",
    "fim": "text_completion",
    "ocr": "generate_content",
    "responses": "chat",
    "workflows": "invoke_workflow",
}
_ADMINISTRATION = frozenset(
    {
        *(f"beta.agents.{method}" for method in ("get", "update", "update_version", "delete")),
        *(f"beta.conversations.{method}" for method in ("get", "list", "delete", "get_history", "get_messages")),
        "workflows.wait_for_workflow_completion",
    }
)
_WITH_MESSAGES = frozenset({"chat", "invoke_agent", "text_completion"})
_WITH_OUTPUT_TYPE = _WITH_MESSAGES | {"generate_content"}
_WITH_ENTRIES = ("beta.conversations.", "responses.")

_PROVIDERS = {"azure": "azure.ai.inference", "vertex": "gcp.vertex_ai"}
_REQUEST_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "random_seed": "seed",
    "n": "choice.count",
}
_USAGE = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read.input_tokens": "prompt_cached_tokens",
    "cache_creation.input_tokens": "prompt_cache_creation_tokens",
    "reasoning.output_tokens": "completion_reasoning_tokens",
}


def span_attributes(record: Any, *, capture_content: bool = True) -> Fields:
    """Return the `gen_ai.*` attributes of a traced call or tool, and `error.type`, as far as `record` tells them.

    A record is a row as the SDK exports it, whole or one of its increments. An increment has either the model that was
    requested or the one that answered; a whole row has both where they differ, and of an agent the one that answered.

    Args:
        record: `span_attributes` with the span's `name` and `type`, and `provider` if it is known; `input`, `output`,
            `error`, `metadata` and `metrics`.
        capture_content: whether to include the `CONTENT_ATTRIBUTES`.
    """
    row = fields_of(verbatim(record))
    span = fields_of(row.get("span_attributes")) or row
    metadata = fields_of(row.get("metadata"))
    name = text_of(span.get("name")).removeprefix("mistral.")
    operation = _operation(name, span.get("type"))
    provider = text_of(metadata.get("provider") or span.get("provider"))
    version = metadata.get("agent_version")
    attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(provider, "mistral_ai"),
        "gen_ai.agent.id": metadata.get("agent_id"),
        "gen_ai.agent.name": metadata.get("agent_name"),
        "gen_ai.agent.version": None if version is None else text_of(version),
        "gen_ai.conversation.id": metadata.get("conversation_id"),
        "error.type": _error_type(row.get("error"), operation),
        **_own_attributes(operation, name, row, metadata),
    }
    return {
        name: value
        for name, value in attributes.items()
        if value is not None and (capture_content or name not in CONTENT_ATTRIBUTES)
    }


def _operation(name: str, span_type: Any) -> str | None:
    if name.startswith("chat "):
        # One model call of a conversation, with the name of its model.
        return "chat"
    if name in _ADMINISTRATION:
        return None
    operation = _OPERATIONS.get(name) or _OPERATIONS.get(name.rpartition(".")[0])
    return operation or ("execute_tool" if span_type == "tool" else None)


def _error_type(error: Any, operation: str | None) -> str | None:
    if error is None:
        return None
    return error_type_of(text_of(error)) or ("tool_error" if operation == "execute_tool" else "_OTHER")


def _own_attributes(operation: str | None, name: str, row: Fields, metadata: Fields) -> Fields:
    """Return the attributes that spans of an operation have and not all others."""
    if operation == "execute_tool":
        return _tool_attributes(name, row, metadata)
    if operation == "create_agent":
        return _creation_attributes(fields_of(row.get("input")), metadata)
    if operation == "retrieval":
        return {"gen_ai.data_source.id": metadata.get("index_name") or metadata.get("library_id")}
    if name in _ADMINISTRATION:
        return {}
    attributes = {**_request_attributes(row, metadata), **_response_attributes(row, metadata)}
    if operation == "embeddings":
        attributes |= _embeddings_attributes(fields_of(row.get("output")), metadata)
    if operation in _WITH_OUTPUT_TYPE:
        attributes["gen_ai.output.type"] = _output_type(name, row, metadata)
    if operation in _WITH_MESSAGES:
        attributes |= _messages(name, row)
    return attributes


def _creation_attributes(definition: Fields, metadata: Fields) -> Fields:
    return {
        "gen_ai.agent.name": metadata.get("agent_name") or definition.get("name"),
        "gen_ai.agent.description": definition.get("description"),
        "gen_ai.request.model": metadata.get("model"),
        "gen_ai.system_instructions": content_parts(definition.get("instructions")) or None,
    }


def _holds_request(row: Fields, metadata: Fields) -> bool:
    """Tell whether a record is a span's first, or a whole row; a later one may correct its times or its input."""
    is_first = "start" in fields_of(row.get("metrics")) or row.get("input") is not None
    return is_first and any(name in metadata for name in ("model", "agent_id", "conversation_id"))


def _request_attributes(row: Fields, metadata: Fields) -> Fields:
    parameters = {**metadata, **fields_of(metadata.get("completion_args"))}
    attributes = {
        f"gen_ai.request.{attribute}": parameters[name]
        for name, attribute in _REQUEST_PARAMETERS.items()
        if name in parameters
    }
    stop = parameters.get("stop")
    tools = [fields_of(tool) for tool in only_dicts(metadata.get("tools"))]
    return {
        **attributes,
        "gen_ai.request.model": _requested_model(row, metadata),
        "gen_ai.request.stop_sequences": [stop] if isinstance(stop, str) else stop,
        # Where the attribute is absent, a request does not stream.
        "gen_ai.request.stream": True if metadata.get("stream") is True else None,
        "gen_ai.system_instructions": content_parts(metadata.get("instructions")) or None,
        "gen_ai.tool.definitions": list(filter(None, map(tool_definition, tools))) or None,
        "gen_ai.data_source.id": _library_ids(tools),
    }


def _requested_model(row: Fields, metadata: Fields) -> Any:
    if "requested_model" in metadata:
        return metadata["requested_model"]
    # An agent brings its own model: in a whole row it is the one that answered.
    is_answering = _is_answered(row) and "agent_id" in metadata
    return metadata.get("model") if _holds_request(row, metadata) and not is_answering else None


def _library_ids(tools: list[Fields]) -> str | None:
    """Return the ids of the libraries that are searched, as one text: OpenTelemetry's attribute is no list."""
    ids = [tool.get("library_ids") for tool in tools]
    return ",".join(text_of(each) for some in ids if isinstance(some, list) for each in some) or None


def _output_type(name: str, row: Fields, metadata: Fields) -> str | None:
    if "speech" in name:
        return "speech"
    # Chats, conversations and the Responses API have it in places of their own; a run's `output_format` names a class.
    sources = (metadata, fields_of(metadata.get("completion_args")), fields_of(metadata.get("text")))
    formats = [fields_of(source.get(key)) for source in sources for key in ("response_format", "format", "format_")]
    is_json = any(text_of(each.get("type")).startswith("json") for each in formats)
    if is_json or "output_format" in metadata:
        return "json"
    return "text" if _holds_request(row, metadata) else None


def _embeddings_attributes(output: Fields, metadata: Fields) -> Fields:
    encoding = metadata.get("encoding_format")
    return {
        "gen_ai.embeddings.dimension.count": output.get("embedding_length", metadata.get("output_dimension")),
        "gen_ai.request.encoding_formats": None if encoding is None else [encoding],
    }


def _is_answered(row: Fields) -> bool:
    """Tell whether a row is of an answer; where no content is logged, its end says so."""
    if row.get("output") is not None:
        return True
    if settings().content:
        return False
    metrics = fields_of(row.get("metrics"))
    # A further record of a call has no other model than that of the answer.
    return "end" in metrics and (row.get("error") is None or "start" not in metrics)


def _response_attributes(row: Fields, metadata: Fields) -> Fields:
    metrics = fields_of(row.get("metrics"))
    reasons = metadata.get("finish_reasons")
    return {
        "gen_ai.response.id": metadata.get("id"),
        # In the metadata only where no content is logged; else the output has them.
        "gen_ai.response.finish_reasons": [*map(finish_reason, reasons)] if isinstance(reasons, list) else None,
        "gen_ai.response.model": metadata.get("model") if _is_answered(row) else None,
        "gen_ai.response.time_to_first_chunk": metrics.get("time_to_first_token"),
        **{f"gen_ai.usage.{attribute}": metrics.get(name) for attribute, name in _USAGE.items()},
    }


def _messages(name: str, row: Fields) -> Fields:
    """Return the messages that went in and out, and why they ended."""
    attributes: Fields = {}
    content, output = row.get("input"), row.get("output")
    if content:
        attributes["gen_ai.input.messages"] = _input_messages(content)
    if output:
        choices = output if isinstance(output, list) else [output]
        has_entries = name.startswith(_WITH_ENTRIES)
        messages = output_entries(output) if has_entries else [output_message(choice) for choice in choices]
        attributes["gen_ai.output.messages"] = messages
        # Entries do not say why they ended: that is known when the call is over.
        is_over = not has_entries or fields_of(row.get("metrics")).get("end") is not None
        reasons = [message["finish_reason"] for message in messages if message["finish_reason"]]
        attributes["gen_ai.response.finish_reasons"] = (is_over and reasons) or None
    return attributes


def _input_messages(content: Any) -> list[Fields]:
    if isinstance(content, dict) and "prompt" in content:
        parts = content_parts(content["prompt"])
        if content.get("suffix"):
            parts.append({"type": "suffix", "content": content["suffix"]})
        return [{"role": "user", "parts": parts}]
    if isinstance(content, str):
        return [{"role": "user", "parts": content_parts(content)}]
    return [input_message(message) for message in (content if isinstance(content, list) else [content])]


def _tool_attributes(name: str, row: Fields, metadata: Fields) -> Fields:
    return {
        "gen_ai.tool.name": text_of(metadata.get("tool_name")) or name.partition(": ")[2] or None,
        "gen_ai.tool.type": _tool_type(name, text_of(metadata.get("tool_type"))),
        "gen_ai.tool.call.id": metadata.get("tool_call_id"),
        "gen_ai.tool.call.arguments": row.get("input"),
        "gen_ai.tool.call.result": row.get("output"),
    }


def _tool_type(name: str, tool_type: str) -> str | None:
    """Return who runs a tool: `function` where that is the application, `extension` where it is Mistral."""
    if tool_type.startswith("function") or tool_type == "mcp":
        return "function"
    return "extension" if tool_type or name.startswith("beta.connectors.") else None
