"""gevent, patched before our import, after it, or in a forked process: streams are read, dropped and ended."""

import os
import subprocess
import sys

import pytest


pytest.importorskip("gevent")

PATCH = "from gevent import monkey; monkey.patch_all()"
IMPORT = """
from tests.helpers.alone import log_to_stdout
from tests.helpers.wire import answer_stream, client_of, says, streamed
import braintrust
"""
TRACE = """
import gevent
logger = log_to_stdout()
client = client_of(lambda request: answer_stream(streamed([says("Bread rises")])))

def read_and_drop():
    stream = client.beta.conversations.start_stream(inputs="Bread?", model="m")
    next(stream)
    del stream
    list(client.beta.conversations.start_stream(inputs="Bread?", model="m"))

readers = [gevent.spawn(read_and_drop) for _ in range(3)]
gevent.joinall(readers, timeout=60, raise_error=True)
assert all(reader.successful() for reader in readers)
braintrust.flush()
os._exit(0)
"""
FORK = """
import os, sys
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
ORDERS = {
    "early": [PATCH, IMPORT, TRACE],
    "late": [IMPORT, PATCH, TRACE],
    "in a forked process": [IMPORT, FORK, PATCH, TRACE],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_streams_are_read_and_end_whenever_gevent_patches(order: list[str]) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", "\n".join(["import os", *order])],
        env={**os.environ, "BRAINTRUST_SYNC_FLUSH": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    ended = [line for line in completed.stdout.splitlines() if '"duration"' in line]
    assert len(ended) == 6
