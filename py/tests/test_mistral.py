"""Every traced method of conversations, with a real client and recorded traffic: its span, compared with the wire.

Calls of a single model are in `test_mistral_models.py`. How the cassettes are made, and made anew, is told in
`cassettes/README.md`.
"""

import json
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import (
    MODEL,
    QUESTION,
    RATES,
    RECORDED,
    Connect,
    LoggedSpans,
    Mistral,
    Wire,
    consume,
    consume_async,
    last_call,
    only_call,
)
from tests.helpers.spans import IS_MISTRALAI_1, LoggedSpan, expected_call, logged_calls, parsed_by_sdk
from tests.helpers.wire import Json


pytestmark = RECORDED


# --- every method ---


def test_wrap_mistral_conversations_start_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.beta.conversations.start(model=MODEL, inputs=QUESTION)
    assert only_call(spans) == expected_call("start", wire.response(), inputs=QUESTION, model=MODEL)


async def test_wrap_mistral_conversations_start_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION)
    assert only_call(spans) == expected_call("start", wire.response(), inputs=QUESTION, model=MODEL)


def test_wrap_mistral_conversations_start_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    consume(mistral.beta.conversations.start_stream(model=MODEL, inputs=QUESTION))
    assert only_call(spans) == expected_call("start_stream", wire.streamed(), inputs=QUESTION, model=MODEL)


async def test_wrap_mistral_conversations_start_stream_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await consume_async(await mistral.beta.conversations.start_stream_async(model=MODEL, inputs=QUESTION))
    assert only_call(spans) == expected_call("start_stream", wire.streamed(), inputs=QUESTION, model=MODEL)


FOLLOW_UP: Any = [{"role": "user", "content": "And Porto?", "type": "message.input"}]


def test_wrap_mistral_conversations_append_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    started = mistral.beta.conversations.start(model=MODEL, inputs=QUESTION)
    mistral.beta.conversations.append(conversation_id=started.conversation_id, inputs=FOLLOW_UP)
    assert last_call(spans) == expected_call("append", wire.response(), inputs=FOLLOW_UP)


async def test_wrap_mistral_conversations_append_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    started = await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION)
    await mistral.beta.conversations.append_async(conversation_id=started.conversation_id, inputs=FOLLOW_UP)
    assert last_call(spans) == expected_call("append", wire.response(), inputs=FOLLOW_UP)


def test_wrap_mistral_conversations_append_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    started = mistral.beta.conversations.start(model=MODEL, inputs=QUESTION)
    consume(mistral.beta.conversations.append_stream(conversation_id=started.conversation_id, inputs=FOLLOW_UP))
    assert last_call(spans) == expected_call("append_stream", wire.streamed(), inputs=FOLLOW_UP)


async def test_wrap_mistral_conversations_append_stream_async(
    mistral: Mistral, spans: LoggedSpans, wire: Wire
) -> None:
    started = await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION)
    await consume_async(
        await mistral.beta.conversations.append_stream_async(conversation_id=started.conversation_id, inputs=FOLLOW_UP)
    )
    assert last_call(spans) == expected_call("append_stream", wire.streamed(), inputs=FOLLOW_UP)


def restart_arguments(started: Any) -> Json:
    """The arguments of a restart from the first answer."""
    return {
        "conversation_id": started.conversation_id,
        "from_entry_id": started.outputs[0].id,
        "inputs": "And Porto?",
        "completion_args": {"temperature": 0.0},
        "metadata": {"suite": "cassettes"},
    }


def expected_restart(method: str, arguments: Json, response: Json) -> LoggedSpan:
    """A restart shows the new conversation's id, and the request's own metadata under a name of its own."""
    assert response["conversation_id"] != arguments["conversation_id"]
    return expected_call(
        method,
        response,
        inputs=arguments["inputs"],
        from_entry_id=arguments["from_entry_id"],
        completion_args=arguments["completion_args"],
        request_metadata=arguments["metadata"],
    )


def test_wrap_mistral_conversations_restart_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    arguments = restart_arguments(mistral.beta.conversations.start(model=MODEL, inputs=QUESTION))
    mistral.beta.conversations.restart(**arguments)
    assert last_call(spans) == expected_restart("restart", arguments, wire.response())


async def test_wrap_mistral_conversations_restart_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    arguments = restart_arguments(await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION))
    await mistral.beta.conversations.restart_async(**arguments)
    assert last_call(spans) == expected_restart("restart", arguments, wire.response())


def test_wrap_mistral_conversations_restart_stream_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    arguments = restart_arguments(mistral.beta.conversations.start(model=MODEL, inputs=QUESTION))
    consume(mistral.beta.conversations.restart_stream(**arguments))
    assert last_call(spans) == expected_restart("restart_stream", arguments, wire.streamed())


async def test_wrap_mistral_conversations_restart_stream_async(
    mistral: Mistral, spans: LoggedSpans, wire: Wire
) -> None:
    arguments = restart_arguments(await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION))
    await consume_async(await mistral.beta.conversations.restart_stream_async(**arguments))
    assert last_call(spans) == expected_restart("restart_stream", arguments, wire.streamed())


def expected_lookup(method: str, inputs: Json, output: Any, **metadata: Any) -> LoggedSpan:
    """What a call that only looks something up, or deletes it, should show: no usage, no children."""
    known = {key: value for key, value in metadata.items() if value is not None}
    return LoggedSpan(
        name=f"mistral.beta.conversations.{method}",
        type="task",
        input=inputs,
        output=parsed_by_sdk(output),
        metadata={"provider": "mistral", **known},
        metrics={"duration": ANY},
        error=None,
        seconds=ANY,
        children=(),
    )


def test_wrap_mistral_conversations_get_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    one: Json = {"conversation_id": mistral.beta.conversations.start(model=MODEL, inputs=QUESTION).conversation_id}
    mistral.beta.conversations.get(**one)
    assert last_call(spans) == expected_lookup("get", one, wire.response(), **one, object="conversation", model=MODEL)


async def test_wrap_mistral_conversations_get_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    started = await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION)
    one: Json = {"conversation_id": started.conversation_id}
    await mistral.beta.conversations.get_async(**one)
    assert last_call(spans) == expected_lookup("get", one, wire.response(), **one, object="conversation", model=MODEL)


# By their metadata: no cassette shall have anyone's other conversations.
LISTED: Json = {"page": 0, "page_size": 1, "metadata": {"suite": "cassettes"}}


def test_wrap_mistral_conversations_list_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    mistral.beta.conversations.start(model=MODEL, inputs=QUESTION, metadata={"suite": "cassettes"})
    mistral.beta.conversations.list(**LISTED)
    assert last_call(spans) == expected_lookup("list", LISTED, wire.response())


async def test_wrap_mistral_conversations_list_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION, metadata={"suite": "cassettes"})
    await mistral.beta.conversations.list_async(**LISTED)
    assert last_call(spans) == expected_lookup("list", LISTED, wire.response())


def test_wrap_mistral_conversations_delete_sync(mistral: Mistral, spans: LoggedSpans) -> None:
    one: Json = {"conversation_id": mistral.beta.conversations.start(model=MODEL, inputs=QUESTION).conversation_id}
    mistral.beta.conversations.delete(**one)
    assert last_call(spans) == expected_lookup("delete", one, None, **one)


async def test_wrap_mistral_conversations_delete_async(mistral: Mistral, spans: LoggedSpans) -> None:
    started = await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION)
    one: Json = {"conversation_id": started.conversation_id}
    await mistral.beta.conversations.delete_async(**one)
    assert last_call(spans) == expected_lookup("delete", one, None, **one)


def test_wrap_mistral_conversations_get_history_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    one: Json = {"conversation_id": mistral.beta.conversations.start(model=MODEL, inputs=QUESTION).conversation_id}
    mistral.beta.conversations.get_history(**one)
    expected = expected_lookup("get_history", one, wire.response(), **one, object="conversation.history")
    assert last_call(spans) == expected


async def test_wrap_mistral_conversations_get_history_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    started = await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION)
    one: Json = {"conversation_id": started.conversation_id}
    await mistral.beta.conversations.get_history_async(**one)
    expected = expected_lookup("get_history", one, wire.response(), **one, object="conversation.history")
    assert last_call(spans) == expected


def test_wrap_mistral_conversations_get_messages_sync(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    one: Json = {"conversation_id": mistral.beta.conversations.start(model=MODEL, inputs=QUESTION).conversation_id}
    mistral.beta.conversations.get_messages(**one)
    expected = expected_lookup("get_messages", one, wire.response(), **one, object="conversation.messages")
    assert last_call(spans) == expected


async def test_wrap_mistral_conversations_get_messages_async(mistral: Mistral, spans: LoggedSpans, wire: Wire) -> None:
    started = await mistral.beta.conversations.start_async(model=MODEL, inputs=QUESTION)
    one: Json = {"conversation_id": started.conversation_id}
    await mistral.beta.conversations.get_messages_async(**one)
    expected = expected_lookup("get_messages", one, wire.response(), **one, object="conversation.messages")
    assert last_call(spans) == expected


# --- what can happen in a conversation ---


def test_wrap_mistral_conversations_start_web_search_sync(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """A search is a child as long as Mistral says, and the answer keeps its citations."""
    request: Json = {"model": MODEL, "instructions": "Search once, then answer.", "tools": [{"type": "web_search"}]}
    question = "When does the next ferry leave from Lisbon to Cacilhas?"
    connect("web-search").beta.conversations.start(inputs=question, **request)
    call, response = only_call(spans), wire.response()
    assert call == expected_call("start", response, inputs=question, **request)
    assert [child.name for child in call.children] == ["tool: web_search"]
    assert "tool_reference" in {chunk["type"] for chunk in call.output[-1]["content"]}
    assert call.metadata["connectors"] == {"web_search": 1}
    assert call.metrics["connector_tokens"] > 0


async def test_wrap_mistral_conversations_start_stream_code_interpreter_async(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """Arguments that came in pieces are parsed whole, and the child lasts from its started to its done event."""
    request: Json = {"model": MODEL, "tools": [{"type": "code_interpreter"}]}
    question = "Compute the sum of the first hundred squares with the code interpreter."
    client = connect("code-interpreter")
    await consume_async(await client.beta.conversations.start_stream_async(inputs=question, **request))
    call, response = only_call(spans), wire.streamed()
    assert call == expected_call("start_stream", response, inputs=question, **request)
    assert [(child.name, list(child.input)) for child in call.children] == [("tool: code_interpreter", ["code"])]


def test_wrap_mistral_conversations_start_image_generation_sync(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """The signature of the image's URL is not logged; the rest of the URL is."""
    request: Json = {"model": MODEL, "tools": [{"type": "image_generation"}]}
    prompt = "Draw a yellow ferry on a wide river, in flat colours."
    connect("image-generation").beta.conversations.start(inputs=prompt, **request)
    response = wire.response()
    signed_url = json.loads(response["outputs"][0]["info"]["result"])["url"]
    unsigned_url, _, signature = signed_url.partition("&sig=")
    assert signature
    response["outputs"][0]["info"]["result"] = json.dumps({"url": f"{unsigned_url}&sig=REDACTED"})
    expected = expected_call("start", response, inputs=prompt, **request)
    assert only_call(spans) == expected


def test_wrap_mistral_conversations_start_stream_parallel_tools_sync(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """Executions that overlap and have one name do not mix, and each is as long as it was."""
    question = "Search the weather of Porto, Faro, Braga, Evora and Coimbra, all at once."
    request: Json = {"model": MODEL, "tools": [{"type": "web_search"}]}
    client = connect("parallel-tools", only_local=True)
    consume(client.beta.conversations.start_stream(inputs=question, **request))
    call, response = only_call(spans), wire.streamed()
    assert call == expected_call("start_stream", response, inputs=question, **request)
    assert len({child.input["query"] for child in call.children}) == 5


def test_wrap_mistral_conversations_start_handoff_sync(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """A handoff is a child from one agent to the next, between the tools of the one and those of the other."""
    question = "How did tram ridership develop? Hand over to the analyst."
    client = connect("handoff", only_local=True)
    client.beta.conversations.start(agent_id="ag_0198a3c1f0d27b6e9c41d2a85e7f3b60", inputs=question)
    response = wire.response()
    call = only_call(spans)
    assert call == expected_call("start", response, inputs=question, agent_id="ag_0198a3c1f0d27b6e9c41d2a85e7f3b60")
    assert [child.name for child in call.children] == [
        "tool: web_search",
        "handoff: analyst",
        "tool: code_interpreter",
    ]


async def test_wrap_mistral_conversations_start_stream_thinking_async(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """Reasoning that came word by word is one thinking chunk, in front of the text."""
    model, question = "magistral-medium-latest", "Four of us, the ferry leaves at 14:10. Which one do we take?"
    client = connect("thinking")
    await consume_async(await client.beta.conversations.start_stream_async(model=model, inputs=question))
    call = only_call(spans)
    assert call == expected_call("start_stream", wire.streamed(), inputs=question, model=model)
    assert [chunk["type"] for chunk in call.output[0]["content"]] == ["thinking", "text"]


@pytest.mark.skipif(IS_MISTRALAI_1, reason="mistralai 1.x has no guardrails: neither in requests nor in responses")
def test_wrap_mistral_conversations_start_guardrails_sync(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """What the guardrails of the request are and what they found are two keys."""
    guardrails: Any = [{"block_on_error": True, "moderation_llm_v2": {"action": "block"}}]
    question = "How far away is the moon?"
    client = connect("guardrails", only_local=True)
    client.beta.conversations.start(model=MODEL, inputs=question, guardrails=guardrails)
    call, response = only_call(spans), wire.response()
    assert call == expected_call("start", response, inputs=question, model=MODEL, guardrails=guardrails)
    assert call.metadata["response_guardrails"][0]["moderation_llm_v2"]["action"] == "none"


RESULT = '{"rate": 11.24}'


def test_wrap_mistral_conversations_append_function_result_sync(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """The result that an append brings is the output of the call's child, which ends when the append begins."""
    question = "What is a euro in Swedish kronor? Use the function."
    conversations = connect("function-call").beta.conversations
    started: Any = conversations.start(model=MODEL, inputs=question, tools=[RATES])
    result: Any = {"tool_call_id": started.outputs[0].tool_call_id, "result": RESULT, "type": "function.result"}
    conversations.append(conversation_id=started.conversation_id, inputs=[result])
    rows = spans.pop()
    call, answer = wire.response(0), wire.response(1)
    assert rows[1]["metrics"]["end"] == rows[2]["metrics"]["start"]
    results = {result["tool_call_id"]: RESULT}
    assert logged_calls(rows) == [
        expected_call("start", call, inputs=question, results=results, model=MODEL, tools=[RATES]),
        expected_call("append", answer, inputs=[result]),
    ]


async def test_wrap_mistral_conversations_append_stream_function_result_async(
    connect: Connect, spans: LoggedSpans, wire: Wire
) -> None:
    """The same when all of it is streamed, where the call's arguments come in pieces."""
    question = "What is a euro in Swedish kronor? Use the function."
    conversations = connect("function-call").beta.conversations
    await consume_async(await conversations.start_stream_async(model=MODEL, inputs=question, tools=[RATES]))
    call = wire.streamed(0)
    (tool_call_id,) = {entry["tool_call_id"] for entry in call["outputs"]}
    result: Any = {"tool_call_id": tool_call_id, "result": RESULT, "type": "function.result"}
    await consume_async(
        await conversations.append_stream_async(conversation_id=call["conversation_id"], inputs=[result])
    )
    results = {tool_call_id: RESULT}
    assert logged_calls(spans.pop()) == [
        expected_call("start_stream", call, inputs=question, results=results, model=MODEL, tools=[RATES]),
        expected_call("append_stream", wire.streamed(1), inputs=[result], conversation_id=call["conversation_id"]),
    ]


@pytest.mark.skipif(IS_MISTRALAI_1, reason="mistralai 1.x has no tool confirmations")
def test_wrap_mistral_conversations_append_confirmation_sync(connect: Connect, spans: LoggedSpans, wire: Wire) -> None:
    """What the application decides about pending calls is on their children; what was allowed runs in the append."""
    conversations = connect("confirmation", only_local=True).beta.conversations
    tools: Any = [{"type": "connector", "connector_id": "gmail"}]
    question = "Find the last invoice and send it to the desk."
    started: Any = conversations.start(model=MODEL, inputs=question, tools=tools)
    first, *others = (entry.tool_call_id for entry in started.outputs)
    decisions: Any = [
        {"tool_call_id": first, "confirmation": "allow"},
        *({"tool_call_id": other, "confirmation": "deny"} for other in others),
    ]
    conversations.append(conversation_id=started.conversation_id, tool_confirmations=decisions)
    asked, answer = wire.response(0), wire.response(1)
    approvals = {first: "approved", **dict.fromkeys(others, "denied")}
    assert logged_calls(spans.pop()) == [
        expected_call("start", asked, inputs=question, approvals=approvals, model=MODEL, tools=tools),
        expected_call("append", answer, inputs=None, tool_confirmations=decisions),
    ]


async def test_wrap_mistral_conversations_append_http_error_async(
    mistral: Mistral, spans: LoggedSpans, wire: Wire
) -> None:
    """The caller gets the SDK's own exception, whose text, with what Mistral said, is the span's error."""
    unknown = "conv_01a10c8710df7225a65f98abe10d6608"
    with pytest.raises(Exception, match="API error occurred") as caught:
        await mistral.beta.conversations.append_async(conversation_id=unknown, inputs=QUESTION)
    error = f"{caught.type.__module__}.{caught.type.__qualname__}: {caught.value}"
    assert wire.response()["message"] in error
    assert only_call(spans) == expected_call("append", {}, inputs=QUESTION, error=error, conversation_id=unknown)
