"""A traced stream is the SDK's stream to its user, and ends its span also where nobody reads it any more.

All the ways to end one are in test_stream_endings.py.
Scenarios that could hang or that outlive the interpreter run in a process of their own: see `run_alone`.
"""

import asyncio
import atexit
import gc
import inspect
import itertools
import logging
import os
import signal
import sys
import threading
import time
import types
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from braintrust.integrations.mistral.tracing import streams as streams_module
from braintrust.merge_row_batch import merge_row_batch

from tests.conftest import LoggedSpans, MakeClient, Mistral, Provide, wait_for_abandoned_streams, wait_until
from tests.helpers.alone import log_to_stdout, run_alone
from tests.helpers.features import WRAPS_UNKNOWN
from tests.helpers.spans import logged_calls
from tests.helpers.wire import AT, Json, answer, answer_stream, client_of, httpx, says, streamed


try:
    from mistralai.client.utils.eventstreaming import EventStream, EventStreamAsync
except ImportError:
    from mistralai.utils.eventstreaming import EventStream, EventStreamAsync  # type: ignore[no-redef]  # 1.x


HELLO = streamed([says("Bread rises")])
WHOLE = [says("Bread rises")]
A_WORD = [says("Bread")]
"""The output after two events."""


def read(events: Iterator[Any], number: int) -> list[Any]:
    """Read the next events of a stream, and no further."""
    return [next(events) for _ in range(number)]


async def read_async(events: AsyncIterator[Any], number: int) -> list[Any]:
    return [await anext(events) for _ in range(number)]


def start(client: Mistral) -> Any:
    return client.beta.conversations.start_stream(inputs="Bread?", model="mistral-small-latest")


async def start_async(client: Mistral) -> Any:
    return await client.beta.conversations.start_stream_async(inputs="Bread?", model="mistral-small-latest")


def leave_in_a_cycle(stream: Any) -> None:
    stream.itself = stream


def has_end(record: Json) -> bool:
    return "end" in record.get("metrics", {})


def assert_one_span_that_ended_once(spans: LoggedSpans, output: Any) -> None:
    # One to open it, and one that ends it.
    assert spans.records == 2
    (call,) = logged_calls(spans.pop_ended())
    assert (call.output, call.error) == (output, None)


# --- the SDK's stream, to its user ---


def use_both(make_client: MakeClient, use: Callable[[Any], Any]) -> None:
    """Call `use` with a sync stream, and again, in an event loop, with an async one; both are then abandoned."""
    client = make_client(lambda request: answer_stream(HELLO))
    use(start(client))

    async def use_async() -> None:
        use(await start_async(client))

    asyncio.run(use_async())
    wait_for_abandoned_streams()


def test_a_traced_stream_is_an_instance_of_the_sdks_class(spans: LoggedSpans, make_client: MakeClient) -> None:
    kinds: list[tuple[bool, bool]] = []
    use_both(
        make_client,
        lambda stream: kinds.append((isinstance(stream, EventStream), isinstance(stream, EventStreamAsync))),
    )
    assert kinds == [(True, False), (False, True)]


def test_every_attribute_of_the_sdks_stream_passes_through(spans: LoggedSpans, make_client: MakeClient) -> None:
    def use(stream: Any) -> None:
        assert {"response", "generator", "client_ref"} <= set(vars(stream)) <= set(dir(stream))
        assert stream.response.status_code == 200
        assert stream.response.headers["content-type"] == "text/event-stream"
        with pytest.raises(AttributeError):
            _ = stream.no_such_attribute

    use_both(make_client, use)


def test_a_stream_has_a_close_exactly_when_the_sdks_has_one(spans: LoggedSpans, make_client: MakeClient) -> None:
    def use(stream: Any) -> None:
        theirs = EventStreamAsync if isinstance(stream, EventStreamAsync) else EventStream
        assert hasattr(stream, "close") == hasattr(theirs, "close")
        assert not hasattr(stream, "aclose")
        if hasattr(theirs, "close"):
            assert inspect.iscoroutinefunction(stream.close) == inspect.iscoroutinefunction(theirs.close)

    use_both(make_client, use)


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
    monkeypatch.setattr(streams_module, "_traced_class", streams_module._traced_class.__wrapped__)

    seen = list(start(make_client(lambda request: answer_stream(HELLO))))

    async def same_async() -> None:
        seen.extend([event async for event in await start_async(make_client(lambda request: answer_stream(HELLO)))])

    asyncio.run(same_async())
    assert len(seen) == 8
    assert [id(event) for event in seen] == [id(event) for event in made]
    assert len(spans.pop()) == 2


NOVELTY: Json = {"type": "croissant.layer.done", "created_at": AT, "layers": 27}


@pytest.mark.skipif(not WRAPS_UNKNOWN, reason="this mistralai raises on an unknown event, see the next test")
def test_an_unknown_type_of_event_passes_through_and_later_events_still_fold(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    events = [HELLO[0], NOVELTY, HELLO[1], NOVELTY, *HELLO[2:]]
    seen = list(start(make_client(lambda request: answer_stream(events))))
    assert [event.data.raw for event in seen if event.data.type == "UNKNOWN"] == [NOVELTY, NOVELTY]
    assert_one_span_that_ended_once(spans, WHOLE)


@pytest.mark.skipif(WRAPS_UNKNOWN, reason="this mistralai wraps an unknown event, see the test before")
def test_what_the_sdk_raises_on_an_unknown_event_reaches_the_caller_and_the_span(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    stream = start(make_client(lambda request: answer_stream([*HELLO[:2], NOVELTY, *HELLO[2:]])))
    with pytest.raises(ValueError, match="croissant"):
        list(stream)
    row = spans.pop_one()
    assert row["output"] == A_WORD
    assert "croissant" in row["error"]


class ExplodingEvent:
    """An event of which nothing can be read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("hot")


def test_objects_that_are_no_events_pass_through_and_later_events_still_fold(
    spans: LoggedSpans, make_client: MakeClient, provide: Provide, faults: list[logging.LogRecord]
) -> None:
    real = list(start(make_client(lambda request: answer_stream(HELLO))))
    spans.pop()
    unknown = (types.SimpleNamespace(type="UNKNOWN", raw=raw) for raw in (None, "croissant", {"no": "type"}, [], 27))
    strange = [None, "text", 7, object(), {"data": {}}, [], ExplodingEvent(), MagicMock(), ValueError("a value")]
    strange += [types.SimpleNamespace(data=data) for data in unknown]
    events = [*strange, *itertools.chain.from_iterable((event, *strange) for event in real)]
    provide("start_stream", lambda self, **kwargs: iter(events))
    assert [id(event) for event in start(make_client(answer))] == [id(event) for event in events]
    assert_one_span_that_ended_once(spans, WHOLE)
    assert faults
    faults.clear()


# --- what is kept ---


def test_an_open_stream_keeps_text_and_no_events(spans: LoggedSpans, make_client: MakeClient) -> None:
    def kept(pieces: int) -> int:
        events = [HELLO[0], *[{**HELLO[1], "content": "Bread "}] * pieces]
        stream = start(make_client(lambda request: answer_stream(events)))
        alive = [weakref.ref(event.data) for event in itertools.islice(stream, len(events))]
        gc.collect()
        return sum(1 for event in alive if event() is not None)

    # The last one of each entry is kept, however long the stream is.
    assert kept(10) == kept(1_000) <= 2
    wait_for_abandoned_streams()
    assert [len(row["output"][0]["content"]) for row in spans.pop()] == [60, 6_000]


def test_no_reference_to_a_finished_stream_is_kept(spans: LoggedSpans, make_client: MakeClient) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    gone = weakref.ref(stream)
    next(stream)
    leave(stream)
    del stream
    gc.collect()
    assert gone() is None
    assert len(spans.pop()) == 1


# --- abandoned streams ---


def test_a_tool_that_was_running_when_the_caller_broke_off_is_logged(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    tool = {"id": "tool_1", "name": "web_search", "output_index": 0, "created_at": AT}
    events = [
        HELLO[0],
        {"type": "tool.execution.started", "arguments": "", **tool},
        {"type": "tool.execution.delta", "arguments": '{"query": "sourd', **tool},
        {"type": "tool.execution.delta", "arguments": 'ough"}', **tool},
    ]
    stream = start(make_client(lambda request: answer_stream(events)))
    read(stream, 3)
    del stream
    wait_for_abandoned_streams()
    (call,) = logged_calls(spans.pop())
    assert [(child.name, child.input, child.output, child.error) for child in call.children] == [
        ("tool: web_search", '{"query": "sourd', None, None)
    ]
    assert "time_to_first_token" in call.metrics


def test_a_stream_outlives_its_event_loop(spans: LoggedSpans, make_client: MakeClient) -> None:
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(start_async(make_client(lambda request: answer_stream(HELLO))))
    loop.run_until_complete(anext(stream))
    loop.run_until_complete(anext(stream))
    loop.close()
    assert spans.records == 1
    del stream
    wait_for_abandoned_streams()
    assert_one_span_that_ended_once(spans, A_WORD)


def test_the_sdks_stream_goes_where_it_was_dropped_and_not_in_the_thread_that_ends_the_span(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    next(stream)
    gone = weakref.ref(stream)
    with spans.memory.lock:
        # The span cannot be logged now: that thread has to wait.
        del stream
        gc.collect()
        assert gone() is None
    wait_for_abandoned_streams()
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
    wait_for_abandoned_streams()
    assert spans.records == 160
    assert len(spans.pop_ended()) == 80


def test_an_abandoned_stream_ended_when_it_was_abandoned_not_when_its_turn_came(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    first, second = (start(make_client(lambda request: answer_stream(HELLO))) for _ in range(2))
    with spans.memory.lock:
        # The first cannot be logged now, and the second has to wait for the first.
        del first
        del second
        abandoned = time.time()
    wait_for_abandoned_streams()
    assert all(row["metrics"]["end"] <= abandoned for row in spans.pop())


def half_read_stream() -> Any:
    """Return a stream of which two events were read."""
    stream = start(client_of(lambda request: answer_stream(HELLO)))
    read(stream, 2)
    return stream


def assert_half_read_spans(records: list[Json], number: int) -> None:
    assert sorted(has_end(record) for record in records) == [False] * number + [True] * number
    rows = merge_row_batch(records)
    assert [(has_end(row), row["output"], row.get("error")) for row in rows] == [(True, A_WORD, None)] * number


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
        stream = await start_async(client_of(lambda request: answer_stream(HELLO)))
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
    assert [row["output"] for row in rows] == [WHOLE, WHOLE]
