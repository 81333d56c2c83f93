"""A Mistral that answers at once: in the place of the client's methods, or below the client on the wire."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

import httpx2
from mistralai.client.chat import Chat
from mistralai.client.conversations import Conversations
from mistralai.client.models import CompletionEvent, ConversationEvents
from mistralai.client.utils import serializers
from mistralai.client.utils.eventstreaming import EventStream, EventStreamAsync
from pydantic import BaseModel

from .answers import PLAIN, PLAIN_COMPLETION


_T = TypeVar("_T")
_Event = TypeVar("_Event", bound=BaseModel)

# Between packets other streams have their turn.
_EVENTS_IN_A_PACKET = 8


class Provider:
    """What the client's conversation and chat methods answer until they are told otherwise.

    Attributes:
        events: makes the events of a streamed conversation.
        chunks: makes those of a streamed completion.
        error: makes what they raise instead, if it is set.
        wire: what the network answers, one body or the packets of a stream; `None` leaves the network out.
    """

    def __init__(self) -> None:
        self.response = PLAIN
        self.completion = PLAIN_COMPLETION
        self.events: Callable[[], Iterator[ConversationEvents]] = lambda: iter(())
        self.chunks: Callable[[], Iterator[CompletionEvent]] = lambda: iter(())
        self.error: Callable[[], Exception] | None = None
        self.wire: bytes | list[bytes] | None = None
        self.last_stream: EventStream[ConversationEvents] | None = None
        self._connection = httpx2.Response(200)
        _remember_models()

    def install(self) -> None:
        """Put this provider in the place of the client's own methods, before anything wraps those."""
        conversations, chat = cast(Any, Conversations), cast(Any, Chat)
        conversations.start = self._without_wire(conversations.start, lambda: self.response)
        conversations.start_stream = self._without_wire(conversations.start_stream, self.start_stream)
        conversations.start_stream_async = self._without_wire(conversations.start_stream_async, self._start_async)
        chat.complete = self._without_wire(chat.complete, lambda: self.completion)
        chat.stream = self._without_wire(chat.stream, self.stream)

    def answers(self) -> tuple[object, ...]:
        """Return all that says what they answer."""
        return self.response, self.completion, self.events, self.chunks, self.error

    def respond(self, _request: httpx2.Request) -> httpx2.Response:
        """Answer on the wire."""
        if isinstance(self.wire, bytes):
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=self.wire)
        # Packets in a list would be read at once, into a response that is no stream any more.
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=iter(self.wire or ()))

    def start_stream(self) -> EventStream[ConversationEvents]:
        """Open the stream of a conversation."""
        self.last_stream = EventStream[ConversationEvents](self._connection, ConversationEvents.model_validate_json)
        return _of(self.last_stream, self.events())

    async def _start_async(self) -> EventStreamAsync[ConversationEvents]:
        decoder = ConversationEvents.model_validate_json
        return _of(EventStreamAsync[ConversationEvents](self._connection, decoder), _in_packets(self.events()))

    def stream(self) -> EventStream[CompletionEvent]:
        """Open the stream of a completion."""
        return _of(EventStream[CompletionEvent](self._connection, CompletionEvent.model_validate_json), self.chunks())

    def _without_wire(self, method: Callable[..., Any], answer: Callable[[], Any]) -> Callable[..., Any]:
        """Return the method with this answer, as long as there is no wire."""

        @functools.wraps(method)
        def call(resource: object, **request: object) -> Any:
            if self.error is not None:
                raise self.error()
            return answer() if self.wire is None else method(resource, **request)

        return call


def _remember_models() -> None:
    """Have the client make each of its helper models once; it makes them anew for every body and every event.

    That takes milliseconds a call, and varies by more than all tracing takes.
    """
    module = cast(Any, serializers)
    create: Callable[..., Any] = module.create_model
    known: dict[tuple[str, str], Any] = {}

    def create_once(name: str, *, body: tuple[object, Any], **settings: Any) -> Any:
        # By what it says: some types are made anew as well.
        key = (name, repr(body[0]))
        if key not in known:
            known[key] = create(name, body=body, **settings)
        return known[key]

    module.create_model = create_once


def _of(stream: _T, events: object) -> _T:
    cast(Any, stream).generator = events
    return stream


async def _in_packets(events: Iterable[_Event]) -> AsyncIterator[_Event]:
    for number, event in enumerate(events):
        if number % _EVENTS_IN_A_PACKET == 0:
            await asyncio.sleep(0)
        yield event
