"""Where applications call Mistral: in scripts that run again, web servers, judges, notebooks and forked workers."""

import http.client
import os
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from braintrust.integrations.mistral import MistralIntegration, wrap_mistral
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.routing import Mount

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.braintrust.totals import is_scorers
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.server import LocalServer
from tests.conftest import LoggedSpans, run_application, wait_until
from tests.helpers.spans import outline
from tests.helpers.wire import ScriptedMistral, answer_until, client_of, says, streamed


PRELUDE = """
import asyncio
import os

import braintrust

braintrust.auto_instrument()

try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x

braintrust.init_logger(project="surroundings")
mistral = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"])
question = [{"role": "user", "content": "Where is it?"}]
"""

Run = Callable[[str], list[Trace]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run an application to its end, and return the traces that it logged."""
    with LocalMistral(pace=0.0) as mistral, LocalBraintrust() as bt:

        def run(application: str) -> list[Trace]:
            run_application(PRELUDE + textwrap.dedent(application), tmp_path, mistral, bt)
            assert all("end" in span["metrics"] for span in bt.spans())
            return bt.traces()

        yield run


@pytest.mark.usefixtures("uninstrumented")
def test_a_script_that_runs_again_and_wraps_its_cached_client_anew_has_one_span_a_run(spans: LoggedSpans) -> None:
    """As Streamlit runs it: from the top, in a thread of its own, with the client that was cached."""
    cached = ScriptedMistral(*[[says("Rye.")]] * 50).client

    def script() -> None:
        MistralIntegration.setup()
        client = wrap_mistral(cached)
        client.chat.complete(model="m", messages=[{"role": "user", "content": "Bread?"}])
        with client.beta.conversations.start_stream(model="m", inputs="Bread?") as stream:
            assert list(stream)

    def rerun() -> type:
        thread = threading.Thread(target=script)
        thread.start()
        thread.join()
        assert outline(spans.pop()) == ["mistral.chat.complete", "start"]
        return type(cached.chat)

    assert len({rerun() for _ in range(50)}) == 1


def test_a_visitor_who_leaves_is_no_failure(spans: LoggedSpans) -> None:
    *events, _ = streamed([says("Just a moment.")])
    response, _ = answer_until(events)
    client = client_of(lambda _: response)
    app = FastAPI()

    @app.get("/")
    async def ask() -> StreamingResponse:
        return StreamingResponse(texts())

    async def texts() -> AsyncIterator[str]:
        async for event in await client.beta.conversations.start_stream_async(model="m", inputs="Where is it?"):
            yield getattr(event.data, "content", "")

    with LocalServer([Mount("/", app=app)]) as server:
        visit = http.client.HTTPConnection("127.0.0.1", server.port)
        visit.request("GET", "/")
        assert visit.getresponse().read(14) == b"Just a moment."
        visit.close()
        wait_until(lambda: any(spans.ends.values()))
    call = spans.pop_one()
    assert call["output"][0]["content"] == "Just a moment."
    assert call["metadata"]["cancelled"] is True
    assert "error" not in call


def test_the_calls_of_judges_are_their_scorers_down_to_tool_children(run: Run) -> None:
    (trace,) = run(
        """
        def ask(question):
            return mistral.beta.conversations.start(model="web-search", inputs=question).outputs[-1].content[0].text

        def judge(input, output, expected):
            mistral.beta.conversations.start(model="function-call", inputs=output)
            return 1.0

        async def streaming_judge(input, output, expected):
            start = mistral.beta.conversations.start_stream_async
            async for _ in await start(model="web-search", inputs=output):
                pass
            return 1.0

        def chatting_judge(input, output, expected):
            for _ in mistral.chat.stream(model="function-call", messages=[{"role": "user", "content": output}]):
                pass
            return 1.0

        judges = [judge, streaming_judge, chatting_judge]
        data = [braintrust.EvalCase(input="Where is it?", expected="")]
        braintrust.Eval("surroundings", data=data, task=ask, scores=judges, summarize_scores=False)
        """
    )
    # Two judges at work open their spans in any order.
    asked = [span for span in trace.spans if not is_scorers(span)]
    assert outline(asked) == ["eval", "  task", "    start", "      tool: web_search"]
    judging = [span for span in trace.spans if span["span_attributes"].get("purpose") == "scorer"]
    assert len(asked) + len(judging) == len(trace.spans)
    assert sorted(outline(judging)) == sorted(
        [
            *("judge", "  start", "    tool: get_exchange_rate"),
            *("streaming_judge", "  start", "    tool: web_search"),
            *("chatting_judge", "  mistral.chat.stream", "    tool: get_exchange_rate"),
        ]
    )
    assert trace.totals.tokens == sum(span["metrics"].get("tokens", 0) for span in asked) > 0


def test_event_loops_inside_of_one_another_keep_the_tree(run: Run) -> None:
    """As in a notebook, whose cells run in an event loop already."""
    (trace,) = run(
        """
        import nest_asyncio
        from mistralai.extra.run.context import RunContext

        nest_asyncio.apply()

        async def ask():
            with braintrust.start_span(name="asked"):
                async for _ in await mistral.chat.stream_async(model="plain", messages=question):
                    break
                await mistral.chat.complete_async(model="plain", messages=question)

        def get_exchange_rate(base: str, quote: str, date: str) -> str:
            asyncio.run(ask())
            return "11.2"

        async def cell():
            with braintrust.start_span(name="cell"):
                asyncio.run(ask())
                async with RunContext(model="function-call") as context:
                    context.register_func(get_exchange_rate)
                    await mistral.beta.conversations.run_async(run_ctx=context, inputs="What is the rate?")
                asyncio.get_event_loop().run_until_complete(ask())

        asyncio.run(cell())
        """
    )
    asked = ["asked", "  mistral.chat.stream", "  mistral.chat.complete"]
    in_tool = [f"    {line}" for line in asked]
    ran = ["run", "  start", "  tool: get_exchange_rate", *in_tool, "  append"]
    assert outline(trace.spans) == ["cell", *(f"  {line}" for line in [*asked, *ran, *asked])]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_workers_forked_after_the_client_was_made_trace_their_own_calls(run: Run) -> None:
    traces = run(
        """
        from braintrust.integrations.mistral import wrap_mistral

        client = wrap_mistral(mistral)
        client.chat, client.beta.conversations  # Made before, as with gunicorn's preload.
        workers = []
        while len(workers) < 2 and (worker := os.fork()):
            workers.append(worker)
        with braintrust.start_span(name=f"process {len(workers)}"):
            client.beta.conversations.start(model="web-search", inputs="Where is it?")
            for _ in client.chat.stream(model="plain", messages=question):
                pass
            for _ in client.beta.conversations.start_stream(model="plain", inputs="Where is it?"):
                break
        if len(workers) == 2:
            assert [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers] == [0, 0]
        """
    )
    calls = ["  start", "    tool: web_search", "  mistral.chat.stream", "  start"]
    assert sorted(outline(trace.spans) for trace in traces) == [[f"process {number}", *calls] for number in range(3)]
