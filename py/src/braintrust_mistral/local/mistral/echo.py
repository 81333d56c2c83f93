"""Answers that repeat what was said, so that a text tells which conversation it belongs to."""

from dataclasses import replace

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import (
    Answer,
    Entry,
    Failure,
    FunctionCall,
    Message,
    ToolExecution,
    Turn,
    text,
)


SUFFIX = "+echo"
"""What the name of a scenario ends with whose answers repeat what was said."""


def echoed(answer: Answer | Failure, turn: Turn) -> Answer | Failure:
    """Return an answer with what the turn said in every message, in every tool's arguments and result, in every call.

    An error stays as it is, and so does an event that no SDK knows.
    """
    if isinstance(answer, Failure) or not turn.said:
        return answer
    groups = (tuple(_echoed(entry, turn.said) for entry in group) for group in answer.groups())
    return replace(answer, entries=tuple(groups))


def _echoed(entry: Entry, said: str) -> Entry:
    if isinstance(entry, Message):
        return replace(entry, content=_content(entry.content, said))
    if isinstance(entry, ToolExecution):
        info = None if entry.info is None else {**entry.info, "echo": said}
        return replace(entry, arguments={**entry.arguments, "echo": said}, info=info)
    if isinstance(entry, FunctionCall):
        given = entry.arguments
        return replace(entry, arguments=f"{given} {said}" if isinstance(given, str) else {**given, "echo": said})
    return entry


def _content(content: str | list[Json], said: str) -> str | list[Json]:
    if isinstance(content, str):
        return f"{content} {said}"
    # A list of one chunk stays one: it is told from a text by that.
    if content[-1]["type"] == "text":
        return [*content[:-1], text(f"{content[-1]['text']} {said}")]
    return [*content, text(said)]
