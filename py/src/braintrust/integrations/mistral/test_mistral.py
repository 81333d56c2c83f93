"""Every traced method, with a real client and recorded traffic: its spans, compared whole with what was on the wire.

Needs pytest, pytest-asyncio, and either pytest-vcr or pytest-recording. How the cassettes are made, and made anew, is
told in `cassettes/README.md`.
"""

import base64
import importlib
import importlib.metadata
import importlib.util
import inspect
import io
import json
import os
import re
import wave
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias
from unittest.mock import ANY

import pydantic
import pytest
from braintrust import Attachment, init_logger, logger
from braintrust.integrations.mistral import wrap_mistral
from braintrust.integrations.mistral.patchers import RESOURCES, Resource
from braintrust.integrations.mistral.providers import MISTRAL
from braintrust.integrations.mistral.resources.agent_names import agent_names
from braintrust.logger import ObjectMetadata, OrgProjectMetadata
from braintrust.util import LazyValue


try:
    from mistralai.client import Mistral, models
    from mistralai.client.classifiers import Classifiers
    from mistralai.client.conversations import Conversations
    from mistralai.client.fim import Fim
except ImportError:  # 1.x
    from mistralai import Mistral, models
    from mistralai.classifiers import Classifiers
    from mistralai.conversations import Conversations
    from mistralai.fim import Fim


Json: TypeAlias = dict[str, Any]

API = "https://api.mistral.ai"
PACKAGE = models.__name__.rpartition(".")[0]
MISTRALAI = importlib.metadata.version("mistralai")
CASSETTES = Path(__file__).parent / "cassettes"
CASSETTE_VERSION = os.environ.get("BRAINTRUST_TEST_PACKAGE_VERSION") or (
    MISTRALAI if (CASSETTES / MISTRALAI).is_dir() else "latest"
)

pytestmark = [
    pytest.mark.vcr,
    pytest.mark.skipif(
        importlib.util.find_spec("httpx2") is not None and importlib.metadata.version("vcrpy") < "9",
        reason="this mistralai speaks httpx2, which vcrpy sees from 9.0 on; that needs Python 3.11",
    ),
]


def find_module(name: str) -> bool:
    """Tell whether the installed mistralai has a module."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def has_resource(module: str) -> pytest.MarkDecorator:
    """Skip a test where the installed mistralai lacks a module, and with it a resource."""
    found = find_module(f"{PACKAGE}.{module}")
    return pytest.mark.skipif(not found, reason=f"mistralai {MISTRALAI} has no {module}")


def is_recorded_elsewhere(surface: str) -> bool:
    """Tell whether there are cassettes of a resource, and none among those that are read now."""
    folders = {path.parent for path in CASSETTES.glob(f"*/test_wrap_mistral_{surface}_*.yaml")}
    return bool(folders) and CASSETTES / CASSETTE_VERSION not in folders


def sent_as_recorded(surface: str, field: str, *, sent: bool) -> pytest.MarkDecorator:
    """Skip a test where this mistralai sends a field that the one of the cassettes did not send, or the reverse."""
    recordings = (CASSETTES / CASSETTE_VERSION).glob(f"test_wrap_mistral_{surface}_*.yaml")
    was_sent = {field in recording.read_text(encoding="utf-8") for recording in recordings}
    reason = f"mistralai {MISTRALAI} sends other requests than were recorded: {field}"
    return pytest.mark.skipif(bool(was_sent) and sent not in was_sent, reason=reason)


sends_fim_as_recorded = sent_as_recorded(
    "fim", "top_p", sent=inspect.signature(Fim.complete).parameters["top_p"].default == 1
)
sends_ocr_as_recorded = sent_as_recorded(
    "ocr",
    "include_blocks",
    sent=getattr(models.OCRRequest.model_fields.get("include_blocks"), "default", None) is True,
)
sends_workflows_as_recorded = sent_as_recorded(
    "workflows",
    "force_new_trace",
    sent="force_new_trace" in getattr(getattr(models, "WorkflowExecutionRequest", None), "model_fields", ()),
)

has_managed_indexes = pytest.mark.skipif(
    not find_module(f"{PACKAGE}.managed_indexes") or is_recorded_elsewhere("rag_managed_indexes"),
    reason=f"mistralai {MISTRALAI} has no managed indexes, or none that was recorded",
)

SENDS_METADATA = bool(models.ConversationRequest(inputs="", metadata={"a": 1}).model_dump().get("metadata"))
"""Whether the metadata of a conversation reaches Mistral: some SDKs take them, and lose them."""

sends_metadata = pytest.mark.skipif(not SENDS_METADATA, reason=f"mistralai {MISTRALAI} loses these metadata")

RESPONSE_FIELDS = models.ConversationResponse.model_fields

MODEL = "mistral-medium-latest"
QUESTION = "Where does Lisbon lie? Answer in one sentence."
RIDDLE = "Four of us, the ferry leaves at 14:10. Which one do we take?"
RATES: Any = {
    "type": "function",
    "function": {
        "name": "get_exchange_rate",
        "description": "The exchange rate of two currencies.",
        "parameters": {"type": "object", "properties": {"base": {"type": "string"}, "quote": {"type": "string"}}},
    },
}


# --- what was recorded ---


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    """A folder for each tested version of mistralai."""
    return str(CASSETTES / CASSETTE_VERSION)


@pytest.fixture(scope="module")
def vcr_config() -> Json:
    """No secrets, no address but Mistral's, and nothing that differs from one recording to the next for no reason."""

    def request(request: Any) -> Any:
        request.uri = API + "/" + request.uri.split("/", 3)[3]
        kind, _, boundary = (request.headers.get("content-type", "") if request.body else "").partition("; boundary=")
        if boundary:
            # Random, and all that differs between two forms with the same content.
            request.body = request.body.replace(f"--{boundary}".encode(), b"--boundary")
            kind = f"{kind}; boundary=boundary"
        elif b"traceparent" in (request.body or b""):
            # Random as well, where the SDK makes one up for a workflow.
            request.body = re.sub(rb'("traceparent": ?)"[^"]*"', rb'\1"traceparent"', request.body)
        request.headers = {"content-type": kind} if kind else {}
        return request

    def response(response: Any) -> Any:
        kept = {name: value for name, value in response["headers"].items() if name.lower() == "content-type"}
        return {**response, "headers": kept}

    return {
        "before_record_request": request,
        "before_record_response": response,
        "decode_compressed_response": True,
        "match_on": ["method", "uri", "headers", "body"],
    }


class Recorded:
    """A traced client, the spans of its calls, and what was on the wire: of the last call, if not said otherwise."""

    def __init__(self, cassette: Any, spans: Any) -> None:
        self.mistral: Mistral = wrap_mistral(Mistral(api_key=os.environ.get("MISTRAL_API_KEY", "replayed")))
        self._cassette = cassette
        self._spans = spans

    @property
    def conversations(self) -> Any:
        """The client's resource of that name."""
        return self.mistral.beta.conversations

    def calls(self) -> "list[LoggedSpan]":
        """Return the calls since the test began, of which each made one request."""
        calls = logged_calls(self._spans.pop())
        assert len(calls) == len(self._cassette.requests)
        return calls

    def rows(self) -> list[Json]:
        """Return the rows of all spans since the test began."""
        return self._spans.pop()

    @property
    def call(self) -> "LoggedSpan":
        """The last call."""
        return self.calls()[-1]

    def request(self) -> Any:
        """Return the body of the last request."""
        return json.loads(self._cassette.requests[-1].body)

    def response(self, call: int = -1) -> Any:
        """Return the body of an unstreamed response."""
        return json.loads(self._cassette.responses[call]["body"]["string"])

    def body(self) -> bytes:
        """Return the body of the last response."""
        return self._cassette.responses[-1]["body"]["string"]

    def events(self, call: int = -1) -> list[Json]:
        """Return the data of a stream's events."""
        return events_of(self._cassette.responses[call]["body"]["string"])


@pytest.fixture
def recorded(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Recorded]:
    """A client whose traffic is replayed, or recorded; no call that was recorded is left out, and no fault hides."""
    # By pytest-vcr's name, or by pytest-recording's.
    cassette = request.getfixturevalue("vcr_cassette" if request.config.pluginmanager.has_plugin("vcr") else "vcr")
    # What other tests have told.
    agent_names.clear()
    project = OrgProjectMetadata(org_id="org", project=ObjectMetadata(id="project", name="project", full_info={}))
    init_logger(project="project")._lazy_metadata = LazyValue(lambda: project, use_mutex=False)
    with logger._internal_with_memory_background_logger() as spans:
        yield Recorded(cassette, spans)
    logger._state.reset_parent_state()
    assert cassette.dirty or cassette.all_played
    assert "Tracing a Mistral call failed" not in caplog.text


def consume(stream: Any) -> None:
    with stream:
        for _ in stream:
            pass


async def consume_async(call: Awaitable[Any]) -> None:
    async with await call as stream:
        async for _ in stream:
            pass


# --- spans as their reader sees them ---


class Media(NamedTuple):
    """What an attachment holds, to be compared."""

    data: bytes
    content_type: str
    filename: str


def with_media(value: Any) -> Any:
    """Return what a span logged with `Media` in the place of attachments."""
    if isinstance(value, Attachment):
        return Media(value.data, value.reference["content_type"], value.reference["filename"])
    if isinstance(value, dict):
        return {name: with_media(item) for name, item in value.items()}
    return [with_media(item) for item in value] if isinstance(value, list) else value


class LoggedSpan(NamedTuple):
    """What a span shows to its reader, to be compared whole; attachments are `Media`.

    Attributes:
        metrics: all but `start` and `end`.
        error: its last line; what stands above it, if anything, is a traceback.
        seconds: how long it is.
        children: in the order in which they were logged.
    """

    name: str
    type: str
    input: Any
    output: Any
    metadata: Json
    metrics: Json
    error: str | None = None
    seconds: Any = ANY
    children: "tuple[LoggedSpan, ...]" = ()


def logged_calls(rows: Iterable[Json]) -> list[LoggedSpan]:
    """Return the calls in these rows, which are merged already, each with its children.

    Checks what holds for every call: its spans say what made them, no child has children, and the children are within
    the call, unless together they are longer than it: then they end with it, to ten milliseconds in a stream.
    """
    rows = sorted(rows, key=lambda row: row["span_attributes"]["exec_counter"])
    roots = [row for row in rows if not row.get("span_parents")]
    calls: list[LoggedSpan] = []
    for root in roots:
        children = [row for row in rows if row.get("span_parents") == [root["span_id"]]]
        calls.append(logged_span(root, tuple(logged_span(child) for child in children)))
        # A function call that was settled ended with a later call.
        within = [child["metrics"] for child in children if not _is_settled(child)]
        if within:
            first, last = min(child["start"] for child in within), max(child["end"] for child in within)
            assert last <= root["metrics"]["end"]
            # What a stream brought to its end while it was open is not moved for less than ten milliseconds.
            start, end = root["metrics"]["start"] - 0.0101, root["metrics"]["end"]
            assert first >= start or last == pytest.approx(end, abs=0.0101)
    assert len(rows) == sum(1 + len(call.children) for call in calls)
    return calls


def _is_settled(row: Json) -> bool:
    is_call = row["metadata"]["tool_type"] == "function.call"
    return is_call and (row.get("output") is not None or "tool_approval" in row["metadata"])


def logged_span(row: Json, children: tuple[LoggedSpan, ...] = ()) -> LoggedSpan:
    """Return what a row shows, whose origin and times are checked."""
    assert row["context"]["span_origin"]["instrumentation"] == {"name": "mistral-auto"}
    metrics = dict(row["metrics"])
    seconds = metrics.pop("end") - metrics.pop("start")
    assert seconds >= 0
    assert metrics.get("duration", seconds) == pytest.approx(seconds, abs=1e-5)
    assert 0 <= metrics.get("time_to_first_token", 0) <= seconds
    error = row.get("error")
    return LoggedSpan(
        name=row["span_attributes"]["name"],
        type=row["span_attributes"]["type"],
        input=with_media(row.get("input")),
        output=with_media(row.get("output")),
        metadata=with_media(row.get("metadata", {})),
        metrics=metrics,
        error=error.strip().splitlines()[-1] if error else None,
        seconds=seconds,
        children=children,
    )


# --- the wire, as the SDK reads it ---


def events_of(body: bytes) -> list[Json]:
    """Return the data of the server-sent events in the body of a stream."""
    lines = body.decode().splitlines()
    # The stream of a completion ends with "[DONE]".
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


_MODELS = {"tool.execution": models.ToolExecutionEntry, "function.call": models.FunctionCallEntry}


def parsed_by_sdk(value: Any) -> Any:
    """Return what is left of a value on the wire after the SDK has parsed it.

    Its models drop the fields that they do not know, so nobody can trace those. What is null is left out of logs.
    """
    if isinstance(value, list):
        return [parsed_by_sdk(item) for item in value]
    if not isinstance(value, dict):
        return value
    model = _MODELS.get(value.get("type", ""))
    known = value.keys() if model is None else {field.alias or name for name, field in model.model_fields.items()}
    return {
        # These two have no model: they are as they came.
        key: item if key in ("info", "arguments") else parsed_by_sdk(item)
        for key, item in value.items()
        if item is not None and key in known
    }


def unstreamed(events: Iterable[Json]) -> Json:
    """Return the response that the events of a stream add up to, as it would have been on the wire."""
    response: Json = {"object": "conversation.response"}
    entries: dict[str, Json] = {}
    for event in events:
        kind, _, stage = event["type"].rpartition(".")
        fields = {key: value for key, value in event.items() if key not in ("type", "created_at", "output_index")}
        if kind == "conversation.response":
            response |= fields
            continue
        new: Json = {"object": "entry", "type": kind, "created_at": event.get("created_at")}
        entry = entries.setdefault(event["id"], new)
        if kind == "message.output":
            entry.setdefault("content", []).append((fields.pop("content_index", 0), fields.pop("content")))
        if "arguments" in entry and "arguments" in fields:
            fields["arguments"] = entry["arguments"] + fields["arguments"]
        if stage == "done" or kind == "message.output":
            fields["completed_at"] = event.get("created_at")
        entry |= fields
    for entry in entries.values():
        if "content" in entry:
            entry["content"] = _content(entry["content"])
    return response | {"outputs": list(entries.values())}


def _content(pieces: list[tuple[int, Any]]) -> Any:
    chunks: dict[int, list[Any]] = {}
    for index, piece in pieces:
        chunks.setdefault(index, []).append(piece)
    if len(chunks) == 1 and all(isinstance(piece, str) for _, piece in pieces):
        return "".join(piece for _, piece in pieces)
    return [_chunk(chunk) for _, chunk in sorted(chunks.items())]


def _chunk(pieces: list[Any]) -> Json:
    if isinstance(pieces[0], str) or pieces[0]["type"] == "text":
        return _text(pieces)
    if pieces[0]["type"] == "thinking":
        return {**pieces[0], "thinking": [_text([part for piece in pieces for part in piece["thinking"]])]}
    (piece,) = pieces
    return piece


def _text(pieces: list[Any]) -> Json:
    return {"type": "text", "text": "".join(piece if isinstance(piece, str) else piece["text"] for piece in pieces)}


def completed(chunks: Iterable[Json]) -> Json:
    """Return the response that the chunks of a completion add up to, as it would have been on the wire."""
    response: Json = {}
    choices: dict[int, Json] = {}
    for chunk in chunks:
        response |= {**chunk, "object": chunk["object"].removesuffix(".chunk")}
        for part in chunk["choices"]:
            new: Json = {"message": {"role": "assistant"}, "pieces": [], "calls": {}}
            choice = choices.setdefault(part["index"], new)
            choice |= {key: value for key, value in part.items() if key != "delta"}
            choice["pieces"].append(part["delta"].get("content"))
            for piece in part["delta"].get("tool_calls") or ():
                call = choice["calls"].setdefault(piece["index"], {**piece, "function": {"name": "", "arguments": ""}})
                for key, text in piece["function"].items():
                    call["function"][key] += text
    for choice in choices.values():
        choice["message"] |= _completed_content(choice.pop("pieces"))
        if calls := choice.pop("calls"):
            choice["message"]["tool_calls"] = list(calls.values())
    return response | {"choices": list(choices.values())}


def _completed_content(deltas: list[Any]) -> Json:
    """Return the content that deltas add up to: kinds of chunks that alternate, each in pieces."""
    given = [delta for delta in deltas if delta is not None]
    pieces: list[tuple[int, Any]] = []
    kinds: list[str] = []
    for piece in (part for delta in given for part in (delta if isinstance(delta, list) else [delta])):
        kind = "text" if isinstance(piece, str) else piece["type"]
        if kinds[-1:] != [kind] and piece != "":
            kinds.append(kind)
        if piece != "":
            pieces.append((len(kinds), piece))
    if not pieces:
        return {"content": ""} if given else {}
    return {"content": _content(pieces)}


# --- what a call should show ---


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
    return LoggedSpan(
        name=f"mistral.{method}",
        type="llm",
        input=inputs,
        output=output,
        metadata={"provider": "mistral", **parameters} | _given(about),
        metrics=_expected_metrics(usage) | _times(first_token),
        children=tuple(children),
    )


def expected_models(request: Mapping[str, Any], answered: Any) -> Json:
    """Return the models that a span names: the one that answered, and where it is another, the one that was asked."""
    requested = request.get("model")
    if answered is None or requested in (None, answered):
        return {"model": answered or requested}
    return {"model": answered, "requested_model": requested}


def _given(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _times(first_token: bool) -> Json:
    return {"duration": ANY, "time_to_first_token": ANY} if first_token else {"duration": ANY}


def _expected_metrics(usage: Json) -> Json:
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
    return LoggedSpan(f"tool: {name}", "tool", json.loads(arguments), None, {"tool_name": name, **metadata}, {})


def expected_conversation(
    method: str,
    response: Json,
    *,
    inputs: Any,
    results: Mapping[str, Any] = MappingProxyType({}),
    approvals: Mapping[str, str] = MappingProxyType({}),
    error: str | None = None,
    **request: Any,
) -> LoggedSpan:
    """Return what a call of a conversation should show, with its children.

    Args:
        method: the method that was called, without `_async`.
        response: what was on the wire, in the unstreamed form.
        inputs: as the caller gave them.
        results: the results of function calls that were sent later, by `tool_call_id`.
        approvals: the decisions on function calls that were sent later, likewise.
        error: the error's last line.
        request: what the request should show in the metadata.
    """
    outputs = parsed_by_sdk(response.get("outputs"))
    streamed = method.endswith("_stream")
    usage = parsed_by_sdk(response.get("usage")) or {}
    metadata = {
        "provider": "mistral",
        "stream": streamed,
        **request,
        **expected_models(request, next((entry["model"] for entry in outputs or () if "model" in entry), None)),
        "conversation_id": response.get("conversation_id", request.get("conversation_id")),
        "object": response.get("object"),
        "connectors": usage.pop("connectors", None),
        "response_guardrails": response.get("guardrails") if "guardrails" in RESPONSE_FIELDS else None,
        "agent_name": _agent_names(outputs).get(request.get("agent_id")),
    }
    return LoggedSpan(
        name=f"mistral.beta.conversations.{method}",
        type="task",
        input=inputs,
        output=outputs,
        metadata=_given(metadata),
        metrics=_expected_metrics(usage) | _times(streamed and bool(outputs)),
        error=error,
        children=tuple(_expected_children(outputs or [], results, approvals)),
    )


def _expected_children(
    outputs: list[Json], results: Mapping[str, Any], approvals: Mapping[str, str]
) -> Iterator[LoggedSpan]:
    for index, entry in enumerate(outputs):
        if entry["type"] == "message.output":
            continue
        child = _expected_child(entry, index)
        if name := _agent_names(outputs).get(entry.get("agent_id")):
            child = child._replace(metadata={**child.metadata, "agent_name": name})
        if entry["type"] == "function.call":
            call = entry["tool_call_id"]
            approval = {"tool_approval": approvals[call]} if call in approvals else {}
            child = child._replace(output=results.get(call), metadata=child.metadata | approval)
        yield child


def _agent_names(outputs: list[Json] | None) -> dict[str | None, str]:
    """Return the names of agents that the handoffs among these entries tell, by the ids."""
    handoffs = [entry for entry in outputs or () if entry["type"] == "agent.handoff"]
    return {
        entry[f"{side}_agent_id"]: entry[f"{side}_agent_name"] for entry in handoffs for side in ("previous", "next")
    }


def _expected_child(entry: Json, index: int) -> LoggedSpan:
    kind, error = entry["type"], None
    if kind == "agent.handoff":
        tool = entry["next_agent_name"]
        input, output = (
            {"agent_id": entry[f"{side}_agent_id"], "agent_name": entry[f"{side}_agent_name"]}
            for side in ("previous", "next")
        )
    else:
        tool, input, output = entry["name"], _parsed(entry.get("arguments")), entry.get("info")
        if output and str(output.get("result")).startswith("Error executing tool"):
            error = output["result"]
    metadata = {
        "tool_type": kind,
        "tool_name": tool,
        "tool_call_id": entry.get("tool_call_id", entry["id"]),
        "tool_index": index,
        **{key: entry[key] for key in ("agent_id", "model") if key in entry},
    }
    times = [
        # Python 3.10 does not know "Z".
        datetime.fromisoformat(entry[key].replace("Z", "+00:00"))
        for key in ("created_at", "completed_at")
        if key in entry
    ]
    seconds = pytest.approx((times[1] - times[0]).total_seconds(), abs=1e-5) if len(times) == 2 else ANY
    name = f"handoff: {tool}" if kind == "agent.handoff" else f"tool: {tool}"
    return LoggedSpan(name, "tool", input, output, metadata, {}, error, seconds)


def _parsed(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


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


def test_wrap_mistral_chat_complete_sync(recorded: Recorded) -> None:
    recorded.mistral.chat.complete(**CHAT)
    assert recorded.call == expected_completion("chat.complete", CHAT, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_chat_complete_async(recorded: Recorded) -> None:
    await recorded.mistral.chat.complete_async(**CHAT)
    assert recorded.call == expected_completion("chat.complete", CHAT, recorded.response())


def test_wrap_mistral_chat_stream_sync(recorded: Recorded) -> None:
    consume(recorded.mistral.chat.stream(**CHAT))
    assert recorded.call == expected_completion("chat.stream", CHAT, completed(recorded.events()))


@pytest.mark.asyncio
async def test_wrap_mistral_chat_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.mistral.chat.stream_async(**CHAT))
    assert recorded.call == expected_completion("chat.stream", CHAT, completed(recorded.events()))


class Place(pydantic.BaseModel):
    """What `parse` is to make of the answer."""

    city: str
    river: str


def assert_parsed(completion: Any) -> None:
    """The caller gets what the SDK parses."""
    assert isinstance(completion.choices[0].message.parsed, Place)


def expected_parse(method: str, recorded: Recorded, response: Json) -> LoggedSpan:
    """What is parsed was completed: with the class's schema, which the SDK makes."""
    response_format = recorded.request()["response_format"]
    assert set(response_format["json_schema"]["schema"]["properties"]) == {"city", "river"}
    return expected_completion(method, {**CHAT, "response_format": response_format}, response)


def test_wrap_mistral_chat_parse_sync(recorded: Recorded) -> None:
    assert_parsed(recorded.mistral.chat.parse(Place, **CHAT))
    assert recorded.call == expected_parse("chat.complete", recorded, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_chat_parse_async(recorded: Recorded) -> None:
    assert_parsed(await recorded.mistral.chat.parse_async(Place, **CHAT))
    assert recorded.call == expected_parse("chat.complete", recorded, recorded.response())


def test_wrap_mistral_chat_parse_stream_sync(recorded: Recorded) -> None:
    consume(recorded.mistral.chat.parse_stream(Place, **CHAT))
    assert recorded.call == expected_parse("chat.stream", recorded, completed(recorded.events()))


@pytest.mark.asyncio
async def test_wrap_mistral_chat_parse_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.mistral.chat.parse_stream_async(Place, **CHAT))
    assert recorded.call == expected_parse("chat.stream", recorded, completed(recorded.events()))


AGENT: Json = {"agent_id": "ag_0198a3c1f0d27b6e9c41d2a85e7f3b60", "messages": [{"role": "user", "content": QUESTION}]}


def test_wrap_mistral_agents_complete_sync(recorded: Recorded) -> None:
    recorded.mistral.agents.complete(**AGENT)
    assert recorded.call == expected_completion("agents.complete", AGENT, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_agents_complete_async(recorded: Recorded) -> None:
    await recorded.mistral.agents.complete_async(**AGENT)
    assert recorded.call == expected_completion("agents.complete", AGENT, recorded.response())


def test_wrap_mistral_agents_stream_sync(recorded: Recorded) -> None:
    consume(recorded.mistral.agents.stream(**AGENT))
    assert recorded.call == expected_completion("agents.stream", AGENT, completed(recorded.events()))


@pytest.mark.asyncio
async def test_wrap_mistral_agents_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.mistral.agents.stream_async(**AGENT))
    assert recorded.call == expected_completion("agents.stream", AGENT, completed(recorded.events()))


FIM: Json = {"model": "codestral-latest", "prompt": "def mean(values):\n", "suffix": "\n\nprint(mean([1, 2]))"}


@sends_fim_as_recorded
def test_wrap_mistral_fim_complete_sync(recorded: Recorded) -> None:
    recorded.mistral.fim.complete(**FIM)
    assert recorded.call == expected_completion("fim.complete", FIM, recorded.response())


@pytest.mark.asyncio
@sends_fim_as_recorded
async def test_wrap_mistral_fim_complete_async(recorded: Recorded) -> None:
    await recorded.mistral.fim.complete_async(**FIM)
    assert recorded.call == expected_completion("fim.complete", FIM, recorded.response())


@sends_fim_as_recorded
def test_wrap_mistral_fim_stream_sync(recorded: Recorded) -> None:
    consume(recorded.mistral.fim.stream(**FIM))
    assert recorded.call == expected_completion("fim.stream", FIM, completed(recorded.events()))


@pytest.mark.asyncio
@sends_fim_as_recorded
async def test_wrap_mistral_fim_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.mistral.fim.stream_async(**FIM))
    assert recorded.call == expected_completion("fim.stream", FIM, completed(recorded.events()))


EXCHANGE: Json = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "What is a euro in Swedish and in Norwegian kronor? Use the function."}],
    "tools": [RATES],
    "parallel_tool_calls": True,
}


def test_wrap_mistral_chat_complete_function_result_sync(recorded: Recorded) -> None:
    """Calls are children; their results are in the input of the next completion."""
    chat = recorded.mistral.chat
    message: Any = chat.complete(**EXCHANGE).choices[0].message
    results = [
        {"role": "tool", "name": "get_exchange_rate", "tool_call_id": call.id, "content": '{"rate": 11.24}'}
        for call in message.tool_calls
    ]
    messages = [*EXCHANGE["messages"], parsed_by_sdk(recorded.response(0)["choices"][0]["message"]), *results]
    chat.complete(**EXCHANGE | {"messages": messages})
    first, second = recorded.calls()
    assert first == expected_completion("chat.complete", EXCHANGE, recorded.response(0))
    assert second == expected_completion("chat.complete", EXCHANGE | {"messages": messages}, recorded.response(1))
    assert {child.name for child in first.children} == {"tool: get_exchange_rate"}
    assert not second.children


@pytest.mark.asyncio
async def test_wrap_mistral_chat_stream_parallel_functions_async(recorded: Recorded) -> None:
    """Calls whose names and arguments come in pieces, by turns, do not mix."""
    await consume_async(recorded.mistral.chat.stream_async(**EXCHANGE))
    call = recorded.call
    assert call == expected_completion("chat.stream", EXCHANGE, completed(recorded.events()))
    assert [child.input["quote"] for child in call.children] == ["SEK", "NOK"]


def test_wrap_mistral_chat_stream_thinking_sync(recorded: Recorded) -> None:
    """Reasoning that came word by word is one thinking chunk, in front of the text."""
    request: Json = {"model": "magistral-medium-latest", "messages": [{"role": "user", "content": RIDDLE}]}
    consume(recorded.mistral.chat.stream(**request))
    call = recorded.call
    assert call == expected_completion("chat.stream", request, completed(recorded.events()))
    assert [chunk["type"] for chunk in call.output[0]["message"]["content"]] == ["thinking", "text"]


@pytest.mark.asyncio
async def test_wrap_mistral_chat_stream_citations_async(recorded: Recorded) -> None:
    """References stay between the texts that they belong to."""
    await consume_async(recorded.mistral.chat.stream_async(**CHAT))
    call = recorded.call
    assert call == expected_completion("chat.stream", CHAT, completed(recorded.events()))
    types = [chunk["type"] for chunk in call.output[0]["message"]["content"]]
    assert types == ["text", "reference", "text", "reference", "text"]


def test_wrap_mistral_chat_stream_choices_sync(recorded: Recorded) -> None:
    """Answers that come by turns are put together each by itself."""
    request: Json = {**CHAT, "n": 2, "temperature": 0.7}
    consume(recorded.mistral.chat.stream(**request))
    call = recorded.call
    assert call == expected_completion("chat.stream", request, completed(recorded.events()))
    assert [choice["index"] for choice in call.output] == [0, 1]


def test_wrap_mistral_chat_complete_cached_sync(recorded: Recorded) -> None:
    """Details of the usage are metrics of their own, and its tier is metadata."""
    recorded.mistral.chat.complete(**CHAT)
    call = recorded.call
    assert call == expected_completion("chat.complete", CHAT, recorded.response())
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


@has_resource("responses")
def test_wrap_mistral_responses_create_sync(recorded: Recorded) -> None:
    recorded.mistral.responses.create(**RESPONSE)
    assert recorded.call == expected_response(RESPONSE, recorded.response())


@has_resource("responses")
@pytest.mark.asyncio
async def test_wrap_mistral_responses_create_async(recorded: Recorded) -> None:
    await recorded.mistral.responses.create_async(**RESPONSE)
    assert recorded.call == expected_response(RESPONSE, recorded.response())


@has_resource("responses")
def test_wrap_mistral_responses_create_stream_sync(recorded: Recorded) -> None:
    consume(recorded.mistral.responses.create(**RESPONSE, **STREAM))
    assert recorded.call == expected_response(RESPONSE | STREAM, recorded.events()[-1]["response"])


@has_resource("responses")
@pytest.mark.asyncio
async def test_wrap_mistral_responses_create_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.mistral.responses.create_async(**RESPONSE, **STREAM))
    assert recorded.call == expected_response(RESPONSE | STREAM, recorded.events()[-1]["response"])


@has_resource("responses")
def test_wrap_mistral_responses_create_stream_parallel_functions_sync(recorded: Recorded) -> None:
    """Calls whose events come by turns are children, each with its own arguments."""
    question, tool = EXCHANGE["messages"][0]["content"], {"type": "function", **RATES["function"]}
    request: Json = {"model": MODEL, "input": [{"role": "user", "content": question}], "tools": [tool]}
    consume(recorded.mistral.responses.create(**request, **STREAM))
    call = recorded.call
    assert call == expected_response(request | STREAM, recorded.events()[-1]["response"])
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


def test_wrap_mistral_embeddings_create_sync(recorded: Recorded) -> None:
    recorded.mistral.embeddings.create(**EMBEDDINGS)
    assert recorded.call == expected_embeddings(recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_embeddings_create_async(recorded: Recorded) -> None:
    await recorded.mistral.embeddings.create_async(**EMBEDDINGS)
    assert recorded.call == expected_embeddings(recorded.response())


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
        for unknown in page.keys() - models.OCRPageObject.model_fields.keys():
            del page[unknown]
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


@sends_ocr_as_recorded
def test_wrap_mistral_ocr_process_sync(recorded: Recorded) -> None:
    recorded.mistral.ocr.process(**OCR)
    assert recorded.call == expected_ocr(recorded.response())


@pytest.mark.asyncio
@sends_ocr_as_recorded
async def test_wrap_mistral_ocr_process_async(recorded: Recorded) -> None:
    await recorded.mistral.ocr.process_async(**OCR)
    assert recorded.call == expected_ocr(recorded.response())


# --- audio ---


def beep() -> bytes:
    """A quarter of a second of a square wave, as a WAV file: the same bytes on every machine."""
    file = io.BytesIO()
    # Pylint knows the class that reads alone.
    # pylint: disable=no-member
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


def test_wrap_mistral_audio_transcriptions_complete_sync(recorded: Recorded) -> None:
    recorded.mistral.audio.transcriptions.complete(**TRANSCRIPTION)
    assert recorded.call == expected_transcription("complete", recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_audio_transcriptions_complete_async(recorded: Recorded) -> None:
    await recorded.mistral.audio.transcriptions.complete_async(**TRANSCRIPTION)
    assert recorded.call == expected_transcription("complete", recorded.response())


def test_wrap_mistral_audio_transcriptions_stream_sync(recorded: Recorded) -> None:
    consume(recorded.mistral.audio.transcriptions.stream(**TRANSCRIPTION))
    assert recorded.call == expected_transcription("stream", recorded.events()[-1])


@pytest.mark.asyncio
async def test_wrap_mistral_audio_transcriptions_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.mistral.audio.transcriptions.stream_async(**TRANSCRIPTION))
    assert recorded.call == expected_transcription("stream", recorded.events()[-1])


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
            "file": {
                "file_data": Media(data, "audio/wav", "generated_speech.wav"),
                "filename": "generated_speech.wav",
            },
        },
        content=("input",),
        first_token="stream" in arguments,
        stream="stream" in arguments,
    )


def expected_streamed_speech(events: list[Json]) -> LoggedSpan:
    """The same of a stream, which has a usage."""
    *deltas, done = events
    return expected_speech(SPEECH | STREAM, [delta["audio_data"] for delta in deltas], done["usage"])


@has_resource("speech")
def test_wrap_mistral_audio_speech_complete_sync(recorded: Recorded) -> None:
    recorded.mistral.audio.speech.complete(**SPEECH)
    assert recorded.call == expected_speech(SPEECH, [recorded.response()["audio_data"]])


@has_resource("speech")
@pytest.mark.asyncio
async def test_wrap_mistral_audio_speech_complete_async(recorded: Recorded) -> None:
    await recorded.mistral.audio.speech.complete_async(**SPEECH)
    assert recorded.call == expected_speech(SPEECH, [recorded.response()["audio_data"]])


@has_resource("speech")
def test_wrap_mistral_audio_speech_complete_stream_sync(recorded: Recorded) -> None:
    consume(recorded.mistral.audio.speech.complete(**SPEECH, **STREAM))
    assert recorded.call == expected_streamed_speech(recorded.events())


@has_resource("speech")
@pytest.mark.asyncio
async def test_wrap_mistral_audio_speech_complete_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.mistral.audio.speech.complete_async(**SPEECH, **STREAM))
    assert recorded.call == expected_streamed_speech(recorded.events())


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
    "input" if "input" in inspect.signature(Classifiers.classify_chat).parameters else "inputs": [
        {"messages": MESSAGES}
    ],
}


def test_wrap_mistral_classifiers_moderate_sync(recorded: Recorded) -> None:
    recorded.mistral.classifiers.moderate(**MODERATION)
    assert recorded.call == expected_classification("moderate", MODERATION, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_classifiers_moderate_async(recorded: Recorded) -> None:
    await recorded.mistral.classifiers.moderate_async(**MODERATION)
    assert recorded.call == expected_classification("moderate", MODERATION, recorded.response())


def test_wrap_mistral_classifiers_moderate_chat_sync(recorded: Recorded) -> None:
    recorded.mistral.classifiers.moderate_chat(**CHAT_MODERATION)
    assert recorded.call == expected_classification("moderate_chat", CHAT_MODERATION, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_classifiers_moderate_chat_async(recorded: Recorded) -> None:
    await recorded.mistral.classifiers.moderate_chat_async(**CHAT_MODERATION)
    assert recorded.call == expected_classification("moderate_chat", CHAT_MODERATION, recorded.response())


def test_wrap_mistral_classifiers_classify_sync(recorded: Recorded) -> None:
    recorded.mistral.classifiers.classify(**CLASSIFICATION)
    assert recorded.call == expected_classification("classify", CLASSIFICATION, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_classifiers_classify_async(recorded: Recorded) -> None:
    await recorded.mistral.classifiers.classify_async(**CLASSIFICATION)
    assert recorded.call == expected_classification("classify", CLASSIFICATION, recorded.response())


def test_wrap_mistral_classifiers_classify_chat_sync(recorded: Recorded) -> None:
    recorded.mistral.classifiers.classify_chat(**CHAT_CLASSIFICATION)
    assert recorded.call == expected_classification("classify_chat", CHAT_CLASSIFICATION, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_classifiers_classify_chat_async(recorded: Recorded) -> None:
    await recorded.mistral.classifiers.classify_chat_async(**CHAT_CLASSIFICATION)
    assert recorded.call == expected_classification("classify_chat", CHAT_CLASSIFICATION, recorded.response())


# --- batch jobs ---


BATCH: Json = {
    "endpoint": "/v1/chat/completions",
    "model": "mistral-small-latest",
    "requests": [{"custom_id": name, "body": {"messages": MESSAGES, "max_tokens": 100}} for name in ("a", "b")],
}


def expected_job(method: str, inputs: Any, job: Json, **metadata: Any) -> LoggedSpan:
    """What a batch job's creation, lookup or cancellation shows; none of these jobs brings results."""
    about = {name: job[name] for name in ("endpoint", "model", "status")}
    counted = {"job_id": job["id"], "request_count": job["total_requests"]}
    metadata = {"provider": "mistral", **about, **counted, **metadata}
    output = {name: value for name, value in job.items() if value is not None}
    return LoggedSpan(f"mistral.batch.jobs.{method}", "task", inputs, output, metadata, {"duration": ANY})


def test_wrap_mistral_batch_jobs_create_sync(recorded: Recorded) -> None:
    recorded.mistral.batch.jobs.create(**BATCH)
    assert recorded.call == expected_job("create", {"requests": BATCH["requests"]}, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_batch_jobs_create_async(recorded: Recorded) -> None:
    await recorded.mistral.batch.jobs.create_async(**BATCH)
    assert recorded.call == expected_job("create", {"requests": BATCH["requests"]}, recorded.response())


def test_wrap_mistral_batch_jobs_get_sync(recorded: Recorded) -> None:
    job = {"job_id": recorded.mistral.batch.jobs.create(**BATCH).id}
    recorded.mistral.batch.jobs.get(**job)
    assert recorded.call == expected_job("get", job, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_batch_jobs_get_async(recorded: Recorded) -> None:
    job = {"job_id": (await recorded.mistral.batch.jobs.create_async(**BATCH)).id}
    await recorded.mistral.batch.jobs.get_async(**job)
    assert recorded.call == expected_job("get", job, recorded.response())


def test_wrap_mistral_batch_jobs_cancel_sync(recorded: Recorded) -> None:
    job = {"job_id": recorded.mistral.batch.jobs.create(**BATCH).id}
    recorded.mistral.batch.jobs.cancel(**job)
    assert recorded.call == expected_job("cancel", job, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_batch_jobs_cancel_async(recorded: Recorded) -> None:
    job = {"job_id": (await recorded.mistral.batch.jobs.create_async(**BATCH)).id}
    await recorded.mistral.batch.jobs.cancel_async(**job)
    assert recorded.call == expected_job("cancel", job, recorded.response())


def expected_job_list(arguments: Json, response: Json) -> LoggedSpan:
    """What a list of batch jobs shows."""
    jobs = [{name: value for name, value in job.items() if value is not None} for job in response["data"]]
    metadata = {"provider": "mistral", "object": "list"}
    output = {**response, "data": jobs}
    return LoggedSpan("mistral.batch.jobs.list", "task", arguments, output, metadata, {"duration": ANY})


def test_wrap_mistral_batch_jobs_list_sync(recorded: Recorded) -> None:
    recorded.mistral.batch.jobs.create(**BATCH)
    recorded.mistral.batch.jobs.list(page=0, page_size=1)
    assert recorded.call == expected_job_list({"page": 0, "page_size": 1}, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_batch_jobs_list_async(recorded: Recorded) -> None:
    await recorded.mistral.batch.jobs.create_async(**BATCH)
    await recorded.mistral.batch.jobs.list_async(page=0, page_size=1)
    assert recorded.call == expected_job_list({"page": 0, "page_size": 1}, recorded.response())


def finished_job(recorded: Recorded) -> Any:
    """Create a batch job, and look it up until it is over."""
    jobs = recorded.mistral.batch.jobs
    job = jobs.create(**BATCH)
    while job.status in ("QUEUED", "RUNNING"):
        job = jobs.get(job_id=job.id)
    return job


def check_results(recorded: Recorded, job: Any) -> None:
    """Check that the last request's span has below it each result of the job, with its request and at its time."""
    *_, download, first, second = sorted(recorded.rows(), key=lambda row: row["span_attributes"]["exec_counter"])
    results = [json.loads(line) for line in recorded.body().splitlines()]
    assert logged_span(download)[:4] == (
        *("mistral.files.download", "task"),
        *({"file_id": job.output_file}, {"succeeded": 2, "failed": 0}),
    )
    for row, result in zip((first, second), results, strict=True):
        assert row["span_parents"] == [download["span_id"]]
        assert (row["metrics"]["start"], row["metrics"]["end"]) == (job.started_at, job.completed_at)
        expected = expected_completion(
            "chat.complete", {"model": BATCH["model"], **BATCH["requests"][0]["body"]}, result["response"]["body"]
        )
        about = {"custom_id": result["custom_id"], "batch_job_id": job.id, "status_code": 200}
        metrics = {name: value for name, value in expected.metrics.items() if name != "duration"}
        expected = expected._replace(metadata={**expected.metadata, **about}, metrics=metrics)
        assert logged_span(row) == expected


def test_wrap_mistral_files_download_sync(recorded: Recorded) -> None:
    """Whose lines are the results of a batch job."""
    job = finished_job(recorded)
    recorded.mistral.files.download(file_id=job.output_file).read()
    check_results(recorded, job)


@pytest.mark.asyncio
async def test_wrap_mistral_files_download_async(recorded: Recorded) -> None:
    """Whose lines are the results of a batch job."""
    job = finished_job(recorded)
    await (await recorded.mistral.files.download_async(file_id=job.output_file)).aread()
    check_results(recorded, job)


# --- conversations: every method ---


START: Json = {"model": MODEL, "inputs": QUESTION}
FOLLOW_UP: Any = [{"role": "user", "content": "And Porto?", "type": "message.input"}]


def test_wrap_mistral_conversations_start_sync(recorded: Recorded) -> None:
    recorded.conversations.start(**START)
    assert recorded.call == expected_conversation("start", recorded.response(), **START)


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_start_async(recorded: Recorded) -> None:
    await recorded.conversations.start_async(**START)
    assert recorded.call == expected_conversation("start", recorded.response(), **START)


def test_wrap_mistral_conversations_start_stream_sync(recorded: Recorded) -> None:
    consume(recorded.conversations.start_stream(**START))
    assert recorded.call == expected_conversation("start_stream", unstreamed(recorded.events()), **START)


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_start_stream_async(recorded: Recorded) -> None:
    await consume_async(recorded.conversations.start_stream_async(**START))
    assert recorded.call == expected_conversation("start_stream", unstreamed(recorded.events()), **START)


def test_wrap_mistral_conversations_append_sync(recorded: Recorded) -> None:
    started = recorded.conversations.start(**START)
    recorded.conversations.append(conversation_id=started.conversation_id, inputs=FOLLOW_UP)
    assert recorded.call == expected_conversation("append", recorded.response(), inputs=FOLLOW_UP)


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_append_async(recorded: Recorded) -> None:
    started = await recorded.conversations.start_async(**START)
    await recorded.conversations.append_async(conversation_id=started.conversation_id, inputs=FOLLOW_UP)
    assert recorded.call == expected_conversation("append", recorded.response(), inputs=FOLLOW_UP)


def test_wrap_mistral_conversations_append_stream_sync(recorded: Recorded) -> None:
    started = recorded.conversations.start(**START)
    consume(recorded.conversations.append_stream(conversation_id=started.conversation_id, inputs=FOLLOW_UP))
    assert recorded.call == expected_conversation("append_stream", unstreamed(recorded.events()), inputs=FOLLOW_UP)


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_append_stream_async(recorded: Recorded) -> None:
    conversation_id = (await recorded.conversations.start_async(**START)).conversation_id
    await consume_async(recorded.conversations.append_stream_async(conversation_id=conversation_id, inputs=FOLLOW_UP))
    assert recorded.call == expected_conversation("append_stream", unstreamed(recorded.events()), inputs=FOLLOW_UP)


def restart_arguments(started: Any) -> Json:
    """The arguments of a restart from the first answer."""
    return {
        "conversation_id": started.conversation_id,
        "from_entry_id": started.outputs[0].id,
        "inputs": "And Porto?",
        "completion_args": {"temperature": 0.0},
        "metadata": {"suite": "cassettes"},
    }


def expected_restart(method: str, arguments: Json, response: Json) -> LoggedSpan:
    """A restart shows the new conversation's id, and the request's own metadata under a name of its own."""
    assert response["conversation_id"] != arguments["conversation_id"]
    shown = {key: arguments[key] for key in ("inputs", "from_entry_id", "completion_args")}
    return expected_conversation(method, response, **shown, request_metadata=arguments["metadata"])


@sends_metadata
def test_wrap_mistral_conversations_restart_sync(recorded: Recorded) -> None:
    arguments = restart_arguments(recorded.conversations.start(**START))
    recorded.conversations.restart(**arguments)
    assert recorded.call == expected_restart("restart", arguments, recorded.response())


@sends_metadata
@pytest.mark.asyncio
async def test_wrap_mistral_conversations_restart_async(recorded: Recorded) -> None:
    arguments = restart_arguments(await recorded.conversations.start_async(**START))
    await recorded.conversations.restart_async(**arguments)
    assert recorded.call == expected_restart("restart", arguments, recorded.response())


@sends_metadata
def test_wrap_mistral_conversations_restart_stream_sync(recorded: Recorded) -> None:
    arguments = restart_arguments(recorded.conversations.start(**START))
    consume(recorded.conversations.restart_stream(**arguments))
    assert recorded.call == expected_restart("restart_stream", arguments, unstreamed(recorded.events()))


@sends_metadata
@pytest.mark.asyncio
async def test_wrap_mistral_conversations_restart_stream_async(recorded: Recorded) -> None:
    arguments = restart_arguments(await recorded.conversations.start_async(**START))
    await consume_async(recorded.conversations.restart_stream_async(**arguments))
    assert recorded.call == expected_restart("restart_stream", arguments, unstreamed(recorded.events()))


def expected_lookup(method: str, arguments: Json, response: Any, **metadata: Any) -> LoggedSpan:
    """What a call that only looks something up, or deletes it, should show: no usage, no children."""
    shown = {"provider": "mistral", **metadata}
    if "conversation_id" in arguments:
        shown["conversation_id"] = arguments["conversation_id"]
    output = parsed_by_sdk(response)
    return LoggedSpan(f"mistral.beta.conversations.{method}", "task", arguments, output, shown, {"duration": ANY})


def started(recorded: Recorded, **arguments: Any) -> Json:
    """Start a conversation, and return the argument that names it."""
    return {"conversation_id": recorded.conversations.start(**START, **arguments).conversation_id}


async def started_async(recorded: Recorded, **arguments: Any) -> Json:
    """The same, asynchronously."""
    return {"conversation_id": (await recorded.conversations.start_async(**START, **arguments)).conversation_id}


def test_wrap_mistral_conversations_get_sync(recorded: Recorded) -> None:
    one = started(recorded)
    recorded.conversations.get(**one)
    assert recorded.call == expected_lookup("get", one, recorded.response(), object="conversation", model=MODEL)


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_get_async(recorded: Recorded) -> None:
    one = await started_async(recorded)
    await recorded.conversations.get_async(**one)
    assert recorded.call == expected_lookup("get", one, recorded.response(), object="conversation", model=MODEL)


# By their metadata: no cassette shall have anyone's other conversations.
LISTED: Json = {"page": 0, "page_size": 1, "metadata": {"suite": "cassettes"}}


@sends_metadata
def test_wrap_mistral_conversations_list_sync(recorded: Recorded) -> None:
    started(recorded, metadata=LISTED["metadata"])
    recorded.conversations.list(**LISTED)
    assert recorded.call == expected_lookup("list", LISTED, recorded.response())


@sends_metadata
@pytest.mark.asyncio
async def test_wrap_mistral_conversations_list_async(recorded: Recorded) -> None:
    await started_async(recorded, metadata=LISTED["metadata"])
    await recorded.conversations.list_async(**LISTED)
    assert recorded.call == expected_lookup("list", LISTED, recorded.response())


def test_wrap_mistral_conversations_delete_sync(recorded: Recorded) -> None:
    one = started(recorded)
    recorded.conversations.delete(**one)
    assert recorded.call == expected_lookup("delete", one, None)


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_delete_async(recorded: Recorded) -> None:
    one = await started_async(recorded)
    await recorded.conversations.delete_async(**one)
    assert recorded.call == expected_lookup("delete", one, None)


def test_wrap_mistral_conversations_get_history_sync(recorded: Recorded) -> None:
    one = started(recorded)
    recorded.conversations.get_history(**one)
    assert recorded.call == expected_lookup("get_history", one, recorded.response(), object="conversation.history")


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_get_history_async(recorded: Recorded) -> None:
    one = await started_async(recorded)
    await recorded.conversations.get_history_async(**one)
    assert recorded.call == expected_lookup("get_history", one, recorded.response(), object="conversation.history")


def test_wrap_mistral_conversations_get_messages_sync(recorded: Recorded) -> None:
    one = started(recorded)
    recorded.conversations.get_messages(**one)
    assert recorded.call == expected_lookup("get_messages", one, recorded.response(), object="conversation.messages")


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_get_messages_async(recorded: Recorded) -> None:
    one = await started_async(recorded)
    await recorded.conversations.get_messages_async(**one)
    assert recorded.call == expected_lookup("get_messages", one, recorded.response(), object="conversation.messages")


# --- conversations: what can happen ---


def test_wrap_mistral_conversations_start_web_search_sync(recorded: Recorded) -> None:
    """A search is a child as long as Mistral says, and the answer keeps its citations."""
    request: Json = {
        "model": MODEL,
        "inputs": "When does the next ferry leave from Lisbon to Cacilhas?",
        "instructions": "Search once, then answer.",
        "tools": [{"type": "web_search"}],
    }
    recorded.conversations.start(**request)
    call = recorded.call
    assert call == expected_conversation("start", recorded.response(), **request)
    assert [child.name for child in call.children] == ["tool: web_search"]
    assert "tool_reference" in {chunk["type"] for chunk in call.output[-1]["content"]}
    assert call.metadata["connectors"] == {"web_search": 1}
    assert call.metrics["connector_tokens"] > 0


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_start_stream_code_interpreter_async(recorded: Recorded) -> None:
    """Arguments that came in pieces are parsed whole, and the child lasts from its started to its done event."""
    question = "Compute the sum of the first hundred squares with the code interpreter."
    request: Json = {"model": MODEL, "inputs": question, "tools": [{"type": "code_interpreter"}]}
    await consume_async(recorded.conversations.start_stream_async(**request))
    call = recorded.call
    assert call == expected_conversation("start_stream", unstreamed(recorded.events()), **request)
    assert [(child.name, list(child.input)) for child in call.children] == [("tool: code_interpreter", ["code"])]


def test_wrap_mistral_conversations_start_image_generation_sync(recorded: Recorded) -> None:
    """The signature of the image's URL is not logged; the rest of the URL is."""
    prompt = "Draw a yellow ferry on a wide river, in flat colours."
    request: Json = {"model": MODEL, "inputs": prompt, "tools": [{"type": "image_generation"}]}
    recorded.conversations.start(**request)
    response = recorded.response()
    info = response["outputs"][0]["info"]
    unsigned_url, _, signature = json.loads(info["result"])["url"].partition("&sig=")
    assert signature
    info["result"] = json.dumps({"url": f"{unsigned_url}&sig=REDACTED"})
    assert recorded.call == expected_conversation("start", response, **request)


def test_wrap_mistral_conversations_start_stream_parallel_tools_sync(recorded: Recorded) -> None:
    """Executions that overlap and have one name do not mix, and each is as long as it was."""
    question = "Search the weather of Porto, Faro, Braga, Evora and Coimbra, all at once."
    request: Json = {"model": MODEL, "inputs": question, "tools": [{"type": "web_search"}]}
    consume(recorded.conversations.start_stream(**request))
    call = recorded.call
    assert call == expected_conversation("start_stream", unstreamed(recorded.events()), **request)
    assert len({child.input["query"] for child in call.children}) == 5


def test_wrap_mistral_conversations_start_handoff_sync(recorded: Recorded) -> None:
    """A handoff is a child from one agent to the next, between the tools of the one and those of the other."""
    request: Json = {
        "agent_id": AGENT["agent_id"],
        "inputs": "How did tram ridership develop? Hand over to the analyst.",
    }
    recorded.conversations.start(**request)
    call = recorded.call
    assert call == expected_conversation("start", recorded.response(), **request)
    names = [child.name for child in call.children]
    assert names == ["tool: web_search", "handoff: analyst", "tool: code_interpreter"]


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_start_stream_thinking_async(recorded: Recorded) -> None:
    """Reasoning that came word by word is one thinking chunk, in front of the text."""
    request: Json = {"model": "magistral-medium-latest", "inputs": RIDDLE}
    await consume_async(recorded.conversations.start_stream_async(**request))
    call = recorded.call
    assert call == expected_conversation("start_stream", unstreamed(recorded.events()), **request)
    assert [chunk["type"] for chunk in call.output[0]["content"]] == ["thinking", "text"]


@pytest.mark.skipif(
    "guardrails" not in RESPONSE_FIELDS or "moderation_llm_v2" not in models.GuardrailConfig.model_fields,
    reason=f"mistralai {MISTRALAI} has no such guardrails",
)
def test_wrap_mistral_conversations_start_guardrails_sync(recorded: Recorded) -> None:
    """What the guardrails of the request are and what they found are two keys."""
    request: Json = {
        "model": MODEL,
        "inputs": "How far away is the moon?",
        "guardrails": [{"block_on_error": True, "moderation_llm_v2": {"action": "block"}}],
    }
    recorded.conversations.start(**request)
    call = recorded.call
    assert call == expected_conversation("start", recorded.response(), **request)
    assert call.metadata["response_guardrails"][0]["moderation_llm_v2"]["action"] == "none"


EXCHANGE_RATE: Json = {
    "model": MODEL,
    "inputs": "What is a euro in Swedish kronor? Use the function.",
    "tools": [RATES],
}


def function_result(tool_call_id: str) -> Json:
    return {"tool_call_id": tool_call_id, "result": '{"rate": 11.24}', "type": "function.result"}


def test_wrap_mistral_conversations_append_function_result_sync(recorded: Recorded) -> None:
    """The result that an append brings is the output of the call's child."""
    started: Any = recorded.conversations.start(**EXCHANGE_RATE)
    result = function_result(started.outputs[0].tool_call_id)
    recorded.conversations.append(conversation_id=started.conversation_id, inputs=[result])
    results = {result["tool_call_id"]: result["result"]}
    assert recorded.calls() == [
        expected_conversation("start", recorded.response(0), **EXCHANGE_RATE, results=results),
        expected_conversation("append", recorded.response(1), inputs=[result]),
    ]


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_append_stream_function_result_async(recorded: Recorded) -> None:
    """The same when all of it is streamed, where the call's arguments come in pieces."""
    await consume_async(recorded.conversations.start_stream_async(**EXCHANGE_RATE))
    call = unstreamed(recorded.events(0))
    (result,) = (function_result(entry["tool_call_id"]) for entry in call["outputs"])
    append: Json = {"conversation_id": call["conversation_id"], "inputs": [result]}
    await consume_async(recorded.conversations.append_stream_async(**append))
    results = {result["tool_call_id"]: result["result"]}
    assert recorded.calls() == [
        expected_conversation("start_stream", call, **EXCHANGE_RATE, results=results),
        expected_conversation("append_stream", unstreamed(recorded.events(1)), **append),
    ]


@pytest.mark.skipif(
    "tool_confirmations" not in inspect.signature(Conversations.append).parameters
    or not hasattr(models, "CustomConnector"),
    reason=f"mistralai {MISTRALAI} has no tool confirmations, or no connectors among its tools",
)
def test_wrap_mistral_conversations_append_confirmation_sync(recorded: Recorded) -> None:
    """What the application decides about pending calls is on their children; what was allowed runs in the append."""
    request: Json = {
        "model": MODEL,
        "inputs": "Find the last invoice and send it to the desk.",
        "tools": [{"type": "connector", "connector_id": "gmail"}],
    }
    started: Any = recorded.conversations.start(**request)
    first, *others = (entry.tool_call_id for entry in started.outputs)
    decisions: Any = [
        {"tool_call_id": first, "confirmation": "allow"},
        *({"tool_call_id": other, "confirmation": "deny"} for other in others),
    ]
    recorded.conversations.append(conversation_id=started.conversation_id, tool_confirmations=decisions)
    approvals = {first: "approved", **dict.fromkeys(others, "denied")}
    assert recorded.calls() == [
        expected_conversation("start", recorded.response(0), **request, approvals=approvals),
        expected_conversation("append", recorded.response(1), inputs=None, tool_confirmations=decisions),
    ]


@pytest.mark.asyncio
async def test_wrap_mistral_conversations_append_http_error_async(recorded: Recorded) -> None:
    """The caller gets the SDK's own exception, whose text, with what Mistral said, is the span's error."""
    request: Json = {"conversation_id": "conv_01a10c8710df7225a65f98abe10d6608", "inputs": QUESTION}
    with pytest.raises(Exception, match="API error occurred") as caught:
        await recorded.conversations.append_async(**request)
    error = f"{caught.type.__module__}.{caught.type.__qualname__}: {caught.value}"
    assert recorded.response()["message"] in error
    assert recorded.call == expected_conversation("append", {}, **request, error=error)


# --- agents, tools, searches, workflows: every method ---


def expected_work(
    method: str, kind: str, inputs: Any, output: Any, *, error: str | None = None, **metadata: Any
) -> LoggedSpan:
    """Return what a call should show in which no model of ours answers, with what was on the wire as its output."""
    shown = {"provider": "mistral", **_given(metadata)}
    return LoggedSpan(f"mistral.{method}", kind, inputs, parsed_by_sdk(output), shown, {"duration": ANY}, error)


DEFINITION: Json = {
    "model": MODEL,
    "name": "ferry clerk",
    "instructions": "You sell tickets for the ferry.",
    "tools": [{"type": "web_search"}],
    "completion_args": {"temperature": 0.2},
    "handoffs": ["ag_0198a3c204e97d118a5f6b3c92d0e471"],
}


def expected_agent(method: str, arguments: Json, response: Json) -> LoggedSpan:
    """Return what an agent's definition or lookup should show; an empty list of tools is none."""
    known = {name: value for name, value in response.items() if name in models.Agent.model_fields and value != []}
    about = {"agent_id": response["id"], "agent_name": response["name"], "agent_version": response["version"]}
    about |= {"object": "agent", "model": response["model"]}
    return expected_work(f"beta.agents.{method}", "task", arguments, known, **about)


def test_wrap_mistral_agents_create_sync(recorded: Recorded) -> None:
    recorded.mistral.beta.agents.create(**DEFINITION)
    assert recorded.call == expected_agent("create", DEFINITION, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_agents_create_async(recorded: Recorded) -> None:
    await recorded.mistral.beta.agents.create_async(**DEFINITION)
    assert recorded.call == expected_agent("create", DEFINITION, recorded.response())


def test_wrap_mistral_agents_update_sync(recorded: Recorded) -> None:
    change = {"agent_id": recorded.mistral.beta.agents.create(**DEFINITION).id, "instructions": "You sell none."}
    recorded.mistral.beta.agents.update(**change)
    assert recorded.call == expected_agent("update", change, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_agents_update_async(recorded: Recorded) -> None:
    agent = await recorded.mistral.beta.agents.create_async(**DEFINITION)
    change = {"agent_id": agent.id, "instructions": "You sell none."}
    await recorded.mistral.beta.agents.update_async(**change)
    assert recorded.call == expected_agent("update", change, recorded.response())


def test_wrap_mistral_agents_get_sync(recorded: Recorded) -> None:
    one = {"agent_id": recorded.mistral.beta.agents.create(**DEFINITION).id}
    recorded.mistral.beta.agents.get(**one)
    assert recorded.call == expected_agent("get", one, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_agents_get_async(recorded: Recorded) -> None:
    one = {"agent_id": (await recorded.mistral.beta.agents.create_async(**DEFINITION)).id}
    await recorded.mistral.beta.agents.get_async(**one)
    assert recorded.call == expected_agent("get", one, recorded.response())


def test_wrap_mistral_agents_update_version_sync(recorded: Recorded) -> None:
    first = {"agent_id": recorded.mistral.beta.agents.create(**DEFINITION).id, "version": 0}
    recorded.mistral.beta.agents.update_version(**first)
    assert recorded.call == expected_agent("update_version", first, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_agents_update_version_async(recorded: Recorded) -> None:
    first = {"agent_id": (await recorded.mistral.beta.agents.create_async(**DEFINITION)).id, "version": 0}
    await recorded.mistral.beta.agents.update_version_async(**first)
    assert recorded.call == expected_agent("update_version", first, recorded.response())


def test_wrap_mistral_agents_delete_sync(recorded: Recorded) -> None:
    one = {"agent_id": recorded.mistral.beta.agents.create(**DEFINITION).id}
    recorded.mistral.beta.agents.delete(**one)
    assert recorded.call == expected_work("beta.agents.delete", "task", one, None, **one, agent_name="ferry clerk")


@pytest.mark.asyncio
async def test_wrap_mistral_agents_delete_async(recorded: Recorded) -> None:
    one = {"agent_id": (await recorded.mistral.beta.agents.create_async(**DEFINITION)).id}
    await recorded.mistral.beta.agents.delete_async(**one)
    assert recorded.call == expected_work("beta.agents.delete", "task", one, None, **one, agent_name="ferry clerk")


def test_wrap_mistral_conversations_start_agent_sync(recorded: Recorded) -> None:
    """A conversation knows the name of its agent from the call that defined it."""
    request: Json = {"agent_id": recorded.mistral.beta.agents.create(**DEFINITION).id, "inputs": QUESTION}
    recorded.conversations.start(**request)
    expected = expected_conversation("start", recorded.response(), **request)
    assert recorded.call == expected._replace(metadata={**expected.metadata, "agent_name": "ferry clerk"})


# The SDK's own, of methods and parameters that it is about to change.
warns_of_changes = pytest.mark.filterwarnings(r"ignore:warning. \*\* DEPRECATED:DeprecationWarning")

TOOL: Json = {"tool_name": "find_line", "connector_id_or_name": "ferries", "arguments": {"to": "Cacilhas"}}
ABOUT_TOOL: Json = {"tool_name": "find_line", "connector_id_or_name": "ferries"}


@warns_of_changes
@has_resource("connectors")
def test_wrap_mistral_connectors_call_tool_sync(recorded: Recorded) -> None:
    recorded.mistral.beta.connectors.call_tool(**TOOL)
    expected = expected_work("beta.connectors.call_tool", "tool", TOOL["arguments"], recorded.response(), **ABOUT_TOOL)
    assert recorded.call == expected


@pytest.mark.asyncio
@warns_of_changes
@has_resource("connectors")
async def test_wrap_mistral_connectors_call_tool_async(recorded: Recorded) -> None:
    """A failure that the tool returns, in a response that is a success, is an error."""
    failing = {**TOOL, "tool_name": "failing-tool"}
    await recorded.mistral.beta.connectors.call_tool_async(**failing)
    about = {**ABOUT_TOOL, "tool_name": "failing-tool"}
    expected = expected_work(
        "beta.connectors.call_tool",
        "tool",
        TOOL["arguments"],
        recorded.response(),
        error=recorded.response()["content"][0]["text"],
        **about,
    )
    assert recorded.call == expected


INDEX = "ferries"
SEARCHES: dict[str, Json] = {
    "search": {"retriever": {"type": "keyword", "query": "ticket", "top_k": 2}},
    "navigate": {"source_id": "timetable", "start_offset": 0, "end_offset": 62, "direction": "next"},
    "read": {"source_id": "timetable", "start_offset": 0, "end_offset": 200},
    "grep": {"source_id": "timetable", "pattern": "1.40", "mode": "term"},
    "get_chunk": {"chunk_id": "chunk_1"},
}


def search(recorded: Recorded, method: str) -> None:
    getattr(recorded.mistral.beta.context.search_indexes, method)(index_name=INDEX, **SEARCHES[method])
    assert recorded.call == expected_search(method, recorded.response())


async def search_async(recorded: Recorded, method: str) -> None:
    indexes = recorded.mistral.beta.context.search_indexes
    await getattr(indexes, f"{method}_async")(index_name=INDEX, **SEARCHES[method])
    assert recorded.call == expected_search(method, recorded.response())


def expected_search(method: str, response: Json, resource: str = "context.search_indexes") -> LoggedSpan:
    """Return what a search should show: the list of what it found."""
    (found,) = response.values()
    return expected_work(f"beta.{resource}.{method}", "tool", SEARCHES[method], found, index_name=INDEX)


has_search_indexes = has_resource("context_search_indexes")


@has_search_indexes
def test_wrap_mistral_context_search_indexes_search_sync(recorded: Recorded) -> None:
    search(recorded, "search")


@pytest.mark.asyncio
@has_search_indexes
async def test_wrap_mistral_context_search_indexes_search_async(recorded: Recorded) -> None:
    await search_async(recorded, "search")


@has_search_indexes
def test_wrap_mistral_context_search_indexes_navigate_sync(recorded: Recorded) -> None:
    search(recorded, "navigate")


@pytest.mark.asyncio
@has_search_indexes
async def test_wrap_mistral_context_search_indexes_navigate_async(recorded: Recorded) -> None:
    await search_async(recorded, "navigate")


@has_search_indexes
def test_wrap_mistral_context_search_indexes_read_sync(recorded: Recorded) -> None:
    search(recorded, "read")


@pytest.mark.asyncio
@has_search_indexes
async def test_wrap_mistral_context_search_indexes_read_async(recorded: Recorded) -> None:
    await search_async(recorded, "read")


@has_search_indexes
def test_wrap_mistral_context_search_indexes_grep_sync(recorded: Recorded) -> None:
    search(recorded, "grep")


@pytest.mark.asyncio
@has_search_indexes
async def test_wrap_mistral_context_search_indexes_grep_async(recorded: Recorded) -> None:
    await search_async(recorded, "grep")


@has_search_indexes
def test_wrap_mistral_context_search_indexes_get_chunk_sync(recorded: Recorded) -> None:
    search(recorded, "get_chunk")


@pytest.mark.asyncio
@has_search_indexes
async def test_wrap_mistral_context_search_indexes_get_chunk_async(recorded: Recorded) -> None:
    await search_async(recorded, "get_chunk")


@has_managed_indexes
def test_wrap_mistral_rag_managed_indexes_search_sync(recorded: Recorded) -> None:
    recorded.mistral.beta.rag.managed_indexes.search(index_name=INDEX, **SEARCHES["search"])
    assert recorded.call == expected_search("search", recorded.response(), "rag.managed_indexes")


@pytest.mark.asyncio
@has_managed_indexes
async def test_wrap_mistral_rag_managed_indexes_search_async(recorded: Recorded) -> None:
    await recorded.mistral.beta.rag.managed_indexes.search_async(index_name=INDEX, **SEARCHES["search"])
    assert recorded.call == expected_search("search", recorded.response(), "rag.managed_indexes")


LIBRARY = "lib_0198a3c1"
FOUND_BY: Json = {"search": "ferry", "page_size": 10}


def expected_documents(method: str, arguments: Json, response: Json) -> LoggedSpan:
    """Return what a search of a library should show, or what is read of it; 1.x drops what it does not know."""
    known = getattr(models, "DocumentOut", None) or models.Document
    if "data" in response:
        documents = [{name: one[name] for name in one if name in known.model_fields} for one in response["data"]]
        response = {**response, "data": documents}
    return expected_work(f"beta.libraries.documents.{method}", "tool", arguments, response, library_id=LIBRARY)


@warns_of_changes
def test_wrap_mistral_libraries_documents_list_sync(recorded: Recorded) -> None:
    recorded.mistral.beta.libraries.documents.list(library_id=LIBRARY, **FOUND_BY)
    assert recorded.call == expected_documents("list", FOUND_BY, recorded.response())


@pytest.mark.asyncio
@warns_of_changes
async def test_wrap_mistral_libraries_documents_list_async(recorded: Recorded) -> None:
    await recorded.mistral.beta.libraries.documents.list_async(library_id=LIBRARY, **FOUND_BY)
    assert recorded.call == expected_documents("list", FOUND_BY, recorded.response())


def test_wrap_mistral_libraries_documents_text_content_sync(recorded: Recorded) -> None:
    recorded.mistral.beta.libraries.documents.text_content(library_id=LIBRARY, document_id="doc-timetable")
    assert recorded.call == expected_documents("text_content", {"document_id": "doc-timetable"}, recorded.response())


@pytest.mark.asyncio
async def test_wrap_mistral_libraries_documents_text_content_async(recorded: Recorded) -> None:
    await recorded.mistral.beta.libraries.documents.text_content_async(library_id=LIBRARY, document_id="doc-timetable")
    assert recorded.call == expected_documents("text_content", {"document_id": "doc-timetable"}, recorded.response())


PASSENGERS: Json = {"passengers": 4, "leaves": "14:10"}
has_workflows = has_resource("workflows")


def expected_execution(method: str, response: Json, output: Any, inputs: Any = None, **request: Any) -> LoggedSpan:
    """Return what the execution of a workflow should show, and what is known of it."""
    about = {name: response.get(name) for name in ("workflow_name", "execution_id", "status")}
    return expected_work(f"workflows.{method}", "task", inputs, output, **request, **about)


@has_workflows
@sends_workflows_as_recorded
def test_wrap_mistral_workflows_execute_workflow_sync(recorded: Recorded) -> None:
    recorded.mistral.workflows.execute_workflow(workflow_identifier="book-ferry", input=PASSENGERS)
    response = recorded.response()
    request = {"workflow_identifier": "book-ferry", "inputs": PASSENGERS}
    assert recorded.call == expected_execution("execute_workflow", response, response, **request)


@pytest.mark.asyncio
@has_workflows
@sends_workflows_as_recorded
async def test_wrap_mistral_workflows_execute_workflow_async(recorded: Recorded) -> None:
    await recorded.mistral.workflows.execute_workflow_async(
        workflow_identifier="book-ferry", input=PASSENGERS, wait_for_result=True
    )
    response = recorded.response()
    request = {"workflow_identifier": "book-ferry", "wait_for_result": True, "inputs": PASSENGERS}
    assert recorded.call == expected_execution("execute_workflow", response, response["result"], **request)


@warns_of_changes
@has_workflows
@sends_workflows_as_recorded
def test_wrap_mistral_workflows_execute_workflow_registration_sync(recorded: Recorded) -> None:
    recorded.mistral.workflows.execute_workflow_registration(workflow_registration_id="reg-1", input=PASSENGERS)
    response = recorded.response()
    request = {"workflow_registration_id": "reg-1", "inputs": PASSENGERS}
    assert recorded.call == expected_execution("execute_workflow_registration", response, response, **request)


@pytest.mark.asyncio
@warns_of_changes
@has_workflows
@sends_workflows_as_recorded
async def test_wrap_mistral_workflows_execute_workflow_registration_async(recorded: Recorded) -> None:
    await recorded.mistral.workflows.execute_workflow_registration_async(
        workflow_registration_id="reg-1", input=PASSENGERS
    )
    response = recorded.response()
    request = {"workflow_registration_id": "reg-1", "inputs": PASSENGERS}
    assert recorded.call == expected_execution("execute_workflow_registration", response, response, **request)


@has_workflows
@sends_workflows_as_recorded
def test_wrap_mistral_workflows_wait_for_workflow_completion_sync(recorded: Recorded) -> None:
    started = recorded.mistral.workflows.execute_workflow(workflow_identifier="book-ferry", input=PASSENGERS)
    recorded.mistral.workflows.wait_for_workflow_completion(started.execution_id)
    response = recorded.response()
    assert recorded.call == expected_execution("wait_for_workflow_completion", response, response["result"])


@pytest.mark.asyncio
@has_workflows
@sends_workflows_as_recorded
async def test_wrap_mistral_workflows_wait_for_workflow_completion_async(recorded: Recorded) -> None:
    started = await recorded.mistral.workflows.execute_workflow_async(
        workflow_identifier="book-ferry", input=PASSENGERS
    )
    await recorded.mistral.workflows.wait_for_workflow_completion_async(started.execution_id)
    response = recorded.response()
    assert recorded.call == expected_execution("wait_for_workflow_completion", response, response["result"])


@has_workflows
@sends_workflows_as_recorded
def test_wrap_mistral_workflows_execute_workflow_and_wait_sync(recorded: Recorded) -> None:
    recorded.mistral.workflows.execute_workflow_and_wait("book-ferry", PASSENGERS, use_api_sync=True)
    about = {"workflow_identifier": "book-ferry", "use_api_sync": True}
    assert recorded.call == expected_work(
        "workflows.execute_workflow_and_wait", "task", PASSENGERS, recorded.response()["result"], **about
    )


@pytest.mark.asyncio
@has_workflows
@sends_workflows_as_recorded
async def test_wrap_mistral_workflows_execute_workflow_and_wait_async(recorded: Recorded) -> None:
    await recorded.mistral.workflows.execute_workflow_and_wait_async("book-ferry", PASSENGERS, use_api_sync=True)
    about = {"workflow_identifier": "book-ferry", "use_api_sync": True}
    assert recorded.call == expected_work(
        "workflows.execute_workflow_and_wait", "task", PASSENGERS, recorded.response()["result"], **about
    )


# --- all of them ---


@pytest.mark.parametrize("resource", RESOURCES, ids=[resource.path for resource in RESOURCES])
def test_every_traced_method_is_tested(resource: Resource) -> None:
    """A method without a recorded test would be one that nobody has seen work."""
    here = [place for place in resource.places if place.provider is MISTRAL and find_module(place.module)]
    if not here:
        pytest.skip(f"mistralai {MISTRALAI} has no {resource.path}")
    target = getattr(importlib.import_module(here[0].module), here[0].class_name)
    methods = [
        name for method in resource.methods.operations for name in (method, f"{method}_async") if hasattr(target, name)
    ]
    surface = resource.path.removeprefix("beta.").replace(".", "_")
    if is_recorded_elsewhere(surface):
        pytest.skip(f"{resource.path} was recorded with other versions of mistralai than {MISTRALAI}")
    names = [method if method.endswith("_async") else f"{method}_sync" for method in methods]
    tests = [f"test_wrap_mistral_{surface}_{name}" for name in names]
    missing = [test for test in tests if test not in globals()]
    assert not missing, f"write these, and record them: {missing}"
