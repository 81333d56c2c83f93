"""What the tests of all frameworks share: an application that traces whatever it can, and both of its services."""

import logging
from collections.abc import Iterator

import braintrust
import pytest

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from frameworks.trace import Trace


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x


braintrust.auto_instrument()


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which our own extraction failed."""
    yield
    faults = [record for record in caplog.get_records("call") if record.name == "braintrust.integrations.mistral"]
    assert not faults, "\n".join(logging.Formatter().format(fault) for fault in faults)


@pytest.fixture
def mistral() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.0) as service:
        yield service


@pytest.fixture
def client(mistral: LocalMistral) -> Mistral:
    return Mistral(api_key="local", server_url=mistral.url)


@pytest.fixture(scope="session")
def braintrust_service() -> Iterator[LocalBraintrust]:
    # One for all tests: the SDK keeps the address of its first login.
    with LocalBraintrust() as service, pytest.MonkeyPatch.context() as patch:
        for name, value in service.environment().items():
            patch.setenv(name, value)
        braintrust.init_logger(project="frameworks")
        yield service
        braintrust.flush()


@pytest.fixture
def trace(braintrust_service: LocalBraintrust) -> Trace:
    trace = Trace(braintrust_service)
    trace.clear()
    return trace
