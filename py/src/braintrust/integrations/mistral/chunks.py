"""What a message says, while it arrives: texts in pieces, thinking, and chunks that come whole."""

from typing import Any

from .payloads import is_given


# A piece takes some 50 bytes beyond its letters, and most pieces are a few letters long.
MOST_PIECES = 128


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

    def join(self) -> None:
        """Hold the pieces so far as one."""
        self._joined.append("".join(self.recent))
        self.recent.clear()

    def value(self) -> str:
        """Return the text so far."""
        return "".join([*self._joined, *self.recent])


class Chunk:
    """One chunk of a message's content while its deltas arrive."""

    __slots__ = ()

    def take(self, content: Any) -> bool:
        """Fold a delta into this chunk, or return that it is a chunk of its own."""
        return False

    def finish(self) -> Any:
        """Return the chunk in plain form, or the SDK's own where nothing was folded."""
        raise NotImplementedError


class TextChunk(Chunk):
    """A text, of strings or of text chunks."""

    __slots__ = ("bare", "is_announcement", "text")

    def __init__(self, content: Any) -> None:
        self.text = Pieces()
        self.bare = True
        """Every delta was a string: the only chunk of a message, it makes the whole content a string."""
        self.is_announcement = False
        """It is empty, and what came next was no text."""
        self.take(content)

    def take(self, content: Any) -> bool:
        """Fold a string or a text chunk."""
        text = _text(content)
        if text is None:
            return False
        self.bare = self.bare and isinstance(content, str)
        self.text.add(text)
        return True

    def finish(self) -> dict[str, Any]:
        """Return the text as a chunk."""
        return {"type": "text", "text": self.text.value()}


class _ThinkingChunk(Chunk):
    """A thinking chunk, whose `thinking` is a list of chunks; recorded ones hold texts."""

    __slots__ = ("_fields", "_parts")

    def __init__(self, content: Any) -> None:
        self._fields: dict[str, Any] = {}
        self._parts: list[Chunk] = []
        self.take(content)

    def take(self, content: Any) -> bool:
        if isinstance(content, str) or _field(content, "type") != "thinking":
            return False
        thinking = _field(content, "thinking")
        for part in thinking if isinstance(thinking, list) else [thinking]:
            if part is not None and not (self._parts and self._parts[-1].take(part)):
                self._parts.append(make_chunk(part))
        for name in ("signature", "closed"):
            if is_given(_field(content, name)):
                self._fields[name] = _field(content, name)
        return True

    def finish(self) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [part.finish() for part in self._parts], **self._fields}


class _WholeChunk(Chunk):
    """A chunk that comes in one piece: a citation, a file, an image, and whatever comes next."""

    __slots__ = ("_content",)

    def __init__(self, content: Any) -> None:
        self._content = content

    def finish(self) -> Any:
        return self._content


def make_chunk(content: Any) -> Chunk:
    """Return the chunk that a delta's content begins."""
    if _text(content) is not None:
        return TextChunk(content)
    if _field(content, "type") == "thinking":
        return _ThinkingChunk(content)
    return _WholeChunk(content)


def _text(content: Any) -> str | None:
    """Return the text of a string or a text chunk."""
    if isinstance(content, str):
        return content
    text = _field(content, "text") if _field(content, "type") == "text" else None
    return text if isinstance(text, str) else None


def is_empty(content: Any) -> bool:
    """Tell whether a delta brings nothing to read: an empty text or thinking."""
    if isinstance(content, list):
        return all(is_empty(part) for part in content)  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(content, str) and _field(content, "type") == "thinking":
        return is_empty(_field(content, "thinking"))
    return not content or _text(content) == ""


def _field(value: Any, name: str) -> Any:
    """Return a field of a chunk, which inside an unknown event is a dict."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
