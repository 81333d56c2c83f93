"""What the tests of the integration share: spans that stay here, a real client, and no fault that hides."""

import asyncio
import builtins
import contextlib
import importlib
import importlib.metadata
import json
import logging
import operator
import os
import pathlib
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import braintrust
import hypothesis
import pytest
from braintrust import logger as braintrust_logger
from braintrust.integrations.mistral import faults as faults_module
from braintrust.integrations.mistral import wrap_mistral
from braintrust.integrations.mistral.integration import MistralIntegration
from braintrust.integrations.mistral.patchers import PATCHERS
from braintrust.integrations.mistral.tracing import handover
from braintrust.integrations.mistral.tracing.pending import early_updates, pending_tool_calls
from braintrust.logger import ObjectMetadata, OrgProjectMetadata
from braintrust.util import LazyValue

from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import Handler, Json, client_of, events_of, unstreamed


try:
    from mistralai.client import Mistral
    from mistralai.client.conversations import Conversations
except ImportError:
    from mistralai import Mistral  # 1.x
    from mistralai.conversations import Conversations  # type: ignore[no-redef]

try:
    import httpx2 as httpx
except ImportError:
    import httpx

if TYPE_CHECKING:
    from braintrust_mistral.local import LocalBraintrust, LocalMistral


# A machine may be slow for a while, and no test asserts a time.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


def reported_faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """Yield what the guard reports from now on, and fail on what is still in that list in the end."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    monkeypatch.setattr(faults_module, "_reported", set())
    collector = Collector(level=logging.WARNING)
    logging.getLogger("braintrust.integrations.mistral").addHandler(collector)
    yield records
    logging.getLogger("braintrust.integrations.mistral").removeHandler(collector)
    assert not records, "\n".join(logging.Formatter().format(record) for record in records)


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """What the guard reported. A test that expects a fault removes it from the list; any other fails the test."""
    yield from reported_faults(monkeypatch)


class LoggedSpans:
    """The spans that the tests' logger received."""

    def __init__(self) -> None:
        self._memory = braintrust_logger._MemoryBackgroundLogger()

    @property
    def memory(self) -> Any:
        """The SDK's in-memory logger."""
        return self._memory

    @property
    def records(self) -> int:
        """How many log records were written since the last `pop`."""
        return len(self._memory.logs)

    @property
    def ends(self) -> Counter[str]:
        """How often each span was ended since the last `pop`, by its id."""
        rows = [record.get() for record in self._memory.logs]
        ends = Counter({row["span_id"]: 0 for row in rows})
        ends.update(row["span_id"] for row in rows if "end" in row.get("metrics", {}))
        return ends

    def pop_ended(self) -> list[dict[str, Any]]:
        """Return the rows since the last `pop` when each span has ended, which is once."""
        wait_until(lambda: 0 not in self.ends.values())
        assert set(self.ends.values()) <= {1}
        return self.pop()

    def pop(self) -> list[dict[str, Any]]:
        """Return the rows since the last `pop`, merged as the backend does, in the order their spans were opened."""
        return sorted(self._memory.pop(), key=lambda row: row.get("span_attributes", {}).get("exec_counter", 0))

    def pop_one(self) -> dict[str, Any]:
        """Return the only row since the last `pop`."""
        (row,) = self.pop()
        return row

    def pop_tree(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the only call since the last `pop`, and its children."""
        root, *children = self.pop()
        assert all(child["span_parents"] == [root["span_id"]] for child in children)
        return root, children


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoggedSpans]:
    """A logger whose spans stay in this process, whichever thread logs them."""
    # What a test before has left.
    wait_for_abandoned_streams()
    pending_tool_calls.clear()
    early_updates.clear()
    handover._open.clear()
    logged = LoggedSpans()
    project = OrgProjectMetadata(org_id="org", project=ObjectMetadata(id="project", name="project", full_info={}))
    state = braintrust_logger._state
    state.reset_parent_state()
    monkeypatch.setattr(state, "_global_bg_logger", LazyValue(lambda: logged.memory, use_mutex=False))
    braintrust.init_logger(project="project")._lazy_metadata = LazyValue(lambda: project, use_mutex=False)
    yield logged
    state.reset_parent_state()


@pytest.fixture(scope="session", autouse=True)
def instrumented() -> None:
    """Every test runs instrumented, as an application is after `braintrust.auto_instrument()`."""
    assert MistralIntegration.setup()


@pytest.fixture
def uninstrumented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tracing off the SDK's classes: this test puts it on."""
    take_off_tracing(monkeypatch)


def take_off_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tracing off the SDK's classes, until the test is over."""
    for patcher in (method for resource in PATCHERS for method in resource.sub_patchers):
        module: Any = patcher.resolve_root(None, None)
        method: Any = patcher.resolve_target(None, None)
        if module is not None and patcher.has_patch_marker(method):
            class_name, _, name = patcher.target_path.partition(".")
            monkeypatch.setattr(getattr(module, class_name), name, method.__wrapped__)


@pytest.fixture
def no_logger() -> Iterator[None]:
    """Nothing to log to: no logger, no experiment, no current span."""
    braintrust_logger._state.reset_parent_state()
    yield
    braintrust_logger._state.reset_parent_state()


MakeClient = Callable[[Handler], Mistral]


@pytest.fixture
def make_client() -> MakeClient:
    """Make a real client that a function answers, see `client_of`."""
    return client_of


CallMethod = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def call_method(request: pytest.FixtureRequest, make_client: MakeClient) -> CallMethod:
    """Call a method, or else its async twin: `call_method(handler, "audio.speech.complete", **arguments)`."""

    def call(handler: Handler, path: str, **arguments: Any) -> Any:
        resource, _, name = path.rpartition(".")
        target = operator.attrgetter(resource)(make_client(handler))
        if request.param == "sync":
            return getattr(target, name)(**arguments)

        async def call_async() -> Any:
            return await getattr(target, f"{name}_async")(**arguments)

        return asyncio.run(call_async())

    return call


class Accesses:
    """What this process opened, looked up or connected to while `recording`."""

    EVENTS = frozenset(
        {"open", "os.listdir", "os.scandir", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
    )

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.recording = False
        # Hooks cannot be taken off again: there is one, and it does nothing most of the time.
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.recording and event in self.EVENTS:
            self.seen.append(f"{event} {arguments}")


@pytest.fixture(scope="session")
def audit() -> Accesses:
    return Accesses()


@pytest.fixture
def accesses(audit: Accesses, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is opened, asked for its existence, looked up or connected to."""
    audit.seen = []
    for module, name in [(os, "stat"), (os, "lstat"), (os, "access"), (os, "readlink"), (builtins, "open")]:
        original = getattr(module, name)

        def spy(path: Any, *args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            audit.seen.append(f"{_name} {path}")
            return _original(path, *args, **kwargs)

        monkeypatch.setattr(module, name, spy)
    audit.recording = True
    yield audit.seen
    audit.recording = False


@pytest.fixture
def secret(tmp_path: pathlib.Path) -> str:
    """The path of a file that exists and could be read."""
    path = tmp_path / "secret.png"
    path.write_bytes(b"do not read me")
    return str(path)


Provide = Callable[[str, Callable[..., Any]], None]


@pytest.fixture
def provide(monkeypatch: pytest.MonkeyPatch) -> Provide:
    """Put a function in the place of the SDK's, below the tracing: `provide("start", function)`.

    For arguments and results that the SDK's own models would refuse.
    """

    def put(method: str, function: Callable[..., Any]) -> None:
        monkeypatch.setattr(vars(Conversations)[method], "__wrapped__", function)

    return put


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another thread: for as long as it takes, but not for one that hangs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute in vain"
        time.sleep(0.005)


def wait_for_abandoned_streams() -> None:
    """Return when the streams that were abandoned before have been ended: they are ended in order."""
    handover._finish()


@pytest.fixture(scope="session", autouse=True)
def imported() -> None:
    """Import now what the SDK imports late, and with it much that Python 3.13 warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _ = Mistral(api_key="key").beta.conversations


def run_application(
    code: str, folder: pathlib.Path, mistral: "LocalMistral", bt: "LocalBraintrust", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run an application to its end, which is also when it sends its last spans, and return what it printed."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **bt.environment(), "LOCAL_MISTRAL_URL": mistral.url, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process


API = "https://api.mistral.ai"
CASSETTES = pathlib.Path(__file__).parents[1] / "src/braintrust/integrations/mistral/cassettes"
MISTRALAI = importlib.metadata.version("mistralai")
CASSETTE_VERSION = os.environ.get("BRAINTRUST_TEST_PACKAGE_VERSION") or (
    MISTRALAI if (CASSETTES / MISTRALAI).is_dir() else "latest"
)

RECORDED = [
    pytest.mark.vcr,
    pytest.mark.block_network,
    pytest.mark.skipif(
        int(MISTRALAI.partition(".")[0]) >= 3 and int(importlib.metadata.version("vcrpy").partition(".")[0]) < 9,
        reason="mistralai 3 speaks httpx2, which vcrpy sees from 9.0 on; that needs Python 3.11",
    ),
]
"""The marks of a test with a cassette."""

MODEL = "mistral-medium-latest"
QUESTION = "Where does Lisbon lie? Answer in one sentence."
RATES: Any = {
    "type": "function",
    "function": {
        "name": "get_exchange_rate",
        "description": "The exchange rate of two currencies.",
        "parameters": {"type": "object", "properties": {"base": {"type": "string"}, "quote": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    """A folder for each tested version of mistralai, as the SDK's other integrations have it."""
    return str(CASSETTES / CASSETTE_VERSION)


@pytest.fixture
def vcr_config() -> Json:
    """No secrets, no address but Mistral's, and nothing that differs from one recording to the next for no reason."""

    def request(request: Any) -> Any:
        request.uri = API + "/" + request.uri.split("/", 3)[3]
        kind, _, boundary = (request.headers.get("content-type", "") if request.body else "").partition("; boundary=")
        if boundary:
            # Random, and all that differs between two forms with the same content.
            request.body = request.body.replace(f"--{boundary}".encode(), b"--boundary")
            kind = f"{kind}; boundary=boundary"
        request.headers = {"content-type": kind} if kind else {}
        return request

    def response(response: Any) -> Any:
        kept = {name: value for name, value in response["headers"].items() if name.lower() == "content-type"}
        return {**response, "headers": kept}

    return {
        "before_record_request": request,
        "before_record_response": response,
        "decode_compressed_response": True,
        "match_on": ["method", "uri", "headers", "body"],
        "allow_playback_repeats": False,
    }


Connect = Callable[..., Mistral]
"""Makes a client, given the local Mistral's scenario, and whether the real one cannot be made to answer that way."""


@pytest.fixture
async def connect(
    vcr: Any, record_mode: str, default_cassette_name: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connect]:
    """Clients whose traffic is replayed, or recorded where `--record-mode` says so."""
    async with contextlib.AsyncExitStack() as resources:

        def make(scenario: str | None = None, *, only_local: bool = False) -> Mistral:
            key, url = os.environ.get("MISTRAL_API_KEY"), API
            if record_mode == "none":
                cassette = CASSETTES / CASSETTE_VERSION / f"{default_cassette_name}.yaml"
                assert cassette.exists(), f"{cassette} is missing; cassettes/README.md tells how to record it"
                key = "replayed"
            elif only_local or not key:
                # Replaying needs no server.
                from braintrust_mistral.local import LocalMistral

                if scenario is not None:
                    _always_play(scenario, monkeypatch)
                key, url = "local", resources.enter_context(LocalMistral(pace=0.02)).url
            # Certificates take longer to load than most of these tests, and few calls need them.
            verify = record_mode != "none" and url == API
            client = httpx.Client(verify=verify, follow_redirects=True)
            async_client = httpx.AsyncClient(verify=verify, follow_redirects=True)
            resources.callback(client.close)
            resources.push_async_callback(async_client.aclose)
            return wrap_mistral(Mistral(api_key=key, server_url=url, client=client, async_client=async_client))

        yield make
    assert vcr.all_played or record_mode != "none", "the cassette has requests that were not made"


def _always_play(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the local Mistral answer like this whatever a request names: real models, so that the real one could."""
    from braintrust_mistral.local.mistral import completion_scenarios, response_items, scenarios

    catalogues = {"conversations": scenarios, "completions": completion_scenarios, "responses": response_items}
    for endpoints, catalogue in catalogues.items():
        chosen = catalogue.scenario(scenario)
        monkeypatch.setattr(f"braintrust_mistral.local.mistral.{endpoints}.scenario", lambda *_, chosen=chosen: chosen)


@pytest.fixture
def mistral(connect: Connect) -> Mistral:
    return connect()


class Wire:
    """What was on the wire in this test, call by call; a negative number counts from the last."""

    def __init__(self, cassette: Any) -> None:
        self._cassette = cassette

    def request(self, call: int = -1) -> Any:
        """The body of a request."""
        return json.loads(self._cassette.requests[call].body)

    def response(self, call: int = -1) -> Any:
        """The body of an unstreamed response."""
        return json.loads(self._cassette.responses[call]["body"]["string"])

    def events(self, call: int = -1) -> list[Json]:
        """The data of a stream's events."""
        return events_of(self._cassette.responses[call]["body"]["string"])

    def streamed(self, call: int = -1) -> Json:
        """The unstreamed response that the events of a conversation's stream add up to."""
        return unstreamed(self.events(call))


@pytest.fixture
def wire(vcr: Any) -> Wire:
    return Wire(vcr)


def only_call(spans: LoggedSpans) -> LoggedSpan:
    (call,) = logged_calls(spans.pop())
    return call


def last_call(spans: LoggedSpans) -> LoggedSpan:
    return logged_calls(spans.pop())[-1]


def consume(stream: Any) -> None:
    with stream:
        for _ in stream:
            pass


async def consume_async(stream: Any) -> None:
    async with stream:
        async for _ in stream:
            pass
