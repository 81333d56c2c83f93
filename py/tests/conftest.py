"""What the tests of the integration share: spans that stay here, a real client, and no fault that hides."""

import asyncio
import builtins
import functools
import logging
import operator
import os
import pathlib
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import braintrust
import hypothesis
import pytest
from braintrust import logger as braintrust_logger
from braintrust.integrations.mistral import faults as faults_module
from braintrust.integrations.mistral.integration import MistralIntegration
from braintrust.integrations.mistral.patchers import PATCHERS
from braintrust.integrations.mistral.resources.agent_names import agent_names
from braintrust.integrations.mistral.settings import settings
from braintrust.integrations.mistral.tracing import handover
from braintrust.integrations.mistral.tracing.pending import pending_tool_calls
from braintrust.logger import ObjectMetadata, OrgProjectMetadata
from braintrust.util import LazyValue

from tests.helpers.clouds import client_at
from tests.helpers.wire import Handler


try:
    from mistralai.client import Mistral
    from mistralai.client.conversations import Conversations
except ImportError:
    from mistralai import Mistral  # 1.x
    from mistralai.conversations import Conversations  # type: ignore[no-redef]

if TYPE_CHECKING:
    from braintrust_mistral.local import LocalBraintrust, LocalMistral


# A machine may be slow for a while, and no test asserts a time.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
# The same examples each time: a change is to fail for what it did.
hypothesis.settings.register_profile("reproducible", hypothesis.settings.get_profile("patient"), derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))


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


@pytest.fixture(autouse=True)
def nameless() -> None:
    """No name of an agent that a test before has told."""
    agent_names.clear()


Switch = Callable[[str, str], None]


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    """Set an environment variable of `settings.py`, which a process reads once."""

    def set_variable(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        settings.cache_clear()

    yield set_variable
    settings.cache_clear()


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
    def so_far(self) -> list[dict[str, Any]]:
        """The log records since the last `pop`, as they are."""
        return [record.get() for record in self._memory.logs]

    @property
    def ends(self) -> Counter[str]:
        """How often each span was ended since the last `pop`, by its id."""
        rows = self.so_far
        ends = Counter({row["span_id"]: 0 for row in rows})
        ends.update(row["span_id"] for row in rows if "end" in row.get("metrics", {}))
        return ends

    def pop_ended(self) -> list[dict[str, Any]]:
        """Return the rows since the last `pop` when each span has ended, which is once."""
        # One that is ended elsewhere may open others at its end.
        wait_for_abandoned_streams()
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
def provider(request: pytest.FixtureRequest) -> str:
    """Whose client `make_client` makes: Mistral's own, where the test is not `at` others."""
    return getattr(request, "param", "mistral")


@pytest.fixture
def make_client(provider: str) -> MakeClient:
    """Make a real client that a function answers, see `client_of`."""
    return functools.partial(client_at, provider)


CallMethod = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def call_method(request: pytest.FixtureRequest, make_client: MakeClient) -> CallMethod:
    """Call a method, or else its async twin: `call_method(handler, "audio.speech.complete", **arguments)`."""

    def call(handler: Handler, path: str, **arguments: Any) -> Any:
        resource, _, name = path.rpartition(".")
        # In 1.x, no resource keeps the client that closes its connections.
        client = make_client(handler)
        target = operator.attrgetter(resource)(client)
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
