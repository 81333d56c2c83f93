"""Ends of spans wherever a collector runs: inside the lock of the SDK's log queue, and just before a flush."""

import asyncio
import atexit
import contextlib
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral.tracing import handover
from braintrust.logger import _state
from braintrust.merge_row_batch import merge_row_batch

from tests.conftest import LoggedSpans, MakeClient, wait_until
from tests.helpers.alone import log_to_stdout, run_alone
from tests.helpers.runs import context_of, import_runs
from tests.helpers.spans import logged_calls
from tests.helpers.wire import answer_stream, answer_until, client_of, httpx, says, streamed


import_runs()

HELLO = streamed([says("Bread rises")])


def start(client: Any) -> Any:
    return client.beta.conversations.start_stream(inputs="Bread?", model="m")


def half_read() -> Any:
    stream = start(client_of(lambda request: answer_stream(HELLO)))
    next(stream)
    next(stream)
    return stream


def test_nothing_is_known_any_more_of_a_stream_that_is_over(spans: LoggedSpans) -> None:
    stream = half_read()
    assert len(handover._open) == 1
    assert len([*stream]) == len(HELLO) - 2
    assert not handover._open
    spans.pop()


# --- what an application may have when the collector comes: each holds itself ---


class Session:
    """Something of the application's that refers to itself."""

    def __init__(self, held: Any = None) -> None:
        self.itself, self.held = self, held


def a_dropped_stream() -> None:
    Session(half_read())


def a_generator_with_the_stream_in_its_with() -> None:
    def words() -> Iterator[Any]:
        with half_read() as stream:
            yield from stream

    generator = words()
    next(generator)
    Session(generator)


def a_generator_that_closes_in_finally() -> None:
    def words() -> Iterator[Any]:
        stream = half_read()
        try:
            yield from stream
        finally:
            stream.__exit__(None, None, None)

    generator = words()
    next(generator)
    Session(generator)


def a_generator_with_an_exit_stack() -> None:
    def words() -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            yield from stack.enter_context(half_read())

    generator = words()
    next(generator)
    Session(generator)


def an_object_that_closes_in_del() -> None:
    class Closing(Session):
        def __del__(self) -> None:
            self.held.__exit__(None, None, None)

    Closing(half_read())


def _left_waiting(call: Callable[[Any], Any]) -> None:
    """Leave a coroutine that waits for an answer, as when its event loop goes away."""

    async def never(request: Any) -> Any:
        await asyncio.Event().wait()

    coroutine = call(client_of(never))
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    task._log_destroy_pending = False
    session = Session(task)
    session.loop = loop  # type: ignore[attr-defined]


def a_coroutine_that_waits_for_a_completion() -> None:
    _left_waiting(lambda client: client.chat.complete_async(model="m", messages=[{"role": "user", "content": "Hi"}]))


def a_coroutine_that_waits_for_a_conversation() -> None:
    _left_waiting(lambda client: client.beta.conversations.start_async(inputs="Hi", model="m"))


def a_coroutine_that_waits_for_a_run() -> None:
    _left_waiting(lambda client: client.beta.conversations.run_async(run_ctx=context_of(), inputs="Hi"))


def a_coroutine_that_waits_for_an_event() -> None:
    async def read(client: Any) -> None:
        async for _ in await client.beta.conversations.start_stream_async(inputs="Hi", model="m"):
            pass

    response, _ = answer_until(HELLO[:2])
    coroutine = read(client_of(lambda request: response))
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    task._log_destroy_pending = False
    session = Session(task)
    session.loop = loop  # type: ignore[attr-defined]


SHAPES = {
    shape.__name__: shape
    for shape in (
        a_dropped_stream,
        a_generator_with_the_stream_in_its_with,
        a_generator_that_closes_in_finally,
        a_generator_with_an_exit_stack,
        an_object_that_closes_in_del,
        a_coroutine_that_waits_for_a_completion,
        a_coroutine_that_waits_for_a_conversation,
        a_coroutine_that_waits_for_a_run,
        a_coroutine_that_waits_for_an_event,
    )
}


def collect_while_the_log_queue_is_locked(shape: str) -> None:
    # Mistral's SDK leaves an OpenTelemetry span of its own in the wrong context.
    logging.getLogger("opentelemetry.context").setLevel(logging.CRITICAL)
    queue = log_to_stdout().queue
    gc.disable()
    SHAPES[shape]()
    opened = queue.size()
    with queue._mutex:
        gc.collect()
    wait_until(lambda: queue.size() >= 2 * opened)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_collected_inside_the_lock_of_the_log_queue_ends_once_that_is_free(shape: str) -> None:
    records = run_alone(collect_while_the_log_queue_is_locked, shape)
    ends = [record["span_id"] for record in records if "end" in record.get("metrics", {})]
    rows = merge_row_batch(records)
    assert sorted(ends) == sorted({row["span_id"] for row in rows})
    assert [row.get("error") for row in rows] == [None] * len(rows)


def test_a_flush_has_the_end_of_what_was_dropped_before_it(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(lambda request: answer_stream(HELLO))
    for _ in range(200):
        stream = start(client)
        next(stream)
        del stream
        braintrust.flush()
        (call,) = logged_calls(spans.pop())
        assert "duration" in call.metrics


def test_a_flush_waits_for_an_end_that_another_thread_is_about_to_log(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = start(make_client(lambda request: answer_stream(HELLO)))
    next(stream)
    is_ending, may_go_on = threading.Event(), threading.Event()
    log = _state.global_bg_logger().log

    def wait_and_log(*records: Any) -> None:
        is_ending.set()
        assert may_go_on.wait(60)
        log(*records)

    monkeypatch.setattr(spans.memory, "log", wait_and_log)
    del stream
    assert is_ending.wait(60)
    threading.Timer(0.2, may_go_on.set).start()
    braintrust.flush()
    assert len(spans.pop_ended()) == 1


# --- a signal that comes when the collector runs ---


def interrupt_while_collecting() -> None:
    class AlarmError(Exception):
        pass

    def ring(*_: Any) -> None:
        raise AlarmError

    signal.signal(signal.SIGALRM, ring)
    log_to_stdout()
    for _ in half_read():
        pass
    gc.collect()
    gc.set_threshold(5)
    for _ in range(100):
        # Each is raised where the program is, or it was lost.
        with contextlib.suppress(AlarmError):
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            for _ in range(2_000_000):
                Session()
            os._exit(1)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no such timer")
def test_what_a_signal_raises_is_not_lost_in_a_collection() -> None:
    run_alone(interrupt_while_collecting)


# --- a second reader whom the SDK refuses ---


def test_a_thread_that_the_sdk_refuses_does_not_end_the_span_of_the_one_that_reads(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    is_read, may_go_on = threading.Event(), threading.Event()

    class Slow(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            body = b"".join(answer_stream(HELLO).stream)
            yield body[:200]
            is_read.set()
            assert may_go_on.wait(60)
            yield body[200:]

    def slow(request: Any) -> Any:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Slow())

    stream = start(make_client(slow))
    seen: list[Any] = []
    reader = threading.Thread(target=lambda: seen.extend(stream))
    reader.start()
    assert is_read.wait(60)
    with pytest.raises(ValueError, match="already executing"):
        next(stream)
    may_go_on.set()
    reader.join(60)
    (call,) = logged_calls(spans.pop_ended())
    assert (call.error, call.output) == (None, [says("Bread rises")])
    assert len(seen) == len(HELLO)


async def test_a_task_that_the_sdk_refuses_does_not_end_the_span_of_the_one_that_reads(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    response, body = answer_until(HELLO[:2])
    client = make_client(lambda request: response)
    stream = await client.beta.conversations.start_stream_async(inputs="Bread?", model="m")
    await anext(stream)
    await anext(stream)
    reading = asyncio.ensure_future(anext(stream))
    await body.is_waited_for.wait()
    with pytest.raises(RuntimeError, match="already running"):
        await anext(stream)
    assert "end" not in spans.memory.logs[-1].get().get("metrics", {})
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    (call,) = logged_calls(spans.pop_ended())
    assert (call.error, call.metadata["cancelled"]) == (None, True)


# --- the exit ---


KEPT: list[Any] = []


def open_a_stream_at_exit() -> None:
    log_to_stdout()
    braintrust.start_span(name="before").end()
    atexit.register(lambda: KEPT.append(half_read()))


def open_a_stream_at_exit_after_another() -> None:
    log_to_stdout()
    atexit.register(lambda: KEPT.append(half_read()))
    for _ in half_read():
        pass


@pytest.mark.parametrize("scenario", [open_a_stream_at_exit, open_a_stream_at_exit_after_another])
def test_a_stream_that_is_opened_while_the_interpreter_exits_is_ended(scenario: Callable[[], None]) -> None:
    rows = merge_row_batch(run_alone(scenario))
    assert len(rows) == 2
    assert all("end" in row["metrics"] for row in rows)
