"""What a message says and what a tool is called with, while it arrives: texts in pieces, thinking, whole chunks."""

import json
import types
from typing import Any

from ..payloads import given_fields, is_given


MOST_PIECES = 32
"""How many pieces are held apart: each takes some 50 bytes beyond its letters, and most have only a few of these."""

# An attempt reads all that has arrived, and code is full of braces.
_MOST_ATTEMPTS = 8


class Pieces:
    """A text that arrives in pieces; the latest of them are in `recent`."""

    __slots__ = ("_joined", "recent")

    def __init__(self) -> None:
        self._joined: list[str] = []
        self.recent: list[str] = []

    def add(self, piece: str) -> None:
        """Append to the text."""
        self.recent.append(piece)
        if len(self.recent) >= MOST_PIECES:
            self.join()

    def join(self) -> int:
        """Hold the pieces so far as one, and return how many letters that has."""
        joined = "".join(self.recent)
        self._joined.append(joined)
        self.recent.clear()
        return len(joined)

    def value(self) -> str:
        """Return the text so far."""
        return "".join([*self._joined, *self.recent])

    def __bool__(self) -> bool:
        return any(self._joined) or any(self.recent)

    def ends_with(self, letter: str) -> bool:
        """Tell whether the text so far ends with this letter; the latest piece is enough to know."""
        return (self.recent or self._joined or [""])[-1].endswith(letter)


class Content:
    """The content of a message, in the order of its `content_index`es, and below that of arrival.

    Attributes:
        text: the chunk that the latest text went to.
        text_index: the content_index whose strings may go straight there, if any may.
        recent: the latest pieces of `text`.
    """

    __slots__ = ("_chunks", "_open", "recent", "text", "text_index")

    def __init__(self) -> None:
        # In order of arrival, each with its content_index.
        self._chunks: list[tuple[int, _Chunk]] = []
        # The latest of each content_index.
        self._open: dict[int, _Chunk] = {}
        self.text_index: int | None = None
        self.text = Pieces()
        self.recent = self.text.recent

    def add(self, content: Any, index: int = 0) -> None:
        """Fold a delta: a string or one chunk."""
        chunk = self._open.get(index)
        if chunk is None or not chunk.add(content):
            if isinstance(chunk, _TextChunk) and not chunk.text:
                # An empty first delta announced a message, not a text.
                chunk.is_announcement = True
            chunk = self._open[index] = _make_chunk(content)
            self._chunks.append((index, chunk))
        if isinstance(chunk, _TextChunk):
            self.text_index, self.text, self.recent = index, chunk.text, chunk.text.recent
        else:
            self.text_index = None

    def value(self) -> Any:
        """Return the content: a string where it is one text that came as strings, else a list of chunks."""
        in_order = sorted(self._chunks, key=lambda item: item[0])
        chunks = [chunk for _, chunk in in_order if not (isinstance(chunk, _TextChunk) and chunk.is_announcement)]
        if len(chunks) == 1 and isinstance(chunks[0], _TextChunk) and chunks[0].is_string:
            return chunks[0].text.value()
        return [chunk.finish() for chunk in chunks]


class Arguments:
    """The arguments of a call, which arrive in pieces split anywhere, as one object, or in old events not at all."""

    __slots__ = ("_attempts", "_object", "_text")

    def __init__(self) -> None:
        self._text: Pieces | None = None
        self._object: Any = None
        self._attempts = 0

    def add(self, piece: Any) -> None:
        """Fold a piece of text, or the object that they are."""
        if isinstance(piece, str):
            if self._text is None:
                self._text = Pieces()
            self._text.add(piece)
        elif is_given(piece):
            self._object = piece

    @property
    def has_begun(self) -> bool:
        """Whether any came."""
        return self._object is not None or bool(self._text)

    def are_followed_by(self, piece: Any) -> bool:
        """Tell whether a piece begins other arguments: these are whole, and two JSON objects are not one."""
        if self._object is not None or not isinstance(piece, str):
            return True
        # A piece that begins with a brace is rare: only then all of the arguments is read.
        return piece.startswith("{") and self._is_json()

    def are_whole(self) -> bool:
        """Tell whether they are a whole JSON object by now; where many pieces end like one, this is given up."""
        if self._object is not None:
            return True
        if self._attempts >= _MOST_ATTEMPTS or self._text is None or not self._text.ends_with("}"):
            return False
        self._attempts += 1
        return self._is_json()

    def _is_json(self) -> bool:
        if self._text is None or not self._text.ends_with("}"):
            return False
        try:
            json.loads(self._text.value())
        except (ValueError, RecursionError):
            return False
        return True

    def value(self) -> Any:
        """Return the arguments, or `None` where none came."""
        if self._object is not None:
            return self._object
        return None if self._text is None else self._text.value()


class _Chunk:
    """One chunk of a message's content while its deltas arrive."""

    __slots__ = ()

    def add(self, content: Any) -> bool:
        """Fold a delta into this chunk and return true, or return false where it is a chunk of its own."""
        return False

    def finish(self) -> Any:
        """Return the chunk in plain form, or the SDK's own where nothing was folded."""
        raise NotImplementedError


class _TextChunk(_Chunk):
    """A text, of strings or of text chunks.

    Attributes:
        is_string: whether every delta was a string; if it is the only chunk of a message, the content is a string.
        is_announcement: whether it is empty, and what came next was no text.
    """

    __slots__ = ("is_announcement", "is_string", "text")

    def __init__(self, content: Any) -> None:
        self.text = Pieces()
        self.is_string = True
        self.is_announcement = False
        self.add(content)

    def add(self, content: Any) -> bool:
        """Fold a string or a text chunk."""
        text = _text(content)
        if text is None:
            return False
        self.is_string = self.is_string and isinstance(content, str)
        self.text.add(text)
        return True

    def finish(self) -> dict[str, Any]:
        """Return the text as a chunk."""
        return {"type": "text", "text": self.text.value()}


class _ThinkingChunk(_Chunk):
    """A thinking chunk, whose `thinking` is a list of chunks; recorded ones hold texts."""

    __slots__ = ("_fields", "_parts")

    def __init__(self, content: Any) -> None:
        self._fields: dict[str, Any] = {}
        self._parts: list[_Chunk] = []
        self.add(content)

    def add(self, content: Any) -> bool:
        if isinstance(content, str) or _field(content, "type") != "thinking":
            return False
        thinking = _field(content, "thinking")
        for part in thinking if isinstance(thinking, list) else [thinking]:
            if part is not None and not (self._parts and self._parts[-1].add(part)):
                self._parts.append(_make_chunk(part))
        for name in ("signature", "closed"):
            if is_given(_field(content, name)):
                self._fields[name] = _field(content, name)
        return True

    def finish(self) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [part.finish() for part in self._parts], **self._fields}


class _WholeChunk(_Chunk):
    """A chunk that comes in one piece: a citation, a file, an image, and whatever comes next."""

    __slots__ = ("_content",)

    def __init__(self, content: Any) -> None:
        self._content = content

    def finish(self) -> Any:
        return _on_the_wire(self._content)


def _make_chunk(content: Any) -> _Chunk:
    """Return the chunk that a delta's content begins."""
    if _text(content) is not None:
        return _TextChunk(content)
    if _field(content, "type") == "thinking":
        return _ThinkingChunk(content)
    return _WholeChunk(content)


def _text(content: Any) -> str | None:
    """Return the text of a string or a text chunk."""
    if isinstance(content, str):
        return content
    text = _field(content, "text") if _field(content, "type") == "text" else None
    return text if isinstance(text, str) else None


def letters_in(content: Any) -> int:
    """Return how many letters the text or thinking of a delta has; a chunk of another kind counts as one."""
    if isinstance(content, list):
        return sum(map(letters_in, content))
    if not isinstance(content, str) and _field(content, "type") == "thinking":
        return letters_in(_field(content, "thinking"))
    text = _text(content)
    return bool(content) if text is None else len(text)


def event_data(event: Any) -> Any:
    """Return what an event brings, by the names of its fields, also where the SDK could not validate it."""
    data = _on_the_wire(event.data)
    return types.SimpleNamespace(**data) if isinstance(data, dict) else data


def event_fields(data: Any) -> dict[str, Any]:
    """Return the fields of what an event brings that hold something, as they are."""
    if isinstance(data, types.SimpleNamespace):
        return {name: value for name, value in vars(data).items() if is_given(value)}
    return given_fields(data)


def _on_the_wire(value: Any) -> Any:
    """Return a chunk or an event as it came: SDK 2.x and 3.x wrap those that they do not know or cannot validate."""
    return value.raw if getattr(value, "type", None) == "UNKNOWN" and hasattr(value, "raw") else value


def _field(value: Any, name: str) -> Any:
    """Return a field of a chunk, which inside a wrapper or an unknown event is a dict."""
    value = _on_the_wire(value)
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
