"""The attributes of the rows that this integration logs."""

import pytest
from braintrust.integrations.mistral.genai import span_attributes
from braintrust.integrations.mistral.genai.attributes import CONTENT_ATTRIBUTES
from braintrust.integrations.mistral.patchers import RESOURCES
from braintrust.span_types import SpanTypeAttribute

from tests.genai.test_messages import ANSWER, CALL, EXECUTION, EXECUTION_PARTS, FUNCTION, TEXT_PART, call_record
from tests.helpers.wire import Json


def test_the_attributes_of_a_chat() -> None:
    record = call_record(
        "chat.complete",
        input=[{"role": "user", "content": "Hi"}],
        output=[{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "tool_calls"}],
        metadata={
            "provider": "mistral",
            "model": "mistral-small-2603",
            "id": "r1",
            "object": "chat.completion",
            "stream": True,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 10,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "random_seed": 7,
            "n": 1,
            "stop": "END",
            "tools": [{"type": "function", "function": FUNCTION}, {"type": "function"}],
        },
        metrics={
            "start": 1.0,
            "end": 2.0,
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "prompt_cached_tokens": 4,
            "prompt_cache_creation_tokens": 2,
            "completion_reasoning_tokens": 1,
            "time_to_first_token": 0.25,
        },
    )
    assert span_attributes(record) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.request.model": "mistral-small-2603",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 10,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 1,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "text",
        "gen_ai.response.model": "mistral-small-2603",
        "gen_ai.response.id": "r1",
        "gen_ai.response.finish_reasons": ["tool_call"],
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "gen_ai.input.messages": [{"role": "user", "parts": [TEXT_PART]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [TEXT_PART], "finish_reason": "tool_call"}],
        "gen_ai.tool.definitions": [{"type": "function", **FUNCTION}],
    }


def test_the_attributes_of_a_conversation() -> None:
    record = call_record(
        "beta.conversations.start_stream",
        input="Hi",
        output=[EXECUTION, ANSWER],
        metadata={
            "provider": "mistral",
            "agent_id": "a1",
            "agent_name": "Router",
            "agent_version": 3,
            "model": "m",
            "conversation_id": "conv1",
            "instructions": "Be brief.",
            "completion_args": {"temperature": 0.0, "stop": ["a", "b"]},
            "tools": [{"type": "web_search"}, {"type": "document_library", "library_ids": ["l1", "l2"]}],
        },
        metrics={"start": 1.0, "end": 2.0},
    )
    assert span_attributes(record) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.conversation.id": "conv1",
        "gen_ai.agent.id": "a1",
        "gen_ai.agent.name": "Router",
        "gen_ai.agent.version": "3",
        "gen_ai.data_source.id": "l1,l2",
        "gen_ai.output.type": "text",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.stop_sequences": ["a", "b"],
        "gen_ai.response.model": "m",
        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
        "gen_ai.tool.definitions": [
            {"type": "web_search", "name": "web_search"},
            {"type": "document_library", "name": "document_library", "library_ids": ["l1", "l2"]},
        ],
        "gen_ai.input.messages": [{"role": "user", "parts": [TEXT_PART]}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [*EXECUTION_PARTS, TEXT_PART], "finish_reason": "stop"}
        ],
        "gen_ai.response.finish_reasons": ["stop"],
    }


OPERATIONS: dict[str, str | None] = {
    **{f"agents.{method}": "invoke_agent" for method in ("complete", "stream")},
    "audio.speech.complete": "generate_content",
    **{f"audio.transcriptions.{method}": "generate_content" for method in ("complete", "stream")},
    **{f"batch.jobs.{method}": None for method in ("cancel", "create", "get", "list")},
    "beta.agents.create": "create_agent",
    **{f"beta.agents.{method}": None for method in ("delete", "get", "update", "update_version")},
    "beta.connectors.call_tool": "execute_tool",
    **{
        f"beta.{index}.{method}": "retrieval"
        for index in ("context.search_indexes", "rag.managed_indexes")
        for method in ("get_chunk", "grep", "navigate", "read", "search")
    },
    **{
        f"beta.conversations.{method}": "invoke_agent"
        for name in ("append", "restart", "start")
        for method in (name, f"{name}_stream")
    },
    **{f"beta.conversations.{method}": None for method in ("delete", "get", "get_history", "get_messages", "list")},
    **{f"beta.libraries.documents.{method}": "retrieval" for method in ("list", "text_content")},
    **{f"chat.{method}": "chat" for method in ("complete", "stream")},
    **{f"classifiers.{method}": None for method in ("classify", "classify_chat", "moderate", "moderate_chat")},
    "embeddings.create": "embeddings",
    **{f"fim.{method}": "text_completion" for method in ("complete", "stream")},
    "ocr.process": "generate_content",
    "responses.create": "chat",
    **{
        f"workflows.{method}": "invoke_workflow"
        for method in ("execute_workflow", "execute_workflow_and_wait", "execute_workflow_registration")
    },
    "workflows.wait_for_workflow_completion": None,
}
"""What each traced method is in OpenTelemetry's words, as far as it has one."""


def test_each_traced_method_is_an_operation_as_far_as_opentelemetry_knows_it() -> None:
    operations = [each for resource in RESOURCES for each in resource.methods.operations.values()]
    found = {each.span_name: operation_of(each.span_name, each.span_type) for each in operations}
    wanted = {f"mistral.{name}": operation for name, operation in OPERATIONS.items()}
    assert not (found.items() ^ wanted.items())


def operation_of(name: str, span_type: str) -> str | None:
    return span_attributes({"name": name, "type": span_type}).get("gen_ai.operation.name")


@pytest.mark.parametrize(
    ("name", "span_type", "operation"),
    [
        ("mistral.beta.conversations.run", "task", "invoke_agent"),
        ("mistral.beta.conversations.run_stream", "task", "invoke_agent"),
        ("mistral.beta.connectors.mcp_client.call_tool", "tool", "execute_tool"),
        ("mistral.audio.realtime.connect", "task", None),
        ("mistral.audio.realtime.transcription", "llm", "generate_content"),
        ("mistral.audio.realtime_speech.generation", "llm", "generate_content"),
        ("mistral.batch.run", "task", None),
        ("mistral.batch.wait", "task", None),
        ("mistral.batch.result", "llm", None),
        ("chat mistral-small-2603", "llm", "chat"),
        ("tool: bake", "tool", "execute_tool"),
        ("handoff: Baker", "tool", "execute_tool"),
    ],
)
def test_so_are_the_spans_beside_those(name: str, span_type: str, operation: str | None) -> None:
    assert operation_of(name, span_type) == operation


def test_an_increment_tells_the_requested_model_from_the_one_that_answered() -> None:
    opened = call_record("chat.complete", input=[], metadata={"model": "small-latest"}, metrics={"start": 1.0})
    closed = call_record("chat.complete", output=[], metadata={"model": "small-2603"}, metrics={"end": 2.0})
    known = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "mistral_ai"}
    assert span_attributes(opened) == {**known, "gen_ai.request.model": "small-latest", "gen_ai.output.type": "text"}
    assert span_attributes(closed) == {**known, "gen_ai.response.model": "small-2603"}


def test_a_whole_row_has_the_requested_model_beside_the_one_that_answered() -> None:
    metadata = {"model": "small-2603", "requested_model": "small-latest"}
    attributes = span_attributes(call_record("chat.complete", input=[], output=[], metadata=metadata))
    assert (attributes["gen_ai.request.model"], attributes["gen_ai.response.model"]) == ("small-latest", "small-2603")


@pytest.mark.parametrize(
    ("name", "metadata", "expected"),
    [
        ("chat.complete", {}, "text"),
        ("chat.complete", {"response_format": {"type": "text"}}, "text"),
        ("chat.complete", {"response_format": {"type": "json_object"}}, "json"),
        ("chat.complete", {"response_format": {"type": "json_schema", "json_schema": {"name": "bread"}}}, "json"),
        ("fim.complete", {}, "text"),
        ("beta.conversations.start", {"completion_args": {"response_format": {"type": "json_object"}}}, "json"),
        ("beta.conversations.run", {"output_format": "Bread"}, "json"),
        ("responses.create", {"text": {"format": {"type": "json_schema"}}}, "json"),
        ("responses.create", {"text": {"format_": {"type": "json_schema"}}}, "json"),
        ("responses.create", {"text": {"verbosity": "low"}}, "text"),
        ("audio.speech.complete", {"response_format": "mp3"}, "speech"),
        ("audio.realtime_speech.generation", {}, "speech"),
        ("audio.transcriptions.complete", {}, "text"),
        ("embeddings.create", {}, None),
        ("classifiers.moderate", {}, None),
        ("beta.conversations.get", {}, None),
    ],
)
def test_the_type_of_the_output_is_what_was_asked_for(name: str, metadata: Json, expected: str | None) -> None:
    opened = call_record(name, metadata={"model": "m", **metadata}, metrics={"start": 1.0})
    assert span_attributes(opened).get("gen_ai.output.type") == expected
    # Later records do not have the request, and must not put another type in its place.
    closed = call_record(name, output=[], metadata={"model": "m"}, metrics={"end": 2.0})
    corrected = call_record(name, input="Hi", metrics={"start": 1.5, "end": 1.9})
    for record in (closed, corrected):
        assert span_attributes(record).get("gen_ai.output.type", expected) == expected


def test_what_a_conversation_ended_for_is_known_when_it_is_over() -> None:
    for metrics, reasons in (({}, None), ({"end": 2.0}, ["tool_call"])):
        attributes = span_attributes(call_record("beta.conversations.start_stream", output=[CALL], metrics=metrics))
        assert attributes.get("gen_ai.response.finish_reasons") == reasons


def test_a_call_that_does_not_stream_does_not_say_so() -> None:
    assert "gen_ai.request.stream" not in span_attributes(call_record("chat.complete", metadata={"stream": False}))


def test_embeddings_have_their_size_and_their_encoding() -> None:
    opened = call_record("embeddings.create", input="a", metadata={"output_dimension": 64, "encoding_format": "float"})
    asked = span_attributes(opened)
    assert asked["gen_ai.embeddings.dimension.count"] == 64
    assert asked["gen_ai.request.encoding_formats"] == ["float"]
    came = span_attributes(call_record("embeddings.create", output={"embeddings_count": 1, "embedding_length": 32}))
    assert came["gen_ai.embeddings.dimension.count"] == 32
    assert "gen_ai.request.encoding_formats" not in came


def test_creating_an_agent_has_what_it_is_and_no_model_that_answered() -> None:
    definition = {"model": "m", "name": "Baker", "description": "Bakes.", "instructions": "Be brief."}
    agent = {"agent_id": "a1", "agent_version": 0, "agent_name": "Baker", "model": "m"}
    record = {"name": "mistral.beta.agents.create", "type": "task", "input": definition}
    given = {
        "gen_ai.operation.name": "create_agent",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.agent.name": "Baker",
        "gen_ai.agent.description": "Bakes.",
        "gen_ai.request.model": "m",
        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
    }
    assert span_attributes({**record, "metadata": {"model": "m"}}) == given
    created = {**record, "output": {"id": "a1", **definition}, "metadata": agent}
    assert span_attributes(created) == {**given, "gen_ai.agent.id": "a1", "gen_ai.agent.version": "0"}


def test_the_administration_of_what_there_is_says_only_what_it_is_about() -> None:
    about = {"agent_id": "a1", "agent_version": 2, "model": "m"}
    record = call_record("beta.agents.get", input=about, output={"id": "a1"}, metadata=about)
    known = {"gen_ai.provider.name": "mistral_ai", "gen_ai.agent.id": "a1"}
    assert span_attributes(record) == {**known, "gen_ai.agent.version": "2"}


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("beta.context.search_indexes.search", {"index_name": "bakery"}),
        ("beta.libraries.documents.list", {"library_id": "bakery"}),
    ],
)
def test_a_search_has_what_it_searches(name: str, metadata: Json) -> None:
    record = {"name": f"mistral.{name}", "type": "tool", "input": {"query": "rye"}, "output": [], "metadata": metadata}
    known = {"gen_ai.operation.name": "retrieval", "gen_ai.provider.name": "mistral_ai"}
    assert span_attributes(record) == {**known, "gen_ai.data_source.id": "bakery"}


TRACEBACK = """Traceback (most recent call last):
  File "bakery.py", line 1, in <module>
    client.chat.complete(model="m", messages=messages)
mistralai.client.errors.sdkerror.SDKError: Status 503
"""


@pytest.mark.parametrize(
    ("name", "error", "expected"),
    [
        ("mistral.chat.complete", None, None),
        ("mistral.chat.complete", TRACEBACK, "mistralai.client.errors.sdkerror.SDKError"),
        ("mistral.chat.complete", "Service unavailable (code 3700)", "3700"),
        ("mistral.chat.complete", "finish_reason: error", "_OTHER"),
        ("tool: bake", TRACEBACK, "mistralai.client.errors.sdkerror.SDKError"),
        ("tool: bake", "Error executing tool bake: no oven", "tool_error"),
    ],
)
def test_an_error_has_a_type(name: str, error: str | None, expected: str | None) -> None:
    span_type = "tool" if name.startswith("tool") else "llm"
    assert span_attributes({"name": name, "type": span_type, "error": error}).get("error.type") == expected


def test_fill_in_the_middle_has_a_prompt_and_a_suffix() -> None:
    record = call_record("fim.complete", input={"prompt": "def ", "suffix": "return 1"})
    assert span_attributes(record)["gen_ai.input.messages"] == [
        {
            "role": "user",
            "parts": [{"type": "text", "content": "def "}, {"type": "suffix", "content": "return 1"}],
        }
    ]


def test_embeddings_have_no_messages() -> None:
    record = call_record("embeddings.create", input=["a", "b"], output={"embeddings_count": 2})
    assert not CONTENT_ATTRIBUTES & span_attributes(record).keys()


def test_responses_are_read_like_a_conversation() -> None:
    items = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
    ]
    record = call_record("responses.create", input="Hi", output=items)
    assert span_attributes(record)["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [{"type": "output_text", "text": "Hi"}, items[1]],
            "finish_reason": "tool_call",
        }
    ]


@pytest.mark.parametrize(
    ("tool_type", "expected"),
    [
        ("function.call", "function"),
        ("function", "function"),
        ("function_call", "function"),
        ("tool.execution", "extension"),
        ("agent.handoff", "extension"),
        # A run calls the MCP server itself.
        ("mcp", "function"),
        (None, None),
    ],
)
def test_the_attributes_of_a_tool(tool_type: str | None, expected: str | None) -> None:
    record: Json = {
        "span_attributes": {"name": "tool: add", "type": SpanTypeAttribute.TOOL},
        "input": {"a": 1},
        "output": "2",
        "metadata": {"tool_type": tool_type, "tool_name": "add", "tool_call_id": "c1", "agent_id": "a1", "model": "m"},
        "metrics": {"start": 1.0, "end": 2.0},
    }
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.provider.name": "mistral_ai",
        "gen_ai.agent.id": "a1",
        "gen_ai.tool.name": "add",
        "gen_ai.tool.type": expected,
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.call.arguments": {"a": 1},
        "gen_ai.tool.call.result": "2",
    }
    assert span_attributes(record) == {name: value for name, value in attributes.items() if value is not None}


def test_a_connectors_tool_runs_at_mistral() -> None:
    record = {"name": "mistral.beta.connectors.call_tool", "type": "tool", "metadata": {"tool_name": "find"}}
    attributes = span_attributes(record)
    assert (attributes["gen_ai.tool.name"], attributes["gen_ai.tool.type"]) == ("find", "extension")


def test_content_is_left_out_where_it_is_not_wanted() -> None:
    chat = call_record(
        "chat.complete", input=[{"role": "user", "content": "secret"}], output=[{"message": {"content": "secret"}}]
    )
    conversation = call_record("beta.conversations.start", input="secret", metadata={"instructions": "secret"})
    tool: Json = {"name": "tool: add", "type": "tool", "input": "secret", "output": "secret"}
    for record in (chat, conversation, tool):
        assert "secret" in str(span_attributes(record))
        assert "secret" not in str(span_attributes(record, capture_content=False))
