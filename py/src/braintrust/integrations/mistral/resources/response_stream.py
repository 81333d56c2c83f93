"""Folds the events of a streamed response into the response they add up to.

The last event of a stream holds the whole response. What a stream that ended before has brought is folded from its
items: they begin with an event, grow by deltas, and are repeated whole when they are done.
"""

import time
from typing import Any, TypeAlias

from ..operations import Arrival
from ..payloads import given_fields
from .chunks import MOST_PIECES, Arguments, Pieces


_Fields: TypeAlias = dict[str, Any]

_TEXT_DELTAS = {"response.output_text.delta": "output_text", "response.reasoning_text.delta": "reasoning_text"}

# All other events repeat what these bring.
_ITEM_EVENTS = _TEXT_DELTAS.keys() | {
    "response.function_call_arguments.delta",
    "response.content_part.done",
    "response.output_item.added",
    "response.output_item.done",
}


class ResponseAccumulator:
    """The response that the events of a streamed one add up to, folded in constant work and memory per event."""

    __slots__ = ("_error", "_items", "_response", "_text", "first_output")

    def __init__(self) -> None:
        self.first_output: float | None = None
        # As the latest event knew it: bare at the beginning, complete at the end.
        self._response: Any = None
        self._error: _Fields | None = None
        self._items: dict[int, _Item] = {}
        # Where the last text went: its item, its content_index, its pieces.
        self._text: tuple[str, int, Pieces] | None = None

    def add(self, event: Any) -> None:
        """Fold one of the SDK's `ResponsesStreamFrame`s; types that nobody knows yet leave no trace."""
        data = event.data
        kind = data.type
        if self._text is not None and kind == "response.output_text.delta":
            item_id, index, text = self._text
            if data.content_index == index and data.item_id == item_id:
                text.recent.append(data.delta)
                if len(text.recent) >= MOST_PIECES:
                    text.join()
                return
        if hasattr(data, "response"):
            self._response = data.response
        elif kind == "error":
            self._error = given_fields(data)
        elif kind in _ITEM_EVENTS:
            self._add_to_item(kind, data)

    def response(self) -> _Fields:
        """Return the events so far as a `CreateResponseResponse` in plain form, with the SDK's items inside."""
        fields = {} if self._response is None else given_fields(self._response)
        if not fields.get("output"):
            fields["output"] = [item.finish() for item in self._in_order()]
        if self._error is not None:
            fields["error"] = self._error
        return fields

    def arrivals(self) -> dict[int, Arrival]:
        """Return when the events of each output item arrived, by its index."""
        return {index: item.arrival for index, item in enumerate(self._in_order())}

    def _in_order(self) -> "list[_Item]":
        return [self._items[index] for index in sorted(self._items)]

    def _add_to_item(self, kind: str, data: Any) -> None:
        now = time.monotonic()
        item = self._items.get(data.output_index)
        if item is None:
            item = self._items[data.output_index] = _Item(now)
        if kind in _TEXT_DELTAS:
            text = item.text(data.content_index, _TEXT_DELTAS[kind])
            text.add(data.delta)
            if not data.delta:
                return
            if kind == "response.output_text.delta":
                self._text = (data.item_id, data.content_index, text)
        elif kind == "response.function_call_arguments.delta":
            item.arguments.add(data.delta)
        elif kind == "response.content_part.done":
            item.parts[data.content_index] = data.part
        elif kind == "response.output_item.added":
            item.begun = data.item
            # A call is output already, an empty message is not.
            if not hasattr(data.item, "arguments"):
                return
        else:
            item.done = data.item
            item.arrival = Arrival(item.arrival.first, now)
        if self.first_output is None:
            self.first_output = now


class _Item:
    """One output item while its events arrive.

    Attributes:
        begun: the item as it was added, without content.
        done: the item as it was when it was done.
        parts: its content so far, by content_index: the SDK's parts, or the type and pieces of an open text.
        arguments: the arguments so far, of a call.
    """

    __slots__ = ("arguments", "arrival", "begun", "done", "parts")

    def __init__(self, now: float) -> None:
        self.arrival = Arrival(now, None)
        self.begun: Any = None
        self.done: Any = None
        self.parts: dict[int, Any] = {}
        self.arguments = Arguments()

    def text(self, index: int, kind: str) -> Pieces:
        """Return the pieces of the text at this content_index, which begins here if it has not yet."""
        part = self.parts.get(index)
        if not isinstance(part, tuple):
            part = self.parts[index] = (kind, Pieces())
        pieces: Pieces = part[1]
        return pieces

    def finish(self) -> Any:
        """Return the item in plain form, or the SDK's own where it is done."""
        if self.done is not None:
            return self.done
        fields = {} if self.begun is None else given_fields(self.begun)
        if self.parts:
            fields["content"] = [_finished(self.parts[index]) for index in sorted(self.parts)]
        arguments = self.arguments.value()
        return fields if arguments is None else {**fields, "arguments": arguments}


def _finished(part: Any) -> Any:
    return {"type": part[0], "text": part[1].value()} if isinstance(part, tuple) else part
