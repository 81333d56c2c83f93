"""The conversation that a trace's llm spans tell, as Braintrust's view of threads shows it."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeGuard

from braintrust_mistral.local.braintrust.totals import is_llm, is_scorers
from braintrust_mistral.local.json_types import Json


class Said(NamedTuple):
    """A message of a thread, and where it stands: at which position of a span's input or output."""

    message: Json
    span: Json
    field: Literal["input", "output"]
    position: int


def thread_of(spans: Iterable[Json]) -> list[Json]:
    """Return the messages of the llm spans, each where it was said first; a scorer's are not among them.

    The input of a model call is all that its model saw, so much of it stands in the calls before: what does, in the
    same order, is not repeated. Answers always show. Spans whose input is no list of messages have none.
    """
    return [said.message for said in said_in(spans)]


def said_in(spans: Iterable[Json]) -> list[Said]:
    """Return the messages that `thread_of` returns, with where each of them stands."""
    thread: list[Said] = []
    seen: list[str] = []

    def add(said: Said, key: str) -> None:
        thread.append(said)
        seen.append(key)

    for span in sorted(filter(_is_of_thread, spans), key=_began):
        said_before = 0
        shown = len(seen)
        for index, message in enumerate(span["input"]):
            key = _key(message)
            try:
                said_before = seen.index(key, said_before, shown) + 1
            except ValueError:
                add(Said(message, span, "input", index), key)
        for index, message in _answers(span.get("output")):
            add(Said(message, span, "output", index), _key(message))
    return thread


def _is_of_thread(span: Json) -> bool:
    messages = span.get("input")
    return is_llm(span) and not is_scorers(span) and isinstance(messages, list) and all(map(_is_message, messages))


def _is_message(value: Any) -> TypeGuard[Json]:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _began(span: Json) -> tuple[float, int]:
    return (span.get("metrics") or {}).get("start", 0.0), span["span_attributes"].get("exec_counter", 0)


def _answers(output: Any) -> Iterator[tuple[int, Json]]:
    """Yield the messages of an output, numbered: of its choices, or of a list of messages."""
    for index, answer in enumerate(output if isinstance(output, list) else [output]):
        message = answer.get("message", answer) if isinstance(answer, dict) else None
        if _is_message(message):
            yield index, message


def _key(message: Json) -> str:
    """Return what makes two messages the same: who says what to whom, however it is written down."""
    told = [message["role"], message.get("tool_call_id"), _calls(message), _content(message.get("content"))]
    return json.dumps(told, sort_keys=True)


def _calls(message: Json) -> list[Any]:
    # What an application sends back of a call may lack its type or its index.
    calls = message.get("tool_calls")
    return [
        [call.get("id"), call.get("function")] if isinstance(call, dict) else call
        for call in (calls if isinstance(calls, list) else [])
    ]


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        # Each span uploads its own copy of an attachment.
        ignored = "key" if value.get("type") == "braintrust_attachment" else None
        return {name: _content(item) for name, item in value.items() if name != ignored}
    if isinstance(value, list):
        if all(map(_is_text, value)):
            return "".join(part["text"] for part in value) or None
        return [_content(item) for item in value]
    return value or None


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.keys() == {"type", "text"} and isinstance(part["text"], str)
