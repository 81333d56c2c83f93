"""Clients that do what their plans say: sync ones in threads, async ones in one event loop, all at the same time."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import braintrust

from endurance.plan import Call, Plan
from endurance.talks import LeftError, LeftInterrupt, Mistral, Seen, Talk, httpx


THREADS = 6
TASKS = 12

# Version 1.x of the Mistral client does not give back the connection of a stream that it asks for again.
_LIMITS = httpx.Limits(max_connections=None)


def converse(plans: Sequence[Plan], url: str) -> list[Talk]:
    """Carry out these plans with one sync and one async client, and return what came of them, in their order."""
    talks = [Talk(plan) for plan in plans]
    with httpx.Client(limits=_LIMITS) as http, ThreadPoolExecutor(THREADS) as pool:
        client = Mistral(api_key="local", server_url=url, client=http)
        at_once = [pool.submit(_converse, client, talk) for talk in talks if not talk.plan.is_async]
        asyncio.run(_converse_all(url, [talk for talk in talks if talk.plan.is_async]))
        for future in at_once:
            future.result()
    return talks


@contextlib.contextmanager
def _inside_own_span(talk: Talk) -> Generator[None, None, None]:
    if not talk.plan.has_parent:
        yield
        return
    with braintrust.start_span(name=f"client {talk.plan.token}") as span:
        talk.parent = span.span_id  # pyright: ignore[reportAttributeAccessIssue]
        yield


@contextlib.contextmanager
def _noted(call: Call, seen: Seen) -> Generator[None, None, None]:
    """Take note of an exception of the block, and go on."""
    try:
        yield
    except (LeftError, LeftInterrupt) as error:
        # Raised outside of a `with`, it is not the stream's affair.
        seen.error = type(error).__name__ if call.leave.enters else None
    except (Exception, asyncio.CancelledError) as error:
        # Only its name: its traceback would keep the stream.
        if not seen.is_whole:
            seen.error = type(error).__name__


def _leaves(call: Call, number: int) -> bool:
    """Whether the client leaves the stream after this event; raises what it leaves with."""
    leave = call.leave
    if number != leave.after:
        return False
    if leave.how == "raise":
        raise LeftError("the client has seen enough")
    if leave.how == "interrupt":
        raise LeftInterrupt("the client was interrupted")
    return leave.how in ("break", "close", "generator")


def _is_last(event: Any) -> bool:
    return getattr(event.data, "type", None) == "conversation.response.done"


# --- sync ---


def _converse(client: Mistral, talk: Talk) -> None:
    with _inside_own_span(talk):
        _go_on(client, talk)


def _go_on(client: Mistral, talk: Talk) -> None:
    for call, seen, arguments in talk.calls():
        with _noted(call, seen):
            _attend(client, talk, call, seen, arguments)


def _attend(client: Mistral, talk: Talk, call: Call, seen: Seen, arguments: dict[str, Any]) -> None:
    result = talk.method(client, call)(**arguments)
    if not call.streamed:
        talk.got(seen, result)
    elif call.leave.how == "untouched":
        # Or else its connection would be lost to the client.
        response = result.response
        del result
        response.close()
    else:
        with result if call.leave.enters else contextlib.nullcontext():
            _read(client, talk, call, seen, result)


def _read(client: Mistral, talk: Talk, call: Call, seen: Seen, stream: Any) -> None:
    source = _generator(stream) if call.leave.how == "generator" else stream
    for number, event in enumerate(source):
        talk.took(seen, event)
        if call.leave.how == "nested" and _is_last(event):
            _go_on(client, talk)
        if _leaves(call, number):
            if call.leave.how != "break":
                # The streams of 1.x have no `close`.
                getattr(source, "close", stream.response.close)()
            return
    seen.is_whole = True


def _generator(stream: Any) -> Iterator[Any]:
    yield from stream


# --- async ---


async def _converse_all(url: str, talks: Sequence[Talk]) -> None:
    gate = asyncio.Semaphore(TASKS)

    async def converse(talk: Talk) -> None:
        async with gate:
            with _inside_own_span(talk):
                await _go_on_async(client, talk)

    async with httpx.AsyncClient(limits=_LIMITS) as http:
        client = Mistral(api_key="local", server_url=url, async_client=http)
        await asyncio.gather(*(converse(talk) for talk in talks))
    # Generators that were left are closed in tasks of their own, by the loop.
    for _ in range(1_000):
        if len(asyncio.all_tasks()) == 1:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"tasks are left: {asyncio.all_tasks() - {asyncio.current_task()}}")


async def _go_on_async(client: Mistral, talk: Talk) -> None:
    for call, seen, arguments in talk.calls():
        attending = _attend_async(client, talk, call, seen, arguments)
        with _noted(call, seen):
            await (_cancelled(attending, call) if call.leave.how.startswith("cancel") else attending)


async def _cancelled(attending: Any, call: Call) -> None:
    """Attend to a call in a task that is cancelled, here or by itself."""
    task = asyncio.create_task(attending)
    if call.leave.how == "cancel-request" or not call.streamed:
        # One more, with which the task begins.
        for _ in range(call.leave.after + 1):
            await asyncio.sleep(0)
        task.cancel()
    await task


async def _attend_async(client: Mistral, talk: Talk, call: Call, seen: Seen, arguments: dict[str, Any]) -> None:
    result = await talk.method(client, call)(**arguments)
    if not call.streamed:
        talk.got(seen, result)
    elif call.leave.how == "untouched":
        response = result.response
        del result
        await response.aclose()
    elif call.leave.enters:
        async with result:
            await _read_async(client, talk, call, seen, result)
    else:
        await _read_async(client, talk, call, seen, result)


async def _read_async(client: Mistral, talk: Talk, call: Call, seen: Seen, stream: Any) -> None:
    number = 0
    source = _async_generator(stream) if call.leave.how == "generator" else stream
    async for event in source:
        talk.took(seen, event)
        if call.leave.how == "nested" and _is_last(event):
            await _go_on_async(client, talk)
        if call.leave.how == "cancel" and number == call.leave.after:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        if _leaves(call, number):
            if call.leave.how == "generator":
                await source.aclose()
            elif call.leave.how == "close":
                # The streams of 1.x have no `close`.
                await getattr(stream, "close", stream.response.aclose)()
            return
        number += 1
    seen.is_whole = True


async def _async_generator(stream: Any) -> AsyncGenerator[Any, None]:
    async for event in stream:
        yield event
