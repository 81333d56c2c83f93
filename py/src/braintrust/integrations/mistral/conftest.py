"""What the tests of the integration share: spans that stay here, a real client, and no fault that hides."""

import asyncio
import builtins
import contextlib
import functools
import importlib
import importlib.metadata
import inspect
import json
import logging
import operator
import os
import pathlib
import subprocess
import sys
import threading
import time
import types
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from unittest.mock import ANY

import braintrust
import pytest
from braintrust import logger as braintrust_logger
from braintrust.logger import Attachment, ObjectMetadata, OrgProjectMetadata
from braintrust.util import LazyValue

from . import faults as faults_module
from . import streams as streams_module
from . import wrap_mistral
from .integration import MistralIntegration
from .patchers import PATCHERS


try:
    from mistralai.client import Mistral
    from mistralai.client.conversations import Conversations
except ImportError:
    from mistralai import Mistral  # 1.x
    from mistralai.conversations import Conversations  # type: ignore[no-redef]

try:
    import httpx2 as httpx
except ImportError:
    import httpx

if TYPE_CHECKING:
    from local import LocalBraintrust, LocalMistral


def reported_faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """Yield what the guard reports from now on, and fail on what is still in that list in the end."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    monkeypatch.setattr(faults_module, "_reported", set())
    collector = Collector(level=logging.WARNING)
    logging.getLogger("braintrust.integrations.mistral").addHandler(collector)
    yield records
    logging.getLogger("braintrust.integrations.mistral").removeHandler(collector)
    assert not records, "\n".join(logging.Formatter().format(record) for record in records)


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """What the guard reported. A test that expects a fault removes it from the list; any other fails the test."""
    yield from reported_faults(monkeypatch)


class LoggedSpans:
    """The spans that the tests' logger received."""

    def __init__(self) -> None:
        self._memory = braintrust_logger._MemoryBackgroundLogger()

    @property
    def memory(self) -> Any:
        """The SDK's in-memory logger."""
        return self._memory

    @property
    def records(self) -> int:
        """How many log records were written since the last `pop`."""
        return len(self._memory.logs)

    @property
    def ends(self) -> Counter[str]:
        """How often each span was ended since the last `pop`, by its id."""
        rows = [record.get() for record in self._memory.logs]
        ends = Counter({row["span_id"]: 0 for row in rows})
        ends.update(row["span_id"] for row in rows if "end" in row.get("metrics", {}))
        return ends

    def pop_ended(self) -> list[dict[str, Any]]:
        """Return the rows since the last `pop` when each span has ended, which is once."""
        wait_until(lambda: 0 not in self.ends.values())
        assert set(self.ends.values()) <= {1}
        return self.pop()

    def pop(self) -> list[dict[str, Any]]:
        """Return the rows since the last `pop`, merged as the backend does, in the order their spans were opened."""
        return sorted(self._memory.pop(), key=lambda row: row.get("span_attributes", {}).get("exec_counter", 0))

    def pop_one(self) -> dict[str, Any]:
        """Return the only row since the last `pop`."""
        (row,) = self.pop()
        return row

    def pop_tree(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the only call since the last `pop`, and its children."""
        root, *children = self.pop()
        assert all(child["span_parents"] == [root["span_id"]] for child in children)
        return root, children


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoggedSpans]:
    """A logger whose spans stay in this process, whichever thread logs them."""
    logged = LoggedSpans()
    project = OrgProjectMetadata(org_id="org", project=ObjectMetadata(id="project", name="project", full_info={}))
    state = braintrust_logger._state
    state.reset_parent_state()
    monkeypatch.setattr(state, "_global_bg_logger", LazyValue(lambda: logged.memory, use_mutex=False))
    braintrust.init_logger(project="project")._lazy_metadata = LazyValue(lambda: project, use_mutex=False)
    yield logged
    state.reset_parent_state()


@pytest.fixture(scope="session", autouse=True)
def instrumented() -> None:
    """Every test runs instrumented, as an application is after `braintrust.auto_instrument()`."""
    assert MistralIntegration.setup()


@pytest.fixture
def uninstrumented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tracing off the SDK's classes: this test puts it on."""
    take_off_tracing(monkeypatch)


def take_off_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the tracing off the SDK's classes, until the test is over."""
    for patcher in (method for resource in PATCHERS for method in resource.sub_patchers):
        module: Any = patcher.resolve_root(None, None)
        method: Any = patcher.resolve_target(None, None)
        if module is not None and patcher.has_patch_marker(method):
            class_name, _, name = patcher.target_path.partition(".")
            monkeypatch.setattr(getattr(module, class_name), name, method.__wrapped__)
            monkeypatch.delattr(method.__wrapped__, patcher.patch_marker_attr())


@pytest.fixture
def no_logger() -> Iterator[None]:
    """Nothing to log to: no logger, no experiment, no current span."""
    braintrust_logger._state.reset_parent_state()
    yield
    braintrust_logger._state.reset_parent_state()


Handler = Callable[[Any], Any]
MakeClient = Callable[[Handler], Mistral]


def client_of(handler: Handler) -> Mistral:
    """Return a real client whose transport, sync and async, is answered by a function of the request.

    It may be a coroutine function where the client is asynchronous.
    """

    async def handle_async(request: Any) -> Any:
        response = handler(request)
        return await response if inspect.isawaitable(response) else response

    return Mistral(
        api_key="key",
        client=httpx.Client(transport=httpx.MockTransport(handler)),
        async_client=httpx.AsyncClient(transport=httpx.MockTransport(handle_async)),
    )


@pytest.fixture
def make_client() -> MakeClient:
    """Make a real client that a function answers, see `client_of`."""
    return client_of


def answer(body: Any, status: int = 200) -> Any:
    """Return an HTTP response with a JSON body."""
    return httpx.Response(status, json=body)


def answer_stream(events: Iterable[Mapping[str, Any]], error: BaseException | None = None) -> Any:
    """Return an HTTP response with a body of server-sent events, each the `data` of one, for sync and async clients.

    The body breaks with `error` after the last event, if there is one.
    """

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for event in events:
                # The chunks of completions have no type, and no event is named after it.
                name = f"event: {event['type']}\n" if "type" in event else ""
                yield f"{name}data: {json.dumps(event)}\n\n".encode()
            if error is not None:
                raise error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in self:
                yield part

    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())


class HangingBody(httpx.AsyncByteStream):
    """A body that sends what another one has, and then nothing more, without an end."""

    def __init__(self, body: Any) -> None:
        self.is_waited_for = asyncio.Event()
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part
        self.is_waited_for.set()
        await asyncio.Event().wait()


CallMethod = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def call_method(request: pytest.FixtureRequest, make_client: MakeClient) -> CallMethod:
    """Call a method, or else its async twin: `call_method(handler, "audio.speech.complete", **arguments)`."""

    def call(handler: Handler, path: str, **arguments: Any) -> Any:
        resource, _, name = path.rpartition(".")
        target = operator.attrgetter(resource)(make_client(handler))
        if request.param == "sync":
            return getattr(target, name)(**arguments)

        async def call_async() -> Any:
            return await getattr(target, f"{name}_async")(**arguments)

        return asyncio.run(call_async())

    return call


Json: TypeAlias = dict[str, Any]


def answer_until(events: list[Json]) -> tuple[Any, HangingBody]:
    """Return a response, for async clients, that brings these events and then hangs; and its body."""
    body = HangingBody(answer_stream(events).stream)
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body), body


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
    error: str | None
    seconds: Any
    children: "tuple[LoggedSpan, ...]"


def logged_calls(rows: Iterable[Json]) -> list[LoggedSpan]:
    """Return the calls in these rows, which are merged already, each with its children.

    Checks what holds for every call: its spans say what made them, no child has children, and the children are within
    the call, unless together they are longer than it: then they end with it.
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
            assert first >= root["metrics"]["start"] or last == pytest.approx(root["metrics"]["end"], abs=1e-5)
    assert len(rows) == sum(1 + len(call.children) for call in calls)
    return calls


def _is_settled(row: Json) -> bool:
    is_call = row["metadata"]["tool_type"] == "function.call"
    return is_call and (row.get("output") is not None or "tool_approval" in row["metadata"])


def logged_span(row: Json, children: tuple[LoggedSpan, ...] = ()) -> LoggedSpan:
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


def expected_call(
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
        "model": next((entry["model"] for entry in outputs or () if "model" in entry), request.get("model")),
        "conversation_id": response.get("conversation_id", request.get("conversation_id")),
        "object": response.get("object"),
        "connectors": usage.pop("connectors", None),
        "response_guardrails": None if IS_MISTRALAI_1 else response.get("guardrails"),
    }
    if "total_tokens" in usage:
        usage["tokens"] = usage.pop("total_tokens")
    times = {"duration": ANY, "time_to_first_token": ANY} if streamed and outputs else {"duration": ANY}
    return LoggedSpan(
        name=f"mistral.beta.conversations.{method}",
        type="task",
        input=inputs,
        output=outputs,
        metadata={name: value for name, value in metadata.items() if value is not None},
        metrics=usage | times,
        error=error,
        seconds=ANY,
        children=tuple(_expected_children(outputs or [], results, approvals)),
    )


def _expected_children(
    outputs: list[Json], results: Mapping[str, Any], approvals: Mapping[str, str]
) -> Iterator[LoggedSpan]:
    for index, entry in enumerate(outputs):
        child = _expected_child(entry, index) if entry["type"] != "message.output" else None
        if child is not None and entry["type"] == "function.call":
            call = entry["tool_call_id"]
            approval = {"tool_approval": approvals[call]} if call in approvals else {}
            child = child._replace(output=results.get(call), metadata=child.metadata | approval)
        if child is not None:
            yield child


def _expected_child(entry: Json, index: int) -> LoggedSpan:
    kind, error = entry["type"], None
    if kind == "agent.handoff":
        name = entry["next_agent_name"]
        input, output = (
            {"agent_id": entry[f"{side}_agent_id"], "agent_name": entry[f"{side}_agent_name"]}
            for side in ("previous", "next")
        )
    else:
        name, input, output = entry["name"], _parsed(entry.get("arguments")), entry.get("info")
        if output and str(output.get("result")).startswith("Error executing tool"):
            error = output["result"]
    metadata = {
        "tool_type": kind,
        "tool_name": name,
        "tool_call_id": entry.get("tool_call_id", entry["id"]),
        "tool_index": index,
        **{key: entry[key] for key in ("agent_id", "model") if key in entry},
    }
    times = [
        datetime.fromisoformat(entry[key].replace("Z", "+00:00"))
        for key in ("created_at", "completed_at")
        if key in entry
    ]
    return LoggedSpan(
        name=f"handoff: {name}" if kind == "agent.handoff" else f"tool: {name}",
        type="tool",
        input=input,
        output=output,
        metadata=metadata,
        metrics={},
        error=error,
        seconds=pytest.approx((times[1] - times[0]).total_seconds(), abs=1e-5) if len(times) == 2 else ANY,
        children=(),
    )


def _parsed(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


IS_MISTRALAI_1 = importlib.metadata.version("mistralai").startswith("1.")

_UNKNOWN_TO_SDK = {"tool.execution": {"function"}}
_UNKNOWN_TO_MISTRALAI_1 = {
    "tool.execution": {"function", "model", "agent_id"},
    "function.call": {"model", "agent_id", "confirmation_status"},
}


def parsed_by_sdk(value: Any) -> Any:
    """Return what is left of a value on the wire after the SDK has parsed it.

    Its models drop the fields that they do not know, so nobody can trace those. What is null is left out of logs.
    """
    if isinstance(value, list):
        return [parsed_by_sdk(item) for item in value]
    if not isinstance(value, dict):
        return value
    unknown = (_UNKNOWN_TO_MISTRALAI_1 if IS_MISTRALAI_1 else _UNKNOWN_TO_SDK).get(value.get("type", ""), set())
    return {
        # These two have no model: they are as they came.
        key: item if key in ("info", "arguments") else parsed_by_sdk(item)
        for key, item in value.items()
        if item is not None and key not in unknown
    }


def events_of(body: bytes) -> list[Json]:
    """Return the data of the server-sent events in the body of a stream."""
    lines = body.decode().splitlines()
    # The stream of a completion ends with "[DONE]".
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


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


class Accesses:
    """What this process opened, looked up or connected to while `recording`."""

    EVENTS = frozenset(
        {"open", "os.listdir", "os.scandir", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
    )

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.recording = False
        # Hooks cannot be taken off again: there is one, and it does nothing most of the time.
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.recording and event in self.EVENTS:
            self.seen.append(f"{event} {arguments}")


@pytest.fixture(scope="session")
def audit() -> Accesses:
    return Accesses()


@pytest.fixture
def accesses(audit: Accesses, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is opened, asked for its existence, looked up or connected to."""
    audit.seen = []
    for module, name in [(os, "stat"), (os, "lstat"), (os, "access"), (os, "readlink"), (builtins, "open")]:
        original = getattr(module, name)

        def spy(path: Any, *args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            audit.seen.append(f"{_name} {path}")
            return _original(path, *args, **kwargs)

        monkeypatch.setattr(module, name, spy)
    audit.recording = True
    yield audit.seen
    audit.recording = False


@pytest.fixture
def secret(tmp_path: pathlib.Path) -> str:
    """The path of a file that exists and could be read."""
    path = tmp_path / "secret.png"
    path.write_bytes(b"do not read me")
    return str(path)


Provide = Callable[[str, Callable[..., Any]], None]


@pytest.fixture
def provide(monkeypatch: pytest.MonkeyPatch) -> Provide:
    """Put a function in the place of the SDK's, below the tracing: `provide("start", function)`.

    For arguments and results that the SDK's own models would refuse.
    """

    def put(method: str, function: Callable[..., Any]) -> None:
        monkeypatch.setattr(vars(Conversations)[method], "__wrapped__", function)

    return put


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another thread: for as long as it takes, but not for one that hangs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute in vain"
        time.sleep(0.005)


def wait_for_abandoned_streams() -> None:
    """Return when the streams that were abandoned before have been ended: they are ended in order."""
    ended = threading.Event()
    marker: Any = types.SimpleNamespace(end=lambda *_: ended.set())
    streams_module._open_streams.abandon(marker, time.time())
    assert ended.wait(60)


@pytest.fixture(scope="session", autouse=True)
def imported() -> None:
    """Import now what the SDK imports late, and with it much that Python 3.13 warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _ = Mistral(api_key="key").beta.conversations


# --- applications in processes of their own ---


def run_application(
    code: str, folder: pathlib.Path, mistral: "LocalMistral", bt: "LocalBraintrust", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run an application to its end, which is also when it sends its last spans, and return what it printed."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **bt.environment(), "LOCAL_MISTRAL_URL": mistral.url, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process


def without_identity(value: Any) -> Any:
    """A value without what no two conversations share: ids and times."""
    if isinstance(value, dict):
        return {key: without_identity(item) for key, item in value.items() if key not in _IDENTITY}
    if isinstance(value, (list, tuple)):
        return [without_identity(item) for item in value]
    return value


_IDENTITY = {"id", "tool_call_id", "conversation_id", "created_at", "completed_at"}


# --- client-side runs ---


AT = "2026-10-05T14:45:45Z"
USAGE: Json = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def import_runs() -> Any:
    """Return the SDK's module of client-side runs, or skip the test module that asks for it."""
    with warnings.catch_warnings():
        # From Python 3.12 on, what it imports warns.
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("mistralai.extra.run.context")
        except ModuleNotFoundError:
            pytest.skip('needs the extra "agents" of mistralai', allow_module_level=True)


def says(text: str) -> Json:
    """Return a message of the model."""
    times = {"created_at": AT, "completed_at": AT}
    fields = {"id": "msg_1", "model": "mistral-small-latest", "role": "assistant", "content": text}
    return {"object": "entry", "type": "message.output", **times, **fields}


def calls(name: str, arguments: Any, tool_call_id: str = "call_1", **fields: Any) -> Json:
    """Return a function call of the model; its arguments are JSON, or a text that pretends to be."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"id": f"fc_{tool_call_id}", "tool_call_id": tool_call_id, "name": name, "arguments": text}
    return {"object": "entry", "type": "function.call", "created_at": AT, **call, **fields}


BREAD = [[calls("knead", {"minutes": 8})], [says("It rests.")]]
"""The turns of a run that calls one function."""


def context_of(*functions: Callable[..., Any], **settings: Any) -> Any:
    """Return a `RunContext` with these functions registered."""
    context = import_runs().RunContext(**(settings if "agent_id" in settings else {"model": "m", **settings}))
    for function in functions:
        context.register_func(function)
    return context


def gives(result: str, tool_call_id: str = "call_1") -> Json:
    """Return the result of a function call."""
    return {"object": "entry", "type": "function.result", "tool_call_id": tool_call_id, "result": result}


def streamed(entries: Iterable[Json], conversation_id: str = "conv_1") -> list[Json]:
    """Return the events that bring these entries, which `says` and `calls` made."""
    events: list[Json] = [
        {"type": "conversation.response.started", "created_at": AT, "conversation_id": conversation_id}
    ]
    for index, entry in enumerate(entries):
        part = "content" if entry["type"] == "message.output" else "arguments"
        fields = {name: entry[name] for name in entry.keys() - {"object", "completed_at"}}
        middle = len(entry[part]) // 2
        events += [
            {**fields, "type": f"{entry['type']}.delta", "output_index": index, part: piece}
            for piece in (entry[part][:middle], entry[part][middle:])
        ]
    return [*events, {"type": "conversation.response.done", "created_at": AT, "usage": USAGE}]


Turn: TypeAlias = "list[Json] | httpx.Response | Callable[[Json], Any]"


class ScriptedMistral:
    """A Mistral behind a real client: the nth request of each conversation is answered with the nth turn.

    A turn is the entries of the answer, streamed or not as the request wants it; a whole HTTP response; or a function
    of the request's body, a coroutine function where the client is asynchronous, that returns one of these.
    """

    def __init__(self, *turns: Turn) -> None:
        self.requests: list[Json] = []
        """The bodies of the requests for a conversation, oldest first."""
        self.agent_updates: list[Json] = []
        self.client = client_of(self._answer)
        self._turns = turns
        self._conversations: dict[str, Iterator[Turn]] = {}

    def _answer(self, request: Any) -> Any:
        kind, *ids = request.url.path.removeprefix("/v1/").split("/")
        body = json.loads(request.content) if request.content else {}
        if kind == "chat":
            choice = {"index": 0, "message": {"role": "assistant", "content": "Rye."}, "finish_reason": "stop"}
            chat = {"id": "chat_1", "object": "chat.completion", "model": "m", "created": 0}
            return answer({**chat, "choices": [choice], "usage": USAGE})
        if kind == "agents":
            if request.method == "PATCH":
                self.agent_updates.append(body)
            agent = {"object": "agent", "id": ids[0], "name": "baker", "model": "m", "version": 0, "versions": [0]}
            return answer({**agent, "created_at": AT, "updated_at": AT, "deployment_chat": False, "source": "api"})
        conversation_id = ids[0] if ids else f"conv_{len(self._conversations) + 1}"
        self.requests.append(body)
        turn = next(self._conversations.setdefault(conversation_id, iter(self._turns)))
        return _response(turn(body) if callable(turn) else turn, body, conversation_id)


def _response(turn: Any, body: Json, conversation_id: str) -> Any:
    if inspect.isawaitable(turn):
        return _awaited_response(turn, body, conversation_id)
    if isinstance(turn, httpx.Response):
        return turn
    if body.get("stream"):
        return answer_stream(streamed(turn, conversation_id))
    response = {"object": "conversation.response", "conversation_id": conversation_id, "outputs": turn}
    return answer({**response, "usage": USAGE})


async def _awaited_response(turn: Any, body: Json, conversation_id: str) -> Any:
    return _response(await turn, body, conversation_id)


async def unstreamed_run(mistral: ScriptedMistral, context: Any, inputs: Any = "Bake", **arguments: Any) -> Any:
    """Run a conversation unstreamed."""
    return await mistral.client.beta.conversations.run_async(run_ctx=context, inputs=inputs, **arguments)


async def streamed_run(mistral: ScriptedMistral, context: Any, inputs: Any = "Bake", **arguments: Any) -> Any:
    """Run a conversation streamed, to its end; the last of what it yields is the result."""
    stream = await mistral.client.beta.conversations.run_stream_async(run_ctx=context, inputs=inputs, **arguments)
    *_, result = [item async for item in stream]
    return result


def as_function(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for a run to execute."""
    return body


def as_coroutine(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return the coroutine function that does the same, after a turn of the event loop."""

    @functools.wraps(body)
    async def function(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return body(*args, **kwargs)

    return function


Run: TypeAlias = Callable[..., Any]
Kind: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

both_ways = pytest.mark.parametrize("run", [unstreamed_run, streamed_run])
both_kinds = pytest.mark.parametrize("kind", [as_function, as_coroutine])


def short_name(row: Json) -> str:
    """Return the name of a span; of a conversation's, streamed or not, only the method."""
    name: str = row["span_attributes"]["name"]
    return name.removeprefix("mistral.beta.conversations.").removesuffix("_stream")


def by_name(rows: Iterable[Json]) -> dict[str, Json]:
    """Return these spans, of which no two have one name, by their short names."""
    rows = list(rows)
    named = {short_name(row): row for row in rows}
    assert len(named) == len(rows)
    return named


def outline(rows: Iterable[Json], parent: str | None = None) -> list[str]:
    """Return the tree of these spans: short names in the order they were opened, indented below the parent's."""
    rows = list(rows)
    ids = {row["span_id"] for row in rows}
    lines: list[str] = []
    for row in rows:
        (above,) = row.get("span_parents") or [None]
        if (above if above in ids else None) == parent:
            lines += [short_name(row), *(f"  {line}" for line in outline(rows, row["span_id"]))]
    return lines


# --- recording and replaying: how is told in `cassettes/README.md` ---


API = "https://api.mistral.ai"
CASSETTES = pathlib.Path(__file__).parent / "cassettes"
MISTRALAI = importlib.metadata.version("mistralai")
CASSETTE_VERSION = os.environ.get("BRAINTRUST_TEST_PACKAGE_VERSION") or (
    MISTRALAI if (CASSETTES / MISTRALAI).is_dir() else "latest"
)

RECORDED = [
    pytest.mark.vcr,
    pytest.mark.block_network,
    pytest.mark.skipif(
        int(MISTRALAI.partition(".")[0]) >= 3 and int(importlib.metadata.version("vcrpy").partition(".")[0]) < 9,
        reason="mistralai 3 speaks httpx2, which vcrpy sees from 9.0 on; that needs Python 3.11",
    ),
]
"""The marks of a test with a cassette."""

MODEL = "mistral-medium-latest"
QUESTION = "Where does Lisbon lie? Answer in one sentence."
RATES: Any = {
    "type": "function",
    "function": {
        "name": "get_exchange_rate",
        "description": "The exchange rate of two currencies.",
        "parameters": {"type": "object", "properties": {"base": {"type": "string"}, "quote": {"type": "string"}}},
    },
}


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    """A folder for each tested version of mistralai, as the SDK's other integrations have it."""
    return str(CASSETTES / CASSETTE_VERSION)


@pytest.fixture
def vcr_config() -> Json:
    """No secrets, no address but Mistral's, and nothing that differs from one recording to the next for no reason."""

    def request(request: Any) -> Any:
        request.uri = API + "/" + request.uri.split("/", 3)[3]
        kind, _, boundary = (request.headers.get("content-type", "") if request.body else "").partition("; boundary=")
        if boundary:
            # Random, and all that differs between two forms with the same content.
            request.body = request.body.replace(f"--{boundary}".encode(), b"--boundary")
            kind = f"{kind}; boundary=boundary"
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
        "allow_playback_repeats": False,
    }


Connect = Callable[..., Mistral]
"""Makes a client, given the local Mistral's scenario, and whether the real one cannot be made to answer that way."""


@pytest.fixture
async def connect(
    vcr: Any, record_mode: str, default_cassette_name: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Connect]:
    """Clients whose traffic is replayed, or recorded where `--record-mode` says so."""
    async with contextlib.AsyncExitStack() as resources:

        def make(scenario: str | None = None, *, only_local: bool = False) -> Mistral:
            key, url = os.environ.get("MISTRAL_API_KEY"), API
            if record_mode == "none":
                cassette = CASSETTES / CASSETTE_VERSION / f"{default_cassette_name}.yaml"
                assert cassette.exists(), f"{cassette} is missing; cassettes/README.md tells how to record it"
                key = "replayed"
            elif only_local or not key:
                # Replaying needs no server.
                from local import LocalMistral

                if scenario is not None:
                    _always_play(scenario, monkeypatch)
                key, url = "local", resources.enter_context(LocalMistral(pace=0.02)).url
            # Certificates take longer to load than most of these tests, and few calls need them.
            verify = record_mode != "none" and url == API
            client = httpx.Client(verify=verify, follow_redirects=True)
            async_client = httpx.AsyncClient(verify=verify, follow_redirects=True)
            resources.callback(client.close)
            resources.push_async_callback(async_client.aclose)
            return wrap_mistral(Mistral(api_key=key, server_url=url, client=client, async_client=async_client))

        yield make
    assert vcr.all_played or record_mode != "none", "the cassette has requests that were not made"


def _always_play(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the local Mistral answer like this whatever a request names: real models, so that the real one could."""
    from local import completion_scenarios, response_items, scenarios

    catalogues = {"conversations": scenarios, "completions": completion_scenarios, "responses": response_items}
    for endpoints, catalogue in catalogues.items():
        chosen = catalogue.scenario(scenario)
        monkeypatch.setattr(f"local.{endpoints}.scenario", lambda *_, chosen=chosen: chosen)


@pytest.fixture
def mistral(connect: Connect) -> Mistral:
    return connect()


class Wire:
    """What was on the wire in this test, call by call; a negative number counts from the last."""

    def __init__(self, cassette: Any) -> None:
        self._cassette = cassette

    def request(self, call: int = -1) -> Any:
        """The body of a request."""
        return json.loads(self._cassette.requests[call].body)

    def response(self, call: int = -1) -> Any:
        """The body of an unstreamed response."""
        return json.loads(self._cassette.responses[call]["body"]["string"])

    def events(self, call: int = -1) -> list[Json]:
        """The data of a stream's events."""
        return events_of(self._cassette.responses[call]["body"]["string"])

    def streamed(self, call: int = -1) -> Json:
        """The unstreamed response that the events of a conversation's stream add up to."""
        return unstreamed(self.events(call))


@pytest.fixture
def wire(vcr: Any) -> Wire:
    return Wire(vcr)


def only_call(spans: LoggedSpans) -> LoggedSpan:
    (call,) = logged_calls(spans.pop())
    return call


def last_call(spans: LoggedSpans) -> LoggedSpan:
    return logged_calls(spans.pop())[-1]


def consume(stream: Any) -> None:
    with stream:
        for _ in stream:
            pass


async def consume_async(stream: Any) -> None:
    async with stream:
        async for _ in stream:
            pass
