"""The model calls inside a conversation as child spans, in the chat format that Braintrust's views of llm spans read.

Mistral reports a conversation's messages and not the model calls that wrote them, so a call is made up from what is
known: its output is the message, its input what the model must have seen of this request by then. Earlier turns of the
conversation, which Mistral keeps, are no part of it.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from braintrust.span_types import SpanTypeAttribute

from ..operations import Child, Outcome, Request, ResponseReader
from ..payloads import Loggable, only_dicts, without_none
from .reading import unix_time


_Entry: TypeAlias = Mapping[str, Loggable]
_Message: TypeAlias = dict[str, Loggable]


def with_llm_spans(read: ResponseReader) -> ResponseReader:
    """Return a reader that adds a `message: <model>` child for each message, among the others in order."""

    def read_all(response: object, request: Request) -> Outcome:
        outcome = read(response, request)
        entries = only_dicts(outcome.output)
        asked = chat_messages(request)
        calls = [
            _call(asked, request.metadata, entries, index)
            for index, entry in enumerate(entries)
            if entry.get("type") == "message.output"
        ]
        if len(calls) == 1 and not any(entry.get("type") in _BETWEEN_CALLS for entry in entries):
            # The sum is that of one call, and of no other.
            calls = [calls[0]._replace(metrics=outcome.metrics)]
        return outcome._replace(children=sorted([*calls, *outcome.children], key=_place))

    return read_all


def chat_messages(request: Request) -> list[_Message]:
    """Return the messages of a conversation's request, with its instructions as a system message."""
    instructions = request.metadata.get("instructions")
    system: list[_Message] = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(request.input, str):
        return [*system, {"role": "user", "content": request.input}]
    return [*system, *entry_messages(only_dicts(request.input))]


def entry_messages(entries: Sequence[_Entry]) -> list[_Message]:
    """Return entries of a conversation as chat messages: a tool that Mistral ran is a call and its result."""
    return [message for entry in entries for message in _FORMATS.get(str(entry.get("type")), _message)(entry)]


def _message(entry: _Entry) -> Iterator[_Message]:
    role = "assistant" if entry.get("type") == "message.output" else "user"
    yield {"role": entry.get("role", role), "content": _content(entry.get("content"))}


def _function_call(entry: _Entry) -> Iterator[_Message]:
    yield {"role": "assistant", "content": None, "tool_calls": [_tool_call(entry, "tool_call_id")]}


def _function_result(entry: _Entry) -> Iterator[_Message]:
    yield {"role": "tool", "tool_call_id": entry.get("tool_call_id"), "content": entry.get("result")}


def _tool_execution(entry: _Entry) -> Iterator[_Message]:
    info = entry.get("info")
    result = info.get("result", info) if isinstance(info, dict) else info
    yield {"role": "assistant", "content": None, "tool_calls": [_tool_call(entry, "id")]}
    yield {"role": "tool", "tool_call_id": entry.get("id"), "content": result}


def _handoff(entry: _Entry) -> Iterator[_Message]:
    agent = without_none({"agent_id": entry.get("next_agent_id"), "agent_name": entry.get("next_agent_name")})
    call: dict[str, Loggable] = {"id": entry.get("id"), "name": "handoff", "arguments": {**agent}}
    yield {"role": "assistant", "content": None, "tool_calls": [_tool_call(call, "id")]}
    yield {"role": "tool", "tool_call_id": entry.get("id"), "content": entry.get("next_agent_name")}


_FORMATS: Mapping[str, Callable[[_Entry], Iterator[_Message]]] = {
    "function.call": _function_call,
    "function.result": _function_result,
    "tool.execution": _tool_execution,
    "agent.handoff": _handoff,
}

# After each of these, a model is called again.
_BETWEEN_CALLS = ("tool.execution", "agent.handoff")


def _place(child: Child) -> int:
    return -1 if child.child_index is None else child.child_index


def _call(
    asked: list[_Message],
    metadata: Mapping[str, Loggable],
    entries: Sequence[_Entry],
    index: int,
) -> Child:
    """Return the model call that wrote the message at `index`; `asked` and `metadata` are the request's."""
    entry = entries[index]
    (message,) = _message(entry)
    tool_calls: list[Loggable] = []
    for following in entries[index + 1 :]:
        if following.get("type") != "function.call":
            break
        tool_calls.append(_tool_call(following, "tool_call_id"))
    if tool_calls:
        message["tool_calls"] = tool_calls
    arguments = metadata.get("completion_args")
    model = entry.get("model") or metadata.get("model")
    return Child(
        name=f"message: {model}" if model else "message",
        span_type=SpanTypeAttribute.LLM,
        input=[*asked, *entry_messages(entries[:index])],
        output=[{"index": 0, "message": message}],
        metadata=without_none(
            {
                **(arguments if isinstance(arguments, dict) else {}),
                "provider": "mistral",
                "model": model,
                "agent_id": entry.get("agent_id") or metadata.get("agent_id"),
                "tools": metadata.get("tools"),
            }
        ),
        child_index=index,
        start=unix_time(entry.get("created_at")),
        end=unix_time(entry.get("completed_at")),
    )


def _tool_call(entry: _Entry, id_field: str) -> dict[str, Loggable]:
    arguments = entry.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, default=str)
    return {
        "id": entry.get(id_field),
        "type": "function",
        "function": {"name": entry.get("name"), "arguments": text},
    }


def _content(content: Loggable) -> Loggable:
    """Return a message's content; an image is an object with its URL there, or the attachment in its place."""
    if not isinstance(content, list):
        return content
    return [
        {**chunk, "image_url": {"url": chunk["image_url"]}}
        if isinstance(chunk, dict) and chunk.get("type") == "image_url" and not isinstance(chunk["image_url"], dict)
        else chunk
        for chunk in content
    ]
