"""gevent and eventlet, patched before our import, after it, or in a forked process: streams are read and ended."""

import os

import pytest

from tests.helpers.alone import run_python


GEVENT = "from gevent import monkey; monkey.patch_all()"
EVENTLET = "import eventlet; eventlet.monkey_patch()"
IMPORT = """
from tests.helpers.alone import log_to_stdout
from tests.helpers.wire import answer_stream, client_of, says, streamed
import braintrust
"""
TRACE = """
logger = log_to_stdout()
client = client_of(lambda request: answer_stream(streamed([says("Bread rises")])))

def read_and_drop():
    stream = client.beta.conversations.start_stream(inputs="Bread?", model="m")
    next(stream)
    del stream
    return list(client.beta.conversations.start_stream(inputs="Bread?", model="m"))
"""
WITH_GEVENT = """
import gevent

readers = [gevent.spawn(read_and_drop) for _ in range(3)]
gevent.joinall(readers, timeout=60, raise_error=True)
assert all(reader.value for reader in readers)
"""
WITH_EVENTLET = """
import eventlet

readers = [eventlet.spawn(read_and_drop) for _ in range(3)]
with eventlet.Timeout(60):
    assert all(reader.wait() for reader in readers)
"""
FLUSH = """
braintrust.flush()
os._exit(0)
"""
FORK = """
import os, sys
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
LIBRARIES = {"gevent": (GEVENT, WITH_GEVENT), "eventlet": (EVENTLET, WITH_EVENTLET)}


FORKED = pytest.param(
    "in a forked process", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
)


@pytest.mark.parametrize("order", ["early", "late", FORKED])
@pytest.mark.parametrize("library", LIBRARIES)
def test_streams_are_read_and_end_whenever_threads_are_patched(library: str, order: str) -> None:
    pytest.importorskip(library)
    patch, read = LIBRARIES[library]
    begin = {"early": [patch, IMPORT], "late": [IMPORT, patch], "in a forked process": [IMPORT, FORK, patch]}[order]
    completed = run_python("\n".join(["import os", *begin, TRACE, read, FLUSH]))
    ended = [line for line in completed.stdout.splitlines() if '"duration"' in line]
    assert len(ended) == 6
