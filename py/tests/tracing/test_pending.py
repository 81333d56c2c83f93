import os
import signal
import threading
import warnings

import pytest
from braintrust.integrations.mistral.operations import ToolCallKey
from braintrust.integrations.mistral.tracing.pending import PendingToolCalls
from braintrust.logger import NOOP_SPAN, Span


def key(number: int) -> ToolCallKey:
    return ToolCallKey("conv1", f"call{number}")


def span() -> Span:
    """Return a span that is this one and no other."""
    return type(NOOP_SPAN)()


def test_a_call_that_is_seen_again_is_the_newest_and_takes_one_place() -> None:
    calls = PendingToolCalls(limit=2)
    newer = span()
    calls.add(key(1), span())
    calls.add(key(2), span())
    calls.add(key(1), newer)
    calls.add(key(3), span())
    assert len(calls) == 2
    assert calls.find(key(2)) is None
    assert calls.find(key(1)) is newer


def test_threads_do_not_lose_each_others_calls() -> None:
    calls = PendingToolCalls(limit=10_000)
    taken: list[Span | None] = []
    barrier = threading.Barrier(8)

    def work(first: int) -> None:
        barrier.wait()
        for number in range(first, first + 500):
            calls.add(key(number), span())
        taken.extend([calls.take(key(number)) for number in range(first, first + 500, 2)])

    threads = [threading.Thread(target=work, args=(first * 500,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 2_000
    assert None not in taken
    assert len(calls) == 2_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_process_that_is_forked_while_a_call_is_added_can_add_its_own() -> None:
    calls = PendingToolCalls()
    calls.add(key(1), span())
    with calls._lock, warnings.catch_warnings():
        # From 3.12 on, Python warns of a fork beside other threads, which is what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            calls.add(key(2), span())
            os._exit(0 if len(calls) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
