"""Someone watches Braintrust while Mistral is still streaming: what is over is there, and the rest is not yet."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.conftest import wait_until


APPLICATION = """
import os, sys

import braintrust

try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x

braintrust.auto_instrument()
logger = braintrust.init_logger(project="live")
client = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"])
with client.beta.conversations.start_stream(agent_id="agentic", inputs="Book a ferry for four of us.") as stream:
    for event in stream:
        if event.event.endswith(".done"):
            # Until the test has seen what it wants to see.
            print(event.data.type, getattr(event.data, "id", ""), flush=True)
            sys.stdin.readline()
"""


@pytest.fixture
def mistral() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.1) as running:
        yield running


@pytest.fixture
def bt() -> Iterator[LocalBraintrust]:
    with LocalBraintrust() as running:
        yield running


def by_tool_call_id(bt: LocalBraintrust) -> dict[str, dict[str, Any]]:
    """Return the spans that are there and have ended, by the ids of their entries."""
    ended = [span for span in bt.spans() if "end" in span["metrics"]]
    return {span["metadata"]["tool_call_id"]: span for span in ended if "tool_call_id" in span.get("metadata", {})}


@pytest.mark.parametrize("llm_spans", ["false", "true"])
def test_a_tool_that_is_done_is_in_the_trace_while_its_stream_goes_on(
    llm_spans: str, bt: LocalBraintrust, mistral: LocalMistral, tmp_path: Path
) -> None:
    environment = {"LOCAL_MISTRAL_URL": mistral.url, "BRAINTRUST_MISTRAL_LLM_SPANS": llm_spans}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", APPLICATION],
        env={**os.environ, **bt.environment(), **environment},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        done: list[str] = []
        for line in process.stdout:
            kind, _, entry_id = line.strip().partition(" ")
            if kind != "conversation.response.done":
                wait_until(lambda entry_id=entry_id: entry_id in by_tool_call_id(bt))  # type: ignore[misc]
                done.append(entry_id)
                (conversation,) = [span for span in bt.spans() if span["span_attributes"]["type"] == "task"]
                assert "end" not in conversation["metrics"]
                assert by_tool_call_id(bt).keys() == {*done}
                asked = [span for span in bt.spans() if span["span_attributes"]["type"] == "llm"]
                assert bool(asked) == (llm_spans == "true")
            process.stdin.write("\n")
            process.stdin.flush()
    assert process.returncode == 0
    assert len(done) == 4
    (conversation,) = [span for span in bt.spans() if span["span_attributes"]["type"] == "task"]
    assert "end" in conversation["metrics"]
    tools = [span for span in bt.spans() if span["span_attributes"]["type"] == "tool"]
    assert len(tools) == 5
    for entry_id in done:
        tool = by_tool_call_id(bt)[entry_id]
        assert tool["span_parents"] == [conversation["span_id"]]
        assert tool["input"]
        assert tool["output"]
