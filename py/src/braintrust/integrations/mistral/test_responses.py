import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest
from braintrust.logger import Attachment
from hypothesis import given as given_that
from hypothesis import settings
from hypothesis import strategies as st

from .conftest import Json, LoggedSpan, LoggedSpans, MakeClient, Mistral, answer, answer_stream, logged_calls
from .operations import Child, Outcome, Request
from .payloads import plain
from .responses import OPERATIONS, read_response


try:
    from mistralai.client import models
    from mistralai.client.errors import MistralError
    from mistralai.client.types import UNSET
    from mistralai.client.utils.eventstreaming import EventStream, EventStreamAsync
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.models import MistralError
    from mistralai.types import UNSET
    from mistralai.utils.eventstreaming import EventStream, EventStreamAsync


has_responses = pytest.mark.skipif(
    not hasattr(models, "CreateResponseResponse"), reason="mistralai 1.x and 2.x have no Responses API"
)

IDENTITY: Json = {"id": "resp1", "object": "response", "created_at": 1_790_000_000.5, "model": "mistral-small-2603"}

USAGE: Json = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 9,
}
METRICS: Json = {
    "prompt_tokens": 7,
    "prompt_cached_tokens": 4,
    "prompt_cache_write_tokens": 0,
    "completion_tokens": 2,
    "completion_reasoning_tokens": 1,
    "tokens": 9,
}

MESSAGE: Json = {
    "type": "message",
    "id": "msg1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Rye.", "annotations": []}],
}
REASONING: Json = {
    "type": "reasoning",
    "id": "rs1",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "Hm."}],
}
CALL: Json = {
    "type": "function_call",
    "id": "fc1",
    "call_id": "call1",
    "name": "bake",
    "arguments": '{"flour": "rye"}',
    "status": "completed",
}


def response(*output: Json, status: str = "completed", **fields: Any) -> Json:
    """Return a response as it is on the wire, which repeats the settings of its request."""
    settings = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "temperature": 0.3}
    return {**IDENTITY, "status": status, "output": output, **settings, "error": None, **fields}


def respond(*output: Json, **fields: Any) -> Outcome:
    """Return what a response with these items logs, after the SDK has parsed it."""
    return read(models.CreateResponseResponse.model_validate(response(*output, **fields)))


def read(response: Any) -> Outcome:
    """Return what a response logs, to be compared whole."""
    outcome = read_response(response, Request())
    return outcome._replace(children=tuple(outcome.children))


# Requests


@pytest.mark.parametrize(
    "given",
    ["Which flour?", [{"role": "user", "content": "Which flour?"}, {**CALL}, {"type": "function_call_output"}]],
)
def test_the_input_is_logged_as_given_and_the_parameters_as_metadata(given: Any) -> None:
    parameters: Json = {
        "model": "mistral-small-latest",
        "instructions": "",
        "tools": [{"type": "function", "name": "bake", "parameters": {}}],
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_schema", "name": "loaf", "schema": {"type": "object"}}},
    }
    arguments = {"input": given, **parameters, "metadata": {"user": "u1"}, "temperature": UNSET, "top_p": None}
    assert OPERATIONS["create"].request(arguments) == Request(
        given, {"provider": "mistral", "stream": False, **parameters, "request_metadata": {"user": "u1"}}
    )


def test_a_stream_argument_that_is_true_says_so_and_no_other_does() -> None:
    for given, stream in ((True, True), (False, False), (None, False), (UNSET, False)):
        assert OPERATIONS["create"].request({"stream": given}).metadata["stream"] is stream


def test_inline_media_becomes_an_attachment_and_a_url_stays_one() -> None:
    png = b"\x89PNG\r\n\x1a\n"
    urls = [f"data:image/png;base64,{base64.b64encode(png).decode()}", "https://example.com/a.png", "/etc/passwd"]
    content = [{"type": "input_image", "image_url": url} for url in urls]
    messages: Any = OPERATIONS["create"].request({"input": [{"role": "user", "content": content}]}).input
    attachment, *others = (part["image_url"] for part in messages[0]["content"])
    assert isinstance(attachment, Attachment)
    assert attachment.data == png
    assert others == urls[1:]


# Responses


@has_responses
def test_a_response_is_its_items_and_what_it_says_about_itself() -> None:
    assert respond(REASONING, MESSAGE, usage=USAGE) == Outcome(
        [REASONING, MESSAGE], {**IDENTITY, "status": "completed"}, METRICS
    )


@has_responses
def test_a_response_without_usage_has_no_metrics() -> None:
    assert respond(MESSAGE, usage=None) == Outcome([MESSAGE], {**IDENTITY, "status": "completed"})


@has_responses
def test_why_a_response_is_incomplete_is_metadata_and_no_error() -> None:
    details = {"reason": "max_output_tokens"}
    assert respond(MESSAGE, status="incomplete", incomplete_details=details) == Outcome(
        [MESSAGE], {**IDENTITY, "status": "incomplete", "incomplete_details": details}
    )


@has_responses
def test_why_a_response_failed_is_the_error() -> None:
    error = {"code": "server_error", "message": "The oven is cold"}
    assert respond(status="failed", error=error) == Outcome(
        [], {**IDENTITY, "status": "failed"}, error="The oven is cold (code server_error)"
    )


# Calls of tools


@has_responses
def test_a_function_call_becomes_a_tool_span_with_parsed_arguments_at_its_place() -> None:
    outcome = respond(REASONING, CALL)
    assert outcome.output == [REASONING, CALL]
    assert outcome.children == (
        Child(
            name="tool: bake",
            input={"flour": "rye"},
            metadata={
                "tool_type": "function_call",
                "tool_name": "bake",
                "tool_call_id": "call1",
                "tool_index": 1,
            },
            place=1,
        ),
    )


def test_malformed_arguments_stay_a_text() -> None:
    (child,) = read({"output": [{**CALL, "arguments": '{"flour": "ry'}]}).children
    assert child.input == '{"flour": "ry'


def test_a_tool_that_no_sdk_knows_yet_is_named_after_its_type() -> None:
    hosted = {"type": "web_search_call", "id": "ws1", "action": {"query": "rye"}}
    (child,) = read({"output": [hosted]}).children
    assert child == Child(
        name="tool: web_search",
        metadata={
            "tool_type": "web_search_call",
            "tool_name": "web_search",
            "tool_call_id": "ws1",
            "tool_index": 0,
        },
        place=0,
    )


def test_children_know_their_place_in_the_output() -> None:
    children = read({"output": [CALL, MESSAGE, CALL]}).children
    assert [child.place for child in children] == [0, 2]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(), items, max_size=3),
    max_leaves=5,
)
ITEM_FIELDS = dict.fromkeys(("id", "call_id", "name", "arguments"), JSON)
ITEMS = st.fixed_dictionaries({"type": st.just("function_call") | JSON}, optional=ITEM_FIELDS)


@settings(deadline=None)
@given_that(
    JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "output": st.lists(ITEMS | JSON, max_size=3) | JSON,
            "error": st.dictionaries(st.sampled_from(["message", "code"]), JSON) | JSON,
            **dict.fromkeys(("usage", "incomplete_details", "status"), JSON),
        },
    )
)
def test_whatever_the_response_it_is_read(response: Any) -> None:
    outcome = read(response)
    assert outcome.output == plain(response.get("output") if isinstance(response, dict) else response)


# Calls


EVENTS: list[Json] = [
    {"type": "response.created", "response": response(status="in_progress")},
    {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}},
    {
        "type": "response.output_text.delta",
        "output_index": 0,
        "item_id": "msg1",
        "content_index": 0,
        "delta": "Rye.",
        "logprobs": [],
    },
    {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
    {"type": "response.output_item.added", "output_index": 1, "item": {**CALL, "arguments": ""}},
    {
        "type": "response.function_call_arguments.delta",
        "output_index": 1,
        "item_id": "fc1",
        "delta": CALL["arguments"],
    },
    {"type": "response.output_item.done", "output_index": 1, "item": CALL},
    {"type": "response.completed", "response": response(MESSAGE, CALL, usage=USAGE)},
]


def bakery(request: Any) -> Any:
    """Answer any request as Mistral does."""
    if json.loads(request.content).get("stream"):
        return answer_stream({"sequence_number": number, **event} for number, event in enumerate(EVENTS))
    return answer(response(MESSAGE, CALL, usage=USAGE))


Call = Callable[..., Any]
REQUEST: Json = {"model": "mistral-small-latest", "input": "Which flour?"}


def call_sync(client: Mistral, **arguments: Any) -> Any:
    """Create a response, and return what the caller gets; a stream is read to its end first."""
    result = client.responses.create(**REQUEST, **arguments)
    if arguments.get("stream"):
        assert len(list(result)) == len(EVENTS)
    return result


def call_async(client: Mistral, **arguments: Any) -> Any:
    """Do the same with the method's async twin."""

    async def wait() -> Any:
        result = await client.responses.create_async(**REQUEST, **arguments)
        if arguments.get("stream"):
            assert len([event async for event in result]) == len(EVENTS)
        return result

    return asyncio.run(wait())


both_faces = pytest.mark.parametrize("make_call", [call_sync, call_async])


def expected_call(*, stream: bool, **metadata: Any) -> LoggedSpan:
    """Return what a call shows; `metadata` is beyond what all calls have."""
    call_metadata = {"tool_type": "function_call", "tool_name": "bake", "tool_call_id": "call1", "tool_index": 1}
    return LoggedSpan(
        name="mistral.responses.create",
        type="llm",
        input="Which flour?",
        output=[MESSAGE, CALL],
        metadata={"provider": "mistral", "stream": stream, **IDENTITY, "status": "completed", **metadata},
        metrics={**METRICS, "duration": ANY, **({"time_to_first_token": ANY} if stream else {})},
        error=None,
        seconds=ANY,
        children=(LoggedSpan("tool: bake", "tool", {"flour": "rye"}, None, call_metadata, {}, None, ANY, ()),),
    )


def test_the_one_method_has_the_name_and_the_type_of_the_contract() -> None:
    assert {name: (operation.span_name, operation.span_type.value) for name, operation in OPERATIONS.items()} == {
        "create": ("mistral.responses.create", "llm")
    }


@has_responses
@both_faces
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_one_span_that_shows_all_of_it_and_a_stream_shows_the_same(
    make_call: Call, stream: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    transport = {"timeout_ms": 60_000, "http_headers": {"x-secret": "s"}}
    make_call(make_client(bakery), stream=stream, **transport, metadata={"user": "u1"})
    assert logged_calls(spans.pop()) == [expected_call(stream=stream, request_metadata={"user": "u1"})]


@has_responses
@both_faces
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_the_api_is_the_callers_and_the_spans(
    make_call: Call, stream: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    body = {"object": "error", "message": "The oven is cold", "type": "invalid_request", "code": "1500"}
    with pytest.raises(MistralError, match="The oven is cold") as raised:
        make_call(make_client(lambda request: answer(body, 400)), stream=stream)
    (logged,) = logged_calls(spans.pop())
    assert logged == expected_call(stream=stream)._replace(
        output=None,
        metadata={"provider": "mistral", "stream": stream, "model": "mistral-small-latest"},
        metrics={"duration": ANY},
        error=logged.error,
        children=(),
    )
    assert str(raised.value) in (logged.error or "")


@has_responses
@pytest.mark.usefixtures("no_logger")
def test_without_a_logger_a_stream_is_the_sdks_own_object(make_client: MakeClient) -> None:
    assert type(call_sync(make_client(bakery), stream=True)) is EventStream
    assert type(call_async(make_client(bakery), stream=True)) is EventStreamAsync
