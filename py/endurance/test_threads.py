"""Many threads share one client, and set the tracing up together: each call has its one span, its parent, its tools.

Nothing here depends on the interpreter's lock: on a free-threaded Python the threads truly run at once.
"""

import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral import MistralIntegration, wrap_mistral

from braintrust_mistral.local import LocalMistral
from endurance.observation import Observed, observe
from endurance.plan import IS_FULL
from endurance.replay import Mistral, httpx
from tests.conftest import take_off_tracing, wait_for_abandoned_streams


THREADS = 16


@pytest.fixture(autouse=True)
def switching_often() -> Iterator[None]:
    """Have threads take turns a thousand times as often as usual."""
    # What tests before have left ends there.
    gc.collect()
    wait_for_abandoned_streams()
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(usual)


def together(work: Callable[[int], Any]) -> list[Any]:
    """Return what a function returns for each thread's number; all threads begin at once."""
    begin = threading.Barrier(THREADS)

    def begun(number: int) -> Any:
        begin.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begun, range(THREADS)))


def use(client: Any, number: int, rounds: int) -> None:
    """Make calls of every kind below a span of this thread's own; their inputs name it."""
    conversations = client.beta.conversations
    says = f"thread {number}:"
    with braintrust.start_span(says):
        for _ in range(rounds):
            first = conversations.start(model="parallel-functions", inputs=says)
            calls = [entry.tool_call_id for entry in first.outputs if entry.type == "function.call"]
            results = [{"tool_call_id": call, "result": says} for call in calls]
            conversations.append(conversation_id=first.conversation_id, inputs=results)
            with conversations.start_stream(model="agentic", inputs=f"{says} all") as stream:
                assert len(list(stream)) > 10
            left = conversations.start_stream(model="web-search", inputs=f"{says} left")
            next(left)
            del left
            client.chat.complete(model="function-call", messages=[{"role": "user", "content": says}])


TOOLS = {
    "mistral.beta.conversations.start": ["tool: get_exchange_rate"] * 2,
    "mistral.beta.conversations.append": [],
    "mistral.chat.complete": ["tool: get_exchange_rate"],
}
ALL = [
    "tool: web_search",
    "tool: code_interpreter",
    "tool: library_get_document",
    "handoff: analyst",
    "tool: book_ferry",
]


def assert_each_thread_has_its_own(observed: Observed, rounds: int) -> None:
    assert observed.results is None, observed.results
    assert observed.warnings == []
    # The local Mistral notices that streams were left.
    assert [noise for noise in observed.noise if "socket.send" not in noise] == []
    rows = {row["span_id"]: row for row in observed.rows}
    names = {span: row["span_attributes"]["name"] for span, row in rows.items()}
    parents = {span: (row["span_parents"] or [None])[0] for span, row in rows.items()}
    threads = [span for span in rows if names[span].startswith("thread ")]
    assert sorted(names[span] for span in threads) == sorted(f"thread {number}:" for number in range(THREADS))
    for thread in threads:
        calls = [span for span in rows if parents[span] == thread]
        assert Counter(names[span] for span in calls) == {
            "mistral.beta.conversations.start": rounds,
            "mistral.beta.conversations.append": rounds,
            "mistral.beta.conversations.start_stream": 2 * rounds,
            "mistral.chat.complete": rounds,
        }
        for span in calls:
            assert names[thread] in str(rows[span]["input"])
            assert observed.ends[span] == (names[span], 1)
            tools = [child for child in rows if parents[child] == span]
            expected = TOOLS.get(names[span], ALL if str(rows[span]["input"]).endswith("all") else [])
            assert [names[tool] for tool in tools] == expected
            if names[span] == "mistral.beta.conversations.start":
                assert [rows[tool]["output"] for tool in tools] == [names[thread]] * 2
    assert len(rows) == THREADS * (1 + rounds * (5 + 2 + 1 + len(ALL)))


def make_client(mistral: LocalMistral) -> Any:
    """Return a client that does not use its connections twice: the service drops those that waited for a while."""
    http = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=60)
    return Mistral(api_key="local", server_url=mistral.url, client=http)


def test_threads_that_share_a_client_stay_apart(mistral: LocalMistral) -> None:
    rounds = 20 if IS_FULL else 2
    client = wrap_mistral(make_client(mistral))

    def application() -> None:
        together(lambda number: use(client, number, rounds))

    assert_each_thread_has_its_own(observe(application, is_traced=True), rounds)


@pytest.fixture
def uninstrumented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tracing off the SDK's classes: the test puts it on."""
    take_off_tracing(monkeypatch)


@pytest.mark.usefixtures("uninstrumented")
@pytest.mark.parametrize("set_up", ["process", "client", "both"])
def test_tracing_that_threads_set_up_at_once_is_set_up_once(set_up: str, mistral: LocalMistral) -> None:
    client = make_client(mistral)
    _ = client.beta.conversations

    def application() -> None:
        def work(number: int) -> None:
            if set_up == "process" or (set_up == "both" and number % 2):
                assert MistralIntegration.setup()
            else:
                wrap_mistral(client)

        together(work)
        together(lambda number: use(client, number, 1))

    assert_each_thread_has_its_own(observe(application, is_traced=True), 1)
