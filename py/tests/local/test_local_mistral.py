import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from braintrust.integrations.mistral.test_mistral import SENDS_METADATA

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral.scenarios import SCENARIOS
from tests.local.conftest import Http


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral


FAILING = [name for name in SCENARIOS if name.startswith("http-")]
# A short long stream: the SDKs take milliseconds for each event.
ANSWERING = sorted({"long-stream-50", *SCENARIOS} - {*FAILING, "error-event", "broken", "long-stream"})
# The events of these two raise in mistralai 1.12.4, and the old ones are unknown to later versions.
UNREADABLE = {"unknown-event", "old-events"}
PATH = "/v1/conversations"
HELLO = {"inputs": "Hello", "stream": False}


@pytest.fixture
def conversations(sdk: Mistral, mistral: LocalMistral) -> Any:
    return sdk.beta.conversations


def folded(stream: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries that events add up to, without ids and times; by id, as parallel tools overlap."""
    left_out = {"id", "created_at", "tool_call_id", "output_index", "content_index", "type", "content", "arguments"}
    entries: dict[str, dict[str, Any]] = {}
    for event in stream:
        kind = event["type"]
        if kind.startswith(("conversation.", "memory.")):
            continue
        entry = entries.setdefault(event["id"], {"type": kind.rpartition(".")[0]})
        entry |= {key: value for key, value in event.items() if key not in left_out}
        if "arguments" in event:
            entry["arguments"] = entry.get("arguments", "") + event["arguments"]
        if "content" in event:
            add_content(entry, event["content_index"], event["content"])
    for entry in entries.values():
        if "chunks" in entry:
            entry["content"] = joined(entry.pop("chunks"))
    return list(entries.values())


def add_content(entry: dict[str, Any], index: int, content: Any) -> None:
    chunks: dict[int, Any] = entry.setdefault("chunks", {})
    if index not in chunks:
        chunks[index] = content
    elif isinstance(content, str):
        chunks[index] += content
    elif content["type"] == "text":
        chunks[index]["text"] += content["text"]
    else:
        chunks[index]["thinking"][0]["text"] += content["thinking"][0]["text"]


def joined(chunks: dict[int, Any]) -> Any:
    if list(chunks) == [0] and isinstance(chunks[0], str):
        return chunks[0]
    return [{"type": "text", "text": chunk} if isinstance(chunk, str) else chunk for chunk in chunks.values()]


def bare(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    left_out = {"object", "id", "created_at", "completed_at", "tool_call_id"}
    return [{key: value for key, value in entry.items() if key not in left_out} for entry in outputs]


@pytest.mark.parametrize("name", ANSWERING)
def test_every_scenario_starts(conversations: Any, name: str) -> None:
    response = conversations.start(model=name, inputs="Hello")
    assert response.outputs
    assert response.usage.total_tokens == (
        response.usage.prompt_tokens + response.usage.completion_tokens + (response.usage.connector_tokens or 0)
    )


@pytest.mark.parametrize("name", [name for name in ANSWERING if name not in UNREADABLE])
def test_every_scenario_streams(conversations: Any, name: str) -> None:
    stream = list(conversations.start_stream(model=name, inputs="Hello"))
    assert stream[0].event == "conversation.response.started"
    assert stream[-1].event == "conversation.response.done"
    assert "UNKNOWN" not in {event.data.type for event in stream}


@pytest.mark.parametrize("name", [name for name in ANSWERING if name != "old-events"])
def test_a_streamed_answer_is_the_answer(http: Http, name: str) -> None:
    whole = http.post(PATH, json={"model": name, **HELLO}).json()
    stream = http.stream(PATH, model=name, **HELLO)
    assert folded(stream) == bare(whole["outputs"])
    assert stream[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("method", ["start", "start_stream"])
def test_a_failure_is_an_http_error(conversations: Any, name: str, method: str) -> None:
    # 422 has an exception of its own, whose text is the body alone.
    with pytest.raises(Exception, match=r"Status \d+|extra_forbidden") as caught:
        getattr(conversations, method)(model=name, inputs="Hello")
    assert caught.value.raw_response.status_code == int(name.removeprefix("http-"))


def test_an_agent_picks_a_scenario_and_signs_its_entries(conversations: Any, http: Http) -> None:
    response = conversations.start(agent_id="code-interpreter", inputs="Hello")
    assert [entry.type for entry in response.outputs] == ["tool.execution", "message.output"]
    entries = http.get(f"{PATH}/{response.conversation_id}/history").json()["entries"]
    assert {entry["agent_id"] for entry in entries[1:]} == {"code-interpreter"}
    assert {entry["model"] for entry in entries[1:]} == {"mistral-medium-latest"}


def test_an_unknown_name_gets_a_plain_answer(conversations: Any) -> None:
    response = conversations.start(model="mistral-small-latest", inputs="Hello")
    assert isinstance(response.outputs[0].content, str)


def test_usage_without_tools_has_no_connectors(http: Http) -> None:
    usage = http.post(PATH, json={"model": "plain", **HELLO}).json()["usage"]
    assert usage.keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}


def test_parallel_tools_start_before_the_first_is_done(http: Http) -> None:
    stream = http.stream(PATH, model="parallel-tools", **HELLO)
    tools = [event for event in stream if event["type"].startswith("tool.")]
    first_done = next(place for place, event in enumerate(tools) if event["type"] == "tool.execution.done")
    before, after = tools[:first_done], tools[first_done:]
    assert {event["type"] for event in after} == {"tool.execution.done"}
    assert len(after) == 5
    # Each tool's arguments are whole before the next tool starts.
    ids = [event["id"] for event in before]
    assert sorted(ids, key=list(dict.fromkeys(ids)).index) == ids


def test_tool_events_are_cut_as_the_api_cuts_them(http: Http) -> None:
    stream = http.stream(PATH, model="code-interpreter", **HELLO)
    started, *deltas, done = [event for event in stream if event["type"].startswith("tool.")]
    assert started["arguments"] == ""
    assert started["model"] == "code-interpreter"
    assert [len(delta["arguments"]) for delta in deltas[:-1]] == [12] * (len(deltas) - 1)
    assert "code" in json.loads("".join(delta["arguments"] for delta in deltas))
    assert "model" not in deltas[0].keys() | done.keys()
    assert "arguments" not in done


def test_a_long_stream_has_as_many_deltas_as_its_name_says(http: Http) -> None:
    stream = http.stream(PATH, model="long-stream-5000", **HELLO)
    assert sum(event["type"] == "message.output.delta" for event in stream) == 5000


def test_times_are_the_services_own() -> None:
    with LocalMistral(pace=0.0, clock_offset=3600.0) as ahead, Mistral(api_key="x", server_url=ahead.url) as client:
        entry = client.beta.conversations.start(model="plain", inputs="Hello").outputs[0]
    assert entry.created_at - datetime.now(timezone.utc) > timedelta(minutes=50)


def test_entries_take_time_one_after_the_other() -> None:
    with LocalMistral(pace=0.02) as slower, Mistral(api_key="x", server_url=slower.url) as client:
        tool, message = client.beta.conversations.start(model="web-search", inputs="Hello").outputs
    assert tool.created_at < tool.completed_at < message.created_at < message.completed_at


def test_entries_without_times_and_unknown_events_pass(http: Http) -> None:
    outputs = http.post(PATH, json={"model": "no-times", **HELLO}).json()["outputs"]
    assert all(entry.keys().isdisjoint({"created_at", "completed_at"}) for entry in outputs)
    stream = http.stream(PATH, model="unknown-event", **HELLO)
    unknown = [event for event in stream if event["type"].startswith(("memory.", "conversation.response.heartbeat"))]
    assert [event.get("output_index") for event in unknown] == [None, 1]
    assert [event["output_index"] for event in stream if event["type"] == "message.output.delta"][-1] == 2


def test_old_events_lack_what_came_later(http: Http) -> None:
    stream = http.stream(PATH, model="old-events", **HELLO)
    assert not any({"output_index", "content_index", "function", "arguments"} & event.keys() for event in stream)
    assert "tool.execution.delta" not in {event["type"] for event in stream}


def test_guardrails_are_in_the_response_only(http: Http) -> None:
    response = http.post(PATH, json={"model": "guardrails", **HELLO}).json()
    assert response["guardrails"][0]["moderation_llm_v2"]["action"] == "none"
    stream = http.stream(PATH, model="guardrails", **HELLO)
    assert not any("guardrails" in event for event in stream)


def test_an_error_event_ends_a_stream(conversations: Any) -> None:
    stream = list(conversations.start_stream(model="error-event", inputs="Hello"))
    assert stream[-2].event == "message.output.delta"
    assert stream[-1].data.type == "conversation.response.error"
    assert (stream[-1].data.message, stream[-1].data.code) == ("Response failed", 3000)


@pytest.mark.parametrize("method", ["start", "start_stream"])
def test_a_broken_connection_is_a_protocol_error(conversations: Any, method: str) -> None:
    with pytest.raises(Exception, match="without sending complete message body"):
        list(getattr(conversations, method)(model="broken", inputs="Hello"))


def test_function_results_continue_a_conversation(conversations: Any) -> None:
    started = conversations.start(model="parallel-functions", inputs="Hello")
    results = [result(call.tool_call_id) for call in started.outputs]
    with pytest.raises(Exception, match="function results are still missing") as caught:
        conversations.append(conversation_id=started.conversation_id, inputs="And now?")
    assert caught.value.raw_response.status_code == 400
    with pytest.raises(Exception, match=started.outputs[1].tool_call_id):
        conversations.append(conversation_id=started.conversation_id, inputs=results[:1])
    answer = conversations.append(conversation_id=started.conversation_id, inputs=results)
    assert answer.conversation_id == started.conversation_id
    assert "11.4" in answer.outputs[0].content


def test_replayed_calls_and_results_start_a_conversation(conversations: Any) -> None:
    call = {"type": "function.call", "tool_call_id": "a1", "name": "get_exchange_rate", "arguments": "{}"}
    answer = conversations.start(model="function-call", inputs=[call, result("a1")])
    assert [entry.type for entry in answer.outputs] == ["message.output"]


@pytest.mark.parametrize("method", ["append", "append_stream"])
def test_an_agentic_conversation_goes_on_after_its_function(conversations: Any, http: Http, method: str) -> None:
    started = conversations.start(model="agentic", inputs="Hello")
    kinds = [entry.type for entry in started.outputs]
    assert kinds == [*["tool.execution"] * 3, "agent.handoff", "message.output", "function.call"]
    inputs = [result(started.outputs[-1].tool_call_id)]
    answer = getattr(conversations, method)(conversation_id=started.conversation_id, inputs=inputs)
    if method == "append_stream":
        list(answer)
    entries = http.get(f"{PATH}/{started.conversation_id}/history").json()["entries"]
    assert [entry["type"] for entry in entries] == ["message.input", *kinds, "function.result", "message.output"]


def test_decisions_about_pending_calls_run_or_deny_them(http: Http) -> None:
    started = http.post(PATH, json={"model": "confirmation", **HELLO}).json()
    search, send, calendar = started["outputs"]
    assert {call["confirmation_status"] for call in started["outputs"]} == {"pending"}
    assert "created_at" in search
    assert "created_at" not in send
    path = f"{PATH}/{started['conversation_id']}"
    decisions = [decision(search, "allow"), decision(send, "deny"), decision(calendar, "allow")]
    assert http.post(path, json={"tool_confirmations": decisions[:1]}).status_code == 400
    outputs = http.post(path, json={"tool_confirmations": decisions}).json()["outputs"]
    assert [(entry["type"], entry.get("name")) for entry in outputs] == [
        ("tool.execution", "gmail_search"),
        ("tool.execution", "calendar_list"),
        ("message.output", None),
    ]
    settled = http.get(f"{path}/history").json()["entries"][1:4]
    assert [call["confirmation_status"] for call in settled] == ["allowed", "denied", "allowed"]


def test_a_denied_call_gets_a_message(http: Http) -> None:
    started = http.post(PATH, json={"model": "confirmation", **HELLO}).json()
    decisions = [decision(call, "deny") for call in started["outputs"]]
    answer = http.post(f"{PATH}/{started['conversation_id']}", json={"tool_confirmations": decisions})
    assert [entry["type"] for entry in answer.json()["outputs"]] == ["message.output"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_restart_forks_the_conversation(conversations: Any, streamed: bool) -> None:
    started = conversations.start(model="web-search", inputs="Hello")
    request = {"conversation_id": started.conversation_id, "from_entry_id": started.outputs[0].id, "inputs": "Again"}
    if streamed:
        forked_id = next(iter(conversations.restart_stream(**request))).data.conversation_id
    else:
        forked_id = conversations.restart(**request).conversation_id
    assert forked_id != started.conversation_id
    entries = conversations.get_history(conversation_id=forked_id).entries
    kinds = ["message.input", "tool.execution", "message.input"]
    assert [entry.type for entry in entries][:3] == kinds


def test_conversations_can_be_read_listed_and_deleted(conversations: Any, mistral: LocalMistral) -> None:
    by_model = conversations.start(model="plain", inputs="Hello", name="first", metadata={"team": "a"})
    by_agent = conversations.start(agent_id="plain", inputs="Hello")
    one = conversations.get(conversation_id=by_model.conversation_id)
    assert (one.model, one.name) == ("plain", "first")
    assert conversations.get(conversation_id=by_agent.conversation_id).agent_id == "plain"
    assert [found.id for found in conversations.list()] == [by_model.conversation_id, by_agent.conversation_id]
    assert [found.id for found in conversations.list(page=1, page_size=1)] == [by_agent.conversation_id]
    if SENDS_METADATA:
        assert [found.id for found in conversations.list(metadata={"team": "a"})] == [by_model.conversation_id]
    history = conversations.get_history(conversation_id=by_model.conversation_id)
    messages = conversations.get_messages(conversation_id=by_model.conversation_id)
    assert [entry.type for entry in history.entries] == [entry.type for entry in messages.messages]
    conversations.delete(conversation_id=by_model.conversation_id)
    assert list(mistral.conversations) == [by_agent.conversation_id]


def test_what_is_not_stored_is_gone(conversations: Any) -> None:
    response = conversations.start(model="plain", inputs="Hello", store=False)
    with pytest.raises(Exception, match="not found") as caught:
        conversations.append(conversation_id=response.conversation_id, inputs="More")
    assert caught.value.raw_response.status_code == 404


def test_a_conversation_can_change_its_scenario(conversations: Any, mistral: LocalMistral) -> None:
    started = conversations.start(model="plain", inputs="Hello")
    mistral.conversations[started.conversation_id].scenario = "http-500"
    with pytest.raises(Exception, match="handoff orchestration"):
        conversations.append(conversation_id=started.conversation_id, inputs="More")


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b"{not json", ["body"]),
        (b"[]", ["body"]),
        (b'{"model": "plain"}', ["body", "inputs"]),
        (b'{"inputs": "Hello"}', ["body", "model"]),
        (b'{"model": "plain", "inputs": 7}', ["body", "inputs"]),
        (
            b'{"model": "plain", "inputs": [{"type": "function.result", "result": ""}]}',
            ["body", "inputs", 0, "tool_call_id"],
        ),
    ],
)
def test_a_malformed_body_is_unprocessable(http: Http, body: bytes, location: list[str | int]) -> None:
    response = http.post(PATH, data=body)
    assert response.status_code == 422
    assert response.json()["object"] == "Error"
    assert response.json()["detail"][0]["loc"] == location


def test_an_append_forbids_what_only_a_start_takes(conversations: Any, http: Http) -> None:
    started = conversations.start(model="plain", inputs="Hello")
    response = http.post(f"{PATH}/{started.conversation_id}", json={"inputs": "More", "tools": []})
    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "extra_forbidden"


def test_requests_are_kept_as_they_arrived(conversations: Any, mistral: LocalMistral) -> None:
    conversations.start_stream(model="plain", inputs="Hello", instructions="Be brief.")
    conversations.list()
    started, listed = mistral.requests
    assert (started.method, started.path) == ("POST", PATH)
    assert started.body["instructions"] == "Be brief."
    assert started.body["stream"] is True
    assert (listed.method, listed.body) == ("GET", None)


def test_a_service_stops_in_the_middle_of_a_stream() -> None:
    with LocalMistral(pace=100.0) as service, Mistral(api_key="local", server_url=service.url) as client:
        stream = iter(client.beta.conversations.start_stream(model="slow", inputs="Hello"))
        next(stream)
        service.stop()
        with pytest.raises(Exception, match="without sending complete message body"):
            list(stream)


async def test_async_clients_are_served(mistral: LocalMistral) -> None:
    async with Mistral(api_key="local", server_url=mistral.url) as client:
        response = await client.beta.conversations.start_async(model="agentic", inputs="Hello")
        assert response.outputs[-1].type == "function.call"
        stream = await client.beta.conversations.start_stream_async(model="agentic", inputs="Hello")
        assert [event.event async for event in stream][-1] == "conversation.response.done"


def result(tool_call_id: str) -> dict[str, Any]:
    return {"type": "function.result", "tool_call_id": tool_call_id, "result": "11.4"}


def decision(call: dict[str, Any], confirmation: str) -> dict[str, str]:
    return {"tool_call_id": call["tool_call_id"], "confirmation": confirmation}
