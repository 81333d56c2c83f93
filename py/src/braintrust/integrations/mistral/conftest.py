"""What the tests of the integration share: spans that stay here, a real client, and no fault that hides."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest
from braintrust.logger import ObjectMetadata, OrgProjectMetadata
from braintrust.util import LazyValue

import braintrust
from braintrust import logger as braintrust_logger

from . import faults as faults_module
from .integration import MistralIntegration


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x

try:
    import httpx2 as httpx
except ImportError:
    import httpx


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """What the guard reported. A test that expects a fault removes it from the list; any other fails the test."""
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
def no_logger() -> Iterator[None]:
    """Nothing to log to: no logger, no experiment, no current span."""
    braintrust_logger._state.reset_parent_state()
    yield
    braintrust_logger._state.reset_parent_state()


Handler = Callable[[Any], Any]
MakeClient = Callable[[Handler], Mistral]


@pytest.fixture
def make_client() -> MakeClient:
    """Make a real client whose transport, sync and async, is answered by a function of the request."""

    def make(handler: Handler) -> Mistral:
        async def handle_async(request: Any) -> Any:
            return handler(request)

        return Mistral(
            api_key="key",
            client=httpx.Client(transport=httpx.MockTransport(handler)),
            async_client=httpx.AsyncClient(transport=httpx.MockTransport(handle_async)),
        )

    return make


def answer(body: Any, status: int = 200) -> Any:
    """Return an HTTP response with a JSON body."""
    return httpx.Response(status, json=body)


def answer_stream(events: Iterable[Mapping[str, Any]], error: BaseException | None = None) -> Any:
    """Return an HTTP response with a body of server-sent events, each the `data` of one, for sync and async clients.

    The body breaks with `error` after the last event, if there is one.
    """

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for event in events:
                yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            if error is not None:
                raise error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self:
                yield part

    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
