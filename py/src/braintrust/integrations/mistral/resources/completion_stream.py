"""Folds the chunks of a streamed chat, agents or fim completion into the response they add up to.

Choices are told apart by their index, tool calls by theirs and by their ids; names and arguments of tool calls arrive
in pieces, as texts do. Where Mistral ran tools itself, a choice has several messages, told apart by the delta's index;
some models say with each delta that the only message is the first.
"""

import time
from typing import Any, TypeAlias

from ..operations import Arrival
from ..payloads import given_fields
from .chunks import MOST_PIECES, Arguments, Content, Pieces, letters_in


_Fields: TypeAlias = dict[str, Any]

_LOGPROBS = frozenset({"logprobs", "prompt_logprobs"})

# What the SDK's models make of a tool call without an id, and what some models send after the first piece.
_NO_IDS = ("null", "")


class CompletionAccumulator:
    """The response that a completion's chunks add up to, folded in constant work and memory per chunk."""

    __slots__ = ("_choices", "_fields", "_text", "first_output")

    def __init__(self) -> None:
        self.first_output: float | None = None
        self._fields: _Fields = {}
        self._choices: dict[int, _Choice] = {}
        # The choice that the last chunk went to, and its content if that is where the next text goes.
        self._text: tuple[int, Content] | None = None

    def add(self, event: Any) -> None:
        """Fold one of the SDK's `CompletionEvent`s."""
        chunk = event.data
        choices = chunk.choices
        if self._text is not None and len(choices) == 1 and chunk.usage is None:
            index, content = self._text
            choice = choices[0]
            delta = choice.delta
            text = delta.content
            if (
                type(text) is str
                and choice.index == index
                and choice.finish_reason is None
                # The delta brings text alone, and of the choice only the three fields that are always set.
                and len(delta.__pydantic_fields_set__) == 1
                and len(choice.__pydantic_fields_set__) == 3
            ):
                recent = content.recent
                recent.append(text)
                if len(recent) >= MOST_PIECES:
                    content.text.join()
                return
        self._add(chunk)

    def response(self) -> _Fields:
        """Return the chunks so far as a `ChatCompletionResponse` in plain form, with the SDK's chunks inside."""
        return {**self._fields, "choices": [choice.finish() for choice in self._in_order()]}

    def arrivals(self) -> dict[int, Arrival]:
        """Return when the pieces of each tool call arrived, by its index among those of all choices."""
        calls = [call for choice in self._in_order() for call in choice.tool_calls()]
        return {index: call.arrival for index, call in enumerate(calls)}

    def _in_order(self) -> "list[_Choice]":
        return [self._choices[index] for index in sorted(self._choices)]

    def _add(self, chunk: Any) -> None:
        now = time.monotonic()
        fields = given_fields(chunk)
        if isinstance(fields.get("object"), str):
            # "chat.completion.chunk" of "chat.completion".
            fields["object"] = fields["object"].removesuffix(".chunk")
        for choice in fields.pop("choices", ()):
            state = self._choices.get(choice.index)
            if state is None:
                state = self._choices[choice.index] = _Choice()
            message = state.add(choice, now)
            if self.first_output is None and message.has_output:
                self.first_output = now
            # Until there is an output, the next chunk may bring the first of it, whose time is taken here.
            is_text_next = message.content.text_index == 0 and self.first_output is not None
            self._text = (choice.index, message.content) if is_text_next else None
        self._fields.update(fields)


class _Choice:
    """One choice while its chunks arrive."""

    __slots__ = ("_fields", "_latest", "_logprobs", "_messages")

    def __init__(self) -> None:
        self._fields: _Fields = {}
        self._logprobs: dict[str, list[Any]] = {}
        # By the delta's index. Not all deltas of several messages have one, and some models' of a single one do.
        self._messages: dict[int, _Message] = {}
        self._latest = 0

    def add(self, choice: Any, now: float) -> "_Message":
        """Fold what one chunk brings for this choice, and return the message that it went to."""
        fields = given_fields(choice)
        delta = given_fields(fields.pop("delta"))
        for name in _LOGPROBS & fields.keys():
            self._logprobs.setdefault(name, []).extend(fields.pop(name).content)
        self._fields.update(fields)
        if "index" in delta:
            self._latest = delta.pop("index")
        message = self._messages.get(self._latest)
        if message is None:
            message = self._messages[self._latest] = _Message()
        message.add(delta, now)
        return message

    def tool_calls(self) -> "list[_ToolCall]":
        """Return the tool calls of all messages, in order."""
        return [call for message in self._in_order() for call in message.calls]

    def finish(self) -> _Fields:
        """Return the choice in plain form."""
        messages = [message.finish() for message in self._in_order()]
        logprobs = {name: {"content": tokens} for name, tokens in self._logprobs.items()}
        if len(messages) > 1:
            return {**self._fields, **logprobs, "messages": messages}
        # There is none where its chunks could not be read.
        return {**self._fields, **logprobs, "message": messages[0] if messages else None}

    def _in_order(self) -> "list[_Message]":
        return [self._messages[index] for index in sorted(self._messages)]


class _Message:
    """One message while its deltas arrive.

    Attributes:
        content: its content so far.
        calls: its tool calls so far, in the order in which they began.
        has_output: whether anything came that a reader would see.
    """

    __slots__ = ("_fields", "_has_content", "_open", "calls", "content", "has_output")

    def __init__(self) -> None:
        self._fields: _Fields = {"role": "assistant"}
        self.content = Content()
        self._has_content = False
        self.calls: list[_ToolCall] = []
        self.has_output = False
        # The latest of each index, or position in the delta, and by their ids those that have one.
        self._open: dict[int | str, _ToolCall] = {}

    def add(self, delta: _Fields, now: float) -> None:
        """Fold the fields of a delta."""
        content, calls = delta.pop("content", None), delta.pop("tool_calls", None)
        if content is not None:
            for part in content if isinstance(content, list) else [content]:
                # The last delta is an empty text, whatever came before it.
                if part != "" or not self._has_content:
                    self.content.add(part)
                self.has_output = self.has_output or letters_in(part) > 0
            self._has_content = True
        for position, call in enumerate(calls or ()):
            self._add_call(call, position, now)
            self.has_output = True
        self._fields.update(delta)

    def finish(self) -> _Fields:
        """Return the message in plain form."""
        fields = dict(self._fields)
        if self._has_content:
            fields["content"] = self.content.value()
        if self.calls:
            fields["tool_calls"] = [call.finish() for call in self.calls]
        return fields

    def _add_call(self, piece: Any, position: int, now: float) -> None:
        """Fold a piece into the call that it belongs to, or begin one with it.

        Pieces with the same index belong together, or with the same position in their deltas where they have none; if
        both have an id, only if that is the same too. Without either, a piece that names a function after the
        arguments of a call begins the next call.
        """
        fields = given_fields(piece)
        if fields.get("id") in _NO_IDS:
            del fields["id"]
        call_id, index = fields.get("id"), fields.get("index", position)
        call = self._open.get(index)
        if call_id is not None:
            if call is None or call.id is not None:
                call = self._open.get(call_id)
        elif call is not None and "index" not in fields and call.is_followed_by(piece.function):
            call = None
        if call is None:
            call = _ToolCall(piece.type, now)
            self.calls.append(call)
        call.add(fields, now)
        self._open[index] = call
        if call.id is not None:
            self._open[call.id] = call


class _ToolCall:
    """One tool call while its pieces arrive."""

    __slots__ = ("_arguments", "_fields", "_name", "arrival")

    def __init__(self, kind: str | None, now: float) -> None:
        self.arrival = Arrival(now, now)
        # 2.x and 3.x fill in the type, 1.x does not.
        self._fields: _Fields = {} if kind is None else {"type": kind}
        self._name = Pieces()
        self._arguments = Arguments()

    @property
    def id(self) -> str | None:
        """Its id, if it is known."""
        return self._fields.get("id")

    def is_followed_by(self, function: Any) -> bool:
        """Tell whether a piece that could belong to this call or another names the function of another."""
        if not function.name or not self._arguments.has_begun:
            return False
        # A name may be repeated on each piece.
        return function.name != self._name.value() or self._arguments.are_followed_by(function.arguments)

    def add(self, fields: _Fields, now: float) -> None:
        """Fold the fields of one piece."""
        self.arrival = Arrival(self.arrival.first, now)
        function = fields.pop("function")
        if function.name != self._name.value():
            self._name.add(function.name)
        self._arguments.add(function.arguments)
        self._fields.update(fields)

    def finish(self) -> _Fields:
        """Return the tool call in plain form."""
        function: _Fields = {"name": self._name.value(), "arguments": self._arguments.value()}
        return {**self._fields, "function": function}
