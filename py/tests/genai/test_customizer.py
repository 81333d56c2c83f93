import base64
import copy
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import braintrust
import braintrust.integrations.mistral as package
import pytest
from braintrust.integrations.mistral.genai import customizer as customizer_module
from braintrust.integrations.mistral.genai.attributes import CONTENT_ATTRIBUTES
from braintrust.integrations.mistral.genai.customizer import GenAIAttributes
from braintrust.logger import Attachment
from braintrust.span_types import SpanTypeAttribute
from hypothesis import given as given_that
from hypothesis import strategies as st

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.genai.test_messages import ANSWER, CALL, EXECUTION, HANDOFF, NAMES, PNG, PNG_URL, TEXT_PART, TYPES
from tests.helpers.clouds import client_at
from tests.helpers.spans import consume
from tests.helpers.wire import Json, answer, answer_stream


HAS_CUSTOMIZERS = hasattr(braintrust, "SpanCustomizer")
needs_customizers = pytest.mark.skipif(not HAS_CUSTOMIZERS, reason="this braintrust has no span customizers")

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PROVENANCE: Json = {"span_origin": {"instrumentation": {"name": "mistral-auto"}}}


@pytest.fixture(autouse=True)
def captured_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CAPTURE, raising=False)


@pytest.fixture
def customizer() -> Iterator[GenAIAttributes]:
    """One that is active in this test."""
    active = GenAIAttributes()
    braintrust.set_span_customizers([active])
    yield active
    braintrust.set_span_customizers(None)


def attributes_of(row: Json) -> Json:
    """What was added to a row, by names without "gen_ai.".

    What the customizer saw was not the whole row: input and output came in different records.
    """
    metadata = row["metadata"]
    return {name.removeprefix("gen_ai."): metadata[name] for name in metadata if name.startswith("gen_ai.")}


COMPLETION: Json = {
    "id": "r1",
    "object": "chat.completion",
    "created": 1,
    "model": "mistral-small-2603",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
CHAT: Json = {"model": "mistral-small-latest", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5}
CHAT_ATTRIBUTES: Json = {
    "operation.name": "chat",
    "provider.name": "mistral_ai",
    "request.model": "mistral-small-latest",
    "request.temperature": 0.5,
    "output.type": "text",
    "response.model": "mistral-small-2603",
    "response.id": "r1",
    "response.finish_reasons": ["stop"],
    "usage.input_tokens": 9,
    "usage.output_tokens": 3,
    "input.messages": [{"role": "user", "parts": [TEXT_PART]}],
    "output.messages": [{"role": "assistant", "parts": [TEXT_PART], "finish_reason": "stop"}],
}


# What it adds


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_a_chat_has_its_attributes_beside_what_it_has_anyway(make_client: MakeClient, spans: LoggedSpans) -> None:
    make_client(lambda _: answer(COMPLETION)).chat.complete(**CHAT)
    row = spans.pop_one()
    assert attributes_of(row) == CHAT_ATTRIBUTES
    braintrust.set_span_customizers(None)
    make_client(lambda _: answer(COMPLETION)).chat.complete(**CHAT)
    plain = spans.pop_one()
    assert {name: value for name, value in row["metadata"].items() if "gen_ai." not in name} == plain["metadata"]
    assert (row["input"], row["output"]) == (plain["input"], plain["output"])


@needs_customizers
@pytest.mark.usefixtures("customizer")
@pytest.mark.parametrize(("provider", "name"), [("azure", "azure.ai.inference"), ("vertex", "gcp.vertex_ai")])
def test_a_cloud_has_its_own_name_in_every_record(provider: str, name: str, spans: LoggedSpans) -> None:
    client_at(provider, lambda _: answer(COMPLETION)).chat.complete(**CHAT)
    # The second record does not say whose it is, and would take the place of what the first one says.
    assert attributes_of(spans.pop_one()) == {**CHAT_ATTRIBUTES, "provider.name": name}


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_a_streamed_chat_has_the_same_and_the_time_to_its_first_chunk(
    make_client: MakeClient, spans: LoggedSpans
) -> None:
    (choice,) = COMPLETION["choices"]
    chunk = {**COMPLETION, "object": "chat.completion.chunk"}
    del chunk["usage"]
    events = [
        {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "H"}, "finish_reason": None}]},
        {
            **chunk,
            "choices": [{"index": 0, "delta": {"content": "i"}, "finish_reason": choice["finish_reason"]}],
            "usage": COMPLETION["usage"],
        },
    ]
    consume(make_client(lambda _: answer_stream(events)).chat.stream(**CHAT))
    row = spans.pop_one()
    first_chunk = row["metrics"]["time_to_first_token"]
    streamed = {"request.stream": True, "response.time_to_first_chunk": first_chunk}
    assert attributes_of(row) == {**CHAT_ATTRIBUTES, **streamed}


def responded(*outputs: Json) -> Json:
    fields = {"conversation_id": "conv1", "usage": COMPLETION["usage"]}
    return {"object": "conversation.response", "outputs": outputs, **fields}


@needs_customizers
def test_a_conversation_and_its_tools_have_theirs(
    make_client: MakeClient, spans: LoggedSpans, customizer: GenAIAttributes
) -> None:
    """The result of a function call comes with a later request, in a record that says nothing but that."""
    responses = iter([responded(EXECUTION, HANDOFF, CALL), responded(ANSWER)])
    conversations = make_client(lambda _: answer(next(responses))).beta.conversations
    conversations.start(agent_id="a1", inputs="Hi", instructions="Be brief.", tools=[{"type": "web_search"}])
    conversation, *tools = spans.pop()
    conversations.append(
        conversation_id="conv1", inputs=[{"type": "function.result", "tool_call_id": "c1", "result": "2"}]
    )
    called, appended = spans.pop()

    message = attributes_of(conversation).pop("output.messages")
    assert [part["type"] for part in message[0]["parts"]] == [
        "server_tool_call",
        "server_tool_call_response",
        "agent.handoff",
        "tool_call",
    ]
    assert attributes_of(conversation) == {
        "operation.name": "invoke_agent",
        "provider.name": "mistral_ai",
        "conversation.id": "conv1",
        "agent.id": "a1",
        "agent.name": "Router",
        "output.type": "text",
        "response.finish_reasons": ["tool_call"],
        "usage.input_tokens": 9,
        "usage.output_tokens": 3,
        "system_instructions": [{"type": "text", "content": "Be brief."}],
        "tool.definitions": [{"type": "web_search", "name": "web_search"}],
        "input.messages": [{"role": "user", "parts": [TEXT_PART]}],
        "output.messages": message,
    }
    tool = {"operation.name": "execute_tool", "provider.name": "mistral_ai"}
    search, handoff, call = (attributes_of(row) for row in tools)
    assert search == {
        **tool,
        "tool.name": "web_search",
        "tool.type": "extension",
        "tool.call.id": "t1",
        "tool.call.arguments": {"query": "tides"},
        "tool.call.result": {"result": "high"},
    }
    assert handoff == {
        **tool,
        "tool.name": "Writer",
        "tool.type": "extension",
        "tool.call.id": "h1",
        "tool.call.arguments": {"agent_id": "a1", "agent_name": "Router"},
        "tool.call.result": {"agent_id": "a2", "agent_name": "Writer"},
    }
    assert call == {
        **tool,
        "tool.name": "add",
        "tool.type": "function",
        "tool.call.id": "c1",
        "tool.call.arguments": {"a": 1},
    }
    assert called["id"] == tools[-1]["id"]
    assert attributes_of(called) == {**tool, "tool.name": "add", "tool.call.result": "2"}
    assert attributes_of(appended)["input.messages"] == [
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "2"}]}
    ]
    assert attributes_of(appended)["response.model"] == "m"
    assert len(customizer._awaited) == 0


ADD: Json = {"name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}
TOOL: Json = {"type": "function", "function": ADD}


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_a_tool_has_the_description_that_its_request_gave(make_client: MakeClient, spans: LoggedSpans) -> None:
    """And none that another request gave, nor one that nobody gave."""
    search = {**CALL, "tool_call_id": "c2", "name": "search"}
    client = make_client(lambda _: answer(responded(CALL, search)))
    with braintrust.start_span(name="application"):
        client.beta.conversations.start(model="m", inputs="Hi", tools=[TOOL])
        client.beta.conversations.start(model="m", inputs="Hi", tools=[{"type": "web_search"}])
    described = [attributes_of(row).get("tool.description") for row in spans.pop()[1:]]
    assert described == [None, "Adds.", None, None, None, None]


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_so_has_one_of_a_completion(make_client: MakeClient, spans: LoggedSpans) -> None:
    call = {"id": "c1", "function": {"name": "add", "arguments": "{}"}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    client = make_client(lambda _: answer({**COMPLETION, "choices": [choice]}))
    client.chat.complete(model="m", messages=CHAT["messages"], tools=[TOOL])
    _, tool = spans.pop()
    assert attributes_of(tool)["tool.description"] == "Adds."


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_an_agent_that_is_created_has_its_name_and_its_version(call_method: CallMethod, spans: LoggedSpans) -> None:
    definition = {"model": "m", "name": "Baker", "instructions": "Be brief."}
    times = dict.fromkeys(("created_at", "updated_at"), "2026-10-05T14:45:45Z")
    fields = {"object": "agent", "id": "a1", "version": 0, "versions": [0], "deployment_chat": False, "source": "api"}
    call_method(lambda _: answer({**definition, **fields, **times}), "beta.agents.create", **definition)
    assert attributes_of(spans.pop_one()) == {
        "operation.name": "create_agent",
        "provider.name": "mistral_ai",
        "agent.id": "a1",
        "agent.name": "Baker",
        "agent.version": "0",
        "request.model": "m",
        "system_instructions": [{"type": "text", "content": "Be brief."}],
    }


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_embeddings_have_their_size(call_method: CallMethod, spans: LoggedSpans) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}
    usage = {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2}
    response = {"id": "e1", "object": "list", "model": "embed-2312", "data": [vector], "usage": usage}
    asked = {"model": "embed", "inputs": "Hi", "output_dimension": 3, "encoding_format": "float"}
    call_method(lambda _: answer(response), "embeddings.create", **asked)
    assert attributes_of(spans.pop_one()) == {
        "operation.name": "embeddings",
        "provider.name": "mistral_ai",
        "request.model": "embed",
        "request.encoding_formats": ["float"],
        "embeddings.dimension.count": 2,
        "response.id": "e1",
        "response.model": "embed-2312",
        "usage.input_tokens": 2,
        "usage.output_tokens": 0,
    }


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_a_call_that_fails_has_the_type_of_its_error(call_method: CallMethod, spans: LoggedSpans) -> None:
    with pytest.raises(Exception, match="503") as caught:
        call_method(lambda _: answer({"message": "no oven"}, 503), "chat.complete", **CHAT)
    error_type = type(caught.value)
    metadata = spans.pop_one()["metadata"]
    assert metadata["error.type"] == f"{error_type.__module__}.{error_type.__qualname__}"
    assert metadata["gen_ai.operation.name"] == "chat"


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_a_run_and_the_tools_in_it_are_known_while_they_last(spans: LoggedSpans) -> None:
    """A function that a run executes is open for as long as it takes, and knows its result when it closes."""
    internal: Any = {"instrumentation": "mistral-auto"}
    with braintrust.start_span(
        name="mistral.beta.conversations.run", type="task", input="Hi", metadata={"model": "m"}, internal=internal
    ) as run:
        metadata = {"tool_type": "function.call", "tool_name": "add"}
        with run.start_span(
            name="tool: add", type="tool", input={"a": 1}, metadata=metadata, internal=internal
        ) as tool:
            tool.log(output=2)
        run.log(output=[ANSWER])
    run_row, tool_row = spans.pop()
    assert attributes_of(run_row) == {
        "operation.name": "invoke_agent",
        "provider.name": "mistral_ai",
        "request.model": "m",
        "output.type": "text",
        "input.messages": [{"role": "user", "parts": [TEXT_PART]}],
        "output.messages": [{"role": "assistant", "parts": [TEXT_PART], "finish_reason": "stop"}],
    }
    assert attributes_of(tool_row) == {
        "operation.name": "execute_tool",
        "provider.name": "mistral_ai",
        "tool.name": "add",
        "tool.type": "function",
        "tool.call.arguments": {"a": 1},
        "tool.call.result": 2,
    }


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_spans_of_others_are_left_alone(make_client: MakeClient, spans: LoggedSpans) -> None:
    """Also those with the same shape, the same provider and the same name, and also around and after ours."""
    logged: Json = {"input": CHAT["messages"], "metadata": {"provider": "mistral", "model": "m"}}
    with braintrust.start_span(name="mistral.chat.complete", type="llm", **logged) as own:
        make_client(lambda _: answer(COMPLETION)).chat.complete(**CHAT)
        own.log(output=COMPLETION["choices"])
    other: Any = {"instrumentation": "openai-auto"}
    braintrust.start_span(name="mistral.chat.complete", type="llm", internal=other, **logged).end()
    own_row, call, other_row = spans.pop()
    assert attributes_of(own_row) == attributes_of(other_row) == {}
    assert attributes_of(call) == CHAT_ATTRIBUTES


# Content


def opening(identity: str, **fields: Any) -> Json:
    """Return the first record of a chat."""
    attributes = {"name": "mistral.chat.complete", "type": "llm", "exec_counter": 1}
    return {"id": identity, "span_attributes": attributes, "context": PROVENANCE, "metrics": {"start": 1.0}, **fields}


def leaves_content_out(customizer: GenAIAttributes) -> bool:
    record = opening("1", input=CHAT["messages"], metadata={"model": "m", "instructions": "Be brief."})
    metadata = customizer.on_span_export(record)["metadata"]
    assert metadata["gen_ai.request.model"] == "m"
    return not CONTENT_ATTRIBUTES & metadata.keys()


@needs_customizers
@pytest.mark.parametrize(
    ("variable", "left_out"), [("false", True), (" False ", True), ("true", False), ("", False), ("span_only", False)]
)
def test_the_environment_can_leave_content_out(variable: str, left_out: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not leaves_content_out(GenAIAttributes())
    monkeypatch.setenv(CAPTURE, variable)
    assert leaves_content_out(GenAIAttributes()) is left_out
    assert leaves_content_out(GenAIAttributes(capture_content=False))


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_a_small_image_is_a_blob_and_a_large_one_the_file_that_was_uploaded(
    make_client: MakeClient, spans: LoggedSpans
) -> None:
    large = PNG + bytes(100_000)
    urls = [PNG_URL, f"data:image/png;base64,{base64.b64encode(large).decode()}"]
    content = [{"type": "image_url", "image_url": url} for url in urls]
    make_client(lambda _: answer(COMPLETION)).chat.complete(model="m", messages=[{"role": "user", "content": content}])
    row = spans.pop_one()
    (message,) = attributes_of(row)["input.messages"]
    _, uploaded = row["input"][0]["content"]
    assert message["parts"] == [
        {
            "type": "blob",
            "modality": "image",
            "mime_type": "image/png",
            "content": base64.b64encode(PNG).decode(),
        },
        {
            "type": "file",
            "modality": "image",
            "mime_type": "image/png",
            "file_id": uploaded["image_url"]["url"].reference["key"],
        },
    ]


@needs_customizers
@pytest.mark.usefixtures("customizer")
def test_with_a_masking_function_no_image_is_inlined(make_client: MakeClient, spans: LoggedSpans) -> None:
    braintrust.set_masking_function(lambda value: value)
    content = [{"type": "image_url", "image_url": PNG_URL}]
    make_client(lambda _: answer(COMPLETION)).chat.complete(model="m", messages=[{"role": "user", "content": content}])
    row = spans.pop_one()
    braintrust.set_masking_function(None)
    (message,) = attributes_of(row)["input.messages"]
    (part,) = message["parts"]
    assert (part["type"], part["mime_type"]) == ("file", "image/png")
    assert base64.b64encode(PNG).decode() not in json.dumps(row, default=str)


@needs_customizers
def test_the_type_of_a_span_is_read_though_it_is_an_enum() -> None:
    span = {"name": "tool: bake", "type": SpanTypeAttribute.TOOL}
    record: Json = {"id": "1", "span_attributes": span, "context": PROVENANCE, "input": {}, "metrics": {}}
    (exported,) = [GenAIAttributes().on_span_export(record)]
    assert exported["metadata"]["gen_ai.operation.name"] == "execute_tool"


# What it never does


@needs_customizers
def test_a_span_whose_beginning_was_not_seen_is_left_alone() -> None:
    record: Json = {"id": "1", "output": COMPLETION["choices"], "metadata": {"model": "m"}, "metrics": {"end": 2.0}}
    assert GenAIAttributes().on_span_export(record) is record


@needs_customizers
def test_opentelemetrys_own_spans_are_left_alone() -> None:
    snapshot: Json = {"name": "chat", "attributes": {"gen_ai.system": "x"}, "context": {"trace_id": "1"}, "kind": 1}
    assert GenAIAttributes().on_span_export(snapshot) is snapshot


@needs_customizers
def test_a_record_is_not_changed_in_place() -> None:
    record = opening("1", input=CHAT["messages"], metadata={"model": "m"})
    before = copy.deepcopy(record)
    customized = GenAIAttributes().on_span_export(record)
    assert record == before
    assert customized is not record
    assert customized["metadata"]["gen_ai.request.model"] == "m"


@needs_customizers
def test_spans_that_never_end_take_a_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customizer_module, "_MOST_SPANS", 10)
    customizer = GenAIAttributes()
    for number in range(25):
        customizer.on_span_export(opening(str(number)))
    assert [number for number in range(25) if customizer._awaited.get(str(number))] == list(range(15, 25))
    ended = {"output": [], "metadata": {"model": "m"}, "metrics": {"end": 2.0}}
    assert "gen_ai.response.model" in customizer.on_span_export({"id": "20", **ended})["metadata"]
    assert "gen_ai.response.model" not in customizer.on_span_export({"id": "1", **ended})["metadata"]
    assert customizer._awaited.get("20") is None


@needs_customizers
def test_records_may_come_from_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customizer_module, "_MOST_SPANS", 4)
    customizer = GenAIAttributes()

    def export(thread: int) -> None:
        for number in range(200):
            identity = f"{thread}.{number}"
            customizer.on_span_export(opening(identity))
            if number % 2:
                customizer.on_span_export({"id": identity, "output": [], "metrics": {"end": 2.0}})

    threads = [threading.Thread(target=export, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(customizer._awaited) <= 4 + len(threads)


@needs_customizers
def test_a_fault_costs_the_attributes_and_nothing_else(monkeypatch: pytest.MonkeyPatch, faults: list[Any]) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(customizer_module, "span_attributes", fail)
    record = opening("1")
    assert GenAIAttributes().on_span_export(record) is record
    (fault,) = faults
    assert "not affected" in fault.getMessage()
    faults.clear()


loggable = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from(TYPES),
        st.builds(Attachment, data=st.binary(max_size=3), filename=st.just("a"), content_type=st.just("image/png")),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@needs_customizers
@given_that(
    record=st.fixed_dictionaries(
        {"id": st.just("1"), "span_id": st.just("2"), "span_parents": st.sampled_from([None, ["2"]])},
        optional={
            "input": loggable,
            "output": loggable,
            "metadata": st.none() | st.dictionaries(st.sampled_from(NAMES), loggable),
            "metrics": st.dictionaries(st.sampled_from(["start", "end", "prompt_tokens"]), st.floats()),
        },
    ),
    opens=st.booleans(),
    name=st.sampled_from(["mistral.chat.complete", "mistral.beta.conversations.start", "tool: add"]),
)
def test_every_record_that_the_sdk_could_export_is_read(record: Json, opens: bool, name: str) -> None:
    customizer = GenAIAttributes()
    opened = opening("1", span_attributes={"name": name, "type": "tool" if name.startswith("tool") else "llm"})
    if opens:
        record = {**opened, **record}
    else:
        customizer.on_span_export(opened)
    assert customizer.on_span_export(record)["metadata"]["gen_ai.provider.name"] == "mistral_ai"


# Where it can be used


@pytest.mark.skipif(HAS_CUSTOMIZERS, reason="this braintrust has span customizers")
def test_an_sdk_without_customizers_is_told_at_once() -> None:
    with pytest.raises(RuntimeError, match=r"braintrust 0\.30\.1 does not have: upgrade it"):
        GenAIAttributes()


def test_so_is_one_that_lost_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customizer_module, "SpanCustomizer", object)
    with pytest.raises(RuntimeError, match="span customizers"):
        GenAIAttributes()


def test_it_is_imported_when_it_is_asked_for() -> None:
    """And from where users ask."""
    assert package.GenAIAttributes is GenAIAttributes
    with pytest.raises(AttributeError, match="no attribute 'GenAIAttribute'"):
        _ = package.GenAIAttribute
    program = """
        import sys
        import braintrust.integrations.mistral as package

        assert not any("genai" in name for name in sys.modules if name.startswith(package.__name__))
        assert package.GenAIAttributes.__name__ == "GenAIAttributes"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


# End to end

APPLICATION = """
    import braintrust
    from braintrust.integrations.mistral import GenAIAttributes

    braintrust.auto_instrument(span_customizers=[GenAIAttributes()])

    import os

    try:
        from mistralai.client import Mistral
    except ImportError:
        from mistralai import Mistral  # 1.x

    braintrust.init_logger(project="genai")
    conversations = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"]).beta.conversations
    with braintrust.start_span(name="application"):
        started = conversations.start(agent_id="agentic", inputs="Book a ferry.")
        (call,) = [entry for entry in started.outputs if entry.type == "function.call"]
        result = {"type": "function.result", "tool_call_id": call.tool_call_id, "result": "booked"}
        conversations.append(conversation_id=started.conversation_id, inputs=[result])
        with conversations.start_stream(agent_id="agentic", inputs="Book a ferry.") as stream:
            for event in stream:
                pass
"""


@needs_customizers
def test_an_application_sends_the_attributes_to_braintrust(tmp_path: Path) -> None:
    with LocalBraintrust() as bt, LocalMistral(pace=0.02) as mistral:
        environment = {**os.environ, **bt.environment(), "LOCAL_MISTRAL_URL": mistral.url}
        process = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(APPLICATION)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (process.returncode, process.stderr) == (0, "")
        rows = sorted(bt.spans(), key=lambda row: row["span_attributes"]["exec_counter"])
    by_name: dict[str, list[Json]] = {}
    for row in rows:
        by_name.setdefault(row["span_attributes"]["name"], []).append(row)
    (application,) = by_name.pop("application")
    assert "gen_ai." not in json.dumps(application)
    (started,) = by_name["mistral.beta.conversations.start"]
    (streamed,) = by_name["mistral.beta.conversations.start_stream"]
    (appended,) = by_name["mistral.beta.conversations.append"]
    unstreamed = attributes_of(started)
    added = {"request.stream", "response.time_to_first_chunk"}
    assert unstreamed.keys() | added == attributes_of(streamed).keys()
    types = ["server_tool_call", "server_tool_call_response"] * 3
    types += ["agent.handoff", "reasoning", "text", "tool_reference", "text", "tool_reference", "tool_call"]
    for row in (started, streamed):
        attributes = attributes_of(row)
        (message,) = attributes["output.messages"]
        assert sorted({part["type"] for part in message["parts"]}) == sorted(set(types))
        assert attributes["conversation.id"] == row["metadata"]["conversation_id"]
        assert attributes["usage.input_tokens"] == row["metrics"]["prompt_tokens"]
    assert attributes_of(appended)["input.messages"][0]["role"] == "tool"
    booked, waiting = (attributes_of(row) for row in by_name["tool: book_ferry"])
    assert (booked["tool.call.result"], waiting.get("tool.call.result")) == ("booked", None)
    assert booked["tool.call.arguments"] == waiting["tool.call.arguments"] == {"departure": "14:30", "passengers": 4}
    assert all(row["metadata"]["gen_ai.provider.name"] == "mistral_ai" for row in rows if row is not application)
