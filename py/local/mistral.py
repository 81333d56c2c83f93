"""A local Mistral: the service, and the table of endpoints that it serves."""

from collections import deque
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.conversations import Conversation, Conversations
from local.endpoints import Endpoint, Received, received
from local.errors import RefusedError
from local.playback import Clock
from local.server import LocalServer


KEPT_REQUESTS = 1_000


class LocalMistral(LocalServer):
    """A Mistral on loopback, which real clients of the `mistralai` package talk to.

        with LocalMistral() as mistral:
            client = Mistral(api_key="local", server_url=mistral.url)
            client.beta.conversations.start(model="web-search", inputs="When does the next ferry leave?")

    The `model` or else the `agent_id` of a request names the scenario (`local.scenarios`) that the conversation
    follows; other names get a plain answer. Any API key goes. `pace` multiplies all delays: 1.0 is lifelike, 0.0 does
    not wait. `clock_offset` is how many seconds the service's clock is ahead of ours.
    """

    def __init__(self, *, pace: float = 1.0, clock_offset: float = 0.0, port: int = 0) -> None:
        self.requests: deque[Received] = deque(maxlen=KEPT_REQUESTS)
        """The latest requests, oldest first."""
        self._conversations = Conversations(Clock(pace, clock_offset))
        table = self._conversations.endpoints()
        super().__init__([Route(row.path, self._served(row), methods=[row.method]) for row in table], port)

    @property
    def conversations(self) -> dict[str, Conversation]:
        """The conversations, by id. Setting one's `scenario` decides what its next append or restart gets."""
        return self._conversations.stored

    def _served(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            arrived = await received(request)
            self.requests.append(arrived)
            try:
                return await endpoint.serve(arrived)
            except RefusedError as refusal:
                return JSONResponse(refusal.failure.body, refusal.failure.status)

        return serve
