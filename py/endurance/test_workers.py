"""A gevent worker of gunicorn, forked from a master that had imported all: many visitors at once, no span lost."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from braintrust_mistral.local import LocalBraintrust
from endurance.plan import IS_FULL
from tests.tracing.test_servers import APPLICATION, GEVENT, GUNICORN, LOGGER, WSGI, serving


VISITORS = 16
REQUESTS = 2_000 if IS_FULL else 64


def test_a_gevent_worker_ends_all_streams_of_many_visitors(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    pytest.importorskip("gevent")
    command = (*GUNICORN, "-k", "gevent", "served:application")
    with (
        LocalBraintrust() as bt,
        serving(tmp_path, bt, *command, pace=0.0, served=APPLICATION + LOGGER + WSGI, conf=GEVENT) as server,
    ):

        def visit(_: int) -> bytes:
            with server.get("/short") as answer:
                return answer.read()

        visit(0)
        with ThreadPoolExecutor(VISITORS) as visitors:
            assert set(visitors.map(visit, range(REQUESTS))) == {b"read"}
        server.process.terminate()
        assert server.process.wait(120) == 0
        ends = Counter(row["span_id"] for row in bt.rows if "end" in row.get("metrics", {}))
        spans = bt.spans()
    assert Counter(span["input"] for span in spans) == {"read": REQUESTS + 1, "dropped": REQUESTS + 1}
    assert ends == {span["span_id"]: 1 for span in spans}
