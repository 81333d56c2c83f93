"""The audio endpoints: transcriptions, whose requests are forms, and speech."""

import itertools
from collections.abc import Iterator

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Failure, words
from braintrust_mistral.local.mistral.delivery import Step, delivery, server_sent
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, is_list, json_object, token_count
from braintrust_mistral.local.mistral.errors import RefusedError, validation_error
from braintrust_mistral.local.mistral.media import base64_text, pcm, wav
from braintrust_mistral.local.mistral.playback import Clock
from braintrust_mistral.local.mistral.scenarios import stream_length


SEGMENTS = (
    (0.0, 2.4, " The next ferry leaves at half past two."),
    (2.4, 4.1, " Tickets are sold on board."),
)
"""What every recording says: beginning, end, and text."""

AUDIO_SECONDS = 5
SPEECH_PIECE = 1_000
"""Bytes of sound in an event: no multiple of three, so that pieces of base64 are not a base64 of the whole."""

_DELTA_SECONDS = 0.03


class Audio:
    """The endpoints that write down what is said, and say what is written."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints; each serves streams, too."""
        return [
            Endpoint("POST", "/v1/audio/transcriptions", self._transcribe),
            Endpoint("POST", "/v1/audio/speech", self._speak),
        ]

    async def _transcribe(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"model"})
        if not {"file_url", "file_id"} & body.keys() and "file" not in request.files:
            raise RefusedError(validation_error("missing", ["body", "file"], "Field required", body))
        if body.get("stream") == "true":
            return _streamed(body["model"], list(_transcription_events(body)), self._clock)
        return await delivery(body["model"]).response(_transcription(body), self._clock, seconds=0.5)

    async def _speak(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"input"})
        name = body.get("model", "")
        sound = pcm() if body.get("response_format") == "pcm" else wav()
        if body.get("stream"):
            return _streamed(name, list(_speech_events(body, sound, stream_length(name))), self._clock)
        return await delivery(name).response({"audio_data": base64_text(sound)}, self._clock, seconds=0.5)


def _streamed(name: str, events: list[Json], clock: Clock) -> Response:
    steps: list[Step] = [
        (position * _DELTA_SECONDS, server_sent(event, event["type"])) for position, event in enumerate(events)
    ]
    return delivery(name).stream(steps, clock, _failed)


def _transcription(body: Json) -> Json:
    text = "".join(text for _, _, text in SEGMENTS)
    tokens = {"prompt_tokens": 4, "completion_tokens": len(words(text)), "total_tokens": 4 + len(words(text))}
    return {
        "model": body["model"],
        "text": text,
        "language": body.get("language", "en"),
        "segments": [{"type": "transcription_segment", **segment} for segment in _segments(body)],
        "usage": {"prompt_audio_seconds": AUDIO_SECONDS, **tokens},
    }


def _transcription_events(body: Json) -> Iterator[Json]:
    whole = _transcription(body)
    yield {"type": "transcription.language", "audio_language": whole["language"]}
    pieces = words(whole["text"])
    length = stream_length(body["model"]) or len(pieces)
    for piece in itertools.islice(itertools.cycle(pieces), length):
        yield {"type": "transcription.text.delta", "text": piece}
    for segment in _segments(body):
        yield {"type": "transcription.segment", **segment}
    yield {**whole, "type": "transcription.done"}


def _segments(body: Json) -> Iterator[Json]:
    """Yield the segments, by sentence or by word, if the request asks for times."""
    # The older SDK marks names of lists with brackets.
    wanted = body.get("timestamp_granularities", body.get("timestamp_granularities[]"))
    speaker = {"speaker_id": "speaker_1"} if body.get("diarize") == "true" else {}
    for start, end, text in SEGMENTS if wanted else ():
        pieces = words(text) if wanted == "word" or (is_list(wanted) and "word" in wanted) else [text]
        step = (end - start) / len(pieces)
        for position, piece in enumerate(pieces):
            times = {"start": round(start + position * step, 2), "end": round(start + (position + 1) * step, 2)}
            yield {"text": piece, **times, **speaker}


def _speech_events(body: Json, sound: bytes, length: int | None) -> Iterator[Json]:
    pieces = [sound[start : start + SPEECH_PIECE] for start in range(0, len(sound), SPEECH_PIECE)]
    for piece in itertools.islice(itertools.cycle(pieces), length or len(pieces)):
        yield {"type": "speech.audio.delta", "audio_data": base64_text(piece)}
    prompt = token_count(body["input"])
    usage = {"prompt_tokens": prompt, "completion_tokens": len(pieces), "total_tokens": prompt + len(pieces)}
    yield {"type": "speech.audio.done", "usage": usage}


def _failed(failure: Failure) -> bytes:
    return server_sent(failure.body, "error")
