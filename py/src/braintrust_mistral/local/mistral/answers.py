"""What a conversation answers, described once: entries with durations, each known as an entry and as stream events.

An entry has two faces, `fields()` for a response and `events()` for a stream. Neither has ids or times: those come
from playing the answer (`playback.py`), which is why both faces of one answer always agree.
"""

import json
import re
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from braintrust_mistral.local.json_types import Json


DELTA_SECONDS = 0.015
"""Seconds between two deltas of arguments."""


@dataclass(frozen=True)
class Agent:
    """An agent that authors entries."""

    id: str
    name: str
    model: str = "mistral-medium-latest"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What entries of all kinds share.

    `wait` is the time in seconds between the end of the entry before and the beginning of this one. An entry without
    an `agent` is authored by whom the request names. `timed=False` leaves `created_at` and `completed_at` out.
    """

    prefix: ClassVar[str]
    indexed: ClassVar[bool] = True

    wait: float = 0.15
    agent: Agent | None = None
    timed: bool = True

    def fields(self, author: Json) -> Json | None:
        """Return the entry in a response, without id and times; None for what only a stream shows."""
        raise NotImplementedError

    def events(self, author: Json) -> Iterator[tuple[float, Json]]:
        """Yield the entry's events, without id, time and `output_index`, each with the seconds since the first."""
        raise NotImplementedError

    def seconds_long(self) -> float:
        """Return the seconds from the first event to the last."""
        return max(offset for offset, _ in self.events({}))

    def new_keys(self) -> Json:
        """Return random keys, other than the id, that all events of one played entry share."""
        return {}


@dataclass(frozen=True)
class Message(Entry):
    """A `message.output`: its content a text, or a list of chunks as they are on the wire."""

    prefix: ClassVar[str] = "msg"

    content: str | list[Json]
    delta_seconds: float = 0.02

    @override
    def fields(self, author: Json) -> Json:
        return {"type": "message.output", **author, "role": "assistant", "content": self.content}

    @override
    def events(self, author: Json) -> Iterator[tuple[float, Json]]:
        for position, (content_index, content) in enumerate(self._pieces()):
            event = {"type": "message.output.delta", "content_index": content_index, **author, "role": "assistant"}
            yield position * self.delta_seconds, {**event, "content": content}

    def _pieces(self) -> Iterator[tuple[int, str | Json]]:
        if isinstance(self.content, str):
            yield from ((0, piece) for piece in words(self.content))
            return
        for index, chunk in enumerate(self.content):
            if chunk["type"] == "thinking":
                for piece in words("".join(inner["text"] for inner in chunk["thinking"])):
                    yield index, {**chunk, "thinking": [text(piece)]}
            elif chunk["type"] == "text":
                # Text beside other chunks comes as bare strings. Alone, only chunk objects tell a list from a string.
                alone = len(self.content) == 1
                yield from ((index, text(piece) if alone else piece) for piece in words(chunk["text"]))
            else:
                yield index, chunk


@dataclass(frozen=True)
class ToolExecution(Entry):
    """A `tool.execution`: a tool that ran on the server, for `seconds`.

    `connector` is its key in `usage.connectors` where that is not its name; `tokens` is what it adds to
    `usage.connector_tokens`.
    """

    prefix: ClassVar[str] = "tool_exec"

    name: str
    arguments: Json
    info: Json | None = None
    seconds: float = 1.0
    function: str | None = None
    connector: str | None = None
    tokens: int = 0

    @override
    def fields(self, author: Json) -> Json:
        start = {"type": "tool.execution", **author, "name": self.name, "arguments": json.dumps(self.arguments)}
        return {**start, **self._function(), **self._info()}

    @override
    def events(self, author: Json) -> Iterator[tuple[float, Json]]:
        name = {"name": self.name, **self._function()}
        yield 0.0, {"type": "tool.execution.started", **author, **name, "arguments": ""}
        offset = 0.0
        for piece in slices(json.dumps(self.arguments)):
            offset += DELTA_SECONDS
            yield offset, {"type": "tool.execution.delta", **name, "arguments": piece}
        # Deltas and done carry no author, done carries no arguments.
        yield max(self.seconds, offset), {"type": "tool.execution.done", **name, **self._info()}

    def _function(self) -> Json:
        return {"function": self.function or self.name}

    def _info(self) -> Json:
        return {} if self.info is None else {"info": self.info}


@dataclass(frozen=True)
class FunctionCall(Entry):
    """A `function.call`: one for the application to run, or (`confirmation="pending"`) for it to allow.

    Arguments given as text go out as they are, be they JSON or not.
    """

    prefix: ClassVar[str] = "fc"

    name: str
    arguments: Json | str
    confirmation: str | None = None

    @override
    def fields(self, author: Json) -> Json:
        return {"type": "function.call", **author, **self._call(), "arguments": self._written()}

    @override
    def events(self, author: Json) -> Iterator[tuple[float, Json]]:
        for position, piece in enumerate(slices(self._written())):
            event = {"type": "function.call.delta", **author, **self._call(), "arguments": piece}
            yield position * DELTA_SECONDS, event

    @override
    def new_keys(self) -> Json:
        return {"tool_call_id": new_tool_call_id()}

    def _written(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)

    def _call(self) -> Json:
        return {"name": self.name} | ({"confirmation_status": self.confirmation} if self.confirmation else {})


@dataclass(frozen=True)
class Handoff(Entry):
    """An `agent.handoff` from one agent to the next."""

    prefix: ClassVar[str] = "handoff"

    previous: Agent
    next: Agent
    seconds: float = 0.1

    @override
    def fields(self, author: Json) -> Json:
        return {"type": "agent.handoff", **self._previous(), **self._next()}

    @override
    def events(self, author: Json) -> Iterator[tuple[float, Json]]:
        yield 0.0, {"type": "agent.handoff.started", **self._previous()}
        yield self.seconds, {"type": "agent.handoff.done", **self._next()}

    def _previous(self) -> Json:
        return {"previous_agent_id": self.previous.id, "previous_agent_name": self.previous.name}

    def _next(self) -> Json:
        return {"next_agent_id": self.next.id, "next_agent_name": self.next.name}


@dataclass(frozen=True)
class UnknownEvent(Entry):
    """An event that no SDK knows, of the stream and not of an entry; a response does not show it."""

    prefix: ClassVar[str] = ""
    indexed: ClassVar[bool] = False

    event: Json

    @override
    def fields(self, author: Json) -> None:
        return None

    @override
    def events(self, author: Json) -> Iterator[tuple[float, Json]]:
        yield 0.0, self.event


@dataclass(frozen=True)
class UnknownEntry(UnknownEvent):
    """An event that no SDK knows and that looks like an entry's: with an id, an `output_index` and an author."""

    prefix: ClassVar[str] = "mem"
    indexed: ClassVar[bool] = True

    @override
    def events(self, author: Json) -> Iterator[tuple[float, Json]]:
        yield 0.0, {**self.event, **author}


@dataclass(frozen=True)
class Failure:
    """An HTTP error: a status and a JSON body, in the shape that Mistral gives it."""

    status: int
    body: Json


@dataclass(frozen=True)
class Answer:
    """All that the server does in one turn.

    Entries in an inner tuple overlap, as parallel tools do. A `failure` comes after the entries: an error event in a
    stream, an HTTP error otherwise. `breaks` ends the connection there instead. `old` is the wire format of older
    servers: events without indexes and tool arguments, times with a space.
    """

    entries: tuple[Entry | tuple[Entry, ...], ...]
    guardrails: list[Json] | None = None
    failure: Failure | None = None
    breaks: bool = False
    old: bool = False

    def groups(self) -> list[tuple[Entry, ...]]:
        """Return the entries in the order of `outputs`, those that overlap together."""
        return [item if isinstance(item, tuple) else (item,) for item in self.entries]


@dataclass(frozen=True)
class Decision:
    """What the application decided about a pending call."""

    name: str
    arguments: Json
    allowed: bool


@dataclass(frozen=True)
class Turn:
    """What a request brings to a scenario: results of function calls, decisions, and the text that it says last."""

    results: list[str]
    decisions: list[Decision]
    said: str


def new_tool_call_id() -> str:
    """Return an id as the API gives one to a call of a function: nine letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def text(content: str) -> Json:
    """Return a text chunk."""
    return {"type": "text", "text": content}


def words(content: str) -> list[str]:
    """Return text cut as a model's tokens are, roughly: at words, the space in front."""
    return re.findall(r"\s*\S+|\s+$", content)


def slices(content: str) -> list[str]:
    """Return text cut without regard to what it says, as arguments are: in the middle of JSON strings and keys."""
    return [content[start : start + 12] for start in range(0, len(content), 12)]
