"""Realtime sessions, with the real client and a Mistral on loopback."""

import asyncio
import base64
import gc
import io
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from typing import Any

import braintrust
import pytest

from tests.conftest import LoggedSpans


pytest.importorskip("websockets")
pytest.importorskip("starlette")
realtime = pytest.importorskip("mistralai.extra.realtime")

from braintrust_mistral.local import LocalMistral  # noqa: E402
from braintrust_mistral.local.mistral.audio import SEGMENTS  # noqa: E402
from braintrust_mistral.local.mistral.media import pcm  # noqa: E402
from tests.local.conftest import Mistral  # noqa: E402


TEXT = "".join(text for _, _, text in SEGMENTS)
PIECE = b"\1\0" * 8_000
FORMAT: Any = {"encoding": "pcm_s16le", "sample_rate": 16_000}

has_speech = pytest.mark.skipif(not hasattr(realtime, "RealtimeSpeech"), reason="this mistralai does not speak")


@pytest.fixture(scope="module")
def service() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.0) as running:
        yield running


@pytest.fixture
def mistral(service: LocalMistral) -> Mistral:
    return Mistral(api_key="secret-key", server_url=service.url)


async def pieces(count: int = 3) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE


async def texts() -> AsyncIterator[str]:
    yield "The next ferry "
    yield "leaves at two."


def named(row: dict[str, Any]) -> str:
    return row["span_attributes"]["name"]


async def heard(connection: Any, until: str = "transcription.done") -> list[Any]:
    events: list[Any] = []
    async for event in connection:
        events.append(event)
        if event.type == until:
            break
    return events


async def test_a_stream_is_a_session_with_its_transcription(mistral: Mistral, spans: LoggedSpans) -> None:
    with braintrust.start_span("call") as outer:
        events = [event async for event in mistral.audio.realtime.transcribe_stream(pieces(), "plain", FORMAT)]
    assert events[-1].type == "transcription.done"
    call, session, transcription = spans.pop_ended()
    assert named(call) == "call"
    assert (named(session), session["span_attributes"]["type"]) == ("mistral.audio.realtime.connect", "task")
    assert session["span_parents"] == [outer.span_id]
    assert session["output"] == [TEXT]
    request_id = next(event for event in events if event.type == "session.created").session.request_id
    about = {"provider": "mistral", "model": "plain", "audio_format": FORMAT, "request_id": request_id}
    assert session["metadata"] == {**about, "audio_size_bytes": 3 * len(PIECE)}
    assert "tokens" not in session["metrics"]
    assert "error" not in session
    assert (named(transcription), transcription["span_attributes"]["type"]) == (
        "mistral.audio.realtime.transcription",
        "llm",
    )
    assert transcription["span_parents"] == [session["span_id"]]
    assert transcription["output"] == TEXT
    assert transcription["metadata"].items() >= {**about, "language": "en", "audio_seconds": 1.5}.items()
    metrics = transcription["metrics"]
    assert (
        metrics["tokens"] == metrics["prompt_tokens"] + metrics["completion_tokens"] == events[-1].usage.total_tokens
    )
    assert metrics["prompt_audio_seconds"] == 2
    assert 0 <= metrics["time_to_first_token"] <= metrics["end"] - metrics["start"]
    assert session["metrics"]["start"] <= metrics["start"] <= metrics["end"] <= session["metrics"]["end"]


async def test_a_session_may_hold_several_transcriptions(mistral: Mistral, spans: LoggedSpans) -> None:
    connection = await mistral.audio.realtime.connect("plain", FORMAT)
    reading = connection.events()
    for _ in range(2):
        await connection.send_audio(PIECE)
        await connection.flush_audio()
        while (await anext(reading)).type != "transcription.done":
            pass
        # It is there before the session is over.
    assert [named(row) for row in spans.pop()[1:]] == ["mistral.audio.realtime.transcription"] * 2
    await connection.close()
    await reading.aclose()
    (session,) = spans.pop()
    assert session["output"] == [TEXT, TEXT]


@pytest.mark.skipif(not hasattr(realtime, "TurnDetectionConfig"), reason="this mistralai knows no turns")
async def test_turns_are_shown(mistral: Mistral, spans: LoggedSpans) -> None:
    stream = mistral.audio.realtime.transcribe_stream(pieces(), "plain", turn_detection={"min_silence_ms": 300})
    turns = [event async for event in stream if event.type.startswith("turn.")]
    session, transcription = spans.pop_ended()
    assert session["metadata"]["turn_detection"]["min_silence_ms"] == 300
    assert transcription["metadata"]["turns"] == [
        {"type": "turn.start", "time_s": turns[0].time_s},
        {"type": "turn.end", "time_s": 1.5, "end_reason": "threshold"},
    ]


@has_speech
async def test_speech_is_a_session_with_its_generation(mistral: Mistral, spans: LoggedSpans) -> None:
    events = [event async for event in mistral.audio.realtime_speech.speak_stream(texts(), "plain", voice_id="jane")]
    session, generation = spans.pop_ended()
    assert (named(session), named(generation)) == (
        "mistral.audio.realtime_speech.connect",
        "mistral.audio.realtime_speech.generation",
    )
    assert generation["span_attributes"]["type"] == "llm"
    assert generation["input"] == "The next ferry leaves at two."
    assert generation["output"] == {"type": "audio", "audio_size_bytes": len(pcm())}
    assert session["output"] == [generation["output"]]
    assert generation["metadata"].items() >= {"model": "plain", "voice": "jane", "response_format": "pcm"}.items()
    assert generation["metrics"]["tokens"] == events[-1].usage.total_tokens
    assert generation["metrics"]["time_to_first_token"] >= 0


async def end_by_close(connection: Any) -> None:
    await connection.close()
    await connection.close()


async def end_by_block(connection: Any) -> None:
    async with connection:
        pass


async def end_by_break(connection: Any) -> None:
    async for event in connection:
        if event.type == "transcription.text.delta":
            break


async def end_by_close_elsewhere(connection: Any) -> None:
    async def read() -> None:
        async for _ in connection:
            pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    await connection.close()
    await reader


async def end_by_drop(_: Any) -> None:
    pass


ENDS = (end_by_close, end_by_block, end_by_break, end_by_close_elsewhere, end_by_drop)


@pytest.mark.parametrize("end", ENDS)
async def test_a_session_that_the_caller_ends_is_no_failure(end: Any, mistral: Mistral, spans: LoggedSpans) -> None:
    connection = await mistral.audio.realtime.connect("plain", FORMAT)
    await connection.send_audio(PIECE)
    websocket = connection._websocket
    await end(connection)
    del connection
    gc.collect()
    # A generator that was left is closed by the loop.
    while 0 in spans.ends.values():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    session, transcription = spans.pop_ended()
    await websocket.close()
    assert "error" not in session
    assert "cancelled" not in session["metadata"]
    # What had arrived.
    assert TEXT.startswith(transcription["output"])
    assert session["metadata"]["audio_size_bytes"] == len(PIECE)


async def test_an_exception_in_the_callers_block_is_the_sessions(mistral: Mistral, spans: LoggedSpans) -> None:
    with pytest.raises(KeyError):
        async with await mistral.audio.realtime.connect("plain", FORMAT):
            raise KeyError("lost")
    assert "KeyError" in spans.pop_one()["error"]


async def test_a_closing_while_an_exception_is_handled_is_no_failure(mistral: Mistral, spans: LoggedSpans) -> None:
    connection = await mistral.audio.realtime.connect("plain", FORMAT)
    try:
        raise KeyError("lost")
    except KeyError:
        await connection.close()
    assert "error" not in spans.pop_one()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the SDK swallows it, and nothing tells before Python 3.11")
@pytest.mark.parametrize("way", ["events", "transcribe_stream", "block"])
async def test_a_cancelled_session_is_no_failure(way: str, mistral: Mistral, spans: LoggedSpans) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield PIECE
        reached.set()
        await asyncio.Event().wait()

    async def session() -> None:
        if way == "transcribe_stream":
            async for _ in mistral.audio.realtime.transcribe_stream(endless(), "plain", FORMAT):
                pass
            return
        async with await mistral.audio.realtime.connect("plain", FORMAT) as connection:
            reached.set()
            if way == "events":
                # Swallows the cancellation, and ends.
                async for _ in connection:
                    pass
            else:
                await asyncio.Event().wait()

    task = asyncio.create_task(session())
    await reached.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    row = spans.pop_ended()[0]
    assert row["metadata"]["cancelled"] is True
    assert "error" not in row


@pytest.mark.parametrize("model", ["broken", "close-frame"])
async def test_a_server_that_is_gone_is_an_error(model: str, mistral: Mistral, spans: LoggedSpans) -> None:
    with pytest.raises(Exception, match=r"(?i)close|No such voice") as caught:
        async for _ in mistral.audio.realtime.transcribe_stream(pieces(), model, FORMAT):
            pass
    session, *_ = spans.pop_ended()
    assert type(caught.value).__name__ in session["error"]


async def test_an_error_that_the_service_reports(mistral: Mistral, spans: LoggedSpans) -> None:
    async for _ in mistral.audio.realtime.transcribe_stream(pieces(), "error-event", FORMAT):
        pass
    session, transcription = spans.pop_ended()
    assert session["error"] == transcription["error"] == "Internal server error (code 1000)"


async def test_a_session_that_is_refused(mistral: Mistral, spans: LoggedSpans) -> None:
    with pytest.raises(Exception, match="401"):
        await mistral.audio.realtime.connect("http-401", http_headers={"X-Key": "secret-header"})
    row = spans.pop_one()
    assert "401" in row["error"]
    assert "secret" not in str(row)


async def test_events_that_nobody_knows_pass_through(mistral: Mistral, spans: LoggedSpans, faults: list[Any]) -> None:
    stream = mistral.audio.realtime.transcribe_stream(pieces(), "unknown-events", FORMAT)
    events = [type(event).__name__ async for event in stream]
    assert events.count("UnknownRealtimeEvent") == 3
    # One that is no whole segment cannot be read.
    assert len(faults) == 1
    faults.clear()
    _, transcription = spans.pop_ended()
    assert transcription["output"] == TEXT


async def test_sending_after_the_end_raises_as_ever(mistral: Mistral, spans: LoggedSpans) -> None:
    connection = await mistral.audio.realtime.connect("plain", FORMAT)
    await connection.close()
    with pytest.raises(RuntimeError):
        await connection.send_audio(PIECE)
    assert spans.pop_one()["metadata"]["audio_size_bytes"] == 0


async def test_a_session_that_is_over_keeps_nothing_alive(mistral: Mistral, spans: LoggedSpans) -> None:
    connection = await mistral.audio.realtime.connect("plain", FORMAT)
    await connection.send_audio(PIECE)
    await connection.close()
    held = str(gc.get_referents(connection.__braintrust_lifecycle__))
    assert "TranscriptionSession" not in held


async def test_the_connection_is_the_sdks(mistral: Mistral, spans: LoggedSpans) -> None:
    async with await mistral.audio.realtime.connect("plain") as connection:
        assert isinstance(connection, realtime.RealtimeConnection)
        assert type(connection).__name__ == "RealtimeConnection"
        assert connection.session.model == "plain"
    assert spans.pop_ended()


@pytest.mark.parametrize("enabled", [True, False])
async def test_audio_is_logged_where_that_is_asked_for(
    enabled: bool, mistral: Mistral, spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAINTRUST_MISTRAL_REALTIME_AUDIO", "true" if enabled else "false")
    async for _ in mistral.audio.realtime.transcribe_stream(pieces(), "plain", FORMAT):
        pass
    session, transcription = spans.pop_ended()
    assert "audio" not in transcription["metadata"]
    if not enabled:
        assert "audio" not in session["metadata"]
        return
    file = session["metadata"]["audio"]["file"]
    assert (file["filename"], file["file_data"].reference["content_type"]) == ("realtime_audio.wav", "audio/wav")
    with wave.open(io.BytesIO(file["file_data"].data)) as sound:
        assert (sound.getframerate(), sound.readframes(100_000)) == (16_000, PIECE * 3)


async def test_no_more_than_ten_mebibytes_of_audio_are_logged(
    mistral: Mistral, spans: LoggedSpans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAINTRUST_MISTRAL_REALTIME_AUDIO", "true")
    mulaw: Any = {"encoding": "pcm_mulaw", "sample_rate": 8_000}
    async with await mistral.audio.realtime.connect("plain", mulaw) as connection:
        for _ in range(25):
            await connection.send_audio(bytes(500_000))
    metadata = spans.pop_ended()[0]["metadata"]
    assert metadata["audio_truncated"] is True
    assert metadata["audio_size_bytes"] == 12_500_000
    file = metadata["audio"]["file"]
    assert (len(file["file_data"].data), file["filename"]) == (10 * 1024 * 1024, "realtime_audio.pcm")


@has_speech
async def test_reference_audio_is_no_text(mistral: Mistral, spans: LoggedSpans) -> None:
    sound = b"RIFF\0\0\0\0WAVE" + bytes(100)
    async with await mistral.audio.realtime_speech.connect("plain", ref_audio=base64.b64encode(sound).decode()):
        pass
    assert spans.pop_one()["metadata"]["ref_audio"].data == sound


async def test_nothing_is_traced_without_a_logger(mistral: Mistral, no_logger: None) -> None:
    connection = await mistral.audio.realtime.connect("plain", FORMAT)
    assert type(connection) is realtime.RealtimeConnection
    await connection.close()


async def test_one_client_alone(mistral: Mistral, spans: LoggedSpans, uninstrumented: None) -> None:
    from braintrust.integrations.mistral import wrap_mistral

    wrapped = wrap_mistral(wrap_mistral(mistral))
    other = Mistral(api_key="key", server_url=mistral.sdk_configuration.server_url)
    for client in (wrapped, other):
        async for _ in client.audio.realtime.transcribe_stream(pieces(), "plain", FORMAT):
            pass
    assert len(spans.pop_ended()) == 2


SCRIPT = """
import sys
import braintrust
from braintrust.integrations.mistral import wrap_mistral
try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral
braintrust.auto_instrument()
wrap_mistral(Mistral(api_key="key"))
print([name for name in ("websockets", "mistralai.extra.realtime", "mistralai.extra.batch") if name in sys.modules])
"""


def test_nothing_is_imported_before_it_is_used() -> None:
    printed = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert printed.stdout.splitlines()[-1] == "[]"
