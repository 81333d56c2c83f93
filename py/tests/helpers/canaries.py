"""A Mistral that says a canary wherever it says something, and calls of every method that say it wherever they can."""

import asyncio
import base64
import contextlib
import importlib.util
import inspect
import json
import operator
import re
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import requests

from tests.helpers.features import has
from tests.helpers.wire import Json, httpx, transports


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x


CANARY = "canary-4711"

# What a program reads: the ids, types and states of Mistral's API, and what it is that media are.
_NO_CONTENT = frozenset(
    {
        "audio_data",
        "agent_name",
        "code",
        "completion_window",
        "confirmation_status",
        "connector",
        "custom_id",
        "end_reason",
        "endpoint",
        "finish_reason",
        "image_base64",
        "input_files",
        "language",
        "mime_type",
        "model",
        "name",
        "next_agent_name",
        "object",
        "previous_agent_name",
        "purpose",
        "role",
        "sample_type",
        "source",
        "status",
        "tool_choice",
        "truncation",
        "type",
        "voice_id",
        "workflow_name",
    }
)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]")


def _marked(value: Any, key: str = "") -> Any:
    """Return JSON with the canary in every text that somebody wrote."""
    if isinstance(value, dict):
        return {name: _marked(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, key) for item in value]
    if not isinstance(value, str) or key in _NO_CONTENT or key == "id" or key.endswith(("_id", "_ids", "_file")):
        return value
    if _TIME.match(value):
        return value
    if key == "arguments":
        # Pieces of JSON, of streams: the first few letters of each text in it.
        return value.replace('": "', f'": "{CANARY} ')
    return f"{value} {CANARY}"


def _marked_body(content: bytes, kind: str) -> bytes:
    if kind.startswith("application/json"):
        return json.dumps(_marked(json.loads(content))).encode()
    if kind.startswith("application/octet-stream"):
        # The results of a batch.
        return b"\n".join(json.dumps(_marked(json.loads(line))).encode() for line in content.splitlines())
    # Of anything else, a "Not Found" say, no line is an event.
    lines = (
        b"data: " + json.dumps(_marked(json.loads(line[6:]))).encode() if line.startswith(b"data: {") else line
        for line in content.split(b"\n")
    )
    return b"\n".join(lines)


class CanaryMistral:
    """Clients of a Mistral whose answers hold the canary, always the same ones in turn.

    Args:
        url: the local Mistral that answers the first time.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._answers: list[tuple[str, int, str, bytes]] = []
        self._next = 0

    def client(self) -> Any:
        """Return a client that gets the first answer next."""
        self._next = 0
        return Mistral(api_key="local", server_url=self._url, **transports(self._answer))

    def _answer(self, request: Any) -> Any:
        path = request.url.raw_path.decode()
        asked = f"{request.method} {path}"
        if self._next == len(self._answers):
            sent = {name: request.headers[name] for name in ("content-type", "accept") if name in request.headers}
            answer = requests.request(
                request.method, f"{self._url}{path}", data=request.read(), headers=sent, timeout=60
            )
            kind = answer.headers.get("content-type", "")
            content = answer.content and _marked_body(answer.content, kind)
            self._answers.append((asked, answer.status_code, kind, content))
        answered, status, kind, content = self._answers[self._next]
        if asked != answered:
            # No exception that a call may have: those are expected of some.
            pytest.fail(f"{asked} would get the answer to {answered}")
        self._next += 1
        return httpx.Response(status, content=content, headers={"content-type": kind})


PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + CANARY.encode()).decode()
SOUND = b"RIFF1234WAVE" + CANARY.encode()
SCHEMA: Json = {"type": "object", "description": CANARY, "properties": {CANARY: {"type": "string"}}}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "book_ferry", "description": CANARY, "parameters": SCHEMA}}
]
FORMAT: Json = {"type": "json_schema", "json_schema": {"name": CANARY, "description": CANARY, "schema": SCHEMA}}
CHUNKS: list[Any] = [
    {"type": "text", "text": CANARY},
    {"type": "image_url", "image_url": PIXEL},
    {"type": "document_url", "document_url": PIXEL, "document_name": CANARY},
    {"type": "input_audio", "input_audio": base64.b64encode(SOUND).decode()},
]
MESSAGES: list[Any] = [{"role": "system", "content": CANARY}, {"role": "user", "content": CHUNKS}]
METADATA: Json = {CANARY: CANARY, "who": CANARY}
SAMPLING: Json = {"temperature": 0.5, "max_tokens": 9, "stop": [CANARY]}
PROMPT: Json = {"metadata": {"prompt": {"id": "p1", "version": "v1", "variables": {"who": CANARY}}}}
"""As Braintrust's `prompt.build()` puts it among the arguments of a call."""
CHAT = "/v1/chat/completions"
# The second is refused.
BATCHED = ("plain", "http-500")


class Calls:
    """Calls the methods of a client, each or its async twin, whatever they raise, and reads what they return."""

    def __init__(self, client: Any, *, is_async: bool) -> None:
        self.client = client
        self.failed: set[str] = set()
        """The methods of which calls failed."""
        self._is_async = is_async

    def __call__(self, path: str, **arguments: Any) -> Any:
        """Call a method by its path, if the client has it; of a stream return the events, of an error nothing."""
        if not has(path):
            return None
        method = operator.attrgetter(f"{path}_async" if self._is_async else path)(self.client)
        try:
            return asyncio.run(_all(method(**arguments))) if self._is_async else _read(method(**arguments))
        except Exception:
            self.failed.add(path)
            return None


def _read(result: Any) -> Any:
    if hasattr(result, "iter_bytes"):
        return result.read()
    return [*result] if isinstance(result, Iterator) else result


async def _all(call: Any) -> Any:
    result = await call
    if hasattr(result, "aiter_bytes"):
        return await result.aread()
    return [item async for item in result] if hasattr(result, "__anext__") else result


def say_it_everywhere(calls: Calls) -> None:
    """Call every method with the canary in each field that has room for it, and some that fail."""
    _complete(calls)
    _converse(calls)
    _convert(calls)
    _administer(calls)
    _batch(calls)
    _run(calls.client)
    asyncio.run(_have_batch_done(calls.client))
    asyncio.run(_talk(calls.client))
    asyncio.run(_execute())


def _complete(calls: Calls) -> None:
    common: Json = {"messages": MESSAGES, "tools": TOOLS, "metadata": METADATA, "response_format": FORMAT}
    for method in ("chat.complete", "chat.stream"):
        for model in ("function-call", "thinking", "citations", "http-422", "parallel-functions"):
            calls(method, model=model, span_info=PROMPT, **SAMPLING, **common)
    for method in ("agents.complete", "agents.stream"):
        calls(method, agent_id="function-call", max_tokens=9, stop=CANARY, **common)
    for method in ("fim.complete", "fim.stream"):
        calls(method, model="code", prompt=CANARY, suffix=CANARY, **SAMPLING)
    for stream in (False, True):
        for model in ("function-call", "reasoning", "failed"):
            given: Json = {"input": CANARY, "instructions": CANARY, "metadata": METADATA, "stream": stream}
            calls("responses.create", model=model, **given)
    calls("chat.complete", model="plain", messages=CANARY)


def _converse(calls: Calls) -> None:
    about: Json = {"instructions": CANARY, "name": CANARY, "description": CANARY, "metadata": METADATA}
    arguments: Json = {"completion_args": SAMPLING | {"response_format": FORMAT}, "tools": TOOLS, **about}
    inputs = [{"role": "user", "content": CHUNKS[:-1]}]
    path = "beta.conversations"
    for model in ("agentic", "web-search", "document-library", "thinking", "handoff", "function-call", "http-429"):
        calls(f"{path}.start", model=model, inputs=inputs, **arguments)
        calls(f"{path}.start_stream", model=model, inputs=CANARY, **arguments)
    calls(f"{path}.start_stream", model="error-event", inputs=CANARY, **about)
    for suffix in ("", "_stream"):
        plain = calls(f"{path}.start", model="plain", inputs=CANARY)
        restarted: Json = {"conversation_id": plain.conversation_id, "from_entry_id": plain.outputs[0].id}
        calls(f"{path}.restart{suffix}", inputs=CANARY, metadata=METADATA, **restarted)
        first = calls(f"{path}.start", model="function-call", inputs=inputs, **arguments)
        (call,) = [entry for entry in first.outputs if entry.type == "function.call"]
        result = {"type": "function.result", "tool_call_id": call.tool_call_id, "result": CANARY}
        calls(f"{path}.append{suffix}", conversation_id=first.conversation_id, inputs=[result])
        # In 1.x nothing is confirmed.
        if "tool_confirmations" not in inspect.signature(calls.client.beta.conversations.append).parameters:
            continue
        waiting = calls(f"{path}.start", model="confirmation", inputs=CANARY)
        decisions = [
            {"tool_call_id": entry.tool_call_id, "confirmation": "allow"}
            for entry in waiting.outputs
            if entry.type == "function.call"
        ]
        calls(f"{path}.append{suffix}", conversation_id=waiting.conversation_id, tool_confirmations=decisions)
    for method in ("get", "get_history", "get_messages", "delete", "get"):
        calls(f"{path}.{method}", conversation_id=first.conversation_id)
    calls(f"{path}.list", metadata=METADATA)


def _convert(calls: Calls) -> None:
    calls("embeddings.create", model="plain", inputs=[CANARY], metadata=METADATA)
    document = {"type": "document_url", "document_url": PIXEL, "document_name": CANARY}
    ocr = {"document_annotation_format": FORMAT, "bbox_annotation_format": FORMAT}
    calls("ocr.process", model="plain", document=document, include_image_base64=True, **ocr)
    calls("ocr.process", model="plain", document=document, include_image_base64=True)
    file = {"file_name": f"{CANARY}.wav", "content": SOUND}
    calls("audio.transcriptions.complete", model="plain", file=file, context_bias=[CANARY])
    calls("audio.transcriptions.stream", model="plain", file_url=f"https://example.org/{CANARY}.mp3")
    for stream in (False, True):
        reference = base64.b64encode(SOUND).decode()
        calls("audio.speech.complete", model="plain", input=CANARY, ref_audio=reference, stream=stream)
    calls("classifiers.moderate", model="plain", inputs=[CANARY])
    calls("classifiers.moderate_chat", model="plain", inputs=MESSAGES[:1])
    calls("classifiers.classify", model="plain", inputs=[CANARY])
    # In 1.x by another name.
    for name in inspect.signature(calls.client.classifiers.classify_chat).parameters.keys() & {"input", "inputs"}:
        calls("classifiers.classify_chat", model="plain", **{name: [{"messages": MESSAGES[:1]}]})


def _administer(calls: Calls) -> None:
    definition: Json = {"name": "clerk", "description": CANARY, "instructions": CANARY, "tools": TOOLS}
    calls("beta.agents.create", model="plain", **definition)
    calls("beta.agents.update", agent_id="ag_1", **definition)
    calls("beta.agents.get", agent_id="ag_1")
    calls("beta.agents.update_version", agent_id="ag_1", version=1)
    calls("beta.agents.delete", agent_id="ag_1")
    for tool in ("find_line", "failing-tool"):
        line: Json = {"connector_id_or_name": "ferries", "tool_name": tool, "arguments": {CANARY: CANARY}}
        calls("beta.connectors.call_tool", **line)
    for index in ("beta.context.search_indexes", "beta.rag.managed_indexes"):
        where: Json = {"index_name": "ferries", "source_id": "timetable"}
        span: Json = {"start_offset": 0, "end_offset": 9}
        calls(f"{index}.search", index_name="ferries", retriever={"type": "keyword", "query": CANARY, "top_k": 2})
        calls(f"{index}.navigate", direction="next", **where, **span)
        calls(f"{index}.read", **where, **span)
        calls(f"{index}.grep", pattern=CANARY, mode="term", **where)
        calls(f"{index}.get_chunk", index_name="ferries", chunk_id="timetable#1")
    calls("beta.libraries.documents.list", library_id="lib_1", search=CANARY)
    calls("beta.libraries.documents.text_content", library_id="lib_1", document_id="doc_1")
    workflow: Json = {"workflow_identifier": "book", "input": {CANARY: CANARY}}
    started = calls("workflows.execute_workflow", **workflow)
    calls("workflows.execute_workflow_and_wait", use_api_sync=True, **workflow)
    calls("workflows.execute_workflow", **{**workflow, "workflow_identifier": "http-503"})
    registered = {"workflow_registration_id": "reg_1", "input": {CANARY: CANARY}}
    calls("workflows.execute_workflow_registration", **registered)
    calls("workflows.wait_for_workflow_completion", execution_id=getattr(started, "execution_id", ""))


def _batch(calls: Calls) -> None:
    bodies: dict[str, Json] = {
        CHAT: {"messages": [{"role": "user", "content": CANARY}], "stop": CANARY},
        "/v1/embeddings": {"input": [CANARY]},
        "/v1/conversations": {"inputs": CANARY, "instructions": CANARY},
    }
    for endpoint, body in bodies.items():
        given: Any = [{"custom_id": model, "body": {"model": model, **body}} for model in BATCHED]
        job = calls("batch.jobs.create", endpoint=endpoint, requests=given, metadata={"who": CANARY})
        calls("batch.jobs.get", job_id=job.id, inline=True)
    lines = [json.dumps({"custom_id": model, "body": {"model": model, **bodies[CHAT]}}) for model in BATCHED]
    file = {"file_name": CANARY, "content": "\n".join(lines).encode()}
    uploaded = calls("files.upload", file=file, purpose="batch")
    job = calls("batch.jobs.create", endpoint=CHAT, input_files=[uploaded.id])
    job = calls("batch.jobs.get", job_id=job.id)
    for file_id in (job.output_file, job.error_file):
        calls("files.download", file_id=file_id)
    calls("batch.jobs.list")
    calls("batch.jobs.cancel", job_id=job.id)


def _run(client: Any) -> None:
    with warnings.catch_warnings():
        # From Python 3.12 on, what it imports warns.
        warnings.simplefilter("ignore")
        from mistralai.extra.run.context import RunContext

    def departures(harbour: str) -> str:
        """Say canary-4711."""
        return f"{harbour} {CANARY}"

    def ticket_price(passengers: int) -> float:
        """Fail."""
        raise LookupError(CANARY)

    async def run(method: str, goes_on: bool) -> None:
        context = RunContext(model="two-functions", continue_on_fn_error=goes_on)
        for function in (departures, ticket_price):
            context.register_func(function)
        start = getattr(client.beta.conversations, method)
        arguments = {"instructions": CANARY, "metadata": METADATA, "description": CANARY}
        accepted = inspect.signature(start).parameters
        result = await start(
            run_ctx=context, inputs=CANARY, **{name: arguments[name] for name in arguments if name in accepted}
        )
        if hasattr(result, "__anext__"):
            async for _ in result:
                pass

    for method in ("run_async", "run_stream_async"):
        for goes_on in (True, False):
            with contextlib.suppress(Exception):
                asyncio.run(run(method, goes_on))


async def _have_batch_done(client: Any) -> None:
    if importlib.util.find_spec("mistralai.extra.batch") is None:
        return
    from mistralai.client.models import ChatCompletionResponse
    from mistralai.extra.batch import BatchClient

    batches: Any = BatchClient(client, endpoint=CHAT, response_body_type=ChatCompletionResponse)
    body = {"model": "plain", "messages": [{"role": "user", "content": CANARY}]}
    await batches.run(json.dumps({"custom_id": "a", "body": body}), poll_interval_seconds=0)


async def _talk(client: Any) -> None:
    if importlib.util.find_spec("websockets") is None or importlib.util.find_spec("mistralai.extra.realtime") is None:
        return

    async def sounds() -> AsyncIterator[bytes]:
        yield bytes(8_000)

    async def texts() -> AsyncIterator[str]:
        yield CANARY

    audio_format: Any = {"encoding": "pcm_s16le", "sample_rate": 8_000}
    async for _ in client.audio.realtime.transcribe_stream(sounds(), "plain", audio_format):
        pass
    if hasattr(type(client.audio), "realtime_speech"):
        async for _ in client.audio.realtime_speech.speak_stream(texts(), "plain", voice_id="jane"):
            pass


async def _execute() -> None:
    if importlib.util.find_spec("mistralai.extra.voice_agents") is None:
        return
    from mistralai.extra.voice_agents.tools import function_tool

    async def price(harbour: str) -> str:
        """Tell the price."""
        if harbour != CANARY:
            raise LookupError(CANARY)
        return CANARY

    for harbour in (CANARY, f"{CANARY}!"):
        with contextlib.suppress(LookupError):
            await function_tool(price).invoke(json.dumps({"harbour": harbour}))
