import datetime
import json
from collections.abc import Mapping
from typing import Any

import pytest
from braintrust.integrations.mistral.operations import Child, Outcome, Request, ToolCallKey, ToolCallUpdate
from braintrust.integrations.mistral.payloads import to_loggable
from braintrust.integrations.mistral.resources.conversations import (
    OPERATIONS,
    read_lookup_request,
    read_lookup_response,
    read_request,
    read_response,
)
from hypothesis import given as given_that
from hypothesis import strategies as st

from tests.helpers.features import keeps
from tests.helpers.folding import JSON, outcome_of
from tests.helpers.spans import Media, with_media
from tests.helpers.wire import Json


try:
    from mistralai.client import models
    from mistralai.client.types import UNSET
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.types import UNSET


KEEPS_MODEL_OF_TOOLS = keeps("ToolExecutionEntry", "model")
KEEPS_CONFIRMATIONS = keeps("FunctionCallEntry", "confirmation_status")
KEEPS_GUARDRAILS = keeps("ConversationResponse", "guardrails") and (keeps("GuardrailConfig", "moderation_llm_v2"))


def of(keeps: bool, fields: Json) -> Json:
    """Return the fields, unless this version of the SDK drops them: what it dropped cannot be traced."""
    return fields if keeps else {}


def seconds(text: str) -> float:
    """Return a time of the samples, of 2026-05-01 12:00 UTC and these minutes and seconds, as Unix seconds."""
    return datetime.datetime.fromisoformat(f"2026-05-01T12:{text}+00:00").timestamp()


def at(text: str) -> str:
    return f"2026-05-01T12:{text}Z"


def message(**fields: Any) -> Json:
    return {"object": "entry", "type": "message.output", "id": "m1", "role": "assistant", "content": "Hi", **fields}


def tool(**fields: Any) -> Json:
    return {
        "object": "entry",
        "type": "tool.execution",
        "id": "t1",
        "name": "web_search",
        "arguments": '{"query": "tides"}',
        **fields,
    }


def call(**fields: Any) -> Json:
    return {
        "object": "entry",
        "type": "function.call",
        "id": "f1",
        "tool_call_id": "call1",
        "name": "add",
        "arguments": '{"a": 1}',
        **fields,
    }


def handoff(**fields: Any) -> Json:
    return {
        "object": "entry",
        "type": "agent.handoff",
        "id": "h1",
        "previous_agent_id": "ag1",
        "previous_agent_name": "Router",
        "next_agent_id": "ag2",
        "next_agent_name": "Writer",
        **fields,
    }


def respond(*outputs: Json, usage: Json | None = None, **fields: Any) -> Outcome:
    """Return what a response with these outputs logs, after the SDK has parsed it."""
    response = {
        "object": "conversation.response",
        "conversation_id": "conv1",
        "outputs": outputs,
        "usage": usage or {},
        **fields,
    }
    return read(models.ConversationResponse.model_validate(response))


def read(response: Any) -> Outcome:
    return outcome_of(read_response, response)


def child_of(entry: Json) -> Child:
    (child,) = respond(entry).children
    return child


# Requests


def test_a_text_stays_a_text_and_what_was_not_given_is_not_logged() -> None:
    arguments = {"inputs": "Hello", "model": "mistral-small-latest", "store": UNSET, "name": None}
    assert read_request(arguments) == Request("Hello", {"provider": "mistral", "model": "mistral-small-latest"})


def test_everything_of_a_request_that_the_contract_names_is_metadata() -> None:
    given: Json = {
        "agent_id": "ag1",
        "agent_version": 3,
        "instructions": "",
        "tools": [{"type": "web_search"}],
        "completion_args": {},
        "guardrails": [{"block_on_error": True}],
        "handoff_execution": "client",
        "store": False,
        "name": "n",
        "description": "d",
        "from_entry_id": "e1",
        "conversation_id": "conv1",
        "tool_confirmations": [],
    }
    request = read_request({"inputs": [], "metadata": {"user": "u1"}, **given})
    assert request == Request([], {"provider": "mistral", **given, "request_metadata": {"user": "u1"}})


def test_entries_given_as_models_and_as_dicts_are_logged_alike() -> None:
    as_dict: Json = {"object": "entry", "type": "message.input", "role": "user", "content": "Hello"}
    as_model = models.MessageInputEntry(role="user", content="Hello")
    assert read_request({"inputs": [as_model]}).input == [as_dict]
    assert read_request({"inputs": [as_dict]}).input == [as_dict]


def test_the_media_of_inputs_have_the_shapes_of_openai_and_entries_their_own() -> None:
    pdf = "data:application/pdf,%25PDF-rye"
    remote = {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "a.pdf"}
    content = [
        {"type": "text", "text": "This?"},
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "document_url", "document_url": pdf, "document_name": "rye.pdf"},
        remote,
    ]
    asked = {"object": "entry", "type": "message.input", "role": "user", "content": content}
    function = call(arguments={"image_url": "https://example.com/a.png"})
    for given in ([asked, function], [models.MessageInputEntry.model_validate(asked), function]):
        assert with_media(read_request({"inputs": given}).input) == [
            {
                **asked,
                "content": [
                    content[0],
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "rye.pdf",
                            "file_data": Media(b"%PDF-rye", "application/pdf", "rye.pdf"),
                        },
                    },
                    remote,
                ],
            },
            function,
        ]


def test_tools_and_the_choice_of_them_are_logged_in_the_words_of_openai() -> None:
    arguments = {"inputs": "Hello", "tools": [], "completion_args": {"tool_choice": "any", "temperature": 0.3}}
    assert read_request(arguments).metadata == {
        "provider": "mistral",
        "completion_args": {"tool_choice": "required", "temperature": 0.3},
    }


def test_replayed_tools_without_ids_and_times_are_logged_as_they_were_given() -> None:
    replayed: Json = {"type": "function.call", "tool_call_id": "t1", "name": "web_search", "arguments": "{}"}
    result: Json = {"type": "function.result", "tool_call_id": "t1", "result": "[]", "id": None, "created_at": None}
    request = read_request({"inputs": [replayed, result]})
    assert request == Request([replayed, result], {"provider": "mistral"})


def test_a_request_whose_arguments_cannot_be_read_is_logged_as_far_as_it_can() -> None:
    request = read_request({"inputs": (item for item in "ab"), "model": object(), "instructions": "x"})
    assert request == Request("<generator>", {"provider": "mistral", "model": "<object>", "instructions": "x"})


# What a request settles


def tool_call_updates(inputs: Any, **arguments: Any) -> list[ToolCallUpdate]:
    return list(read_request({"conversation_id": "conv1", "inputs": inputs, **arguments}).tool_call_updates)


@pytest.mark.parametrize(
    "entry",
    [
        models.FunctionResultEntry(tool_call_id="call1", result="3"),
        {"type": "function.result", "tool_call_id": "call1", "result": "3"},
        {"type": "function.result", "tool_call_id": "call1", "result": "3", "id": None, "created_at": None},
        {"tool_call_id": "call1", "result": "3"},
    ],
)
def test_a_function_result_settles_its_call(entry: Any) -> None:
    assert tool_call_updates([entry]) == [ToolCallUpdate(ToolCallKey("conv1", "call1"), output="3")]


def test_each_result_settles_its_own_call_and_other_entries_none() -> None:
    inputs = [
        {"role": "user", "content": "Here you are."},
        {"type": "function.result", "tool_call_id": "call1", "result": "3"},
        {"type": "function.call", "tool_call_id": "call3", "name": "add", "arguments": "{}"},
        {"type": "tool.execution", "name": "web_search", "arguments": "{}", "result": "no"},
        {"type": "function.result", "tool_call_id": None, "result": "no"},
        {"type": "function.result", "tool_call_id": "call4"},
        "text",
        {"type": "function.result", "tool_call_id": "call2", "result": ""},
    ]
    assert tool_call_updates(inputs) == [
        ToolCallUpdate(ToolCallKey("conv1", "call1"), output="3"),
        ToolCallUpdate(ToolCallKey("conv1", "call2"), output=""),
    ]


def test_a_start_settles_nothing_for_it_has_no_conversation() -> None:
    result = {"type": "function.result", "tool_call_id": "call1", "result": "3"}
    assert tool_call_updates([result], conversation_id=UNSET) == []


@pytest.mark.parametrize(("confirmation", "approval"), [("allow", "approved"), ("deny", "denied")])
def test_a_confirmation_settles_the_approval_of_its_call(confirmation: str, approval: str) -> None:
    given: list[Any] = [{"tool_call_id": "call1", "confirmation": confirmation}]
    if hasattr(models, "ToolCallConfirmation"):
        given.append(models.ToolCallConfirmation(tool_call_id="call2", confirmation=confirmation))
    expected = [ToolCallUpdate(ToolCallKey("conv1", "call1"), approval=approval)]
    expected += [ToolCallUpdate(ToolCallKey("conv1", "call2"), approval=approval)] * (len(given) - 1)
    assert tool_call_updates([], tool_confirmations=given) == expected


@pytest.mark.parametrize(
    "confirmations",
    [
        [{"tool_call_id": "call1", "confirmation": "perhaps"}],
        [{"confirmation": "allow"}],
        [None],
        "allow",
        {"tool_call_id": "call1", "confirmation": "allow"},
    ],
)
def test_a_malformed_confirmation_settles_nothing(confirmations: Any) -> None:
    assert tool_call_updates([], tool_confirmations=confirmations) == []


# Responses


def test_a_message_is_output_and_no_child() -> None:
    outcome = respond(
        message(model="mistral-small-2603", created_at=at("00:01"), completed_at=at("00:02")),
        usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    )
    assert outcome == Outcome(
        output=[message(model="mistral-small-2603", created_at=at("00:01"), completed_at=at("00:02"))],
        metadata={
            "model": "mistral-small-2603",
            "conversation_id": "conv1",
            "object": "conversation.response",
        },
        metrics={"prompt_tokens": 10, "completion_tokens": 2, "tokens": 12},
    )


def test_connectors_are_metadata_and_their_tokens_a_metric() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 45,
        "connector_tokens": 30,
        "connectors": {"document_library": 2, "document_library_mcp": 1, "open_library_result": 1},
    }
    outcome = respond(tool(name="document_library"), usage=usage)
    assert outcome.metadata is not None
    assert outcome.metadata["connectors"] == usage["connectors"]
    assert outcome.metrics == {"prompt_tokens": 10, "completion_tokens": 5, "tokens": 45, "connector_tokens": 30}


GUARDRAILS = [{"moderation_llm_v2": {"action": "none", "categories": {"law": {"score": 0.1, "violated": False}}}}]


@pytest.mark.skipif(not KEEPS_GUARDRAILS, reason="this mistralai drops what guardrails hold")
def test_the_guardrails_of_a_response_do_not_mix_with_those_of_the_request() -> None:
    outcome = respond(message(), guardrails=GUARDRAILS)
    assert outcome.metadata == {
        "conversation_id": "conv1",
        "object": "conversation.response",
        "response_guardrails": GUARDRAILS,
    }


@pytest.mark.parametrize(
    "fields",
    [{}, {"guardrails": None}, {"usage": {}}, {"usage": {"connector_tokens": None, "connectors": None}}],
)
def test_guardrails_and_usage_that_are_null_or_absent_leave_no_trace(fields: Json) -> None:
    outcome = respond(message(), **fields)
    assert outcome.metadata == {"conversation_id": "conv1", "object": "conversation.response"}
    assert outcome.metrics == {}


def test_the_model_that_was_asked_for_is_logged_as_well_where_another_answered() -> None:
    response = to_loggable({"outputs": [message(model="ministral-14b-latest")]})
    for asked, named in (("pixtral-12b", {"requested_model": "pixtral-12b"}), ("ministral-14b-latest", {})):
        metadata = read_response(response, Request(metadata={"model": asked})).metadata
        assert metadata == {"model": "ministral-14b-latest", **named}


def test_the_model_is_the_first_that_the_outputs_name() -> None:
    outcome = respond(handoff(), message(model=None), message(model="first"), message(model="second"))
    assert outcome.metadata is not None
    assert outcome.metadata["model"] == "first"


CHUNKS: list[Json] = [
    {"type": "text", "text": "Here it is:"},
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}, {"type": "text", "text": "Yes."}]},
    {"type": "image_url", "image_url": "https://example.com/a.png"},
    {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
    {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "a.pdf"},
    {"type": "tool_file", "tool": "image_generation", "file_id": "file1", "file_name": "a", "file_type": "png"},
    {"type": "tool_reference", "tool": "web_search", "title": "Tides", "url": "https://example.com/tides"},
]


@pytest.mark.parametrize("content", ["", "text", CHUNKS[:1], [*CHUNKS[:2], *CHUNKS[3:]]])
def test_the_content_of_a_message_is_logged_as_it_came(content: Any) -> None:
    assert respond(message(content=content)).output == [message(content=content)]


def test_an_image_that_came_as_a_url_is_logged_as_an_object_with_it() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert respond(message(content=[CHUNKS[2]])).output == [message(content=[image])]


def test_what_the_wire_leaves_out_is_left_out() -> None:
    bare: Json = {"type": "message.output", "content": "Hi"}
    nulls = {"created_at": None, "completed_at": None, "id": None, "agent_id": None, "model": None}
    known = {"object": "entry", "type": "message.output", "role": "assistant", "content": "Hi"}
    assert respond(bare, {**bare, "completed_at": None, "agent_id": None, "model": None}).output == [known, known]
    # The models refuse some of the nulls that a typed dict may hold.
    assert read(to_loggable({"outputs": [{**bare, **nulls}]})).output == [{**bare, **nulls}]


@pytest.mark.parametrize("response", [None, "text", 5, [1], []])
def test_a_response_of_another_shape_is_the_output(response: Any) -> None:
    assert read(response) == Outcome(output=response)


@pytest.mark.parametrize("outputs", [None, "text", {"a": 1}, [None, "text", 5, []]])
def test_outputs_of_another_shape_are_the_output_and_have_no_children(outputs: Any) -> None:
    response = {"outputs": outputs, "usage": "none", "conversation_id": 5, "error": "text"}
    assert read(response) == Outcome(output=outputs, metadata={"conversation_id": 5})


KINDS = st.sampled_from(["tool.execution", "function.call", "agent.handoff", "message.output"])
ENTRY_FIELDS = ("id", "name", "arguments", "info", "tool_call_id", "created_at", "completed_at", "model", "agent_id")
ENTRIES = st.builds(
    lambda kind, fields: {**fields, "type": kind}, KINDS, st.dictionaries(st.sampled_from(ENTRY_FIELDS), JSON)
)


@given_that(
    st.fixed_dictionaries(
        {},
        optional={
            "outputs": st.lists(ENTRIES | JSON) | JSON,
            "usage": JSON,
            "error": st.dictionaries(st.sampled_from(["message", "code"]), JSON) | JSON,
            "conversation_id": JSON,
        },
    )
)
def test_whatever_the_response_it_is_read(response: Any) -> None:
    outcome = read(to_loggable(response))
    assert outcome.output == to_loggable(response.get("outputs"))


@given_that(
    st.dictionaries(
        st.sampled_from(["inputs", "conversation_id", "tool_confirmations", "metadata", "model"]),
        st.lists(st.dictionaries(st.sampled_from(["type", "tool_call_id", "result", "confirmation"]), JSON)) | JSON,
    )
)
def test_whatever_the_request_it_is_read(arguments: Any) -> None:
    request = read_request(arguments)
    assert request.input == to_loggable(arguments.get("inputs"))
    assert all(isinstance(settlement, ToolCallUpdate) for settlement in request.tool_call_updates)


# Tool executions


def test_a_tool_execution_becomes_a_tool_span_with_parsed_arguments_and_its_info() -> None:
    entry = tool(
        created_at=at("00:01.500000"),
        completed_at=at("00:04"),
        info={"result": '{"hits": 2}'},
        model="mistral-small-2603",
        agent_id="ag1",
        function="web_search",
    )
    metadata = {"tool_type": "tool.execution", "tool_call_id": "t1", "tool_index": 0, "tool_name": "web_search"}
    assert child_of(entry) == Child(
        name="tool: web_search",
        input={"query": "tides"},
        output={"result": '{"hits": 2}'},
        metadata={**metadata, **of(KEEPS_MODEL_OF_TOOLS, {"model": "mistral-small-2603", "agent_id": "ag1"})},
        child_index=0,
        start=seconds("00:01.500"),
        end=seconds("00:04"),
    )


@pytest.mark.parametrize("name", ["library_list_documents", "open_library_result", "quickstart_context7_query-docs"])
def test_a_tool_need_not_be_a_built_in(name: str) -> None:
    child = child_of(tool(name=name))
    assert child.name == f"tool: {name}"
    assert child.metadata["tool_name"] == name


@pytest.mark.parametrize(
    "info",
    [
        {"result": json.dumps({"k": {"url": "https://example.com", "title": "Tides"}})},
        {"result": [{"type": "text", "text": "42"}]},
        {"code": "6 * 7", "code_output": "42\n"},
        {},
        None,
    ],
)
def test_the_info_of_a_tool_is_its_output_and_no_error(info: Any) -> None:
    child = child_of(tool(info=info))
    assert child.output == info
    assert child.error is None


def test_a_failed_tool_is_an_error_though_the_wire_calls_it_a_success() -> None:
    text = "Error executing tool web_search: 1 validation error"
    child = child_of(tool(info={"result": text}, created_at=at("00:01"), completed_at=at("00:02")))
    assert child.error == text
    assert child.output == {"result": text}
    assert (child.start, child.end) == (seconds("00:01"), seconds("00:02"))


@pytest.mark.parametrize(
    "result",
    [
        "The log says: Error executing tool web_search",
        [{"type": "text", "text": "Error executing tool"}],
        {"text": "Error executing tool"},
        None,
        "",
    ],
)
def test_a_result_that_only_speaks_of_an_error_is_none(result: Any) -> None:
    assert child_of(tool(info={"result": result})).error is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": {"b": [1, null]}}', {"a": {"b": [1, None]}}),
        ("{}", {}),
        ('"text"', "text"),
        ('{"a": 1', '{"a": 1'),
        ("{'a': 1}", "{'a': 1}"),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
        ("1" * 10_000, "1" * 10_000),
    ],
)
def test_arguments_are_parsed_where_they_are_json_else_as_they_came(arguments: str, expected: Any) -> None:
    assert child_of(tool(arguments=arguments)).input == expected
    assert child_of(call(arguments=arguments)).input == expected


@pytest.mark.parametrize(
    "time",
    [
        "2026-05-01 12:00:04.500000+00:00",
        at("00:04.500000"),
        "2026-05-01T14:00:04.500000+02:00",
        "2026-05-01T12:00:04.500000",
    ],
)
def test_a_time_is_read_in_every_form_that_the_api_writes_and_without_an_offset_as_utc(time: str) -> None:
    assert child_of(tool(completed_at=time)).end == seconds("00:04.500")
    (child,) = read({"outputs": [tool(completed_at=time)]}).children
    assert child.end == seconds("00:04.500")


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-01T00:00:00Z", 5, None, {}])
def test_a_time_that_cannot_be_read_is_no_time(time: Any) -> None:
    (child,) = read({"outputs": [tool(created_at=time, completed_at=time)]}).children
    assert (child.start, child.end) == (None, None)


# Function calls


def test_a_function_call_becomes_a_tool_span_that_waits_for_its_result() -> None:
    assert child_of(call(created_at=at("00:01"), completed_at=None)) == Child(
        name="tool: add",
        input={"a": 1},
        metadata={"tool_type": "function.call", "tool_call_id": "call1", "tool_index": 0, "tool_name": "add"},
        child_index=0,
        start=seconds("00:01"),
        pending_key=ToolCallKey("conv1", "call1"),
    )


def test_arguments_may_be_an_object() -> None:
    assert child_of(call(arguments={"a": 1})).input == {"a": 1}


@pytest.mark.skipif(not KEEPS_CONFIRMATIONS, reason="this mistralai drops the confirmation_status of a call")
@pytest.mark.parametrize(
    ("status", "approval"),
    [("pending", None), ("allowed", "approved"), ("denied", "denied"), ("later", None), (None, None)],
)
def test_the_approval_is_known_only_when_it_was_decided_and_a_denied_call_waits_for_nothing(
    status: str | None, approval: str | None
) -> None:
    child = child_of(call(confirmation_status=status))
    assert child.metadata.get("tool_approval") == approval
    assert ("tool_approval" in child.metadata) is (approval is not None)
    assert (child.pending_key is None) is (status == "denied")


@pytest.mark.skipif(not KEEPS_CONFIRMATIONS, reason="this mistralai drops the confirmation_status of a call")
def test_calls_that_wait_for_a_confirmation_wait_all_at_once() -> None:
    entries = [call(id=f"f{n}", tool_call_id=f"call{n}", confirmation_status="pending") for n in range(3)]
    entries[0] |= {"created_at": at("00:01"), "completed_at": None}
    children = respond(*entries).children
    assert [child.pending_key for child in children] == [ToolCallKey("conv1", f"call{n}") for n in range(3)]
    assert [child.metadata["tool_index"] for child in children] == [0, 1, 2]
    assert [child.start for child in children] == [seconds("00:01"), None, None]


def test_a_call_without_a_call_id_goes_by_its_entry_and_waits_for_nothing() -> None:
    (child,) = read({"conversation_id": "conv1", "outputs": [call(tool_call_id=None)]}).children
    assert child.metadata["tool_call_id"] == "f1"
    assert child.pending_key is None


def test_a_call_of_an_unknown_conversation_waits_for_nothing() -> None:
    (child,) = read({"outputs": [call()]}).children
    assert child.pending_key is None


# Handoffs


def test_a_handoff_leads_from_one_agent_to_the_next() -> None:
    assert child_of(handoff(created_at=at("00:01"), completed_at=at("00:02"))) == Child(
        name="handoff: Writer",
        input={"agent_id": "ag1", "agent_name": "Router"},
        output={"agent_id": "ag2", "agent_name": "Writer"},
        metadata={"tool_type": "agent.handoff", "tool_call_id": "h1", "tool_index": 0, "tool_name": "Writer"},
        child_index=0,
        start=seconds("00:01"),
        end=seconds("00:02"),
    )


def test_a_handoff_that_only_started_has_no_output() -> None:
    started = {"type": "agent.handoff", "id": "h1", "previous_agent_id": "ag1", "previous_agent_name": "Router"}
    (child,) = read({"outputs": [started]}).children
    assert child.input == {"agent_id": "ag1", "agent_name": "Router"}
    assert child.output is None
    assert "None" not in child.name


# Order


def test_children_stand_in_the_order_of_the_outputs_and_know_their_place() -> None:
    children = respond(
        tool(id="t1", name="document_library"),
        tool(id="t2", name="document_library"),
        message(id="m1"),
        tool(id="t3", name="library_list_documents"),
        handoff(),
        message(id="m2"),
        call(),
    ).children
    assert [(child.name, child.metadata["tool_call_id"]) for child in children] == [
        ("tool: document_library", "t1"),
        ("tool: document_library", "t2"),
        ("tool: library_list_documents", "t3"),
        ("handoff: Writer", "h1"),
        ("tool: add", "call1"),
    ]
    places = [0, 1, 3, 4, 6]
    assert [child.child_index for child in children] == [child.metadata["tool_index"] for child in children] == places


def test_an_entry_of_an_unknown_type_is_output_and_no_child() -> None:
    outputs: list[Any] = [{"type": "agent.dream", "id": "d1"}, tool()]
    outcome = read({"outputs": outputs})
    assert outcome.output == outputs
    assert [child.metadata["tool_index"] for child in outcome.children] == [1]


# Errors


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ({"message": "Overloaded", "code": 3000}, "Overloaded (code 3000)"),
        ({"message": "Overloaded", "code": 0}, "Overloaded (code 0)"),
        ({"message": "Overloaded", "code": None}, "Overloaded"),
    ],
)
def test_an_error_event_reads_as_its_message_and_code(error: Json, text: str) -> None:
    outcome = read({"outputs": [message()], "usage": {"total_tokens": 3}, "error": error})
    assert outcome.error == text
    assert outcome.output == [message()]
    assert outcome.metrics == {"tokens": 3}


# Lookups


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"conversation_id": "conv1"},
            Request({"conversation_id": "conv1"}, {"provider": "mistral", "conversation_id": "conv1"}),
        ),
        (
            {"page": 0, "page_size": 10, "metadata": {"user": "u1"}},
            Request({"page": 0, "page_size": 10, "metadata": {"user": "u1"}}, {"provider": "mistral"}),
        ),
        ({}, Request(None, {"provider": "mistral"})),
        ({"page": None, "metadata": UNSET}, Request(None, {"provider": "mistral"})),
    ],
)
def test_a_lookup_logs_what_it_looks_for(arguments: Mapping[str, Any], expected: Request) -> None:
    assert read_lookup_request(arguments) == expected


def test_a_history_is_logged_whole_and_its_entries_are_no_children() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    entries = [
        {"object": "entry", "type": "message.input", "role": "user", "content": [image], "id": "m0"},
        tool(created_at=at("00:01"), info={}),
        {"object": "entry", "type": "function.result", "tool_call_id": "call1", "result": "3", "id": "r1"},
        message(model="mistral-small-2603"),
    ]
    history = {"object": "conversation.history", "conversation_id": "conv1", "entries": entries}
    sent = [{**entries[0], "content": [{"type": "image_url", "image_url": "https://example.com/a.png"}]}, *entries[1:]]
    response = models.ConversationHistory.model_validate({**history, "entries": sent})
    assert read_lookup_response(response, Request()) == Outcome(history, {"object": "conversation.history"})


def test_a_conversation_says_whose_it_is_and_a_list_of_them_does_not() -> None:
    conversation = {"object": "conversation", "id": "conv1", "created_at": at("00:01"), "updated_at": at("00:02")}
    conversation["agent_id"] = "ag1"
    response = models.AgentConversation.model_validate(conversation)
    assert read_lookup_response(response, Request()) == Outcome(
        conversation, {"object": "conversation", "agent_id": "ag1"}
    )
    assert read_lookup_response([response], Request()) == Outcome([conversation])


# The table


def test_every_operation_has_the_name_and_the_type_of_the_contract_and_says_whether_it_streams() -> None:
    streams = {
        **dict.fromkeys(("start", "append", "restart"), False),
        **dict.fromkeys(("start_stream", "append_stream", "restart_stream"), True),
        **dict.fromkeys(("get", "list", "delete", "get_history", "get_messages")),
    }
    assert {
        name: (operation.span_name, operation.span_type.value, operation.request({}).metadata.get("stream"))
        for name, operation in OPERATIONS.items()
    } == {name: (f"mistral.beta.conversations.{name}", "task", stream) for name, stream in streams.items()}
