"""The endpoints of chat, agents and fill-in-the-middle: one way to answer behind three ways to ask."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Failure, words
from braintrust_mistral.local.mistral.completion_scenarios import CODE, Choice, Completion, Prompt, scenario
from braintrust_mistral.local.mistral.delivery import Step, delivery, server_sent
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object, json_objects, token_count
from braintrust_mistral.local.mistral.playback import Clock
from braintrust_mistral.local.mistral.samples import AGENT_MODEL
from braintrust_mistral.local.mistral.schemas import wanted_schema


_VERTEX = "/v1/projects/{project}/locations/{region}/publishers/mistralai/models"
_DONE = b"data: [DONE]\n\n"


class Completions:
    """The endpoints that complete messages or code, without a memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints; each serves streams, too."""
        return [
            Endpoint("POST", "/v1/chat/completions", self._chat),
            Endpoint("POST", "/v1/agents/completions", self._agent),
            Endpoint("POST", "/v1/fim/completions", self._fim),
            # Azure, and Google Cloud, where a model's name is followed by how it is called.
            Endpoint("POST", "/models/chat/completions", self._chat),
            Endpoint("POST", f"{_VERTEX}/{{model}}:rawPredict", self._vertex),
            Endpoint("POST", f"{_VERTEX}/{{model}}:streamRawPredict", self._vertex),
        ]

    async def _vertex(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required=set())
        return await (self._fim(request) if "prompt" in body else self._chat(request))

    async def _chat(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"model", "messages"})
        prompt = _prompt(body)
        return await self._answer(body["model"], body["model"], scenario(body["model"])(prompt), body)

    async def _agent(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"agent_id", "messages"})
        prompt = _prompt(body)
        return await self._answer(body["agent_id"], AGENT_MODEL, scenario(body["agent_id"])(prompt), body)

    async def _fim(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"model", "prompt"})
        return await self._answer(body["model"], body["model"], scenario(body["model"], CODE)(Prompt()), body)

    async def _answer(self, name: str, model: str, completion: Completion, body: Json) -> Response:
        now = int(self._clock.now().timestamp())
        written = _Written(
            uuid.uuid4().hex, now, model, completion, token_count(body.get("messages", body.get("prompt")))
        )
        if body.get("stream"):
            return delivery(name).stream(list(written.steps()), self._clock, _failed)
        seconds = completion.delta_seconds * written.length()
        return await delivery(name).response(written.response(), self._clock, seconds)


@dataclass(frozen=True)
class _Written:
    """A completion as it is on the wire, whole or in chunks."""

    id: str
    created: int
    model: str
    completion: Completion
    prompt_tokens: int

    def response(self) -> Json:
        choices: list[Json] = []
        for index, choice in enumerate(self.completion.choices):
            message = {**choice.message(), **self.completion.unknown}
            written = {"index": index, "finish_reason": choice.finish_reason, "message": message}
            choices.append({**written, **self._logprobs(choice.content)})
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage()}

    def steps(self) -> Iterator[Step]:
        """Yield the chunks, one choice and one delta in each; those of several choices take turns."""
        rows = zip_longest(*(self._choices(index, choice) for index, choice in enumerate(self.completion.choices)))
        choices = [choice for choice in chain(*rows) if choice]
        head = self._head("chat.completion.chunk")
        for position, choice in enumerate(choices):
            chunk = {**head, "choices": [choice]}
            if position == len(choices) - 1:
                chunk["usage"] = self._usage()
            yield position * self.completion.delta_seconds, server_sent(chunk)
        yield len(choices) * self.completion.delta_seconds, _DONE

    def length(self) -> int:
        """Return how many tokens the model wrote, at one a delta."""
        return sum(len(choice.deltas()) for choice in self.completion.choices)

    def _choices(self, index: int, choice: Choice) -> Iterator[Json]:
        *deltas, last = choice.deltas()
        for delta in deltas:
            delta = {**delta, **self.completion.unknown}
            yield {"index": index, "delta": delta, "finish_reason": None, **self._logprobs(delta.get("content"))}
        yield {"index": index, "delta": last, "finish_reason": choice.finish_reason}

    def _head(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            **self.completion.unknown,
        }

    def _usage(self) -> Json:
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.length(), **self.completion.usage}
        return {**usage, "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"]}

    def _logprobs(self, content: object) -> Json:
        if not self.completion.logprobs or not isinstance(content, str):
            return {}
        return {"logprobs": {"content": [_token(piece, position) for position, piece in enumerate(words(content))]}}


def _token(piece: str, position: int) -> Json:
    token = {"token": piece, "logprob": -0.125 * (position + 1), "bytes": list(piece.encode()), "token_id": len(piece)}
    return {**token, "top_logprobs": [token]}


def _prompt(body: Json) -> Prompt:
    """Return what the messages and settings of a request bring to a scenario."""
    results: list[str] = []
    for message in json_objects(body["messages"], ["body", "messages"]):
        if message.get("role") == "tool":
            results.append(str(message.get("content")))
        else:
            results.clear()
    return Prompt(results, body.get("n"), wanted_schema(body.get("response_format")))


def _failed(failure: Failure) -> bytes:
    return server_sent(failure.body)
