"""What a chat, agents or fim completion logs: its request, its choices, and the tool calls in them as child spans."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import Child, Operation, Outcome, Request, RequestReader
from ..payloads import Loggable, only_dicts, parse_arguments, to_loggable, without_none
from .completion_stream import CompletionAccumulator
from .reading import finish_error, from_loggable, request_metadata, request_reader, response_metadata, with_stream
from .shapes import shape_choices, shape_messages
from .usage import usage_metrics


def read_fim_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of a fim completion log."""
    content = without_none({name: to_loggable(arguments.get(name)) for name in ("prompt", "suffix")})
    return Request(content, request_metadata(arguments, {"prompt", "suffix"}))


@from_loggable
def read_response(response: dict[str, Loggable]) -> Outcome:
    """Return what a `ChatCompletionResponse` logs."""
    output = shape_choices(response.get("choices"))
    choices = only_dicts(output)
    errors = (finish_error(choice.get("finish_reason")) for choice in choices)
    return Outcome(
        output=output,
        metadata=response_metadata(response),
        metrics=usage_metrics(response.get("usage")),
        children=list(_children(choices)),
        error=next(filter(None, errors), None),
    )


def _children(choices: list[dict[str, Loggable]]) -> Iterator[Child]:
    """Yield the tool calls of all choices as child spans."""
    child_indexes = itertools.count()
    for choice_index, choice in enumerate(choices):
        # Several messages, where Mistral ran tools itself: those that call them, and those that bring the results.
        messages = only_dicts([choice.get("message")]) or only_dicts(choice.get("messages"))
        results = {str(message.get("tool_call_id")): message.get("content") for message in messages}
        calls = [call for message in messages for call in only_dicts(message.get("tool_calls"))]
        for tool_index, call in enumerate(calls):
            function = call.get("function")
            function = function if isinstance(function, dict) else {}
            metadata = {
                "tool_type": call.get("type", "function"),
                "tool_name": function.get("name"),
                "tool_call_id": call.get("id"),
                "tool_index": call.get("index", tool_index),
                "choice_index": choice.get("index", choice_index),
            }
            yield Child(
                name=f"tool: {metadata['tool_name']}",
                input=parse_arguments(function.get("arguments")),
                output=results.get(str(call["id"])) if "id" in call else None,
                metadata=without_none(metadata),
                child_index=next(child_indexes),
            )


def _operations(resource: str, read_request: RequestReader) -> dict[str, Operation]:
    return {
        method: Operation(
            f"mistral.{resource}.{method}",
            SpanTypeAttribute.LLM,
            with_stream(read_request, streams=method == "stream"),
            read_response,
            CompletionAccumulator,
        )
        for method in ("complete", "stream")
    }


_read_messages = request_reader("messages", shape=shape_messages)

CHAT = _operations("chat", _read_messages)
"""The traced methods of `client.chat`; `parse` and `parse_stream` go through them."""

AGENTS = _operations("agents", _read_messages)
"""The traced methods of `client.agents`."""

FIM = _operations("fim", read_fim_request)
"""The traced methods of `client.fim`."""
