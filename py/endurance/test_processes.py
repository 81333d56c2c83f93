"""Processes that fork, exit, are interrupted or die under open calls: none hangs, none hears of us, no span is lost.

Each is a process of its own, over real sockets. What arrived at Braintrust is what counts.
"""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from endurance.plan import IS_FULL


STREAM = "mistral.beta.conversations.start_stream"
CALL = "mistral.beta.conversations.start"


@pytest.fixture(scope="module")
def mistral() -> Iterator[LocalMistral]:
    with LocalMistral() as running:
        yield running


class Ended(NamedTuple):
    """How a process ended, and which spans arrived, with how often each was ended."""

    status: int
    stderr: str
    spans: list[dict[str, Any]]
    ends: Counter[str]


class Process:
    """An application that has come to where it is to be met."""

    def __init__(self, name: str, mistral: LocalMistral, bt: LocalBraintrust, **environment: str) -> None:
        self._bt = bt
        self.popen = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", "from endurance.scripts.processes import main; main()", name],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, **bt.environment(), "LOCAL_MISTRAL_URL": mistral.url, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "ready\n", self.popen.communicate()[1]

    def ended(self) -> Ended:
        """Wait for the end, but not for one that hangs."""
        try:
            _, stderr = self.popen.communicate(timeout=60)
        finally:
            self.popen.kill()
        ends = Counter(row["span_id"] for row in self._bt.rows if "end" in row.get("metrics", {}))
        return Ended(self.popen.returncode, stderr, self._bt.spans(), ends)


@pytest.fixture
def bt() -> Iterator[LocalBraintrust]:
    with LocalBraintrust() as running:
        yield running


def named(ended: Ended, name: str) -> list[dict[str, Any]]:
    return [span for span in ended.spans if span["span_attributes"]["name"] == name]


def assert_each_ended_once(ended: Ended) -> None:
    assert [ended.ends[span["span_id"]] for span in ended.spans] == [1] * len(ended.spans)


SIGNALS = [
    # By default Python raises the one, and the other ends the process where it stands.
    ("call", signal.SIGINT, None, "KeyboardInterrupt"),
    ("stream", signal.SIGINT, None, "KeyboardInterrupt"),
    ("async call", signal.SIGINT, None, "CancelledError"),
    ("async stream", signal.SIGINT, None, "CancelledError"),
    ("call", signal.SIGTERM, -signal.SIGTERM, None),
    ("stream", signal.SIGTERM, -signal.SIGTERM, None),
    ("handled call", signal.SIGINT, 3, "KeyboardInterrupt"),
    ("handled stream", signal.SIGINT, 3, "KeyboardInterrupt"),
    ("handled call", signal.SIGTERM, 7, "SystemExit"),
    ("handled stream", signal.SIGTERM, 7, "SystemExit"),
    ("handled async call", signal.SIGTERM, 7, "(CancelledError|SystemExit)"),
    ("handled async stream", signal.SIGTERM, 7, "(CancelledError|SystemExit)"),
]
IN_SHORT = {
    ("stream", signal.SIGINT),
    ("call", signal.SIGTERM),
    ("async stream", signal.SIGINT),
    ("handled call", signal.SIGTERM),
}


@pytest.mark.parametrize(("name", "number", "status", "error"), SIGNALS)
def test_a_signal_ends_the_process_as_it_would_and_the_span_with_it(
    name: str,
    number: int,
    status: int | None,
    error: str | None,
    mistral: LocalMistral,
    bt: LocalBraintrust,
) -> None:
    if not IS_FULL and (name, number) not in IN_SHORT:
        pytest.skip("one of each kind is enough for the short form")
    before = len(mistral.requests)
    process = Process(name, mistral, bt)
    while len(mistral.requests) == before:
        assert process.popen.poll() is None
    process.popen.send_signal(number)
    ended = process.ended()
    if status is None:
        # Where nobody handles it, Python's end depends on what it interrupts, traced or not.
        assert ended.status in (1, -number)
        assert ended.stderr.endswith("KeyboardInterrupt\n")
        assert not re.search("Tracing a Mistral call failed|[Ii]gnored", ended.stderr)
    else:
        assert (ended.status, ended.stderr) == (status, "")
    if error is not None:
        (span,) = ended.spans
        # A cancellation is no error.
        ending = "CancelledError" if span["metadata"].get("cancelled") else span["error"]
        assert re.search(error, ending)
        assert span["span_attributes"]["name"] == (STREAM if "stream" in name else CALL)
        assert_each_ended_once(ended)


def test_streams_that_are_open_at_the_exit_end_with_it(mistral: LocalMistral, bt: LocalBraintrust) -> None:
    ended = Process("exit with open streams", mistral, bt).ended()
    # The HTTP client may complain of the loop that was closed under it.
    assert (ended.status, "braintrust" in ended.stderr) == (0, False)
    assert len(named(ended, STREAM)) == 4
    assert_each_ended_once(ended)
    assert all(span["output"][0]["content"].startswith("word") and "error" not in span for span in ended.spans)


def test_threads_that_stream_on_at_the_exit_are_no_harm(mistral: LocalMistral, bt: LocalBraintrust) -> None:
    ended = Process("exit under busy threads", mistral, bt).ended()
    assert (ended.status, "braintrust" in ended.stderr) == (0, False)
    # What the threads began after the last look at the open streams may stay open, and nothing before.
    assert max(ended.ends.values()) == 1
    assert len(ended.ends) >= 24


@pytest.mark.parametrize(("name", "number"), [("close loops", 3), ("close loops of runs", 4)])
def test_streams_whose_event_loop_was_closed_end_all_the_same(
    name: str, number: int, mistral: LocalMistral, bt: LocalBraintrust
) -> None:
    ended = Process(name, mistral, bt).ended()
    assert (ended.status, "braintrust" in ended.stderr) == (0, False)
    assert len(ended.spans) == number
    assert_each_ended_once(ended)


def test_a_process_that_dies_leaves_what_it_had_sent(mistral: LocalMistral, bt: LocalBraintrust) -> None:
    ended = Process("die", mistral, bt).ended()
    assert (ended.status, ended.stderr) == (5, "")
    begun, read = ended.spans
    assert (begun["input"], ended.ends[begun["span_id"]]) == ("sync", 0)
    assert (read["input"], ended.ends[read["span_id"]]) == ("read", 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_workers_that_are_forked_neither_end_nor_lose_what_their_parent_began(
    mistral: LocalMistral, bt: LocalBraintrust
) -> None:
    # The SDK's thread and its pool are not there in a worker: it sends what it has when it exits.
    ended = Process("fork", mistral, bt, BRAINTRUST_SYNC_FLUSH="1").ended()
    assert (ended.status, ended.stderr) == (0, "")
    (function_call,) = named(ended, "tool: get_exchange_rate")
    # When it was logged, and when the worker brought its result.
    assert (function_call["output"], ended.ends.pop(function_call["span_id"])) == ("11.20", 2)
    others = [span for span in ended.spans if span is not function_call]
    assert Counter(span["span_attributes"]["name"].rpartition(".")[2] for span in others) == {
        "start": 1,
        "start_stream": 3 + 2 * 3,
        "append": 1,
    }
    assert ended.ends == Counter({span["span_id"]: 1 for span in others})
    whole = [span for span in others if str(span["output"]).count("Tagus")]
    assert Counter(str(span["input"]) for span in whole if "start_stream" in span["span_attributes"]["name"]) == {
        "sync": 2,
        "worker": 2,
    }
