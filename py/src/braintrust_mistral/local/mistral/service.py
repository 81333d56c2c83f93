"""A local Mistral: the service, and the table of endpoints that it serves."""

from collections import deque
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from braintrust_mistral.local.mistral.agents import Agents
from braintrust_mistral.local.mistral.audio import Audio
from braintrust_mistral.local.mistral.batch import Batch
from braintrust_mistral.local.mistral.classifiers import Classifiers
from braintrust_mistral.local.mistral.completions import Completions
from braintrust_mistral.local.mistral.conversations import Conversation, Conversations
from braintrust_mistral.local.mistral.documents import Documents
from braintrust_mistral.local.mistral.embeddings import Embeddings
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, received
from braintrust_mistral.local.mistral.errors import RefusedError
from braintrust_mistral.local.mistral.playback import Clock
from braintrust_mistral.local.mistral.realtime import Realtime
from braintrust_mistral.local.mistral.responses import Responses
from braintrust_mistral.local.mistral.retrieval import Retrieval
from braintrust_mistral.local.mistral.wire_faults import WireFaults
from braintrust_mistral.local.mistral.workflows import Workflows
from braintrust_mistral.local.server import LocalServer


KEPT_REQUESTS = 1_000


class LocalMistral(LocalServer):
    """A Mistral on loopback, which real clients of the `mistralai` package talk to.

        with LocalMistral() as mistral:
            client = Mistral(api_key="local", server_url=mistral.url)
            client.beta.conversations.start(model="web-search", inputs="When does the next ferry leave?")
            client.chat.complete(model="thinking", messages=[{"role": "user", "content": "Which ferry?"}])

    The `model` or else the `agent_id` of a request names the scenario that the answer follows; other names get a plain
    answer. Conversations know those of `scenarios`; chat, agents and fill-in-the-middle those of
    `completion_scenarios`; responses those of `response_items`; realtime sessions, for which `websockets` is needed,
    those of `realtime`. Everything but conversations also knows the names in `delivery`, which break off or fail; what
    has neither a model nor an agent goes by the name of its tool, index, library or workflow. A batch job answers each
    request as its endpoint would, and takes two seconds. Any request may ask for one of the faults in `wire_faults`.
    The clients for Azure and for Google Cloud are served as well. Any API key goes.

    Args:
        pace: multiplies all delays: 1.0 is lifelike, 0.0 does not wait.
        clock_offset: how many seconds the service's clock is ahead of ours.
        port: 0 takes a free one.
    """

    def __init__(self, *, pace: float = 1.0, clock_offset: float = 0.0, port: int = 0) -> None:
        self.requests: deque[Received] = deque(maxlen=KEPT_REQUESTS)
        """The latest requests, oldest first."""
        clock = Clock(pace, clock_offset)
        self._conversations = Conversations(clock)
        others = (Completions, Agents, Embeddings, Documents, Audio, Classifiers, Responses, Retrieval, Workflows)
        table = [*self._conversations.endpoints(), *(row for kind in others for row in kind(clock).endpoints())]
        # A batch job takes the time that it takes, however many requests it has.
        instant = Clock(0.0, clock_offset)
        answering = [row for kind in (Conversations, *others) for row in kind(instant).endpoints()]
        table += Batch(clock, answering).endpoints()
        routes = [Route(row.path, self._served(row), methods=[row.method]) for row in table]
        super().__init__([*routes, *Realtime(clock).routes()], port, around=WireFaults)

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
