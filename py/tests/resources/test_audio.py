"""What transcriptions and generated speech log: the audio as an attachment, the text, the seconds."""

import base64
import io
import logging
import os
import pathlib
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import CallMethod, LoggedSpans, MakeClient, Mistral
from tests.helpers.features import TAKES_ANY_FILE, needs
from tests.helpers.spans import LoggedSpan, Media, logged_calls
from tests.helpers.wire import Json, answer


try:
    from mistralai.client import models
    from mistralai.client.transcriptions import Transcriptions
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.transcriptions import Transcriptions


has_speech = needs("audio.speech")
takes_any_file = pytest.mark.skipif(not TAKES_ANY_FILE, reason="this mistralai takes bytes and buffered readers only")

RECORDING = b"ID3\x04bread\xff\x00rises"
LOGGED_RECORDING = Media(RECORDING, "audio/mpeg", "bread.mp3")
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "


# --- transcriptions ---


SEGMENT: Json = {
    "type": "transcription_segment",
    "text": " Bread rises.",
    "start": 0.5,
    "end": 2.5,
    "speaker_id": "speaker_1",
}
TRANSCRIPT: Json = {
    "model": "voxtral-mini-2602",
    "text": " Bread rises.",
    "language": "en",
    "segments": [SEGMENT],
    "usage": {"prompt_audio_seconds": 3, "prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9},
}


def test_a_transcription_is_logged_with_its_recording(call_method: CallMethod, spans: LoggedSpans) -> None:
    result = call_method(
        lambda request: answer(TRANSCRIPT),
        "audio.transcriptions.complete",
        model="voxtral-mini-latest",
        file={"file_name": "bread.mp3", "content": RECORDING},
        diarize=True,
        timestamp_granularities=["segment"],
    )
    assert result.text == " Bread rises."
    (call,) = logged_calls(spans.pop())
    assert call == LoggedSpan(
        name="mistral.audio.transcriptions.complete",
        type="llm",
        input={"file": LOGGED_RECORDING},
        output=" Bread rises.",
        metadata={
            "provider": "mistral",
            "model": "voxtral-mini-2602",
            "stream": False,
            "diarize": True,
            "timestamp_granularities": ["segment"],
            "language": "en",
            "segments_count": 1,
            "segments": [SEGMENT],
            "requested_model": "voxtral-mini-latest",
        },
        metrics={
            "prompt_audio_seconds": 3,
            "prompt_tokens": 4,
            "completion_tokens": 5,
            "tokens": 9,
            "duration": ANY,
        },
        error=None,
        seconds=ANY,
        children=(),
    )


@pytest.mark.parametrize(("segments", "counted"), [({}, {}), ({"segments": []}, {"segments_count": 0})])
def test_silence_is_an_empty_text_and_what_was_not_reported_is_absent(
    segments: Json, counted: Json, spans: LoggedSpans, make_client: MakeClient
) -> None:
    body = {"model": "voxtral-mini-2602", "text": "", "language": None, "finish_reason": None, "usage": {}, **segments}
    client = make_client(lambda request: answer(body))
    client.audio.transcriptions.complete(model="voxtral-mini-2602", file_id="file1")
    (call,) = logged_calls(spans.pop())
    assert (call.output, call.metrics, call.error) == ("", {"duration": ANY}, None)
    assert call.metadata == {"provider": "mistral", "model": "voxtral-mini-2602", "stream": False, **counted}


@pytest.mark.parametrize("reason", ["stop", "error"])
def test_a_transcription_that_ended_with_an_error_is_one(
    reason: str, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(lambda request: answer({**TRANSCRIPT, "finish_reason": reason}))
    client.audio.transcriptions.complete(model="voxtral-mini-2602", file_id="file1")
    (call,) = logged_calls(spans.pop())
    assert (call.output, call.error) == (TRANSCRIPT["text"], "finish_reason: error" if reason == "error" else None)


def test_tokens_of_audio_are_counted_as_the_api_reports_them(spans: LoggedSpans, make_client: MakeClient) -> None:
    details = {"prompt_tokens_details": {"audio_tokens": 375, "cached_tokens": 0}}
    usage = {"prompt_audio_seconds": 30, "prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 384, **details}
    client = make_client(lambda request: answer({**TRANSCRIPT, "usage": usage}))
    client.audio.transcriptions.complete(model="voxtral-mini-2602", file_id="file1")
    (call,) = logged_calls(spans.pop())
    assert call.metrics == {
        "prompt_audio_seconds": 30,
        "prompt_tokens": 4,
        "completion_tokens": 5,
        "tokens": 384,
        "prompt_audio_tokens": 375,
        "prompt_cached_tokens": 0,
        "duration": ANY,
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"file_url": "https://example.com/bread.mp3?a=1&Signature=5ecre7"},
            {"file_url": "https://example.com/bread.mp3?a=1&Signature=REDACTED"},
        ),
        ({"file_url": "file:///bread.mp3"}, {"file_url": "file:///bread.mp3"}),
        (
            {"file_url": f"data:audio/mpeg;base64,{base64.b64encode(RECORDING).decode()}"},
            {"file_url": LOGGED_RECORDING._replace(filename="audio.mp3")},
        ),
        ({"file_id": "file1"}, {"file_id": "file1"}),
    ],
)
def test_a_recording_that_is_elsewhere_stays_there(
    source: Json, expected: Json, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(lambda request: answer(TRANSCRIPT))
    client.audio.transcriptions.complete(model="voxtral-mini-latest", **source)
    (call,) = logged_calls(spans.pop())
    assert call.input == expected


def sent_file(request: Any) -> bytes:
    """Return the file in the form that a request sends."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    parts = [part.partition(b"\r\n\r\n") for part in request.read().split(b"--" + boundary)]
    (content,) = [content for head, _, content in parts if b'name="file"' in head]
    return content.removesuffix(b"\r\n")


def transcriber(make_client: MakeClient) -> tuple[Mistral, list[bytes]]:
    """Return a client that transcribes, and the files that it will have sent."""
    sent: list[bytes] = []

    def transcribe(request: Any) -> Any:
        sent.append(sent_file(request))
        return answer(TRANSCRIPT)

    return make_client(transcribe), sent


def at(file: Any, position: int) -> Any:
    """Return an open file at a position."""
    file.seek(position)
    return file


def read_line(file: Any) -> Any:
    """Return an open file behind its first line."""
    assert file.readline() == "Bröd:\n"
    return file


TEXT = "Bröd:\nrågbröd"

OPENED: dict[str, tuple[Callable[[pathlib.Path], Any], bytes]] = {
    "buffered": (lambda path: path.open("rb"), RECORDING),
    # The HTTP client sends it from its beginning.
    "buffered, read into": (lambda path: at(path.open("rb"), 3), RECORDING),
    "buffered, in memory": (lambda path: io.BufferedReader(io.BytesIO(RECORDING)), RECORDING),
    "in memory, read into": (lambda path: at(io.BytesIO(RECORDING), 3), RECORDING),
    "unbuffered": (lambda path: path.open("rb", buffering=0), RECORDING),
    "for update": (lambda path: path.open("r+b"), RECORDING),
    # The SDK sends it from where it stands, in its own encoding.
    "text, read into": (
        lambda path: read_line(path.with_suffix(".txt").open(encoding="utf-16")),
        "rågbröd".encode("utf-16"),
    ),
    "text in memory": (lambda path: at(io.StringIO(TEXT), 6), "rågbröd".encode()),
}


@pytest.mark.parametrize("make_file", [dict, models.File], ids=["dict", "model"])
@pytest.mark.parametrize(
    ("open_file", "content"),
    [
        pytest.param(*case, id=name, marks=() if name.startswith("buffered") else takes_any_file)
        for name, case in OPENED.items()
    ],
)
def test_an_open_file_is_logged_as_it_is_sent_and_left_where_it_stood(
    open_file: Callable[[pathlib.Path], Any],
    content: bytes,
    make_file: Callable[..., Any],
    tmp_path: pathlib.Path,
    spans: LoggedSpans,
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "bread.mp3"
    path.write_bytes(RECORDING)
    path.with_suffix(".txt").write_text(TEXT, encoding="utf-16", newline="")
    positions: list[int] = []
    complete = vars(Transcriptions)["complete"].__wrapped__

    def complete_below_tracing(self: Any, **arguments: Any) -> Any:
        positions.append(file.tell())
        return complete(self, **arguments)

    monkeypatch.setattr(vars(Transcriptions)["complete"], "__wrapped__", complete_below_tracing)
    client, sent = transcriber(make_client)
    with open_file(path) as file:
        position = file.tell()
        given = make_file(file_name="bread.mp3", content=file)
        client.audio.transcriptions.complete(model="voxtral-mini-latest", file=given)
    assert positions == [position]
    (call,) = logged_calls(spans.pop())
    assert (sent, call.input) == ([content], {"file": Media(content, "audio/mpeg", "bread.mp3")})


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"file_name": "bread.mp3", "content": RECORDING}, LOGGED_RECORDING),
        ({"fileName": "bread.mp3", "": RECORDING, "Content-Type": "audio/x-a"}, (RECORDING, "audio/x-a", "bread.mp3")),
        (models.File(file_name="bread.mp3", content=RECORDING), LOGGED_RECORDING),
        (
            models.File(file_name="bread.mp3", content=RECORDING, content_type="audio/x-a"),
            (RECORDING, "audio/x-a", "bread.mp3"),
        ),
        ({"file_name": "bread", "content": RECORDING}, (RECORDING, "audio/mpeg", "bread")),
        ({"file_name": "bread.flac", "content": RECORDING}, (RECORDING, "audio/flac", "bread.flac")),
        ({"file_name": "bread", "content": b"rye"}, (b"rye", "application/octet-stream", "bread")),
    ],
)
def test_the_type_of_a_recording_is_the_one_given_or_that_of_its_name_or_that_of_its_beginning(
    file: Any, expected: Any, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(lambda request: answer(TRANSCRIPT))
    client.audio.transcriptions.complete(model="voxtral-mini-latest", file=file)
    (call,) = logged_calls(spans.pop())
    assert call.input == {"file": expected}


def test_a_pipe_is_named_and_left_to_the_client(spans: LoggedSpans, make_client: MakeClient) -> None:
    client, sent = transcriber(make_client)
    reading, writing = os.pipe()
    os.write(writing, RECORDING)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        given = models.File(file_name="bread.mp3", content=pipe)
        client.audio.transcriptions.complete(model="voxtral-mini-latest", file=given)
    assert sent == [RECORDING]
    assert spans.pop_one()["input"] == {"file": {"file_name": "bread.mp3", "content": "<BufferedReader>"}}


class StickyFile(io.BufferedReader):
    """A file whose first read fails."""

    is_stuck = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.is_stuck:
            self.is_stuck = False
            super().read(3)
            raise OSError("the drawer is stuck")
        return super().read(size)


def test_a_file_that_we_cannot_read_is_sent_all_the_same(
    spans: LoggedSpans, make_client: MakeClient, faults: list[logging.LogRecord]
) -> None:
    client, sent = transcriber(make_client)
    file = {"file_name": "bread.mp3", "content": StickyFile(io.BytesIO(RECORDING))}
    client.audio.transcriptions.complete(model="voxtral-mini-latest", file=file)
    assert sent == [RECORDING]
    row = spans.pop_one()
    assert (row["input"], row["output"]) == ({"file": "<unreadable file>"}, " Bread rises.")
    (fault,) = faults
    assert "the drawer is stuck" in str(fault.exc_info)
    faults.clear()


def test_a_text_that_names_a_file_is_sent_and_logged_as_a_text_and_opens_nothing(
    secret: str, spans: LoggedSpans, make_client: MakeClient, accesses: list[str]
) -> None:
    client, sent = transcriber(make_client)
    file: Any = {"file_name": secret, "content": secret}
    client.audio.transcriptions.complete(model="voxtral-mini-latest", file=file)
    assert [access for access in accesses if "secret" in access] == []
    assert sent == [secret.encode()]
    assert spans.pop_one()["input"] == {"file": file}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (RECORDING, LOGGED_RECORDING._replace(filename="audio.mp3")),
        ("bread.mp3", "bread.mp3"),
        (pathlib.Path("bread.mp3"), "bread.mp3"),
        (io.BytesIO(RECORDING), "<BytesIO>"),
        # No version of the client takes a path, so none is read.
        ({"file_name": "b.mp3", "content": pathlib.Path(__file__)}, {"file_name": "b.mp3", "content": __file__}),
        ({"file_name": "bread.mp3"}, {"file_name": "bread.mp3"}),
        (("bread.mp3", RECORDING), ["bread.mp3", LOGGED_RECORDING._replace(filename="audio.mp3")]),
    ],
)
def test_what_is_no_file_to_the_client_is_logged_with_its_error(
    file: Any, expected: Any, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client, sent = transcriber(make_client)
    with pytest.raises(ValueError, match="validation error"):
        client.audio.transcriptions.complete(model="voxtral-mini-latest", file=file)
    (call,) = logged_calls(spans.pop())
    assert (sent, call.input, call.error is None) == ([], {"file": expected}, False)


def test_the_voices_of_known_speakers_are_attachments(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Version 3.7 takes them.
    monkeypatch.setattr(vars(Transcriptions)["complete"], "__wrapped__", lambda self, **arguments: None)
    client: Any = make_client(answer)
    voices = {"Ada": base64.b64encode(WAV).decode(), "Bo": "https://example.com/bo.wav?sig=5ecre7"}
    client.audio.transcriptions.complete(model="voxtral-mini-latest", file_id="file1", speaker_references=voices)
    (call,) = logged_calls(spans.pop())
    assert call.metadata["speaker_references"] == {
        "Ada": Media(WAV, "audio/wav", "audio.wav"),
        "Bo": "https://example.com/bo.wav?sig=REDACTED",
    }


# --- speech ---


def speech(audio: bytes) -> Json:
    """Return what the API answers with this audio."""
    return {"audio_data": base64.b64encode(audio).decode()}


@has_speech
def test_speech_is_logged_as_one_attachment(call_method: CallMethod, spans: LoggedSpans) -> None:
    result = call_method(
        lambda request: answer(speech(RECORDING)),
        "audio.speech.complete",
        input="Bread rises.",
        model="voxtral-tts",
        voice_id="baker",
        response_format="mp3",
        metadata={"user": "u1"},
    )
    assert base64.b64decode(result.audio_data) == RECORDING
    (call,) = logged_calls(spans.pop())
    assert call == LoggedSpan(
        name="mistral.audio.speech.complete",
        type="llm",
        input="Bread rises.",
        output={
            "type": "audio",
            "mime_type": "audio/mpeg",
            "audio_size_bytes": 16,
            "file": {
                "file_data": LOGGED_RECORDING._replace(filename="generated_speech.mp3"),
                "filename": "generated_speech.mp3",
            },
        },
        metadata={
            "provider": "mistral",
            "model": "voxtral-tts",
            "stream": False,
            "voice_id": "baker",
            "response_format": "mp3",
            "request_metadata": {"user": "u1"},
        },
        metrics={"duration": ANY},
        error=None,
        seconds=ANY,
        children=(),
    )


@has_speech
@pytest.mark.parametrize(
    ("audio_format", "audio", "content_type", "filename"),
    [
        ("mp3", b"\x01\x02", "audio/mpeg", "generated_speech.mp3"),
        ("pcm", b"\x01\x02", "audio/pcm", "generated_speech.pcm"),
        ("opus", b"OggS\x00", "audio/opus", "generated_speech.opus"),
        ("flac", b"fLaC\x00", "audio/flac", "generated_speech.flac"),
        (None, WAV, "audio/wav", "generated_speech.wav"),
        (None, b"\x01\x02", "application/octet-stream", "generated_speech.bin"),
    ],
)
def test_speech_has_the_type_that_was_asked_for_or_that_of_its_beginning(
    audio_format: Any, audio: bytes, content_type: str, filename: str, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(lambda request: answer(speech(audio)))
    client.audio.speech.complete(input="Bread rises.", response_format=audio_format)
    (call,) = logged_calls(spans.pop())
    assert call.output == {
        "type": "audio",
        "mime_type": content_type,
        "audio_size_bytes": len(audio),
        "file": {"file_data": Media(audio, content_type, filename), "filename": filename},
    }


@has_speech
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (base64.b64encode(WAV).decode(), Media(WAV, "audio/wav", "audio.wav")),
        (f"data:audio/wav;base64,{base64.b64encode(WAV).decode()}", Media(WAV, "audio/wav", "audio.wav")),
        (base64.b64encode(bytes(999)).decode(), base64.b64encode(bytes(999)).decode()),
        ("https://example.com/baker.wav?sig=5ecre7", "https://example.com/baker.wav?sig=REDACTED"),
        ("baker", "baker"),
    ],
)
def test_a_voice_to_speak_with_is_an_attachment(
    given: str, expected: Any, spans: LoggedSpans, make_client: MakeClient
) -> None:
    make_client(lambda request: answer(speech(WAV))).audio.speech.complete(input="Bread rises.", ref_audio=given)
    (call,) = logged_calls(spans.pop())
    assert call.metadata["ref_audio"] == expected


@pytest.mark.skipif(not hasattr(models, "SpeechUserTurn"), reason="mistralai speaks in conversations from 3.7 on")
@pytest.mark.parametrize("as_models", [False, True])
def test_the_turns_before_a_speech_are_metadata_with_their_audio_as_attachments(
    as_models: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    audio = {"data": base64.b64encode(WAV).decode()}
    turns: list[Any] = [{"role": "assistant", "text": "Rye?", "audio": audio}, {"role": "user", "audio": audio}]
    if as_models:
        turns = [models.SpeechAssistantTurn(text="Rye?", audio=audio), models.SpeechUserTurn(audio=audio)]
    client = make_client(lambda request: answer(speech(WAV)))
    hints = {"rye": ["ɹ", "a", "j"]}
    client.audio.speech.complete(input="Rye.", conversation_history=turns, expressiveness=1.5, phoneme_hints=hints)
    (call,) = logged_calls(spans.pop())
    logged_audio = {"data": Media(WAV, "audio/wav", "audio.wav")}
    assert call.metadata == {
        "provider": "mistral",
        "stream": False,
        "conversation_history": [
            {"role": "assistant", "text": "Rye?", "audio": logged_audio},
            {"role": "user", "audio": logged_audio},
        ],
        "expressiveness": 1.5,
        "phoneme_hints": hints,
    }
