"""A share of the traces: each is logged whole or not at all, and one that is left out costs nothing."""

import asyncio
import json
import logging
import random
import threading
from collections.abc import Callable, Iterable
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral.resources.batch import jobs_by_file
from braintrust.integrations.mistral.settings import SAMPLE_RATE
from braintrust.integrations.mistral.tracing import calls as calls_module
from braintrust.integrations.mistral.tracing import sampling

from tests.conftest import LoggedSpans, MakeClient, Switch
from tests.helpers.alone import run_python
from tests.helpers.features import needs
from tests.helpers.runs import BREAD, Run, both_ways, context_of, import_runs, streamed_run
from tests.helpers.spans import outline, short_name
from tests.helpers.wire import USAGE, Json, ScriptedMistral, answer, answer_stream, httpx, says, streamed


try:
    from mistralai.client.utils.eventstreaming import EventStream
except ImportError:
    from mistralai.utils.eventstreaming import EventStream  # 1.x

import_runs()

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Rye."}, "finish_reason": "stop"}
CHAT: Json = {"id": "chat_1", "object": "chat.completion", "model": "m", "created": 0, "choices": [CHOICE]}
CHAT = {**CHAT, "usage": USAGE}

Decide = Callable[..., list[float]]


class Chances:
    """Decides in turn, from 0 for what is logged to 1 for what is not; any more decisions are a failure."""

    def __init__(self, chances: Iterable[float]) -> None:
        self.left = list(chances)

    def random(self) -> float:
        return self.left.pop(0)


@pytest.fixture
def decide(monkeypatch: pytest.MonkeyPatch, switch: Switch) -> Decide:
    """Have half of the traces logged, by these decisions, of which the list returned has what is left."""

    def decided(*chances: float) -> list[float]:
        switch(SAMPLE_RATE, "0.5")
        chance = Chances(chances)
        monkeypatch.setattr(sampling, "chance", chance)
        return chance.left

    return decided


def ask(client: Any, model: str = "m") -> Any:
    return client.chat.complete(model=model, messages=[{"role": "user", "content": "Which bread?"}])


@pytest.fixture
def client(make_client: MakeClient) -> Any:
    return make_client(lambda _: answer(CHAT))


@pytest.mark.parametrize("rate", [0, 0.25, 1])
def test_such_a_share_of_the_traces_is_logged(rate: float, client: Any, spans: LoggedSpans, switch: Switch) -> None:
    switch(SAMPLE_RATE, str(rate))
    sampling.chance.seed(7)
    chance = random.Random(7)
    expected = [f"m{number}" for number in range(200) if rate == 1 or chance.random() < rate]
    state = random.getstate()
    for number in range(200):
        ask(client, f"m{number}")
    assert [row["metadata"].get("requested_model") for row in spans.pop()] == expected
    assert random.getstate() == state


def test_a_call_below_a_span_is_part_of_that_ones_trace(client: Any, spans: LoggedSpans, decide: Decide) -> None:
    decide()
    with braintrust.start_span(name="bakery") as span:
        ask(client)
    assert outline(spans.pop()) == ["bakery", "  mistral.chat.complete"]
    # Of another process, say.
    with braintrust.logger.parent_context(span.export()):
        ask(client)
    assert spans.pop_one()["span_parents"] == [span.span_id]


@pytest.mark.parametrize("is_left_out", [False, True])
def test_nothing_is_read_for_what_is_left_out(
    is_left_out: bool,
    monkeypatch: pytest.MonkeyPatch,
    make_client: MakeClient,
    spans: LoggedSpans,
    decide: Decide,
    faults: list[logging.LogRecord],
) -> None:
    """The request has no `span_info`, which only Braintrust knows, and the stream is the SDK's own."""

    def fail(*_: Any) -> None:
        raise AssertionError("read")

    left = decide(0.5 if is_left_out else 0.4)
    monkeypatch.setattr(calls_module, "own_arguments", fail)
    threads = threading.active_count()
    client: Any = make_client(lambda _: answer_stream(streamed([says("Rye.")])))
    stream = client.beta.conversations.start_stream(model="m", inputs="Which?", span_info={"metadata": {}})
    assert (type(stream) is EventStream, bool(faults), left) == (is_left_out, not is_left_out, [])
    assert len([*stream]) == 4
    assert (spans.records == 0, threading.active_count()) == (is_left_out, threads)
    faults.clear()


def test_an_error_of_what_is_left_out_is_the_callers_and_not_logged(
    make_client: MakeClient, spans: LoggedSpans, decide: Decide
) -> None:
    decide(1)
    with pytest.raises(Exception, match="500"):
        ask(make_client(lambda _: answer({}, status=500)))
    assert spans.records == 0


def knead(minutes: int) -> str:
    """Knead, and ask once more."""
    ask(ScriptedMistral().client)
    with braintrust.start_span(name="oven"):
        ask(ScriptedMistral().client)
    return f"{minutes} minutes"


async def bake(minutes: int) -> str:
    """Knead, in the loop of events."""
    return knead(minutes)


bake.__name__ = "knead"
KNEADED = ["  tool: knead", "    mistral.chat.complete", "    oven", "      mistral.chat.complete"]


@both_ways
@pytest.mark.parametrize("function", [knead, bake])
async def test_a_run_is_logged_whole(run: Run, function: Any, spans: LoggedSpans, decide: Decide) -> None:
    left = decide(0)
    await run(ScriptedMistral(*BREAD), context_of(function))
    assert outline(spans.pop()) == ["run", "  start", *KNEADED, "  append"]
    assert left == []


@both_ways
@pytest.mark.parametrize("function", [knead, bake])
async def test_or_a_run_is_left_out_whole(run: Run, function: Any, spans: LoggedSpans, decide: Decide) -> None:
    """A span that a function opens itself is a trace of its own."""
    left = decide(1, 0)
    result = await run(ScriptedMistral(*BREAD), context_of(function))
    assert result.output_as_text == "It rests."
    assert outline(spans.pop()) == ["oven", "  mistral.chat.complete"]
    # What comes after is decided anew.
    ask(ScriptedMistral().client)
    assert (short_name(spans.pop_one()), left) == ("mistral.chat.complete", [])


@both_ways
async def test_what_happens_meanwhile_is_decided_by_itself(run: Run, spans: LoggedSpans, decide: Decide) -> None:
    asked = asyncio.Event()

    async def wait(minutes: int) -> str:
        """Wait until others have asked."""
        await asked.wait()
        return "done"

    wait.__name__ = "knead"
    left = decide(1, 0)

    async def meanwhile() -> None:
        ask(ScriptedMistral().client)
        asked.set()

    await asyncio.gather(run(ScriptedMistral(*BREAD), context_of(wait)), meanwhile())
    assert ([short_name(row) for row in spans.pop()], left) == (["mistral.chat.complete"], [])


async def test_a_streamed_run_that_is_left_out_is_left_and_thrown_into_as_ever(
    spans: LoggedSpans, decide: Decide
) -> None:
    decide(1, 1)
    for leave in ("aclose", "athrow"):
        context = context_of(knead)
        stream = await ScriptedMistral(*BREAD).client.beta.conversations.run_stream_async(
            run_ctx=context, inputs="Bake"
        )
        await anext(stream)
        if leave == "aclose":
            await stream.aclose()
            assert [item async for item in stream] == []
        else:
            with pytest.raises(LookupError):
                await stream.athrow(LookupError("no flour"))
    assert spans.records == 0


@pytest.mark.usefixtures("no_logger")
async def test_without_a_logger_nothing_is_decided(client: Any, decide: Decide) -> None:
    decide()
    ask(client)
    await streamed_run(ScriptedMistral(*BREAD), context_of(knead))


EXECUTION: Json = {"workflow_name": "bake", "execution_id": "exec_1", "root_execution_id": "exec_1"}


@needs("workflows")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_call_that_makes_others_is_left_out_with_them(
    is_async: bool, make_client: MakeClient, spans: LoggedSpans, decide: Decide
) -> None:
    done = {**EXECUTION, "status": "COMPLETED", "start_time": "2026-10-05T14:45:45Z", "end_time": None}
    workflows: Any = make_client(lambda _: answer({**done, "result": 2})).workflows
    left = decide(1)
    if is_async:
        assert asyncio.run(workflows.execute_workflow_and_wait_async("bake")) == 2
    else:
        assert workflows.execute_workflow_and_wait("bake") == 2
    assert (spans.records, left) == (0, [])


async def test_so_is_a_function_of_a_voice_agent(client: Any, spans: LoggedSpans, decide: Decide) -> None:
    tools: Any = pytest.importorskip("mistralai.extra.voice_agents.tools")
    left = decide(1, 0)

    async def price() -> str:
        """Ask for the price."""
        ask(client)
        return "3 euros"

    assert await tools.function_tool(price).invoke("{}") == "3 euros"
    assert (spans.records, left) == (0, [0])


JOB: Json = {
    "id": "job_1",
    "object": "batch",
    "input_files": ["file_in"],
    "endpoint": "/v1/chat/completions",
    "errors": [],
    "status": "SUCCESS",
    "output_file": "file_out",
    "created_at": 1,
    "total_requests": 1,
    "completed_requests": 1,
    "succeeded_requests": 1,
    "failed_requests": 0,
}


@pytest.mark.parametrize("is_known", [False, True])
def test_the_results_of_a_batch_are_logged_where_the_job_was(
    is_known: bool, make_client: MakeClient, spans: LoggedSpans, decide: Decide
) -> None:
    result = {"id": "a", "custom_id": "a", "response": {"status_code": 200, "body": CHAT}, "error": None}

    def handle(request: Any) -> Any:
        if "content" not in request.url.path:
            return answer(JOB)
        headers = {"content-type": "application/octet-stream"}
        return httpx.Response(200, content=json.dumps(result), headers=headers)

    client: Any = make_client(handle)
    left = decide(0 if is_known else 1)
    jobs_by_file.clear()
    client.batch.jobs.get(job_id="job_1")
    client.files.download(file_id="file_out").read()
    downloaded = ["mistral.batch.jobs.get", "mistral.files.download", "  mistral.chat.complete"]
    assert (outline(spans.pop()), left) == (downloaded if is_known else [], [])


@pytest.mark.parametrize("value", ["10%", "1.1", "-0.5", "nan", "often"])
def test_what_is_no_share_is_one_warning_and_all_is_logged(
    value: str, client: Any, spans: LoggedSpans, switch: Switch, faults: list[logging.LogRecord]
) -> None:
    switch(SAMPLE_RATE, value)
    for _ in range(3):
        ask(client)
    assert len(spans.pop()) == 3
    assert faults.pop().getMessage() == (
        f"BRAINTRUST_MISTRAL_SAMPLE_RATE is {value!r}, and not a number from 0 to 1, as in 0.1: every trace is logged"
    )


def test_a_forked_process_decides_by_itself() -> None:
    code = """
import os
from braintrust.integrations.mistral.tracing.sampling import chance
read, write = os.pipe()
if not os.fork():
    os.write(write, repr(chance.random()).encode())
    os._exit(0)
os.wait()
print(os.read(read, 100).decode() != repr(chance.random()))
"""
    assert run_python(code).stdout == "True\n"
