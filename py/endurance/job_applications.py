"""Applications that have batch jobs done, and that hold realtime sessions."""

import asyncio
import contextlib
import importlib.util
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest import mock

from endurance.applications import Application, seen, seen_async


ENDPOINT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "Which ferry?"}]}
# The second is refused.
MODELS = ("plain", "http-500")
REQUESTS: Any = [{"custom_id": str(index), "body": {"model": name, **BODY}} for index, name in enumerate(MODELS)]
LINES = "\n".join(map(json.dumps, REQUESTS)).encode()
OTHERS = {
    "/v1/embeddings": {"input": ["ferry"]},
    "/v1/conversations": {"inputs": "Hello"},
    "/v1/audio/transcriptions": {"file_url": "https://example.com/a.mp3"},
}


def batch(client: Any) -> list[Any]:
    """Jobs with requests of their own and with uploaded ones, whose results are read in several ways, or not."""
    jobs, files = client.batch.jobs, client.files
    results: list[Any] = [seen(lambda: jobs.create(endpoint=ENDPOINT, requests=REQUESTS, metadata={"a": "b"}))]
    results += [seen(lambda: jobs.get(job_id=results[0].id, inline=True)), seen(jobs.list)]
    for content in (LINES, io.BufferedReader(io.BytesIO(LINES))):
        file = files.upload(file={"file_name": "a.jsonl", "content": content}, purpose="batch")
        job = jobs.create(endpoint=ENDPOINT, input_files=[file.id])
        results.append(job := jobs.get(job_id=job.id))
        results.append(files.download(file_id=job.output_file).read())
        results.append([*files.download(file_id=job.error_file).iter_lines()])
        # Left before it is read, and in the middle.
        files.download(file_id=job.output_file).close()
        next(files.download(file_id=job.output_file).iter_bytes())
        files.delete(file_id=job.output_file)
        results.append(seen(lambda file_id=job.output_file: files.download(file_id=file_id)))
    for endpoint, body in OTHERS.items():
        requests = [{"custom_id": "a", "body": body}]
        job = jobs.create(endpoint=endpoint, model="function-call", requests=requests)
        results += [jobs.get(job_id=job.id, inline=True), jobs.cancel(job_id=job.id)]
    results.append(seen(lambda: jobs.get(job_id="none")))
    return results


def batch_async(client: Any) -> list[Any]:
    """The same with the SDK's client of batches, as far as there is one."""
    if importlib.util.find_spec("mistralai.extra.batch") is None:
        return []
    from mistralai.client.models import ChatCompletionResponse
    from mistralai.extra.batch import BatchClient, BatchInput

    batches: Any = BatchClient(client, endpoint=ENDPOINT, response_body_type=ChatCompletionResponse)
    given = BatchInput.from_jsonl_bytes(LINES)

    async def run() -> list[Any]:
        results: list[Any] = []
        for source in (given, LINES.decode(), await batches.upload(given)):
            done = await batches.run(source, poll_interval_seconds=0)
            results += [done.job, done.by_id(), done.errors()]
        handle = await batches.wait(await batches.create(given), poll_interval_seconds=0)
        results += [item async for item in batches.stream_results(handle)]
        async for _ in batches.stream_results(handle):
            break
        results.append(await seen_async(batches.wait("none")))
        return results

    return asyncio.run(run())


class _Socket:
    """A websocket that says what it is to say, whatever it hears."""

    def __init__(self, *events: dict[str, Any], error: Exception | None = None) -> None:
        self._events = iter(events)
        self._error = error

    async def recv(self) -> str:
        return json.dumps(next(self._events))

    async def send(self, message: str) -> None:
        json.loads(message)

    async def close(self, **_: Any) -> None:
        self._events = iter(())

    async def __aiter__(self) -> AsyncIterator[str]:
        for event in self._events:
            # Whoever sends may do so in between.
            await asyncio.sleep(0)
            yield json.dumps(event)
        if self._error is not None:
            raise self._error


FORMAT: Any = {"encoding": "pcm_s16le", "sample_rate": 8_000}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
CREATED = {"type": "session.created", "session": {"request_id": "r", "model": "m", "audio_format": FORMAT}}
SPEAKING = {
    "type": "session.created",
    "session": {
        "request_id": "r",
        "model": "m",
        "is_ref_audio": False,
        "streaming_mode": "responsive",
        "response_format": "mp3",
        "expressiveness": 1.0,
    },
}
HEARD = (
    {"type": "session.updated", "session": CREATED["session"]},
    {"type": "transcription.language", "audio_language": "en"},
    {"type": "transcription.text.delta", "text": "Two"},
    {"type": "turn.end", "time_s": 1.0, "end_reason": "threshold"},
    {"type": "transcription.done", "model": "m", "text": "Two", "language": "en", "usage": USAGE},
    {"type": "session.weather"},
)
ERROR = {"type": "error", "error": {"message": "No more", "code": 7}}


@contextlib.contextmanager
def _connected(module: str, socket: _Socket) -> Iterator[None]:
    async def connect(*_: Any, **__: Any) -> _Socket:
        return socket

    with (
        mock.patch(f"mistralai.extra.realtime.{module}.connect", connect),
        mock.patch.dict("os.environ", {"BRAINTRUST_MISTRAL_REALTIME_AUDIO": "true"}),
    ):
        yield


def realtime(client: Any) -> list[Any]:
    """Sessions that end in every way."""
    if importlib.util.find_spec("websockets") is None or importlib.util.find_spec("mistralai.extra.realtime") is None:
        return []
    return asyncio.run(_sessions(client))


async def _sessions(client: Any) -> list[Any]:
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(100)

    results: list[Any] = []
    hearing = client.audio.realtime
    with _connected("transcription", _Socket(CREATED, *HEARD)):
        results.append([event async for event in hearing.transcribe_stream(pieces(), "m", FORMAT)])
    with _connected("transcription", _Socket(CREATED, *HEARD)):
        async with await hearing.connect("m") as connection:
            await connection.send_audio(bytes(100))
            async for event in connection:
                results.append(event)
                break
        results.append(await seen_async(connection.send_audio(b"")))
    with _connected("transcription", _Socket(CREATED, *HEARD[:2], ERROR)):
        connection = await hearing.connect("m")
        results.append([event async for event in connection])
    with _connected("transcription", _Socket(CREATED, *HEARD[:3], error=ConnectionResetError("gone"))):
        connection = await hearing.connect("m")
        results.append(await seen_async(_all(connection)))
    with _connected("transcription", _Socket(CREATED)):
        # Dropped.
        await hearing.connect("m")
    with _connected("transcription", _Socket(ERROR)):
        results.append(await seen_async(hearing.connect("m")))
    if hasattr(type(client.audio), "realtime_speech"):
        results += await _spoken(client.audio.realtime_speech)
    return results


async def _spoken(speaking: Any) -> list[Any]:
    async def texts() -> AsyncIterator[str]:
        yield "Two"

    sound = ({"type": "speech.audio.delta", "audio_data": "AAAA"}, {"type": "speech.audio.done", "usage": USAGE})
    with _connected("speech", _Socket(SPEAKING, *sound)):
        return [event async for event in speaking.speak_stream(texts(), "m", voice_id="jane")]


async def _all(connection: Any) -> list[Any]:
    return [event async for event in connection]


def voice(_: Any) -> list[Any]:
    """The functions of a voice agent."""
    if importlib.util.find_spec("mistralai.extra.voice_agents") is None:
        return []
    from mistralai.extra.voice_agents.tools import function_tool

    def price(passengers: int) -> str:
        """The price of a ticket."""
        return f"{3 * passengers} euros"

    handler = function_tool(price)
    calls = (handler.invoke(arguments) for arguments in ('{"passengers": 2}', "{"))
    return [asyncio.run(seen_async(call)) for call in calls]


JOB_APPLICATIONS: list[Application] = [voice, realtime, batch_async, batch]
