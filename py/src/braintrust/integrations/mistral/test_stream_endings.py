"""However a stream of chat or of responses ends, its one span has what had arrived.

All the ways to end one are in test_streams.py. Here are those that the folding of the events could make differ.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest

from .conftest import (
    IS_MISTRALAI_1,
    Json,
    LoggedSpan,
    LoggedSpans,
    MakeClient,
    Mistral,
    answer_stream,
    httpx,
    logged_calls,
    wait_until,
)


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


class Arrived(NamedTuple):
    """What a span shows when its stream ended: the output, and what the response added to metadata and metrics."""

    output: list[Json]
    metadata: Json
    metrics: Json


class Surface(NamedTuple):
    """A method that streams.

    Attributes:
        resource: where it hangs on a client.
        method: its name.
        arguments: of a call.
        events: of its stream; the number `begun` of them is begun with.
        nothing: what the span shows before the first event.
        beginning: what it shows after the events that are begun with.
        whole: what it shows in the end.
    """

    resource: str
    method: str
    arguments: Json
    events: list[Json]
    begun: int
    nothing: Arrived
    beginning: Arrived
    whole: Arrived


FIRST_TOKEN: Json = {"time_to_first_token": ANY}
METRICS: Json = {"prompt_tokens": 7, "completion_tokens": 2, "tokens": 9, **FIRST_TOKEN}


def chat() -> Surface:
    identity: Json = {"id": "cmpl1", "created": 1_790_000_000, "model": "mistral-small-2603"}

    def chunk(content: str, finish_reason: str | None = None, **fields: Any) -> Json:
        choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
        return {**identity, "object": "chat.completion.chunk", "choices": [choice], **fields}

    def choice(content: str, **fields: Any) -> Json:
        return {"index": 0, "message": {"role": "assistant", "content": content}, **fields}

    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    metadata = {**identity, "object": "chat.completion"}
    return Surface(
        resource="chat",
        method="stream",
        arguments={"messages": [{"role": "user", "content": "Which flour?"}]},
        events=[chunk(""), chunk("Ry"), chunk("e."), chunk("", "stop", usage=usage)],
        begun=2,
        nothing=Arrived([], {}, {}),
        beginning=Arrived([choice("Ry")], metadata, FIRST_TOKEN),
        whole=Arrived([choice("Rye.", finish_reason="stop")], metadata, METRICS),
    )


def responses() -> Surface:
    identity: Json = {"id": "resp1", "object": "response", "created_at": 1_790_000_000.5, "model": "mistral-small"}

    def event(kind: str, **fields: Any) -> Json:
        return {"type": f"response.{kind}", "sequence_number": 0, **fields}

    def delta(text: str) -> Json:
        return event("output_text.delta", output_index=0, item_id="msg1", content_index=0, delta=text, logprobs=[])

    def response(status: str, *output: Json, **fields: Any) -> Json:
        settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        return {"response": {**identity, "status": status, "output": output, **settings, **fields}}

    def message(status: str, *content: Json) -> Json:
        return {"type": "message", "id": "msg1", "role": "assistant", "status": status, "content": list(content)}

    usage = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
    usage |= {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    usage |= {"output_tokens_details": {"reasoning_tokens": 0}}
    details = {"prompt_cached_tokens": 0, "prompt_cache_write_tokens": 0, "completion_reasoning_tokens": 0}
    rye = message("completed", {"type": "output_text", "text": "Rye.", "annotations": []})
    return Surface(
        resource="responses",
        method="create",
        arguments={"input": "Which flour?", "stream": True},
        events=[
            event("created", **response("in_progress")),
            event("output_item.added", output_index=0, item=message("in_progress")),
            delta("Ry"),
            delta("e."),
            event("completed", **response("completed", rye, usage=usage)),
        ],
        begun=3,
        nothing=Arrived([], {}, {}),
        beginning=Arrived(
            [message("in_progress", {"type": "output_text", "text": "Ry"})],
            {**identity, "status": "in_progress"},
            FIRST_TOKEN,
        ),
        whole=Arrived([rye], {**identity, "status": "completed"}, {**METRICS, **details}),
    )


class Caller:
    """The caller of a stream, sync or async, that does what the ending says."""

    def __init__(self, surface: Surface, make_client: MakeClient, *, is_async: bool) -> None:
        self.surface = surface
        self.stream: Any = None
        self._make_client = make_client
        self._is_async = is_async

    async def open(self, error: BaseException | None = None) -> None:
        """Make the call. With an `error`, the stream breaks with it after its beginning."""
        events = self.surface.events if error is None else self.surface.events[: self.surface.begun]
        client: Mistral = self._make_client(lambda request: answer_stream(events, error))
        name = self.surface.method + ("_async" if self._is_async else "")
        call = getattr(getattr(client, self.surface.resource), name)
        self.stream = await self._result(call(model="mistral-small-latest", **self.surface.arguments))

    async def open_and_begin(self, error: BaseException | None = None) -> None:
        """Make the call and read what the stream begins with."""
        await self.open(error)
        for _ in range(self.surface.begun):
            await self.next()

    async def next(self) -> Any:
        """Read one more event."""
        return await self._result(anext(self.stream) if self._is_async else next(self.stream))

    async def read_to_the_end(self) -> int:
        """Read all events, and return how many there were."""
        if self._is_async:
            return len([event async for event in self.stream])
        return len(list(self.stream))

    async def close(self) -> None:
        """Close the stream."""
        await self._result(self.stream.close())

    async def leave(self) -> None:
        """Do what the end of a `with` block does."""
        leave = self.stream.__aexit__ if self._is_async else self.stream.__exit__
        await self._result(leave(None, None, None))

    async def _result(self, result: Any) -> Any:
        return await result if isinstance(result, Awaitable) else result


async def the_events_run_out(caller: Caller) -> None:
    await caller.open()
    assert await caller.read_to_the_end() == len(caller.surface.events)


async def the_caller_breaks(caller: Caller) -> None:
    await caller.open_and_begin()


async def the_caller_closes(caller: Caller) -> None:
    await caller.open_and_begin()
    await caller.close()


async def the_caller_leaves_with(caller: Caller) -> None:
    await caller.open_and_begin()
    await caller.leave()
    await caller.leave()


async def nobody_iterates(caller: Caller) -> None:
    await caller.open()


async def the_transport_breaks(caller: Caller) -> None:
    await caller.open_and_begin(httpx.ReadError("connection reset by the baker"))
    with pytest.raises(httpx.ReadError):
        await caller.next()


async def the_keyboard_interrupts(caller: Caller) -> None:
    await caller.open_and_begin(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        await caller.next()


async def the_wait_is_cancelled(caller: Caller) -> None:
    await caller.open_and_begin(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await caller.next()


Ending = Callable[[Caller], Coroutine[Any, Any, None]]
ENDINGS: dict[Ending, tuple[str, str | None]] = {
    the_events_run_out: ("whole", None),
    the_caller_breaks: ("beginning", None),
    the_caller_closes: ("beginning", None),
    the_caller_leaves_with: ("beginning", None),
    nobody_iterates: ("nothing", None),
    the_transport_breaks: ("beginning", "ReadError: connection reset by the baker"),
    the_keyboard_interrupts: ("beginning", "KeyboardInterrupt"),
    the_wait_is_cancelled: ("beginning", "CancelledError"),
}
"""What had arrived when a stream ended in each way, and the error that its span shows."""


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
@pytest.mark.parametrize("make_surface", [chat, responses])
def test_a_stream_ends_its_span_once_with_what_had_arrived_when(
    make_surface: Callable[[], Surface], ending: Ending, is_async: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    if ending is the_caller_closes and IS_MISTRALAI_1:
        pytest.skip("streams of mistralai 1.x have no close()")
    if make_surface is responses and not hasattr(models, "ResponsesStreamFrame"):
        pytest.skip("mistralai 1.x and 2.x have no Responses API")
    surface = make_surface()
    caller = Caller(surface, make_client, is_async=is_async)
    asyncio.run(ending(caller))
    caller.stream = None
    wait_until(lambda: has_end(spans.memory.logs[-1].get()))
    assert [has_end(record.get()) for record in spans.memory.logs] == [False, True]
    (logged,) = logged_calls(spans.pop())
    stage, error = ENDINGS[ending]
    arrived: Arrived = getattr(surface, stage)
    assert logged == LoggedSpan(
        name=f"mistral.{surface.resource}.{surface.method}",
        type="llm",
        input=surface.arguments.get("input", surface.arguments.get("messages")),
        output=arrived.output,
        metadata={"provider": "mistral", "stream": True, "model": "mistral-small-latest", **arrived.metadata},
        metrics={"duration": ANY, **arrived.metrics},
        error=logged.error,
        seconds=ANY,
        children=(),
    )
    assert (logged.error is None) == (error is None)
    assert (logged.error or "").endswith(error or "")


def has_end(record: Json) -> bool:
    return "end" in record.get("metrics", {})
