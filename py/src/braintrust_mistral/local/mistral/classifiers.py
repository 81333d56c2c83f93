"""The endpoints that moderate and classify, texts or chats."""

import uuid

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.delivery import delivery
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, is_list, json_object, json_objects, texts
from braintrust_mistral.local.mistral.playback import Clock


FLAGGED = "flagged"
"""The scenario in which moderation finds something."""

_SCORES = {
    "sexual": 4.1e-06,
    "hate_and_discrimination": 8.7e-06,
    "violence_and_threats": 1.9e-05,
    "dangerous_and_criminal_content": 1.2e-05,
    "selfharm": 2.2e-06,
    "health": 3.5e-04,
    "financial": 6.4e-05,
    "law": 5.8e-06,
    "pii": 2.4e-05,
}
_TARGETS = {
    "intent": {"timetable": 0.91, "fares": 0.07, "complaint": 0.02},
    "urgency": {"low": 0.84, "high": 0.16},
}


class Classifiers:
    """The endpoints that moderate and classify; each input gets one result."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint("POST", "/v1/moderations", self._moderate),
            Endpoint("POST", "/v1/chat/moderations", self._moderate_chat),
            Endpoint("POST", "/v1/classifications", self._classify),
            Endpoint("POST", "/v1/chat/classifications", self._classify_chat),
        ]

    async def _moderate(self, request: Received) -> Response:
        body = _body(request)
        return await self._moderated(body, len(texts(body["input"], ["body", "input"])))

    async def _moderate_chat(self, request: Received) -> Response:
        body = _body(request)
        given = body["input"]
        several = is_list(given) and all(is_list(chat) for chat in given)
        for chat in given if several else [given]:
            json_objects(chat, ["body", "input"])
        return await self._moderated(body, len(given) if several else 1)

    async def _classify(self, request: Received) -> Response:
        body = _body(request)
        return await self._classified(body, len(texts(body["input"], ["body", "input"])))

    async def _classify_chat(self, request: Received) -> Response:
        body = _body(request)
        chats = body["input"] if is_list(body["input"]) else [body["input"]]
        for chat in chats:
            json_object(chat, ["body", "input"], required={"messages"})
        return await self._classified(body, len(chats))

    async def _moderated(self, body: Json, count: int) -> Response:
        scores = _SCORES | ({"violence_and_threats": 0.93} if body["model"] == FLAGGED else {})
        result = {"categories": {name: score > 0.5 for name, score in scores.items()}, "category_scores": scores}
        return await self._results(body, [result] * count)

    async def _classified(self, body: Json, count: int) -> Response:
        return await self._results(body, [{target: {"scores": scores} for target, scores in _TARGETS.items()}] * count)

    async def _results(self, body: Json, results: list[Json]) -> Response:
        answer = {"id": uuid.uuid4().hex, "model": body["model"], "results": results}
        return await delivery(body["model"]).response(answer, self._clock)


def _body(request: Received) -> Json:
    return json_object(request.body, ["body"], required={"model", "input"})
