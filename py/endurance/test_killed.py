"""Processes that are killed in the middle of a streamed conversation: what was over, and sent, is in the trace."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.mistral import samples, scenarios
from braintrust_mistral.local.mistral.answers import Answer, Message
from endurance.plan import SEED


PROCESSES = 20
TOOLS = 10


@pytest.fixture
def mistral(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalMistral]:
    """A Mistral that uses ten tools before it answers."""
    searches = tuple(samples.web_search(f"ferries on day {number}", seconds=0.1) for number in range(TOOLS))
    answer = Answer((*searches, Message("There are ferries every day.")))
    monkeypatch.setitem(scenarios.SCENARIOS, "ten-tools", lambda _: answer)
    with LocalMistral() as running:
        yield running


def killed_at_random(mistral: LocalMistral, bt: LocalBraintrust, chance: random.Random) -> dict[int, set[str]]:
    """Kill each of some processes at a moment of its own, and return what had been flushed of each by then."""
    flushed: dict[int, set[str]] = {}
    done: dict[int, int] = defaultdict(int)
    # Each after so many tools, and then a while later.
    lives: dict[int, int] = {}

    def kill(pid: int) -> None:
        time.sleep(chance.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)

    killers: list[threading.Thread] = []
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", "from endurance.scripts.killed import main; main()", str(PROCESSES)],
        cwd=Path(__file__).parent.parent,
        env={
            **os.environ,
            **bt.environment(),
            "BRAINTRUST_SYNC_FLUSH": "1",
            "LOCAL_MISTRAL_URL": mistral.url,
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            pid, word, *ids = line.split()
            child = int(pid)
            if child not in lives:
                lives[child], flushed[child] = chance.randint(0, TOOLS), set()
            done[child] += word == "done"
            if word == "flushed":
                flushed[child].update(ids)
            if done[child] == lives[child]:
                lives[child] = -1
                killers.append(threading.Thread(target=kill, args=[child]))
                killers[-1].start()
    for killer in killers:
        killer.join()
    assert process.returncode == 0
    assert len(flushed) == PROCESSES
    return flushed


def is_whole(span: dict[str, Any]) -> bool:
    metrics = span["metrics"]
    return bool(span["input"]["query"] and span["output"]["result"]) and metrics["start"] < metrics["end"]


def test_a_process_that_is_killed_loses_only_what_was_not_over_a_flush_ago(mistral: LocalMistral) -> None:
    with LocalBraintrust() as bt:
        flushed = killed_at_random(mistral, bt, random.Random(SEED))
        spans = bt.spans()
    tools = {span["metadata"]["tool_call_id"]: span for span in spans if span["span_attributes"]["type"] == "tool"}
    calls = {span["span_id"] for span in spans if span["span_attributes"]["type"] == "task"}
    for ids in flushed.values():
        assert ids <= tools.keys()
    assert all(is_whole(tool) for tool in tools.values())
    assert {tool["span_parents"][0] for tool in tools.values()} <= calls
    # They were met at different points.
    assert len({len(ids) for ids in flushed.values()}) > TOOLS // 3
