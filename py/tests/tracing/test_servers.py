"""Servers that fork, patch, and stop under open streams: real ones, each a process of its own, over real sockets.

What arrived at Braintrust counts, where the server is set up as `docs/servers.md` says.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.conftest import wait_until


pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no server by a signal")

RECIPES = Path(__file__).parents[3] / "docs" / "servers.md"
APPLICATION = """
import os

import braintrust

braintrust.auto_instrument()

try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral

conversations = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"]).beta.conversations
LONG = {"model": "long-stream-10000", "inputs": "long"}
"""
LOGGER = 'braintrust.init_logger(project="my-project")\n'
WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"read"] if environ["PATH_INFO"] == "/short" and not short() else long())

def short():
    dropped = conversations.start_stream(model="plain", inputs="dropped")
    next(dropped)
    del dropped
    for _ in conversations.start_stream(model="plain", inputs="read"):
        pass

def long():
    with conversations.start_stream(**LONG) as stream:
        for event in stream:
            yield event.event.encode()
"""
# Each piece of its code, with two seconds left of the thirty.
LIFESPAN, GEVENT, SYNC = (
    code.replace("- 5)", "- 28)")
    for code in re.findall(r"```python\n(.*?)```", RECIPES.read_text(encoding="utf-8"), re.DOTALL)
)
ASGI = """
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

async def long():
    async with await conversations.start_stream_async(**LONG) as stream:
        async for event in stream:
            yield event.event

async def answer(request):
    return StreamingResponse(long())

application = Starlette(routes=[Route("/", answer)], lifespan=lifespan)
"""


class Server(NamedTuple):
    """A server that runs."""

    process: "subprocess.Popen[bytes]"
    url: str

    def get(self, path: str) -> Any:
        """Ask the server, once it listens, and return its answer, which may still be arriving."""
        port = int(self.url.rpartition(":")[2])
        wait_until(lambda: self.process.poll() is not None or _is_listening(port))
        return urllib.request.urlopen(self.url + path, timeout=60)


def _is_listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def serving(folder: Path, bt: LocalBraintrust, *command: str, pace: float = 5.0, **files: str) -> Iterator[Server]:
    """Run a server on some files; it is gone afterwards, whatever it forked and however it hangs."""
    for name, source in files.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # By default so slow that a worker does not read all the time, as with gevent nothing else would run.
    with LocalMistral(pace=pace) as mistral:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", *(part.format(port=port) for part in command)],
            cwd=folder,
            env={**os.environ, **bt.environment(), "LOCAL_MISTRAL_URL": mistral.url},
            start_new_session=True,
        )
        try:
            yield Server(process, f"http://127.0.0.1:{port}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


def spans_after_a_stop(server: Server, bt: LocalBraintrust) -> dict[str, dict[str, Any]]:
    """Stop a server once it streams an answer, and return the spans that arrived, by their inputs."""
    with server.get("/") as answer:
        arrived = b""
        while b"message.output" not in arrived:
            piece = answer.read1(100)
            assert piece
            arrived += piece
        server.process.terminate()
        server.process.wait(60)
    return {span["input"]: span for span in bt.spans()}


@pytest.fixture
def bt() -> Iterator[LocalBraintrust]:
    with LocalBraintrust() as running:
        yield running


def assert_ended(span: dict[str, Any]) -> None:
    assert "end" in span["metrics"]
    assert span["output"][0]["content"]


def test_uvicorn_that_stops_sends_the_streams_that_it_cancelled(tmp_path: Path, bt: LocalBraintrust) -> None:
    command = ("uvicorn", "served:application", "--port", "{port}", "--timeout-graceful-shutdown", "1")
    with serving(tmp_path, bt, *command, served=APPLICATION + LOGGER + LIFESPAN + ASGI) as server:
        spans = spans_after_a_stop(server, bt)
    assert_ended(spans["long"])
    assert spans["long"]["metadata"]["cancelled"] is True
    assert spans["long"].get("error") is None


GUNICORN = ("gunicorn", "-c", "conf.py", "--preload", "-b", "127.0.0.1:{port}", "--no-control-socket")


@pytest.mark.parametrize(("kind", "conf", "error"), [("gevent", GEVENT, None), ("sync", SYNC, "SystemExit")])
def test_gunicorn_that_preloads_traces_streams_and_sends_what_is_open_when_it_stops(
    kind: str, conf: str, error: str | None, tmp_path: Path, bt: LocalBraintrust
) -> None:
    pytest.importorskip("gunicorn")
    pytest.importorskip("gevent")
    command = (*GUNICORN, "-k", kind, "served:application")
    logger = "" if LOGGER.strip() in conf else LOGGER
    with serving(tmp_path, bt, *command, served=APPLICATION + logger + WSGI, conf=conf) as server:
        for _ in range(2):
            with server.get("/short") as answer:
                assert answer.read() == b"read"
        spans = spans_after_a_stop(server, bt)
    assert len(bt.spans()) == 5
    assert all("end" in span["metrics"] for span in spans.values())
    assert_ended(spans["read"])
    assert_ended(spans["long"])
    assert (error or "None") in str(spans["long"].get("error"))
