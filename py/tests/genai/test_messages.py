import base64
import enum
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest
import yaml
from braintrust.integrations.mistral.genai import (
    format_input_message,
    format_output_entries,
    format_output_message,
    format_tool_definition,
    span_attributes,
)
from braintrust.integrations.mistral.test_mistral import CASSETTES, completed, events_of, unstreamed
from braintrust.logger import Attachment, ExternalAttachment
from hypothesis import given as given_that
from hypothesis import strategies as st

from tests.helpers.hostile import BrokenDict, BrokenObject
from tests.helpers.wire import Json


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models

try:
    from mistralai.extra.observability import formatting as helpers
except ImportError:  # 1.x
    helpers: Any = None


SCHEMA = json.loads((Path(__file__).parent / "genai-messages.json").read_text(encoding="utf-8"))
UP_TO_1_41: Json = {
    "properties": {
        "output_messages": {
            "items": {"required": ["finish_reason"], "properties": {"finish_reason": {"type": "string"}}},
        }
    }
}
"""What the conventions required before they moved, and do not any more."""

RECORDINGS = Path(__file__).parents[4] / "shared" / "recordings"

PNG = b"\x89PNG\r\n\x1a\n"
PNG_BASE64 = base64.b64encode(PNG).decode()
PNG_URL = f"data:image/png;base64,{PNG_BASE64}"


def parts(*content: Any) -> list[Json]:
    """The parts that these chunks become."""
    message = format_input_message({"role": "user", "content": list(content)})
    assert message["role"] == "user"
    return message["parts"]


def part(chunk: Any) -> Json:
    (only,) = parts(chunk)
    return only


# Messages


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Hi", [{"type": "text", "content": "Hi"}]),
        ("", [{"type": "text", "content": ""}]),
        (None, []),
        ([], []),
        (["a", "b"], [{"type": "text", "content": "a"}, {"type": "text", "content": "b"}]),
    ],
)
def test_content_is_a_text_or_none_or_a_list_with_texts_in_it(content: Any, expected: list[Json]) -> None:
    assert format_input_message({"role": "user", "content": content}) == {"role": "user", "parts": expected}


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        ({"type": "text", "text": "Hi"}, {"type": "text", "content": "Hi"}),
        (
            {"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"type": "reasoning", "content": "a\nb"},
        ),
        ({"type": "thinking", "thinking": "a"}, {"type": "reasoning", "content": "a"}),
        ({"type": "thinking", "thinking": 7}, {"type": "reasoning", "content": "7"}),
        ({"type": "image_url", "image_url": "https://x/a.png"}, ("uri", "image", "https://x/a.png")),
        ({"type": "image_url", "image_url": {"url": "https://x/a.png"}}, ("uri", "image", "https://x/a.png")),
        ({"type": "image_url", "image_url": PNG_URL}, ("blob", "image", PNG_BASE64, "image/png")),
        ({"type": "image_url", "image_url": {"url": PNG_URL}}, ("blob", "image", PNG_BASE64, "image/png")),
        ({"type": "document_url", "document_url": "https://x/a.pdf"}, ("uri", "document", "https://x/a.pdf")),
        (
            {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERg=="},
            ("blob", "document", "JVBERg==", "application/pdf"),
        ),
        ({"type": "document_url", "document_url": "data:,a%20b"}, ("blob", "document", "YSBi")),
        ({"type": "input_audio", "input_audio": "UklGRg=="}, ("blob", "audio", "UklGRg==")),
        ({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}, ("blob", "audio", "UklGRg==")),
        (
            {"type": "input_audio", "input_audio": "data:audio/wav;base64,UklGRg=="},
            ("blob", "audio", "UklGRg==", "audio/wav"),
        ),
        ({"type": "input_audio", "input_audio": "https://x/a.wav"}, ("uri", "audio", "https://x/a.wav")),
        (
            {"type": "file", "file": {"filename": "a.wav", "file_data": "data:audio/wav;base64,UklGRg=="}},
            ("blob", "audio", "UklGRg==", "audio/wav"),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
            ("blob", "document", "JVBERg==", "application/pdf"),
        ),
        ({"type": "file", "file": {"filename": "a.mp3", "file_data": "https://x/a"}}, ("uri", "audio", "https://x/a")),
        ({"type": "file", "file_id": "f1"}, ("file", "document", "f1")),
        ({"type": "tool_file", "file_id": "f1", "file_type": "png"}, ("file", "image", "f1")),
        ({"type": "tool_file", "file_id": "f1", "file_type": "image/jpeg"}, ("file", "image", "f1")),
        ({"type": "tool_file", "file_id": "f1", "file_type": "csv"}, ("file", "document", "f1")),
        (
            {"type": "tool_file", "file_id": "f1", "file_name": "plot.2.PNG"},
            {"type": "file", "modality": "image", "file_id": "f1", "file_name": "plot.2.PNG"},
        ),
        *(
            (chunk, chunk)
            for chunk in (
                {"type": "reference", "reference_ids": [1, "a"]},
                {"type": "tool_reference", "tool": "web_search", "title": "Tides", "url": "https://x"},
                {"type": "hologram", "beams": 3},
            )
        ),
    ],
)
def test_each_chunk_is_a_part(chunk: Json, expected: Any) -> None:
    assert part(chunk) == (media_part(*expected) if isinstance(expected, tuple) else expected)


def media_part(kind: str, modality: str, value: str, mime_type: str | None = None) -> Json:
    name = {"uri": "uri", "blob": "content", "file": "file_id"}[kind]
    return {"type": kind, "modality": modality, name: value, **({"mime_type": mime_type} if mime_type else {})}


def test_a_chunk_may_leave_out_its_type_as_typed_dicts_do() -> None:
    chunks = [{"text": "Hi"}, {"thinking": [{"text": "Hm"}]}, {"image_url": "https://x"}]
    assert parts(*chunks) == [
        {"type": "text", "content": "Hi"},
        {"type": "reasoning", "content": "Hm"},
        media_part("uri", "image", "https://x"),
    ]


@pytest.mark.skipif(not hasattr(models, "UnknownContentChunk"), reason="this mistralai refuses what it does not know")
def test_a_chunk_of_an_unknown_type_that_the_sdk_wrapped_is_as_it_came() -> None:
    chunk = {"type": "hologram", "beams": 3}
    message = models.UserMessage.model_validate({"role": "user", "content": [chunk]})
    assert format_input_message(message) == {"role": "user", "parts": [chunk]}


def test_a_chunk_whose_type_opentelemetry_uses_for_something_else_is_told_apart() -> None:
    assert part({"type": "blob", "id": 1}) == {"type": "mistral.blob", "id": 1}


def test_tool_calls_are_parts_after_the_content() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    bare = {"function": {"name": "stop"}}
    message = format_input_message({"role": "assistant", "content": "So:", "tool_calls": [call, bare]})
    assert message["parts"] == [
        {"type": "text", "content": "So:"},
        {"type": "tool_call", "id": "c1", "name": "add", "arguments": '{"a": 1}'},
        {"type": "tool_call", "name": "stop"},
    ]


def test_a_tool_message_is_one_response() -> None:
    message = {"role": "tool", "tool_call_id": "c1", "name": "add", "content": [{"type": "text", "text": "2"}]}
    assert format_input_message(message) == {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "c1", "response": [{"type": "text", "text": "2"}]}],
        "name": "add",
    }
    assert format_input_message({"role": "tool"}) == {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "response": None}],
    }


def test_a_message_without_a_role_has_an_unknown_one() -> None:
    assert format_input_message({"content": "Hi"}) == {"role": "unknown", "parts": [{"type": "text", "content": "Hi"}]}


# Entries

CALL: Json = {"type": "function.call", "id": "f1", "tool_call_id": "c1", "name": "add", "arguments": '{"a": 1}'}
EXECUTION: Json = {
    "type": "tool.execution",
    "id": "t1",
    "name": "web_search",
    "arguments": '{"query": "tides"}',
    "info": {"result": "high"},
}
HANDOFF: Json = {
    "type": "agent.handoff",
    "id": "h1",
    "previous_agent_id": "a1",
    "previous_agent_name": "Router",
    "next_agent_id": "a2",
    "next_agent_name": "Writer",
}
ANSWER: Json = {"type": "message.output", "id": "m1", "role": "assistant", "content": "Hi", "model": "m"}

CALL_PART: Json = {"type": "tool_call", "id": "c1", "name": "add", "arguments": '{"a": 1}'}
EXECUTION_PARTS: list[Json] = [
    {
        "type": "server_tool_call",
        "id": "t1",
        "name": "web_search",
        "server_tool_call": {"type": "web_search", "arguments": '{"query": "tides"}'},
    },
    {
        "type": "server_tool_call_response",
        "id": "t1",
        "server_tool_call_response": {"type": "web_search", "info": {"result": "high"}},
    },
]
HANDOFF_PART: Json = {key: value for key, value in HANDOFF.items() if key != "id"}
TEXT_PART: Json = {"type": "text", "content": "Hi"}


@pytest.mark.parametrize(
    ("entry", "role", "expected"),
    [
        (
            {"type": "function.result", "tool_call_id": "c1", "result": "2"},
            "tool",
            [{"type": "tool_call_response", "id": "c1", "response": "2"}],
        ),
        (
            {"tool_call_id": "c1", "result": "2"},
            "tool",
            [{"type": "tool_call_response", "id": "c1", "response": "2"}],
        ),
        (CALL, "assistant", [CALL_PART]),
        (
            {**CALL, "confirmation_status": "pending"},
            "assistant",
            [{**CALL_PART, "confirmation_status": "pending"}],
        ),
        (EXECUTION, "assistant", EXECUTION_PARTS),
        ({**EXECUTION, "info": None}, "assistant", EXECUTION_PARTS[:1]),
        (HANDOFF, "assistant", [HANDOFF_PART]),
        (ANSWER, "assistant", [TEXT_PART]),
        ({"type": "message.input", "role": "user", "content": "Hi"}, "user", [TEXT_PART]),
        ({"type": "agent.nap", "id": "n1"}, "unknown", [{"type": "agent.nap", "id": "n1"}]),
        # What has a type or a role is no result, whatever it has beside.
        ({"type": "agent.nap", "result": "2"}, "unknown", [{"type": "agent.nap", "result": "2"}]),
        ({"role": "user", "content": "Hi", "result": "2"}, "user", [TEXT_PART]),
    ],
)
def test_each_entry_is_a_message(entry: Json, role: str, expected: list[Json]) -> None:
    assert format_input_message(entry) == {"role": role, "parts": expected}


def test_outputs_are_one_message_in_their_order() -> None:
    assert format_output_entries([EXECUTION, HANDOFF, ANSWER, CALL]) == [
        {
            "role": "assistant",
            "parts": [*EXECUTION_PARTS, HANDOFF_PART, TEXT_PART, CALL_PART],
            "finish_reason": "tool_call",
        }
    ]
    assert format_output_entries([]) == [{"role": "assistant", "parts": [], "finish_reason": "stop"}]


RESULT: Json = {"type": "function.result", "tool_call_id": "c1", "result": "2"}


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ([CALL], "tool_call"),
        ([CALL, ANSWER], "tool_call"),
        ([{**CALL, "confirmation_status": "pending"}], "tool_call"),
        ([{**CALL, "confirmation_status": "denied"}], "stop"),
        # As a run has them.
        ([CALL, RESULT, ANSWER], "stop"),
        ([CALL, RESULT, {**CALL, "tool_call_id": "c2"}], "tool_call"),
        ([EXECUTION, HANDOFF], "stop"),
        ([{"type": "UNKNOWN", "raw": CALL}], "tool_call"),
        ([{"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}], "tool_call"),
        ("Hi", "stop"),
        (None, "stop"),
    ],
)
def test_outputs_end_for_a_tool_call_where_functions_wait_for_results(outputs: Any, reason: str) -> None:
    (message,) = format_output_entries(outputs)
    assert message["finish_reason"] == reason


def test_models_are_read_like_dicts() -> None:
    chunks = [
        models.TextChunk(text="Hi"),
        models.ImageURLChunk(image_url=models.ImageURL(url=PNG_URL)),
        models.DocumentURLChunk(document_url="https://x"),
    ]
    assert format_input_message(models.UserMessage(content=chunks)) == {
        "role": "user",
        "parts": [
            TEXT_PART,
            media_part("blob", "image", PNG_BASE64, "image/png"),
            media_part("uri", "document", "https://x"),
        ],
    }
    call = models.ToolCall(id="c1", function=models.FunctionCall(name="add", arguments='{"a": 1}'))
    message = models.AssistantMessage(tool_calls=[call])
    choice = models.ChatCompletionChoice(index=0, message=message, finish_reason="tool_calls")
    assert format_output_message(choice) == {"role": "assistant", "parts": [CALL_PART], "finish_reason": "tool_call"}
    assert format_input_message(models.FunctionResultEntry(tool_call_id="c1", result="2")) == {
        "role": "tool",
        "parts": [{"type": "tool_call_response", "id": "c1", "response": "2"}],
    }
    assert format_output_entries([models.ToolExecutionEntry.model_validate(EXECUTION)]) == [
        {"role": "assistant", "parts": EXECUTION_PARTS, "finish_reason": "stop"}
    ]
    assert format_tool_definition(models.WebSearchTool()) == {"type": "web_search", "name": "web_search"}


# Choices


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("error", "error"),
        ("tool_calls", "tool_call"),
        ("model_length", "length"),
        (None, ""),
    ],
)
def test_the_finish_reason_is_opentelemetrys(reason: str | None, expected: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": reason}
    message: Json = {"role": "assistant", "parts": [TEXT_PART], "finish_reason": expected}
    assert format_output_message(choice) == message
    if reason is None:
        del choice["finish_reason"]
        assert format_output_message(choice) == message


def test_the_messages_of_a_choice_that_ran_tools_are_put_together() -> None:
    call = {"id": "c1", "function": {"name": "add", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "assistant", "content": "Hi"},
    ]
    assert format_output_message({"messages": messages, "finish_reason": "stop"}) == {
        "role": "assistant",
        "parts": [CALL_PART, {"type": "tool_call_response", "id": "c1", "response": "2"}, TEXT_PART],
        "finish_reason": "stop",
    }


# Tools

FUNCTION: Json = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "function": FUNCTION}, {"type": "function", **FUNCTION}),
        ({"function": FUNCTION}, {"type": "function", **FUNCTION}),
        ({"type": "function", "function": {"name": "add"}}, {"type": "function", "name": "add"}),
        ({"type": "function", "function": {"name": ""}}, None),
        ({"type": "function", "function": {"description": "Adds."}}, None),
        ({"type": "function"}, None),
        ({}, None),
        ({"type": "function", "strict": True, **FUNCTION}, {"type": "function", **FUNCTION}),
        ({"type": "web_search"}, {"type": "web_search", "name": "web_search"}),
        (
            {"type": "document_library", "library_ids": ["l1"]},
            {"type": "document_library", "name": "document_library", "library_ids": ["l1"]},
        ),
        (
            {"type": "connector", "connector_id": "crm", "tool_configuration": {"include": ["find"]}},
            {
                "type": "connector",
                "name": "crm",
                "connector_id": "crm",
                "tool_configuration": {"include": ["find"]},
            },
        ),
        (
            {"type": "connector", "connector_id": "crm", "authorization": {"type": "api-key", "value": "secret"}},
            {"type": "connector", "name": "crm", "connector_id": "crm"},
        ),
    ],
)
def test_a_tool_is_flat_and_named(tool: Json, expected: Json | None) -> None:
    assert format_tool_definition(tool) == expected


# Attachments


def test_an_attachment_is_a_blob_where_its_bytes_are_at_hand_and_else_what_refers_to_it(secret: str) -> None:
    held = Attachment(data=PNG, filename="image.png", content_type="image/png")
    on_disk = Attachment(data=secret, filename="image.png", content_type="image/png")
    external = ExternalAttachment(url="s3://x/image.png", filename="image.png", content_type="image/png")
    file = {"type": "file", "modality": "image", "mime_type": "image/png"}
    expected = {
        held: media_part("blob", "image", PNG_BASE64, "image/png"),
        on_disk: {**file, "file_id": on_disk.reference["key"]},
        external: media_part("uri", "image", "s3://x/image.png"),
    }
    for attachment, image in expected.items():
        assert part({"type": "image_url", "image_url": attachment}) == image
        assert part({"type": "image_url", "image_url": {"url": attachment}}) == image
    assert part({"type": "image_url", "image_url": held.reference}) == {**file, "file_id": held.reference["key"]}


def test_an_attachment_elsewhere_is_json_able() -> None:
    held = Attachment(data=PNG, filename="image.png", content_type="image/png")
    assert format_input_message({"type": "function.result", "result": held})["parts"][0]["response"] == PNG_URL
    assert part({"type": "hologram", "data": PNG}) == {"type": "hologram", "data": PNG_URL}


@pytest.mark.parametrize(("content_type", "modality"), [("image/png", "image"), ("application/pdf", "document")])
def test_an_attachment_in_the_shape_of_openais_files_is_a_blob(content_type: str, modality: str) -> None:
    attachment = Attachment(data=b"bread", filename="bread", content_type=content_type)
    chunk = {"type": "file", "file": {"filename": "bread", "file_data": attachment}}
    blob = base64.b64encode(b"bread").decode()
    assert part(chunk) == {"type": "blob", "modality": modality, "mime_type": content_type, "content": blob}


def test_a_file_of_openais_without_its_content_is_named() -> None:
    assert part({"type": "file", "file": {"file_id": "f1"}}) == {
        "type": "file",
        "modality": "document",
        "file_id": "f1",
    }


def test_no_file_is_opened(secret: str, accesses: list[str]) -> None:
    attachment = Attachment(data=secret, filename="a.png", content_type="image/png")
    accesses.clear()
    parts({"type": "image_url", "image_url": attachment}, {"type": "image_url", "image_url": secret})
    assert accesses == []


# The schema


Check: TypeAlias = Callable[[str, Any], None]


@pytest.fixture(scope="session")
def check() -> Check:
    """Check a collection against the schema: `check("input_messages", [...])`."""
    validator = jsonschema.Draft202012Validator({**SCHEMA, "allOf": [UP_TO_1_41]})
    return lambda collection, value: validator.validate({collection: value})


def call_record(name: str, **fields: Any) -> Json:
    """Return the row of a call."""
    return {"span_attributes": {"name": f"mistral.{name}", "type": "llm"}, **fields}


def check_all(check: Check, payload: Any) -> None:
    """Check what becomes of everything in a payload, whatever it was meant to be."""
    assert isinstance(payload, dict)
    for name in ("messages", "inputs", "outputs", "entries", "input", "output"):
        given = payload.get(name)
        if given is not None:
            check(
                "input_messages",
                [format_input_message(item) for item in (given if isinstance(given, list) else [given])],
            )
            check("output_messages", format_output_entries(given))
    check("output_messages", [format_output_message(choice) for choice in payload.get("choices") or ()])
    definitions = [format_tool_definition(tool) for tool in payload.get("tools") or ()]
    check("tool_definitions", [definition for definition in definitions if definition])
    content = payload.get("inputs") or payload.get("messages") or payload.get("input")
    for method in ("chat.complete", "beta.conversations.start"):
        output = payload.get("choices") or payload.get("outputs") or payload.get("output")
        check_attributes(check, span_attributes(call_record(method, input=content, output=output, metadata=payload)))


def check_attributes(check: Check, attributes: Json) -> None:
    check("input_messages", attributes.get("gen_ai.input.messages", []))
    check("output_messages", attributes.get("gen_ai.output.messages", []))
    check("tool_definitions", attributes.get("gen_ai.tool.definitions", []))
    instructions = {"role": "system", "parts": attributes.get("gen_ai.system_instructions", [])}
    check("input_messages", [instructions])
    json.dumps(attributes, allow_nan=True)


def recorded(path: Path) -> Iterator[Any]:
    """The payloads of a recording; those of a stream as one."""
    if path.suffix == ".json":
        yield json.loads(path.read_text(encoding="utf-8"))
    else:
        yield unstreamed(events_of(path.read_bytes()))


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"there are no recordings in {RECORDINGS}")
def test_every_recorded_payload_fits_the_schema(check: Check) -> None:
    paths = [*RECORDINGS.glob("*.json"), *RECORDINGS.glob("*.sse")]
    assert paths
    for path in paths:
        for payload in recorded(path):
            check_all(check, payload)


def test_every_payload_of_the_tests_fits_the_schema(check: Check) -> None:
    seen = 0
    for path in sorted(CASSETTES.glob("latest/*.yaml")):
        for payload in payloads_of(
            yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        ):
            check_all(check, payload)
            seen += 1
    assert seen > 100


def payloads_of(cassette: Json) -> Iterator[Json]:
    for interaction in cassette["interactions"]:
        response = interaction["response"]
        for body in (interaction["request"]["body"], response["body"]["string"]):
            if isinstance(body, bytes):
                # Audio, or the form that carries it.
                continue
            if body and body.startswith("{"):
                # The requests and results of a batch are JSON, line by line.
                yield from map(json.loads, body.splitlines())
            elif body and body.startswith(("data:", "event:")):
                yield from streamed_payloads(events_of(body.encode()))


def streamed_payloads(events: list[Json]) -> Iterator[Json]:
    if "choices" in events[0]:
        yield completed(events)
    elif events[0]["type"].startswith("conversation."):
        yield unstreamed(events)


# mistralai's own helpers

# Hypothesis takes seconds to learn all of Unicode, and calls that slow.
texts = st.text('aZ0é中😀\ud800"\\\n %,:;=/', max_size=8)
arguments = st.one_of(texts, st.dictionaries(texts, st.integers() | texts, max_size=2))


def fields(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=optional)


text_chunks = fields({"type": st.just("text")}, text=texts)
chunks = st.one_of(
    texts,
    text_chunks,
    fields({"type": st.just("thinking")}, thinking=st.one_of(texts, st.integers(), st.lists(text_chunks, max_size=3))),
    fields(
        {"type": st.just("image_url")},
        image_url=st.one_of(texts, fields({}, url=texts)),
    ),
)
contents = st.one_of(st.none(), texts, st.lists(chunks, max_size=3))
tool_calls = st.lists(
    fields({}, id=st.none() | texts, function=st.none() | fields({}, name=texts, arguments=st.none() | arguments)),
    max_size=3,
)
messages = st.one_of(
    fields(
        {},
        role=st.sampled_from(["user", "assistant", "system", "tool", ""]),
        content=contents,
        tool_calls=st.none() | tool_calls,
        tool_call_id=st.none() | texts,
        prefix=st.booleans(),
    ),
    fields({"type": st.just("function.result")}, tool_call_id=st.none() | texts, result=texts),
)
choices = fields(
    {},
    index=st.integers(),
    message=st.none() | fields({}, role=texts, content=contents, tool_calls=st.none() | tool_calls),
    # The others are written as OpenTelemetry has them.
    finish_reason=st.sampled_from(["stop", "length", "error", ""]),
)
functions = fields(
    {},
    name=texts,
    description=st.none() | texts,
    parameters=st.none() | st.dictionaries(texts, texts, max_size=2),
    strict=st.booleans(),
)
tools = fields({}, type=st.just("function"), function=st.none() | functions)

same_as_mistralai = pytest.mark.skipif(helpers is None, reason="this mistralai has no such helpers")


@same_as_mistralai
@given_that(messages)
def test_an_input_message_is_that_of_mistralais_own_helper(message: Json) -> None:
    assert format_input_message(message) == helpers.format_input_message(message)


@same_as_mistralai
@given_that(choices)
def test_an_output_message_is_that_of_mistralais_own_helper(choice: Json) -> None:
    assert format_output_message(choice) == helpers.format_output_message(choice)


@same_as_mistralai
@given_that(tools)
def test_a_tool_definition_is_that_of_mistralais_own_helper(tool: Json) -> None:
    assert format_tool_definition(tool) == helpers.format_tool_definition(tool)


# Malformed input


class Colour(enum.Enum):
    RED = "red"


def cyclic() -> Json:
    value: Json = {"type": "text", "role": "user"}
    value["content"] = [value, value]
    value["text"] = value["tool_calls"] = value["function"] = value
    return value


def deep() -> Json:
    value: Any = "end"
    for _ in range(5_000):
        value = {"type": "text", "role": "user", "content": [value]}
    return value


NAMES = [
    "type",
    "role",
    "content",
    "text",
    "thinking",
    "image_url",
    "document_url",
    "input_audio",
    "url",
    "data",
    "file_id",
    "file_type",
    "file_name",
    "name",
    "id",
    "key",
    "tool_calls",
    "function",
    "arguments",
    "parameters",
    "description",
    "tool_call_id",
    "result",
    "info",
    "message",
    "messages",
    "finish_reason",
    "raw",
    "connector_id",
    "input",
    "output",
    "metadata",
    "metrics",
    "span_attributes",
    "agent_id",
    "instructions",
    "tools",
    "completion_args",
    "stop",
    "model",
    "prompt",
    "suffix",
    "start",
    "tool_type",
    "previous_agent_id",
    "content_type",
    "confirmation_status",
    "error",
    "agent_version",
    "requested_model",
    "response_format",
    "format",
    "library_ids",
    "library_id",
    "encoding_format",
    "embedding_length",
    "tool_name",
    "span_parents",
]
TYPES = [
    "text",
    "thinking",
    "image_url",
    "document_url",
    "input_audio",
    "file",
    "tool_file",
    "reference",
    "function.result",
    "function.call",
    "tool.execution",
    "agent.handoff",
    "message.output",
    "function",
    "web_search",
    "connector",
    "UNKNOWN",
    "blob",
    "uri",
    "tool_call",
    "reasoning",
    "server_tool_call",
    "server_tool_call_response",
    "tool_call_response",
    "braintrust_attachment",
    "external_attachment",
    "tool",
    "mistral.chat.complete",
    "mistral.beta.conversations.start",
    "mistral.fim.complete",
    "mistral.beta.agents.create",
    "mistral.embeddings.create",
    "mistral.responses.create",
    "function_call",
    "json_schema",
    "llm",
    "assistant",
    "data:,",
    "data:a/b;base64,%",
    "data:%ff",
    "data:,�",
]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.binary(max_size=5),
    st.sampled_from(TYPES),
    st.builds(BrokenObject),
    st.builds(object),
    st.builds(BrokenDict, st.just({"type": "text"})),
    st.just(Colour.RED),
    st.just(len),
    st.just(models.TextChunk(text="Hi")),
    st.builds(Attachment, data=st.binary(max_size=3), filename=st.just("a"), content_type=st.just("image/png")),
)
junk = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
        st.dictionaries(st.one_of(st.integers(), st.none(), st.just(Colour.RED)), inner, max_size=2),
        st.tuples(inner),
        st.sets(st.integers(), max_size=2),
    ),
    max_leaves=12,
)


def check_junk(check: Check, value: Any) -> None:
    check("input_messages", [format_input_message(value)])
    check("output_messages", [format_output_message(value), *format_output_entries(value)])
    definition = format_tool_definition(value)
    check("tool_definitions", [definition] if definition else [])
    check_attributes(check, span_attributes(value))


@given_that(value=junk)
def test_nothing_raises_and_everything_fits_the_schema(check: Check, value: Any) -> None:
    check_junk(check, value)


READ_APART = ("chat.complete", "beta.conversations.start", "fim.complete", "embeddings.create", "beta.agents.create")


@given_that(kind=st.sampled_from(TYPES), values=st.dictionaries(st.sampled_from(NAMES), junk, max_size=4))
def test_nor_does_what_has_a_type_but_not_what_belongs_to_it(check: Check, kind: str, values: Json) -> None:
    chunk = {**values, "type": kind}
    check_junk(check, chunk)
    check_junk(
        check,
        {"role": "user", "content": [chunk], "tool_calls": [chunk], "message": chunk, "function": chunk},
    )
    for name in READ_APART:
        record = call_record(name, input=chunk, output=[chunk], error=chunk, metadata=values, metrics=values)
        check_attributes(check, span_attributes(record))


# Made by their tests: what is there all the time meets others, which look at each object there is.
UNREADABLE: dict[str, Callable[[], Any]] = {
    "cyclic": cyclic,
    "deep": deep,
    "endless": lambda: 10**5_000,
    "within": lambda: {"content": 10**5_000, "image_url": [10**5_000]},
    "nan": lambda: math.nan,
    "broken": BrokenObject,
    "iterator": lambda: iter("a"),
}


@pytest.mark.parametrize("make", UNREADABLE.values(), ids=UNREADABLE)
def test_nor_does_what_cannot_be_read_at_all(check: Check, make: Callable[[], Any]) -> None:
    value = make()
    check_junk(check, value)
    for record in ({"input": value}, {"output": value}, {"metadata": value}, {"metadata": {"tools": value}}):
        check_attributes(check, span_attributes(call_record("chat.complete", **record)))


def test_a_malformed_message_keeps_what_can_be_read_of_it() -> None:
    assert format_input_message("Hi") == {"role": "unknown", "parts": [TEXT_PART]}
    assert format_input_message(None) == {"role": "unknown", "parts": []}
    assert format_input_message({"role": None, "content": 7}) == {
        "role": "unknown",
        "parts": [{"type": "text", "content": "7"}],
    }
    assert format_input_message({"role": "user", "content": {"type": "text", "text": "Hi"}})["parts"] == [TEXT_PART]
    assert part({"type": "text", "text": None}) == {"type": "text", "content": ""}
    assert part({"beams": 3}) == {"type": "unknown", "beams": 3}
    assert part({"type": "image_url", "image_url": "data:image/png;base64"})["uri"] == "data:image/png;base64"
    assert format_output_message("Hi") == {"role": "assistant", "parts": [TEXT_PART], "finish_reason": ""}
    assert format_output_entries("Hi")[0]["parts"] == [TEXT_PART]
    assert format_tool_definition("web_search") is None


def test_what_comes_out_is_independent_of_what_went_in() -> None:
    """A customizer that runs later may change a record in place."""
    info = {"result": ["a"]}
    message = format_input_message({"type": "function.result", "result": info})
    info["result"].append("b")
    assert message["parts"][0]["response"] == {"result": ["a"]}
