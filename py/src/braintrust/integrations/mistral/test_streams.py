"""A traced stream ends its span exactly once, whatever happens first, and is the SDK's stream to its user.

Scenarios that could hang or that outlive the interpreter run in a process of their own: see `run_alone`.
"""

import asyncio
import atexit
import gc
import inspect
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import types
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple
from unittest.mock import ANY, MagicMock

import braintrust
import pytest
from braintrust import logger as braintrust_logger
from braintrust.logger import ObjectMetadata, OrgProjectMetadata, _HTTPBackgroundLogger
from braintrust.merge_row_batch import merge_row_batch
from braintrust.util import LazyValue

from . import MistralIntegration
from .conftest import (
    IS_MISTRALAI_1,
    HangingBody,
    Json,
    LoggedSpan,
    LoggedSpans,
    MakeClient,
    Mistral,
    Provide,
    answer,
    answer_stream,
    answer_until,
    httpx,
    logged_calls,
    wait_until,
)
from .streams import AsyncTracedStream, TracedStream


try:
    from mistralai.client.utils.eventstreaming import EventStream, EventStreamAsync
except ImportError:
    from mistralai.utils.eventstreaming import EventStream, EventStreamAsync  # type: ignore[no-redef]  # 1.x


# --- what is streamed ---


STARTED: Json = {
    "type": "conversation.response.started",
    "created_at": "2026-10-05T14:45:44Z",
    "conversation_id": "conv_1",
}
DONE: Json = {
    "type": "conversation.response.done",
    "created_at": "2026-10-05T14:45:49Z",
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}
FAILED: Json = {
    "type": "conversation.response.error",
    "created_at": "2026-10-05T14:45:49Z",
    "message": "The oven is cold",
    "code": 3000,
}


def delta(content: Any, second: int = 45, **fields: Any) -> Json:
    """Return an event that brings a piece of the answer."""
    return {
        "type": "message.output.delta",
        "created_at": f"2026-10-05T14:45:{second}Z",
        "id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "model": "mistral-small-latest",
        "role": "assistant",
        "content": content,
        **fields,
    }


HELLO: list[Json] = [STARTED, delta("Bread", 45), delta(" rises", 46), DONE]


def message(content: Any, created: int = 45, completed: int = 45) -> Json:
    """Return the entry that `delta`s add up to."""
    return {
        "object": "entry",
        "type": "message.output",
        "id": "msg_1",
        "created_at": f"2026-10-05T14:45:{created}Z",
        "completed_at": f"2026-10-05T14:45:{completed}Z",
        "model": "mistral-small-latest",
        "role": "assistant",
        "content": content,
    }


# --- how a stream may end ---


class Arrived(NamedTuple):
    """What had arrived when a stream ended, and the error that its span shows."""

    output: Any
    error: str | None = None
    usage: bool = False
    conversation: bool = True


NOTHING = Arrived([], conversation=False)
A_WORD = Arrived([message("Bread")])
ALL = Arrived([message("Bread rises", 45, 46)], usage=True)

ENDINGS: dict[str, Arrived] = {
    "the_events_run_out": ALL,
    "the_caller_breaks": A_WORD,
    "the_caller_closes": A_WORD,
    "the_caller_leaves_with": A_WORD,
    "the_caller_leaves_with_at_once": NOTHING,
    "nobody_iterates": NOTHING,
    "the_callers_generator_is_closed": A_WORD,
    "the_callers_generator_is_closed_inside_with": A_WORD,
    "the_last_reference_is_dropped": A_WORD,
    "a_cycle_is_collected": A_WORD,
    "the_waiting_coroutine_is_closed": A_WORD,
    "the_requesting_coroutine_is_closed": Arrived(None, conversation=False),
    "the_transport_breaks": A_WORD._replace(error="ReadError: connection reset by the baker"),
    "an_error_event_arrives": A_WORD._replace(error="The oven is cold (code 3000)"),
    "the_keyboard_interrupts": A_WORD._replace(error="KeyboardInterrupt"),
    "the_keyboard_interrupts_the_request": Arrived(None, "KeyboardInterrupt", conversation=False),
    "the_wait_for_an_event_is_cancelled": A_WORD._replace(error="CancelledError"),
    "the_request_is_cancelled": Arrived(None, "CancelledError", conversation=False),
    "the_caller_raises_inside_with": A_WORD._replace(error="LookupError: no flour"),
}


class SyncEndings:
    """How callers are done with a sync stream, by the names in `ENDINGS`."""

    def __init__(self, make_client: MakeClient) -> None:
        self._make_client = make_client

    def start(self, events: list[Json] = HELLO, error: BaseException | None = None) -> Any:
        return start(self._make_client(lambda request: answer_stream(events, error)))

    def start_and_read(self, events: list[Json] = HELLO, error: BaseException | None = None) -> Any:
        stream = self.start(events, error)
        assert [event.data.type for event in read(stream, 2)] == [event["type"] for event in HELLO[:2]]
        return stream

    def the_events_run_out(self) -> None:
        assert len(list(self.start())) == 4

    def the_caller_breaks(self) -> None:
        for event in self.start():
            if event.data.type == "message.output.delta":
                break

    def the_caller_closes(self) -> None:
        stream = self.start_and_read()
        stream.close()

    def the_caller_leaves_with(self) -> None:
        with self.start() as stream:
            for event in stream:
                if event.data.type == "message.output.delta":
                    break

    def the_caller_leaves_with_at_once(self) -> None:
        with self.start():
            pass

    def nobody_iterates(self) -> None:
        self.start()

    def the_callers_generator_is_closed(self) -> None:
        def events() -> Iterator[Any]:
            yield from self.start()

        generator: Any = events()
        read(generator, 2)
        generator.close()

    def the_callers_generator_is_closed_inside_with(self) -> None:
        def events() -> Iterator[Any]:
            with self.start() as stream:
                yield from stream

        generator: Any = events()
        read(generator, 2)
        generator.close()

    def the_last_reference_is_dropped(self) -> None:
        stream = self.start_and_read()
        alias = stream
        del stream
        del alias

    def a_cycle_is_collected(self) -> None:
        leave_in_a_cycle(self.start_and_read())
        gc.collect()

    def the_transport_breaks(self) -> None:
        stream = self.start_and_read(HELLO[:2], httpx.ReadError("connection reset by the baker"))
        with pytest.raises(httpx.ReadError):
            next(stream)

    def an_error_event_arrives(self) -> None:
        assert [event.data.type for event in self.start([*HELLO[:2], FAILED])][2:] == ["conversation.response.error"]

    def the_keyboard_interrupts(self) -> None:
        stream = self.start_and_read(HELLO[:2], KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            next(stream)

    def the_keyboard_interrupts_the_request(self) -> None:
        def handler(request: Any) -> Any:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            start(self._make_client(handler))

    def the_caller_raises_inside_with(self) -> None:
        with pytest.raises(LookupError), self.start_and_read():
            raise LookupError("no flour")


class AsyncEndings:
    """How callers are done with an async stream, by the names in `ENDINGS`."""

    def __init__(self, make_client: MakeClient) -> None:
        self._make_client = make_client

    async def start(self, events: list[Json] = HELLO, error: BaseException | None = None) -> Any:
        return await start_async(self._make_client(lambda request: answer_stream(events, error)))

    async def start_and_read(self, events: list[Json] = HELLO, error: BaseException | None = None) -> Any:
        stream = await self.start(events, error)
        await read_async(stream, 2)
        return stream

    async def start_and_hang(self) -> tuple[Any, HangingBody]:
        response, body = answer_until(HELLO[:2])
        stream = await start_async(self._make_client(lambda request: response))
        await read_async(stream, 2)
        return stream, body

    async def the_events_run_out(self) -> None:
        assert len([event async for event in await self.start()]) == 4

    async def the_caller_breaks(self) -> None:
        async for event in await self.start():
            if event.data.type == "message.output.delta":
                break

    async def the_caller_closes(self) -> None:
        stream = await self.start_and_read()
        await stream.close()

    async def the_caller_leaves_with(self) -> None:
        async with await self.start() as stream:
            async for event in stream:
                if event.data.type == "message.output.delta":
                    break

    async def the_caller_leaves_with_at_once(self) -> None:
        async with await self.start():
            pass

    async def nobody_iterates(self) -> None:
        await self.start()

    async def the_callers_generator_is_closed(self) -> None:
        async def events() -> AsyncIterator[Any]:
            async for event in await self.start():
                yield event

        generator: Any = events()
        await read_async(generator, 2)
        await generator.aclose()

    async def the_callers_generator_is_closed_inside_with(self) -> None:
        async def events() -> AsyncIterator[Any]:
            async with await self.start() as stream:
                async for event in stream:
                    yield event

        generator: Any = events()
        await read_async(generator, 2)
        await generator.aclose()

    async def the_last_reference_is_dropped(self) -> None:
        stream = await self.start_and_read()
        alias = stream
        del stream
        del alias

    async def a_cycle_is_collected(self) -> None:
        leave_in_a_cycle(await self.start_and_read())
        gc.collect()

    async def the_waiting_coroutine_is_closed(self) -> None:
        stream, _ = await self.start_and_hang()
        waiting = stream.__anext__()
        waiting.send(None)
        waiting.close()

    async def the_requesting_coroutine_is_closed(self) -> None:
        requesting = start_async(hanging_client(asyncio.Event()))
        requesting.send(None)
        requesting.close()

    async def the_transport_breaks(self) -> None:
        stream = await self.start_and_read(HELLO[:2], httpx.ReadError("connection reset by the baker"))
        with pytest.raises(httpx.ReadError):
            await anext(stream)

    async def an_error_event_arrives(self) -> None:
        events = [event.data.type async for event in await self.start([*HELLO[:2], FAILED])]
        assert events[2:] == ["conversation.response.error"]

    async def the_keyboard_interrupts(self) -> None:
        stream = await self.start_and_read(HELLO[:2], KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            await anext(stream)

    async def the_keyboard_interrupts_the_request(self) -> None:
        def handler(request: Any) -> Any:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await start_async(self._make_client(handler))

    async def the_wait_for_an_event_is_cancelled(self) -> None:
        stream, body = await self.start_and_hang()
        waiting = asyncio.create_task(stream.__anext__())
        await body.is_waited_for.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def the_request_is_cancelled(self) -> None:
        is_requested = asyncio.Event()
        requesting = asyncio.create_task(start_async(hanging_client(is_requested)))
        await is_requested.wait()
        requesting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await requesting

    async def the_caller_raises_inside_with(self) -> None:
        with pytest.raises(LookupError):
            async with await self.start_and_read():
                raise LookupError("no flour")


def read(events: Iterator[Any], number: int) -> list[Any]:
    """Read the next events of a stream, and no further."""
    return [next(events) for _ in range(number)]


async def read_async(events: AsyncIterator[Any], number: int) -> list[Any]:
    return [await anext(events) for _ in range(number)]


def start(client: Mistral) -> Any:
    return client.beta.conversations.start_stream(inputs="Bread?", model="mistral-small-latest")


async def start_async(client: Mistral) -> Any:
    return await client.beta.conversations.start_stream_async(inputs="Bread?", model="mistral-small-latest")


def hanging_client(is_requested: asyncio.Event) -> Mistral:
    """Return a client whose requests are never answered."""

    async def hang(request: Any) -> Any:
        is_requested.set()
        await asyncio.Event().wait()

    return Mistral(api_key="key", async_client=httpx.AsyncClient(transport=httpx.MockTransport(hang)))


def leave_in_a_cycle(stream: Any) -> None:
    # Set through the proxy, on the SDK's object: the stream holds itself.
    stream.itself = stream


def records_of(spans: LoggedSpans) -> list[Json]:
    return [record.get() for record in list(spans.memory.logs)]


def wait_for_abandoned_streams(spans: LoggedSpans, make_client: MakeClient) -> None:
    """Return when the streams that were abandoned before have been ended: they are ended in order."""
    client = make_client(lambda request: answer_stream(HELLO))
    client.beta.conversations.restart_stream(conversation_id="conv_0", inputs="", from_entry_id="msg_0")
    (marker,) = (record["span_id"] for record in records_of(spans) if record.get("input") == "")
    wait_until(lambda: any(has_end(record) and record["span_id"] == marker for record in records_of(spans)))
    spans.memory.logs = [record for record in spans.memory.logs if record.get()["span_id"] != marker]


def has_end(record: Json) -> bool:
    return "end" in record.get("metrics", {})


def assert_one_span_that_ended_once(spans: LoggedSpans, arrived: Arrived) -> None:
    assert [has_end(record) for record in records_of(spans)] == [False, True]
    (call,) = logged_calls(spans.pop())
    metadata: Json = {"provider": "mistral", "stream": True, "model": "mistral-small-latest"}
    if arrived.conversation:
        metadata["conversation_id"] = "conv_1"
    if arrived.output is not None:
        metadata["object"] = "conversation.response"
    metrics: Json = {"duration": ANY}
    if arrived.output:
        metrics["time_to_first_token"] = ANY
    if arrived.usage:
        metrics |= {"prompt_tokens": 7, "completion_tokens": 2, "tokens": 9}
    assert call == LoggedSpan(
        name="mistral.beta.conversations.start_stream",
        type="task",
        input="Bread?",
        output=arrived.output,
        metadata=metadata,
        metrics=metrics,
        error=call.error,
        seconds=ANY,
        children=(),
    )
    assert (call.error is None) == (arrived.error is None)
    assert (call.error or "").endswith(arrived.error or "")


@pytest.mark.parametrize(
    ("face", "ending"),
    [
        pytest.param(face, ending, id=f"{name}-{ending}")
        for ending in ENDINGS
        for name, face in (("sync", SyncEndings), ("async", AsyncEndings))
        # A sync stream waits without a coroutine, and nobody cancels it.
        if hasattr(face, ending)
    ],
)
def test_a_stream_ends_its_span_once_with_what_had_arrived_when(
    face: type[SyncEndings] | type[AsyncEndings], ending: str, spans: LoggedSpans, make_client: MakeClient
) -> None:
    if ending == "the_caller_closes" and IS_MISTRALAI_1:
        pytest.skip("streams of mistralai 1.x have no close()")
    finish: Callable[[], Any] = getattr(face(make_client), ending)
    if inspect.iscoroutinefunction(finish):
        asyncio.run(finish())
    else:
        finish()
    wait_for_abandoned_streams(spans, make_client)
    assert_one_span_that_ended_once(spans, ENDINGS[ending])


def test_sync_and_async_streams_end_in_the_same_ways() -> None:
    async_only = {name for name in ENDINGS if not hasattr(SyncEndings, name)}
    assert all(hasattr(AsyncEndings, name) for name in ENDINGS)
    assert async_only == {
        "the_waiting_coroutine_is_closed",
        "the_requesting_coroutine_is_closed",
        "the_wait_for_an_event_is_cancelled",
        "the_request_is_cancelled",
    }


def test_a_tool_that_was_running_when_the_caller_broke_off_is_logged(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    tool = {"id": "tool_1", "name": "web_search", "output_index": 0, "created_at": "2026-10-05T14:45:45Z"}
    events = [
        STARTED,
        {"type": "tool.execution.started", "arguments": "", **tool},
        {"type": "tool.execution.delta", "arguments": '{"query": "sourd', **tool},
        {"type": "tool.execution.delta", "arguments": 'ough"}', **tool},
    ]
    stream = start(make_client(lambda request: answer_stream(events)))
    read(stream, 3)
    del stream
    wait_for_abandoned_streams(spans, make_client)
    (call,) = logged_calls(spans.pop())
    assert [(child.name, child.input, child.output, child.error) for child in call.children] == [
        ("tool: web_search", '{"query": "sourd', None, None)
    ]
    assert "time_to_first_token" in call.metrics


# --- the SDK's stream, to its user ---


def run_sync_or_async(make_client: MakeClient, use: Callable[[Any], Any], events: list[Json] = HELLO) -> None:
    """Call `use` with a sync stream, and again, in an event loop, with an async one."""
    use(start(make_client(lambda request: answer_stream(events))))

    async def use_async() -> None:
        use(await start_async(make_client(lambda request: answer_stream(events))))

    asyncio.run(use_async())


def test_a_traced_stream_is_an_instance_of_the_sdks_class(spans: LoggedSpans, make_client: MakeClient) -> None:
    kinds: list[tuple[bool, bool]] = []
    run_sync_or_async(
        make_client,
        lambda stream: kinds.append((isinstance(stream, EventStream), isinstance(stream, EventStreamAsync))),
    )
    assert kinds == [(True, False), (False, True)]
    wait_for_abandoned_streams(spans, make_client)


def test_every_attribute_of_the_sdks_stream_passes_through(spans: LoggedSpans, make_client: MakeClient) -> None:
    def use(stream: Any) -> None:
        assert type(stream) in (TracedStream, AsyncTracedStream)
        ours: Any = stream.__wrapped__
        assert {name: getattr(stream, name) for name in vars(ours)} == vars(ours)
        assert {"response", "generator", "client_ref"} <= set(vars(ours)) <= set(dir(stream))
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream"
        stream.client_ref = None
        assert ours.client_ref is None
        with pytest.raises(AttributeError):
            _ = stream.no_such_attribute

    run_sync_or_async(make_client, use)
    wait_for_abandoned_streams(spans, make_client)


def test_a_stream_has_a_close_exactly_when_the_sdks_has_one(spans: LoggedSpans, make_client: MakeClient) -> None:
    def use(stream: Any) -> None:
        theirs = EventStreamAsync if isinstance(stream, EventStreamAsync) else EventStream
        assert hasattr(stream, "close") == hasattr(theirs, "close") == (not IS_MISTRALAI_1)
        assert not hasattr(stream, "aclose")
        if hasattr(theirs, "close"):
            assert inspect.iscoroutinefunction(stream.close) == inspect.iscoroutinefunction(theirs.close)

    run_sync_or_async(make_client, use)
    wait_for_abandoned_streams(spans, make_client)


def test_a_stream_is_its_own_iterator_and_its_own_context_manager(spans: LoggedSpans, make_client: MakeClient) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    assert iter(stream) is stream
    with stream as entered:
        assert entered is stream

    async def same_async() -> None:
        stream = await start_async(make_client(lambda request: answer_stream(HELLO)))
        assert aiter(stream) is stream
        async with stream as entered:
            assert entered is stream

    asyncio.run(same_async())
    assert len(spans.pop()) == 2


def test_sync_and_async_streams_offer_the_same_methods() -> None:
    def signatures(face: type[Any]) -> dict[str, str]:
        own = {name: getattr(method, "fget", method) for name, method in vars(face).items()}
        return {name: str(inspect.signature(method)) for name, method in own.items() if inspect.isfunction(method)}

    def synced(text: str) -> str:
        return text.replace("__a", "__").replace("Async", "")

    asynchronous = {synced(name): synced(text) for name, text in signatures(AsyncTracedStream).items()}
    assert signatures(TracedStream) == asynchronous
    assert set(asynchronous) == {"__init__", "__iter__", "__next__", "__enter__", "__exit__", "close"}


def test_iterating_on_after_a_break_goes_on_and_folds_everything(spans: LoggedSpans, make_client: MakeClient) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    for event in stream:
        if event.data.type == "message.output.delta":
            break
    assert [event.data.type for event in stream] == ["message.output.delta", "conversation.response.done"]
    assert_one_span_that_ended_once(spans, ALL)


def test_next_after_the_end_raises_stop_iteration_again(spans: LoggedSpans, make_client: MakeClient) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    assert len(list(stream)) == 4
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(stream)

    async def same_async() -> None:
        stream = await start_async(make_client(lambda request: answer_stream(HELLO)))
        assert len([event async for event in stream]) == 4
        for _ in range(2):
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    asyncio.run(same_async())
    assert [has_end(record) for record in records_of(spans)] == [False, True, False, True]


@pytest.mark.skipif(IS_MISTRALAI_1, reason="streams of mistralai 1.x have no close()")
def test_closing_after_the_end_and_closing_twice_end_the_span_once(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    assert len(list(stream)) == 4
    stream.close()
    stream.close()
    assert_one_span_that_ended_once(spans, ALL)

    async def same_async() -> None:
        stream = await start_async(make_client(lambda request: answer_stream(HELLO)))
        await read_async(stream, 2)
        await stream.close()
        await stream.close()

    asyncio.run(same_async())
    assert_one_span_that_ended_once(spans, A_WORD)


def test_leaving_with_after_the_end_ends_the_span_once(spans: LoggedSpans, make_client: MakeClient) -> None:
    with start(make_client(lambda request: answer_stream(HELLO))) as stream:
        assert len(list(stream)) == 4
    assert_one_span_that_ended_once(spans, ALL)


def test_an_exception_after_the_end_changes_nothing(spans: LoggedSpans, make_client: MakeClient) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    assert len(list(stream)) == 4
    with pytest.raises(LookupError), stream:
        raise LookupError("too late to fail")
    assert_one_span_that_ended_once(spans, ALL)


def test_an_error_of_the_sdks_close_reaches_the_caller_and_the_span(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from answer_stream(HELLO[:2]).stream

        def close(self) -> None:
            raise OSError("the door is stuck")

    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    with pytest.raises(OSError, match="the door is stuck"), start(make_client(lambda request: response)) as stream:
        read(stream, 2)
    assert_one_span_that_ended_once(spans, A_WORD._replace(error="OSError: the door is stuck"))


def test_one_thread_waiting_for_an_event_and_one_leaving_end_the_span_once(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    is_waited_for, may_go_on = threading.Event(), threading.Event()

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from answer_stream(HELLO[:2]).stream
            is_waited_for.set()
            may_go_on.wait(60)
            yield from answer_stream(HELLO[2:]).stream

    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    stream = start(make_client(lambda request: response))
    read(stream, 2)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    assert is_waited_for.wait(60)
    leave(stream)
    may_go_on.set()
    reader.join(60)
    assert not reader.is_alive()
    assert_one_span_that_ended_once(spans, A_WORD)


def test_many_threads_leaving_at_once_end_the_span_once(spans: LoggedSpans, make_client: MakeClient) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    read(stream, 2)
    barrier = threading.Barrier(8)

    def leave_together() -> None:
        barrier.wait(60)
        leave(stream)

    threads = [threading.Thread(target=leave_together) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert_one_span_that_ended_once(spans, A_WORD)


def leave(stream: Any) -> None:
    """Do what the end of a `with` block does: mistralai 1.x has no `close`."""
    stream.__exit__(None, None, None)


# --- events ---


def test_the_sdks_very_own_events_pass_through_in_their_order(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    next_event, next_event_async = EventStream.__next__, EventStreamAsync.__anext__

    def recording_next(self: Any) -> Any:
        made.append(next_event(self))
        return made[-1]

    async def recording_next_async(self: Any) -> Any:
        made.append(await next_event_async(self))
        return made[-1]

    monkeypatch.setattr(EventStream, "__next__", recording_next)
    monkeypatch.setattr(EventStreamAsync, "__anext__", recording_next_async)

    seen = list(start(make_client(lambda request: answer_stream(HELLO))))

    async def same_async() -> None:
        seen.extend([event async for event in await start_async(make_client(lambda request: answer_stream(HELLO)))])

    asyncio.run(same_async())
    assert len(seen) == 8
    assert [id(event) for event in seen] == [id(event) for event in made]
    assert len(spans.pop()) == 2


NOVELTY: Json = {"type": "croissant.layer.done", "created_at": "2026-10-05T14:45:45Z", "layers": 27}


@pytest.mark.skipif(IS_MISTRALAI_1, reason="mistralai 1.x raises on an unknown event, see the next test")
def test_an_unknown_type_of_event_passes_through_and_later_events_still_fold(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    events = [HELLO[0], NOVELTY, HELLO[1], NOVELTY, *HELLO[2:]]
    seen = list(start(make_client(lambda request: answer_stream(events))))
    assert [event.data.raw for event in seen if event.data.type == "UNKNOWN"] == [NOVELTY, NOVELTY]
    assert_one_span_that_ended_once(spans, ALL)


@pytest.mark.skipif(not IS_MISTRALAI_1, reason="mistralai 2.x and newer wrap an unknown event, see the test before")
def test_what_mistralai_1_raises_on_an_unknown_event_reaches_the_caller_and_the_span(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    stream = start(make_client(lambda request: answer_stream([*HELLO[:2], NOVELTY, *HELLO[2:]])))
    with pytest.raises(ValueError, match="croissant"):
        list(stream)
    row = spans.pop_one()
    assert row["output"] == A_WORD.output
    assert "croissant" in row["error"]


class ExplodingEvent:
    """An event of which nothing can be read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("hot")


@pytest.mark.parametrize("raw", [None, "croissant", {"no": "type"}, [], 27])
def test_an_unknown_event_with_an_unexpected_body_passes_through(
    raw: Any, spans: LoggedSpans, make_client: MakeClient, provide: Provide, faults: list[logging.LogRecord]
) -> None:
    unknown = types.SimpleNamespace(data=types.SimpleNamespace(type="UNKNOWN", raw=raw))
    events = [*parsed_events(make_client, spans), unknown]
    provide("start_stream", lambda self, **kwargs: iter(events))
    assert list(start(make_client(answer))) == events
    assert_one_span_that_ended_once(spans, ALL)
    assert len(faults) <= 1
    faults.clear()


def test_objects_that_are_no_events_pass_through_and_later_events_still_fold(
    spans: LoggedSpans, make_client: MakeClient, provide: Provide, faults: list[logging.LogRecord]
) -> None:
    real = parsed_events(make_client, spans)
    strange = [None, "text", 7, object(), {"data": {}}, [], ExplodingEvent(), MagicMock(), ValueError("a value")]
    events = [item for pair in itertools.zip_longest(strange, real) for item in pair]
    events = [*strange, *itertools.chain.from_iterable((event, *strange) for event in real)]
    provide("start_stream", lambda self, **kwargs: iter(events))
    assert [id(event) for event in start(make_client(answer))] == [id(event) for event in events]
    assert_one_span_that_ended_once(spans, ALL)
    assert faults
    faults.clear()


def parsed_events(make_client: MakeClient, spans: LoggedSpans) -> list[Any]:
    """Return the events of `HELLO` as the SDK parses them."""
    events = list(start(make_client(lambda request: answer_stream(HELLO))))
    spans.pop()
    return events


# --- what a stream adds up to ---


RESPONSE: Json = {
    "object": "conversation.response",
    "conversation_id": "conv_1",
    "outputs": [
        {
            "object": "entry",
            "type": "tool.execution",
            "id": "tool_1",
            "name": "web_search",
            "arguments": '{"query": "sourdough"}',
            "created_at": "2026-10-05T14:45:44Z",
            "completed_at": "2026-10-05T14:45:46Z",
            "info": {"result": '{"0": {"url": "https://example.com/bread"}}'},
        },
        {
            "object": "entry",
            "type": "function.call",
            "id": "call_1",
            "tool_call_id": "t1",
            "name": "preheat",
            "arguments": '{"degrees": 230}',
            "created_at": "2026-10-05T14:45:46Z",
        },
        {
            "object": "entry",
            "type": "agent.handoff",
            "id": "handoff_1",
            "previous_agent_id": "ag_1",
            "previous_agent_name": "miller",
            "next_agent_id": "ag_2",
            "next_agent_name": "baker",
            "created_at": "2026-10-05T14:45:47Z",
            "completed_at": "2026-10-05T14:45:48Z",
        },
        message(
            [
                {"type": "text", "text": "Knead it."},
                {"type": "tool_reference", "tool": "web_search", "title": "Bread", "url": "https://example.com/bread"},
                {"type": "text", "text": "Bake it."},
            ],
            created=48,
            completed=49,
        ),
    ],
    "usage": {**DONE["usage"], "connector_tokens": 40, "connectors": {"web_search": 1}},
}


def response_as_events() -> list[Json]:
    """Return `RESPONSE` as the events in which it would have been streamed."""
    tool, call, handoff, answered = RESPONSE["outputs"]

    def at(second: int) -> str:
        return f"2026-10-05T14:45:{second}Z"

    tool_key = {"id": tool["id"], "name": tool["name"], "output_index": 0}
    call_key = {"id": call["id"], "name": call["name"], "tool_call_id": "t1", "output_index": 1}
    handoff_key = {"id": handoff["id"], "output_index": 2}
    chunks = answered["content"]
    return [
        STARTED,
        {"type": "tool.execution.started", "created_at": at(44), "arguments": "", **tool_key},
        {"type": "tool.execution.delta", "created_at": at(44), "arguments": '{"query": "sour', **tool_key},
        {"type": "tool.execution.delta", "created_at": at(45), "arguments": 'dough"}', **tool_key},
        {"type": "tool.execution.done", "created_at": at(46), "info": tool["info"], **tool_key},
        {"type": "function.call.delta", "created_at": at(46), "arguments": '{"degrees"', **call_key},
        {"type": "function.call.delta", "created_at": at(46), "arguments": ": 230}", **call_key},
        {
            "type": "agent.handoff.started",
            "created_at": at(47),
            "previous_agent_id": "ag_1",
            "previous_agent_name": "miller",
            **handoff_key,
        },
        {
            "type": "agent.handoff.done",
            "created_at": at(48),
            "next_agent_id": "ag_2",
            "next_agent_name": "baker",
            **handoff_key,
        },
        delta("Knead ", 48, output_index=3, content_index=0),
        delta("it.", 48, output_index=3, content_index=0),
        delta(chunks[1], 48, output_index=3, content_index=1),
        delta("Bake ", 49, output_index=3, content_index=2),
        delta("it.", 49, output_index=3, content_index=2),
        {**DONE, "usage": RESPONSE["usage"]},
    ]


def test_a_streamed_call_logs_the_same_output_as_the_same_call_unstreamed(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(lambda request: answer(RESPONSE))
    client.beta.conversations.start(inputs="Bread?", model="mistral-small-latest")
    (unstreamed,) = logged_calls(spans.pop())
    list(start(make_client(lambda request: answer_stream(response_as_events()))))
    (streamed,) = logged_calls(spans.pop())
    assert streamed.output == unstreamed.output == RESPONSE["outputs"]
    assert streamed == unstreamed._replace(
        name=unstreamed.name + "_stream",
        metadata={**unstreamed.metadata, "stream": True},
        metrics={**unstreamed.metrics, "duration": ANY, "time_to_first_token": ANY},
        seconds=ANY,
        # Streamed, the end of a function call is the moment at which its last event was seen.
        children=tuple(child._replace(seconds=ANY) for child in unstreamed.children),
    )


def test_an_open_stream_keeps_text_and_no_events(spans: LoggedSpans, make_client: MakeClient) -> None:
    def kept(pieces: int) -> int:
        events = [STARTED, *(delta("Bread ") for _ in range(pieces))]
        stream = start(make_client(lambda request: answer_stream(events)))
        alive = [weakref.ref(event.data) for event in itertools.islice(stream, len(events))]
        gc.collect()
        return sum(1 for event in alive if event() is not None)

    # The last one of each entry is kept, however long the stream is.
    assert kept(10) == kept(1_000) <= 2
    wait_for_abandoned_streams(spans, make_client)
    assert [len(row["output"][0]["content"]) for row in spans.pop()] == [60, 6_000]


def test_no_reference_to_a_finished_stream_is_kept(spans: LoggedSpans, make_client: MakeClient) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    gone = weakref.ref(stream.__wrapped__)
    next(stream)
    leave(stream)
    del stream
    gc.collect()
    assert gone() is None
    assert len(spans.pop()) == 1


# --- abandoned streams ---


def test_a_stream_outlives_its_event_loop(spans: LoggedSpans, make_client: MakeClient) -> None:
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(start_async(make_client(lambda request: answer_stream(HELLO))))
    loop.run_until_complete(anext(stream))
    loop.run_until_complete(anext(stream))
    loop.close()
    assert spans.records == 1
    del stream
    wait_for_abandoned_streams(spans, make_client)
    assert_one_span_that_ended_once(spans, A_WORD)


def test_the_sdks_stream_goes_where_it_was_dropped_and_not_in_the_thread_that_ends_the_span(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    next(stream)
    gone = weakref.ref(stream.__wrapped__)
    with spans.memory.lock:
        # The span cannot be logged now: that thread has to wait.
        del stream
        gc.collect()
        assert gone() is None
    wait_for_abandoned_streams(spans, make_client)
    assert all(has_end(row) for row in spans.pop())


def test_streams_abandoned_by_many_threads_all_end(spans: LoggedSpans, make_client: MakeClient) -> None:
    def abandon() -> None:
        for _ in range(10):
            next(start(make_client(lambda request: answer_stream(HELLO))))

    threads = [threading.Thread(target=abandon) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    wait_for_abandoned_streams(spans, make_client)
    assert sorted(has_end(record) for record in records_of(spans)) == [False] * 80 + [True] * 80
    assert all(has_end(row) for row in spans.pop())


def test_an_abandoned_stream_ended_when_it_was_abandoned_not_when_its_turn_came(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    first, second = (start(make_client(lambda request: answer_stream(HELLO))) for _ in range(2))
    with spans.memory.lock:
        # The first cannot be logged now, and the second has to wait for the first.
        del first
        del second
        abandoned = time.time()
    wait_for_abandoned_streams(spans, make_client)
    assert all(row["metrics"]["end"] <= abandoned for row in spans.pop())


class PrintingLogger(_HTTPBackgroundLogger):
    """The SDK's own background logger, its queue, thread and exit hook included, but what it would send it prints."""

    def __init__(self) -> None:
        super().__init__(LazyValue(lambda: None, use_mutex=False))  # type: ignore[arg-type]

    def flush(self, batch_size: int | None = None) -> None:
        with self.flush_lock:
            for record in self.queue.drain_all():
                print(json.dumps({"process": os.getpid(), **record.get()}), flush=True)


def log_to_stdout() -> PrintingLogger:
    """Set this interpreter up as an application: traced, and logging through the SDK's real queue."""
    assert MistralIntegration.setup()
    project = OrgProjectMetadata(org_id="org", project=ObjectMetadata(id="project", name="project", full_info={}))
    logger = LazyValue(PrintingLogger, use_mutex=True)
    braintrust_logger._state._global_bg_logger = logger  # type: ignore[assignment]
    braintrust.init_logger(project="project")._lazy_metadata = LazyValue(lambda: project, use_mutex=False)
    return logger.get()


def half_read_stream() -> Any:
    """Return a stream of which two events were read."""
    client = Mistral(
        api_key="key",
        client=httpx.Client(transport=httpx.MockTransport(lambda request: answer_stream(HELLO))),
    )
    stream = start(client)
    read(stream, 2)
    return stream


def run_alone(scenario: Callable[[], None]) -> list[Json]:
    """Run a function of this module in an interpreter of its own, and return the records it logged.

    A scenario that hangs fails. The SDK's queue is emptied at exit, not before: what is in it can be counted.
    """
    completed = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import {scenario.__name__} as scenario; scenario()"],
        env={**os.environ, "BRAINTRUST_SYNC_FLUSH": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    return [json.loads(line) for line in completed.stdout.splitlines()]


def assert_half_read_spans(records: list[Json], number: int) -> None:
    assert sorted(has_end(record) for record in records) == [False] * number + [True] * number
    rows = merge_row_batch(records)
    assert [(has_end(row), row["output"], row.get("error")) for row in rows] == [(True, A_WORD.output, None)] * number


def collect_streams_while_the_log_queue_is_held() -> None:
    queue = log_to_stdout().queue
    gc.disable()

    leave_in_a_cycle(half_read_stream())
    with queue._mutex:
        gc.collect()
        assert queue.size() == 1
    wait_until(lambda: queue.size() == 2)

    leave_in_a_cycle(half_read_stream())
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with queue._mutex:
            is_held.set()
            may_go_on.wait()

    threading.Thread(target=hold).start()
    is_held.wait()
    gc.collect()
    assert queue.size() == 3
    may_go_on.set()
    wait_until(lambda: queue.size() == 4)


def test_streams_collected_inside_the_sdks_own_lock_do_not_deadlock_and_end_once_that_is_free() -> None:
    assert_half_read_spans(run_alone(collect_streams_while_the_log_queue_is_held), 2)


KEPT: list[Any] = []


def exit_with_open_streams() -> None:
    if sys.version_info[:2] == (3, 13):
        # Runs last. After it, 3.13.0 itself crashes when httpx2 closes an open response, traced or not.
        atexit.register(os._exit, 0)
    log_to_stdout()
    gc.disable()

    async def half_read_async_stream() -> Any:
        transport = httpx.MockTransport(lambda request: answer_stream(HELLO))
        stream = await start_async(Mistral(api_key="key", async_client=httpx.AsyncClient(transport=transport)))
        await read_async(stream, 2)
        return stream

    KEPT.append(half_read_stream())
    KEPT.append(asyncio.run(half_read_async_stream()))
    leave_in_a_cycle(half_read_stream())


def test_streams_that_are_open_when_the_interpreter_exits_are_ended_and_flushed() -> None:
    assert_half_read_spans(run_alone(exit_with_open_streams), 3)


def exit_while_an_abandoned_stream_is_being_ended() -> None:
    logger = log_to_stdout()
    stream = half_read_stream()
    is_ending, may_go_on = threading.Event(), threading.Event()
    log = logger.log

    def slow_log(*records: Any) -> None:
        is_ending.set()
        may_go_on.wait()
        log(*records)

    logger.log = slow_log
    del stream
    is_ending.wait()
    # As long as a large answer takes by itself. Were this over before the exit, the test would show nothing.
    timer = threading.Timer(0.5, may_go_on.set)
    timer.daemon = True
    timer.start()


def test_a_stream_abandoned_just_before_the_interpreter_exits_is_ended_and_flushed() -> None:
    assert_half_read_spans(run_alone(exit_while_an_abandoned_stream_is_being_ended), 1)


def start_no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def end_streams_although_their_thread_once_could_not_be_started() -> None:
    logger = log_to_stdout()
    # The SDK's own thread is not the one that fails.
    logger._start()
    logging.getLogger("braintrust.integrations.mistral").disabled = True
    start_thread = threading.Thread.start
    threading.Thread.start = start_no_thread  # type: ignore[method-assign]
    half_read_stream()
    threading.Thread.start = start_thread  # type: ignore[method-assign]
    half_read_stream()
    wait_until(lambda: logger.queue.size() == 4)


def test_abandoned_streams_end_also_after_their_thread_once_could_not_be_started() -> None:
    records = run_alone(end_streams_although_their_thread_once_could_not_be_started)
    assert [has_end(row) for row in merge_row_batch(records)] == [True, True]


def fork_under_an_open_stream() -> None:
    logger = log_to_stdout()
    stream = half_read_stream()
    logger.flush()
    child = os.fork()
    if child == 0:
        # Kills this process if it hangs.
        signal.alarm(60)
        # The child's first stream of its own starts its thread: one more that could end the parent's.
        assert len(list(half_read_stream())) == 2
        # As `with` does, and what it inherited goes first.
        if hasattr(stream, "close"):
            stream.close()
        del stream
        gc.collect()
        return
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(list(stream)) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_neither_hangs_nor_ends_the_streams_of_its_parent() -> None:
    records = run_alone(fork_under_an_open_stream)
    parent, child = (
        records[0]["process"],
        next(record["process"] for record in records if record["process"] != records[0]["process"]),
    )
    assert [has_end(record) for record in records if record["process"] == parent] == [False, True]
    assert [has_end(record) for record in records if record["process"] == child] == [False, True]
    rows = merge_row_batch(records)
    assert [row["output"] for row in rows] == [ALL.output, ALL.output]
