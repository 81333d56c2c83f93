"""The model calls inside a request to a conversation, as child spans in the format of chat completions.

- `input`: the messages that the model saw.
- `output`: one choice, with what the model wrote and asked for.
- `metadata`: the provider, the model, its agent, tools and sampling parameters.
- `metrics`: Mistral reports one sum for all calls of a response; it stands whole on the last.
"""

import bisect
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from braintrust.logger import BaseAttachment
from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded
from ..operations import Arrival, Child, LiveReader, Outcome, Readers, Request, ResponseReader
from ..payloads import Loggable, without_none
from ..settings import settings
from .agent_names import agent_name_of, learn_from_handoff
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
from .conversation_stream import ConversationAccumulator, StreamedEntry
from .earlier_turns import Conversation, conversation_before, remember
from .reading import unix_time


_AGENT_FIELDS = ("model", "agent_id")
_MOST_BYTES_OF_INPUTS = 1024 * 1024
_NOTE_BYTES = 128

# While a stream is open, nobody knows how many calls are to come: each takes at most half of the room that is left.
_PARTS_WHILE_OPEN = 2


def with_llm_spans(read: ResponseReader, read_ended: LiveReader) -> Callable[[Request], Readers]:
    """Return a function that makes the readers for a request; they add a child for each model call.

    A model call stands before what it asked for. The readers are made before the request is sent, and know the
    conversation as it was then.
    """

    def readers_for(request: Request) -> Readers:
        before = conversation_before(request)
        calls_so_far = _CallsSoFar(before)

        def read_all(response: Any, request: Request) -> Outcome:
            outcome = read(response, request)
            return _with_model_calls(outcome, request, before, calls_so_far.inputs) or outcome

        def read_all_ended(accumulator: Any, request: Request) -> Sequence[Child]:
            return _in_order(calls_so_far.read(accumulator, request), read_ended(accumulator, request))

        return Readers(read_all, read_all_ended, is_following=True)

    return readers_for


@guarded(fallback=None)
def _with_model_calls(
    outcome: Outcome, request: Request, before: Conversation, inputs_so_far: "Mapping[int, _Input]"
) -> Outcome:
    conversation = before.with_request(request)
    inputs = _Inputs(conversation, len(before.messages()))
    calls = _children(outcome, request, conversation, inputs, inputs_so_far)
    remember(conversation, request, outcome)
    if not calls:
        return outcome
    metadata = dict(outcome.metadata or {})
    if outcome.metrics:
        metadata["usage"] = {**outcome.metrics}
        covered: dict[str, Loggable] = {"usage_calls": len(calls)} if len(calls) > 1 else {}
        last = calls[-1]
        calls[-1] = last._replace(metrics=outcome.metrics, metadata={**last.metadata, **covered})
    return outcome._replace(metadata=metadata, metrics={}, children=_in_order(calls, outcome.children))


def _in_order(calls: Sequence[Child], others: Sequence[Child]) -> list[Child]:
    # Sorting is stable: a call comes before the first thing that it asked for.
    return sorted([*calls, *others], key=lambda child: -1 if child.child_index is None else child.child_index)


class _Call(NamedTuple):
    """One model call: the index of its first entry among the outputs, what it wrote, and what it had seen."""

    first_index: int
    entries: list[Entry]
    input: "_Input"


def _children(
    outcome: Outcome,
    request: Request,
    conversation: Conversation,
    inputs: "_Inputs",
    inputs_so_far: "Mapping[int, _Input]",
) -> list[Child]:
    """Return the model calls of a response."""
    outputs = outcome.output if isinstance(outcome.output, list) else []
    groups = _groups(enumerate(outputs), _count_allowed(request))
    left = sum(index is not None and index not in inputs_so_far for index, _ in groups)
    calls: list[_Call] = []
    for index, entries in groups:
        if index is not None:
            logged = inputs_so_far.get(index)
            calls.append(_Call(index, entries, inputs.make(left) if logged is None else inputs.reuse(logged)))
            left -= logged is None
        inputs.add(group_messages(entries))
    agents = _agents([call.entries for call in calls], conversation)
    return [_child(call, agent, request, conversation) for call, agent in zip(calls, agents, strict=True)]


class _CallsSoFar:
    """The model calls of a response whose stream is open, each as soon as it is known what it asked for.

    A call that was read may turn out to have asked for more: what reads the response has all of it.

    Attributes:
        inputs: what the calls that were read had seen, by the indexes of their first entries.
    """

    def __init__(self, before: Conversation) -> None:
        self.inputs: dict[int, _Input] = {}
        self._before = before
        self._conversation: Conversation | None = None
        # The index of the latest call's first entry: what follows may still be part of that call.
        self._start = 0

    @guarded(fallback=())
    def read(self, accumulator: ConversationAccumulator, request: Request) -> Sequence[Child]:
        """Return the calls that have ended by now, each once."""
        conversation = self._conversation or self._begin(request)
        entries = accumulator.entries_from(self._start)
        if not all(entry.fields for entry in entries):
            return ()
        groups = _groups(((entry.output_index, entry.fields) for entry in entries), self._allowed)
        children: list[Child] = []
        start = 0
        for number, (index, group) in enumerate(groups, 1):
            streamed = entries[start : start + len(group)]
            start += len(group)
            has_ended = number < len(groups) or any(entry.is_whole for entry in streamed)
            if index is not None and index not in self.inputs and has_ended:
                call = _Call(index, group, self._inputs.make(_PARTS_WHILE_OPEN))
                self.inputs[index] = call.input
                child = _child(call, _agent(group, self._known), request, conversation)
                children.append(child._replace(arrival=_arrival(streamed)))
            if number == len(groups) or not all(entry.has_ended for entry in streamed):
                break
            self._close(index, group)
        return children

    def _begin(self, request: Request) -> Conversation:
        conversation = self._before.with_request(request)
        self._allowed = _count_allowed(request)
        self._inputs = _Inputs(conversation, len(self._before.messages()))
        self._known = {name: conversation.settings.get(name) for name in _AGENT_FIELDS}
        self._conversation = conversation
        return conversation

    def _close(self, index: int | None, group: Sequence[Entry]) -> None:
        """Go on to the next call, which has seen this one, and may be another agent's."""
        self._inputs.add(group_messages(group))
        self._start += len(group)
        self._allowed -= index is None
        for entry in group:
            learn_from_handoff(entry)
        if entry_type(group[-1]) == "agent.handoff":
            self._known = {"model": None, "agent_id": group[-1].get("next_agent_id")}
        else:
            agent = _agent(group, self._known)
            self._known = {name: agent[name] for name in _AGENT_FIELDS}


def _arrival(entries: Sequence[StreamedEntry]) -> Arrival:
    """Return when a call was seen, which ended when the first thing that it asked for began."""
    asked = (entry.arrival.first for entry in entries if entry_type(entry.fields) in REQUESTED)
    return Arrival(entries[0].arrival.first, next(asked, None))


def _groups(outputs: Iterable[tuple[int, Loggable]], allowed: int) -> list[tuple[int | None, list[Entry]]]:
    """Return entries, which are given with their indexes, by model call, each call with the index of its first one.

    The first executions, as many as the request allowed, have none: a call of an earlier response asked for them.
    """
    # Entries of types that nobody knows yet are left out, as streams do not bring them.
    written = [(index, entry) for index, entry in outputs if isinstance(entry, dict) and entry_type(entry) in WRITTEN]
    executions = itertools.takewhile(lambda item: entry_type(item[1]) == "tool.execution", written)
    settled = len(list(itertools.islice(executions, allowed)))
    groups: list[tuple[int | None, list[Entry]]] = [(None, [entry]) for _, entry in written[:settled]]
    start = settled
    for entries in split_calls(entry for _, entry in written[settled:]):
        groups.append((written[start][0], entries))
        start += len(entries)
    return groups


def _count_allowed(request: Request) -> int:
    return sum(update.approval == "approved" for update in request.tool_call_updates)


def _child(call: _Call, agent: Mapping[str, Loggable], request: Request, conversation: Conversation) -> Child:
    arguments = conversation.settings.get("completion_args")
    about = {**agent, "provider": request.metadata.get("provider"), "tools": conversation.settings.get("tools")}
    reason = "tool_calls" if any(entry_type(entry) in REQUESTED for entry in call.entries) else "stop"
    return Child(
        name=f"chat {agent['model']}" if agent.get("model") else "chat",
        span_type=SpanTypeAttribute.LLM,
        input=[*call.input.messages],
        output=[{"index": 0, "finish_reason": reason, "message": assistant_message(call.entries)}],
        metadata=without_none({**(arguments if isinstance(arguments, dict) else {}), **about}),
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
    known = {name: conversation.settings.get(name) for name in _AGENT_FIELDS}
    agents: list[dict[str, Loggable]] = []
    while len(agents) < len(calls):
        stretch, handoff = _until_handoff(calls[len(agents) :])
        known = {
            "model": _first_given("model", *stretch) or known["model"],
            "agent_id": _first_given("agent_id", *stretch) or handoff.get("previous_agent_id") or known["agent_id"],
        }
        agents += [_agent(call, known) for call in stretch]
        known = {"model": None, "agent_id": handoff.get("next_agent_id")}
    return agents


def _agent(call: Sequence[Entry], known: Mapping[str, Loggable]) -> dict[str, Loggable]:
    """Return a call's model, agent and that one's name; what its entries do not say is what was known before it."""
    agent = {name: _first_given(name, call) or known[name] for name in _AGENT_FIELDS}
    return {**agent, "agent_name": agent_name_of(agent["agent_id"])}


def _until_handoff(calls: Sequence[Sequence[Entry]]) -> tuple[Sequence[Sequence[Entry]], Entry]:
    """Return the calls up to one that hands over, and the handoff; an empty one where there is none."""
    for number, call in enumerate(calls, 1):
        if entry_type(call[-1]) == "agent.handoff":
            return calls[:number], call[-1]
    return calls, {}


def _first_given(name: str, *calls: Sequence[Entry]) -> Loggable:
    return next((entry[name] for call in calls for entry in call if entry.get(name) is not None), None)


class _Input(NamedTuple):
    """The input of one call, and how many bytes it takes in a log record."""

    messages: list[Message]
    size: int


class _Inputs:
    """The inputs of the calls of a response, each all messages before it, the oldest left out where there is no room.

    All calls share the room: inputs only grow, and those that fit together are whole. What the request itself brings,
    the messages after the first `seen_before`, is in the input of the first call whatever its size, as it is in the
    request's own span.
    """

    def __init__(self, conversation: Conversation, seen_before: int) -> None:
        self._messages: list[Message] = []
        self._ends = [0]
        self._room = _MOST_BYTES_OF_INPUTS
        self._left_out = conversation.left_out
        self._seen_before: int | None = seen_before
        self.add(conversation.messages())

    def add(self, messages: Iterable[Message]) -> None:
        """Add messages that the calls to come have seen."""
        for message in messages if settings().content else ():
            self._messages.append(message)
            self._ends.append(self._ends[-1] + _logged_size(message))

    def make(self, parts: int) -> _Input:
        """Make the input of the next call, which may take one of so many parts of the room that is left."""
        count, size, share = len(self._messages), self._ends[-1], self._room // parts
        first = 0
        if self._left_out or size > share:
            first = bisect.bisect_left(self._ends, size + _NOTE_BYTES - share, 0, count)
        if self._seen_before is not None:
            first = min(first, self._seen_before)
        left_out = self._left_out + first
        note: list[Message] = [_note(left_out)] if left_out else []
        taken = size - self._ends[first] + (_NOTE_BYTES if note else 0)
        return self.reuse(_Input([*note, *self._messages[first:]], taken))

    def reuse(self, input: _Input) -> _Input:
        """Return this as the input of the next call, after making it the room that it takes."""
        self._room = max(0, self._room - input.size)
        self._seen_before = None
        return input


def _note(left_out: int) -> Message:
    text = "1 earlier message is left out" if left_out == 1 else f"{left_out} earlier messages are left out"
    return {"role": "system", "content": f"[{text}]"}


def _logged_size(message: Message) -> int:
    """Return how many bytes a message takes in a log record; an attachment is uploaded beside it."""
    return len(_ENCODER.encode(message).encode("utf-8", "replace")) + len(", ")


def _reference(value: Any) -> Any:
    return value.reference if isinstance(value, BaseAttachment) else str(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_reference)
