"""Many conversations at the same time, of clients that read on or leave, over connections that hold or break."""

import contextlib
from collections import Counter
from collections.abc import Iterator

import braintrust
import pytest
from braintrust import logger as braintrust_logger
from braintrust.integrations.mistral.tracing.pending import pending_tool_calls
from braintrust.util import LazyValue

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.mistral.scenarios import SCENARIOS
from braintrust_mistral.local.mistral.wire_faults import KINDS
from endurance import leftovers
from endurance.checks import Trace
from endurance.clients import converse
from endurance.conftest import logging_to
from endurance.plan import IS_FULL, SEED, plans
from endurance.records import Ends
from endurance.replay import remember_models
from endurance.talks import Talk
from tests.conftest import wait_until


BATCHES, BATCH = (10, 1000) if IS_FULL else (6, 100)
MOST_WAITING = 1024
# A megabyte in a thousand conversations would be a kilobyte each; the allocator's own comings and goings are larger.
MOST_GROWTH = 24 * 2**20

OUTCOMES = {"whole", "partial", "settled", "error event"}
OWN_ERRORS = {"LeftError", "LeftInterrupt", "CancelledError"}
# What the Mistral client raises with these faults, whether it is traced or not; the last two are those of 1.x.
CLIENT_ERRORS = {
    *("SDKError", "HTTPValidationError", "ResponseValidationError", "NoResponseError", "UnicodeDecodeError"),
    *("RemoteProtocolError", "ReadError", "WriteError", "ConnectError", "ReadTimeout", "ConnectTimeout"),
    *("WriteTimeout", "PoolTimeout", "ValidationError", "ValueError"),
}


@pytest.fixture
def mistral() -> Iterator[LocalMistral]:
    """A Mistral that is five hundred times as fast as the real one."""
    with LocalMistral(pace=0.002) as service:
        yield service


@pytest.fixture
def bt() -> Iterator[LocalBraintrust]:
    """A local Braintrust, to which this process logs for the length of a test."""
    with LocalBraintrust() as service, logging_to(service):
        yield service
        braintrust.flush()


@pytest.fixture
def ends(bt: LocalBraintrust) -> Ends:
    """How often each span was ended, of those that are logged to the local Braintrust."""
    state = braintrust_logger._internal_get_global_state()
    counted = Ends(state.global_bg_logger())
    state._global_bg_logger = LazyValue(lambda: counted, use_mutex=False)
    return counted


@pytest.fixture
def quick_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the short form, have the Mistral client remember its models; the full form takes that time."""
    if not IS_FULL:
        remember_models(monkeypatch)


@pytest.mark.usefixtures("faults", "quick_parsing")
def test_many_conversations(mistral: LocalMistral, bt: LocalBraintrust, ends: Ends) -> None:
    """Each call has one span, which ends once, as its client saw it; what is left behind does not grow."""
    planned = plans(SEED, BATCHES * BATCH)
    happened: Counter[str] = Counter()
    memory: list[int] = []
    first: leftovers.Held | None = None
    pending_tool_calls.clear()
    waiting = 0
    for start in range(0, len(planned), BATCH):
        talks = converse(planned[start : start + BATCH], mistral.url)
        # Streams that were dropped are ended by another thread. What stays open is told of below.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not ends.open())
        # Before the SDK's queue is full.
        braintrust.flush()
        Trace(bt.spans(), ends.pop()).check(talks)
        happened += summary(talks)
        waiting += sum(len(talk.unsettled) for talk in talks)
        del talks
        bt.clear()
        mistral.conversations.clear()
        assert not leftovers.streams()
        assert len(pending_tool_calls) == waiting or len(pending_tool_calls) <= MOST_WAITING < waiting
        first = first or leftovers.held()
        wait_until(lambda held=first: not leftovers.held().beyond(held, len(pending_tool_calls)))
        memory.append(leftovers.resident_bytes())
    assert memory[-1] - memory[0] < MOST_GROWTH, memory
    assert happened.keys() >= OUTCOMES | OWN_ERRORS | {"RemoteProtocolError", "ReadError", "SDKError", "ReadTimeout"}
    assert happened.keys() <= OUTCOMES | OWN_ERRORS | CLIENT_ERRORS


def summary(talks: list[Talk]) -> Counter[str]:
    """How often what happened to these clients."""
    seen = [seen for talk in talks for seen in talk.seen]
    return Counter(
        [
            *("whole" if call.is_whole else "partial" for call in seen),
            *(call.error for call in seen if call.error is not None),
            *("error event" for call in seen if call.error_event is not None),
            *("settled" for talk in talks for _ in (*talk.results, *talk.decisions)),
        ]
    )


def test_a_seed_gives_the_same_plans_each_time() -> None:
    assert plans(SEED, 50) == plans(SEED, 50)
    assert plans(SEED, 50) != plans(SEED + 1, 50)


def test_plans_have_everything_that_can_happen() -> None:
    """All scenarios, all faults, all ways to leave: of sync and of async clients, streamed and not."""
    planned = plans(SEED, 600)
    assert {plan.scenario for plan in planned} >= SCENARIOS.keys() - {"long-stream"}
    for is_async in (True, False):
        calls = [call for plan in planned if plan.is_async is is_async for call in plan.calls]
        hows = {"read", "break", "close", "raise", "interrupt", "generator", "untouched", "nested"}
        hows |= {"cancel", "cancel-request"} if is_async else set()
        assert {call.leave.how for call in calls} == hows
        for streamed in (True, False):
            assert {call.fault.kind for call in calls if call.fault and call.streamed is streamed} == {*KINDS}
        assert {(call.method, call.streamed) for call in calls} == {
            (method, streamed) for method in ("start", "append", "restart", "complete") for streamed in (True, False)
        }
