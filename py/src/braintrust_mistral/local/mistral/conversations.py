"""The Conversations endpoints, over conversations in memory."""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.responses import JSONResponse, Response, StreamingResponse

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Decision, Failure, Turn
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, is_object, json_object, json_objects
from braintrust_mistral.local.mistral.errors import RefusedError, error, validation_error
from braintrust_mistral.local.mistral.exchange import Exchange
from braintrust_mistral.local.mistral.playback import Clock, Playback, new_id, timestamp
from braintrust_mistral.local.mistral.samples import AGENT_MODEL
from braintrust_mistral.local.mistral.scenarios import scenario


_ROOT = "/v1/conversations"
_ONE = "/v1/conversations/{conversation_id}"

_APPEND_FIELDS = {"inputs", "stream", "store", "handoff_execution", "completion_args", "tool_confirmations"}
_RESTART_FIELDS = _APPEND_FIELDS - {"tool_confirmations"} | {
    "from_entry_id",
    "guardrails",
    "metadata",
    "agent_version",
}
_REQUIRED_OF_INPUTS = {
    "message.input": {"role", "content"},
    "function.call": {"tool_call_id", "name", "arguments"},
    "function.result": {"tool_call_id", "result"},
}
_ID_PREFIXES = {
    "function.call": "fc",
    "function.result": "fr",
    "tool.execution": "tool_exec",
    "agent.handoff": "handoff",
}
_AGENT_SETTINGS = {"agent_id", "agent_version", "name", "description", "metadata"}
_MODEL_SETTINGS = {
    "model",
    "instructions",
    "tools",
    "completion_args",
    "guardrails",
    "name",
    "description",
    "metadata",
}


@dataclass
class Conversation:
    """A conversation: who answers and how, and all entries so far. A test may set `scenario` for the turns to come."""

    id: str
    scenario: str
    settings: Json
    entries: list[Json]
    created_at: datetime
    updated_at: datetime

    def author(self) -> Json:
        """Return who authors an answer, as its entries name it."""
        if "agent_id" in self.settings:
            return {"model": AGENT_MODEL, "agent_id": self.settings["agent_id"]}
        return {"model": self.settings["model"]}

    def described(self) -> Json:
        """Return the conversation as `get` and `list` show it."""
        times = {"created_at": timestamp(self.created_at), "updated_at": timestamp(self.updated_at)}
        return {"object": "conversation", "id": self.id, **times, **self.settings}

    def unsettled(self) -> dict[str, Json]:
        """Return the function calls without a result or a decision, by `tool_call_id`."""
        results = {entry["tool_call_id"] for entry in self.entries if entry["type"] == "function.result"}
        return {
            entry["tool_call_id"]: entry
            for entry in self.entries
            if entry["type"] == "function.call"
            and entry.get("tool_call_id") not in results
            and entry.get("confirmation_status") in (None, "pending")
        }


class Conversations:
    """The conversations of one service, and the endpoints that start, continue and show them."""

    def __init__(self, clock: Clock) -> None:
        self.stored: dict[str, Conversation] = {}
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints. Streamed calls go to the same: a `#stream` in the SDKs' paths never leaves them."""
        return [
            Endpoint("POST", _ROOT, self._start),
            Endpoint("GET", _ROOT, self._list),
            Endpoint("GET", _ONE, self._get),
            Endpoint("POST", _ONE, self._append),
            Endpoint("DELETE", _ONE, self._delete),
            Endpoint("GET", f"{_ONE}/history", self._history),
            Endpoint("GET", f"{_ONE}/messages", self._messages),
            Endpoint("POST", f"{_ONE}/restart", self._restart),
        ]

    async def _start(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"inputs"})
        name = body.get("agent_id") or body.get("model")
        if not isinstance(name, str):
            message = "Either model or agent_id is required"
            raise RefusedError(validation_error("missing", ["body", "model"], message, body))
        kept = _AGENT_SETTINGS if "agent_id" in body else _MODEL_SETTINGS
        return await self._answer(self._new(name, {key: body[key] for key in kept & body.keys()}, []), body)

    async def _append(self, request: Received) -> Response:
        conversation = self._found(request)
        body = json_object(request.body, ["body"], required=set(), allowed=_APPEND_FIELDS)
        if body.get("store") is False:
            conversation = replace(conversation, entries=[dict(entry) for entry in conversation.entries])
        return await self._answer(conversation, body)

    async def _restart(self, request: Received) -> Response:
        origin = self._found(request)
        body = json_object(request.body, ["body"], required={"from_entry_id"}, allowed=_RESTART_FIELDS)
        ids = [entry["id"] for entry in origin.entries]
        if body["from_entry_id"] not in ids:
            raise RefusedError(error(404, f"Entry {body['from_entry_id']} not found in conversation {origin.id}"))
        kept = [dict(entry) for entry in origin.entries[: ids.index(body["from_entry_id"]) + 1]]
        changes = {key: body[key] for key in ("completion_args", "guardrails", "metadata") if key in body}
        return await self._answer(self._new(origin.scenario, origin.settings | changes, kept), body)

    async def _list(self, request: Received) -> Response:
        page, size = int(request.query.get("page", 0)), int(request.query.get("page_size", 100))
        wanted = json.loads(request.query.get("metadata", "{}"))
        if not is_object(wanted):
            # The SDKs send the text of their "unset" marker where no metadata is asked for.
            wanted = {}
        matching = [
            conversation.described()
            for conversation in self.stored.values()
            if wanted.items() <= conversation.settings.get("metadata", {}).items()
        ]
        return JSONResponse(matching[page * size : (page + 1) * size])

    async def _get(self, request: Received) -> Response:
        return JSONResponse(self._found(request).described())

    async def _delete(self, request: Received) -> Response:
        del self.stored[self._found(request).id]
        return Response(status_code=204)

    async def _history(self, request: Received) -> Response:
        conversation = self._found(request)
        shown = {"object": "conversation.history", "conversation_id": conversation.id}
        return JSONResponse({**shown, "entries": conversation.entries})

    async def _messages(self, request: Received) -> Response:
        conversation = self._found(request)
        messages = [entry for entry in conversation.entries if entry["type"].startswith("message.")]
        shown = {"object": "conversation.messages", "conversation_id": conversation.id}
        return JSONResponse({**shown, "messages": messages})

    async def _answer(self, conversation: Conversation, body: Json) -> Response:
        """Take a turn: check and keep the inputs, then answer as the conversation's scenario does."""
        inputs = _entries(body.get("inputs", []), self._clock.now())
        results = [entry["result"] for entry in inputs if entry["type"] == "function.result"]
        decisions = _decisions(conversation, inputs, body.get("tool_confirmations", []))
        outcome = scenario(conversation.scenario)(Turn(results, decisions, _said(inputs)))
        if isinstance(outcome, Failure):
            raise RefusedError(outcome)
        if body.get("store") is not False:
            self.stored[conversation.id] = conversation
        conversation.entries += inputs
        conversation.updated_at = self._clock.now()
        playback = Playback(outcome, conversation.author(), self._clock)
        exchange = Exchange(conversation.id, conversation.entries, outcome, playback, self._clock)
        if body.get("stream"):
            return StreamingResponse(exchange.stream(), media_type="text/event-stream")
        return await exchange.response()

    def _new(self, scenario_name: str, settings: Json, entries: list[Json]) -> Conversation:
        now = self._clock.now()
        return Conversation(new_id("conv", now), scenario_name, settings, entries, now, now)

    def _found(self, request: Received) -> Conversation:
        conversation_id = request.path_params["conversation_id"]
        if conversation_id not in self.stored:
            raise RefusedError(error(404, f"Conversation {conversation_id} not found"))
        return self.stored[conversation_id]


def _entries(inputs: object, now: datetime) -> list[Json]:
    """Return inputs as entries of the history. Clients may leave a type out, which then shows in the other fields."""
    if isinstance(inputs, str):
        inputs = [{"role": "user", "content": inputs}]
    entries: list[Json] = []
    # Replayed entries arrive with null ids and times.
    for index, given in enumerate(json_objects(inputs, ["body", "inputs"])):
        kind = given.get("type") or ("function.result" if "result" in given else "message.input")
        json_object(given, ["body", "inputs", index], required=_REQUIRED_OF_INPUTS.get(kind, set()))
        added = {"object": "entry", "type": kind, "created_at": timestamp(now), "completed_at": None}
        entries.append({**added, "id": new_id(_ID_PREFIXES.get(kind, "msg"), now), **given})
    return entries


def _decisions(conversation: Conversation, inputs: list[Json], confirmations: object) -> list[Decision]:
    """Settle the calls that the conversation waits for, all of them in one turn; a 400 where one is left."""
    waiting = conversation.unsettled()
    location: list[str | int] = ["body", "tool_confirmations"]
    given = [
        json_object(item, location, required={"tool_call_id", "confirmation"})
        for item in json_objects(confirmations, location)
    ]
    allowed = {item["tool_call_id"]: item["confirmation"] == "allow" for item in given}
    results = {entry["tool_call_id"] for entry in inputs if entry["type"] == "function.result"}
    if unknown := sorted(allowed.keys() - waiting.keys()):
        raise RefusedError(error(400, f"No pending tool calls with ids: {unknown}"))
    if missing := [call_id for call_id in waiting if call_id not in allowed.keys() | results]:
        message = "Cannot append other inputs while function results are still missing."
        raise RefusedError(error(400, f"{message} Provide function results first for: {missing}"))
    for call_id, is_allowed in allowed.items():
        waiting[call_id]["confirmation_status"] = "allowed" if is_allowed else "denied"
    return [
        Decision(waiting[call_id]["name"], _arguments(waiting[call_id]), is_allowed)
        for call_id, is_allowed in allowed.items()
    ]


def _said(inputs: list[Json]) -> str:
    """Return the text of the last input; empty where it is none, or where there are no inputs."""
    last = inputs[-1] if inputs else {}
    said = last.get("result", last.get("content"))
    return said if isinstance(said, str) else ""


def _arguments(call: Json) -> Json:
    arguments = call["arguments"]
    return arguments if is_object(arguments) else json.loads(arguments)
