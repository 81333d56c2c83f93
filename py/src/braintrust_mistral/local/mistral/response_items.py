"""What the responses endpoint answers, by name: items, each known as an item and as the events that build it up."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, TypeAlias

from typing_extensions import override

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral import samples
from braintrust_mistral.local.mistral.answers import new_tool_call_id, slices, words
from braintrust_mistral.local.mistral.scenarios import DEFAULT, LONG_STREAM, LONG_STREAM_DELTAS, stream_length
from braintrust_mistral.local.mistral.schemas import sample


Event: TypeAlias = tuple[str, Json]
"""The type of an event, and its fields. An item's events leave out what all of them share: `response.`, the ids."""


@dataclass(frozen=True)
class Item:
    """What items of all kinds share."""

    prefix: ClassVar[str]

    def whole(self, status: str) -> Json:
        """Return the item when it is complete, without its id."""
        raise NotImplementedError

    def opened(self) -> Json:
        """Return the item when nothing of it has been written yet, without its id."""
        raise NotImplementedError

    def events(self) -> Iterator[Event]:
        """Return the events between the one that adds the item and the one that completes it."""
        raise NotImplementedError


@dataclass(frozen=True)
class _Written(Item):
    """An item with one part, which is a text."""

    text: str

    def part(self, content: str) -> Json:
        """Return the part when it has this text so far."""
        raise NotImplementedError

    @override
    def opened(self) -> Json:
        return {**self.whole("in_progress"), "content": []}

    def _part_events(self, kind: str, **more: object) -> Iterator[Event]:
        yield "content_part.added", {"content_index": 0, "part": self.part("")}
        for piece in words(self.text):
            yield f"{kind}.delta", {"content_index": 0, "delta": piece, **more}
        yield f"{kind}.done", {"content_index": 0, "text": self.text, **more}
        yield "content_part.done", {"content_index": 0, "part": self.part(self.text)}


@dataclass(frozen=True)
class Message(_Written):
    """A message of the assistant."""

    prefix: ClassVar[str] = "msg"

    @override
    def part(self, content: str) -> Json:
        return {"type": "output_text", "text": content, "annotations": [], "logprobs": []}

    @override
    def whole(self, status: str) -> Json:
        return {"type": "message", "role": "assistant", "status": status, "content": [self.part(self.text)]}

    @override
    def events(self) -> Iterator[Event]:
        return self._part_events("output_text", logprobs=[])


@dataclass(frozen=True)
class Reasoning(_Written):
    """What the model thinks before it answers."""

    prefix: ClassVar[str] = "rs"

    @override
    def part(self, content: str) -> Json:
        return {"type": "reasoning_text", "text": content}

    @override
    def whole(self, status: str) -> Json:
        return {"type": "reasoning", "status": status, "summary": [], "content": [self.part(self.text)]}

    @override
    def events(self) -> Iterator[Event]:
        return self._part_events("reasoning_text")


@dataclass(frozen=True)
class FunctionCall(Item):
    """A call of a function, for the application to run."""

    prefix: ClassVar[str] = "fc"

    name: str
    arguments: str
    call_id: str = field(default_factory=new_tool_call_id)

    @override
    def whole(self, status: str) -> Json:
        call = {"call_id": self.call_id, "name": self.name, "arguments": self.arguments}
        return {"type": "function_call", "status": status, **call}

    @override
    def opened(self) -> Json:
        return {**self.whole("in_progress"), "arguments": ""}

    @override
    def events(self) -> Iterator[Event]:
        for piece in slices(self.arguments):
            yield "function_call_arguments.delta", {"delta": piece}
        yield "function_call_arguments.done", {"name": self.name, "arguments": self.arguments}


@dataclass(frozen=True)
class Request:
    """What a request brings to a scenario: results of function calls, and a schema for the answer."""

    results: list[str] = field(default_factory=list[str])
    schema: Json | None = None


@dataclass(frozen=True)
class Outcome:
    """An answer: its items, and how it ends. Those of a `parallel` one overlap; a `failed` one loses its items."""

    items: tuple[Item, ...]
    status: str = "completed"
    ending: Json = field(default_factory=dict[str, Any])
    parallel: bool = False
    cached_tokens: int = 0
    delta_seconds: float = 0.02


Scenario: TypeAlias = Callable[[Request], Outcome]


def scenario(name: str) -> Scenario:
    """Return the scenario of that name, else the plain one. `long-stream-500` has 500 deltas."""
    if deltas := stream_length(name):
        return partial(_long_stream, deltas=deltas)
    return RESPONSES.get(name, RESPONSES[DEFAULT])


def _plain(request: Request) -> Outcome:
    text = "Lisbon lies on the estuary of the Tagus." if request.schema is None else json.dumps(sample(request.schema))
    return Outcome((Message(text),))


def _reasoning(_: Request) -> Outcome:
    (thought,) = samples.reasoning()["thinking"]
    return Outcome((Reasoning(thought["text"]), Message("Take the 14:30 ferry.")))


def _calls(request: Request, *quotes: str) -> Outcome:
    if request.results:
        return Outcome((Message(f"The exchange gave: {'; '.join(request.results)}."),))
    arguments = (json.dumps({"base": "EUR", "quote": quote}) for quote in quotes)
    return Outcome(tuple(FunctionCall("get_exchange_rate", given) for given in arguments), parallel=True)


def _function_call(request: Request) -> Outcome:
    return _calls(request, "SEK")


def _parallel_functions(request: Request) -> Outcome:
    """Return two calls whose events interleave."""
    return _calls(request, "SEK", "NOK")


def _malformed_arguments(request: Request) -> Outcome:
    if request.results:
        return _calls(request)
    return Outcome((FunctionCall("get_exchange_rate", '{"base": "EUR", "quote": "SE'),))


def _cached(_: Request) -> Outcome:
    return Outcome((Message("Lisbon lies on the estuary of the Tagus."),), cached_tokens=1_280)


def _incomplete(_: Request) -> Outcome:
    ending = {"incomplete_details": {"reason": "max_output_tokens"}}
    return Outcome((Message("Lisbon lies on the"),), "incomplete", ending)


def _failed(_: Request) -> Outcome:
    ending = {"error": {"code": "server_error", "message": "The model failed to answer"}}
    return Outcome((Message("Lisbon lies on the"),), "failed", ending)


def _long_stream(_: Request, deltas: int) -> Outcome:
    return Outcome((Message("word" + " word" * (deltas - 1)),), delta_seconds=0.001)


RESPONSES: dict[str, Scenario] = {
    "plain": _plain,
    "reasoning": _reasoning,
    "function-call": _function_call,
    "parallel-functions": _parallel_functions,
    "malformed-arguments": _malformed_arguments,
    "cached": _cached,
    "incomplete": _incomplete,
    "failed": _failed,
    LONG_STREAM: partial(_long_stream, deltas=LONG_STREAM_DELTAS),
}
