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


@pytest.fixture
def bt() -> Iterator[LocalBraintrust]:
    with LocalBraintrust() as service:
        yield service


def named(spans: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(span for span in spans if span["span_attributes"]["name"] == name)


def send(bt: LocalBraintrust, *rows: dict[str, Any]) -> None:
    requests.post(f"{bt.url}/logs3", json={"rows": rows, "api_version": 2}, timeout=10).raise_for_status()


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
