"""Folds the events of a streamed conversation into the response they add up to.

Recorded streams show what the documentation does not: every event of an entry carries the entry's id, while
`output_index` may be missing; executions overlap; there is no event for the end of a message; and `content_index`
tells the chunks of a message apart.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

from ..operations import Arrival, LiveAccumulator, ToolCallKey
from ..payloads import LoggableFields, is_given, to_loggable
from .chunks import MOST_PIECES, Arguments, Content, event_data, letters_in


_Fields: TypeAlias = dict[str, Any]

_LETTERS_OF_PROGRESS = 4 * 1024


class StreamedEntry(NamedTuple):
    """An entry of a stream that is open.

    Attributes:
        output_index: its index in the outputs, as far as these have arrived.
        fields: the entry as the response would have it, loggable; empty where it could not be read.
        is_whole: whether all that the model wrote there is known; never of a message, as that may go on.
        has_ended: whether its result is known as well, if it has one.
    """

    output_index: int
    fields: LoggableFields
    arrival: Arrival
    is_whole: bool
    has_ended: bool


class ConversationAccumulator:
    """The response that a conversation's events add up to, folded in constant work and memory per event."""

    __slots__ = (
        "_call",
        "_ended",
        "_entries",
        "_fields",
        "_has_unindexed",
        "_is_shuffled",
        "_last_index",
        "_letters",
        "_message",
        "first_output",
        "is_followed",
        "on_progress",
    )

    def __init__(self) -> None:
        self.first_output: float | None = None
        # Pylint believes that it stays `None`, see below.
        self.on_progress: Callable[[LiveAccumulator], None] | None = None
        self.is_followed = False
        self._fields: _Fields = {"object": "conversation.response"}
        self._entries: dict[str, _Entry] = {}
        # The message that the last text went to: nearly every event of a stream goes on there.
        self._message: _Message | None = None
        # The function call that is arriving.
        self._call: _FunctionCall | None = None
        # What has ended since that was read last, and the letters that have come since then.
        self._ended: list[_Entry] = []
        self._letters = 0
        self._last_index = -1
        self._is_shuffled = self._has_unindexed = False

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
                    self._add_letters(content.text.join())
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

    @property
    def conversation_id(self) -> str | None:
        """The id of the conversation, once that is known."""
        return self._fields.get("conversation_id")

    def pop_ended(self) -> list[StreamedEntry]:
        """Return the tools, function calls and handoffs that have ended since this was asked last."""
        ended, self._ended = self._ended, []
        streamed = [entry.streamed(self._index_of(entry)) for entry in ended]
        return [entry for entry in streamed if entry.fields]

    def entries_from(self, index: int) -> Sequence[StreamedEntry]:
        """Return the entries so far from this index on; none where the outputs have another order than the events."""
        if self._is_reordered:
            return []
        entries = itertools.islice(reversed(self._entries.values()), len(self._entries) - index)
        return [entry.streamed(entry.number) for entry in entries][::-1]

    def end_call(self, key: ToolCallKey) -> None:
        """End the function call with this key, if that is arriving: somebody has answered it."""
        call = self._call
        if call is not None and key == (self.conversation_id, call.fields.get("tool_call_id")):
            self._end(call)

    @property
    def _is_reordered(self) -> bool:
        """Whether the outputs have another order than the one in which they began.

        The SDK's models turn a missing output_index into 0: only where every entry brought one does it order them.
        """
        return self._is_shuffled and not self._has_unindexed

    def _in_order(self) -> "list[_Entry]":
        entries = list(self._entries.values())
        if self._is_reordered:
            entries.sort(key=lambda entry: entry.output_index or 0)
        return entries

    def _index_of(self, entry: "_Entry") -> int:
        return self._in_order().index(entry) if self._is_reordered else entry.number

    def _add(self, data: Any) -> None:
        call, kind = self._call, data.type
        if kind in _ENTRY_CLASSES:
            self._add_to_entry(kind, data)
        elif kind == "conversation.response.started":
            self._fields["conversation_id"] = data.conversation_id
        elif kind == "conversation.response.done":
            self._fields["usage"] = data.usage
        elif kind == "conversation.response.error":
            self._fields["error"] = {"message": data.message, "code": getattr(data, "code", None)}
        # A function call has no event for its end: it ends with the next event of something else.
        if call is not None and getattr(data, "id", None) != call.id:
            self._end(call)

    def _end(self, entry: "_Entry") -> None:
        entry.has_ended = True
        if entry is self._call:
            self._call = None
        if self.on_progress is not None:
            self._ended.append(entry)
            self.on_progress(self)  # pylint: disable=not-callable

    def _add_letters(self, count: int) -> None:
        self._letters += count
        if self._letters >= _LETTERS_OF_PROGRESS and self.on_progress is not None:
            self._letters = 0
            self.on_progress(self)  # pylint: disable=not-callable

    def _add_to_entry(self, kind: str, data: Any) -> None:
        now = time.monotonic()
        entry = self._entries.get(data.id) or self._new_entry(kind, data, now)
        entry.add(kind, data, now)
        if isinstance(entry, _Message):
            letters = letters_in(data.content)
            if not letters:
                # The first delta of a message may have none: no output yet.
                return
            self._message = entry
            self._add_letters(letters)
        elif isinstance(entry, _FunctionCall):
            # What follows has to be seen, even if it is a text.
            self._call, self._message = entry, None
        if self.first_output is None:
            self.first_output = now
        if kind in _DONE:
            self._end(entry)
        elif self.is_followed and kind == "tool.execution.delta" and entry.is_whole() and self.on_progress is not None:
            self.on_progress(self)  # pylint: disable=not-callable

    def _new_entry(self, kind: str, data: Any, now: float) -> "_Entry":
        entry = self._entries[data.id] = _ENTRY_CLASSES[kind](data, now, len(self._entries))
        if entry.output_index is None:
            self._has_unindexed = True
        elif entry.output_index < self._last_index:
            self._is_shuffled = True
        else:
            self._last_index = entry.output_index
        return entry


class _Entry:
    """One entry of `outputs` while its events arrive.

    Attributes:
        number: how many entries began before it.
        output_index: its index in the outputs, where its events say that.
        has_ended: whether no more of it is expected.
    """

    __slots__ = ("_loggable", "arrival", "fields", "has_ended", "id", "number", "output_index")

    type: ClassVar[str]
    copied: ClassVar[tuple[str, ...]] = ()
    """Fields that events bring as the entry has them, not all of them on each event."""

    def __init__(self, data: Any, now: float, number: int) -> None:
        self.fields: _Fields = {}
        self.id = data.id
        self.output_index = _output_index(data)
        self.number = number
        self.arrival = Arrival(now, None)
        self.has_ended = False
        self._loggable: LoggableFields | None = None
        self._copy("created_at", _fields_of(data))

    def add(self, kind: str, data: Any, now: float) -> None:
        """Fold one more event of this entry, of type `kind`, seen at `now`."""
        self._loggable = None
        fields = _fields_of(data)
        for name in self.copied:
            self._copy(name, fields)
        if kind in _DONE:
            # Done events carry no completed_at.
            self._copy("created_at", fields, to="completed_at")
            self.arrival = Arrival(self.arrival.first, now)

    def is_whole(self) -> bool:
        """Tell whether all that the model wrote there is known, such as what it asked a tool for."""
        return self.has_ended

    def streamed(self, output_index: int) -> StreamedEntry:
        """Return the entry as it is by now, which is made only once where it has ended."""
        fields = self._loggable
        if not fields:
            loggable = to_loggable(self.finish())
            fields = LoggableFields(loggable if isinstance(loggable, dict) else {})
            self._loggable = fields if self.has_ended else None
        has_ended = self.has_ended or isinstance(self, _Message)
        return StreamedEntry(output_index, fields, self.arrival, self.is_whole(), has_ended)

    def finish(self) -> _Fields:
        """Return the entry in plain form, by the names of the unstreamed one."""
        return self._loggable or {"object": "entry", "type": self.type, "id": self.id, **self._own_fields()}

    def _own_fields(self) -> _Fields:
        return self.fields

    def _copy(self, name: str, fields: Mapping[str, Any], to: str | None = None) -> None:
        value = fields.get(name)
        # Later pieces may leave a name empty.
        if is_given(value) and (value != "" or name not in self.fields):
            self.fields[to or name] = value


class _Message(_Entry):
    __slots__ = ("content", "last")

    type = "message.output"
    copied = ("model", "agent_id")

    def __init__(self, data: Any, now: float, number: int) -> None:
        super().__init__(data, now, number)
        self.content = Content()
        self.last = data

    def add(self, kind: str, data: Any, now: float) -> None:
        super().add(kind, data, now)
        self.last = data
        self.content.add(data.content, _content_index(data))

    def _own_fields(self) -> _Fields:
        # The accumulator folds most texts without `add`, and one of them may be the first to name the model.
        super().add("message.output.delta", self.last, 0.0)
        # There is no event for the end of a message; unstreamed, a one-token answer was completed when it was created.
        self._copy("created_at", _fields_of(self.last), to="completed_at")
        return {**self.fields, "role": "assistant", "content": self.content.value()}


class _Call(_Entry):
    """A call of a tool or a function, with its arguments."""

    __slots__ = ("arguments",)

    def __init__(self, data: Any, now: float, number: int) -> None:
        super().__init__(data, now, number)
        self.arguments = Arguments()

    def add(self, kind: str, data: Any, now: float) -> None:
        super().add(kind, data, now)
        self.arguments.add(getattr(data, "arguments", None))

    def _own_fields(self) -> _Fields:
        arguments = self.arguments.value()
        return {**self.fields, **({} if arguments is None else {"arguments": arguments})}


class _ToolExecution(_Call):
    __slots__ = ()

    type = "tool.execution"
    copied = ("name", "model", "agent_id", "info")

    def is_whole(self) -> bool:
        return self.has_ended or self.arguments.are_whole()


class _FunctionCall(_Call):
    __slots__ = ()

    type = "function.call"
    copied = ("name", "tool_call_id", "model", "agent_id", "confirmation_status")

    def add(self, kind: str, data: Any, now: float) -> None:
        super().add(kind, data, now)
        # Where the deltas of several calls alternate, it seemed to have ended.
        self.has_ended = False
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


_DONE = frozenset(kind for kind in _ENTRY_CLASSES if kind.endswith(".done"))


def _fields_of(data: Any) -> Mapping[str, Any]:
    """Return the fields of an event by name; to ask a model for an attribute that it does not have is slow."""
    extra: Mapping[str, Any] | None = getattr(data, "__pydantic_extra__", None)
    return {**data.__dict__, **extra} if extra else data.__dict__


def _output_index(data: Any) -> int | None:
    """Return the output index that an event really brought."""
    names: Iterable[str] = getattr(data, "__pydantic_fields_set__", ("output_index",))
    index = getattr(data, "output_index", None)
    return index if "output_index" in names and isinstance(index, int) else None


def _content_index(data: Any) -> int:
    index = getattr(data, "content_index", None)
    return index if isinstance(index, int) else 0
