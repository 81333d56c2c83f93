"""The endpoints that keep agents: as they were defined, one definition for each version."""

import uuid

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.delivery import DELIVERIES, delivery
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object
from braintrust_mistral.local.mistral.errors import RefusedError, validation_error
from braintrust_mistral.local.mistral.playback import Clock, timestamp
from braintrust_mistral.local.mistral.samples import AGENT_MODEL, ANALYST, RESEARCHER


KEPT_AGENTS = 1_000

_NAMES = {agent.id: agent.name for agent in (ANALYST, RESEARCHER)}
_DEFINITION = {"model", "name", "instructions", "tools", "completion_args", "description", "handoffs", "guardrails"}
_ADMINISTRATION = {"metadata", "version_message", "deployment_chat"}


class Agents:
    """The endpoints that define agents, change them, look them up and delete them.

    An id that was never given out is that of one of the sample agents, or else of an agent "clerk". The name or else
    the id of an agent is the name of a delivery.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._agents: dict[str, list[Json]] = {}

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint("POST", "/v1/agents", self._create),
            Endpoint("GET", "/v1/agents/{agent_id}", self._get),
            Endpoint("PATCH", "/v1/agents/{agent_id}", self._update),
            Endpoint("PATCH", "/v1/agents/{agent_id}/version", self._update_version),
            Endpoint("DELETE", "/v1/agents/{agent_id}", self._delete),
        ]

    async def _create(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], {"model", "name"}, _DEFINITION | _ADMINISTRATION)
        return await self._answer(f"ag_{uuid.uuid4().hex}", [body])

    async def _get(self, request: Received) -> Response:
        return await self._answer(*self._agent(request), request.query.get("agent_version"))

    async def _update(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], set(), _DEFINITION | _ADMINISTRATION)
        agent_id, versions = self._agent(request)
        return await self._answer(agent_id, [*versions, {**versions[-1], **body}])

    async def _update_version(self, request: Received) -> Response:
        return await self._answer(*self._agent(request), request.query.get("version"))

    async def _delete(self, request: Received) -> Response:
        agent_id, _ = self._agent(request)
        self._agents.pop(agent_id, None)
        return Response(status_code=204)

    def _agent(self, request: Received) -> tuple[str, list[Json]]:
        """Return the id and the versions of the agent that a request is about."""
        agent_id = request.path_params["agent_id"]
        return agent_id, self._agents.get(agent_id, [{"model": AGENT_MODEL, "name": _NAMES.get(agent_id, "clerk")}])

    async def _answer(self, agent_id: str, versions: list[Json], wanted: str | None = None) -> Response:
        """Return the agent, in the version that is wanted or else in its latest."""
        self._agents[agent_id] = versions
        while len(self._agents) > KEPT_AGENTS:
            del self._agents[next(iter(self._agents))]
        version = len(versions) - 1 if wanted is None else int(wanted) if wanted.isdecimal() else -1
        if not 0 <= version < len(versions):
            raise RefusedError(validation_error("value_error", ["query", "version"], "No such version", wanted))
        definition = versions[version]
        now = timestamp(self._clock.now())
        agent: Json = {
            "instructions": None,
            "tools": [],
            "completion_args": {},
            "description": None,
            "handoffs": None,
            "metadata": None,
            **definition,
            "object": "agent",
            "id": agent_id,
            "version": version,
            "versions": list(range(len(versions))),
            "created_at": now,
            "updated_at": now,
            "deployment_chat": definition.get("deployment_chat", False),
            "source": "api",
        }
        names = (definition["name"], agent_id)
        name = next((name for name in names if name in DELIVERIES), "")
        return await delivery(name).response(agent, self._clock)
