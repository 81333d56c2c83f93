"""Braintrust is slow, or out of order, or gone: the application does not notice, and what can arrive later does.

How often and how long the SDK tries to deliver is the SDK's affair: what is expected here is what it does with any
other span. So each outage ends before it gives up.
"""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import braintrust
import pytest
import requests

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.braintrust.service import Outage
from endurance import leftovers, outage_calls
from endurance.conftest import logging_to
from tests.conftest import wait_until
from tests.helpers.spans import without_identity


Shown: TypeAlias = list[tuple[Any, ...]]
Span: TypeAlias = dict[str, Any]

pytestmark = pytest.mark.usefixtures("faults")


@pytest.fixture(autouse=True)
def retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen seconds, for machines with much to do: the SDK waits for 1 s, then 2, 4, and 8."""
    monkeypatch.setenv("BRAINTRUST_NUM_RETRIES", "4")


class Whole(NamedTuple):
    """What the calls give, what the spans of them show, and the attachments in these."""

    came: list[str]
    spans: Shown
    attachments: list[bytes]


def whole(came: list[str], bt: LocalBraintrust) -> Whole:
    return Whole(came, shown(bt.spans()), list(bt.attachments.values()))


@pytest.fixture(scope="module")
def undisturbed(mistral: LocalMistral) -> Whole:
    """What there is where Braintrust is in order."""
    with LocalBraintrust() as bt, logging_to(bt):
        came = outage_calls.calls(mistral.url)
        flush()
        result = whole(came, bt)
    assert result.attachments == [outage_calls.PICTURE]
    return result


def flush() -> None:
    """Have the SDK send everything, that of a stream included which was dropped, and is ended by another thread."""
    wait_until(lambda: not leftovers.streams())
    braintrust.flush()


def shown(spans: list[Span]) -> Shown:
    """What spans show their reader, in an order of their own."""
    names = {span["span_id"]: span["span_attributes"]["name"] for span in spans}
    rows = [
        (
            span["span_attributes"]["name"],
            [names[parent] for parent in span.get("span_parents") or ()],
            without_keys(span.get("input")),
            without_keys(span.get("output")),
            str(span.get("error")).strip().splitlines()[-1],
            "end" in span["metrics"],
        )
        for span in spans
    ]
    return sorted(rows, key=json.dumps)


def without_keys(value: Any) -> Any:
    """A value without ids and times, those of attachments included."""
    text = json.dumps(without_identity(value))
    return json.loads(text, object_hook=lambda item: {key: item[key] for key in item if key != "key"})


@pytest.fixture
def port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number: int = listener.getsockname()[1]
    return number


@contextlib.contextmanager
def log_in_first(bt: LocalBraintrust) -> Iterator[None]:
    """Log to this Braintrust, in which it has the project already."""
    with logging_to(bt):
        with braintrust.start_span(name="before"):
            pass
        braintrust.flush()
        bt.clear()
        bt.arrived = 0
        yield


@pytest.mark.parametrize(
    ("outage", "logging_in"),
    [
        pytest.param("errors", log_in_first, id="errors"),
        pytest.param("errors", logging_to, id="errors from the start"),
        pytest.param("held", log_in_first, id="late"),
        pytest.param("held", logging_to, id="late from the start"),
        # The SDK gives up waiting, and tries again.
        pytest.param("silent", log_in_first, id="never"),
    ],
)
def test_an_answer_that_is_an_error_or_late_or_never_comes(
    outage: Outage, logging_in: Any, mistral: LocalMistral, undisturbed: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    if outage == "silent":
        monkeypatch.setenv("BRAINTRUST_HTTP_TIMEOUT", "0.2")
    with LocalBraintrust() as bt, logging_in(bt):
        bt.outage = outage
        came = outage_calls.calls(mistral.url)
        # Not one span has arrived, and every call has been answered.
        assert (bt.rows, bt.attachments) == ([], {})
        wait_until(lambda: bt.arrived > 0)
        bt.outage = None
        flush()
        assert whole(came, bt) == undisturbed


def test_nobody_listens(mistral: LocalMistral, undisturbed: Whole, port: int) -> None:
    bt = LocalBraintrust(port=port).start()
    with log_in_first(bt):
        bt.stop()
        came = outage_calls.calls(mistral.url)
        with LocalBraintrust(port=port) as again:
            flush()
            assert whole(came, again) == undisturbed


def test_it_takes_connections_and_says_nothing(mistral: LocalMistral, undisturbed: Whole, port: int) -> None:
    """From the start: not even the login is answered, until Braintrust is there."""
    bt = LocalBraintrust(port=port)
    with logging_to(bt):
        came = outage_calls.calls(mistral.url)
        with bt:
            flush()
            assert whole(came, bt) == undisturbed


def test_attachments_that_cannot_be_uploaded(mistral: LocalMistral, undisturbed: Whole) -> None:
    """The SDK tries once. The spans arrive, with references to attachments that did not."""
    with LocalBraintrust() as bt, logging_to(bt):
        bt.outage, bt.outage_at = "errors", "/attachment"
        came = outage_calls.calls(mistral.url)
        # Who flushes is told; whether that is this thread or the SDK's depends on which comes first.
        with contextlib.suppress(Exception):
            flush()
        wait_until(lambda: shown(bt.spans()) == undisturbed.spans)
        assert whole(came, bt) == undisturbed._replace(attachments=[])


def test_an_outage_that_outlasts_the_sdk(
    mistral: LocalMistral, undisturbed: Whole, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the SDK gave up is on the disk, where it was told to keep it; sent again, it is all there."""
    monkeypatch.setenv("BRAINTRUST_NUM_RETRIES", "0")
    monkeypatch.setenv("BRAINTRUST_FAILED_PUBLISH_PAYLOADS_DIR", str(tmp_path))
    with LocalBraintrust() as bt, log_in_first(bt):
        bt.outage, bt.outage_at = "errors", "/logs3"
        came = outage_calls.calls(mistral.url)
        flush()
        assert (came, shown(kept(tmp_path))) == undisturbed[:2]
        assert bt.rows == []


def kept(folder: Path) -> list[Span]:
    """The spans in the payloads that the SDK could not deliver, merged as if they had been."""
    with LocalBraintrust() as bt:
        # A name begins with the time.
        for payload in sorted(folder.iterdir()):
            requests.post(f"{bt.url}/logs3", data=payload.read_bytes(), timeout=10).raise_for_status()
        return bt.spans()
