import base64
import io
import wave
from typing import Any

import pytest

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral.forms import Upload, parsed_form
from braintrust_mistral.local.mistral.media import pcm, wav
from tests.local.conftest import Http


TRANSCRIPTIONS, SPEECH = "/v1/audio/transcriptions", "/v1/audio/speech"
TEXT = " The next ferry leaves at half past two. Tickets are sold on board."
# A multipart parser that looks at lines would stumble over these bytes.
RECORDING = b"RIFF\r\n--\r\n\r\n\x00\xff\n" + bytes(range(256)) + b"\r\n"
FILE = {"file_name": "ferry.wav", "content": RECORDING, "content_type": "audio/wav"}


@pytest.fixture
def transcriptions(sdk: Any) -> Any:
    return sdk.audio.transcriptions


@pytest.fixture
def speech(sdk: Any) -> Any:
    if not hasattr(sdk.audio, "speech"):
        pytest.skip("this mistralai does not speak")
    return sdk.audio.speech


@pytest.mark.parametrize("source", [{"file": FILE}, {"file_url": "https://example.org/a.mp3"}, {"file_id": "f1"}])
def test_recordings_from_everywhere_are_written_down(transcriptions: Any, source: dict[str, Any]) -> None:
    response = transcriptions.complete(model="voxtral-mini-latest", **source)
    assert (response.text, response.language, response.model) == (TEXT, "en", "voxtral-mini-latest")
    assert response.segments == []
    assert response.usage.prompt_audio_seconds == 5
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens


@pytest.mark.parametrize("granularity", ["segment", "word"])
def test_segments_come_with_granularities(transcriptions: Any, granularity: str) -> None:
    settings = {"timestamp_granularities": [granularity], "diarize": True, "language": "pt"}
    response = transcriptions.complete(model="plain", file=FILE, **settings)
    assert response.language == "pt"
    assert len(response.segments) == {"segment": 2, "word": 13}[granularity]
    assert "".join(segment.text for segment in response.segments) == TEXT
    assert all(segment.start < segment.end for segment in response.segments)
    assert {segment.speaker_id for segment in response.segments} == {"speaker_1"}
    streamed = list(transcriptions.stream(model="plain", file=FILE, **settings))
    segments = [event.data for event in streamed if event.event == "transcription.segment"]
    assert [segment.text for segment in segments] == [segment.text for segment in response.segments]


def test_a_streamed_transcription_is_the_transcription(transcriptions: Any) -> None:
    whole = transcriptions.complete(model="plain", file=FILE)
    first, *deltas, last = transcriptions.stream(model="plain", file=FILE)
    assert (first.event, first.data.audio_language) == ("transcription.language", "en")
    assert {event.event for event in deltas} == {"transcription.text.delta"}
    assert "".join(event.data.text for event in deltas) == last.data.text == whole.text
    assert last.event == "transcription.done"
    assert last.data.usage.model_dump() == whole.usage.model_dump()


def test_a_stream_can_break_before_it_is_done(transcriptions: Any) -> None:
    stream = iter(transcriptions.stream(model="broken", file=FILE))
    assert next(stream).event == "transcription.language"
    with pytest.raises(Exception, match="without sending complete message body"):
        list(stream)


def test_a_stream_can_bring_an_error(mistral: LocalMistral, http: Http) -> None:
    form = {"model": "error-event", "file_id": "f1", "stream": "true"}
    response = http.post(TRANSCRIPTIONS, data=form)
    last = response.text.strip().split("\n\n")[-1]
    assert last.startswith('event: error\ndata: {"object": "error"')
    assert mistral.requests[0].body == form


def test_a_long_stream_has_as_many_deltas_as_its_name_says(transcriptions: Any) -> None:
    events = [event.event for event in transcriptions.stream(model="long-stream-40", file=FILE)]
    assert events.count("transcription.text.delta") == 40


def test_forms_are_kept_with_their_files(transcriptions: Any, mistral: LocalMistral) -> None:
    transcriptions.complete(model="plain", file=FILE, context_bias=["ferry", "Tagus"], temperature=0.5)
    (request,) = mistral.requests
    assert request.files == {"file": Upload("ferry.wav", "audio/wav", RECORDING)}
    assert (request.body["model"], request.body["temperature"], request.body["stream"]) == ("plain", "0.5", "false")
    # Version 1 puts brackets behind the names of lists.
    (biases,) = [value for name, value in request.body.items() if name.startswith("context_bias")]
    assert biases == ["ferry", "Tagus"]


def test_a_form_is_taken_apart_at_its_boundary() -> None:
    content = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: application/json\r\n\r\n{"b": 1}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n\r\n--y\r\n--x--\r\n'
    )
    fields, files = parsed_form("multipart/form-data; boundary=x", content)
    assert fields == {"a": '{"b": 1}'}
    assert files == {"f": Upload("n", None, b"\r\n--y")}


def test_transcriptions_fail_as_everything_does(transcriptions: Any) -> None:
    for method in (transcriptions.complete, transcriptions.stream):
        with pytest.raises(Exception, match="Status 429"):
            method(model="http-429", file=FILE)


def test_text_is_spoken(speech: Any) -> None:
    content = base64.b64decode(speech.complete(input="Hello", model="plain").audio_data)
    with wave.open(io.BytesIO(content)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (1, 8_000, 2_000)
    samples = base64.b64decode(speech.complete(input="Hello", response_format="pcm").audio_data)
    assert samples == pcm()


def test_streamed_speech_is_encoded_piece_by_piece(speech: Any) -> None:
    *deltas, done = speech.complete(input="Hello, Lisbon!", model="plain", stream=True)
    pieces = [event.data.audio_data for event in deltas]
    assert {event.event for event in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(piece) for piece in pieces) == wav()
    assert base64.b64decode("".join(pieces)) != wav()
    assert done.event == "speech.audio.done"
    assert done.data.usage.total_tokens == done.data.usage.prompt_tokens + len(pieces)


def test_speech_fails_as_everything_does(speech: Any) -> None:
    with pytest.raises(Exception, match="Status 500"):
        speech.complete(input="Hello", model="http-500")
    with pytest.raises(Exception, match="without sending complete message body"):
        list(speech.complete(input="Hello", model="broken", stream=True))
    assert len(list(speech.complete(input="Hello", model="long-stream-20", stream=True))) == 21


async def test_async_clients_are_served(async_sdk: Any) -> None:
    whole = await async_sdk.audio.transcriptions.complete_async(model="plain", file=FILE)
    stream = await async_sdk.audio.transcriptions.stream_async(model="plain", file=FILE)
    assert [event.data async for event in stream][-1].text == whole.text == TEXT
    if hasattr(async_sdk.audio, "speech"):
        stream = await async_sdk.audio.speech.complete_async(input="Hello", stream=True)
        assert [event.event async for event in stream][-1] == "speech.audio.done"


def test_a_request_without_its_fields_is_unprocessable(http: Http) -> None:
    assert http.refused_at(TRANSCRIPTIONS, data={"model": "plain"}) == ["body", "file"]
    assert http.refused_at(TRANSCRIPTIONS, files={"file": ("a.wav", b"")}) == ["body", "model"]
    assert http.refused_at(SPEECH, json={"model": "plain"}) == ["body", "input"]
