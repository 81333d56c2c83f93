"""Every call has one span, and whoever makes the call sees nothing of it."""

import asyncio
import inspect
import traceback
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import braintrust
import pytest
from braintrust.integrations.mistral import MistralIntegration, wrap_mistral

from tests.conftest import LoggedSpans, MakeClient, Mistral, Provide
from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import USAGE, Json, answer, answer_stream, httpx, says, streamed


try:
    from mistralai.client.errors import MistralError
    from mistralai.client.utils.eventstreaming import EventStream, EventStreamAsync
except ImportError:
    # 1.x
    from mistralai.models import MistralError  # type: ignore[no-redef]
    from mistralai.utils.eventstreaming import EventStream, EventStreamAsync  # type: ignore[no-redef]


# --- a provider that answers every method ---


ENTRY = says("Rye.")
RESPONSE: Json = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [ENTRY], "usage": USAGE}
EVENTS = streamed([ENTRY])
CONVERSATION: Json = {
    "object": "conversation",
    "id": "conv_1",
    "model": "mistral-small-latest",
    "created_at": "2026-10-05T14:45:44Z",
    "updated_at": "2026-10-05T14:45:46Z",
}
HISTORY: Json = {"object": "conversation.history", "conversation_id": "conv_1", "entries": [ENTRY]}
MESSAGES: Json = {"object": "conversation.messages", "conversation_id": "conv_1", "messages": [ENTRY]}

METHODS: dict[str, Json] = {
    "start": {"inputs": "Which flour?", "model": "mistral-small-latest"},
    "append": {"conversation_id": "conv_1", "inputs": "And how much?"},
    "restart": {"conversation_id": "conv_1", "inputs": "Which flour?", "from_entry_id": "msg_0"},
    "start_stream": {"inputs": "Which flour?", "model": "mistral-small-latest"},
    "append_stream": {"conversation_id": "conv_1", "inputs": "And how much?"},
    "restart_stream": {"conversation_id": "conv_1", "inputs": "Which flour?", "from_entry_id": "msg_0"},
    "get": {"conversation_id": "conv_1"},
    "list": {"page": 0, "page_size": 10},
    "delete": {"conversation_id": "conv_1"},
    "get_history": {"conversation_id": "conv_1"},
    "get_messages": {"conversation_id": "conv_1"},
}
"""The traced methods, and arguments for each."""


def bakery(request: Any) -> Any:
    """Answer any request as Mistral does."""
    path: str = request.url.path
    if request.method == "DELETE":
        return httpx.Response(204)
    if request.method == "POST":
        return answer_stream(EVENTS) if b'"stream":true' in request.content.replace(b" ", b"") else answer(RESPONSE)
    if path.endswith("/history"):
        return answer(HISTORY)
    if path.endswith("/messages"):
        return answer(MESSAGES)
    return answer([CONVERSATION] if path.endswith("/conversations") else CONVERSATION)


Call = Callable[[Mistral, str, Json], Any]


def call_sync(client: Mistral, method: str, arguments: Json) -> Any:
    """Call a method and return what the caller gets; a stream is read to its end first."""
    result = getattr(client.beta.conversations, method)(**arguments)
    if method.endswith("_stream"):
        assert len(list(result)) == len(EVENTS)
    return result


def call_async(client: Mistral, method: str, arguments: Json) -> Any:
    """Do the same with the method's async twin."""

    async def call() -> Any:
        result = await getattr(client.beta.conversations, f"{method}_async")(**arguments)
        if method.endswith("_stream"):
            assert len([event async for event in result]) == len(EVENTS)
        return result

    return asyncio.run(call())


both_faces = pytest.mark.parametrize("call", [call_sync, call_async])


# --- once ---


def spans_of_every_method(client: Mistral, spans: LoggedSpans, call: Call) -> dict[str, list[LoggedSpan]]:
    """Call all methods, and return the spans of each call."""
    logged: dict[str, list[LoggedSpan]] = {}
    for method, arguments in METHODS.items():
        call(client, method, arguments)
        logged[method] = [
            span._replace(seconds=ANY, metrics=timeless(span.metrics)) for span in logged_calls(spans.pop())
        ]
    return logged


def timeless(metrics: Json) -> Json:
    return {name: ANY if name in ("duration", "time_to_first_token") else value for name, value in metrics.items()}


@both_faces
@pytest.mark.parametrize("ways", ["setup wrap setup wrap", "wrap setup wrap setup"])
@pytest.mark.usefixtures("uninstrumented")
def test_setup_and_wrap_mistral_in_any_order_and_number_give_one_span_per_call(
    ways: str, call: Call, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(bakery)
    for way in ways.split():
        if way == "setup":
            assert MistralIntegration.setup()
        else:
            assert wrap_mistral(client) is client
    logged = spans_of_every_method(client, spans, call)
    assert {method: [span.name for span in calls] for method, calls in logged.items()} == {
        method: [f"mistral.beta.conversations.{method}"] for method in METHODS
    }


@both_faces
def test_setup_and_wrap_mistral_give_identical_spans(
    call: Call, spans: LoggedSpans, make_client: MakeClient, request: pytest.FixtureRequest
) -> None:
    by_setup = spans_of_every_method(make_client(bakery), spans, call)
    request.getfixturevalue("uninstrumented")
    by_wrap = spans_of_every_method(wrap_mistral(make_client(bakery)), spans, call)
    assert by_setup == by_wrap


@both_faces
@pytest.mark.usefixtures("uninstrumented")
def test_wrap_mistral_traces_the_clients_it_was_given_and_no_other(
    call: Call, spans: LoggedSpans, make_client: MakeClient
) -> None:
    first, second, other = (make_client(bakery) for _ in range(3))
    wrap_mistral(first)
    call(second, "start", METHODS["start"])
    assert spans.pop() == []
    wrap_mistral(second)
    for client in (first, second, other):
        call(client, "start", METHODS["start"])
    assert len(spans.pop()) == 2


@both_faces
def test_all_methods_show_what_they_were_asked_and_what_they_answered(
    call: Call, spans: LoggedSpans, make_client: MakeClient
) -> None:
    logged = spans_of_every_method(make_client(bakery), spans, call)
    assert {method: (span.input, span.output, span.error) for method, (span,) in logged.items()} == {
        "start": ("Which flour?", [ENTRY], None),
        "append": ("And how much?", [ENTRY], None),
        "restart": ("Which flour?", [ENTRY], None),
        "start_stream": ("Which flour?", [ENTRY], None),
        "append_stream": ("And how much?", [ENTRY], None),
        "restart_stream": ("Which flour?", [ENTRY], None),
        "get": ({"conversation_id": "conv_1"}, CONVERSATION, None),
        "list": ({"page": 0, "page_size": 10}, [CONVERSATION], None),
        "delete": ({"conversation_id": "conv_1"}, None, None),
        "get_history": ({"conversation_id": "conv_1"}, HISTORY, None),
        "get_messages": ({"conversation_id": "conv_1"}, MESSAGES, None),
    }
    assert {span.type for (span,) in logged.values()} == {"task"}
    assert all(span.metadata["provider"] == "mistral" for (span,) in logged.values())


# --- its place in the trace ---


def test_a_stream_belongs_to_the_span_that_was_current_when_it_was_started(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    with braintrust.start_span(name="start"):
        stream = make_client(bakery).beta.conversations.start_stream(**METHODS["start_stream"])
    with braintrust.start_span(name="read"):
        list(stream)
    parent, conversation, other = spans.pop()
    assert (parent["span_attributes"]["name"], other["span_attributes"]["name"]) == ("start", "read")
    assert conversation["span_parents"] == [parent["span_id"]]


def test_concurrent_calls_have_each_its_own_parent(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(bakery)

    async def bake(name: str) -> None:
        with braintrust.start_span(name=name):
            stream = await client.beta.conversations.start_stream_async(**METHODS["start_stream"])
            async for _ in stream:
                await asyncio.sleep(0)

    async def bake_all() -> None:
        await asyncio.gather(*(bake(f"loaf {number}") for number in range(5)))

    asyncio.run(bake_all())
    rows = spans.pop()
    loaves = {row["span_id"] for row in rows if row["span_attributes"]["name"].startswith("loaf")}
    parents = [row["span_parents"][0] for row in rows if row["span_id"] not in loaves]
    assert len(parents) == len(loaves) == 5
    assert set(parents) == loaves


@both_faces
def test_a_call_is_below_the_current_span_and_does_not_become_it(
    call: Call, spans: LoggedSpans, make_client: MakeClient
) -> None:
    during: list[Any] = []

    def handler(request: Any) -> Any:
        during.append(braintrust.current_span())
        return bakery(request)

    client = make_client(handler)
    with braintrust.start_span(name="bake") as parent:
        for method, arguments in METHODS.items():
            call(client, method, arguments)
            assert braintrust.current_span() is parent
        assert during == [parent] * len(METHODS)
    row, *rows = spans.pop()
    assert [other["span_parents"] for other in rows] == [[row["span_id"]]] * len(METHODS)
    assert {other["root_span_id"] for other in rows} == {row["root_span_id"]}


def test_an_open_stream_never_changes_the_current_span(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(bakery)
    with braintrust.start_span(name="bake") as parent:
        with client.beta.conversations.start_stream(**METHODS["start_stream"]) as stream:
            assert braintrust.current_span() is parent
            for _ in stream:
                assert braintrust.current_span() is parent
        assert braintrust.current_span() is parent

    async def bake() -> None:
        with braintrust.start_span(name="bake") as parent:
            async with await client.beta.conversations.start_stream_async(**METHODS["start_stream"]) as stream:
                assert braintrust.current_span() is parent
                async for _ in stream:
                    assert braintrust.current_span() is parent
            assert braintrust.current_span() is parent

    asyncio.run(bake())
    assert len(spans.pop()) == 4


# --- what the caller gets ---


def provide_both(provide: Provide, method: str, function: Callable[..., Any]) -> None:
    """Put a function in the place of a method of the SDK and of its async twin."""

    async def function_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    provide(method, function)
    provide(f"{method}_async", function_async)


@both_faces
@pytest.mark.parametrize("method", [method for method in METHODS if not method.endswith("_stream")])
def test_the_caller_gets_the_very_result_of_the_sdk(
    method: str, call: Call, spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    result = call(make_client(bakery), method, METHODS[method])
    provide_both(provide, method, lambda self, **kwargs: result)
    assert call(make_client(bakery), method, METHODS[method]) is result
    assert len(spans.pop()) == 2


class BurntError(Exception):
    """The application's own."""


def burn(*args: Any, **kwargs: Any) -> Any:
    raise BURNT


BURNT = BurntError("black on both sides")


@both_faces
@pytest.mark.parametrize("method", METHODS)
def test_the_caller_gets_the_very_exception_of_the_sdk_with_its_traceback(
    method: str, call: Call, spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    BURNT.__traceback__ = None
    provide_both(provide, method, burn)
    with pytest.raises(BurntError) as raised:
        call(make_client(bakery), method, METHODS[method])
    assert raised.value is BURNT
    assert (BURNT.__cause__, BURNT.__context__, getattr(BURNT, "__notes__", None)) == (None, None, None)
    assert traceback.extract_tb(BURNT.__traceback__)[-1].name == "burn"
    (span,) = logged_calls(spans.pop())
    assert (span.name, span.output) == (f"mistral.beta.conversations.{method}", None)
    assert span.error is not None
    assert span.error.endswith("BurntError: black on both sides")


@both_faces
def test_the_arguments_reach_the_sdk_as_they_are(
    call: Call, spans: LoggedSpans, make_client: MakeClient, provide: Provide
) -> None:
    received: list[Json] = []
    provide_both(provide, "start", lambda self, **kwargs: received.append(kwargs))
    arguments: Json = {"inputs": [{"role": "user", "content": "Which flour?"}], "tools": iter([]), "unknown": object()}
    call(make_client(bakery), "start", arguments)
    (kwargs,) = received
    assert list(kwargs) == list(arguments)
    assert all(kwargs[name] is arguments[name] for name in arguments)
    assert arguments["inputs"] == [{"role": "user", "content": "Which flour?"}]
    assert spans.pop_one()["metadata"] == {
        "provider": "mistral",
        "stream": False,
        "tools": "<list_iterator>",
        "unknown": "<object>",
    }


@both_faces
def test_arguments_by_position_are_the_sdks_type_error(
    call: Call, spans: LoggedSpans, make_client: MakeClient
) -> None:
    conversations: Any = make_client(bakery).beta.conversations
    misuse: dict[Call, Callable[[], Any]] = {
        call_sync: lambda: conversations.start("Which flour?"),
        call_async: lambda: asyncio.run(conversations.start_async("Which flour?")),
    }
    with pytest.raises(TypeError, match="positional argument"):
        misuse[call]()
    (span,) = logged_calls(spans.pop())
    assert "positional argument" in (span.error or "")
    assert span.input is None


@both_faces
def test_an_unknown_argument_is_the_sdks_type_error(call: Call, spans: LoggedSpans, make_client: MakeClient) -> None:
    with pytest.raises(TypeError, match="flour"):
        call(make_client(bakery), "start", {"inputs": "Bread?", "flour": "rye"})
    (span,) = logged_calls(spans.pop())
    assert (span.input, "flour" in (span.error or "")) == ("Bread?", True)


def test_an_async_call_that_is_never_awaited_is_not_made_and_has_no_span(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    call = make_client(bakery).beta.conversations.start_async(**METHODS["start"])
    assert inspect.iscoroutine(call)
    call.close()
    assert spans.pop() == []


# --- errors of the API ---


ERRORS = [
    (400, {"object": "error", "message": "Invalid model: rye", "type": "invalid_model", "code": "1500"}),
    (400, {"object": "error", "message": "Prompt too long", "type": "invalid_request_prompt", "code": "3051"}),
    (
        400,
        {"object": "error", "message": "Wrong order of messages", "type": "invalid_request_message", "code": "3230"},
    ),
    (400, {"object": "error", "message": "Bad request", "type": "invalid_request_error", "code": None}),
    (401, {"detail": "Invalid API Key"}),
    (401, {"detail": "Unauthorized"}),
    (401, {"message": "Unauthorized", "request_id": "request1"}),
    (403, {"object": "Error", "message": "Blocked by a guardrail", "type": "guardrail_violation", "code": 3201}),
    (404, {"message": "Conversation not found"}),
    (422, {"object": "Error", "message": [{"type": "missing", "loc": ["body"], "msg": "Bad dough"}], "code": 3001}),
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "tools"], "msg": "Bad dough", "input": []}]}),
    (429, {"object": "error", "message": "Too many loaves", "type": "rate_limited", "param": None, "code": "1300"}),
    (500, {"object": "error", "message": "Service unavailable", "type": "internal_server_error", "code": "1000"}),
    (500, {"object": "Error", "message": "Response failed during handoff orchestration", "code": 3000}),
]


@both_faces
@pytest.mark.parametrize(("status", "body"), ERRORS)
@pytest.mark.parametrize("method", ["start", "append_stream", "get_history"])
def test_an_error_of_the_api_is_the_same_with_and_without_tracing_and_is_on_the_span(
    method: str,
    status: int,
    body: Json,
    call: Call,
    spans: LoggedSpans,
    make_client: MakeClient,
    request: pytest.FixtureRequest,
) -> None:
    client = make_client(lambda request: answer(body, status))
    with pytest.raises(MistralError) as traced:
        call(client, method, METHODS[method])
    row = spans.pop_one()
    request.getfixturevalue("uninstrumented")
    with pytest.raises(MistralError) as untraced:
        call(client, method, METHODS[method])
    assert (type(traced.value), str(traced.value)) == (type(untraced.value), str(untraced.value))
    assert (traced.value.status_code, traced.value.body) == (status, untraced.value.body)
    assert str(traced.value) in row["error"]
    assert row["error"].startswith("Traceback")
    assert row.get("output") is None
    assert row["metadata"] == {
        "provider": "mistral",
        **({} if method == "get_history" else {"stream": method.endswith("_stream")}),
        **{key: value for key, value in METHODS[method].items() if key in ("model", "conversation_id")},
    }


# --- nobody to log for ---


class Untouchable:
    """Raises as soon as anything looks at it."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"somebody looked at {name}")


@both_faces
@pytest.mark.usefixtures("no_logger")
def test_without_a_logger_and_a_current_span_nothing_is_extracted(
    call: Call, make_client: MakeClient, provide: Provide
) -> None:
    received: list[Json] = []
    result = Untouchable()

    def untouched(self: Any, **kwargs: Any) -> Any:
        received.append(kwargs)
        return result

    arguments: Json = dict.fromkeys(("inputs", "tools", "metadata", "conversation_id"), Untouchable())
    for method in ("start", "append", "get"):
        provide_both(provide, method, untouched)
        assert call(make_client(bakery), method, arguments) is result
    assert len(received) == 3
    assert all(kwargs[name] is arguments[name] for kwargs in received for name in arguments)


@pytest.mark.usefixtures("no_logger")
def test_without_a_logger_and_a_current_span_a_stream_is_the_sdks_own_object(make_client: MakeClient) -> None:
    assert type(call_sync(make_client(bakery), "start_stream", METHODS["start_stream"])) is EventStream
    assert type(call_async(make_client(bakery), "start_stream", METHODS["start_stream"])) is EventStreamAsync


@both_faces
@pytest.mark.usefixtures("no_logger")
def test_without_a_logger_a_span_that_goes_nowhere_is_no_reason_to_trace(call: Call, make_client: MakeClient) -> None:
    with braintrust.start_span(name="bake") as span:
        assert span is braintrust.NOOP_SPAN
        stream = call(make_client(bakery), "start_stream", METHODS["start_stream"])
    assert type(stream) in (EventStream, EventStreamAsync)


def test_without_a_logger_a_current_span_is_enough(spans: LoggedSpans, make_client: MakeClient) -> None:
    with braintrust.start_span(name="bake"):
        braintrust.logger._state.reset_parent_state()
        call_sync(make_client(bakery), "start", METHODS["start"])
    assert [row["span_attributes"]["name"] for row in spans.pop()] == ["bake", "mistral.beta.conversations.start"]
