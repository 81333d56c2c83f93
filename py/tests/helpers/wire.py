"""What tests share: what Mistral says, and a Mistral that says it to a real client."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x

try:
    import httpx2 as httpx
except ImportError:
    import httpx


Handler = Callable[[Any], Any]


def transports(handler: Handler) -> dict[str, Any]:
    """Return the arguments that give a client two HTTP clients, sync and async, answered by a function of the request.

    It may be a coroutine function where the client is asynchronous.
    """

    async def handle_async(request: Any) -> Any:
        response = handler(request)
        return await response if inspect.isawaitable(response) else response

    return {
        "client": httpx.Client(transport=httpx.MockTransport(handler)),
        "async_client": httpx.AsyncClient(transport=httpx.MockTransport(handle_async)),
    }


def client_of(handler: Handler) -> Mistral:
    """Return a real client that a function answers, see `transports`."""
    return Mistral(api_key="key", **transports(handler))


def answer(body: Any, status: int = 200) -> Any:
    """Return an HTTP response with a JSON body."""
    return httpx.Response(status, json=body)


def answer_stream(events: Iterable[Mapping[str, Any]], error: BaseException | None = None) -> Any:
    """Return an HTTP response with a body of server-sent events, each the `data` of one, for sync and async clients.

    The body breaks with `error` after the last event, if there is one.
    """

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for event in events:
                # The chunks of completions have no type, and no event is named after it.
                name = f"event: {event['type']}\n" if "type" in event else ""
                yield f"{name}data: {json.dumps(event)}\n\n".encode()
            if error is not None:
                raise error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self:
                yield part

    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())


class HangingBody(httpx.AsyncByteStream):
    """A body that sends what another one has, and then nothing more, without an end."""

    def __init__(self, body: Any) -> None:
        self.is_waited_for = asyncio.Event()
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part
        self.is_waited_for.set()
        await asyncio.Event().wait()


Json: TypeAlias = dict[str, Any]


def answer_until(events: list[Json]) -> tuple[Any, HangingBody]:
    """Return a response, for async clients, that brings these events and then hangs; and its body."""
    body = HangingBody(answer_stream(events).stream)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body), body


AT = "2026-10-05T14:45:45Z"


USAGE: Json = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def says(text: str) -> Json:
    """Return a message of the model."""
    times = {"created_at": AT, "completed_at": AT}
    fields = {"id": "msg_1", "model": "mistral-small-latest", "role": "assistant", "content": text}
    return {"object": "entry", "type": "message.output", **times, **fields}


def calls(name: str, arguments: Any, tool_call_id: str = "call_1", **fields: Any) -> Json:
    """Return a function call of the model; its arguments are JSON, or a text that pretends to be."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"id": f"fc_{tool_call_id}", "tool_call_id": tool_call_id, "name": name, "arguments": text}
    return {"object": "entry", "type": "function.call", "created_at": AT, **call, **fields}


def gives(result: str, tool_call_id: str = "call_1") -> Json:
    """Return the result of a function call."""
    return {"object": "entry", "type": "function.result", "tool_call_id": tool_call_id, "result": result}


def streamed(entries: Iterable[Json], conversation_id: str = "conv_1") -> list[Json]:
    """Return the events that bring these entries, which `says` and `calls` made."""
    events: list[Json] = [
        {"type": "conversation.response.started", "created_at": AT, "conversation_id": conversation_id}
    ]
    for index, entry in enumerate(entries):
        part = "content" if entry["type"] == "message.output" else "arguments"
        fields = {name: entry[name] for name in entry.keys() - {"object", "completed_at"}}
        middle = len(entry[part]) // 2
        events += [
            {**fields, "type": f"{entry['type']}.delta", "output_index": index, part: piece}
            for piece in (entry[part][:middle], entry[part][middle:])
        ]
    return [*events, {"type": "conversation.response.done", "created_at": AT, "usage": USAGE}]


Turn: TypeAlias = "list[Json] | httpx.Response | Callable[[Json], Any]"


class ScriptedMistral:
    """A Mistral behind a real client: the nth request of each conversation is answered with the nth turn.

    A turn is the entries of the answer, streamed or not as the request wants it; a whole HTTP response; or a function
    of the request's body, a coroutine function where the client is asynchronous, that returns one of these.
    """

    def __init__(self, *turns: Turn) -> None:
        self.requests: list[Json] = []
        """The bodies of the requests for a conversation, oldest first."""
        self.agent_updates: list[Json] = []
        self.client = client_of(self._answer)
        self._turns = turns
        self._conversations: dict[str, Iterator[Turn]] = {}

    def _answer(self, request: Any) -> Any:
        kind, *ids = request.url.path.removeprefix("/v1/").split("/")
        body = json.loads(request.content) if request.content else {}
        if kind == "chat":
            choice = {"index": 0, "message": {"role": "assistant", "content": "Rye."}, "finish_reason": "stop"}
            chat = {"id": "chat_1", "object": "chat.completion", "model": "m", "created": 0}
            return answer({**chat, "choices": [choice], "usage": USAGE})
        if kind == "agents":
            if request.method == "PATCH":
                self.agent_updates.append(body)
            agent = {"object": "agent", "id": ids[0], "name": "baker", "model": "m", "version": 0, "versions": [0]}
            return answer({**agent, "created_at": AT, "updated_at": AT, "deployment_chat": False, "source": "api"})
        conversation_id = ids[0] if ids else f"conv_{len(self._conversations) + 1}"
        self.requests.append(body)
        turn = next(self._conversations.setdefault(conversation_id, iter(self._turns)))
        return _response(turn(body) if callable(turn) else turn, body, conversation_id)


def _response(turn: Any, body: Json, conversation_id: str) -> Any:
    if inspect.isawaitable(turn):
        return _awaited_response(turn, body, conversation_id)
    if isinstance(turn, httpx.Response):
        return turn
    if body.get("stream"):
        return answer_stream(streamed(turn, conversation_id))
    response = {"object": "conversation.response", "conversation_id": conversation_id, "outputs": turn}
    return answer({**response, "usage": USAGE})


async def _awaited_response(turn: Any, body: Json, conversation_id: str) -> Any:
    return _response(await turn, body, conversation_id)
