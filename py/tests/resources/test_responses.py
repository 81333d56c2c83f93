from typing import Any

import pytest
from braintrust.integrations.mistral.operations import Child, Outcome, Request
from braintrust.integrations.mistral.payloads import to_loggable
from braintrust.integrations.mistral.resources.responses import OPERATIONS, read_response
from hypothesis import given as given_that
from hypothesis import strategies as st

from tests.helpers.folding import JSON, outcome_of
from tests.helpers.wire import Json


try:
    from mistralai.client import models
    from mistralai.client.types import UNSET
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.types import UNSET


has_responses = pytest.mark.skipif(
    not hasattr(models, "CreateResponseResponse"), reason="this mistralai has no Responses API"
)

IDENTITY: Json = {"id": "resp1", "object": "response", "created_at": 1_790_000_000.5, "model": "mistral-small-2603"}

USAGE: Json = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 9,
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
    return {**IDENTITY, "status": status, "output": [*output], **settings, **fields}


def respond(*output: Json, **fields: Any) -> Outcome:
    """Return what a response with these items logs, after the SDK has parsed it."""
    return outcome_of(read_response, models.CreateResponseResponse.model_validate(response(*output, **fields)))


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


# Responses


@has_responses
def test_a_response_is_its_items_and_what_it_says_about_itself() -> None:
    assert respond(REASONING, MESSAGE, usage=USAGE) == Outcome(
        [REASONING, MESSAGE],
        {**IDENTITY, "status": "completed"},
        {
            "prompt_tokens": 7,
            "prompt_cached_tokens": 4,
            "prompt_cache_creation_tokens": 0,
            "completion_tokens": 2,
            "completion_reasoning_tokens": 1,
            "tokens": 9,
        },
    )


@has_responses
def test_a_response_without_usage_has_no_metrics() -> None:
    assert respond(MESSAGE, usage=None, error=None) == Outcome([MESSAGE], {**IDENTITY, "status": "completed"})


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


def test_a_response_that_failed_without_saying_why_is_an_error() -> None:
    outcome = outcome_of(read_response, {"output": [MESSAGE], "status": "failed", "error": None})
    assert (outcome.output, outcome.error) == ([MESSAGE], "status: failed")


def test_the_model_that_was_asked_for_is_logged_as_well_where_another_answered() -> None:
    for asked, named in (("pixtral-12b", {"requested_model": "pixtral-12b"}), (IDENTITY["model"], {})):
        metadata = read_response(response(MESSAGE), Request(metadata={"model": asked})).metadata
        assert metadata == {**IDENTITY, "status": "completed", **named}


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
            child_index=1,
        ),
    )


def test_a_tool_that_no_sdk_knows_yet_is_named_after_its_type() -> None:
    hosted = {"type": "web_search_call", "id": "ws1", "action": {"query": "rye"}}
    (child,) = outcome_of(read_response, {"output": [hosted]}).children
    assert child == Child(
        name="tool: web_search",
        metadata={
            "tool_type": "web_search_call",
            "tool_name": "web_search",
            "tool_call_id": "ws1",
            "tool_index": 0,
        },
        child_index=0,
    )


ITEM_FIELDS = dict.fromkeys(("id", "call_id", "name", "arguments"), JSON)
ITEMS = st.fixed_dictionaries({"type": st.just("function_call") | JSON}, optional=ITEM_FIELDS)


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
    outcome = outcome_of(read_response, response)
    assert outcome.output == to_loggable(response.get("output") if isinstance(response, dict) else response)
