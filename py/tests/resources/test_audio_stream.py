"""The events of streamed transcriptions and speech add up to what the unstreamed call logs, as far as they came."""

import asyncio
import base64
import contextlib
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest
from braintrust.integrations.mistral.operations import Outcome, Request
from braintrust.integrations.mistral.resources.audio import read_speech, read_transcription
from braintrust.integrations.mistral.resources.audio_stream import SpeechAccumulator, TranscriptionAccumulator
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.helpers.features import WRAPS_INVALID, WRAPS_UNKNOWN, needs
from tests.helpers.spans import LoggedSpan, Media, logged_calls, with_media
from tests.helpers.wire import Json, answer, answer_stream


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


has_speech = needs("audio.speech")

USAGE: Json = {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}
TOKENS: Json = {"prompt_tokens": 4, "completion_tokens": 5, "tokens": 9}
TRANSCRIPT: Json = {
    "model": "voxtral-mini-2602",
    "text": "Bread rises.",
    "language": "en",
    "segments": [{"type": "transcription_segment", "text": "Bread rises.", "start": 0.5, "end": 2.5}],
    "usage": {"prompt_audio_seconds": 3, **USAGE},
}
SEGMENT = "transcription.segment"
LANGUAGE: Json = {"type": "transcription.language", "audio_language": "en"}
DONE: Json = {"type": "transcription.done", **TRANSCRIPT}
SPOKEN: Json = {"type": "speech.audio.done", "usage": USAGE}


def text(piece: str) -> Json:
    """Return an event that brings a piece of a transcription."""
    return {"type": "transcription.text.delta", "text": piece}


def segment(piece: str) -> Json:
    """Return an event that brings a segment of a transcription."""
    return {"type": SEGMENT, "text": piece, "start": 0.5, "end": 2.5}


def audio(piece: bytes) -> Json:
    """Return an event that brings a piece of speech."""
    return {"type": "speech.audio.delta", "audio_data": base64.b64encode(piece).decode()}


class Surface(NamedTuple):
    """A method that streams, and what its span shows by the number of events that had arrived.

    Attributes:
        path: the method, below the client.
        arguments: what it is called with.
        events: all that it streams.
        parts: by number of events: what the span logs beside what it logs after none.
    """

    path: str
    arguments: Json
    events: Sequence[Json]
    input: Any
    metadata: Json
    parts: dict[int, Json]

    def span(self, events: int, error: str | None) -> LoggedSpan:
        """Return the span of a call after which so many events had arrived."""
        part = self.parts[events]
        return LoggedSpan(
            name=f"mistral.{self.path}",
            type="llm",
            input=self.input,
            output=part["output"],
            metadata={"provider": "mistral", "stream": True, **self.metadata, **part.get("metadata", {})},
            metrics={"duration": ANY, **part.get("metrics", {})},
            error=error,
            seconds=ANY,
            children=(),
        )


def speech_output(data: bytes) -> Json:
    """Return what speech in MP3 logs."""
    file = {"file_data": Media(data, "audio/mpeg", "generated_speech.mp3"), "filename": "generated_speech.mp3"}
    return {"type": "audio", "mime_type": "audio/mpeg", "audio_size_bytes": len(data), "file": file}


TRANSCRIPTION = Surface(
    path="audio.transcriptions.stream",
    arguments={"model": "voxtral-mini-latest", "file_id": "file1"},
    events=[LANGUAGE, text("Bread"), text(" rises."), segment("Bread rises."), DONE],
    input={"file_id": "file1"},
    metadata={"model": "voxtral-mini-latest"},
    parts={
        0: {"output": ""},
        2: {"output": "Bread", "metadata": {"language": "en"}, "metrics": {"time_to_first_token": ANY}},
        5: {
            "output": "Bread rises.",
            "metadata": {
                "model": "voxtral-mini-2602",
                "requested_model": "voxtral-mini-latest",
                "language": "en",
                "segments_count": 1,
                "segments": TRANSCRIPT["segments"],
            },
            "metrics": {"time_to_first_token": ANY, "prompt_audio_seconds": 3, **TOKENS},
        },
    },
)
SPEECH = Surface(
    path="audio.speech.complete",
    arguments={"input": "Bread rises.", "model": "voxtral-tts", "response_format": "mp3", "stream": True},
    # No multiple of three bytes: the pieces of base64 are not a base64 of the whole.
    events=[audio(b"ID3\x04"), audio(b"bread"), audio(b"rises"), SPOKEN],
    input="Bread rises.",
    metadata={"model": "voxtral-tts", "response_format": "mp3"},
    parts={
        0: {"output": {"type": "audio", "mime_type": "audio/mpeg", "audio_size_bytes": 0}},
        2: {"output": speech_output(b"ID3\x04bread"), "metrics": {"time_to_first_token": ANY}},
        4: {"output": speech_output(b"ID3\x04breadrises"), "metrics": {"time_to_first_token": ANY, **TOKENS}},
    },
)
SURFACES = [
    pytest.param(TRANSCRIPTION, id="transcription"),
    pytest.param(SPEECH, id="speech", marks=has_speech),
]


# --- how a stream may end ---


class Ending(NamedTuple):
    """How a stream ends.

    Attributes:
        reads: how many events the caller asks for at most.
        arrives: how many events come before the body breaks.
        error: what the body breaks with, if it does.
    """

    reads: int = 9
    arrives: int = 9
    error: type[BaseException] | None = None


ENDINGS = {
    "the events run out": Ending(),
    "the caller breaks": Ending(reads=2),
    "nobody iterates": Ending(reads=0),
    "the transport breaks": Ending(arrives=2, error=ConnectionError),
}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("surface", SURFACES)
def test_a_stream_ends_its_span_once_with_what_had_arrived_when(
    surface: Surface, ending: Ending, is_async: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    error = ending.error
    client = make_client(lambda request: answer_stream(surface.events[: ending.arrives], error and error("burnt")))
    method = operator.attrgetter(f"{surface.path}_async" if is_async else surface.path)(client)

    def read() -> None:
        stream = method(**surface.arguments)
        for _ in range(ending.reads):
            next(stream, None)

    async def read_async() -> None:
        stream = await method(**surface.arguments)
        for _ in range(ending.reads):
            await anext(stream, None)

    with pytest.raises(error) if error else contextlib.nullcontext():
        asyncio.run(read_async()) if is_async else read()
    # A stream that was left is ended by another thread.
    (call,) = logged_calls(spans.pop_ended())
    arrived = min(ending.reads, ending.arrives, len(surface.events))
    assert call == surface.span(arrived, call.error)
    assert (call.error is None) == (error is None)
    assert error is None or error.__name__ in str(call.error)


# --- what the events add up to ---


@has_speech
def test_speech_that_comes_whole_although_a_stream_was_asked_for_is_logged(
    call_method: CallMethod, spans: LoggedSpans
) -> None:
    body = {"audio_data": base64.b64encode(b"ID3\x04bread").decode()}
    result = call_method(lambda request: answer(body), SPEECH.path, **SPEECH.arguments)
    assert result.audio_data == body["audio_data"]
    (call,) = logged_calls(spans.pop())
    assert (call.output, call.metrics) == (speech_output(b"ID3\x04bread"), {"duration": ANY})


@pytest.mark.skipif(not WRAPS_UNKNOWN, reason="this mistralai raises on an unknown event")
@pytest.mark.parametrize("surface", SURFACES)
def test_an_event_that_nobody_knows_yet_passes_through_and_leaves_no_trace(
    surface: Surface, spans: LoggedSpans, make_client: MakeClient
) -> None:
    novelty = {"type": "oven.opened", "degrees": 240}
    events = [novelty, *surface.events[:2], novelty, *surface.events[2:]]
    client = make_client(lambda request: answer_stream(events))
    stream = operator.attrgetter(surface.path)(client)(**surface.arguments)
    assert [event.data.raw for event in stream if event.data.type == "UNKNOWN"] == [novelty, novelty]
    (call,) = logged_calls(spans.pop())
    assert call == surface.span(len(surface.events), None)


def transcribed(events: Iterable[Json]) -> TranscriptionAccumulator:
    """Fold events, as the SDK parses them."""
    accumulator = TranscriptionAccumulator()
    for event in events:
        accumulator.add(models.TranscriptionStreamEvents(event=event["type"], data=event))
    return accumulator


LANGUAGES = st.sampled_from(["en", "sv"]).map(lambda language: {**LANGUAGE, "audio_language": language})
EVENTS = st.lists(st.text().map(text) | st.text().map(segment) | LANGUAGES)


@given(EVENTS)
def test_a_transcription_that_broke_off_anywhere_is_the_text_the_language_and_the_segments_so_far(
    events: list[Json],
) -> None:
    by_kind: dict[str, list[Any]] = {}
    for event in events:
        by_kind.setdefault(event["type"].rpartition(".")[2], []).append(event.get("text", event.get("audio_language")))
    texts, segments = "".join(by_kind.get("delta", [])), [event for event in events if event["type"] == SEGMENT]
    metadata: Json = {}
    if "language" in by_kind:
        metadata["language"] = by_kind["language"][-1]
    if segments:
        metadata["segments_count"] = len(segments)
        metadata["segments"] = [{**event, "type": "transcription_segment"} for event in segments]
    accumulator = transcribed(events)
    texts = texts or "".join(event["text"] for event in segments)
    assert read_transcription(accumulator.response(), Request()) == Outcome(texts, metadata)
    assert (accumulator.first_output is not None) == any(event.get("text") for event in events)


@given(EVENTS)
def test_a_transcription_that_is_complete_is_what_its_last_event_says(events: list[Json]) -> None:
    unstreamed = models.TranscriptionResponse(**TRANSCRIPT)
    accumulator = transcribed([*events, DONE])
    assert read_transcription(accumulator.response(), Request()) == read_transcription(unstreamed, Request())
    assert accumulator.first_output is not None


@given(st.lists(st.text(min_size=1), min_size=1))
def test_segments_and_a_language_that_the_last_event_leaves_out_are_those_of_the_others(texts: list[str]) -> None:
    whole = {**TRANSCRIPT, "text": "".join(texts), "segments": [*map(segment, texts)]}
    whole["segments"] = [{**one, "type": "transcription_segment"} for one in whole["segments"]]
    bare = {name: value for name, value in {**whole, "language": None}.items() if name != "segments"}
    accumulator = transcribed([LANGUAGE, *map(segment, texts), {"type": "transcription.done", **bare}])
    unstreamed = models.TranscriptionResponse(**whole)
    assert read_transcription(accumulator.response(), Request()) == read_transcription(unstreamed, Request())


def test_silence_is_a_single_event_with_an_empty_text() -> None:
    accumulator = transcribed([{**DONE, "text": "", "segments": [], "language": None}])
    outcome = read_transcription(accumulator.response(), Request())
    assert (outcome.output, accumulator.first_output) == ("", None)


@pytest.mark.skipif(not WRAPS_INVALID, reason="this mistralai raises on an event that it cannot validate")
def test_a_known_event_that_the_sdk_cannot_validate_is_folded_from_what_was_on_the_wire() -> None:
    late = {"type": "transcription.segment", "text": " rises.", "start": "soon"}
    done = {"type": "transcription.done", "language": "en", "text": "Bread rises."}
    accumulator = transcribed([segment("Bread"), late])
    response: Any = accumulator.response()
    assert (response["text"], [one["text"] for one in response["segments"]]) == ("Bread rises.", ["Bread", " rises."])
    assert read_transcription(transcribed([done]).response(), Request()) == Outcome("Bread rises.", {"language": "en"})


@has_speech
@given(st.lists(st.binary()), st.sampled_from([None, "mp3", "pcm"]))
def test_speech_in_any_pieces_is_the_speech_in_one(pieces: list[bytes], audio_format: str | None) -> None:
    accumulator = SpeechAccumulator()
    for event in [*map(audio, pieces), SPOKEN]:
        accumulator.add(models.SpeechStreamEvents(event=event["type"], data=event))
    request = Request(metadata={"response_format": audio_format} if audio_format else {})
    whole = b"".join(pieces)
    unstreamed = read_speech(models.SpeechResponse(audio_data=audio(whole)["audio_data"]), request)
    streamed = read_speech(accumulator.response(), request)
    assert with_media(streamed.output) == with_media(unstreamed.output)
    assert (accumulator.first_output is not None, streamed.metrics) == (whole != b"", TOKENS)


@has_speech
def test_a_piece_of_speech_that_is_no_base64_is_left_out() -> None:
    accumulator = SpeechAccumulator()
    accumulator.add(models.SpeechStreamEvents(event="speech.audio.delta", data=audio(b"ID3\x04")))
    with pytest.raises(ValueError, match="base64"):
        accumulator.add(models.SpeechStreamEvents(event="speech.audio.delta", data={**audio(b""), "audio_data": "A"}))
    accumulator.add(models.SpeechStreamEvents(event="speech.audio.delta", data=audio(b"bread")))
    assert base64.b64decode(accumulator.response()["audio_data"]) == b"ID3\x04bread"
