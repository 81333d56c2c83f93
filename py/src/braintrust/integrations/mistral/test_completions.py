import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import ANY

import pydantic
import pytest
from braintrust.logger import Attachment
from hypothesis import example, settings
from hypothesis import given as given_that
from hypothesis import strategies as st

from .completions import AGENTS, CHAT, FIM, read_fim_request, read_response
from .conftest import (
    IS_MISTRALAI_1,
    Json,
    LoggedSpan,
    LoggedSpans,
    MakeClient,
    Mistral,
    answer,
    answer_stream,
    logged_calls,
)
from .operations import Child, Operation, Outcome, Request
from .payloads import plain


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


has_several_messages = pytest.mark.skipif(
    "messages" not in models.ChatCompletionChoice.model_fields, reason="mistralai 1.x knows one message a choice"
)
has_logprobs = pytest.mark.skipif(
    "logprobs" not in models.ChatCompletionChoice.model_fields, reason="mistralai 1.x and 2.x drop logprobs"
)

TYPE: Json = {} if IS_MISTRALAI_1 else {"type": "function"}
"""What 2.x and 3.x fill in where a tool or a call of one has no type."""

IDENTITY: Json = {
    "id": "cmpl1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "mistral-small-2603",
}


def choice(content: Any = "Rye.", index: int = 0, calls: list[Json] | None = None, **fields: Any) -> Json:
    """Return a choice; `calls` are its message's tool calls."""
    message: Json = {"role": "assistant", "content": content}
    if calls is not None:
        message["tool_calls"] = calls
    return {"index": index, "finish_reason": "stop", "message": message, **fields}


def call(arguments: Any = '{"flour": "rye"}', name: str = "bake", **fields: Any) -> Json:
    return {"function": {"name": name, "arguments": arguments}, **fields}


def respond(*choices: Json, usage: Json | None = None) -> Outcome:
    """Return what a response with these choices logs, after the SDK has parsed it."""
    response = {**IDENTITY, "choices": choices, "usage": usage or {}}
    return read(models.ChatCompletionResponse.model_validate(response))


def read(response: Any) -> Outcome:
    """Return what a response logs, to be compared whole."""
    outcome = read_response(response, Request())
    return outcome._replace(children=tuple(outcome.children))


def child_of(tool_call: Json) -> Child:
    (child,) = respond(choice("", calls=[tool_call])).children
    return child


# Requests


MESSAGES: list[Json] = [
    {"role": "system", "content": "You are a baker."},
    {"role": "user", "content": [{"type": "text", "text": "Which flour?"}]},
    {"role": "assistant", "content": "", "tool_calls": [{"id": "call1", "type": "function", **call()}]},
    {"role": "tool", "content": "rye", "tool_call_id": "call1"},
]


def test_messages_given_as_models_and_as_dicts_are_logged_alike() -> None:
    given = [
        models.SystemMessage(content="You are a baker."),
        models.UserMessage(content=[models.TextChunk(text="Which flour?")]),
        models.AssistantMessage.model_validate(MESSAGES[2]),
        models.ToolMessage(content="rye", tool_call_id="call1"),
    ]
    for messages in (MESSAGES, given, [*MESSAGES[:2], *given[2:]]):
        assert CHAT["complete"].request({"messages": messages}).input == MESSAGES


WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.mark.parametrize(
    ("chunk", "content_type", "data"),
    [
        ({"type": "image_url", "image_url": PNG_URL}, "image/png", PNG),
        ({"type": "image_url", "image_url": {"url": PNG_URL, "detail": "high"}}, "image/png", PNG),
        (models.ImageURLChunk(image_url=PNG_URL), "image/png", PNG),
        ({"type": "document_url", "document_url": "data:application/pdf,%25PDF-"}, "application/pdf", b"%PDF-"),
        ({"type": "input_audio", "input_audio": base64.b64encode(WAV).decode()}, "audio/wav", WAV),
        ({"type": "input_audio", "input_audio": WAV}, "audio/wav", WAV),
    ],
)
def test_inline_media_in_a_message_becomes_an_attachment(chunk: Any, content_type: str, data: bytes) -> None:
    messages: Any = CHAT["complete"].request({"messages": [{"role": "user", "content": [chunk]}]}).input
    ((logged,),) = (message["content"] for message in messages)
    media = logged[logged["type"]]
    attachment = media["url"] if isinstance(media, dict) else media
    assert isinstance(attachment, Attachment)
    assert (attachment.reference["content_type"], attachment.data) == (content_type, data)


@pytest.mark.parametrize("url", ["https://example.com/a.png", "/etc/passwd", "file:///etc/passwd"])
@pytest.mark.parametrize("kind", ["image_url", "document_url", "input_audio"])
def test_a_url_in_a_message_stays_a_url_and_a_path_a_string(kind: str, url: str) -> None:
    messages = [{"role": "user", "content": [{"type": kind, kind: url}]}]
    assert CHAT["complete"].request({"messages": messages}).input == messages


def test_the_parameters_of_a_request_that_were_given_are_metadata() -> None:
    given: Json = {
        "model": "mistral-small-latest",
        "temperature": 0.0,
        "stop": ["\n"],
        "response_format": {"type": "json_object"},
        "tools": [{"type": "function", "function": {"name": "bake", "parameters": {}}}],
        "tool_choice": "any",
        "n": 2,
        "parallel_tool_calls": False,
    }
    arguments = {**given, "messages": MESSAGES, "metadata": {"user": "u1"}, "max_tokens": UNSET, "random_seed": None}
    assert CHAT["complete"].request(arguments) == Request(
        MESSAGES, {"provider": "mistral", "stream": False, **given, "request_metadata": {"user": "u1"}}
    )


def test_parameters_given_as_models_become_plain() -> None:
    schema = models.JSONSchema(name="loaf", schema_definition={"type": "object"})
    arguments = {
        "tools": [models.Tool(function=models.Function(name="bake", parameters={}))],
        "response_format": models.ResponseFormat(type="json_schema", json_schema=schema),
    }
    assert CHAT["complete"].request(arguments).metadata == {
        "provider": "mistral",
        "stream": False,
        "tools": [{"function": {"name": "bake", "parameters": {}}, **TYPE}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "loaf", "schema": {"type": "object"}}},
    }


def test_an_agent_is_known_by_its_id_and_the_messages_are_the_input() -> None:
    assert AGENTS["complete"].request({"agent_id": "ag1", "messages": MESSAGES}) == Request(
        MESSAGES, {"provider": "mistral", "stream": False, "agent_id": "ag1"}
    )


@pytest.mark.parametrize(
    ("content", "logged"),
    [
        ({"prompt": "def f(", "suffix": "return x"}, {"prompt": "def f(", "suffix": "return x"}),
        ({"prompt": "def f(", "suffix": UNSET}, {"prompt": "def f("}),
        ({"prompt": ""}, {"prompt": ""}),
    ],
)
def test_a_fill_in_the_middle_shows_what_is_around_the_gap(content: Json, logged: Json) -> None:
    assert read_fim_request({"model": "codestral-latest", "min_tokens": 1, **content}) == Request(
        logged, {"provider": "mistral", "model": "codestral-latest", "min_tokens": 1}
    )


def test_a_stream_argument_that_is_true_says_so_and_no_other_does() -> None:
    for given, stream in ((True, True), (False, False), (None, False), (UNSET, False), ("yes", False)):
        assert CHAT["complete"].request({"stream": given}).metadata["stream"] is stream


# Responses


def test_a_completion_is_its_choices_and_what_it_says_about_itself() -> None:
    choices = [choice(), choice("Wheat.", 1, finish_reason="length")]
    outcome = respond(*choices, usage={"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14})
    assert outcome == Outcome(choices, IDENTITY, {"prompt_tokens": 10, "completion_tokens": 4, "tokens": 14})


@pytest.mark.parametrize(
    ("usage", "metrics"),
    [
        ({}, {}),
        ({"total_tokens": 3, "prompt_audio_seconds": None}, {"tokens": 3}),
        ({"prompt_tokens": 0}, {"prompt_tokens": 0}),
        (
            {
                "prompt_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 2},
                "prompt_audio_seconds": 4,
            },
            {
                "prompt_tokens": 9,
                "prompt_cached_tokens": 8,
                "completion_reasoning_tokens": 2,
                "prompt_audio_seconds": 4,
            },
        ),
    ],
)
def test_usage_is_what_the_api_reported_and_nothing_that_the_sdk_fills_in(usage: Json, metrics: Json) -> None:
    assert respond(choice(), usage=usage) == Outcome([choice()], IDENTITY, metrics)


def test_the_service_tier_is_metadata() -> None:
    outcome = respond(choice(), usage={"service_tier": "priority", "total_tokens": 3})
    assert outcome == Outcome([choice()], {**IDENTITY, "usage_service_tier": "priority"}, {"tokens": 3})


CHUNKS: list[Json] = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
    {"type": "text", "text": "Rye."},
    {"type": "reference", "reference_ids": [1, 2]},
    {"type": "image_url", "image_url": "https://example.com/a.png"},
]


@pytest.mark.parametrize("content", ["", "Rye.", CHUNKS[:1], CHUNKS])
def test_the_content_of_a_message_is_logged_as_it_came(content: Any) -> None:
    assert respond(choice(content)).output == [choice(content)]


def test_null_content_is_left_out() -> None:
    message = {"role": "assistant"}
    assert respond(choice(None, calls=None)).output == [{"index": 0, "finish_reason": "stop", "message": message}]


@has_logprobs
def test_logprobs_are_output_by_their_names_on_the_wire() -> None:
    token: Json = {"token": "Rye", "logprob": -0.5, "bytes": [82, 121, 101], "token_id": 7}
    answered = choice(logprobs={"content": [{**token, "top_logprobs": [token]}]}, prompt_logprobs=None)
    del (expected := dict(answered))["prompt_logprobs"]
    assert respond(answered).output == [expected]


# Tool calls


def test_a_tool_call_becomes_a_tool_span_with_parsed_arguments() -> None:
    assert child_of(call(id="call1", type="function", index=3)) == Child(
        name="tool: bake",
        input={"flour": "rye"},
        metadata={
            "tool_type": "function",
            "tool_name": "bake",
            "tool_call_id": "call1",
            "tool_index": 3,
            "choice_index": 0,
        },
        place=0,
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"flour": "rye"}, {"flour": "rye"}),
        ("[1]", [1]),
        ('{"flour": "ry', '{"flour": "ry'),
        ("", ""),
    ],
)
def test_arguments_are_parsed_where_they_are_json_else_as_they_came(arguments: Any, expected: Any) -> None:
    assert child_of(call(arguments)).input == expected


def test_what_the_wire_did_not_say_of_a_call_is_not_invented() -> None:
    outcome = respond(choice("", calls=[call(), call(name="taste")]))
    assert outcome.output == [choice("", calls=[{**call(), **TYPE}, {**call(name="taste"), **TYPE}])]
    assert [child.metadata for child in outcome.children] == [
        {"tool_type": "function", "tool_name": "bake", "tool_index": 0, "choice_index": 0},
        {"tool_type": "function", "tool_name": "taste", "tool_index": 1, "choice_index": 0},
    ]


def test_the_calls_of_all_choices_know_their_choice_and_their_place() -> None:
    choices = [
        choice("", calls=[call(id="a", index=0), call(id="b", index=1)], finish_reason="tool_calls"),
        choice("None of these.", 1),
        choice("", 4, calls=[call(id="c", index=0)], finish_reason="tool_calls"),
    ]
    children = read(plain({"choices": choices})).children
    assert [
        (
            child.metadata["choice_index"],
            child.metadata["tool_index"],
            child.metadata["tool_call_id"],
            child.place,
        )
        for child in children
    ] == [(0, 0, "a", 0), (0, 1, "b", 1), (4, 0, "c", 2)]


@has_several_messages
def test_tools_that_mistral_ran_itself_have_their_results() -> None:
    messages: list[Json] = [
        {"role": "assistant", "content": "", "tool_calls": [call(id=id, type="web_search") for id in ("a", "b", "c")]},
        {"role": "tool", "tool_call_id": "b", "content": "rye is a grass"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "bread"}]},
        {"role": "assistant", "content": "Rye it is.", "metadata": {"source": "web"}},
    ]
    several = {"index": 0, "finish_reason": "stop", "messages": messages}
    outcome = respond(several)
    assert outcome.output == [several]
    assert [
        (child.output, child.metadata["tool_type"], child.metadata["tool_index"]) for child in outcome.children
    ] == [
        ([{"type": "text", "text": "bread"}], "web_search", 0),
        ("rye is a grass", "web_search", 1),
        (None, "web_search", 2),
    ]


# Anything


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(), items, max_size=3),
    max_leaves=5,
)


def nearly(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return dicts with some of these fields, and now and then anything."""
    exact = st.fixed_dictionaries({}, optional=fields)
    return exact | exact | exact | JSON


CALLS = st.lists(nearly(id=JSON, type=JSON, index=JSON, function=nearly(name=JSON, arguments=JSON)), max_size=2)
ANY_MESSAGE = nearly(content=JSON, tool_call_id=JSON, tool_calls=CALLS)
CHOICES = st.lists(nearly(index=JSON, message=ANY_MESSAGE, messages=st.lists(ANY_MESSAGE, max_size=2)), max_size=2)


@settings(deadline=None)
@example({"choices": [{"message": {"tool_calls": [{"function": "bake", "id": []}]}}]})
@given_that(nearly(choices=CHOICES, usage=nearly(service_tier=JSON, prompt_tokens_details=JSON), model=JSON))
def test_whatever_the_response_it_is_read(response: Any) -> None:
    outcome = read(response)
    assert outcome.output == plain(response.get("choices") if isinstance(response, dict) else response)


# The table


@pytest.mark.parametrize(("resource", "table"), [("chat", CHAT), ("agents", AGENTS), ("fim", FIM)])
def test_every_operation_has_the_name_and_the_type_of_the_contract(
    resource: str, table: Mapping[str, Operation]
) -> None:
    assert {name: (operation.span_name, operation.span_type.value) for name, operation in table.items()} == {
        name: (f"mistral.{resource}.{name}", "llm") for name in ("complete", "stream")
    }
    assert [operation.request({}).metadata["stream"] for operation in table.values()] == [False, True]


# Calls


USAGE: Json = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
MESSAGE: list[Json] = [{"role": "user", "content": "Which flour?"}]
METHODS: dict[str, Json] = {
    "chat.complete": {"model": "mistral-small-latest", "messages": MESSAGE},
    "chat.stream": {"model": "mistral-small-latest", "messages": MESSAGE},
    "agents.complete": {"agent_id": "ag1", "messages": MESSAGE},
    "agents.stream": {"agent_id": "ag1", "messages": MESSAGE},
    "fim.complete": {"model": "codestral-latest", "prompt": "flour = "},
    "fim.stream": {"model": "codestral-latest", "prompt": "flour = "},
}
"""The traced methods, and arguments for each."""

ANSWERED = choice("Rye.", calls=[call(id="call1", type="function", index=0)], finish_reason="tool_calls")


def chunk(finish_reason: str | None = None, usage: Json | None = None, **delta: Any) -> Json:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    fields: Json = {} if usage is None else {"usage": usage}
    return {**IDENTITY, "object": "chat.completion.chunk", "choices": choices, **fields}


EVENTS: list[Json] = [
    chunk(role="assistant", content=""),
    chunk(content="Ry"),
    chunk(content="e."),
    chunk(tool_calls=[call('{"flour": ', "bake", id="call1", type="function", index=0)]),
    chunk(tool_calls=[call('"rye"}', "", index=0)]),
    chunk("tool_calls", USAGE, content=""),
]


def bakery(request: Any) -> Any:
    """Answer any request as Mistral does."""
    if json.loads(request.content).get("stream"):
        return answer_stream(EVENTS)
    return answer({**IDENTITY, "choices": [ANSWERED], "usage": USAGE})


Call = Callable[..., Any]


def call_sync(client: Mistral, path: str, **arguments: Any) -> Any:
    """Call the method that hangs there, and return what the caller gets; a stream is read to its end first."""
    resource, method = path.split(".")
    result = getattr(getattr(client, resource), method)(**arguments)
    if method.endswith("stream"):
        assert len(list(result)) == len(EVENTS)
    return result


def call_async(client: Mistral, path: str, **arguments: Any) -> Any:
    """Do the same with the method's async twin."""

    async def wait() -> Any:
        resource, method = path.split(".")
        result = await getattr(getattr(client, resource), f"{method}_async")(**arguments)
        if method.endswith("stream"):
            assert len([event async for event in result]) == len(EVENTS)
        return result

    return asyncio.run(wait())


both_faces = pytest.mark.parametrize("make_call", [call_sync, call_async])


def expected_call(path: str, answered: bool = True, **metadata: Any) -> LoggedSpan:
    """Return what a call of that method shows; `metadata` is beyond what all calls have."""
    stream = path.endswith("stream")
    request = dict(METHODS[path])
    content = request.pop("messages") if "messages" in request else {"prompt": request.pop("prompt")}
    call_metadata = {
        "tool_type": "function",
        "tool_name": "bake",
        "tool_call_id": "call1",
        "tool_index": 0,
        "choice_index": 0,
    }
    tool_call = LoggedSpan("tool: bake", "tool", {"flour": "rye"}, None, call_metadata, {}, None, ANY, ())
    metrics: Json = {"duration": ANY}
    if answered:
        metrics |= {"prompt_tokens": 7, "completion_tokens": 2, "tokens": 9}
        metrics |= {"time_to_first_token": ANY} if stream else {}
    return LoggedSpan(
        name=f"mistral.{path}",
        type="llm",
        input=content,
        output=[ANSWERED] if answered else None,
        metadata={
            "provider": "mistral",
            "stream": stream,
            **request,
            **(IDENTITY if answered else {}),
            **metadata,
        },
        metrics=metrics,
        error=None,
        seconds=ANY,
        children=(tool_call,) if answered else (),
    )


@both_faces
@pytest.mark.parametrize("path", METHODS)
def test_a_call_is_one_span_that_shows_all_of_it_and_a_stream_shows_the_same(
    make_call: Call, path: str, spans: LoggedSpans, make_client: MakeClient
) -> None:
    transport = {"timeout_ms": 60_000, "http_headers": {"x-secret": "s"}, "retries": None}
    make_call(make_client(bakery), path, **METHODS[path], **transport, metadata={"user": "u1"})
    assert logged_calls(spans.pop()) == [expected_call(path, request_metadata={"user": "u1"})]


class Loaf(pydantic.BaseModel):
    flour: str


@both_faces
@pytest.mark.parametrize(("parse", "path"), [("chat.parse", "chat.complete"), ("chat.parse_stream", "chat.stream")])
def test_a_parsed_answer_is_one_call_with_its_schema(
    make_call: Call, parse: str, path: str, spans: LoggedSpans, make_client: MakeClient
) -> None:
    loaf = {**ANSWERED, "message": {**ANSWERED["message"], "content": '{"flour": "rye"}'}}
    body = {**IDENTITY, "choices": [loaf], "usage": USAGE}
    client = make_client(bakery if path == "chat.stream" else lambda request: answer(body))
    result = make_call(client, parse, response_format=Loaf, **METHODS[path])
    (logged,) = logged_calls(spans.pop())
    expected = expected_call(path, response_format=ANY)
    if path == "chat.complete":
        assert result.choices[0].message.parsed == Loaf(flour="rye")
        expected = expected._replace(output=[loaf])
    assert logged == expected
    response_format = logged.metadata["response_format"]
    assert (response_format["type"], response_format["json_schema"]["name"]) == ("json_schema", "Loaf")
    assert response_format["json_schema"]["schema"]["properties"]["flour"]["type"] == "string"


@both_faces
@pytest.mark.parametrize("path", METHODS)
def test_an_error_of_the_api_is_the_callers_and_the_spans(
    make_call: Call, path: str, spans: LoggedSpans, make_client: MakeClient
) -> None:
    body = {"object": "error", "message": "The oven is cold", "type": "invalid_model", "code": "1500"}
    with pytest.raises(MistralError, match="The oven is cold") as raised:
        make_call(make_client(lambda request: answer(body, 400)), path, **METHODS[path])
    (logged,) = logged_calls(spans.pop())
    assert logged == expected_call(path, answered=False)._replace(error=logged.error)
    assert str(raised.value) in (logged.error or "")


@both_faces
def test_a_completion_that_is_told_to_stream_says_so_and_shows_the_error_of_the_sdk(
    make_call: Call, spans: LoggedSpans, make_client: MakeClient
) -> None:
    with pytest.raises(MistralError):
        make_call(make_client(bakery), "chat.complete", **METHODS["chat.complete"], stream=True)
    (logged,) = logged_calls(spans.pop())
    assert (logged.name, logged.metadata["stream"], logged.output) == ("mistral.chat.complete", True, None)
    assert logged.error


@pytest.mark.usefixtures("no_logger")
@pytest.mark.parametrize("path", [path for path in METHODS if path.endswith("stream")])
def test_without_a_logger_a_stream_is_the_sdks_own_object(path: str, make_client: MakeClient) -> None:
    assert type(call_sync(make_client(bakery), path, **METHODS[path])) is EventStream
    assert type(call_async(make_client(bakery), path, **METHODS[path])) is EventStreamAsync
