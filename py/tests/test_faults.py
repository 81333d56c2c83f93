import asyncio
import logging
from collections.abc import Iterator
from typing import NoReturn

import pytest
from braintrust.integrations.mistral import faults as faults_module
from braintrust.integrations.mistral.faults import guarded, report_fault


LOGGER = logging.getLogger("braintrust.integrations.mistral")


@guarded(fallback=-1.0)
def divide(dividend: int, divisor: int) -> float:
    return dividend / divisor


@guarded(fallback=None)
def fail(error: BaseException) -> NoReturn:
    raise error


def test_what_works_is_returned_and_reported_to_nobody(faults: list[logging.LogRecord]) -> None:
    assert divide(6, 3) == 2.0
    assert faults == []


def test_a_fault_becomes_the_fallback_and_one_warning_with_its_traceback(faults: list[logging.LogRecord]) -> None:
    assert divide(6, 0) == -1.0
    record = faults.pop()
    assert faults == []
    assert (record.name, record.levelno) == ("braintrust.integrations.mistral", logging.WARNING)
    assert "the call itself is not affected" in record.getMessage()
    text = logging.Formatter().format(record)
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError" in text
    assert "in divide" in text


def test_the_same_fault_is_reported_once(faults: list[logging.LogRecord]) -> None:
    assert [divide(number, 0) for number in range(5)] == [-1.0] * 5
    assert len(faults) == 1
    faults.clear()


def test_another_kind_and_another_place_are_other_faults(faults: list[logging.LogRecord]) -> None:
    for error in (ValueError("a"), ValueError("b"), KeyError("a"), ZeroDivisionError()):
        fail(error)
    divide(1, 0)
    reported = [record.exc_info[0] for record in faults if record.exc_info]
    assert reported == [ValueError, KeyError, ZeroDivisionError, ZeroDivisionError]
    faults.clear()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), asyncio.CancelledError()])
def test_what_is_no_fault_of_ours_passes(error: BaseException, faults: list[logging.LogRecord]) -> None:
    with pytest.raises(type(error)) as raised:
        fail(error)
    assert raised.value is error
    assert faults == []


def test_outside_of_an_exception_there_is_nothing_to_report(faults: list[logging.LogRecord]) -> None:
    report_fault()
    assert faults == []


def test_what_was_reported_is_bounded(faults: list[logging.LogRecord]) -> None:
    for number in range(2_000):
        fail(type(f"Error{number}", (Exception,), {})())
    assert len(faults_module._reported) == len(faults) < 2_000
    faults.clear()


@pytest.fixture
def broken_handler() -> Iterator[None]:
    """An application whose logging itself is broken."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record)

    handler = Broken()
    LOGGER.addHandler(handler)
    yield
    LOGGER.removeHandler(handler)


@pytest.mark.usefixtures("broken_handler")
def test_a_fault_that_cannot_be_logged_costs_nothing_either(faults: list[logging.LogRecord]) -> None:
    assert divide(6, 0) == -1.0
    faults.clear()
