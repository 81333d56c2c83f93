"""A conversation's entries as chat messages, and as the model calls that wrote them.

Mistral reports no model calls. But a model only goes on when the results of what it asked for are there, so the order
of the entries and the times of the executions tell which of them one call wrote.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from ..payloads import Loggable, only_dicts, without_none
from .reading import unix_time


Entry: TypeAlias = Mapping[str, Loggable]
Message: TypeAlias = dict[str, Loggable]

REQUESTED = frozenset({"tool.execution", "function.call", "agent.handoff"})
"""The types of entries that a model asked for."""

WRITTEN = REQUESTED | {"message.output"}
"""The types of entries that come from a model call."""

# These hold their results themselves.
_ANSWERED = ("tool.execution", "agent.handoff")


def entries_of(inputs: Loggable) -> list[Entry]:
    """Return the inputs of a request as entries: a text is what the user says."""
    return [{"role": "user", "content": inputs}] if isinstance(inputs, str) else [*only_dicts(inputs)]


def split_calls(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Return entries in groups: what one model call wrote is one, and each entry that no model wrote is one alone.

    The next call begins with a message after an execution, with what began when the executions before it were over,
    and after a handoff. Executions that overlap, or whose times are not known, are of one call.
    """
    groups: list[_Group] = []
    for entry in entries:
        if not (groups and groups[-1].goes_on_with(entry)):
            groups.append(_Group())
        groups[-1].add(entry)
    return [group.entries for group in groups]


def messages_of(entries: Iterable[Entry]) -> list[Message]:
    """Return entries as chat messages: a tool that Mistral ran is an assistant's tool call and a tool's result."""
    return [message for group in split_calls(entries) for message in group_messages(group)]


def group_messages(group: Sequence[Entry]) -> list[Message]:
    """Return the chat messages of a group of `split_calls`, with the results of what Mistral itself ran."""
    if entry_type(group[0]) in WRITTEN:
        return [assistant_message(group), *(_result(entry) for entry in group if entry_type(entry) in _ANSWERED)]
    return [_input_message(entry) for entry in group]


def assistant_message(call: Sequence[Entry]) -> Message:
    """Return what one model call wrote as a single message, with what it asked for as tool calls."""
    contents = [entry.get("content") for entry in call if entry_type(entry) == "message.output"]
    message: Message = {"role": "assistant", "content": _joined(contents)}
    tool_calls: list[Loggable] = [_tool_call(entry) for entry in call if entry_type(entry) in REQUESTED]
    return {**message, "tool_calls": tool_calls} if tool_calls else message


def entry_type(entry: Entry) -> str:
    """Return the type of an entry; the SDK lets typed dicts go without."""
    kind = entry.get("type")
    return kind if isinstance(kind, str) else "function.result" if "result" in entry else ""


class _Group:
    """What one model call has written so far, and when its executions were over."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._has_executions = False
        # Of its executions; if the end of one is not known, neither is theirs.
        self._latest_start = float("-inf")
        self._end: float | None = float("-inf")

    def goes_on_with(self, entry: Entry) -> bool:
        """Tell whether the model wrote this entry before it had a result of its call."""
        last = entry_type(self.entries[-1])
        if last not in WRITTEN or last == "agent.handoff" or entry_type(entry) not in WRITTEN:
            return False
        if not self._has_executions:
            return True
        if entry_type(entry) == "message.output":
            return False
        start = unix_time(entry.get("created_at"))
        # Those that took no time begin at the same moment: nothing tells that one waited for the other.
        return start is None or self._end is None or start < self._end or start <= self._latest_start

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry_type(entry) == "tool.execution":
            self._has_executions = True
            start, end = unix_time(entry.get("created_at")), unix_time(entry.get("completed_at"))
            self._end = None if end is None or self._end is None else max(self._end, end)
            self._latest_start = self._latest_start if start is None else max(self._latest_start, start)


def _input_message(entry: Entry) -> Message:
    if entry_type(entry) == "function.result":
        return {"role": "tool", "tool_call_id": entry.get("tool_call_id"), "content": entry.get("result")}
    return {"role": entry.get("role", "user"), "content": entry.get("content")}


def _result(entry: Entry) -> Message:
    if entry_type(entry) == "agent.handoff":
        content = entry.get("next_agent_name") or entry.get("next_agent_id")
    else:
        info = entry.get("info")
        content = info.get("result", info) if isinstance(info, dict) else info
    return {"role": "tool", "tool_call_id": entry.get("id"), "content": content}


def _tool_call(entry: Entry) -> Message:
    name, arguments, call_id = entry.get("name"), entry.get("arguments"), entry.get("id")
    if entry_type(entry) == "function.call":
        call_id = entry.get("tool_call_id") or call_id
    elif entry_type(entry) == "agent.handoff":
        name = "handoff"
        agent = {"agent_id": entry.get("next_agent_id"), "agent_name": entry.get("next_agent_name")}
        arguments = {**without_none(agent)}
    # Old executions have no arguments.
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, default=str, ensure_ascii=False)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}


def _joined(contents: Sequence[Loggable]) -> Loggable:
    """Return the contents of the messages of one call as that of one: a text where all are texts, else parts."""
    if len(contents) <= 1:
        return contents[0] if contents else None
    texts = [content for content in contents if isinstance(content, str)]
    if len(texts) == len(contents):
        return "\n\n".join(texts)
    parts: list[Loggable] = []
    for content in contents:
        if isinstance(content, list):
            parts.extend(content)
        else:
            parts.append({"type": "text", "text": content})
    return parts
