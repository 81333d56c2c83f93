"""Faults of the wire: what happens to an answer on its way, whatever it says and whichever endpoint gives it.

A request asks for one in its header `X-Local-Fault`, as `reset` or `reset; after=3`. So one call of a conversation
can fail where the others do not, and a real client needs nothing for it but its `http_headers`.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from braintrust_mistral.local.server import ConnectionBrokenError, ConnectionWasResetError, until_gone


HEADER = "X-Local-Fault"
"""The request header that names the fault."""

KEPT_CALLS = 10_000

_REWRITTEN = ("truncated", "malformed", "not-utf8", "wrong-type")


@dataclass(frozen=True)
class WireFault:
    """What happens to an answer.

    A streamed answer arrives in pieces, an event each, the others in one. A fault strikes in the middle of the piece
    with the number `after`, counted from 0, or at the end where there are fewer:

    - `broken`: the connection is closed there. `reset`: it is reset, and what the client has not read yet is lost.
    - `truncated`: the body ends there, as if it were whole.
    - `malformed`: this piece is half a JSON text. `not-utf8`: it is no text at all. The other pieces follow.
    - `stalled`: nothing more comes, until the client goes. `silent`: nothing at all comes.
    - `wrong-type`: all of it arrives, as HTML.
    - `unavailable`: the first `times` requests with this `call`, which any text may be, get a 503.
    """

    kind: str
    after: int = 0
    times: int = 1
    call: str = ""

    @property
    def header(self) -> str:
        """The fault as the value of the header."""
        return f"{self.kind}; after={self.after}; times={self.times}; call={self.call}"

    @classmethod
    def from_header(cls, value: str) -> "WireFault":
        """Return the fault that a header names, or raise `ValueError` for an unknown kind or a malformed number."""
        kind, *given = (part.strip() for part in value.split(";"))
        if kind not in KINDS:
            raise ValueError(f"{HEADER} names an unknown fault: {value!r}")
        parameters = {name: text for name, _, text in (part.partition("=") for part in given)}
        return cls(kind, int(parameters.get("after", 0)), int(parameters.get("times", 1)), parameters.get("call", ""))


KINDS = ("broken", "reset", "stalled", "silent", "unavailable", *_REWRITTEN)
"""All faults, by name."""


class WireFaults:
    """An ASGI application whose answers suffer the faults that their requests name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._refused: OrderedDict[str, int] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        value = dict(scope["headers"]).get(HEADER.lower().encode())
        if value is None:
            return await self._app(scope, receive, send)
        fault = WireFault.from_header(value.decode())
        if fault.kind == "unavailable" and self._refuses(fault):
            return await _refuse(send)
        if fault.kind == "silent":
            return await until_gone(receive)
        return await self._app(scope, receive, _Struck(fault, receive, send).send)

    def _refuses(self, fault: WireFault) -> bool:
        refused = self._refused[fault.call] = self._refused.get(fault.call, 0) + 1
        if len(self._refused) > KEPT_CALLS:
            self._refused.popitem(last=False)
        return refused <= fault.times


class _Struck:
    """An answer that a fault strikes."""

    def __init__(self, fault: WireFault, receive: Receive, send: Send) -> None:
        self._fault = fault
        self._receive = receive
        self._send = send
        self._piece = 0
        self._is_over = False

    async def send(self, message: Message) -> None:
        """Pass a message of the answer on, as far as the fault lets it."""
        if message["type"] == "http.response.start":
            await self._send({**message, "headers": self._headers(message["headers"])})
        elif not self._is_over:
            is_last = not message.get("more_body", False)
            strikes = self._piece == self._fault.after or (is_last and self._piece < self._fault.after)
            self._piece += 1
            await (self._strike(message) if strikes else self._send(message))

    def _headers(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        if self._fault.kind not in _REWRITTEN:
            return headers
        kept = {name: value for name, value in headers if name != b"content-length"}
        if self._fault.kind == "wrong-type":
            kept[b"content-type"] = b"text/html"
        return list(kept.items())

    async def _strike(self, message: Message) -> None:
        kind, content = self._fault.kind, message.get("body", b"")
        half = content[: len(content) // 2]
        if kind == "truncated":
            self._is_over = True
            await self._send({**message, "body": half, "more_body": False})
        elif kind in ("malformed", "not-utf8"):
            spoiled = half if kind == "malformed" else half + b"\xff\xfe"
            end = b"\n\n" if content.endswith(b"\n\n") else b""
            await self._send({**message, "body": spoiled + end})
        elif kind in ("broken", "reset", "stalled"):
            await self._send({**message, "body": half, "more_body": True})
            if kind == "reset":
                raise ConnectionWasResetError("the request asked for a reset")
            if kind == "stalled":
                await until_gone(self._receive)
            raise ConnectionBrokenError("the request asked for a broken connection")
        else:
            await self._send(message)


async def _refuse(send: Send) -> None:
    body = {"object": "error", "message": "Service unavailable", "type": "unreachable_backend", "code": "1100"}
    # As soon as may be, for the clients that look at this.
    headers = [(b"content-type", b"application/json"), (b"retry-after-ms", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
