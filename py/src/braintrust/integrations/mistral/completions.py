"""What a chat, agents or fim completion logs: its request, its choices, and the tool calls in them as child spans."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from .completion_stream import CompletionAccumulator
from .metadata import known, request_metadata, response_metadata
from .operations import Arrival, Child, Operation, Outcome, Request, from_plain
from .payloads import Loggable, dicts, parsed, plain
from .usage import usage_metrics


def read_chat_request(arguments: Mapping[str, Any], *, stream: bool) -> Request:
    """Return what the arguments of a chat or agents completion log."""
    return Request(plain(arguments.get("messages")), _metadata(arguments, {"messages"}, stream))


def read_fim_request(arguments: Mapping[str, Any], *, stream: bool) -> Request:
    """Return what the arguments of a fim completion log."""
    content = known({name: plain(arguments.get(name)) for name in ("prompt", "suffix")})
    return Request(content, _metadata(arguments, {"prompt", "suffix"}, stream))


@from_plain
def read_response(
    response: dict[str, Loggable], request: Mapping[str, Loggable], arrivals: Mapping[int, Arrival]
) -> Outcome:
    """Return what a `ChatCompletionResponse` logs; `arrivals`, by tool call, is empty for an unstreamed one."""
    choices = response.get("choices")
    return Outcome(
        output=choices,
        metadata=response_metadata(response),
        metrics=usage_metrics(response.get("usage")),
        children=list(_children(dicts(choices), arrivals)),
    )


def _metadata(arguments: Mapping[str, Any], content: set[str], stream: bool) -> dict[str, Loggable]:
    return {**request_metadata(arguments, content), "stream": stream or arguments.get("stream") is True}


def _children(choices: list[dict[str, Loggable]], arrivals: Mapping[int, Arrival]) -> Iterator[Child]:
    """Yield the tool calls of all choices as child spans."""
    number = itertools.count()
    for place, choice in enumerate(choices):
        # Several messages, where Mistral ran tools itself: those that call them, and those that bring the results.
        messages = dicts([choice.get("message")]) or dicts(choice.get("messages"))
        results = {str(message.get("tool_call_id")): message.get("content") for message in messages}
        calls = [call for message in messages for call in dicts(message.get("tool_calls"))]
        for index, call in enumerate(calls):
            function = call.get("function")
            function = function if isinstance(function, dict) else {}
            metadata = {
                "tool_type": call.get("type", "function"),
                "tool_name": function.get("name"),
                "tool_call_id": call.get("id"),
                "tool_index": call.get("index", index),
                "choice_index": choice.get("index", place),
            }
            yield Child(
                name=f"tool: {metadata['tool_name']}",
                input=parsed(function.get("arguments")),
                output=results.get(str(call["id"])) if "id" in call else None,
                metadata=known(metadata),
                arrival=arrivals.get(next(number)),
            )


def _operations(resource: str, read_request: Callable[..., Request]) -> dict[str, Operation]:
    return {
        method: Operation(
            f"mistral.{resource}.{method}",
            SpanTypeAttribute.LLM,
            functools.partial(read_request, stream=method == "stream"),
            read_response,
            CompletionAccumulator,
        )
        for method in ("complete", "stream")
    }


CHAT = _operations("chat", read_chat_request)
"""The traced methods of `client.chat`; `parse` and `parse_stream` go through them."""

AGENTS = _operations("agents", read_chat_request)
"""The traced methods of `client.agents`."""

FIM = _operations("fim", read_fim_request)
"""The traced methods of `client.fim`."""
