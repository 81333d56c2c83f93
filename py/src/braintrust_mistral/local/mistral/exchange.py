"""One answer on its way to the client: as a response when it is complete, or as a stream while it unfolds."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Answer, ToolExecution
from braintrust_mistral.local.mistral.delivery import broken_off, server_sent
from braintrust_mistral.local.mistral.endpoints import token_count
from braintrust_mistral.local.mistral.errors import RefusedError
from braintrust_mistral.local.mistral.playback import Clock, Playback, timestamp
from braintrust_mistral.local.server import ConnectionBrokenError


@dataclass(frozen=True)
class Exchange:
    """An answer being played into a conversation. `entries` are the conversation's, and take up the outputs."""

    conversation_id: str
    entries: list[Json]
    answer: Answer
    playback: Playback
    clock: Clock

    async def response(self) -> Response:
        """Return the whole answer, after the time it takes."""
        prompt = self._prompt_tokens()
        async for _ in self.playback.events():
            pass
        if self.answer.failure:
            raise RefusedError(self.answer.failure)
        outputs = self.playback.outputs()
        self.entries.extend(outputs)
        body = {
            "object": "conversation.response",
            "conversation_id": self.conversation_id,
            "outputs": outputs,
            "usage": self._usage(prompt),
            "guardrails": self.answer.guardrails,
        }
        if self.answer.breaks:
            return broken_off(body)
        return JSONResponse(body)

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the answer as server-sent events. Neither the last of them nor any other carries guardrails."""
        prompt = self._prompt_tokens()
        yield self._event("conversation.response.started", {"conversation_id": self.conversation_id})
        async for event in self.playback.events():
            yield server_sent(event, event["type"])
        if self.answer.breaks:
            raise ConnectionBrokenError("this scenario breaks the connection")
        self.entries.extend(self.playback.outputs())
        if failure := self.answer.failure:
            error = {"message": failure.body["message"], "code": failure.body["code"]}
            yield self._event("conversation.response.error", error)
        else:
            yield self._event("conversation.response.done", {"usage": self._usage(prompt)})

    def _event(self, kind: str, fields: Json) -> bytes:
        return server_sent({"type": kind, "created_at": timestamp(self.clock.now()), **fields}, kind)

    def _prompt_tokens(self) -> int:
        return token_count(self.entries)

    def _usage(self, prompt: int) -> Json:
        """Tokens; those of connectors, and the calls by connector, only when a tool ran."""
        tools = [entry for group in self.answer.groups() for entry in group if isinstance(entry, ToolExecution)]
        completion, connector = self.playback.tokens(), sum(tool.tokens for tool in tools)
        usage: Json = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion + connector,
        }
        if tools:
            calls = Counter(tool.connector or tool.name for tool in tools)
            usage |= {"connector_tokens": connector, "connectors": dict(calls)}
        return usage
