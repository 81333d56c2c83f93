from typing import Any
from unittest.mock import ANY

import pytest
from braintrust.integrations.mistral.operations import Child, Outcome, Request
from braintrust.integrations.mistral.payloads import to_loggable
from braintrust.integrations.mistral.resources.completions import CHAT, read_fim_request, read_response
from braintrust.integrations.mistral.resources.shapes import shape_choices
from hypothesis import example
from hypothesis import given as given_that
from hypothesis import strategies as st

from tests.conftest import CallMethod, LoggedSpans
from tests.helpers.clouds import about, at
from tests.helpers.features import keeps
from tests.helpers.folding import JSON, outcome_of
from tests.helpers.spans import LoggedSpan, Media, logged_calls, with_media
from tests.helpers.wire import Json, answer, answer_stream


try:
    from mistralai.client import models
    from mistralai.client.types import UNSET
    from mistralai.client.utils.eventstreaming import EventStream, EventStreamAsync
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.types import UNSET
    from mistralai.utils.eventstreaming import EventStream, EventStreamAsync


has_several_messages = pytest.mark.skipif(
    not keeps("ChatCompletionChoice", "messages"), reason="this mistralai knows one message a choice"
)
has_logprobs = pytest.mark.skipif(
    not keeps("ChatCompletionChoice", "logprobs"), reason="this mistralai drops logprobs"
)

TYPE: Json = {"type": "function"}
"""What a call of a tool is where it does not say so."""

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
    return outcome_of(read_response, models.ChatCompletionResponse.model_validate(response))


# Requests


PNG = "iVBORw0KGgo="
PNG_FILE = Media(b"\x89PNG\r\n\x1a\n", "image/png", "image.png")
MP3_FILE = Media(b"ID3\x04", "audio/mpeg", "audio.mp3")
PDF = "%25PDF-rye"
PDF_FILE = Media(b"%PDF-rye", "application/pdf", "document.pdf")


def logged_content(chunk: Any) -> Any:
    """Return the content that a message with this chunk logs."""
    logged: Any = CHAT["complete"].request({"messages": [{"role": "user", "content": [chunk]}]}).input
    return with_media(logged[0]["content"])


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


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        (f"data:image/png;base64,{PNG}", {"url": PNG_FILE}),
        ({"url": f"data:image/png;base64,{PNG}", "detail": "low"}, {"url": PNG_FILE, "detail": "low"}),
        ("https://example.com/a.png", {"url": "https://example.com/a.png"}),
        ({"url": "https://example.com/a.png"}, {"url": "https://example.com/a.png"}),
    ],
)
def test_an_image_is_logged_as_an_object_with_a_url_or_an_attachment(given: Any, logged: Json) -> None:
    for chunk in (
        {"type": "image_url", "image_url": given},
        {"image_url": given},
        models.ImageURLChunk(image_url=given),
    ):
        assert logged_content(chunk) == [{"type": "image_url", "image_url": logged}]


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        ({"input_audio": "SUQzBA=="}, {"filename": "audio.mp3", "file_data": MP3_FILE}),
        ({"input_audio": b"ID3\x04"}, {"filename": "audio.mp3", "file_data": MP3_FILE}),
        ({"input_audio": {"data": "SUQzBA==", "format": "mp3"}}, {"filename": "audio.mp3", "file_data": MP3_FILE}),
        ({"document_url": f"data:application/pdf,{PDF}"}, {"filename": "document.pdf", "file_data": PDF_FILE}),
        (
            {"document_url": f"data:application/pdf,{PDF}", "document_name": "rye.pdf"},
            {"filename": "rye.pdf", "file_data": PDF_FILE._replace(filename="rye.pdf")},
        ),
    ],
)
def test_an_inline_document_or_recording_is_logged_as_a_file_by_the_callers_name_or_one_made_from_its_type(
    given: Json, logged: Json
) -> None:
    assert logged_content({"type": next(iter(given)), **given}) == [{"type": "file", "file": logged}]


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "a.pdf"},
        {"type": "input_audio", "input_audio": "https://example.com/a.mp3"},
        # Base64 that cannot be decoded, or is of no type that could be told.
        {"type": "document_url", "document_url": "data:application/pdf;base64,A"},
        {"type": "input_audio", "input_audio": "cnllIGJyZWFk"},
        {"type": "file", "file_id": "file1"},
        {"type": "image_url"},
        {"type": "text", "text": "data:,rye"},
        {"type": "later", "image_url": "https://example.com/a.png"},
    ],
)
def test_what_is_elsewhere_or_unknown_is_logged_as_it_was_given(chunk: Json) -> None:
    assert logged_content(chunk) == [chunk]


def test_the_arguments_of_earlier_tool_calls_are_json_text() -> None:
    asked = {"role": "assistant", "content": "", "tool_calls": [call({"flour": "rüg"}, id="call1"), call("{", id="2")]}
    assert CHAT["complete"].request({"messages": [asked]}).input == [
        {
            **asked,
            "tool_calls": [
                {"type": "function", **call('{"flour": "rüg"}', id="call1")},
                {"type": "function", **call("{", id="2")},
            ],
        }
    ]


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
        MESSAGES,
        {
            "provider": "mistral",
            "stream": False,
            **given,
            # In the words of OpenAI, as its format is.
            "tool_choice": "required",
            "request_metadata": {"user": "u1"},
        },
    )


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        ([], None),
        ([{"function": {"name": "bake"}}], [{"type": "function", "function": {"name": "bake"}}]),
        ([models.WebSearchTool()], [{"type": "web_search"}]),
        ([{"type": "later", "settings": {"a": 1}}], [{"type": "later", "settings": {"a": 1}}]),
    ],
)
def test_tools_are_logged_as_given_functions_in_openais_form_and_never_as_an_empty_list(
    given: list[Any], logged: Any
) -> None:
    assert CHAT["complete"].request({"tools": given}).metadata.get("tools") == logged


@pytest.mark.parametrize("choice", ["auto", "none", "required", {"type": "function", "function": {"name": "bake"}}])
def test_other_choices_of_tools_are_logged_as_given(choice: Any) -> None:
    assert CHAT["complete"].request({"tool_choice": choice}).metadata["tool_choice"] == choice


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


CHUNKS: list[Json] = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
    {"type": "text", "text": "Rye."},
    {"type": "reference", "reference_ids": [1, 2]},
    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
]


@pytest.mark.parametrize("content", ["", "Rye.", CHUNKS[:1], CHUNKS])
def test_the_content_of_a_message_is_logged_as_it_came(content: Any) -> None:
    assert respond(choice(content)).output == [choice(content)]


def test_text_that_came_as_chunks_alone_is_logged_as_a_text() -> None:
    assert respond(choice([CHUNKS[1], CHUNKS[1]])).output == [choice("Rye.Rye.")]


def test_an_image_that_came_as_a_url_is_logged_as_an_object_with_it() -> None:
    image = {"type": "image_url", "image_url": "https://example.com/a.png"}
    assert respond(choice([image])).output == [choice([CHUNKS[3]])]


def test_null_tool_calls_leave_no_trace() -> None:
    answered = choice()
    answered["message"]["tool_calls"] = None
    assert respond(answered) == respond(choice())


def test_null_content_is_null_whether_or_not_the_wire_says_so() -> None:
    bare = choice()
    del bare["message"]["content"]
    assert respond(choice(None), bare).output == [choice(None), choice(None)]


@pytest.mark.parametrize(
    ("reasons", "error"),
    [(["stop"], None), (["length", None], None), (["stop", "error"], "finish_reason: error")],
)
def test_an_answer_that_ended_with_an_error_is_one(reasons: list[str | None], error: str | None) -> None:
    choices = [choice(index=index, finish_reason=reason) for index, reason in enumerate(reasons)]
    outcome = outcome_of(read_response, to_loggable({**IDENTITY, "choices": choices}))
    assert (outcome.output, outcome.error) == (choices, error)


def test_the_model_that_was_asked_for_is_logged_as_well_where_another_answered() -> None:
    response = {**IDENTITY, "choices": [choice()]}
    for asked, named in (("pixtral-12b", "pixtral-12b"), (IDENTITY["model"], None), (None, None)):
        outcome = read_response(response, Request(metadata={"model": asked} if asked else {}))
        assert ((outcome.metadata or {}).get("requested_model"), outcome.metadata["model"]) == (
            named,
            IDENTITY["model"],
        )


@has_logprobs
def test_logprobs_are_output_by_their_names_on_the_wire() -> None:
    token: Json = {"token": "Rye", "logprob": -0.5, "bytes": [82, 121, 101], "token_id": 7}
    answered = choice(logprobs={"content": [{**token, "top_logprobs": [token]}]}, prompt_logprobs=None)
    del (expected := dict(answered))["prompt_logprobs"]
    assert respond(answered).output == [expected]


# Tool calls


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"flour": "rye"}', '{"flour": "rye"}'),
        ({"flour": "rüg", "days": 2}, '{"flour": "rüg", "days": 2}'),
        ('{"flour": ', '{"flour": '),
        ({}, "{}"),
        ("", ""),
    ],
)
def test_the_arguments_of_a_tool_call_are_output_as_json_text_and_malformed_ones_as_they_came(
    arguments: Any, text: str
) -> None:
    assert respond(choice("", calls=[call(arguments, id="a")])).output == [
        choice("", calls=[{**call(text, id="a"), **TYPE}])
    ]


def test_a_tool_call_becomes_a_tool_span_with_parsed_arguments() -> None:
    assert respond(choice("", calls=[call(id="call1", type="function", index=3)])).children == (
        Child(
            name="tool: bake",
            input={"flour": "rye"},
            metadata={
                "tool_type": "function",
                "tool_name": "bake",
                "tool_call_id": "call1",
                "tool_index": 3,
                "choice_index": 0,
            },
            child_index=0,
        ),
    )


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
    children = outcome_of(read_response, to_loggable({"choices": choices})).children
    assert [
        (
            child.metadata["choice_index"],
            child.metadata["tool_index"],
            child.metadata["tool_call_id"],
            child.child_index,
        )
        for child in children
    ] == [(0, 0, "a", 0), (0, 1, "b", 1), (4, 0, "c", 2)]


@has_several_messages
def test_tools_that_mistral_ran_itself_have_their_results() -> None:
    messages: list[Json] = [
        {"role": "assistant", "content": "", "tool_calls": [call(id=id, type="web_search") for id in ("a", "b", "c")]},
        {"role": "tool", "tool_call_id": "b", "content": "rye is a grass"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "bread"}, CHUNKS[2]]},
        {"role": "assistant", "content": "Rye it is.", "metadata": {"source": "web"}},
    ]
    several = {"index": 0, "finish_reason": "stop", "messages": messages}
    outcome = respond(several)
    assert outcome.output == [several]
    assert [
        (child.output, child.metadata["tool_type"], child.metadata["tool_index"]) for child in outcome.children
    ] == [
        ([{"type": "text", "text": "bread"}, CHUNKS[2]], "web_search", 0),
        ("rye is a grass", "web_search", 1),
        (None, "web_search", 2),
    ]


# Anything


def nearly(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return dicts with some of these fields, and now and then anything."""
    exact = st.fixed_dictionaries({}, optional=fields)
    return exact | exact | exact | JSON


CALLS = st.lists(nearly(id=JSON, type=JSON, index=JSON, function=nearly(name=JSON, arguments=JSON)), max_size=2)
ANY_MESSAGE = nearly(content=JSON, tool_call_id=JSON, tool_calls=CALLS)
CHOICES = st.lists(nearly(index=JSON, message=ANY_MESSAGE, messages=st.lists(ANY_MESSAGE, max_size=2)), max_size=2)


@example({"choices": [{"message": {"tool_calls": [{"function": "bake", "id": []}]}}]})
@given_that(nearly(choices=CHOICES, usage=nearly(service_tier=JSON, prompt_tokens_details=JSON), model=JSON))
def test_whatever_the_response_it_is_read(response: Any) -> None:
    outcome = outcome_of(read_response, response)
    expected = to_loggable(response.get("choices") if isinstance(response, dict) else response)
    assert outcome.output == (shape_choices(expected) if isinstance(response, dict) else expected)


# Calls


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


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        *(("mistral", path) for path in METHODS),
        *(("azure", path) for path in METHODS if path.startswith("chat.")),
        *(("vertex", path) for path in METHODS if path.startswith(("chat.", "fim."))),
    ],
    indirect=["provider"],
)
def test_an_error_of_the_api_is_the_callers_and_the_spans(
    provider: str, path: str, call_method: CallMethod, spans: LoggedSpans
) -> None:
    body = {"object": "error", "message": "The oven is cold", "type": "invalid_model", "code": "1500"}
    transport = {"timeout_ms": 60_000, "http_headers": {"x-secret": "s"}, "retries": None}
    # Each client has its own class of errors.
    with pytest.raises(Exception, match="The oven is cold") as raised:
        call_method(lambda request: answer(body, 400), path, **METHODS[path], **transport)
    (logged,) = logged_calls(spans.pop())
    request = dict(METHODS[path])
    assert logged == LoggedSpan(
        name=f"mistral.{path}",
        type="llm",
        input=request.pop("messages") if "messages" in request else {"prompt": request.pop("prompt")},
        output=None,
        metadata={**about(provider), "stream": path.endswith("stream"), **request},
        metrics={"duration": ANY},
        error=logged.error,
        seconds=ANY,
        children=(),
    )
    assert str(raised.value) in (logged.error or "")


@at("azure", "vertex")
def test_a_completion_that_is_told_to_stream_says_so_and_shows_the_error_of_the_sdk(
    call_method: CallMethod, spans: LoggedSpans
) -> None:
    # Each client has its own class of errors.
    with pytest.raises(Exception, match="text/event-stream"):
        call_method(lambda request: answer_stream([]), "chat.complete", **METHODS["chat.complete"], stream=True)
    (logged,) = logged_calls(spans.pop())
    assert (logged.name, logged.metadata["stream"], logged.output) == ("mistral.chat.complete", True, None)
    assert logged.error


@pytest.mark.usefixtures("no_logger")
@pytest.mark.parametrize("path", [path for path in METHODS if path.endswith("stream")])
def test_without_a_logger_a_stream_is_the_sdks_own_object(path: str, call_method: CallMethod) -> None:
    stream = call_method(lambda request: answer_stream([]), path, **METHODS[path])
    assert type(stream) in (EventStream, EventStreamAsync)
