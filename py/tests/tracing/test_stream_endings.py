"""However a stream ends, its span ends once, with what had arrived: a conversation's, a chat's, a response's."""

import asyncio
import contextlib
import gc
import itertools
import operator
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest

from tests.conftest import LoggedSpans, wait_for_abandoned_streams
from tests.helpers.features import STREAMS_CLOSE
from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import USAGE, Handler, Json, answer_stream, answer_until, client_of, httpx, says, streamed


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


class Arrived(NamedTuple):
    """What a span shows when its stream ended: the output, and what the response added to metadata and metrics."""

    output: list[Json] | None
    metadata: Json
    metrics: Json


class Surface(NamedTuple):
    """A method that streams.

    Attributes:
        method: where it is on a client.
        span_type: of its span.
        arguments: of a call.
        events: of its stream; the number `begun` of them is begun with.
        nothing: what the span shows before the first event.
        beginning: what it shows after the events that are begun with.
        whole: what it shows in the end.
    """

    method: str
    span_type: str
    arguments: Json
    events: list[Json]
    begun: int
    nothing: Arrived
    beginning: Arrived
    whole: Arrived

    no_answer = Arrived(None, {}, {})
    """What the span shows without a stream."""


FIRST_TOKEN: Json = {"time_to_first_token": ANY}
METRICS: Json = {"prompt_tokens": 5, "completion_tokens": 3, "tokens": 8, **FIRST_TOKEN}
"""Those of `USAGE`."""


def conversation() -> Surface:
    metadata = {"object": "conversation.response", "conversation_id": "conv_1"}
    return Surface(
        method="beta.conversations.start_stream",
        span_type="task",
        arguments={"inputs": "Which flour?"},
        events=streamed([says("Rye.")]),
        begun=2,
        nothing=Arrived([], {"object": "conversation.response"}, {}),
        beginning=Arrived([says("Ry")], metadata, FIRST_TOKEN),
        whole=Arrived([says("Rye.")], metadata, METRICS),
    )


def chat() -> Surface:
    identity: Json = {"id": "cmpl1", "created": 1_790_000_000, "model": "mistral-small-2603"}

    def chunk(content: str, finish_reason: str | None = None, **fields: Any) -> Json:
        choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
        return {**identity, "object": "chat.completion.chunk", "choices": [choice], **fields}

    def choice(content: str, **fields: Any) -> Json:
        return {"index": 0, "message": {"role": "assistant", "content": content}, **fields}

    metadata = {**identity, "object": "chat.completion", "requested_model": "mistral-small-latest"}
    return Surface(
        method="chat.stream",
        span_type="llm",
        arguments={"messages": [{"role": "user", "content": "Which flour?"}]},
        events=[chunk(""), chunk("Ry"), chunk("e."), chunk("", "stop", usage=USAGE)],
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

    usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    usage |= {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    usage |= {"output_tokens_details": {"reasoning_tokens": 0}}
    details = {"prompt_cached_tokens": 0, "prompt_cache_creation_tokens": 0, "completion_reasoning_tokens": 0}
    metadata = {**identity, "requested_model": "mistral-small-latest"}
    rye = message("completed", {"type": "output_text", "text": "Rye.", "annotations": []})
    return Surface(
        method="responses.create",
        span_type="llm",
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
            {**metadata, "status": "in_progress"},
            FIRST_TOKEN,
        ),
        whole=Arrived([rye], {**metadata, "status": "completed"}, {**METRICS, **details}),
    )


class Caller:
    """The caller of a stream, sync or async, that does what the ending says."""

    def __init__(self, surface: Surface, *, is_async: bool) -> None:
        self.surface = surface
        self.stream: Any = None
        self.is_async = is_async

    def request(self, handler: Handler) -> Any:
        """Make the call, or the coroutine that makes it."""
        resource, _, method = self.surface.method.rpartition(".")
        target = operator.attrgetter(resource)(client_of(handler))
        call = getattr(target, f"{method}_async" if self.is_async else method)
        return call(model="mistral-small-latest", **self.surface.arguments)

    async def open(self, response: Any = None) -> None:
        """Make the call, which is answered with all events unless there is another response."""
        answer = answer_stream(self.surface.events) if response is None else response
        self.stream = await result_of(self.request(lambda request: answer))

    async def begin(self, response: Any = None) -> None:
        """Make the call, and read what the stream begins with, in a loop that breaks."""
        await self.open(response)
        assert await self.read(self.surface.begun) == self.surface.begun

    def beginning(self, error: BaseException | None = None) -> Any:
        """Return a response that brings what a stream begins with, and breaks with an error if there is one."""
        return answer_stream(self.surface.events[: self.surface.begun], error)

    async def read(self, most: int | None = None) -> int:
        """Read the events that are left, or at most so many; return how many there were."""
        if not self.is_async:
            return sum(1 for _ in itertools.islice(self.stream, most))
        number = 0
        async for _ in self.stream:
            number += 1
            if number == most:
                break
        return number

    async def next(self) -> Any:
        """Read one more event."""
        return await result_of(anext(self.stream) if self.is_async else next(self.stream))

    async def events(self) -> AsyncGenerator[Any, None]:
        """Make the call, and yield its events, as a generator of the caller's own does."""
        await self.open()
        async with self.inside():
            while True:
                yield await self.next()

    @contextlib.asynccontextmanager
    async def inside(self) -> AsyncIterator[None]:
        """Be inside of the stream's `with` block."""
        if self.is_async:
            async with self.stream:
                yield
        else:
            with self.stream:
                yield

    async def close(self) -> None:
        """Close the stream."""
        await result_of(self.stream.close())


async def result_of(call: Any) -> Any:
    """Return what a call gives, or the coroutine that makes it."""
    return await call if isinstance(call, Awaitable) else call


async def the_events_run_out(caller: Caller) -> None:
    await caller.open()
    assert await caller.read() == len(caller.surface.events)


async def it_is_iterated_beyond_its_end(caller: Caller) -> None:
    await the_events_run_out(caller)
    assert [await caller.read() for _ in range(2)] == [0, 0]


async def the_caller_breaks(caller: Caller) -> None:
    await caller.begin()


async def the_caller_breaks_and_reads_on_later(caller: Caller) -> None:
    await caller.begin()
    assert await caller.read() == len(caller.surface.events) - caller.surface.begun


async def the_caller_closes(caller: Caller) -> None:
    await caller.begin()
    for _ in range(2):
        await caller.close()


async def the_caller_closes_after_the_end(caller: Caller) -> None:
    await the_events_run_out(caller)
    await caller.close()


async def the_caller_leaves_with(caller: Caller) -> None:
    await caller.open()
    async with caller.inside():
        await caller.read(caller.surface.begun)


async def the_caller_leaves_with_at_once(caller: Caller) -> None:
    await caller.open()
    async with caller.inside():
        pass


async def the_caller_leaves_with_after_the_end(caller: Caller) -> None:
    await caller.open()
    async with caller.inside():
        await caller.read()


async def the_caller_raises_inside_with(caller: Caller) -> None:
    await caller.begin()
    with pytest.raises(LookupError):
        async with caller.inside():
            raise LookupError("no flour")


async def the_caller_raises_after_the_end(caller: Caller) -> None:
    await the_events_run_out(caller)
    with pytest.raises(LookupError):
        async with caller.inside():
            raise LookupError("too late to fail")


async def nobody_iterates(caller: Caller) -> None:
    await caller.open()


async def the_callers_generator_is_closed(caller: Caller) -> None:
    events = caller.events()
    for _ in range(caller.surface.begun):
        await anext(events)
    await events.aclose()


async def a_cycle_is_collected(caller: Caller) -> None:
    await caller.begin()
    # Set through the proxy, on the SDK's object: the stream holds itself.
    caller.stream.itself = caller.stream
    caller.stream = None
    gc.collect()


async def the_transport_breaks(caller: Caller) -> None:
    await caller.begin(caller.beginning(httpx.ReadError("connection reset by the baker")))
    with pytest.raises(httpx.ReadError):
        await caller.next()


async def the_keyboard_interrupts(caller: Caller) -> None:
    await caller.begin(caller.beginning(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        await caller.next()


async def the_keyboard_interrupts_the_request(caller: Caller) -> None:
    def interrupt(request: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await result_of(caller.request(interrupt))


async def the_sdks_close_fails(caller: Caller) -> None:
    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from caller.beginning().stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self:
                yield part

        def close(self) -> None:
            raise OSError("the door is stuck")

        async def aclose(self) -> None:
            self.close()

    await caller.begin(httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body()))
    with pytest.raises(OSError, match="the door is stuck"):
        async with caller.inside():
            pass


# --- of async streams only ---


async def begun_and_hanging(caller: Caller) -> asyncio.Event:
    """Begin a stream that then brings no event, and return what is set when it is waited for."""
    response, body = answer_until(caller.surface.events[: caller.surface.begun])
    await caller.begin(response)
    return body.is_waited_for


def hanging_request(caller: Caller) -> tuple[Any, asyncio.Event]:
    """Return a coroutine that makes a call which is never answered, and what is set when that was requested."""
    is_requested = asyncio.Event()

    async def hang(request: Any) -> Any:
        is_requested.set()
        await asyncio.Event().wait()

    return caller.request(hang), is_requested


async def the_wait_for_an_event_is_cancelled(caller: Caller) -> None:
    is_waited_for = await begun_and_hanging(caller)
    waiting = asyncio.create_task(caller.stream.__anext__())
    await is_waited_for.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def the_waiting_coroutine_is_closed(caller: Caller) -> None:
    await begun_and_hanging(caller)
    waiting = caller.stream.__anext__()
    waiting.send(None)
    waiting.close()


async def the_request_is_cancelled(caller: Caller) -> None:
    request, is_requested = hanging_request(caller)
    requesting = asyncio.create_task(request)
    await is_requested.wait()
    requesting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await requesting


async def the_requesting_coroutine_is_closed(caller: Caller) -> None:
    requesting, _ = hanging_request(caller)
    requesting.send(None)
    requesting.close()


CANCELLED = "cancelled"
"""No error: `metadata.cancelled` instead."""

Ending = Callable[[Caller], Coroutine[Any, Any, None]]
ASYNC_ENDINGS: dict[Ending, tuple[str, str | None]] = {
    the_wait_for_an_event_is_cancelled: ("beginning", CANCELLED),
    the_waiting_coroutine_is_closed: ("beginning", None),
    the_request_is_cancelled: ("no_answer", CANCELLED),
    the_requesting_coroutine_is_closed: ("no_answer", None),
}
ENDINGS: dict[Ending, tuple[str, str | None]] = {
    the_events_run_out: ("whole", None),
    it_is_iterated_beyond_its_end: ("whole", None),
    the_caller_breaks: ("beginning", None),
    the_caller_breaks_and_reads_on_later: ("whole", None),
    the_caller_closes: ("beginning", None),
    the_caller_closes_after_the_end: ("whole", None),
    the_caller_leaves_with: ("beginning", None),
    the_caller_leaves_with_at_once: ("nothing", None),
    the_caller_leaves_with_after_the_end: ("whole", None),
    the_caller_raises_inside_with: ("beginning", "LookupError: no flour"),
    the_caller_raises_after_the_end: ("whole", None),
    nobody_iterates: ("nothing", None),
    the_callers_generator_is_closed: ("beginning", None),
    a_cycle_is_collected: ("beginning", None),
    the_transport_breaks: ("beginning", "ReadError: connection reset by the baker"),
    the_keyboard_interrupts: ("beginning", "KeyboardInterrupt"),
    the_keyboard_interrupts_the_request: ("no_answer", "KeyboardInterrupt"),
    the_sdks_close_fails: ("beginning", "OSError: the door is stuck"),
    **ASYNC_ENDINGS,
}
"""What had arrived when a stream ended in each way, and the error that its span shows."""


OF_EACH_SURFACE = (the_events_run_out, the_caller_breaks, nobody_iterates, the_transport_breaks)
"""What differs from one surface to another is the folding of the events: how many there were, not how it ended."""

CASES = [
    pytest.param(make_surface, ending, is_async, id=f"{make_surface.__name__}-{ending.__name__}-{face}")
    for make_surface, endings in ((conversation, ENDINGS), (chat, OF_EACH_SURFACE), (responses, OF_EACH_SURFACE))
    for ending in endings
    for face, is_async in (("sync", False), ("async", True))
    if is_async or ending not in ASYNC_ENDINGS
]


@pytest.mark.parametrize(("make_surface", "ending", "is_async"), CASES)
def test_a_stream_ends_its_span_once_with_what_had_arrived_when(
    make_surface: Callable[[], Surface], ending: Ending, is_async: bool, spans: LoggedSpans
) -> None:
    if ending in (the_caller_closes, the_caller_closes_after_the_end) and not STREAMS_CLOSE:
        pytest.skip("streams of this mistralai have no close()")
    if make_surface is responses and not hasattr(models, "ResponsesStreamFrame"):
        pytest.skip("this mistralai has no Responses API")
    caller = Caller(make_surface(), is_async=is_async)
    asyncio.run(ending(caller))
    surface, caller.stream = caller.surface, None
    wait_for_abandoned_streams()
    # One to open it, and one that ends it.
    assert spans.records == 2
    (logged,) = logged_calls(spans.pop_ended())
    stage, error = ENDINGS[ending]
    arrived: Arrived = getattr(surface, stage)
    assert logged == LoggedSpan(
        name=f"mistral.{surface.method}",
        type=surface.span_type,
        input=next(value for name, value in surface.arguments.items() if name != "stream"),
        output=arrived.output,
        metadata={
            "provider": "mistral",
            "stream": True,
            "model": "mistral-small-latest",
            **arrived.metadata,
            **({"cancelled": True} if error is CANCELLED else {}),
        },
        metrics={"duration": ANY, **arrived.metrics},
        error=logged.error,
        seconds=ANY,
        children=(),
    )
    assert (logged.error is None) == (error in (None, CANCELLED))
    assert error is CANCELLED or (logged.error or "").endswith(error or "")
