"""A Mistral that answers at once, with ready-made objects of the real client's classes."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice, repeat
from typing import Any, cast

import httpx2
from mistralai.client.conversations import Conversations
from mistralai.client.models import (
    ConversationEvents,
    ConversationResponse,
    ConversationUsageInfo,
    MessageOutputEvent,
    ResponseDoneEvent,
    ResponseStartedEvent,
)
from mistralai.client.utils.eventstreaming import EventStream


MODEL = "mistral-small-latest"

_CONVERSATION_ID = "conv_0a53f1e68c4b4d7e9f20"
_MESSAGE_ID = "msg_0a53f1e68c4b4d7e9f22"

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


class Provider:
    """What the client's conversation methods answer until they are told otherwise."""

    def __init__(self) -> None:
        self.response = PLAIN
        self.events: Iterable[ConversationEvents] = ()
        self.last_stream: EventStream[ConversationEvents] | None = None
        self._connection = httpx2.Response(200)

    def install(self) -> None:
        """Put this provider in the place of the client's own methods, before anything wraps those."""

        def start(_conversations: Conversations, **_request: object) -> ConversationResponse:
            return self.response

        def start_stream(_conversations: Conversations, **_request: object) -> EventStream[ConversationEvents]:
            self.last_stream = self._open_stream()
            return self.last_stream

        replaced = cast(Any, Conversations)
        replaced.start = start
        replaced.start_stream = start_stream

    def _open_stream(self) -> EventStream[ConversationEvents]:
        stream = EventStream[ConversationEvents](self._connection, ConversationEvents.model_validate_json)
        cast(Any, stream).generator = iter(self.events)
        return stream


def ready_events(deltas: int) -> Iterator[ConversationEvents]:
    """A response of so many text deltas, made beforehand, so that iterating it costs next to nothing.

    The deltas are a few thousand objects over and over: short and long streams are alike to the processor's caches.
    """
    return chain([_STARTED], islice(chain.from_iterable(repeat(_READY_DELTAS)), deltas), [_DONE])


def fresh_events(deltas: int) -> Iterator[ConversationEvents]:
    """The same made one at a time, each with a text of its own, as a connection delivers them."""
    return chain([_STARTED], (_delta(f" t{number:04}") for number in range(deltas)), [_DONE])


def _delta(text: str) -> ConversationEvents:
    data = MessageOutputEvent(id=_MESSAGE_ID, content=text, model=MODEL)
    return ConversationEvents(event="message.output.delta", data=data)


_STARTED = ConversationEvents(
    event="conversation.response.started", data=ResponseStartedEvent(conversation_id=_CONVERSATION_ID)
)
_DONE = ConversationEvents(
    event="conversation.response.done",
    data=ResponseDoneEvent(usage=ConversationUsageInfo(prompt_tokens=21, completion_tokens=5000, total_tokens=5021)),
)
_READY_DELTAS = [_delta(f" t{number:04}") for number in range(2_000)]
