"""The realtime endpoints: sessions over websockets that write down audio as it comes, or read texts aloud.

The `model` of a session names what becomes of it: those of `delivery` refuse it, report an error half-way or
break it off. `close-frame` ends it with a reason, as the service does for a voice that it does not have, and
`unknown-events` has events that no client knows.
"""

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import words
from braintrust_mistral.local.mistral.audio import SEGMENTS
from braintrust_mistral.local.mistral.delivery import Delivery, delivery
from braintrust_mistral.local.mistral.endpoints import token_count
from braintrust_mistral.local.mistral.media import base64_text, pcm
from braintrust_mistral.local.mistral.playback import Clock
from braintrust_mistral.local.server import ConnectionBrokenError


SPEECH_PIECE = 1_000
"""Bytes of audio in an event."""

POLICY_VIOLATION = 1008
"""The code of the close frame with which the service rejects a session."""

_EVENT_SECONDS = 0.03
_FORMAT = {"encoding": "pcm_s16le", "sample_rate": 16_000}
_UNKNOWN: list[Json] = [{"type": "session.weather", "sunny": True}, {"type": "transcription.segment"}, {"no": "type"}]


@dataclass
class _Transcription:
    """A session that writes down what it hears: a word for each piece of audio, and the rest at its end."""

    session: Json
    heard: int = 0
    words: list[str] = field(default_factory=lambda: words("".join(text for _, _, text in SEGMENTS)))

    def answers(self, message: Json) -> Iterator[Json]:
        if message["type"] == "input_audio.append":
            if not self.heard:
                yield {"type": "transcription.language", "audio_language": "en"}
                yield from self._turn("start")
            self.heard += len(base64.b64decode(message["audio"]))
            if self.words:
                yield {"type": "transcription.text.delta", "text": self.words.pop(0)}
        elif message["type"] in ("input_audio.flush", "input_audio.end") and self.heard:
            yield from ({"type": "transcription.text.delta", "text": word} for word in self.words)
            yield from self._turn("end", end_reason="threshold")
            yield self._done()
            again = _Transcription(self.session)
            self.heard, self.words = again.heard, again.words

    def _turn(self, kind: str, **fields: Any) -> Iterator[Json]:
        if self.session.get("turn_detection"):
            yield {"type": f"turn.{kind}", "time_s": self._seconds(), **fields}

    def _seconds(self) -> float:
        return self.heard / (2 * self.session["audio_format"]["sample_rate"])

    def _done(self) -> Json:
        text = "".join(text for _, _, text in SEGMENTS)
        count = len(words(text))
        tokens = {"prompt_tokens": 4, "completion_tokens": count, "total_tokens": 4 + count}
        usage = {"prompt_audio_seconds": max(1, round(self._seconds())), **tokens}
        about = {"model": self.session["model"], "text": text, "language": "en", "segments": []}
        return {"type": "transcription.done", **about, "usage": usage}


@dataclass
class _Speech:
    """A session that reads aloud: the same tone, whatever the text."""

    session: Json
    text: str = ""

    def answers(self, message: Json) -> Iterator[Json]:
        self.text += message.get("text", "")
        if message["type"] in ("input_text.flush", "input_text.end") and self.text:
            sound = pcm()
            pieces = [sound[start : start + SPEECH_PIECE] for start in range(0, len(sound), SPEECH_PIECE)]
            yield from ({"type": "speech.audio.delta", "audio_data": base64_text(piece)} for piece in pieces)
            prompt = token_count(self.text)
            usage = {"prompt_tokens": prompt, "completion_tokens": len(pieces), "total_tokens": prompt + len(pieces)}
            yield {"type": "speech.audio.done", "usage": usage}
            self.text = ""


class Realtime:
    """The endpoints of realtime sessions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def routes(self) -> list[WebSocketRoute]:
        """Return the endpoints; websockets are no requests with an answer."""
        return [
            WebSocketRoute("/v1/audio/transcriptions/realtime", self._transcribe),
            WebSocketRoute("/v1/audio/speech/realtime", self._speak),
        ]

    async def _transcribe(self, socket: WebSocket) -> None:
        await self._serve(socket, _Transcription({**_session(socket), "audio_format": _FORMAT}))

    async def _speak(self, socket: WebSocket) -> None:
        about = {"is_ref_audio": False, "streaming_mode": "responsive", "expressiveness": 1.0, "voice": "jane"}
        await self._serve(socket, _Speech({**_session(socket), **about, "response_format": "pcm"}))

    async def _serve(self, socket: WebSocket, talk: _Transcription | _Speech) -> None:
        model: str = talk.session["model"]
        way = delivery(model)
        if way.refusal:
            await socket.send_denial_response(JSONResponse(way.refusal.body, way.refusal.status))
            return
        await socket.accept()
        await asyncio.sleep(way.wait * self._clock.pace)
        try:
            await socket.send_json({"type": "session.created", "session": talk.session})
            if model == "close-frame":
                await socket.close(POLICY_VIOLATION, "No such voice")
                return
            await self._talk(socket, talk, way)
        except WebSocketDisconnect:
            pass

    async def _talk(self, socket: WebSocket, talk: _Transcription | _Speech, way: Delivery) -> None:
        for event in _UNKNOWN if talk.session["model"] == "unknown-events" else ():
            await socket.send_json(event)
        while True:
            message = await socket.receive_json()
            if message["type"] == "session.update":
                talk.session |= {name: value for name, value in message["session"].items() if value is not None}
                await socket.send_json({"type": "session.updated", "session": talk.session})
                continue
            async for event in self._paced(talk.answers(message)):
                await socket.send_json(event)
                # Half-way: there was an answer, and it was not all of it.
                if way.breaks:
                    raise ConnectionBrokenError("this scenario breaks the connection")
                if way.failure:
                    error = {"message": way.failure.body["message"], "code": 1000}
                    await socket.send_json({"type": "error", "error": error})
                    # Until the client goes.
                    async for _ in socket.iter_text():
                        pass
                    return

    async def _paced(self, events: Iterator[Json]) -> AsyncIterator[Json]:
        for event in events:
            await asyncio.sleep(_EVENT_SECONDS * self._clock.pace)
            yield event


def _session(socket: WebSocket) -> Json:
    return {"request_id": uuid.uuid4().hex, "model": socket.query_params.get("model", "")}
