"""Every traced call of one model, with a real client and recorded traffic: its span, compared whole with the wire.

Conversations, whose spans follow other rules, are in `test_mistral.py`; one module for both would be too long to read.
How the cassettes are made, and made anew, is told in `cassettes/README.md`.
"""

import base64
import io
import json
import wave
from collections.abc import Iterable, Iterator
from typing import Any
from unittest.mock import ANY

import pydantic
import pytest
from braintrust.integrations.mistral.patchers import RESOURCES, Resource

from tests.conftest import (
    CASSETTE_VERSION,
    CASSETTES,
    MISTRALAI,
    MODEL,
    QUESTION,
    RATES,
    RECORDED,
    Connect,
    LoggedSpans,
    Mistral,
    Wire,
    consume,
    consume_async,
    only_call,
)
from tests.helpers.spans import IS_MISTRALAI_1, LoggedSpan, Media, expected_models, logged_calls, parsed_by_sdk
from tests.helpers.wire import Json, completed


pytestmark = RECORDED

has_speech = pytest.mark.skipif(IS_MISTRALAI_1, reason="mistralai 1.x does not speak")
has_responses = pytest.mark.skipif(MISTRALAI.startswith(("1.", "2.")), reason="mistralai 3 brought responses")


def expected_call(
    method: str,
    arguments: Json,
    response: Json,
    *,
    inputs: Any,
    output: Any,
    content: tuple[str, ...],
    first_token: bool = False,
    children: Iterable[LoggedSpan] = (),
    **metadata: Any,
) -> LoggedSpan:
    """Return what a call of a model should show.

    Args:
        method: its path on the client, without `_async`.
        arguments: the caller's.
        response: what was on the wire, in the unstreamed form.
        inputs: what the input should show of the arguments.
        output: what the output should show of the response.
        content: the arguments that carry the input, which are not in the metadata.
        first_token: whether the call streamed, and brought any output.
        children: its tool calls.
        metadata: what the metadata should show beside the other arguments, and what every response says of itself.
    """
    usage = response.get("usage") or response.get("usage_info") or {}
    parameters = {key: value for key, value in arguments.items() if key not in content}
    about = {"usage_service_tier": usage.get("service_tier"), **metadata}
    about |= expected_models(parameters, response.get("model"))
    for key in ("id", "object", "created", "created_at", "status"):
        about[key] = response.get(key, parameters.get(key))
    times = {"duration": ANY, "time_to_first_token": ANY} if first_token else {"duration": ANY}
    return LoggedSpan(
        name=f"mistral.{method}",
        type="llm",
        input=inputs,
        output=output,
        metadata={"provider": "mistral", **parameters}
        | {key: value for key, value in about.items() if value is not None},
        metrics=expected_metrics(usage) | times,
        error=None,
        seconds=ANY,
        children=tuple(children),
    )


def expected_metrics(usage: Json) -> Json:
    """The numbers of a usage: those of the responses endpoint by the names that all others use, details flat."""
    metrics: Json = {}
    for key, value in usage.items():
        name = key.replace("input_", "prompt_").replace("output_", "completion_").replace("total_tokens", "tokens")
        if isinstance(value, dict):
            details = {detail.replace("cache_write", "cache_creation"): count for detail, count in value.items()}
            metrics |= {f"{name.partition('_')[0]}_{detail}": count for detail, count in details.items()}
        elif isinstance(value, (int, float)):
            metrics[name] = value
    return metrics


def expected_tool(name: str, arguments: str, **metadata: Any) -> LoggedSpan:
    """Return the child of a tool call, whose arguments are JSON."""
    return LoggedSpan(
        name=f"tool: {name}",
        type="tool",
        input=json.loads(arguments),
        output=None,
        metadata={"tool_name": name, **metadata},
        metrics={},
        error=None,
        seconds=ANY,
        children=(),
    )


# --- chat, agents, and fill-in-the-middle ---


def expected_completion(method: str, arguments: Json, response: Json) -> LoggedSpan:
    """What a completion shows: its messages, or what surrounds the gap, and its choices."""
    content = ("prompt", "suffix") if method.startswith("fim.") else ("messages",)
    streamed = method.endswith("stream")
    return expected_call(
        method,
        arguments,
        response,
        inputs={key: arguments[key] for key in content} if method.startswith("fim.") else arguments["messages"],
        output=parsed_by_sdk(response["choices"]),
        content=content,
        first_token=streamed,
        children=_expected_tools(response["choices"]),
        stream=streamed,
    )


def _expected_tools(choices: list[Json]) -> Iterator[LoggedSpan]:
    for choice in choices:
        for call in choice["message"].get("tool_calls") or ():
            place = {"tool_index": call["index"], "choice_index": choice["index"]}
            yield expected_tool(
                **call["function"], tool_type=call.get("type", "function"), tool_call_id=call["id"], **place
            )


MESSAGES: Any = [
    {"role": "system", "content": "Answer in one sentence."},
    {"role": "user", "content": "Where does Lisbon lie?"},
]
CHAT: Json = {"model": MODEL, "messages": MESSAGES, "temperature": 0.0, "max_tokens": 100, "stop": ["###"]}


def test_wrap_mistral_chat_complete_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.chat.complete(**CHAT)
    assert only_call(spans) == expected_completion("chat.complete", CHAT, wire.response())


async def test_wrap_mistral_chat_complete_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.chat.complete_async(**CHAT)
    assert only_call(spans) == expected_completion("chat.complete", CHAT, wire.response())


def test_wrap_mistral_chat_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(mistral.chat.stream(**CHAT))
    assert only_call(spans) == expected_completion("chat.stream", CHAT, completed(wire.events()))


async def test_wrap_mistral_chat_stream_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await consume_async(await mistral.chat.stream_async(**CHAT))
    assert only_call(spans) == expected_completion("chat.stream", CHAT, completed(wire.events()))


class Place(pydantic.BaseModel):
    """What `parse` is to make of the answer."""

    city: str
    river: str


def assert_parsed(completion: Any) -> None:
    """The caller gets what the SDK parses."""
    assert isinstance(completion.choices[0].message.parsed, Place)


def expected_parse(method: str, wire: Wire, response: Json) -> LoggedSpan:
    """What is parsed was completed: with the class's schema, which the SDK makes."""
    response_format = wire.request()["response_format"]
    assert set(response_format["json_schema"]["schema"]["properties"]) == {"city", "river"}
    return expected_completion(method, {**CHAT, "response_format": response_format}, response)


def test_wrap_mistral_chat_parse_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    assert_parsed(mistral.chat.parse(Place, **CHAT))
    assert only_call(spans) == expected_parse("chat.complete", wire, wire.response())


async def test_wrap_mistral_chat_parse_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    assert_parsed(await mistral.chat.parse_async(Place, **CHAT))
    assert only_call(spans) == expected_parse("chat.complete", wire, wire.response())


def test_wrap_mistral_chat_parse_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(mistral.chat.parse_stream(Place, **CHAT))
    assert only_call(spans) == expected_parse("chat.stream", wire, completed(wire.events()))


async def test_wrap_mistral_chat_parse_stream_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await consume_async(await mistral.chat.parse_stream_async(Place, **CHAT))
    assert only_call(spans) == expected_parse("chat.stream", wire, completed(wire.events()))


AGENT: Json = {"agent_id": "ag_0198a3c1f0d27b6e9c41d2a85e7f3b60", "messages": [{"role": "user", "content": QUESTION}]}


@pytest.fixture
def local_mistral(connect: Connect) -> Mistral:
    """A client for what everybody has to make for themselves: agents, classifiers."""
    return connect(only_local=True)


def test_wrap_mistral_agents_complete_sync(local_mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    local_mistral.agents.complete(**AGENT)
    assert only_call(spans) == expected_completion("agents.complete", AGENT, wire.response())


async def test_wrap_mistral_agents_complete_async(local_mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await local_mistral.agents.complete_async(**AGENT)
    assert only_call(spans) == expected_completion("agents.complete", AGENT, wire.response())


def test_wrap_mistral_agents_stream_sync(local_mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(local_mistral.agents.stream(**AGENT))
    assert only_call(spans) == expected_completion("agents.stream", AGENT, completed(wire.events()))


async def test_wrap_mistral_agents_stream_async(local_mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await consume_async(await local_mistral.agents.stream_async(**AGENT))
    assert only_call(spans) == expected_completion("agents.stream", AGENT, completed(wire.events()))


FIM: Json = {"model": "codestral-latest", "prompt": "def mean(values):\n", "suffix": "\n\nprint(mean([1, 2]))"}


def test_wrap_mistral_fim_complete_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.fim.complete(**FIM)
    assert only_call(spans) == expected_completion("fim.complete", FIM, wire.response())


async def test_wrap_mistral_fim_complete_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.fim.complete_async(**FIM)
    assert only_call(spans) == expected_completion("fim.complete", FIM, wire.response())


def test_wrap_mistral_fim_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(mistral.fim.stream(**FIM))
    assert only_call(spans) == expected_completion("fim.stream", FIM, completed(wire.events()))


async def test_wrap_mistral_fim_stream_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await consume_async(await mistral.fim.stream_async(**FIM))
    assert only_call(spans) == expected_completion("fim.stream", FIM, completed(wire.events()))


EXCHANGE: Json = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is a euro in Swedish and in Norwegian kronor? Use the function."}],
    "tools": [RATES],
    "parallel_tool_calls": True,
}


def test_wrap_mistral_chat_complete_function_result_sync(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """Calls are children; their results are in the input of the next completion."""
    chat = connect("parallel-functions").chat
    message: Any = chat.complete(**EXCHANGE).choices[0].message
    results = [
        {"role": "tool", "name": "get_exchange_rate", "tool_call_id": call.id, "content": '{"rate": 11.24}'}
        for call in message.tool_calls
    ]
    messages = [*EXCHANGE["messages"], parsed_by_sdk(wire.response(0)["choices"][0]["message"]), *results]
    chat.complete(**EXCHANGE | {"messages": messages})
    first, second = logged_calls(spans.pop())
    assert first == expected_completion("chat.complete", EXCHANGE, wire.response(0))
    assert second == expected_completion("chat.complete", EXCHANGE | {"messages": messages}, wire.response(1))
    assert {child.name for child in first.children} == {"tool: get_exchange_rate"}
    assert not second.children


async def test_wrap_mistral_chat_stream_parallel_functions_async(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """Calls whose names and arguments come in pieces, by turns, do not mix."""
    await consume_async(await connect("parallel-functions").chat.stream_async(**EXCHANGE))
    call = only_call(spans)
    assert call == expected_completion("chat.stream", EXCHANGE, completed(wire.events()))
    assert [child.input["quote"] for child in call.children] == ["SEK", "NOK"]


def test_wrap_mistral_chat_stream_thinking_sync(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """Reasoning that came word by word is one thinking chunk, in front of the text."""
    question = "Four of us, the ferry leaves at 14:10. Which one do we take?"
    request: Json = {"model": "magistral-medium-latest", "messages": [{"role": "user", "content": question}]}
    consume(connect("thinking").chat.stream(**request))
    call = only_call(spans)
    assert call == expected_completion("chat.stream", request, completed(wire.events()))
    assert [chunk["type"] for chunk in call.output[0]["message"]["content"]] == ["thinking", "text"]


async def test_wrap_mistral_chat_stream_citations_async(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """References stay between the texts that they belong to."""
    await consume_async(await connect("citations", only_local=True).chat.stream_async(**CHAT))
    call = only_call(spans)
    assert call == expected_completion("chat.stream", CHAT, completed(wire.events()))
    types = [chunk["type"] for chunk in call.output[0]["message"]["content"]]
    assert types == ["text", "reference", "text", "reference", "text"]


def test_wrap_mistral_chat_stream_choices_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    """Answers that come by turns are put together each by itself."""
    request: Json = {**CHAT, "n": 2, "temperature": 0.7}
    consume(mistral.chat.stream(**request))
    call = only_call(spans)
    assert call == expected_completion("chat.stream", request, completed(wire.events()))
    assert [choice["index"] for choice in call.output] == [0, 1]


def test_wrap_mistral_chat_complete_cached_sync(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """Details of the usage are metrics of their own, and its tier is metadata."""
    connect("cached", only_local=True).chat.complete(**CHAT)
    call = only_call(spans)
    assert call == expected_completion("chat.complete", CHAT, wire.response())
    assert call.metrics["prompt_cached_tokens"] == 1_280
    assert call.metadata["usage_service_tier"] == "priority"


# --- responses ---


def expected_response(arguments: Json, response: Json) -> LoggedSpan:
    """What a response shows: its items, of which calls of functions are children."""
    return expected_call(
        "responses.create",
        arguments,
        response,
        inputs=arguments["input"],
        output=parsed_by_sdk(response["output"]),
        content=("input",),
        first_token="stream" in arguments,
        children=(
            expected_tool(
                item["name"],
                item["arguments"],
                tool_type="function_call",
                tool_call_id=item["call_id"],
                tool_index=index,
            )
            for index, item in enumerate(response["output"])
            if item["type"] == "function_call"
        ),
        stream="stream" in arguments,
    )


RESPONSE: Json = {"model": MODEL, "input": QUESTION, "instructions": "Name the river.", "max_output_tokens": 100}
STREAM: Any = {"stream": True}


@has_responses
def test_wrap_mistral_responses_create_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.responses.create(**RESPONSE)
    assert only_call(spans) == expected_response(RESPONSE, wire.response())


@has_responses
async def test_wrap_mistral_responses_create_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.responses.create_async(**RESPONSE)
    assert only_call(spans) == expected_response(RESPONSE, wire.response())


@has_responses
def test_wrap_mistral_responses_create_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(mistral.responses.create(**RESPONSE, **STREAM))
    assert only_call(spans) == expected_response(RESPONSE | STREAM, wire.events()[-1]["response"])


@has_responses
async def test_wrap_mistral_responses_create_stream_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await consume_async(await mistral.responses.create_async(**RESPONSE, **STREAM))
    assert only_call(spans) == expected_response(RESPONSE | STREAM, wire.events()[-1]["response"])


@has_responses
def test_wrap_mistral_responses_create_stream_parallel_functions_sync(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """Calls whose events come by turns are children, each with its own arguments."""
    question, tool = EXCHANGE["messages"][0]["content"], {"type": "function", **RATES["function"]}
    request: Json = {"model": MODEL, "input": [{"role": "user", "content": question}], "tools": [tool]}
    consume(connect("parallel-functions").responses.create(**request, **STREAM))
    call = only_call(spans)
    assert call == expected_response(request | STREAM, wire.events()[-1]["response"])
    assert [child.input["quote"] for child in call.children] == ["SEK", "NOK"]


# --- embeddings and documents ---


EMBEDDINGS: Json = {"model": "mistral-embed", "inputs": ["The ferry to Cacilhas", "The tram to Belém"]}


def expected_embeddings(response: Json) -> LoggedSpan:
    """What embeddings show: how many and how long, never a vector."""
    first, second = response["data"]
    output = {
        "embeddings_count": 2,
        "embedding_length": len(second["embedding"]),
        "first_index": first["index"],
    }
    inputs = EMBEDDINGS["inputs"]
    return expected_call("embeddings.create", EMBEDDINGS, response, inputs=inputs, output=output, content=("inputs",))


def test_wrap_mistral_embeddings_create_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.embeddings.create(**EMBEDDINGS)
    assert only_call(spans) == expected_embeddings(wire.response())


async def test_wrap_mistral_embeddings_create_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.embeddings.create_async(**EMBEDDINGS)
    assert only_call(spans) == expected_embeddings(wire.response())


OCR: Json = {
    "model": "mistral-ocr-latest",
    "document": {"type": "document_url", "document_url": "https://arxiv.org/pdf/2201.04234"},
    "pages": [0],
    "include_image_base64": True,
}


def expected_ocr(response: Json) -> LoggedSpan:
    """What OCR shows: the document's address, and its pages with their images as attachments."""
    output = parsed_by_sdk({key: response.get(key) for key in ("pages", "document_annotation")})
    for page in output["pages"]:
        for image in page["images"]:
            kind, _, data = image["image_base64"].removeprefix("data:").partition(";base64,")
            image["image_base64"] = Media(base64.b64decode(data), kind, kind.replace("/", "."))
        if IS_MISTRALAI_1:
            page.pop("blocks", None)  # unknown to its models
    return expected_call(
        "ocr.process",
        OCR,
        response,
        inputs={"document": OCR["document"]},
        output=output,
        content=("document",),
        document_type="document_url",
        page_count=len(response["pages"]),
    )


def test_wrap_mistral_ocr_process_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.ocr.process(**OCR)
    assert only_call(spans) == expected_ocr(wire.response())


async def test_wrap_mistral_ocr_process_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.ocr.process_async(**OCR)
    assert only_call(spans) == expected_ocr(wire.response())


# --- audio ---


def beep() -> bytes:
    """A quarter of a second of a square wave, as a WAV file: the same bytes on every machine."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8_000)
        sound.writeframes((b"\x60" * 10 + b"\xa0" * 10) * 100)
    return file.getvalue()


WAV = beep()
TRANSCRIPTION: Json = {
    "model": "voxtral-mini-latest",
    "file": {"file_name": "ferry.wav", "content": WAV, "content_type": "audio/wav"},
    "timestamp_granularities": ["segment"],
}


def expected_transcription(method: str, response: Json) -> LoggedSpan:
    """What a transcription shows: the file as an attachment, the text, and how many segments it has."""
    streamed, segments = method == "stream", response.get("segments")
    return expected_call(
        f"audio.transcriptions.{method}",
        TRANSCRIPTION,
        response,
        inputs={"file": Media(WAV, "audio/wav", "ferry.wav")},
        output=response["text"],
        content=("file",),
        first_token=streamed and bool(response["text"]),
        stream=streamed,
        language=response.get("language"),
        segments_count=None if segments is None else len(segments),
        segments=segments,
    )


def test_wrap_mistral_audio_transcriptions_complete_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.audio.transcriptions.complete(**TRANSCRIPTION)
    assert only_call(spans) == expected_transcription("complete", wire.response())


async def test_wrap_mistral_audio_transcriptions_complete_async(
    mistral: Mistral, spans: LoggedSpans, wire: Wire
) -> None:
    await mistral.audio.transcriptions.complete_async(**TRANSCRIPTION)
    assert only_call(spans) == expected_transcription("complete", wire.response())


def test_wrap_mistral_audio_transcriptions_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(mistral.audio.transcriptions.stream(**TRANSCRIPTION))
    assert only_call(spans) == expected_transcription("stream", wire.events()[-1])


async def test_wrap_mistral_audio_transcriptions_stream_async(
    mistral: Mistral, spans: LoggedSpans, wire: Wire
) -> None:
    await consume_async(await mistral.audio.transcriptions.stream_async(**TRANSCRIPTION))
    assert only_call(spans) == expected_transcription("stream", wire.events()[-1])


SPEECH: Json = {
    "model": "voxtral-mini-tts-3-0",
    "voice_id": "voice_478",
    "input": "The next ferry leaves at half past two.",
    "response_format": "wav",
}


def expected_speech(arguments: Json, audio: list[str], usage: Json | None = None) -> LoggedSpan:
    """What speech shows: its audio, which comes in pieces that are encoded each by itself, as one attachment."""
    data = b"".join(base64.b64decode(piece) for piece in audio)
    return expected_call(
        "audio.speech.complete",
        arguments,
        {"usage": usage},
        inputs=arguments["input"],
        output={
            "type": "audio",
            "mime_type": "audio/wav",
            "audio_size_bytes": len(data),
            "file": {"file_data": Media(data, "audio/wav", "audio.wav"), "filename": "audio.wav"},
        },
        content=("input",),
        first_token="stream" in arguments,
        stream="stream" in arguments,
    )


def expected_streamed_speech(events: list[Json]) -> LoggedSpan:
    """The same of a stream, which has a usage."""
    *deltas, done = events
    return expected_speech(SPEECH | STREAM, [delta["audio_data"] for delta in deltas], done["usage"])


@has_speech
def test_wrap_mistral_audio_speech_complete_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.audio.speech.complete(**SPEECH)
    assert only_call(spans) == expected_speech(SPEECH, [wire.response()["audio_data"]])


@has_speech
async def test_wrap_mistral_audio_speech_complete_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.audio.speech.complete_async(**SPEECH)
    assert only_call(spans) == expected_speech(SPEECH, [wire.response()["audio_data"]])


@has_speech
def test_wrap_mistral_audio_speech_complete_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(mistral.audio.speech.complete(**SPEECH, **STREAM))
    assert only_call(spans) == expected_streamed_speech(wire.events())


@has_speech
async def test_wrap_mistral_audio_speech_complete_stream_async(
    mistral: Mistral, spans: LoggedSpans, wire: Wire
) -> None:
    await consume_async(await mistral.audio.speech.complete_async(**SPEECH, **STREAM))
    assert only_call(spans) == expected_streamed_speech(wire.events())


# --- classifiers ---


def expected_classification(method: str, arguments: Json, response: Json) -> LoggedSpan:
    """What a moderation or a classification shows: what was looked at, and what was found in each."""
    (content,) = arguments.keys() - {"model"}
    return expected_call(
        f"classifiers.{method}",
        arguments,
        response,
        inputs=arguments[content],
        output=response["results"],
        content=(content,),
    )


COMPLAINTS = ["The ferry was late again.", "Where do I buy a ticket?"]
MODERATION: Json = {"model": "mistral-moderation-latest", "inputs": COMPLAINTS}
CHAT_MODERATION: Json = {**MODERATION, "inputs": [MESSAGES]}
CLASSIFICATION: Json = {"model": "ft:classifier:ministral-3b-latest:7d0ff1a2:20260302:b2c9f4e1", "inputs": COMPLAINTS}
CHAT_CLASSIFICATION: Json = {
    "model": CLASSIFICATION["model"],
    "inputs" if IS_MISTRALAI_1 else "input": [{"messages": MESSAGES}],
}


def test_wrap_mistral_classifiers_moderate_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.classifiers.moderate(**MODERATION)
    assert only_call(spans) == expected_classification("moderate", MODERATION, wire.response())


async def test_wrap_mistral_classifiers_moderate_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.classifiers.moderate_async(**MODERATION)
    assert only_call(spans) == expected_classification("moderate", MODERATION, wire.response())


def test_wrap_mistral_classifiers_moderate_chat_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.classifiers.moderate_chat(**CHAT_MODERATION)
    assert only_call(spans) == expected_classification("moderate_chat", CHAT_MODERATION, wire.response())


async def test_wrap_mistral_classifiers_moderate_chat_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.classifiers.moderate_chat_async(**CHAT_MODERATION)
    assert only_call(spans) == expected_classification("moderate_chat", CHAT_MODERATION, wire.response())


def test_wrap_mistral_classifiers_classify_sync(local_mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    local_mistral.classifiers.classify(**CLASSIFICATION)
    assert only_call(spans) == expected_classification("classify", CLASSIFICATION, wire.response())


async def test_wrap_mistral_classifiers_classify_async(local_mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await local_mistral.classifiers.classify_async(**CLASSIFICATION)
    assert only_call(spans) == expected_classification("classify", CLASSIFICATION, wire.response())


def test_wrap_mistral_classifiers_classify_chat_sync(local_mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    local_mistral.classifiers.classify_chat(**CHAT_CLASSIFICATION)
    assert only_call(spans) == expected_classification("classify_chat", CHAT_CLASSIFICATION, wire.response())


async def test_wrap_mistral_classifiers_classify_chat_async(
    local_mistral: Mistral, spans: LoggedSpans, wire: Wire
) -> None:
    await local_mistral.classifiers.classify_chat_async(**CHAT_CLASSIFICATION)
    assert only_call(spans) == expected_classification("classify_chat", CHAT_CLASSIFICATION, wire.response())


# --- all of them ---


@pytest.mark.parametrize("resource", RESOURCES, ids=[resource.path for resource in RESOURCES])
def test_every_traced_method_is_recorded(resource: Resource, record_mode: str) -> None:
    """A method without a cassette would be one that nobody has seen work with this version of mistralai."""
    if record_mode != "none":
        pytest.skip("they are being recorded")
    package = "mistralai" if IS_MISTRALAI_1 else "mistralai.client"
    target = getattr(pytest.importorskip(f"{package}.{resource.module}"), resource.class_name)
    surface = resource.path.removeprefix("beta.").replace(".", "_")
    methods = [name for method in resource.operations for name in (method, f"{method}_async") if hasattr(target, name)]
    tests = [method if method.endswith("_async") else f"{method}_sync" for method in methods]
    folder = CASSETTES / CASSETTE_VERSION
    assert not [test for test in tests if not (folder / f"test_wrap_mistral_{surface}_{test}.yaml").exists()]
