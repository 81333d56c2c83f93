"""Folds the events of a streamed conversation into the response they add up to.

Recorded streams show what the documentation does not: every event of an entry carries the entry's id, while
`output_index` may be missing; executions overlap; there is no event for the end of a message; and `content_index`
tells the chunks of a message apart.
"""

import time
from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

from ..operations import Arrival
from ..payloads import is_given
from .chunks import MOST_PIECES, Arguments, Content, event_data, is_empty


_Fields: TypeAlias = dict[str, Any]


class ConversationAccumulator:
    """The response that a conversation's events add up to, folded in constant work and memory per event."""

    __slots__ = ("_entries", "_fields", "_message", "first_output")

    def __init__(self) -> None:
        self.first_output: float | None = None
        self._fields: _Fields = {"object": "conversation.response"}
        self._entries: dict[str, _Entry] = {}
        # The message that the last text went to: nearly every event of a stream goes on there.
        self._message: _Message | None = None

    def add(self, event: Any) -> None:
        """Fold one of the SDK's `ConversationEvents`; types that nobody knows yet leave no trace."""
        data = event.data
        message = self._message
        if message is not None and data.type == "message.output.delta" and data.id == message.id:
            text, content = data.content, message.content
            if type(text) is str and data.content_index == content.text_index:
                recent = content.recent
                recent.append(text)
                if len(recent) >= MOST_PIECES:
                    content.text.join()
                message.last = data
                return
        self._add(event_data(event))

    def response(self) -> _Fields:
        """Return the events so far as a `ConversationResponse` in plain form, with the SDK's chunks inside.

        A `conversation.response.error` event, which no unstreamed response has, stands under `error`.
        """
        return {**self._fields, "outputs": [entry.finish() for entry in self._in_order()]}

    def arrivals(self) -> dict[int, Arrival]:
        """Return when the events of each output arrived, by its index."""
        return {index: entry.arrival for index, entry in enumerate(self._in_order())}

    def _in_order(self) -> "list[_Entry]":
        entries = list(self._entries.values())
        # The SDK's models turn a missing output_index into 0: only where every entry brought one does it order them.
        if all(entry.index is not None for entry in entries):
            entries.sort(key=lambda entry: entry.index or 0)
        return entries

    def _add(self, data: Any) -> None:
        kind = data.type
        if kind == "conversation.response.started":
            self._fields["conversation_id"] = data.conversation_id
        elif kind == "conversation.response.done":
            self._fields["usage"] = data.usage
        elif kind == "conversation.response.error":
            self._fields["error"] = {"message": data.message, "code": getattr(data, "code", None)}
        elif kind in _ENTRY_CLASSES:
            self._add_to_entry(kind, data)

    def _add_to_entry(self, kind: str, data: Any) -> None:
        now = time.monotonic()
        entry = self._entries.get(data.id)
        if entry is None:
            entry = self._entries[data.id] = _ENTRY_CLASSES[kind](data, now)
        entry.add(kind, data, now)
        if isinstance(entry, _Message):
            if is_empty(data.content):
                # The first delta of a message may be: no output yet.
                return
            self._message = entry
        if self.first_output is None:
            self.first_output = now


class _Entry:
    """One entry of `outputs` while its events arrive."""

    __slots__ = ("arrival", "fields", "id", "index")

    type: ClassVar[str]
    copied: ClassVar[tuple[str, ...]] = ()
    """Fields that events bring as the entry has them, not all of them on each event."""

    def __init__(self, data: Any, now: float) -> None:
        self.fields: _Fields = {}
        self.id = data.id
        self.index = _index(data)
        self.arrival = Arrival(now, None)
        self._copy("created_at", data)

    def add(self, kind: str, data: Any, now: float) -> None:
        """Fold one more event of this entry, of type `kind`, seen at `now`."""
        for name in self.copied:
            self._copy(name, data)
        if kind.endswith(".done"):
            # Done events carry no completed_at.
            self._copy("created_at", data, to="completed_at")
            self.arrival = Arrival(self.arrival.first, now)

    def finish(self) -> _Fields:
        """Return the entry in plain form, by the names of the unstreamed one."""
        return {"object": "entry", "type": self.type, "id": self.id, **self.fields}

    def _copy(self, name: str, data: Any, to: str | None = None) -> None:
        value = getattr(data, name, None)
        # Later pieces may name nothing any more.
        if is_given(value) and (value != "" or name not in self.fields):
            self.fields[to or name] = value


class _Message(_Entry):
    __slots__ = ("content", "last")

    type = "message.output"
    copied = ("model", "agent_id")

    def __init__(self, data: Any, now: float) -> None:
        super().__init__(data, now)
        self.content = Content()
        self.last = data

    def add(self, kind: str, data: Any, now: float) -> None:
        super().add(kind, data, now)
        self.last = data
        self.content.add(data.content, _content_index(data))

    def finish(self) -> _Fields:
        # Text goes past `add`, and may have been the first to name the model.
        super().add("message.output.delta", self.last, 0.0)
        # There is no event for the end of a message; unstreamed, a one-token answer was completed when it was created.
        self._copy("created_at", self.last, to="completed_at")
        return {**super().finish(), "role": "assistant", "content": self.content.value()}


class _Call(_Entry):
    """A call of a tool or a function, with its arguments."""

    __slots__ = ("_arguments",)

    def __init__(self, data: Any, now: float) -> None:
        super().__init__(data, now)
        self._arguments = Arguments()

    def add(self, kind: str, data: Any, now: float) -> None:
        super().add(kind, data, now)
        self._arguments.add(getattr(data, "arguments", None))

    def finish(self) -> _Fields:
        arguments = self._arguments.value()
        return {**super().finish(), **({} if arguments is None else {"arguments": arguments})}


class _ToolExecution(_Call):
    __slots__ = ()

    type = "tool.execution"
    copied = ("name", "model", "agent_id", "info")


class _FunctionCall(_Call):
    __slots__ = ()

    type = "function.call"
    copied = ("name", "tool_call_id", "model", "agent_id", "confirmation_status")

    def add(self, kind: str, data: Any, now: float) -> None:
        super().add(kind, data, now)
        self.arrival = Arrival(self.arrival.first, now)


class _Handoff(_Entry):
    __slots__ = ()

    type = "agent.handoff"
    copied = ("previous_agent_id", "previous_agent_name", "next_agent_id", "next_agent_name")


_ENTRY_CLASSES: dict[str, type[_Entry]] = {
    "message.output.delta": _Message,
    "tool.execution.started": _ToolExecution,
    "tool.execution.delta": _ToolExecution,
    "tool.execution.done": _ToolExecution,
    "function.call.delta": _FunctionCall,
    "agent.handoff.started": _Handoff,
    "agent.handoff.done": _Handoff,
}


def _index(data: Any) -> int | None:
    """Return the output index that an event really brought."""
    names: Iterable[str] = getattr(data, "__pydantic_fields_set__", ("output_index",))
    index = getattr(data, "output_index", None)
    return index if "output_index" in names and isinstance(index, int) else None


def _content_index(data: Any) -> int:
    index = getattr(data, "content_index", None)
    return index if isinstance(index, int) else 0
