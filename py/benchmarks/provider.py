"""A Mistral that answers at once, with ready-made objects of the real client's classes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any, TypeVar, cast

import httpx2
from mistralai.client.chat import Chat
from mistralai.client.conversations import Conversations
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
from mistralai.client.utils.eventstreaming import EventStream
from pydantic import BaseModel


_T = TypeVar("_T")
_Event = TypeVar("_Event", bound=BaseModel)

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

TWO_TOOLS = ConversationResponse.model_validate(
    {
        "object": "conversation.response",
        "conversation_id": _CONVERSATION_ID,
        "outputs": [
            {
                "object": "entry",
                "type": "tool.execution",
                "created_at": "2026-11-02T09:30:00.104000Z",
                "completed_at": "2026-11-02T09:30:02.604000Z",
                "model": MODEL,
                "id": "tool_exec_0a53f1e68c4b4d7e9f23",
                "name": "web_search",
                "arguments": '{"query": "height of the Puy de Dôme in metres"}',
                "info": {
                    "result": '{"a1": {"url": "https://example.org/puy-de-dome", "title": "Puy de Dôme", "rank": 0, '
                    '"description": "A lava dome in the Massif Central, 1,465 metres high.", "source": "example"}, '
                    '"b2": {"url": "https://example.org/volcanoes", "title": "Volcanoes of Auvergne", "rank": 1, '
                    '"description": "A chain of eighty cones, domes and maars.", "source": "example"}}'
                },
            },
            {
                "object": "entry",
                "type": "tool.execution",
                "created_at": "2026-11-02T09:30:02.700000Z",
                "completed_at": "2026-11-02T09:30:03.400000Z",
                "model": MODEL,
                "id": "tool_exec_0a53f1e68c4b4d7e9f24",
                "name": "code_interpreter",
                "arguments": '{"code": "print(round(1465 / 0.3048))"}',
                "info": {"result": [{"type": "text", "text": "4806\\n"}]},
            },
            {
                "object": "entry",
                "type": "message.output",
                "created_at": "2026-11-02T09:30:03.500000Z",
                "completed_at": "2026-11-02T09:30:03.900000Z",
                "model": MODEL,
                "id": _MESSAGE_ID,
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "The Puy de Dôme is 1,465 metres high, which is 4,806 feet."},
                    {
                        "type": "tool_reference",
                        "tool": "web_search",
                        "title": "Puy de Dôme",
                        "url": "https://example.org",
                    },
                ],
            },
        ],
        "usage": {
            "prompt_tokens": 312,
            "completion_tokens": 68,
            "total_tokens": 1380,
            "connector_tokens": 1000,
            "connectors": {"web_search": 1, "code_interpreter": 1},
        },
        "guardrails": None,
    }
)

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


class Provider:
    """What the client's conversation and chat methods answer until they are told otherwise."""

    def __init__(self) -> None:
        self.response = PLAIN
        self.completion = PLAIN_COMPLETION
        self.events: Iterable[ConversationEvents] = ()
        self.chunks: Iterable[CompletionEvent] = ()
        self.last_stream: EventStream[ConversationEvents] | None = None
        self._connection = httpx2.Response(200)

    def install(self) -> None:
        """Put this provider in the place of the client's own methods, before anything wraps those."""

        def start(_conversations: Conversations, **_request: object) -> ConversationResponse:
            return self.response

        def start_stream(_conversations: Conversations, **_request: object) -> EventStream[ConversationEvents]:
            self.last_stream = self._open_stream(ConversationEvents, self.events)
            return self.last_stream

        def complete(_chat: Chat, **_request: object) -> ChatCompletionResponse:
            return self.completion

        def stream(_chat: Chat, **_request: object) -> EventStream[CompletionEvent]:
            return self._open_stream(CompletionEvent, self.chunks)

        conversations, chat = cast(Any, Conversations), cast(Any, Chat)
        conversations.start = start
        conversations.start_stream = start_stream
        chat.complete = complete
        chat.stream = stream

    def _open_stream(self, kind: type[_Event], events: Iterable[_Event]) -> EventStream[_Event]:
        stream = EventStream[_Event](self._connection, kind.model_validate_json)
        cast(Any, stream).generator = iter(events)
        return stream


def ready_events(deltas: int) -> Iterator[ConversationEvents]:
    """A response of so many text deltas, made beforehand, so that iterating it costs next to nothing.

    The deltas are a few thousand objects over and over: short and long streams are alike to the processor's caches.
    """
    return chain([_STARTED], _over_and_over(_READY_DELTAS, deltas), [_DONE])


def fresh_events(deltas: int) -> Iterator[ConversationEvents]:
    """The same made one at a time, each with a text of its own, as a connection delivers them."""
    return chain([_STARTED], (_delta(f" t{number:04}") for number in range(deltas)), [_DONE])


def ready_chunks(texts: int) -> Iterator[CompletionEvent]:
    """A completion of so many texts, made beforehand in the same way."""
    return chain([_FIRST_CHUNK], _over_and_over(_READY_CHUNKS, texts), [_LAST_CHUNK])


def _over_and_over(ready: Sequence[_T], count: int) -> Iterator[_T]:
    return islice(chain.from_iterable(repeat(ready)), count)


def _delta(text: str) -> ConversationEvents:
    data = MessageOutputEvent(id=_MESSAGE_ID, content=text, model=MODEL)
    return ConversationEvents(event="message.output.delta", data=data)


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
_READY_DELTAS = [_delta(f" t{number:04}") for number in range(2_000)]
_FIRST_CHUNK = _chunk({"role": "assistant", "content": ""})
_LAST_CHUNK = _chunk(
    {"content": ""}, "stop", usage={"prompt_tokens": 19, "completion_tokens": 5000, "total_tokens": 5019}
)
_READY_CHUNKS = [_chunk({"content": f" t{number:04}"}) for number in range(2_000)]
