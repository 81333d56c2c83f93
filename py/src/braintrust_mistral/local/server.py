"""A Starlette application on loopback, served from a thread of its own: what both local services stand on."""

import importlib.util
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import Self, override


_logger = logging.getLogger(__name__)


class ConnectionBrokenError(Exception):
    """Raised while a response is being sent to break the connection there."""


class ConnectionWasResetError(ConnectionBrokenError):
    """Raised while a response is being sent to reset the connection there: what was not read yet is lost."""


async def until_gone(receive: Receive) -> None:
    """Wait until the client of a request has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Server(uvicorn.Server):
    """A server whose end is the end of its connections."""

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # From Python 3.12 on, even a forced exit waits for open connections, which may stream for minutes.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


class LocalServer:
    """An HTTP service on 127.0.0.1 for the length of a `with` block.

    The address is fixed when the object is made: `url` is valid before `start()`, and a port of 0 takes a free one.
    `start()` returns when requests are answered; `stop()` also cuts the streams that are still open. A stopped service
    cannot be started again.
    """

    def __init__(
        self, routes: Sequence[BaseRoute], port: int = 0, around: Callable[[ASGIApp], ASGIApp] = lambda app: app
    ) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # Uvicorn reports connections that are meant to break as errors, hence "critical": we report our own.
        app = self._reporting(around(Starlette(routes=routes)))
        # Of the implementations over `websockets`, the other one is deprecated.
        has_websockets = importlib.util.find_spec("websockets") is not None
        websocket = "websockets-sansio" if has_websockets else "none"
        config = uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off", ws=websocket)
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._serve, name=type(self).__name__, daemon=True)

    def start(self) -> Self:
        """Start serving, and return the service itself."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError(f"{type(self).__name__} did not start on {self.url}")
            time.sleep(0.001)
        return self

    def stop(self) -> None:
        """Stop serving. Clients in the middle of a stream see their connection break."""
        self._server.force_exit = True
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def _reporting(self, app: ASGIApp) -> ASGIApp:
        async def report(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app(scope, receive, send)
            except ConnectionWasResetError:
                self._reset(scope["client"])
                raise
            except (ConnectionBrokenError, ClientDisconnect):
                raise
            except Exception:
                _logger.exception("%s %s failed", scope["method"], scope["path"])
                raise

        return report

    def _reset(self, client: tuple[str, int]) -> None:
        for connection in list(self._server.server_state.connections):
            transport = connection.transport
            if transport.get_extra_info("peername") == client:
                # Closed without lingering, a connection is reset.
                no_linger = struct.pack("ii", 1, 0)
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
                transport.abort()
