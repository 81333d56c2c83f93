import contextlib
import logging
from collections.abc import Iterator

import braintrust
import pytest
from braintrust import logger as braintrust_logger
from braintrust.integrations.mistral import MistralIntegration
from braintrust.integrations.mistral.conftest import reported_faults
from braintrust.util import LazyValue

from endurance.plan import IS_FULL
from endurance.records import Ends
from endurance.replay import made_once, serializers
from local import LocalBraintrust, LocalMistral


pytest.register_assert_rewrite("endurance.checks")


@pytest.fixture(scope="session", autouse=True)
def instrumented() -> None:
    """Every test runs instrumented, as an application is after `braintrust.auto_instrument()`."""
    assert MistralIntegration.setup()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """What the guard reported: a test that finds something here has found a fault of ours."""
    yield from reported_faults(monkeypatch)


@pytest.fixture
def mistral() -> Iterator[LocalMistral]:
    """A Mistral that is five hundred times as fast as the real one."""
    with LocalMistral(pace=0.002) as service:
        yield service


@pytest.fixture
def quick_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the short form, have the Mistral client make the model of a type once, and not anew for each event.

    The models are the same, and half of the time goes into them. The full form takes that time.
    """
    if not IS_FULL:
        monkeypatch.setattr(serializers, "create_model", made_once(vars(serializers)["create_model"]))


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
