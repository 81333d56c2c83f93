"""However a run ends, its span and every span below end once; and no fault of ours changes what the caller gets."""

import asyncio
import contextlib
import contextvars
import copy
import gc
import inspect
import itertools
import logging
import random
import types
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple

import braintrust
import pytest
from braintrust.integrations.mistral.runs.functions import FunctionsPatcher as _FunctionsPatcher
from braintrust.integrations.mistral.runs.runs import Run as TracedRun
from braintrust.integrations.mistral.runs.runs import deferred_calls
from braintrust.integrations.mistral.tracing import handover
from braintrust.integrations.mistral.tracing.pending import pending_tool_calls as pending_calls

from tests.conftest import LoggedSpans, wait_until
from tests.helpers.runs import (
    BREAD,
    Run,
    both_ways,
    context_of,
    defers_calls,
    import_runs,
    streamed_run,
    unstreamed_run,
)
from tests.helpers.spans import logged_span, outline, short_name
from tests.helpers.wire import Json, ScriptedMistral, answer_until, calls, gives, streamed
from tests.test_safety import assert_one_warning, break_function


context_module = import_runs()

WHOLE = [*BREAD[0], gives("kneaded for 8"), *BREAD[1]]


def knead(minutes: int) -> str:
    """Knead the dough."""
    return f"kneaded for {minutes}"


async def prove(hours: int) -> str:
    """Let the dough rest."""
    await asyncio.sleep(0)
    return f"proved for {hours}"


async def start(mistral: ScriptedMistral, *functions: Callable[..., Any]) -> Any:
    """Start a streamed run."""
    return await mistral.client.beta.conversations.run_stream_async(run_ctx=context_of(*functions), inputs="Bake")


# --- how callers are done with a streamed run ---


async def the_events_run_out(stream: Any) -> None:
    assert type([event async for event in stream][-1]).__name__ == "RunResult"


async def it_is_iterated_beyond_its_end(stream: Any) -> None:
    await the_events_run_out(stream)
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    await stream.aclose()


async def it_is_resumed_with_values(stream: Any) -> None:
    with contextlib.suppress(StopAsyncIteration):
        while True:
            await stream.asend(None)


async def the_caller_breaks(stream: Any) -> None:
    async for event in stream:
        if event.event == "function.call.delta":
            break


async def the_caller_breaks_after_the_function(stream: Any) -> None:
    async for event in stream:
        if event.event == "function.result":
            break


async def the_caller_closes(stream: Any) -> None:
    await anext(stream)
    await anext(stream)
    for _ in range(2):
        await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def the_caller_leaves_aclosing(stream: Any) -> None:
    async with contextlib.aclosing(stream):
        await the_caller_breaks(stream)


async def the_caller_raises(stream: Any) -> None:
    with contextlib.suppress(LookupError):
        async for event in stream:
            if event.event == "function.call.delta":
                raise LookupError("no flour")


async def the_caller_raises_inside_aclosing(stream: Any) -> None:
    with contextlib.suppress(LookupError):
        async with contextlib.aclosing(stream):
            await the_caller_breaks(stream)
            raise LookupError("no flour")


async def the_caller_throws(stream: Any) -> None:
    await anext(stream)
    await anext(stream)
    with pytest.raises(LookupError):
        await stream.athrow(LookupError("no flour"))


async def the_caller_throws_before_the_first_event(stream: Any) -> None:
    with pytest.raises(LookupError):
        await stream.athrow(LookupError("no flour"))


async def the_caller_is_cancelled_between_events(stream: Any) -> None:
    has_an_event = asyncio.Event()

    async def read() -> None:
        async for event in stream:
            if event.event == "function.call.delta":
                has_an_event.set()
                await asyncio.Event().wait()

    await cancelled(read(), has_an_event.wait())


async def nobody_iterates(stream: Any) -> None:
    pass


async def it_is_closed_at_once(stream: Any) -> None:
    await stream.aclose()


async def a_cycle_is_collected(stream: Any) -> None:
    await anext(stream)
    await anext(stream)
    cycle = [stream]
    cycle.append(cycle)
    del stream, cycle
    gc.collect()


async def cancelled(work: Any, when: Awaitable[Any]) -> None:
    """Begin something, and cancel it when something else has happened."""
    task = asyncio.ensure_future(work)
    await when
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Ending(NamedTuple):
    """What the spans show: how many requests and functions, the types of the run's output, and its error."""

    below: list[str]
    output: list[str]
    error: str | None = None


def are_cancelled(rows: list[Json]) -> set[str]:
    """The spans of ours that say that they were cancelled, which is no error."""
    cancelled = [row for row in rows if row.get("metadata", {}).get("cancelled")]
    assert not any(row.get("error") for row in cancelled)
    return {short_name(row) for row in cancelled}


NOTHING = Ending([], [])
# Of a call that the run did not come to, there is the span that it would have outside of a run.
A_CALL = Ending(["  start", "    tool: knead"], ["function.call"])
A_RESULT = Ending(["  start", "  tool: knead"], ["function.call", "function.result"])
ALL = Ending([*A_RESULT.below, "  append"], [*A_RESULT.output, "message.output"])

ENDINGS: dict[Callable[[Any], Awaitable[None]], Ending] = {
    the_events_run_out: ALL,
    it_is_iterated_beyond_its_end: ALL,
    it_is_resumed_with_values: ALL,
    the_caller_breaks: A_CALL,
    the_caller_breaks_after_the_function: A_RESULT,
    the_caller_closes: A_CALL,
    the_caller_leaves_aclosing: A_CALL,
    the_caller_raises: A_CALL,
    the_caller_raises_inside_aclosing: A_CALL,
    the_caller_throws: A_CALL._replace(error="LookupError: no flour"),
    the_caller_throws_before_the_first_event: NOTHING._replace(error="LookupError: no flour"),
    the_caller_is_cancelled_between_events: A_CALL,
    nobody_iterates: NOTHING,
    it_is_closed_at_once: NOTHING,
    a_cycle_is_collected: A_CALL,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_streamed_run_ends_once_and_so_does_every_span_below(
    ending: Callable[[Any], Awaitable[None]], spans: LoggedSpans
) -> None:
    async def main() -> None:
        await ending(await start(ScriptedMistral(*BREAD), knead))

    asyncio.run(main())
    rows = spans.pop_ended()
    expected = ENDINGS[ending]
    assert outline(rows) == ["run", *expected.below]
    whole_run, *below = map(logged_span, rows)
    assert [entry["type"] for entry in whole_run.output] == expected.output
    assert (whole_run.error, {span.error for span in below}) == (expected.error, {None} if below else set())


@pytest.mark.parametrize("ending", [the_caller_breaks, a_cycle_is_collected])
def test_a_streamed_run_shows_the_calls_that_it_left_alone_while_another_thread_ends_their_request(
    ending: Callable[[Any], Awaitable[None]], spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where that thread holds the lock of the log queue: then the request ends after its run."""
    monkeypatch.setattr(handover, "may_log", lambda: False)
    test_a_streamed_run_ends_once_and_so_does_every_span_below(ending, spans)


KEPT = [the_events_run_out, the_caller_closes, the_caller_leaves_aclosing, the_caller_throws, it_is_closed_at_once]


@pytest.mark.parametrize("ending", KEPT)
async def test_a_streamed_run_that_is_over_has_ended_although_its_generator_is_kept(
    ending: Callable[[Any], Awaitable[None]], spans: LoggedSpans
) -> None:
    stream = await start(ScriptedMistral(*BREAD), knead)
    await ending(stream)
    assert outline(spans.pop_ended()) == ["run", *ENDINGS[ending].below]
    del stream


async def test_a_streamed_run_is_an_async_generator_to_its_caller(spans: LoggedSpans) -> None:
    stream = await start(ScriptedMistral(*BREAD), knead)
    assert isinstance(stream, AsyncGenerator)
    assert inspect.isasyncgen(stream)
    assert aiter(stream) is stream
    assert (hasattr(stream, "close"), stream.ag_running) == (False, False)
    assert (await stream.asend(None)).event == "conversation.response.started"
    await stream.aclose()
    spans.pop()


@pytest.mark.parametrize("step", ["__anext__", "asend", "athrow", "aclose"])
async def test_a_step_that_is_refused_as_another_one_goes_on_is_not_the_end_of_the_run(
    step: str, spans: LoggedSpans
) -> None:
    """Nor does it cost anyone the current span."""
    asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def wait(body: Json) -> Any:
        asked.set()
        await may_go_on.wait()
        return BREAD[0]

    stream = await start(ScriptedMistral(wait, BREAD[1]), knead)

    async def read() -> None:
        with braintrust.start_span("bakery") as bakery:
            await the_events_run_out(stream)
            assert braintrust.current_span() is bakery

    reading = asyncio.ensure_future(read())
    await asked.wait()
    arguments = {"asend": [None], "athrow": [LookupError("no flour")]}
    with pytest.raises(RuntimeError, match="already running"):
        await getattr(stream, step)(*arguments.get(step, []))
    may_go_on.set()
    await reading
    rows = [row for row in spans.pop_ended() if short_name(row) != "bakery"]
    assert outline(rows) == ["run", *ALL.below]
    assert (rows[0].get("error"), rows[0]["output"]) == (None, WHOLE)


@pytest.mark.usefixtures("no_logger")
async def test_without_a_logger_a_streamed_run_is_the_sdks_own_generator() -> None:
    stream = await start(ScriptedMistral(*BREAD), knead)
    assert type(stream) is types.AsyncGeneratorType
    await the_events_run_out(stream)
    result = await unstreamed_run(ScriptedMistral(*BREAD), context_of(knead))
    assert result.output_as_text == "It rests."


# --- cancellation ---


@both_ways
async def test_a_function_that_is_executed_when_the_run_is_cancelled_ends_with_the_cancellation(
    run: Run, spans: LoggedSpans
) -> None:
    """Both of two, and the span that one of them has opened itself."""
    at_work = asyncio.Event()

    async def rest(hours: int) -> str:
        with braintrust.start_span("rise"):
            await asyncio.Event().wait()
        return "never"

    async def heat() -> str:
        at_work.set()
        await asyncio.Event().wait()
        return "never"

    turn = [calls("rest", {"hours": 2}, "1"), calls("heat", {}, "2")]
    await cancelled(run(ScriptedMistral(turn), context_of(rest, heat)), at_work.wait())
    rows = spans.pop_ended()
    assert sorted(outline(rows)) == sorted(["run", "  start", "  tool: rest", "    rise", "  tool: heat"])
    assert are_cancelled(rows) == {"run", "tool: rest", "tool: heat"}
    assert rows[0]["output"] == turn


@both_ways
@pytest.mark.parametrize("turn", [0, 1])
async def test_a_run_that_is_cancelled_while_it_waits_for_a_request_ends_with_the_cancellation(
    turn: int, run: Run, spans: LoggedSpans
) -> None:
    asked = asyncio.Event()

    async def hang(body: Json) -> Any:
        asked.set()
        await asyncio.Event().wait()

    await cancelled(run(ScriptedMistral(*BREAD[:turn], hang), context_of(knead)), asked.wait())
    rows = spans.pop_ended()
    assert outline(rows) == ["run", *["  start", "  tool: knead", "  append"][: 1 + 2 * turn]]
    assert are_cancelled(rows) == {"run", "append" if turn else "start"}
    assert rows[0]["output"] == WHOLE[: 2 * turn]
    assert rows[0]["metadata"]["request_count"] == 1 + turn


async def test_a_streamed_run_that_is_cancelled_while_it_waits_for_an_event_ends_with_the_cancellation(
    spans: LoggedSpans,
) -> None:
    response, body = answer_until(streamed(BREAD[1])[:2])
    await cancelled(streamed_run(ScriptedMistral(BREAD[0], response), context_of(knead)), body.is_waited_for.wait())
    rows = spans.pop_ended()
    assert outline(rows) == ["run", *ALL.below]
    assert are_cancelled(rows) == {"run", "append"}
    assert [entry["type"] for entry in rows[0]["output"]] == ALL.output


@both_ways
@pytest.mark.parametrize("below", [["  start"], ["  start", "  tool: rest"]], ids=["request", "function"])
async def test_coroutines_that_nobody_waits_for_end_their_spans_in_the_context_of_someone_else(
    below: list[str], run: Run, spans: LoggedSpans
) -> None:
    """As when an event loop is abandoned: the garbage collector closes them, and there the current span stays."""
    at_work = asyncio.Event()

    async def rest(body: Any = None) -> Any:
        at_work.set()
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    turn = [calls("rest", {})] if "  tool: rest" in below else rest
    work = asyncio.ensure_future(run(ScriptedMistral(turn), context_of(rest)))
    await at_work.wait()
    left = asyncio.all_tasks() - before
    with braintrust.start_span("bakery") as bakery:
        for task in left:
            task.get_coro().close()
            assert braintrust.current_span() is bakery
    for task in left:
        task.cancel()
    await asyncio.gather(work, *left, return_exceptions=True)
    rows = [row for row in spans.pop_ended() if short_name(row) != "bakery"]
    assert outline(rows) == ["run", *below]
    assert [row.get("error") for row in rows] == [None] * len(rows)


RUNS = 300


each_step: contextvars.ContextVar[Callable[[], None]] = contextvars.ContextVar("each_step", default=lambda: None)


async def a_while() -> None:
    for _ in range(4):
        each_step.get()()
        await asyncio.sleep(0)


async def rest(hours: int) -> str:
    """Let the dough rest."""
    await a_while()
    return f"rested for {hours}"


async def ask(body: Json) -> Any:
    await a_while()
    return [calls("knead", {"minutes": 8}, "1"), calls("rest", {"hours": 2}, "2")]


async def tell(body: Json) -> Any:
    await a_while()
    return BREAD[1]


async def broken_off_run(mistral: ScriptedMistral, context: Any) -> None:
    stream = await mistral.client.beta.conversations.run_stream_async(run_ctx=context, inputs="Bake")
    await the_caller_breaks_after_the_function(stream)


async def run_at_random(mistral: ScriptedMistral, context: Any, chance: random.Random, is_cancelled: bool) -> bool:
    """Run in one of the ways there are; return whether that came to its end."""
    steps, last_step = itertools.count(), chance.randrange(12) if is_cancelled else None

    def step() -> None:
        if next(steps) == last_step:
            task.cancel()

    each_step.set(step)
    run = chance.choice([unstreamed_run, streamed_run, broken_off_run])
    task = asyncio.ensure_future(run(mistral, context))
    if is_cancelled and chance.random() < 0.5:
        # Or anywhere in the SDK.
        for _ in range(chance.randrange(25)):
            await asyncio.sleep(0)
        task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    return not isinstance(result, BaseException)


def runs_in_memory() -> int:
    gc.collect()
    return sum(type(thing) is TracedRun for thing in gc.get_objects())


def test_nothing_leaks_from_many_runs_of_which_a_tenth_is_cancelled_at_random(spans: LoggedSpans) -> None:
    """Ten at once: no span is open, no call is held, and no run."""
    mistral, chance = ScriptedMistral(ask, tell), random.Random(7)
    before = runs_in_memory()
    # Registering a function costs more than a run.
    context = context_of(knead, rest)

    async def main() -> list[bool]:
        cancelled = chance.sample(range(RUNS), RUNS // 10)
        ended: list[bool] = []
        for first in range(0, RUNS, 10):
            runs = (run_at_random(mistral, copy.copy(context), chance, first + n in cancelled) for n in range(10))
            ended += await asyncio.gather(*runs)
        return ended

    ended = asyncio.run(main())
    assert RUNS > sum(ended) >= RUNS * 0.9
    rows = spans.pop_ended()
    assert are_cancelled(rows) == {"run", "start", "tool: rest", "append"}
    # Calls that a cancelled run did not come to wait for their results, as others do.
    assert (len(pending_calls) <= RUNS * 0.1, len(deferred_calls)) == (True, 0)
    # A test before may have left a run in the traceback of what it expected.
    assert runs_in_memory() <= before


# --- faults of ours ---


GUARDED = [
    "runs.runs.own_arguments",
    "runs.runs.read_response",
    "runs.runs.RunStream",
    "runs.functions._Execution._recording_copy",
    "runs.functions._Execution._outcome",
    "tracing.run_state.RunRequest.read",
]
"""For each guard a function below it; the tests of endurance break every function that there is."""


async def observe() -> list[Any]:
    """Return all that callers of runs can see: results, events, exceptions, and the requests that were made."""

    def fail(minutes: int) -> str:
        raise LookupError("no flour")

    fail.__name__ = "knead"
    seen: list[Any] = []
    for run in (unstreamed_run, streamed_run):
        for function, goes_on in ((knead, False), (fail, True), (fail, False)):
            mistral = ScriptedMistral(*BREAD)
            try:
                result = await run(mistral, context_of(function, continue_on_fn_error=goes_on))
                seen += [entry.model_dump(mode="json") for entry in result.output_entries]
            except Exception as error:
                seen += [type(error), str(error), type(error.__cause__)]
            seen += mistral.requests
        if defers_calls():
            seen += await observe_deferral(run)
    stream = await start(ScriptedMistral(*BREAD), knead)
    async for event in stream:
        seen.append(getattr(event, "event", None) or event.output_as_text)
    return seen


async def observe_deferral(run: Run) -> list[Any]:
    mistral = ScriptedMistral([*BREAD[0], calls("prove", {"hours": 2}, "call_2")], BREAD[1])
    seen: list[Any] = []
    context = context_of()
    for function in (knead, prove):
        context.register_func(function, requires_confirmation=True)
    try:
        await run(mistral, context)
    except Exception as pause:
        seen += [type(pause), str(pause)]
        confirmed, rejected = pause.deferred_calls  # type: ignore[attr-defined]
        result = await run(mistral, context, [confirmed.confirm(), rejected.reject()])
        seen += [entry.model_dump(mode="json") for entry in result.output_entries]
    return [*seen, *mistral.requests]


@pytest.mark.parametrize("path", GUARDED)
def test_a_function_of_ours_that_fails_changes_nothing_for_the_caller_and_is_reported_once(
    path: str, spans: LoggedSpans, faults: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asyncio.run(observe())
    spans.pop()
    break_function(path, monkeypatch, ConnectionError)
    assert asyncio.run(observe()) == expected
    assert_one_warning(faults, ConnectionError)
    # Outside of a run, a function call has a span that ends again when its result is sent.
    wait_until(lambda: 0 not in spans.ends.values())


def test_a_version_without_the_function_that_executes_functions_costs_their_spans_and_one_warning(
    spans: LoggedSpans, faults: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asyncio.run(observe())
    spans.pop()
    monkeypatch.setattr(context_module, "create_function_result", context_module.create_function_result.__wrapped__)
    monkeypatch.setattr(_FunctionsPatcher, "target_path", "no_such_function")
    assert asyncio.run(observe()) == expected
    assert_one_warning(faults, AttributeError)
    spans.pop()
    pending_calls.clear()
    asyncio.run(unstreamed_run(ScriptedMistral(*BREAD), context_of(knead)))
    rows = spans.pop_ended()
    # The call is shown as one that the application answers.
    assert outline(rows) == ["run", "  start", "    tool: knead", "  append"]
    assert rows[0]["output"] == [*BREAD[0], *BREAD[1]]
    assert rows[0]["metadata"]["request_count"] == 2
