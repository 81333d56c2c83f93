"""Realtime sessions of the local Mistral, with the real client."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest


websockets = pytest.importorskip("websockets")
realtime = pytest.importorskip("mistralai.extra.realtime")

from braintrust_mistral.local import LocalMistral  # noqa: E402
from braintrust_mistral.local.mistral.audio import SEGMENTS  # noqa: E402
from braintrust_mistral.local.mistral.media import pcm  # noqa: E402


FORMAT: Any = {"encoding": "pcm_s16le", "sample_rate": 8_000}
TEXT = "".join(text for _, _, text in SEGMENTS)

has_speech = pytest.mark.skipif(not hasattr(realtime, "RealtimeSpeech"), reason="this mistralai does not speak")


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield bytes(8_000)


async def texts() -> AsyncIterator[str]:
    yield "The next ferry "
    yield "leaves at two."


async def types(stream: Any) -> list[Any]:
    return [event.type async for event in stream]


async def test_audio_is_written_down_as_it_comes(async_sdk: Any) -> None:
    events = [event async for event in async_sdk.audio.realtime.transcribe_stream(pieces(), "plain", FORMAT)]
    assert [event.type for event in events][:2] == ["session.created", "session.updated"]
    assert events[1].session.audio_format.sample_rate == 8_000
    assert "".join(event.text for event in events if event.type == "transcription.text.delta") == TEXT
    done = events[-1]
    assert (done.type, done.text, done.usage.prompt_audio_seconds) == ("transcription.done", TEXT, 2)


async def test_each_flush_ends_a_transcription(async_sdk: Any) -> None:
    done = 0
    async with await async_sdk.audio.realtime.connect("plain") as connection:
        await connection.send_audio(bytes(8_000))
        await connection.flush_audio()
        async for event in connection:
            if event.type == "transcription.done":
                done += 1
                if done == 2:
                    break
                await connection.send_audio(bytes(8_000))
                await connection.flush_audio()
    assert done == 2


@has_speech
async def test_texts_are_read_aloud(async_sdk: Any) -> None:
    events = [event async for event in async_sdk.audio.realtime_speech.speak_stream(texts(), "plain")]
    sound = b"".join(realtime.audio_bytes(event) for event in events if event.type == "speech.audio.delta")
    assert sound == pcm()
    assert events[-1].usage.total_tokens > 0


@pytest.mark.parametrize(
    ("model", "said"), [("http-401", "401"), ("close-frame", "No such voice"), ("broken", "(?i)close")]
)
async def test_sessions_fail(model: str, said: str, async_sdk: Any) -> None:
    with pytest.raises(Exception, match=said):
        await types(async_sdk.audio.realtime.transcribe_stream(pieces(), model))
    if hasattr(realtime, "RealtimeSpeech"):
        with pytest.raises(Exception, match=said):
            await types(async_sdk.audio.realtime_speech.speak_stream(texts(), model))


async def test_an_error_is_an_event(async_sdk: Any) -> None:
    found = await types(async_sdk.audio.realtime.transcribe_stream(pieces(), "error-event"))
    assert found[-1] == "error"


async def test_there_may_be_events_that_no_client_knows(async_sdk: Any) -> None:
    found = await types(async_sdk.audio.realtime.transcribe_stream(pieces(), "unknown-events"))
    assert {"session.weather", None} <= set(found)


async def test_turns_are_told_where_they_are_asked_for(mistral: LocalMistral) -> None:
    url = f"{mistral.url.replace('http', 'ws')}/v1/audio/transcriptions/realtime?model=plain"
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "session.update", "session": {"turn_detection": {"min_silence_ms": 1}}}))
        await socket.send(json.dumps({"type": "input_audio.append", "audio": "AAAA"}))
        await socket.send(json.dumps({"type": "input_audio.end"}))
        found: list[str] = []
        while "transcription.done" not in found:
            found.append(json.loads(await socket.recv())["type"])
    assert [kind for kind in found if kind.startswith("turn.")] == ["turn.start", "turn.end"]
