"""Folds the events of a streamed transcription, or of streamed speech, into the response they add up to."""

import base64
import time
from typing import Any

from ..operations import Arrival
from .chunks import Pieces, event_data, event_fields


class TranscriptionAccumulator:
    """The response that a transcription's events add up to."""

    def __init__(self) -> None:
        self.first_output: float | None = None
        self._text = Pieces()
        self._language: str | None = None
        self._segments: list[dict[str, Any]] = []
        # The last event, which repeats what it knows.
        self._done: dict[str, Any] = {}

    def add(self, event: Any) -> None:
        """Fold one of the SDK's `TranscriptionStreamEvents`; types that nobody knows yet leave no trace."""
        data = event_data(event)
        kind = data.type
        if kind == "transcription.text.delta":
            self._text.add(data.text)
        elif kind == "transcription.segment":
            self._segments.append({**event_fields(data), "type": "transcription_segment"})
        elif kind == "transcription.language":
            self._language = data.audio_language
            return
        elif kind == "transcription.done":
            self._done = event_fields(data)
        else:
            return
        if self.first_output is None and data.text:
            self.first_output = time.monotonic()

    def response(self) -> Any:
        """Return the events so far as a `TranscriptionResponse`."""
        # Where only segments come, they are the text.
        text = self._text.value() or "".join(segment["text"] for segment in self._segments)
        fields = {"text": text, "language": self._language, **self._done}
        if self._segments and not fields.get("segments"):
            fields["segments"] = self._segments
        return fields

    def arrivals(self) -> dict[int, Arrival]:
        """Return no arrivals: the response has no children."""
        return {}


class SpeechAccumulator:
    """The response that the events of generated speech add up to."""

    def __init__(self) -> None:
        self.first_output: float | None = None
        self._audio = bytearray()
        self._usage: Any = None

    def add(self, event: Any) -> None:
        """Fold one of the SDK's `SpeechStreamEvents`; types that nobody knows yet leave no trace."""
        data = event_data(event)
        if data.type == "speech.audio.delta":
            if self.first_output is None and data.audio_data:
                self.first_output = time.monotonic()
            # Each piece is encoded by itself.
            self._audio += base64.b64decode(data.audio_data)
        elif data.type == "speech.audio.done":
            self._usage = data.usage

    def response(self) -> dict[str, Any]:
        """Return the events so far as a `SpeechResponse` in plain form, with the usage, which that does not have."""
        audio = base64.b64encode(self._audio).decode()
        return {"audio_data": audio, "usage": self._usage}

    def arrivals(self) -> dict[int, Arrival]:
        """Return no arrivals: the response has no children."""
        return {}
