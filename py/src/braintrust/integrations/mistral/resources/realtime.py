"""What realtime sessions log: what was said, or read aloud, each transcription and each generation as one model call.

- `input`: of a generation, its text; of a transcription nothing, as audio is logged only where
  `BRAINTRUST_MISTRAL_REALTIME_AUDIO=true` asks for it.
- `output`: of a transcription its text, of a generation what audio came; of a session all of these in order.
- `metadata`: the model, what the session was told and what the service made of it, `turns` as the service detected
  them, `audio_size_bytes`, `audio_seconds` where the format tells, and `audio`, the session's audio as one attachment
  of at most 10 MiB.
- `metrics`: the usage that the API reports.
"""

import base64
import io
import time
import types
import wave
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from braintrust.span_types import SpanTypeAttribute

from ..media import bytes_attachment
from ..operations import Arrival, Child, Outcome, Request
from ..payloads import Loggable, to_loggable, without_none
from ..settings import is_on, settings
from .audio import audio_type, read_transcription, with_speaker_references
from .audio_stream import TranscriptionAccumulator
from .chunks import Pieces, event_fields
from .reading import error_text, request_metadata, response_metadata
from .shapes import file_fields
from .usage import usage_metrics


AUDIO = "BRAINTRUST_MISTRAL_REALTIME_AUDIO"
"""The environment variable that has the audio of realtime sessions logged."""

_MOST_AUDIO_BYTES = 10 * 1024 * 1024
_SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_s32le": 4, "pcm_f16le": 2, "pcm_f32le": 4, "pcm_mulaw": 1, "pcm_alaw": 1}


class _Audio:
    """The audio of a session: how much there was, and its first 10 MiB if it is to be logged."""

    def __init__(self) -> None:
        self.size = 0
        self._is_kept = settings().content and is_on(AUDIO, default=False)
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Take up the next piece."""
        self.size += len(data)
        if self._is_kept:
            self._kept += data[: _MOST_AUDIO_BYTES - len(self._kept)]

    def logged(self, audio_format: Loggable) -> dict[str, Loggable]:
        """Return the audio as metadata: an attachment that can be played, as far as the format is known."""
        if not self._kept:
            return {}
        data, content_type = bytes(self._kept), audio_type(str(audio_format))
        if isinstance(audio_format, dict):
            data, content_type = _playable(data, audio_format)
        media = bytes_attachment(data, content_type, stem="realtime_audio")
        return {
            "audio": {"type": "file", "file": file_fields(media)},
            "audio_truncated": True if self.size > len(self._kept) else None,
        }


class _Transcription:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.audio_size = 0
        self.audio_seconds = 0.0
        self._events = TranscriptionAccumulator()
        self._turns: list[Loggable] = []

    def add(self, kind: str, data: Any) -> bool:
        """Take up an event, and return whether it was the last."""
        if kind.startswith("turn."):
            self._turns.append(to_loggable({**event_fields(data), "type": kind}))
        else:
            self._events.add(types.SimpleNamespace(data=data))
        return kind == "transcription.done"

    def child(self, about: Mapping[str, Loggable]) -> Child:
        """Return what it logs, `about` its session."""
        # Pylint sees the function below the decorator.
        outcome = read_transcription(  # pylint: disable=too-many-function-args
            self._events.response(), Request(metadata=about)
        )
        counted: dict[str, Loggable] = {
            "audio_size_bytes": self.audio_size,
            "audio_seconds": self.audio_seconds or None,
            "turns": self._turns or None,
        }
        return Child(
            "mistral.audio.realtime.transcription",
            output=outcome.output,
            metadata={**about, **(outcome.metadata or {}), **without_none(counted)},
            span_type=SpanTypeAttribute.LLM,
            metrics={**outcome.metrics, **_time_to_first_token(self.began, self._events.first_output)},
        )


class _Generation:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.text = Pieces()
        self.audio_size = 0
        self._first_output: float | None = None
        self._usage: Loggable = None

    def add(self, kind: str, data: Any) -> bool:
        """Take up an event, and return whether it was the last."""
        if kind == "speech.audio.done":
            self._usage = to_loggable(data.usage)
        elif self._first_output is None:
            self._first_output = time.monotonic()
        return kind == "speech.audio.done"

    def child(self, about: Mapping[str, Loggable]) -> Child:
        """Return what it logs, `about` its session."""
        return Child(
            "mistral.audio.realtime_speech.generation",
            input=self.text.value(),
            output={"type": "audio", "audio_size_bytes": self.audio_size},
            metadata={**about, **response_metadata({"usage": self._usage})},
            span_type=SpanTypeAttribute.LLM,
            metrics={**usage_metrics(self._usage), **_time_to_first_token(self.began, self._first_output)},
        )


C = TypeVar("C", _Transcription, _Generation)


class _Session(Generic[C]):
    """A realtime session, put together from what the application sends and the service answers."""

    def __init__(self, arguments: Mapping[str, Any], begin: Callable[[], C]) -> None:
        self._begin = begin
        self.request = Request(metadata=with_speaker_references(request_metadata(arguments), arguments))
        self._about: dict[str, Loggable] = {}
        self._audio = _Audio()
        self._call: C | None = None
        self._outputs: list[Loggable] = []
        self._error: str | None = None

    def connected(self, session: Any) -> None:
        """Take up what the service made of the session's parameters."""
        described = to_loggable(session)
        if isinstance(described, dict):
            self._about.update(described)

    def sent(self, method: str, value: Any) -> None:
        """Take up what the application sends, by a method of the connection."""
        raise NotImplementedError

    def add(self, event: Any) -> Iterator[Child]:
        """Take up an event, and yield the transcription or generation that is over with it."""
        # One that the SDK could not validate comes as a dict.
        content = getattr(event, "content", None)
        kind, data = event.type, types.SimpleNamespace(**content) if isinstance(content, dict) else event
        if kind in ("session.created", "session.updated"):
            self.connected(data.session)
        elif kind == "error":
            self._error = error_text(to_loggable(data.error))
            yield from (child._replace(error=self._error) for child in self.finish())
        elif str(kind).startswith(("transcription.", "speech.", "turn.")) and self.arrived(kind, data):
            yield from self.finish()

    def arrived(self, kind: str, data: Any) -> bool:
        """Take up what is part of a transcription or a generation, and return whether that is over with it."""
        return self.call.add(kind, data)

    def finish(self) -> Iterator[Child]:
        """Yield the transcription or generation that is not over, if there is one."""
        call, self._call = self._call, None
        if call is not None:
            child = call.child(self._metadata())
            self._outputs.append(child.output)
            yield child._replace(arrival=Arrival(call.began, time.monotonic()))

    def outcome(self) -> Outcome:
        """Return what the session logs."""
        audio = self._audio.logged(self._audio_format())
        metadata = {**self._metadata(), **audio, "audio_size_bytes": self._audio.size}
        return Outcome(self._outputs, without_none(metadata), error=self._error)

    @property
    def call(self) -> C:
        """The transcription or generation that is in progress, which may begin here."""
        if self._call is None:
            self._call = self._begin()
        return self._call

    def _audio_format(self) -> Loggable:
        raise NotImplementedError

    def _metadata(self) -> dict[str, Loggable]:
        return {"provider": "mistral", **self._about}


class TranscriptionSession(_Session[_Transcription]):
    """A session of `client.audio.realtime`."""

    name = "mistral.audio.realtime.connect"

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments, _Transcription)
        self._told_format = to_loggable(arguments.get("audio_format"))

    def sent(self, method: str, value: Any) -> None:
        """Take up what the application sends, by a method of the connection."""
        if method != "send_audio":
            return
        data = bytes(value)
        self._audio.add(data)
        self.call.audio_size += len(data)
        self.call.audio_seconds += _seconds(len(data), self._audio_format())

    def _audio_format(self) -> Loggable:
        # The format that was asked for is known before the service answers.
        return self._told_format or self._about.get("audio_format")


class SpeechSession(_Session[_Generation]):
    """A session of `client.audio.realtime_speech`."""

    name = "mistral.audio.realtime_speech.connect"

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments, _Generation)

    def sent(self, method: str, value: Any) -> None:
        """Take up what the application sends, by a method of the connection."""
        if method in ("send_text", "flush") and isinstance(value, str):
            self.call.text.add(value)

    def arrived(self, kind: str, data: Any) -> bool:
        """Take up what is part of a generation, and return whether that is over with it."""
        if kind == "speech.audio.delta":
            audio = base64.b64decode(data.audio_data)
            self._audio.add(audio)
            self.call.audio_size += len(audio)
        return super().arrived(kind, data)

    def _audio_format(self) -> Loggable:
        return self._about.get("response_format")


def _time_to_first_token(began: float, first_output: float | None) -> dict[str, float]:
    return {} if first_output is None else {"time_to_first_token": first_output - began}


def _seconds(size: int, audio_format: Loggable) -> float:
    """Return how long so many bytes of audio last, zero where the format does not tell."""
    if not isinstance(audio_format, dict):
        return 0.0
    rate, sample = audio_format.get("sample_rate"), _SAMPLE_BYTES.get(str(audio_format.get("encoding")))
    return size / (rate * sample) if isinstance(rate, int) and rate and sample else 0.0


def _playable(data: bytes, audio_format: Mapping[str, Loggable]) -> tuple[bytes, str]:
    """Return raw audio as a file that can be played, and its type; unchanged where that takes more than a header."""
    encoding, rate = str(audio_format.get("encoding")), audio_format.get("sample_rate")
    if encoding not in ("pcm_s16le", "pcm_s32le") or not isinstance(rate, int):
        return data, "audio/pcm"
    file = io.BytesIO()
    # Pylint knows the class that reads alone.
    # pylint: disable=no-member
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(_SAMPLE_BYTES[encoding])
        sound.setframerate(rate)
        sound.writeframes(data)
    return file.getvalue(), "audio/wav"
