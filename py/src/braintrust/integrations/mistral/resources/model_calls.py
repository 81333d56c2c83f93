"""The model calls inside a request to a conversation, as child spans in the format of chat completions.

- `input`: the messages that the model saw.
- `output`: one choice, with what the model wrote and asked for.
- `metadata`: the provider, the model, its agent, tools and sampling parameters.
- `metrics`: Mistral reports one sum for all calls of a response; it stands whole on the last.
"""

import bisect
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from braintrust.logger import BaseAttachment
from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded
from ..operations import Child, Outcome, Request, ResponseReader
from ..payloads import Loggable, without_none
from .agent_names import agent_name_of
from .chat_format import (
    REQUESTED,
    WRITTEN,
    Entry,
    Message,
    assistant_message,
    entry_type,
    group_messages,
    split_calls,
)
from .earlier_turns import Conversation, conversation_before, remember
from .reading import unix_time


_MOST_BYTES_OF_INPUTS = 1024 * 1024


def with_llm_spans(read: ResponseReader) -> Callable[[Request], ResponseReader]:
    """Return what makes a reader for a request that adds a child for each model call, before what it asked for.

    The reader is made when the request is, and knows the conversation as it was then.
    """

    def reader_for(request: Request) -> ResponseReader:
        before = conversation_before(request)

        def read_all(response: Any, request: Request) -> Outcome:
            outcome = read(response, request)
            return _with_model_calls(outcome, request, before) or outcome

        return read_all

    return reader_for


@guarded(fallback=None)
def _with_model_calls(outcome: Outcome, request: Request, before: Conversation) -> Outcome:
    conversation = before.with_request(request)
    calls = _children(outcome, request, conversation, len(before.messages()))
    remember(conversation, request, outcome)
    if not calls:
        return outcome
    metadata = dict(outcome.metadata or {})
    if outcome.metrics:
        metadata["usage"] = {**outcome.metrics}
        covered: dict[str, Loggable] = {"usage_calls": len(calls)} if len(calls) > 1 else {}
        last = calls[-1]
        calls[-1] = last._replace(metrics=outcome.metrics, metadata={**last.metadata, **covered})
    # Sorting is stable: a call comes before the first thing that it asked for.
    children = sorted(
        [*calls, *outcome.children], key=lambda child: -1 if child.child_index is None else child.child_index
    )
    return outcome._replace(metadata=metadata, metrics={}, children=children)


class _Call(NamedTuple):
    """One model call: the place of its first entry among the outputs, what it wrote, and how much it had seen.

    Attributes:
        seen: how many of the messages of the conversation came before it.
    """

    first_index: int
    entries: list[Entry]
    seen: int


def _children(outcome: Outcome, request: Request, conversation: Conversation, seen_before: int) -> list[Child]:
    """Return the model calls of a response; of the conversation, `seen_before` messages are from earlier turns."""
    messages = conversation.messages()
    calls: list[_Call] = []
    for index, entries in _groups(outcome, request):
        if index is not None:
            calls.append(_Call(index, entries, len(messages)))
        messages += group_messages(entries)
    inputs = _inputs(messages, [call.seen for call in calls], seen_before, conversation.left_out)
    agents = _agents([call.entries for call in calls], conversation)
    return [
        _child(call, input, {**agent, "provider": request.metadata.get("provider")}, conversation.settings)
        for call, input, agent in zip(calls, inputs, agents, strict=True)
    ]


def _groups(outcome: Outcome, request: Request) -> list[tuple[int | None, list[Entry]]]:
    """Return the entries of a response by model call, each with the place of its first one.

    Executions that the request allowed have none: a call of an earlier response asked for them.
    """
    outputs = outcome.output if isinstance(outcome.output, list) else []
    # Of other types, which are still to come, a stream brings nothing.
    written = [(index, entry) for index, entry in enumerate(outputs) if isinstance(entry, dict)]
    written = [(index, entry) for index, entry in written if entry_type(entry) in WRITTEN]
    executions = itertools.takewhile(lambda item: entry_type(item[1]) == "tool.execution", written)
    allowed = sum(update.approval == "approved" for update in request.tool_call_updates)
    settled = len(list(itertools.islice(executions, allowed)))
    groups: list[tuple[int | None, list[Entry]]] = [(None, [entry]) for _, entry in written[:settled]]
    rest = iter(written[settled:])
    for entries in split_calls(entry for _, entry in written[settled:]):
        places = [index for index, _ in itertools.islice(rest, len(entries))]
        groups.append((places[0], entries))
    return groups


def _child(
    call: _Call, input: list[Message], about: Mapping[str, Loggable], settings: Mapping[str, Loggable]
) -> Child:
    arguments = settings.get("completion_args")
    metadata = {**(arguments if isinstance(arguments, dict) else {}), **about, "tools": settings.get("tools")}
    reason = "tool_calls" if any(entry_type(entry) in REQUESTED for entry in call.entries) else "stop"
    return Child(
        name=f"chat {about['model']}" if about.get("model") else "chat",
        span_type=SpanTypeAttribute.LLM,
        input=[*input],
        output=[{"index": 0, "finish_reason": reason, "message": assistant_message(call.entries)}],
        metadata=without_none(metadata),
        child_index=call.first_index,
        end=_end(call.entries),
    )


def _end(entries: Sequence[Entry]) -> float | None:
    """Return when a call ended: when the first thing that it asked for began, else when its message was complete."""
    starts = [unix_time(entry.get("created_at")) for entry in entries if entry_type(entry) in REQUESTED]
    if starts:
        return min((start for start in starts if start is not None), default=None)
    return unix_time(entries[-1].get("completed_at"))


def _agents(calls: Sequence[Sequence[Entry]], conversation: Conversation) -> list[dict[str, Loggable]]:
    """Return each call's model, agent and that one's name, as far as they are known.

    Not every entry names them: up to a handoff they are the same, and the next agent's after it.
    """
    known = {name: conversation.settings.get(name) for name in ("model", "agent_id")}
    agents: list[dict[str, Loggable]] = []
    while len(agents) < len(calls):
        stretch, handoff = _until_handoff(calls[len(agents) :])
        known = {
            "model": _first_given("model", *stretch) or known.get("model"),
            "agent_id": _first_given("agent_id", *stretch)
            or handoff.get("previous_agent_id")
            or known.get("agent_id"),
        }
        for call in stretch:
            agent = {name: _first_given(name, call) or value for name, value in known.items()}
            agents.append({**agent, "agent_name": agent_name_of(agent["agent_id"])})
        known = {"agent_id": handoff.get("next_agent_id")}
    return agents


def _until_handoff(calls: Sequence[Sequence[Entry]]) -> tuple[Sequence[Sequence[Entry]], Entry]:
    """Return the calls up to one that hands over, and the handoff; an empty one where there is none."""
    for number, call in enumerate(calls, 1):
        if entry_type(call[-1]) == "agent.handoff":
            return calls[:number], call[-1]
    return calls, {}


def _first_given(name: str, *calls: Sequence[Entry]) -> Loggable:
    return next((entry[name] for call in calls for entry in call if entry.get(name) is not None), None)


def _inputs(
    messages: Sequence[Message], seen: Sequence[int], seen_before: int, left_out_before: int
) -> Iterator[list[Message]]:
    """Yield the input of each call: the first `seen` of the messages, its oldest left out where there is no room.

    All calls of a response share the room, so a call may take as much as is left, divided by the calls that are left:
    inputs only grow, and those that fit together are whole. What the request itself brings, the messages after
    `seen_before`, is in the first of its calls whatever its size, as it is in the request's own span.
    """
    room = _MOST_BYTES_OF_INPUTS
    ends = list(itertools.accumulate(map(_logged_size, messages), initial=0))
    for number, count in enumerate(seen):
        share = room // (len(seen) - number)
        first = 0
        if left_out_before or ends[count] > share:
            first = bisect.bisect_left(ends, ends[count] + _NOTE_BYTES - share, 0, count)
        if number == 0:
            first = min(first, seen_before)
        left_out = left_out_before + first
        note: list[Message] = [_note(left_out)] if left_out else []
        room = max(0, room - (ends[count] - ends[first]) - (_NOTE_BYTES if note else 0))
        yield [*note, *messages[first:count]]


_NOTE_BYTES = 128


def _note(left_out: int) -> Message:
    text = "1 earlier message is left out" if left_out == 1 else f"{left_out} earlier messages are left out"
    return {"role": "system", "content": f"[{text}]"}


def _logged_size(message: Message) -> int:
    """Return how many bytes a message takes in a log record; an attachment is uploaded beside it."""
    return len(json.dumps(message, ensure_ascii=False, default=_reference).encode("utf-8", "replace")) + len(", ")


def _reference(value: Any) -> Any:
    return value.reference if isinstance(value, BaseAttachment) else str(value)
