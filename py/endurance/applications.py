"""Applications that use the Mistral client in many ways, and return all that they see of it.

Each is a function of a client, and each does what it does once more with the async twin.
"""

import asyncio
import dataclasses
import datetime
import enum
import functools
import uuid
import warnings
from collections.abc import Awaitable, Callable
from pathlib import PurePosixPath
from typing import Any
from unittest import mock

import braintrust
from braintrust.integrations.mistral import wrap_mistral
from braintrust.logger import Attachment

from tests.helpers.clouds import CLOUDS


try:
    from mistralai.client.types import UNSET
    from mistralai.client.utils.eventstreaming import EventStream
except ImportError:
    from mistralai.types import UNSET
    from mistralai.utils.eventstreaming import EventStream  # 1.x


Application = Callable[[Any], list[Any]]

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
LINK = "https://example.org/a?X-Amz-Signature=0123"


class _Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class _Point:
    x: int


def _attachment() -> Attachment:
    return Attachment(data=b"raw", filename="raw.bin", content_type="application/octet-stream")


ODD_VALUES: dict[str, Any] = {
    "date": datetime.date(2026, 3, 2),
    "uuid": uuid.UUID(int=7),
    "path": PurePosixPath("/etc/passwd"),
    "colour": _Colour.RED,
    "point": _Point(1),
    "ratio": type("Ratio", (float,), {})(0.5),
    "count": type("Count", (int,), {})(2),
    "bytes": b"raw",
    "unset": UNSET,
    "nothing": None,
}
"""What is no JSON, and what some versions of the SDK send all the same."""

TOOL = {
    "type": "function",
    "function": {"name": "get_exchange_rate", "description": "Rates.", "parameters": {"type": "object"}},
}
ODD_TOOLS = [
    {"type": "function", "function": {"name": "see", "parameters": values}}
    for values in (ODD_VALUES, {"file": _attachment()})
]
QUESTION = [{"role": "user", "content": [{"type": "text", "text": LINK}, {"type": "image_url", "image_url": PIXEL}]}]


def seen(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or how it fails."""
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


async def seen_async(call: Awaitable[Any]) -> Any:
    """Return what a call returns, or how it fails."""
    try:
        return await call
    except Exception as error:
        return type(error), str(error)


def read(stream: Any) -> list[Any]:
    """Return the events of a stream, and how it breaks if it does."""
    events: list[Any] = []
    try:
        with stream:
            events.extend(stream)
    except Exception as error:
        events.append((type(error), str(error)))
    return events


async def read_async(stream: Any) -> list[Any]:
    """Return the events of a stream, and how it breaks if it does."""
    events: list[Any] = []
    try:
        async with stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before a break counts
    except Exception as error:
        events.append((type(error), str(error)))
    return events


def chat(client: Any) -> list[Any]:
    """Completions, whole and streamed: texts, thinking, references, calls of tools, errors."""
    results: list[Any] = [
        client.chat.complete(model="function-call", messages=QUESTION, tools=[TOOL]),
        client.chat.complete(model="object-arguments", messages=QUESTION),
        seen(lambda: client.chat.complete(model="http-422", messages=QUESTION)),
        *(
            seen(functools.partial(client.chat.complete, model="plain", messages=QUESTION, tools=[t]))
            for t in ODD_TOOLS
        ),
        client.fim.complete(model="code", prompt="def mean(values):", suffix="print(mean([1]))"),
    ]
    models = (
        "plain",
        "thinking",
        "citations",
        "parallel-functions",
        "logprobs",
        "cached",
        "long-stream-130",
        "broken",
    )
    results += [read(client.chat.stream(model=model, messages=QUESTION, n=1)) for model in models]
    results.append(read(client.fim.stream(model="code", prompt="def")))

    async def twins() -> list[Any]:
        return [
            await client.agents.complete_async(agent_id="function-call", messages=QUESTION),
            await seen_async(client.chat.complete_async(model="http-500", messages=QUESTION)),
            await read_async(await client.agents.stream_async(agent_id="parallel-functions", messages=QUESTION)),
        ]

    return [*results, *asyncio.run(twins())]


def conversation(client: Any) -> list[Any]:
    """Conversations, whole and streamed, with the results of functions and confirmations that come later."""
    conversations = client.beta.conversations
    instructions = {"instructions": "Be brief.", "tools": [TOOL]}
    results = [conversations.start(model="web-search", inputs="Ferries?", **instructions)]
    for agent in ("agentic", "confirmation"):
        first = conversations.start(agent_id=agent, inputs=QUESTION)
        settling = {"conversation_id": first.conversation_id, **_settling(first)}
        # mistralai 1.x has no confirmations.
        results += [first, seen(functools.partial(conversations.append, **settling))]
    models = ("agentic", "thinking", "single-chunk", "unknown-event", "old-events", "error-event", "broken")
    results += [read(conversations.start_stream(model=model, inputs="Ferries?")) for model in models]
    return results


def _settling(response: Any) -> dict[str, Any]:
    """Return an append's arguments that bring what the calls in a response wait for."""
    calls = [entry for entry in response.outputs if entry.type == "function.call"]
    if getattr(calls[0], "confirmation_status", None) or len(calls) > 1:
        decisions = [
            {"tool_call_id": call.tool_call_id, "confirmation": "deny" if index else "allow"}
            for index, call in enumerate(calls)
        ]
        return {"tool_confirmations": decisions}
    return {"inputs": [{"tool_call_id": call.tool_call_id, "result": '{"booked": true}'} for call in calls]}


def answered_early(client: Any) -> list[Any]:
    """A function call whose result is sent while its stream is still open."""
    conversations = client.beta.conversations
    results: list[Any] = []
    conversation_id = tool_call_id = ""
    for event in conversations.start_stream(model="function-call", inputs="Rates?"):
        results.append(event)
        conversation_id = getattr(event.data, "conversation_id", conversation_id)
        tool_call_id = getattr(event.data, "tool_call_id", tool_call_id)
        if event.event == "conversation.response.done":
            result = {"tool_call_id": tool_call_id, "result": "11.2"}
            results.append(conversations.append(conversation_id=conversation_id, inputs=[result]))
    return results


def conversation_async(client: Any) -> list[Any]:
    """The async twins, and what looks a conversation up."""
    conversations = client.beta.conversations

    async def calls() -> list[Any]:
        first = await conversations.start_async(model="handoff", inputs="Ferries?")
        conversation_id = first.conversation_id
        stream = await conversations.append_stream_async(conversation_id=conversation_id, inputs="And then?")
        return [
            first,
            await read_async(stream),
            await seen_async(conversations.start_async(model="http-429", inputs="Ferries?")),
            await conversations.get_history_async(conversation_id=conversation_id),
            await conversations.get_messages_async(conversation_id=conversation_id),
            await conversations.delete_async(conversation_id=conversation_id),
            await seen_async(conversations.get_async(conversation_id=conversation_id)),
        ]

    return asyncio.run(calls())


def left_streams(client: Any) -> list[Any]:
    """Streams that are not read to their end: left, closed, dropped, thrown out of, never begun, open at the exit."""
    start = client.beta.conversations.start_stream
    with start(model="plain", inputs="Ferries?") as stream:
        results: list[Any] = [next(stream), isinstance(stream, EventStream), stream.response.status_code]
    stream = start(model="agentic", inputs="Ferries?")
    results += [next(iter(stream)), next(stream), hasattr(stream, "close")]
    if hasattr(stream, "close"):
        stream.close()
    stream = start(model="agentic", inputs="Ferries?")
    results += [next(stream), next(stream)]
    del stream
    start(model="plain", inputs="Ferries?")

    def raises() -> None:
        with start(model="plain", inputs="Ferries?") as stream:
            next(stream)
            raise LookupError("not found")

    return [*results, seen(raises), *asyncio.run(_left_streams_async(client))]


async def _left_streams_async(client: Any) -> list[Any]:
    start = client.beta.conversations.start_stream_async
    async with await start(model="plain", inputs="Ferries?") as stream:
        results: list[Any] = [await anext(stream), await anext(aiter(stream))]
    stream = await start(model="plain", inputs="Ferries?")
    results.append(await anext(stream))
    if hasattr(stream, "close"):
        await stream.close()

    async def is_cancelled() -> None:
        async with await start(model="plain", inputs="Ferries?") as stream:
            await anext(stream)
            raise asyncio.CancelledError

    try:
        await is_cancelled()
    except asyncio.CancelledError:
        results.append("cancelled")
    stream = await start(model="plain", inputs="Ferries?")
    results.append(await anext(stream))
    return results


def media(client: Any) -> list[Any]:
    """Documents, recordings and speech, embeddings and classifiers."""
    recording = {"file_name": "ferry.wav", "content": b"RIFF1234WAVE"}
    image = {"type": "image_url", "image_url": PIXEL}
    results = [
        client.ocr.process(model="plain", document=image, include_image_base64=True),
        client.embeddings.create(model="plain", inputs=["ferry", "tram"]),
        client.audio.transcriptions.complete(model="plain", file=recording),
        client.classifiers.moderate(model="plain", inputs=["ferry"]),
        read(client.audio.transcriptions.stream(model="plain", file_url="https://example.org/a.mp3")),
    ]
    speech = getattr(client.audio, "speech", None)
    if speech is not None:
        # An MP3's beginning in base64.
        voice = {"model": "plain", "input": "Ferries leave.", "ref_audio": "SUQz"}
        results += [speech.complete(**voice), read(speech.complete(**voice, stream=True))]
    responses = getattr(client, "responses", None)
    if responses is not None:
        results.append(responses.create(model="function-call", input="Rates?"))
        models = ("plain", "reasoning", "parallel-functions", "failed", "broken")
        results += [read(responses.create(model=model, input="Rates?", stream=True)) for model in models]
    return results


def model_calls(client: Any) -> list[Any]:
    """A wrapped client that shows the model calls inside conversations."""
    conversations = wrap_mistral(client, llm_spans=True).beta.conversations  # pyright: ignore[reportCallIssue]
    replayed = [
        *QUESTION,
        {"type": "function.call", "tool_call_id": "c1", "name": "book", "arguments": "{}"},
        {"type": "function.result", "tool_call_id": "c1", "result": "booked"},
    ]
    return [
        conversations.start(model="agentic", inputs=replayed, instructions="Be brief."),
        conversations.start(model="parallel-functions", inputs="Rates?"),
        conversations.start(model="plain", inputs="Rates?"),
        read(conversations.start_stream(model="agentic", inputs="Ferries?")),
        read(conversations.start_stream(model="plain", inputs="Ferries?")),
    ]


def work(client: Any) -> list[Any]:
    """Agents, tools, searches and workflows, as far as this mistralai has them."""
    agents, documents = client.beta.agents, client.beta.libraries.documents
    agent = agents.create(model="plain", name="clerk", tools=[TOOL])
    results = [agent, seen(lambda: agents.get(agent_id="http-404")), agents.get(agent_id="ag_1")]
    results += [agents.delete(agent_id="ag_1"), client.beta.conversations.start(agent_id="ag_1", inputs="Ferries?")]
    results.append(documents.text_content(library_id="lib_1", document_id="doc_1"))
    connectors = getattr(client.beta, "connectors", None)
    if connectors is not None:
        with warnings.catch_warnings():
            # Of methods that it is about to change.
            warnings.simplefilter("ignore", DeprecationWarning)
            line = {"connector_id_or_name": "ferries", "arguments": {"to": "Cacilhas"}}
            results += [connectors.call_tool(tool_name=tool, **line) for tool in ("find_line", "failing-tool")]
    indexes = getattr(getattr(client.beta, "context", None), "search_indexes", None)
    if indexes is not None:
        retriever = {"type": "nearest_neighbour", "query_embedding": [0.5, 0.25]}
        results.append(indexes.search(index_name="ferries", retriever=retriever))
    return [*results, *_executed(client)]


def _executed(client: Any) -> list[Any]:
    workflows = getattr(client, "workflows", None)
    if workflows is None:
        return []

    async def execute() -> Any:
        return await workflows.execute_workflow_and_wait_async("book", {"passengers": 2}, use_api_sync=True)

    started = workflows.execute_workflow(workflow_identifier="book", input={"passengers": 2})
    return [
        started,
        workflows.execute_workflow_and_wait("book", {"passengers": 2}, use_api_sync=True),
        seen(lambda: workflows.execute_workflow_and_wait("http-503")),
        asyncio.run(execute()),
    ]


def clouds(client: Any) -> list[Any]:
    """The clients for Azure and for Google Cloud."""
    settings = client.sdk_configuration
    http = {"client": settings.client, "async_client": settings.async_client, "server_url": settings.server_url}
    return [
        result
        for cloud in CLOUDS.values()
        for used in [cloud.make(**http)]
        for result in (
            used.chat.complete(model="function-call", messages=QUESTION),
            read(used.chat.stream(model="plain", messages=QUESTION)),
        )
    ]


def opentelemetry(client: Any) -> list[Any]:
    """Spans that get OpenTelemetry's attributes as they are exported."""
    if not hasattr(braintrust, "set_span_customizers"):
        return []
    from braintrust.integrations.mistral import GenAIAttributes

    braintrust.set_span_customizers([GenAIAttributes()])
    document = {"type": "document_url", "document_url": "data:application/pdf,%25PDF-1.7"}
    messages = [{"role": "user", "content": [document, {"type": "file", "file_id": "f1"}, *QUESTION[0]["content"]]}]
    client.chat.complete(model="thinking", messages=messages, tools=[TOOL], stop="\n")
    client.chat.complete(model="function-call", messages=QUESTION)
    client.fim.complete(model="code", prompt="def", suffix="pass")
    client.embeddings.create(model="embed", inputs="def")
    client.beta.agents.create(model="plain", name="baker")
    first = client.beta.conversations.start(agent_id="agentic", inputs=QUESTION)
    return [first, client.beta.conversations.append(conversation_id=first.conversation_id, **_settling(first))]


def without_content(client: Any) -> list[Any]:
    """An application that keeps back what people and models say."""
    with mock.patch.dict("os.environ", {"BRAINTRUST_MISTRAL_CONTENT": "false"}):
        return [*media(client), *conversation(client)]


APPLICATIONS: list[Application] = [
    left_streams,
    answered_early,
    clouds,
    work,
    conversation_async,
    model_calls,
    media,
    without_content,
    conversation,
    chat,
    opentelemetry,
]
"""The quickest first."""
