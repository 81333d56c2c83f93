"""What Mistral answers: ready-made objects of the real client's classes, and what of them stands on the wire."""

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any, TypeVar

from mistralai.client.models import (
    ChatCompletionResponse,
    CompletionEvent,
    ConversationEvents,
    ConversationResponse,
    ConversationUsageInfo,
    MessageOutputEvent,
    ResponseDoneEvent,
    ResponseStartedEvent,
)


_T = TypeVar("_T")

MODEL = "mistral-small-latest"

_CONVERSATION_ID = "conv_0a53f1e68c4b4d7e9f20"
_MESSAGE_ID = "msg_0a53f1e68c4b4d7e9f22"
_COMPLETION = {"id": "0a53f1e68c4b4d7e9f250a53f1e68c4b", "created": 1_793_611_800, "model": MODEL}

PLAIN = ConversationResponse.model_validate(
    {
        "object": "conversation.response",
        "conversation_id": _CONVERSATION_ID,
        "outputs": [
            {
                "object": "entry",
                "type": "message.output",
                "created_at": "2026-11-02T09:30:00.104000Z",
                "completed_at": "2026-11-02T09:30:00.881000Z",
                "model": MODEL,
                "id": _MESSAGE_ID,
                "role": "assistant",
                "content": "A conversation keeps its entries on the server, so a later call sends only what is new.",
            }
        ],
        "usage": {"prompt_tokens": 21, "completion_tokens": 24, "total_tokens": 45},
        "guardrails": None,
    }
)

_WEB_SEARCH = {
    "name": "web_search",
    "arguments": '{"query": "height of the Puy de Dôme in metres"}',
    "info": {
        "result": '{"a1": {"url": "https://example.org/puy-de-dome", "title": "Puy de Dôme", "rank": 0, '
        '"description": "A lava dome in the Massif Central, 1,465 metres high.", "source": "example"}, '
        '"b2": {"url": "https://example.org/volcanoes", "title": "Volcanoes of Auvergne", "rank": 1, '
        '"description": "A chain of eighty cones, domes and maars.", "source": "example"}}'
    },
}
_CODE_INTERPRETER = {
    "name": "code_interpreter",
    "arguments": '{"code": "print(round(1465 / 0.3048))"}',
    "info": {"result": [{"type": "text", "text": "4806\\n"}]},
}


def with_tools(count: int) -> ConversationResponse:
    """Return a response whose message was preceded by so many hosted tools, searches and pieces of code in turn."""
    plain = PLAIN.model_dump(mode="json")
    entries = [_execution(number) for number in range(count)]
    connectors = Counter(entry["name"] for entry in entries)
    usage = {"connector_tokens": 500 * count, "connectors": connectors}
    return ConversationResponse.model_validate(
        {**plain, "outputs": [*entries, *plain["outputs"]], "usage": {**plain["usage"], **usage}}
    )


def _execution(number: int) -> dict[str, Any]:
    tool = _CODE_INTERPRETER if number % 2 else _WEB_SEARCH
    return {
        "object": "entry",
        "type": "tool.execution",
        "created_at": f"2026-11-02T09:29:{number:02}.104000Z",
        "completed_at": f"2026-11-02T09:29:{number:02}.604000Z",
        "model": MODEL,
        "id": f"tool_exec_0a53f1e68c4b4d7e9f{number:02}",
        **tool,
    }


def tool_events(count: int) -> Iterator[ConversationEvents]:
    """Return the same as a stream brings it, made beforehand."""
    return iter(_tool_events(count))


@functools.cache
def _tool_events(count: int) -> list[ConversationEvents]:
    executions = [event for number in range(count) for event in _execution_events(number)]
    return [_STARTED, *executions, _READY_DELTAS[0], _DONE]


_TIMES = ("created_at", "completed_at")


def _execution_events(number: int) -> Iterator[ConversationEvents]:
    # Within microseconds, as the whole stream: a tool that took longer than its stream has to be moved.
    times = {name: f"2026-11-02T09:30:00.{104_000 + 2 * number + ended}Z" for ended, name in enumerate(_TIMES)}
    execution = {**_execution(number), **times}
    about = {"id": execution["id"], "name": execution["name"], "output_index": number}
    started = {**about, "created_at": execution["created_at"], "model": MODEL, "arguments": execution["arguments"]}
    done = {**about, "created_at": execution["completed_at"], "info": execution["info"]}
    for kind, event in (("tool.execution.started", started), ("tool.execution.done", done)):
        yield ConversationEvents.model_validate({"event": kind, "data": {"type": kind, **event}})


PLAIN_COMPLETION = ChatCompletionResponse.model_validate(
    {
        **_COMPLETION,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": "A completion keeps nothing on the server, so every call sends the messages so far.",
                    "tool_calls": None,
                    "prefix": False,
                },
            }
        ],
        "usage": {"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40},
    }
)

TWO_TOOL_CALLS = ChatCompletionResponse.model_validate(
    {
        **_COMPLETION,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {
                            "id": "a53f1e68c",
                            "type": "function",
                            "index": 0,
                            "function": {"name": "height_of", "arguments": '{"mountain": "Puy de Dôme"}'},
                        },
                        {
                            "id": "b4d7e9f26",
                            "type": "function",
                            "index": 1,
                            "function": {"name": "in_feet", "arguments": '{"metres": 1465}'},
                        },
                    ],
                    "prefix": False,
                },
            }
        ],
        "usage": {"prompt_tokens": 164, "completion_tokens": 38, "total_tokens": 202},
    }
)


def ready_events(deltas: int) -> Iterator[ConversationEvents]:
    """Return a response of so many text deltas, made beforehand, so that iterating it costs next to nothing.

    The deltas are a hundred objects over and over: short and long streams are alike to the processor's caches.
    """
    return chain([_STARTED], _over_and_over(_READY_DELTAS, deltas), [_DONE])


def fresh_events(deltas: int) -> Iterator[ConversationEvents]:
    """Return the same made one at a time, each with a text of its own, as a connection delivers them."""
    texts = (f" a text of {number:05} words. " for number in range(deltas))
    return chain([_STARTED], (_copy(_READY_DELTAS[0], text) for text in texts), [_DONE])


def ready_chunks(texts: int) -> Iterator[CompletionEvent]:
    """Return a completion of so many texts, made beforehand in the same way."""
    return chain([_FIRST_CHUNK], _over_and_over(_READY_CHUNKS, texts), [_LAST_CHUNK])


def wire_chunks(texts: int) -> list[bytes]:
    """Return the same as server-sent events, each in a packet of its own."""
    events = [f"data: {chunk.data.model_dump_json()}\n\n".encode() for chunk in ready_chunks(texts)]
    return [*events, b"data: [DONE]\n\n"]


def _over_and_over(ready: Sequence[_T], count: int) -> Iterator[_T]:
    return islice(chain.from_iterable(repeat(ready)), count)


def _delta(text: str) -> ConversationEvents:
    data = MessageOutputEvent(id=_MESSAGE_ID, content=text, model=MODEL)
    return ConversationEvents(event="message.output.delta", data=data)


def _copy(delta: ConversationEvents, text: str) -> ConversationEvents:
    # Validating each would take longer than all that is measured.
    return delta.model_copy(update={"data": delta.data.model_copy(update={"content": text})})


def _chunk(delta: dict[str, str], finish_reason: str | None = None, **ending: object) -> CompletionEvent:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {**_COMPLETION, "object": "chat.completion.chunk", "choices": [choice], **ending}
    return CompletionEvent.model_validate({"data": chunk})


_STARTED = ConversationEvents(
    event="conversation.response.started", data=ResponseStartedEvent(conversation_id=_CONVERSATION_ID)
)
_DONE = ConversationEvents(
    event="conversation.response.done",
    data=ResponseDoneEvent(usage=ConversationUsageInfo(prompt_tokens=21, completion_tokens=5000, total_tokens=5021)),
)
_READY_DELTAS = [_delta(f" t{number:04}") for number in range(100)]
_FIRST_CHUNK = _chunk({"role": "assistant", "content": ""})
_LAST_CHUNK = _chunk(
    {"content": ""}, "stop", usage={"prompt_tokens": 19, "completion_tokens": 5000, "total_tokens": 5019}
)
_READY_CHUNKS = [_chunk({"content": f" t{number:04}"}) for number in range(100)]
