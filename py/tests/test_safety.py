"""What tracing never does: each "never" of the contract, tried."""

import asyncio
import contextlib
import gc
import json
import logging
import pathlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
from braintrust.logger import Attachment, SpanImpl

from tests.conftest import LoggedSpans, MakeClient, Mistral, Provide, wait_until
from tests.helpers.hostile import HOSTILE, Broken, BrokenDict, BrokenObject, broken, of_broken_class
from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import AT, Json, answer, answer_stream


PACKAGE = "braintrust.integrations.mistral"
ENTRY: Json = {"object": "entry", "created_at": AT, "completed_at": AT}


def message(content: Any) -> Json:
    return {**ENTRY, "type": "message.output", "id": "msg_1", "role": "assistant", "content": content}


def tool(**fields: Any) -> Json:
    return {**ENTRY, "type": "tool.execution", "id": "tool_1", "name": "web_search", **fields}


def function_call(arguments: Any) -> Json:
    fields = {"id": "call_1", "tool_call_id": "t1", "name": "preheat", "arguments": arguments}
    return {**ENTRY, "type": "function.call", **fields}


def response(*outputs: Json) -> Json:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    return {"object": "conversation.response", "conversation_id": "conv_1", "outputs": list(outputs), "usage": usage}


STARTED: Json = {"type": "conversation.response.started", "created_at": AT, "conversation_id": "conv_1"}


def delta(content: Any, **fields: Any) -> Json:
    return {"type": "message.output.delta", "created_at": AT, "id": "msg_1", "content": content, **fields}


def dumped(rows: Any) -> str:
    """Return everything that rows say, as one text."""
    return json.dumps(rows, default=str)


# --- what the caller passes ---


def cyclic_list() -> Any:
    cycle: list[Any] = ["dough"]
    cycle.append({"again": cycle})
    return cycle


def nested(levels: int) -> Any:
    value: Any = "dough"
    for _ in range(levels):
        value = {"inside": [value]}
    return value


STRANGE_VALUES: dict[str, Callable[[], Any]] = {
    **HOSTILE,
    "an object whose class raises": of_broken_class,
    "a dict with keys that are no texts": lambda: {None: 1, 2: 3, (4, 5): 6, object(): 7},
    "a cycle": cyclic_list,
    "1,000 levels": lambda: nested(1_000),
    "100,000 levels": lambda: nested(100_000),
    "a mock": MagicMock,
    "a class": lambda: BrokenDict,
    "a module": lambda: json,
    "a function": lambda: broken,
    "a lone surrogate": lambda: "\ud800",
    "no number": lambda: float("nan"),
}


PARAMETERS = ("inputs", "tools", "metadata", "completion_args", "conversation_id")


@pytest.mark.parametrize("strange", STRANGE_VALUES.values(), ids=STRANGE_VALUES)
def test_a_strange_argument_reaches_the_provider_untouched_and_spoils_nothing_else(
    strange: Callable[[], Any],
    spans: LoggedSpans,
    make_client: MakeClient,
    provide: Provide,
    faults: list[logging.LogRecord],
) -> None:
    received: list[Json] = []
    result = object()

    def start(self: Any, **kwargs: Any) -> Any:
        received.append(kwargs)
        return result

    provide("start", start)
    client: Any = make_client(answer)
    value = strange()
    wrapped = [value, {"value": value}, "plain"]
    for given in (value, wrapped):
        assert client.beta.conversations.start(**dict.fromkeys(PARAMETERS, given), name="bread") is result
        assert all(received[-1][parameter] is given for parameter in PARAMETERS)
    alone, among_others = spans.pop()
    assert "end" in alone["metrics"]
    assert "end" in among_others["metrics"]
    assert "Broken" not in dumped([alone.get("error"), among_others.get("error")])
    if strange is STRANGE_VALUES["an object whose class raises"]:
        # Not even its name can be told: the guard catches that, and says so once.
        assert len(faults) <= 1
        faults.clear()
        return
    logged = {"inputs": among_others["input"], **request_metadata(among_others)}
    assert [logged[parameter][2] for parameter in PARAMETERS] == ["plain"] * len(PARAMETERS)
    assert logged["name"] == "bread"


def request_metadata(row: Json) -> Json:
    """Return a span's metadata by the names of the request."""
    metadata = dict(row["metadata"])
    if "request_metadata" in metadata:
        metadata["metadata"] = metadata.pop("request_metadata")
    return metadata


@pytest.mark.parametrize("make", [iter, lambda items: (item for item in items), lambda items: map(dict, items)])
def test_an_iterator_is_not_consumed(
    make: Callable[[list[Json]], Iterator[Json]], spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    items: list[Json] = [{"type": "web_search"}, {"type": "code_interpreter"}]
    consumed: list[list[Json]] = []

    def start(self: Any, *, inputs: Any, tools: Any) -> None:
        consumed.extend([list(inputs), list(tools)])

    provide("start", start)
    client: Any = make_client(answer)
    client.beta.conversations.start(inputs=make(items), tools=make(items))
    assert consumed == [items, items]
    row = spans.pop_one()
    assert row["input"] == row["metadata"]["tools"] == f"<{type(make(items)).__name__}>"


# --- what the provider returns ---


UNEXPECTED_RESULTS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "text": lambda: "bread",
    "object": object,
    "mock": MagicMock,
    "list": lambda: [1, {"outputs": 2}],
    "dict": lambda: {"outputs": 7, "usage": "none", "conversation_id": ["conv_1"], "error": 3},
    "dict of strange entries": lambda: {
        "outputs": [None, 3, "text", [], {}, {"type": "tool.execution"}, {"type": []}]
    },
    "strange times": lambda: {"outputs": [tool(created_at="today", completed_at=7, arguments=[3], info="text")]},
    "broken": BrokenObject,
    "broken class": of_broken_class,
    "broken dict": BrokenDict,
    "exception": lambda: ValueError("no exception was raised"),
    "class": lambda: dict,
}


@pytest.mark.parametrize("method", ["start", "start_stream", "get"])
@pytest.mark.parametrize("make", UNEXPECTED_RESULTS.values(), ids=UNEXPECTED_RESULTS)
def test_a_result_of_an_unexpected_class_reaches_the_caller_and_the_span_ends(
    make: Callable[[], Any],
    method: str,
    spans: LoggedSpans,
    make_client: MakeClient,
    provide: Provide,
    faults: list[logging.LogRecord],
) -> None:
    result = make()

    async def provided_async(self: Any, **kwargs: Any) -> Any:
        return result

    provide(method, lambda self, **kwargs: result)
    provide(f"{method}_async", provided_async)
    conversations: Any = make_client(answer).beta.conversations
    got = [getattr(conversations, method)(conversation_id="conv_1")]

    async def call_async() -> None:
        # Not returned: asyncio.run prints what it returns.
        got.append(await getattr(conversations, f"{method}_async")(conversation_id="conv_1"))

    asyncio.run(call_async())
    # A mock has __next__: to whoever looks, that is a stream.
    if not (make is MagicMock and method == "start_stream"):
        assert [item is result for item in got] == [True, True]
    got.clear()
    wait_until(lambda: sum("end" in record.get()["metrics"] for record in list(spans.memory.logs)) >= 2)
    rows = [row for row in spans.pop() if row["span_attributes"]["type"] == "task"]
    assert [(row.get("error"), "end" in row["metrics"]) for row in rows] == [(None, True)] * 2
    if make in (BrokenObject, of_broken_class):
        # What raises when asked whether it is a stream, or for its class's name, is a fault: said once.
        assert len(faults) <= 1
        faults.clear()


# --- nothing is opened, nothing is fetched ---


def chunks_with(url: str) -> list[Json]:
    """Return every chunk of content that can carry a URL, carrying this one."""
    return [
        {"type": "image_url", "image_url": url},
        {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
        {"type": "document_url", "document_url": url, "document_name": url},
        {"type": "file", "file_id": url},
        {"type": "tool_file", "tool": "image_generation", "file_id": url, "file_name": url, "file_type": "png"},
        {"type": "tool_reference", "tool": "web_search", "title": url, "url": url, "favicon": url},
        {"type": "input_audio", "input_audio": url},
        {"type": "input_audio", "input_audio": {"data": url, "format": "mp3"}},
        {"type": "text", "text": url},
    ]


def logged(chunks: list[Json]) -> list[Json]:
    """Return these chunks as content is logged: an image is an object with its URL."""
    image, *others = chunks
    return [{**image, "image_url": {"url": image["image_url"]}}, *others]


@pytest.mark.parametrize("prefix", ["", "file://", "FILE:", "~/../.."], ids=["path", "file-url", "scheme", "home"])
def test_a_local_path_in_any_chunk_stays_a_text_and_is_not_opened(
    prefix: str, secret: str, spans: LoggedSpans, make_client: MakeClient, provide: Provide, accesses: list[str]
) -> None:
    chunks = chunks_with(prefix + secret)
    inputs = [{"role": "user", "content": chunks}]
    outputs = [message(chunks), tool(info={"result": secret, "image": chunks}, arguments=json.dumps({"path": secret}))]
    provide("start", lambda self, **kwargs: {"conversation_id": "conv_1", "outputs": outputs})
    client: Any = make_client(answer)
    client.beta.conversations.start(inputs=inputs, instructions=secret, tools=chunks, metadata={"path": secret})
    rows = spans.pop()
    assert [access for access in accesses if "secret" in access] == []
    root, child = rows
    shown = logged(chunks)
    assert root["input"] == [{"role": "user", "content": shown}]
    assert root["output"] == [message(shown), outputs[1]]
    assert (root["metadata"]["tools"], root["metadata"]["instructions"]) == (chunks, secret)
    assert (child["input"], child["output"]) == ({"path": secret}, outputs[1]["info"])


def test_the_sdks_own_models_are_read_as_safely(
    secret: str, spans: LoggedSpans, make_client: MakeClient, accesses: list[str]
) -> None:
    chunks = [*chunks_with(secret)[:3], {"type": "text", "text": secret}]
    client = make_client(lambda request: answer(response(message(chunks))))
    client.beta.conversations.start(inputs=[{"role": "user", "content": chunks}], model="m")  # type: ignore[list-item]
    row = spans.pop_one()
    assert [access for access in accesses if "secret" in access] == []
    assert row["input"] == [{"role": "user", "content": logged(chunks)}]
    assert row["output"] == [message(logged(chunks))]


def test_a_path_object_and_an_open_file_are_named_and_not_read(
    secret: str, spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    provide("start", lambda self, **kwargs: None)
    client: Any = make_client(answer)
    with open(secret, "rb") as file:
        client.beta.conversations.start(inputs=[pathlib.Path(secret), file])
        assert file.tell() == 0
    assert spans.pop_one()["input"] == [secret, "<BufferedReader>"]


def test_a_remote_url_stays_a_url_and_is_not_fetched(
    spans: LoggedSpans, make_client: MakeClient, provide: Provide, accesses: list[str]
) -> None:
    chunks = chunks_with("https://example.com/bread.png")
    provide("start", lambda self, **kwargs: {"outputs": [message(chunks)]})
    client: Any = make_client(answer)
    client.beta.conversations.start(inputs=[{"role": "user", "content": chunks}])
    row = spans.pop_one()
    assert [access for access in accesses if "socket" in access or "example.com" in access] == []
    assert row["input"] == [{"role": "user", "content": logged(chunks)}]
    assert row["output"] == [message(logged(chunks))]


PIXEL = b"\x89PNG\r\n\x1a\n\x00bread"
PIXEL_URL = "data:image/png;base64,iVBORw0KGgoAYnJlYWQ="


def attachments_in(value: Any) -> list[tuple[str, bytes]]:
    """Return the content type and the content of every attachment inside a value."""
    if isinstance(value, Attachment):
        return [(value.reference["content_type"], value.data)]
    if isinstance(value, dict):
        value = list(value.values())
    return [found for item in value for found in attachments_in(item)] if isinstance(value, list) else []


def test_data_urls_and_bytes_become_attachments_in_the_log_and_stay_what_they_are_to_the_provider(
    spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    received: list[Any] = []
    chunks: list[Any] = [
        {"type": "image_url", "image_url": PIXEL_URL},
        {"type": "image_url", "image_url": {"url": PIXEL_URL}},
        {"type": "document_url", "document_url": PIXEL_URL},
        {"type": "input_audio", "input_audio": PIXEL},
        {"type": "input_audio", "input_audio": bytearray(PIXEL)},
        {"type": "image_url", "image_url": "data:,"},
    ]
    before = [dict(chunk) for chunk in chunks]
    provide("start", lambda self, **kwargs: received.append(kwargs["inputs"]))
    client: Any = make_client(answer)
    inputs = [{"role": "user", "content": chunks}]
    client.beta.conversations.start(inputs=inputs)
    assert received == [inputs]
    assert received[0] is inputs
    assert chunks == before
    assert attachments_in(spans.pop_one()["input"]) == [
        ("image/png", PIXEL),
        ("image/png", PIXEL),
        ("image/png", PIXEL),
        ("image/png", PIXEL),
        ("image/png", PIXEL),
        ("text/plain", b""),
    ]


def test_a_data_url_in_a_response_becomes_an_attachment_and_stays_a_text_to_the_caller(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    chunk = {"type": "image_url", "image_url": {"url": PIXEL_URL}}
    client = make_client(lambda request: answer(response(message([chunk]))))
    result = client.beta.conversations.start(inputs="A pixel?", model="m")
    assert PIXEL_URL in result.model_dump_json()
    assert attachments_in(spans.pop_one()["output"]) == [("image/png", PIXEL)]


# --- signatures ---


SIGNED = "https://files.example.com/bread.png?se=2026-11-01&X-Amz-Signature=Kn3ad%2BMe%3D&sp=r"
REDACTED = "https://files.example.com/bread.png?se=2026-11-01&X-Amz-Signature=REDACTED&sp=r"


def test_a_signature_is_redacted_in_all_that_a_request_logs(
    spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    def arguments(url: str, chunks: list[Json]) -> Json:
        return {
            "inputs": [{"role": "user", "content": [f"See {url}, please", *chunks]}, url],
            "instructions": f"Look at [this]({url}) and <{url}>",
            "tools": [{"type": "connector", "connector_id": url}],
            "metadata": {"url": url, url: 1},
            "name": url,
        }

    received: list[Json] = []
    provide("start", lambda self, **kwargs: received.append(kwargs))
    client: Any = make_client(answer)
    client.beta.conversations.start(**arguments(SIGNED, chunks_with(SIGNED)))
    assert received == [arguments(SIGNED, chunks_with(SIGNED))]
    row = spans.pop_one()
    expected = arguments(REDACTED, logged(chunks_with(REDACTED)))
    assert row["input"] == expected["inputs"]
    del expected["inputs"]
    assert request_metadata(row) == {"provider": "mistral", "stream": False, **expected}


def test_a_signature_is_redacted_in_output_and_children_and_not_for_the_caller(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    def outputs(url: str) -> list[Json]:
        found = {"result": f"Error executing tool open_url: {url} is gone", "results": {url: {"image": [url]}}}
        chunks = [{"type": "text", "text": f"See ![bread]({url})."}, {"type": "document_url", "document_url": url}]
        return [
            tool(arguments=json.dumps({"url": url}), info=found),
            function_call(json.dumps({"url": url})),
            function_call({"url": url}),
            message(chunks),
        ]

    client = make_client(lambda request: answer(response(*outputs(SIGNED))))
    result = client.beta.conversations.start(inputs="Bread?", model="m")
    assert "Kn3ad" in result.model_dump_json()
    root, execution, *calls = spans.pop()
    expected = outputs(REDACTED)
    assert root["output"] == expected
    assert [child["input"] for child in (execution, *calls)] == [{"url": REDACTED}] * 3
    assert execution["output"] == expected[0]["info"]
    assert execution["error"] == f"Error executing tool open_url: {REDACTED} is gone"


def test_a_signature_is_redacted_in_an_error_of_the_api(spans: LoggedSpans, make_client: MakeClient) -> None:
    body = {"object": "Error", "message": f"Cannot fetch {SIGNED}", "type": "invalid_request", "code": 3001}
    client = make_client(lambda request: answer(body, 400))
    with pytest.raises(Exception, match="Kn3ad"):
        client.beta.conversations.start(inputs="Bread?", model="m")
    error = spans.pop_one()["error"]
    assert f"Cannot fetch {REDACTED}" in error
    assert "Kn3ad" not in error


def test_a_signature_is_redacted_in_all_of_a_traceback(
    spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    def start(self: Any, **kwargs: Any) -> Any:
        try:
            raise Broken("https://files.example.com/bread.png?sig=Kn3adMe")
        except Broken as cause:
            error = LookupError("see https://files.example.com/?X-Amz-Signature=Kn3adMe#page")
            if sys.version_info >= (3, 11):
                error.add_note("or https://files.example.com/?Signature=Kn3adMe")
            raise error from cause

    provide("start", start)
    client: Any = make_client(answer)
    with pytest.raises(LookupError, match="Kn3adMe"):
        client.beta.conversations.start(inputs="Bread?")
    error = spans.pop_one()["error"]
    assert "Kn3adMe" not in error
    assert "see https://files.example.com/?X-Amz-Signature=REDACTED#page" in error


def test_a_signature_is_redacted_in_an_error_event(spans: LoggedSpans, make_client: MakeClient) -> None:
    error = {"type": "conversation.response.error", "created_at": AT, "message": f"No {SIGNED}", "code": 3000}
    list(stream_of(make_client, STARTED, error))
    assert spans.pop_one()["error"] == f"No {REDACTED} (code 3000)"


def stream_of(make_client: MakeClient, *events: Json) -> Any:
    client = make_client(lambda request: answer_stream(events))
    return client.beta.conversations.start_stream(inputs="Bread?", model="m")


def test_a_signature_is_redacted_in_a_streamed_text_wherever_that_is_cut(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    text = f"See {SIGNED} now"
    first, last = text.index("X-Amz") - 2, text.index("&sp=") + 2
    for cut in range(first, last):
        list(stream_of(make_client, STARTED, delta(text[:cut]), delta(text[cut:])))
        assert spans.pop_one()["output"][0]["content"] == f"See {REDACTED} now"
    list(stream_of(make_client, STARTED, *(delta(letter) for letter in text)))
    assert spans.pop_one()["output"][0]["content"] == f"See {REDACTED} now"


def test_a_signature_is_redacted_in_a_stream_that_broke_off_inside_it(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    text = f"See {SIGNED}"
    cut = text.index("Kn3ad") + 3
    list(stream_of(make_client, STARTED, delta(text[:cut])))
    assert spans.pop_one()["output"][0]["content"] == f"See {REDACTED}".removesuffix("&sp=r")


def test_a_signature_is_redacted_in_streamed_arguments_wherever_these_are_cut(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    text = json.dumps({"url": SIGNED})
    of_tool = {"created_at": AT, "id": "tool_1", "name": "open_url", "output_index": 0}
    of_call = {"created_at": AT, "id": "call_1", "name": "open_url", "output_index": 1, "tool_call_id": "t1"}
    for cut in range(text.index("X-Amz") - 2, text.index("&sp=") + 2):
        events: list[Json] = [{"type": "tool.execution.started", "arguments": "", **of_tool}]
        for piece in (text[:cut], text[cut:]):
            events.append({"type": "tool.execution.delta", "arguments": piece, **of_tool})
            events.append({"type": "function.call.delta", "arguments": piece, **of_call})
        list(stream_of(make_client, STARTED, *events))
        root, *children = spans.pop()
        assert [child["input"] for child in children] == [{"url": REDACTED}] * 2
        assert "Kn3ad" not in dumped(root)


def test_a_signature_is_redacted_in_what_is_looked_up(spans: LoggedSpans, make_client: MakeClient) -> None:
    history = {"object": "conversation.history", "conversation_id": "conv_1", "entries": [message(SIGNED)]}
    make_client(lambda request: answer(history)).beta.conversations.get_history(conversation_id="conv_1")
    assert spans.pop_one()["output"] == {**history, "entries": [message(REDACTED)]}


# --- our own faults ---


RESPONSE = response(
    tool(arguments='{"query": "bread"}', info={"result": "{}"}), function_call('{"degrees": 230}'), message("Bake it.")
)
EVENTS: list[Json] = [
    STARTED,
    {
        "type": "tool.execution.started",
        "created_at": AT,
        "id": "tool_1",
        "name": "web_search",
        "output_index": 0,
        "arguments": "",
    },
    {"type": "tool.execution.done", "created_at": AT, "id": "tool_1", "name": "web_search", "output_index": 0},
    delta("Bake ", output_index=1),
    delta("it.", output_index=1),
    {"type": "conversation.response.done", "created_at": AT, "usage": RESPONSE["usage"]},
]
FUNCTION_RESULT: Json = {"type": "function.result", "tool_call_id": "t1", "result": "hot"}


def kitchen(request: Any) -> Any:
    """Answer a start, a streamed start, an append with a function's result, and refuse a look at the history."""
    if request.method == "GET":
        return answer({"detail": "Not yours"}, 403)
    return answer_stream(EVENTS) if b"bread stream" in request.content else answer(RESPONSE)


def observe(client: Mistral) -> list[Any]:
    """Return all that a caller sees of some calls of each kind."""
    conversations: Any = client.beta.conversations
    seen = [
        conversations.start(inputs="bread", model="m"),
        conversations.append(conversation_id="conv_1", inputs=[FUNCTION_RESULT]),
        list(conversations.start_stream(inputs="bread stream", model="m")),
    ]
    with conversations.start_stream(inputs="bread stream", model="m") as stream:
        seen.append(next(stream))
    try:
        conversations.get_history(conversation_id="conv_1")
    except Exception as error:
        seen.append((type(error), str(error)))
    return seen


async def observe_async(client: Mistral) -> list[Any]:
    """The same, of the async twins."""
    conversations: Any = client.beta.conversations
    stream = await conversations.start_stream_async(inputs="bread stream", model="m")
    seen = [
        await conversations.start_async(inputs="bread", model="m"),
        await conversations.append_async(conversation_id="conv_1", inputs=[FUNCTION_RESULT]),
        [event async for event in stream],
    ]
    async with await conversations.start_stream_async(inputs="bread stream", model="m") as stream:
        seen.append(await anext(stream))
    try:
        await conversations.get_history_async(conversation_id="conv_1")
    except Exception as error:
        seen.append((type(error), str(error)))
    return seen


GUARDED = [
    "tracing.calls.CallSpan",
    "tracing.calls.traced_stream",
    "resources.conversations.request_metadata",
    "resources.conversation_stream.ConversationAccumulator.add",
    "tracing.children.align",
]
"""A function below some of the guards; the tests of endurance break every function that there is."""


def break_function(path: str, monkeypatch: pytest.MonkeyPatch, error: BaseException | type[BaseException]) -> None:
    """Make a function of ours raise."""
    place, _, name = path.rpartition(".")
    owner: Any = pkgutil.resolve_name(f"{PACKAGE}.{place}")

    def raise_it(*args: Any, **kwargs: Any) -> Any:
        raise error

    assert callable(getattr(owner, name))
    monkeypatch.setattr(owner, name, raise_it)


def assert_one_warning(faults: list[logging.LogRecord], error: type[BaseException]) -> None:
    (warning,) = faults
    assert (warning.name, warning.levelno) == ("braintrust.integrations.mistral", logging.WARNING)
    assert warning.exc_info is not None
    kind, _, traceback = warning.exc_info
    assert (kind, traceback is not None) == (error, True)
    faults.clear()


@pytest.mark.parametrize("path", GUARDED)
def test_a_function_of_ours_that_fails_changes_nothing_for_the_caller_and_is_reported_once(
    path: str,
    spans: LoggedSpans,
    make_client: MakeClient,
    faults: list[logging.LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make_client(kitchen)
    expected = [observe(client), asyncio.run(observe_async(client))]
    spans.pop()
    break_function(path, monkeypatch, Broken)
    for _ in range(2):
        assert [observe(client), asyncio.run(observe_async(client))] == expected
    assert_one_warning(faults, Broken)
    assert all("end" in row["metrics"] for row in spans.pop())


@pytest.mark.parametrize("name", ["log", "start_span"])
def test_a_method_of_the_braintrust_sdk_that_fails_changes_nothing_for_the_caller_and_is_reported_once(
    name: str,
    spans: LoggedSpans,
    make_client: MakeClient,
    faults: list[logging.LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make_client(kitchen)
    expected = [observe(client), asyncio.run(observe_async(client))]
    spans.pop()
    monkeypatch.setattr(SpanImpl, name, broken)
    assert [observe(client), asyncio.run(observe_async(client))] == expected
    assert_one_warning(faults, Broken)
    rows = spans.pop()
    assert len(rows) >= 10
    assert all("end" in row["metrics"] for row in rows)


def test_a_logger_that_takes_no_record_at_all_changes_nothing_for_the_caller(
    spans: LoggedSpans, make_client: MakeClient, faults: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(kitchen)
    expected = [observe(client), asyncio.run(observe_async(client))]
    spans.pop()
    with monkeypatch.context() as patch:
        patch.setattr(spans.memory, "log", broken)
        assert [observe(client), asyncio.run(observe_async(client))] == expected
    assert_one_warning(faults, Broken)


@pytest.mark.parametrize("error", [RecursionError, MemoryError, StopIteration, StopAsyncIteration, AssertionError])
def test_a_fault_of_any_kind_stays_ours(
    error: type[Exception],
    spans: LoggedSpans,
    make_client: MakeClient,
    faults: list[logging.LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make_client(kitchen)
    expected = [observe(client), asyncio.run(observe_async(client))]
    # A `StopIteration` of ours must not end the stream.
    break_function("resources.conversation_stream.ConversationAccumulator.add", monkeypatch, error)
    assert [observe(client), asyncio.run(observe_async(client))] == expected
    assert_one_warning(faults, error)
    spans.pop()


@pytest.mark.parametrize(
    "path",
    ["resources.conversations.without_none", "resources.conversations.usage_metrics", "tracing.children.align"],
)
def test_an_interrupt_while_we_read_a_response_is_not_swallowed_and_the_span_ends(
    path: str, spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_function(path, monkeypatch, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        make_client(kitchen).beta.conversations.start(inputs="bread", model="m")
    assert "end" in spans.pop_one()["metrics"]


def test_an_interrupt_while_we_fold_an_event_is_not_swallowed_and_the_span_ends(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        break_function("resources.conversation_stream.ConversationAccumulator._add", patch, KeyboardInterrupt)
        stream = stream_of(make_client, *EVENTS)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
    del stream
    gc.collect()
    wait_until(lambda: spans.records == 2)
    assert "end" in spans.pop_one()["metrics"]


def test_a_healthy_call_after_a_fault_is_logged_whole(
    spans: LoggedSpans, make_client: MakeClient, faults: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(kitchen)
    with monkeypatch.context() as patch:
        break_function("resources.conversations.without_none", patch, Broken)
        client.beta.conversations.start(inputs="bread", model="m")
    assert_one_warning(faults, Broken)
    client.beta.conversations.start(inputs="bread", model="m")
    faulty, healthy = logged_calls(spans.pop())
    assert (faulty.input, faulty.output, faulty.children) == ("bread", None, ())
    assert (healthy.input, healthy.output, len(healthy.children)) == ("bread", RESPONSE["outputs"], 2)


# --- the provider's own call is outside of every guard ---


PROVIDER_ERRORS: list[BaseException] = [
    Broken("ours, by the look of it"),
    AttributeError("'NoneType' object has no attribute 'data'"),
    KeyError("outputs"),
    TypeError("not iterable"),
    RecursionError("maximum recursion depth exceeded"),
    MemoryError(),
    LookupError("bread"),
    KeyboardInterrupt(),
    SystemExit(3),
    asyncio.CancelledError(),
]


def shows(call: LoggedSpan, error: BaseException) -> bool:
    """Whether a span says what the caller saw: a cancellation is no error."""
    if isinstance(error, asyncio.CancelledError):
        return call.error is None and call.metadata["cancelled"] is True
    return type(error).__name__ in (call.error or "")


@pytest.mark.parametrize("error", PROVIDER_ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_the_provider_raises_reaches_the_caller_once_and_is_no_fault_of_ours(
    error: BaseException, spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    calls: list[str] = []

    def start(self: Any, **kwargs: Any) -> Any:
        calls.append("sync")
        raise error

    async def start_async(self: Any, **kwargs: Any) -> Any:
        calls.append("async")
        raise error

    provide("start", start)
    provide("start_async", start_async)
    client = make_client(kitchen)

    async def call_async() -> BaseException | None:
        # Inside of the loop, which has its own ideas about some of these.
        with contextlib.suppress(type(error)):
            await client.beta.conversations.start_async(inputs="bread")
            return None
        return error

    with pytest.raises(type(error)) as raised:
        client.beta.conversations.start(inputs="bread")
    assert raised.value is error
    assert asyncio.run(call_async()) is error
    assert calls == ["sync", "async"]
    assert [shows(call, error) for call in logged_calls(spans.pop())] == [True, True]


@pytest.mark.parametrize("error", PROVIDER_ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_stream_raises_reaches_the_caller_once_and_is_no_fault_of_ours(
    error: BaseException, spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    class Stream:
        calls = 0

        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            self.calls += 1
            raise error

    class AsyncStream(Stream):
        async def __anext__(self) -> Any:
            return super().__next__()

    sync_stream, async_stream = Stream(), AsyncStream()

    async def start_stream_async(self: Any, **kwargs: Any) -> Any:
        return async_stream

    provide("start_stream", lambda self, **kwargs: sync_stream)
    provide("start_stream_async", start_stream_async)
    client = make_client(kitchen)
    stream = client.beta.conversations.start_stream(inputs="bread")
    with pytest.raises(type(error)) as raised:
        next(stream)
    assert raised.value is error

    async def read_async() -> None:
        stream = await client.beta.conversations.start_stream_async(inputs="bread")
        with pytest.raises(type(error)) as raised:
            await anext(stream)
        assert raised.value is error

    asyncio.run(read_async())
    assert (sync_stream.calls, async_stream.calls) == (1, 1)
    assert [shows(call, error) for call in logged_calls(spans.pop())] == [True, True]


def test_an_exception_that_cannot_be_printed_reaches_the_caller_and_the_span_ends(
    spans: LoggedSpans, make_client: MakeClient, provide: Provide, faults: list[logging.LogRecord]
) -> None:
    class UnprintableError(Exception):
        __str__ = __repr__ = broken

    error = UnprintableError()

    def start(self: Any, **kwargs: Any) -> Any:
        raise error

    provide("start", start)
    with pytest.raises(UnprintableError) as raised:
        make_client(kitchen).beta.conversations.start(inputs="bread")
    assert raised.value is error
    row = spans.pop_one()
    assert "UnprintableError" in row["error"]
    assert "end" in row["metrics"]
    assert len(faults) <= 1
    faults.clear()
