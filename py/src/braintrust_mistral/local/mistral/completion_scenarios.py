"""What chat, agents and fill-in-the-middle answer, by name: choices, each known as a message and in pieces."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, zip_longest
from typing import Any, TypeAlias

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral import samples
from braintrust_mistral.local.mistral.answers import new_tool_call_id, slices, text, words
from braintrust_mistral.local.mistral.scenarios import DEFAULT, LONG_STREAM, LONG_STREAM_DELTAS, stream_length
from braintrust_mistral.local.mistral.schemas import sample


@dataclass(frozen=True)
class Prompt:
    """What a request brings to a scenario: results of tools, the number of choices, a schema for the answer."""

    results: list[str] = field(default_factory=list[str])
    choices: int | None = None
    schema: Json | None = None


@dataclass(frozen=True)
class ToolCall:
    """A call of a function; arguments given as text go out as they are, be they JSON or not."""

    name: str
    arguments: Json | str
    id: str = field(default_factory=new_tool_call_id)

    def whole(self, index: int) -> Json:
        """Return the call in one piece."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function, "index": index}

    def pieces(self, index: int) -> list[Json]:
        """Return the call cut up, in the middle of its name and of its arguments; only the first piece has the id."""
        arguments = self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)
        half = len(self.name) // 2
        functions = [
            *({"name": part, "arguments": ""} for part in (self.name[:half], self.name[half:])),
            *({"name": "", "arguments": part} for part in slices(arguments)),
        ]
        first, *later = ({"index": index, "function": function} for function in functions)
        return [{**first, "id": self.id, "type": "function"}, *later]


@dataclass(frozen=True)
class Choice:
    """A message and why it ends. `cut_calls` has a stream bring several calls in turn, and each piece by piece."""

    content: str | list[Json] | None
    calls: tuple[ToolCall, ...] = ()
    cut_calls: bool = False
    finish_reason: str = "stop"

    def message(self) -> Json:
        """Return the message in a response."""
        calls = [call.whole(index) for index, call in enumerate(self.calls)]
        return {"role": "assistant", "content": self.content, "tool_calls": calls or None}

    def deltas(self) -> list[Json]:
        """Return the message in a stream: the last delta is the one that comes with the finish reason."""
        empty = None if self.content is None else ""
        content = [{"content": piece} for piece in self._content()]
        calls: list[Json] = []
        last: Json = {"content": empty}
        if self.cut_calls:
            rows = zip_longest(*(call.pieces(index) for index, call in enumerate(self.calls)))
            calls = [{"tool_calls": [piece]} for piece in chain(*rows) if piece]
        elif self.calls:
            last["tool_calls"] = self.message()["tool_calls"]
        return [{"role": "assistant", "content": empty}, *content, *calls, last]

    def _content(self) -> Iterator[str | list[Json]]:
        if not isinstance(self.content, list):
            yield from words(self.content or "")
            return
        cites = any(chunk["type"] == "reference" for chunk in self.content)
        for chunk in self.content:
            if chunk["type"] == "thinking":
                thought = "".join(inner["text"] for inner in chunk["thinking"])
                yield from ([{**chunk, "thinking": [text(piece)]}] for piece in words(thought))
            elif chunk["type"] == "text":
                # Both forms occur: text as a string after the thinking, and as chunks between references.
                yield from ([text(piece)] if cites else piece for piece in words(chunk["text"]))
            else:
                yield [chunk]


@dataclass(frozen=True)
class Completion:
    """An answer: its choices, what its usage says beside the tokens, and fields that no SDK knows."""

    choices: tuple[Choice, ...]
    usage: Json = field(default_factory=dict[str, Any])
    unknown: Json = field(default_factory=dict[str, Any])
    logprobs: bool = False
    delta_seconds: float = 0.02


Scenario: TypeAlias = Callable[[Prompt], Completion]

CODE = "code"
"""The scenario of names that are none, where code is to be filled in."""

_TEXTS = (
    "Lisbon lies on the estuary of the Tagus.",
    "The Tagus meets the Atlantic at Lisbon.",
    "Lisbon it is, on the north bank of the Tagus.",
)


def scenario(name: str, default: str = DEFAULT) -> Scenario:
    """Return the scenario of that name, else the default one. `long-stream-500` has 500 pieces of text."""
    if pieces := stream_length(name):
        return partial(_long_stream, pieces=pieces)
    return COMPLETIONS.get(name, COMPLETIONS[default])


def _says(*contents: str | list[Json] | None, finish_reason: str = "stop") -> Completion:
    return Completion(tuple(Choice(content, finish_reason=finish_reason) for content in contents))


def _calls(prompt: Prompt, *calls: ToolCall, content: str | None = "", cut: bool = False) -> Completion:
    """Return calls of functions, and an answer once their results are there."""
    if prompt.results:
        return _says(f"The exchange gave: {'; '.join(prompt.results)}.")
    return Completion((Choice(content, calls, cut, "tool_calls"),))


def _plain(prompt: Prompt) -> Completion:
    if prompt.schema is not None:
        return _json(prompt)
    return _says(*(_TEXTS[index % len(_TEXTS)] for index in range(prompt.choices or 1)))


def _choices(prompt: Prompt) -> Completion:
    return _plain(Prompt(choices=prompt.choices or 2))


def _code(_: Prompt) -> Completion:
    return _says("    total = sum(values)\n    return total / len(values)\n")


def _function_call(prompt: Prompt) -> Completion:
    """Return a call as the API sends it in a stream: in one piece, with the finish reason."""
    call = ToolCall("get_exchange_rate", json.dumps({"base": "EUR", "quote": "SEK", "date": "2026-03-02"}))
    return _calls(prompt, call)


def _parallel_functions(prompt: Prompt) -> Completion:
    """Return calls in pieces that interleave."""
    rates = (ToolCall("get_exchange_rate", json.dumps({"base": "EUR", "quote": quote})) for quote in ("SEK", "NOK"))
    return _calls(prompt, *rates, content="Two rates are needed.", cut=True)


def _object_arguments(prompt: Prompt) -> Completion:
    return _calls(prompt, ToolCall("get_exchange_rate", {"base": "EUR", "quote": "SEK"}), content=None)


def _malformed_arguments(prompt: Prompt) -> Completion:
    return _calls(prompt, ToolCall("get_exchange_rate", '{"base": "EUR", "quote": "SE'), cut=True)


def _thinking(_: Prompt) -> Completion:
    return _says([samples.reasoning(), text("Take the 14:30 ferry.")])


def _citations(_: Prompt) -> Completion:
    content = [
        text("Ferries leave every 20 minutes"),
        _reference(0),
        text(" and a single ticket costs 1.40 EUR"),
        _reference(1, 2),
        text("."),
    ]
    return _says(content)


def _reference(*ids: int) -> Json:
    return {"type": "reference", "reference_ids": list(ids)}


def _json(prompt: Prompt) -> Completion:
    value = {"answer": "Lisbon"} if prompt.schema is None else sample(prompt.schema)
    return _says(json.dumps(value))


def _logprobs(_: Prompt) -> Completion:
    return Completion((Choice(_TEXTS[0]),), logprobs=True)


def _cached(_: Prompt) -> Completion:
    usage = {
        "prompt_tokens": 1_340,
        "prompt_tokens_details": {"cached_tokens": 1_280},
        "completion_tokens_details": {"reasoning_tokens": 6},
        "prompt_audio_seconds": 4,
        "service_tier": "priority",
    }
    return Completion((Choice(_TEXTS[0]),), usage)


def _length(_: Prompt) -> Completion:
    return _says("Lisbon lies on the", finish_reason="length")


def _null_content(_: Prompt) -> Completion:
    return _says(None)


def _unknown_field(_: Prompt) -> Completion:
    return Completion((Choice(_TEXTS[0]),), unknown={"provenance": {"region": "eu", "replica": 7}})


def _long_stream(_: Prompt, pieces: int) -> Completion:
    return Completion((Choice("word" + " word" * (pieces - 1)),), delta_seconds=0.001)


COMPLETIONS: dict[str, Scenario] = {
    "plain": _plain,
    "choices": _choices,
    "code": _code,
    "function-call": _function_call,
    "parallel-functions": _parallel_functions,
    "object-arguments": _object_arguments,
    "malformed-arguments": _malformed_arguments,
    "thinking": _thinking,
    "citations": _citations,
    "json": _json,
    "logprobs": _logprobs,
    "cached": _cached,
    "length": _length,
    "null-content": _null_content,
    "unknown-field": _unknown_field,
    LONG_STREAM: partial(_long_stream, pieces=LONG_STREAM_DELTAS),
}
