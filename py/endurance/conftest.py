import contextlib
import logging
from collections.abc import Iterator

import braintrust
import pytest
from braintrust import logger as braintrust_logger
from braintrust.integrations.mistral import MistralIntegration

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from endurance.replay import remember_models
from tests.conftest import reported_faults


pytest.register_assert_rewrite("endurance.checks")


@pytest.fixture(scope="session", autouse=True)
def instrumented() -> None:
    """Every test runs instrumented, as an application is after `braintrust.auto_instrument()`."""
    assert MistralIntegration.setup()


@pytest.fixture(scope="module")
def models_remembered() -> Iterator[None]:
    """The Mistral client makes its models once, and not anew for each event; they are the same."""
    with pytest.MonkeyPatch.context() as patch:
        remember_models(patch)
        yield


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """What the guard reported: a test that finds something here has found a fault of ours."""
    yield from reported_faults(monkeypatch)


@pytest.fixture(scope="module")
def mistral() -> Iterator[LocalMistral]:
    """A Mistral that answers at once."""
    with LocalMistral(pace=0.0) as service:
        yield service


@contextlib.contextmanager
def logging_to(service: LocalBraintrust) -> Iterator[None]:
    """Have this process log to a local Braintrust, as if it had just begun, for the length of the block."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in service.environment().items():
            environment.setenv(name, value)
        braintrust_logger._internal_reset_global_state()
        braintrust.init_logger(project="endurance")
        yield
        braintrust_logger._internal_reset_global_state()
