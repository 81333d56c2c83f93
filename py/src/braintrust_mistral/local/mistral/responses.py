"""The responses endpoint: an answer as one object, or as the numbered events that build it up."""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain, zip_longest

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Failure
from braintrust_mistral.local.mistral.delivery import Step, delivery, server_sent
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object, json_objects, token_count
from braintrust_mistral.local.mistral.playback import Clock, new_id
from braintrust_mistral.local.mistral.response_items import Event, Item, Outcome, Reasoning, Request, scenario


_ECHOED = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
}
"""Settings of a request that its response repeats, and what they are when the request leaves them out."""


class Responses:
    """The endpoint that makes responses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the one endpoint; it serves streams, too."""
        return [Endpoint("POST", "/v1/responses", self._create)]

    async def _create(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"model", "input"})
        outcome = scenario(body["model"])(_request(body))
        played = _Played(body, outcome, self._clock.now())
        if body.get("stream"):
            steps = list(played.steps())

            def failed(failure: Failure) -> bytes:
                # The event comes where the stream is cut, and is numbered as if nothing were missing.
                return _error(failure, len(steps) // 2)

            return delivery(body["model"]).stream(steps, self._clock, failed)
        seconds = outcome.delta_seconds * played.tokens()
        return await delivery(body["model"]).response(played.ended(), self._clock, seconds)


class _Played:
    """An answer with ids and times."""

    def __init__(self, body: Json, outcome: Outcome, now: datetime) -> None:
        self._body = body
        self._outcome = outcome
        self._items = [(new_id(item.prefix, now), item) for item in outcome.items]
        self._created_at = now.timestamp()
        self._id = new_id("resp", now)

    def ended(self) -> Json:
        """Return the response in the end."""
        outcome = self._outcome
        if outcome.status == "failed":
            return self._response("failed", output=[], usage=None)
        output = [{"id": id_, **item.whole(outcome.status)} for id_, item in self._items]
        return self._response(outcome.status, output, self._usage())

    def steps(self) -> Iterator[Step]:
        """Yield the events of a stream."""
        for number, (kind, fields) in enumerate(self._events()):
            event = {"type": kind, "sequence_number": number, **fields}
            yield number * self._outcome.delta_seconds, server_sent(event, kind)

    def tokens(self) -> int:
        """Return how many tokens the model wrote, at one a delta."""
        return sum(_deltas(item) for item in self._outcome.items)

    def _events(self) -> Iterator[Event]:
        begun = {"response": self._response("in_progress", output=[], usage=None)}
        yield "response.created", begun
        yield "response.in_progress", begun
        rows = [self._item_events(index, id_, item) for index, (id_, item) in enumerate(self._items)]
        if self._outcome.parallel:
            yield from (event for event in chain(*zip_longest(*rows)) if event)
        else:
            yield from chain(*rows)
        yield f"response.{self._outcome.status}", {"response": self.ended()}

    def _item_events(self, index: int, id_: str, item: Item) -> Iterator[Event]:
        fails = self._outcome.status == "failed"
        yield "response.output_item.added", {"output_index": index, "item": {"id": id_, **item.opened()}}
        for kind, fields in item.events():
            if not (fails and kind.endswith(".done")):
                yield f"response.{kind}", {"item_id": id_, "output_index": index, **fields}
        if not fails:
            done = {"id": id_, **item.whole(self._outcome.status)}
            yield "response.output_item.done", {"output_index": index, "item": done}

    def _response(self, status: str, output: list[Json], usage: Json | None) -> Json:
        settings = {name: self._body.get(name, default) for name, default in _ECHOED.items()}
        ending = self._outcome.ending if status == self._outcome.status else {}
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created_at,
            "model": self._body["model"],
            "status": status,
            "output": output,
            "usage": usage,
            "error": None,
            "incomplete_details": None,
            **settings,
            **ending,
        }

    def _usage(self) -> Json:
        prompt, tokens = token_count(self._body["input"]) + self._outcome.cached_tokens, self.tokens()
        reasoning = sum(_deltas(item) for item in self._outcome.items if isinstance(item, Reasoning))
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": self._outcome.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": tokens,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": prompt + tokens,
        }


def _request(body: Json) -> Request:
    """Return what the input and settings of a request bring to a scenario."""
    given = body["input"]
    items = json_objects(given, ["body", "input"]) if not isinstance(given, str) else []
    results = [str(item["output"]) for item in items if item.get("type") == "function_call_output"]
    match body.get("text"):
        case {"format": {"type": "json_schema", "schema": schema}}:
            return Request(results, schema)
        case _:
            return Request(results)


def _deltas(item: Item) -> int:
    return sum(kind.endswith(".delta") for kind, _ in item.events())


def _error(failure: Failure, number: int) -> bytes:
    event = {"type": "error", "sequence_number": number, "code": "server_error", "param": None}
    return server_sent({**event, "message": failure.body["message"]}, "error")
