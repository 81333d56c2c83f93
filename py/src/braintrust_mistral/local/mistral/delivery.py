"""How an answer reaches the client, whatever it says: after a while, whole or broken off, or as an error.

The endpoints beside the conversations all know these deliveries by model name. What an answer says is a table of
their own.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import JSONResponse, Response, StreamingResponse

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Failure
from braintrust_mistral.local.mistral.errors import API_FAILURES, RefusedError, api_error
from braintrust_mistral.local.mistral.playback import Clock
from braintrust_mistral.local.server import ConnectionBrokenError


Step: TypeAlias = tuple[float, bytes]
"""A piece of a stream, and the seconds from the first piece to it."""


@dataclass(frozen=True)
class Delivery:
    """A way for answers to arrive.

    `wait` is the time in seconds before the first byte. A `refusal` is an HTTP error; so is a `failure`, but in a
    stream it comes half-way, as an event. `breaks` ends the connection half-way instead.
    """

    wait: float = 0.15
    refusal: Failure | None = None
    failure: Failure | None = None
    breaks: bool = False

    async def response(self, body: Json, clock: Clock, seconds: float = 0.0) -> Response:
        """Return a whole answer, which took `seconds` to make."""
        if failure := self.refusal or self.failure:
            raise RefusedError(failure)
        await asyncio.sleep((self.wait + seconds) * clock.pace)
        return broken_off(body) if self.breaks else JSONResponse(body)

    def stream(self, steps: Sequence[Step], clock: Clock, failed: Callable[[Failure], bytes]) -> Response:
        """Return an answer as server-sent events; `failed` writes the event of a failure."""
        if self.refusal:
            raise RefusedError(self.refusal)
        return StreamingResponse(self._events(steps, clock, failed), media_type="text/event-stream")

    async def _events(
        self, steps: Sequence[Step], clock: Clock, failed: Callable[[Failure], bytes]
    ) -> AsyncIterator[bytes]:
        if self.failure or self.breaks:
            steps = steps[: len(steps) // 2]
        async for event in clock.paced((self.wait + offset, event) for offset, event in steps):
            yield event
        if self.breaks:
            raise ConnectionBrokenError("this scenario breaks the connection")
        if self.failure:
            yield failed(self.failure)


def delivery(name: str) -> Delivery:
    """Return the delivery of that name, else the usual one."""
    return DELIVERIES.get(name, Delivery())


def server_sent(data: Json, event: str | None = None) -> bytes:
    """Return an event in the format of server-sent events."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def broken_off(body: Json) -> Response:
    """Return a response whose connection breaks in the middle of its body."""

    async def half() -> AsyncIterator[str]:
        content = json.dumps(body)
        yield content[: len(content) // 2]
        raise ConnectionBrokenError("this scenario breaks the connection")

    return StreamingResponse(half(), media_type="application/json")


DELIVERIES: dict[str, Delivery] = {
    "slow": Delivery(wait=3.0),
    "broken": Delivery(breaks=True),
    "error-event": Delivery(failure=api_error(500, "Internal server error", "internal_server_error", "1000")),
    **{f"http-{failure.status}": Delivery(refusal=failure) for failure in API_FAILURES},
}
