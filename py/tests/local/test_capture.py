"""Traces captured where they are made, for tests and notebooks."""

import asyncio
import base64
import html
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import braintrust
import pytest
from braintrust import logger as braintrust_logger
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from braintrust_mistral.local import LocalMistral, capture
from tests.conftest import wait_until


with warnings.catch_warnings():
    # Of httpx, where only the older mistralai's is there.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral


PICTURE = re.compile(r'<img alt="([^"]*)" style="[^"]*" src="data:image/svg\+xml;base64,([^"]*)">')
QUESTION = "When does the next ferry leave?"


@pytest.fixture
def unmasked() -> Iterator[None]:
    yield
    braintrust.set_masking_function(None)


def names(spans: list[dict[str, Any]]) -> list[str]:
    return [span["span_attributes"]["name"] for span in spans]


def test_a_capture_has_the_traces_of_its_block(sdk: Mistral) -> None:
    with capture() as traces:
        assert len(traces) == 0
        sdk.beta.conversations.start(model="web-search", inputs=QUESTION)
        # Within the block as well as after it.
        assert names(traces[0].spans) == ["mistral.beta.conversations.start", "tool: web_search"]
        with braintrust.start_span(name="ours"):
            pass
    assert [names(trace.spans)[0] for trace in traces] == ["mistral.beta.conversations.start", "ours"]
    assert traces[0].totals.tokens > 0
    lines = traces[0].tree().splitlines()
    assert lines[1].startswith("mistral.beta.conversations.start  task")
    assert lines[2].startswith("└─ tool: web_search")
    assert QUESTION in traces[0].tree(details=True)
    assert braintrust.current_logger() is None


def test_it_sees_the_threads_of_an_application_under_test(sdk: Mistral) -> None:
    threads: set[int] = set()

    def ask(_: Request) -> PlainTextResponse:
        threads.add(threading.get_ident())
        sdk.chat.complete(model="plain", messages=[{"role": "user", "content": QUESTION}])
        return PlainTextResponse("asked")

    app = Starlette(routes=[Route("/ask", ask)])
    with capture() as traces, TestClient(app) as client:
        assert client.get("/ask").text == "asked"
    assert threads
    assert threading.get_ident() not in threads
    assert [names(trace.spans) for trace in traces] == [["mistral.chat.complete"]]


def test_it_works_below_an_event_loop_that_runs(service: LocalMistral) -> None:
    async def cell() -> Any:
        with capture() as traces:
            async with Mistral(api_key="local", server_url=service.url) as client:
                await client.beta.conversations.start_async(model="plain", inputs=QUESTION)
        return traces

    traces = asyncio.run(cell())
    assert [names(trace.spans) for trace in traces] == [["mistral.beta.conversations.start"]]


@pytest.mark.usefixtures("unmasked")
def test_what_is_masked_on_its_way_to_braintrust_is_masked_here(sdk: Mistral) -> None:
    braintrust.set_masking_function(lambda value: "MASKED" if "ferry" in repr(value) else value)
    with capture() as traces:
        sdk.beta.conversations.start(model="plain", inputs=QUESTION)
    assert traces[0].spans[0]["input"] == "MASKED"


@pytest.mark.skipif(not hasattr(braintrust, "set_span_customizers"), reason="this SDK has no span customizers")
def test_customizers_have_their_say(sdk: Mistral) -> None:
    from braintrust.integrations.mistral import GenAIAttributes

    braintrust.set_span_customizers([GenAIAttributes()])
    try:
        with capture() as traces:
            sdk.chat.complete(model="plain", messages=[{"role": "user", "content": QUESTION}])
    finally:
        braintrust.set_span_customizers([])
    assert traces[0].spans[0]["metadata"]["gen_ai.operation.name"] == "chat"


def test_a_stream_that_was_left_is_open_while_its_variable_lives(sdk: Mistral) -> None:
    with capture() as traces:
        stream = sdk.beta.conversations.start_stream(model="web-search", inputs=QUESTION)
        next(iter(stream))
    assert re.search(r"start_stream  task +open  ━+╌╌╌$", traces[0].tree(), re.MULTILINE)
    stream.response.close()
    del stream
    # Its end comes late, and comes here: no other Braintrust knows its project.
    wait_until(lambda: "open" not in traces[0].tree())
    assert len(traces) == 1


def test_a_notebook_draws_it(sdk: Mistral) -> None:
    with capture() as traces, braintrust.start_span(name='<b> & "quotes"'):
        pass
    for shown in (traces._repr_html_(), traces[0]._repr_html_()):
        assert "<b>" not in shown
        matched = PICTURE.fullmatch(shown)
        assert matched is not None
        alt, encoded = matched.groups()
        assert html.unescape(alt) == traces[0].tree()
        svg = ElementTree.fromstring(base64.b64decode(encoded))
        assert '<b> & "quotes"' in [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert repr(traces) == traces[0].tree()


def test_an_error_in_the_block_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError), capture() as traces, braintrust.start_span(name="fails"):
        raise ZeroDivisionError
    assert "ZeroDivisionError" in traces[0].spans[0]["error"]
    assert not braintrust_logger._state.logged_in


# The first stands for the real one, with the key of an account.
ELSEWHERE = """
import os, braintrust
from braintrust_mistral.local import LocalBraintrust, capture

def log(name):
    with braintrust.start_span(name=name):
        pass

def names(spans):
    return [span["span_attributes"]["name"] for span in spans]

with LocalBraintrust(api_key="sk-real") as real:
    os.environ.update(real.environment())
    logger = braintrust.init_logger(project="real")
    if LOGGED_IN:
        log("before")
        braintrust.flush()
    with capture() as traces:
        log("captured")
        left = braintrust.start_span(name="left")
        braintrust.init_logger(project="other", api_key="sk-other", app_url="https://www.braintrust.dev")
        log("captured too")
    left.end()
    log("after")
    braintrust.flush()
    assert braintrust.current_logger() is logger
    print(names(real.spans()), [names(trace.spans) for trace in traces])
    print({span["project_id"] for span in real.spans()} == {logger.project.id})
"""


@pytest.mark.parametrize("logged_in", [True, False])
def test_where_the_program_logs_otherwise_stays_as_it_was(logged_in: bool) -> None:
    code = ELSEWHERE.replace("LOGGED_IN", str(logged_in))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    before = ["before"] if logged_in else []
    assert ran.stdout == f"{[*before, 'after']} [['captured'], ['left'], ['captured too']]\nTrue\n"
    assert ran.stderr == ""


def test_without_a_key_it_needs_none(tmp_path: Any) -> None:
    code = "from braintrust_mistral.local import capture\nimport braintrust\n"
    code += "with capture() as traces, braintrust.start_span(name='a'):\n    pass\nprint(len(traces))"
    environ = {name: os.environ[name] for name in os.environ if not name.startswith("BRAINTRUST")}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("1\n", "")
