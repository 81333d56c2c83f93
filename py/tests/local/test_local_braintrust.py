import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from braintrust_mistral.local import LocalBraintrust
from braintrust_mistral.local.braintrust import service as service_module
from tests.helpers.rows import send


# An application in a process of its own: the SDK logs in once and for all.
APPLICATION = """
import braintrust
from braintrust import Attachment

logger = braintrust.init_logger(project="demo")
with logger.start_span(name="parent", type="task", tags=["first"]) as parent:
    parent.log(input={"question": "when?"}, metadata={"request": {"model": "plain"}})
    braintrust.flush()
    with parent.start_span(name="child", type="tool") as child:
        child.log(output="at noon")
    image = Attachment(data=b"pixels", filename="image.png", content_type="image/png")
    parent.log(output={"image": image}, metadata={"request": {"stream": False}}, tags=["second"])
braintrust.flush()
experiment = braintrust.init(project="demo", experiment="trial")
experiment.log(input=1, output=2, scores={"exact": 1.0})
braintrust.flush()
"""


@pytest.fixture(scope="module")
def logged() -> Iterator[LocalBraintrust]:
    with LocalBraintrust() as bt:
        environment = {**os.environ, **bt.environment()}
        ran = subprocess.run(
            [sys.executable, "-c", APPLICATION],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "rror" not in ran.stderr
        yield bt


def named(spans: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(span for span in spans if span["span_attributes"]["name"] == name)


def test_spans_arrive_as_trees(logged: LocalBraintrust) -> None:
    spans = logged.spans()
    parent, child = named(spans, "parent"), named(spans, "child")
    assert child["span_parents"] == [parent["span_id"]]
    assert child["output"] == "at noon"
    assert {"start", "end"} <= parent["metrics"].keys()


def test_rows_of_one_span_are_merged_in_depth(logged: LocalBraintrust) -> None:
    parent = named(logged.spans(), "parent")
    assert parent["metadata"] == {"request": {"model": "plain", "stream": False}}
    assert parent["tags"] == ["first", "second"]
    assert parent["input"] == {"question": "when?"}
    assert sum(row["id"] == parent["id"] for row in logged.rows) > 1


def test_attachments_are_uploaded(logged: LocalBraintrust) -> None:
    reference = named(logged.spans(), "parent")["output"]["image"]
    assert reference["filename"] == "image.png"
    assert logged.attachments == {reference["key"]: b"pixels"}


def test_experiments_are_logged_too(logged: LocalBraintrust) -> None:
    assert [span["scores"] for span in logged.spans() if "experiment_id" in span] == [{"exact": 1.0}]


def test_a_row_without_merge_replaces_and_a_merge_keeps_the_beginning(bt: LocalBraintrust) -> None:
    send(bt, {"id": "a", "created": "1", "input": {"x": 1}}, {"id": "b", "input": 1})
    send(bt, {"id": "a", "created": "2", "input": {"y": 2}, "_is_merge": True}, {"id": "b", "output": 2})
    assert bt.spans() == [{"id": "a", "created": "1", "input": {"x": 1, "y": 2}}, {"id": "b", "output": 2}]
    assert [row["id"] for row in bt.rows] == ["a", "b", "a", "b"]


@pytest.mark.parametrize("outage", ["silent", "held"])
def test_an_outage_may_be_an_answer_that_does_not_come(bt: LocalBraintrust, outage: Any) -> None:
    bt.outage = outage
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{bt.url}/version", timeout=0.1)
    bt.outage = None
    send(bt, {"id": "a"})
    assert bt.arrived == 2


def test_what_is_held_is_answered_in_the_end(bt: LocalBraintrust) -> None:
    bt.outage = "held"
    with ThreadPoolExecutor() as pool:
        sent = pool.submit(send, bt, {"id": "a"})
        while not bt.arrived:
            time.sleep(0.001)
        assert bt.rows == []
        bt.outage = None
        sent.result()
    assert bt.rows == [{"id": "a"}]


def test_an_outage_may_be_an_error(bt: LocalBraintrust) -> None:
    bt.outage = "errors"
    with pytest.raises(requests.HTTPError, match="500"):
        send(bt, {"id": "a"})
    bt.outage = None
    send(bt, {"id": "b"})
    assert bt.rows == [{"id": "b"}]


def test_an_outage_may_be_partial(bt: LocalBraintrust) -> None:
    bt.outage, bt.outage_at = "errors", "/attachment"
    send(bt, {"id": "a"})
    assert requests.put(f"{bt.url}/attachment/key", data=b"x", timeout=10).status_code == 500
    assert (bt.rows, bt.attachments) == ([{"id": "a"}], {})


def test_before_it_is_started_it_takes_connections_and_says_nothing() -> None:
    bt = LocalBraintrust()
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{bt.url}/version", timeout=0.1)
    with bt:
        send(bt, {"id": "a"})


def test_clear_forgets_everything(bt: LocalBraintrust) -> None:
    send(bt, {"id": "a"})
    requests.put(f"{bt.url}/attachment/key", data=b"x", timeout=10).raise_for_status()
    assert bt.attachments == {"key": b"x"}
    bt.clear()
    assert (bt.rows, bt.spans(), bt.attachments) == ([], [], {})


KEY = {"Authorization": "Bearer invented"}
ROWS = {"rows": [{"id": "a"}], "api_version": 2}


@pytest.fixture
def guarded() -> Iterator[LocalBraintrust]:
    with LocalBraintrust(api_key="invented") as service:
        yield service


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (KEY, 200),
        ({}, 401),
        ({"Authorization": "Bearer sk-real"}, 401),
        ({"Authorization": "Bearer ß"}, 401),
        # What a page of someone else's sends here when its name leads to this machine.
        ({**KEY, "Host": "evil.example"}, 400),
        ({**KEY, "Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_it_takes_its_own_key_only(guarded: LocalBraintrust, headers: dict[str, str], status: int) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    content = json.dumps(ROWS).encode()
    data = iter([content]) if "Transfer-Encoding" in headers else content
    response = requests.post(f"{guarded.url}/logs3", headers=encoded, data=data, timeout=10)
    assert response.status_code == status
    assert len(guarded.rows) == (status == 200)


def test_uploads_have_an_address_that_only_key_holders_are_told(guarded: LocalBraintrust) -> None:
    assert requests.put(f"{guarded.url}/attachment/mine", data=b"x", timeout=10).status_code == 401
    told = requests.post(f"{guarded.url}/attachment", headers=KEY, json={"key": "mine"}, timeout=10).json()
    assert requests.put(told["signedUrl"], data=b"x", timeout=10).status_code == 200
    assert guarded.attachments == {"mine": b"x"}


def test_a_request_has_a_largest_size(guarded: LocalBraintrust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "MAX_REQUEST_BYTES", 10)
    assert requests.post(f"{guarded.url}/logs3", headers=KEY, json=ROWS, timeout=10).status_code == 413
    assert guarded.rows == []


def test_attachments_are_kept_up_to_a_size(bt: LocalBraintrust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "KEPT_ATTACHMENT_BYTES", 5)
    for key in "abc":
        requests.put(f"{bt.url}/attachment/{key}", data=key * 2, timeout=10).raise_for_status()
    assert bt.attachments == {"b": b"bb", "c": b"cc"}


def test_a_browser_gets_in_by_the_address_of_the_page(guarded: LocalBraintrust) -> None:
    with requests.Session() as browser:
        assert browser.get(f"{guarded.url}/version", timeout=10).status_code == 401
        assert browser.get(f"{guarded.url}/?key=guess", timeout=10).status_code == 401
        came = browser.get(guarded.page_url, timeout=10, allow_redirects=False)
        assert (came.status_code, came.headers["location"]) == (307, "/")
        assert "HttpOnly" in came.headers["set-cookie"]
        assert "SameSite=strict" in came.headers["set-cookie"]
        assert browser.get(f"{guarded.url}/version", timeout=10).status_code == 200
    with LocalBraintrust() as open_to_all:
        assert open_to_all.page_url == open_to_all.url


TWICE = """
import os, braintrust
from braintrust_mistral.local import LocalBraintrust

for name in ("first", "second"):
    with LocalBraintrust() as bt:
        os.environ.update(bt.environment())
        logger = braintrust.init_logger(project="demo")
        with logger.start_span(name=name):
            pass
        braintrust.flush()
        print([span["span_attributes"]["name"] for span in bt.spans()])
"""


def test_a_second_one_in_the_same_process_gets_what_is_logged_then() -> None:
    ran = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "['first']\n['second']\n"
    assert ran.stderr == ""


def test_the_services_say_that_a_port_is_taken(bt: LocalBraintrust) -> None:
    command = [sys.executable, "-m", "braintrust_mistral.local", "--mistral-port", "0", "--braintrust-port"]
    ran = subprocess.run([*command, str(bt.port)], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"Port {bt.port} of 127.0.0.1 cannot be had: Address already in use.")
    assert "Traceback" not in ran.stderr
