"""What the administration of agents logs, and where the names of agents stand beside their ids."""

from typing import Any
from unittest.mock import ANY

import pytest
from braintrust.integrations.mistral.patchers import wrap_mistral
from braintrust.integrations.mistral.resources.agent_names import agent_name_of, agent_names, learn_agent_name

from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.helpers.features import keeps
from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import AT, USAGE, Json, answer, answer_stream, calls, says, streamed


DEFINITION: Json = {
    "model": "mistral-medium-latest",
    "name": "baker",
    "instructions": "You bake bread.",
    "tools": [{"type": "web_search"}],
    "completion_args": {"temperature": 0.2, "tool_choice": "required"},
    "handoffs": ["ag_2"],
}
AGENT: Json = {
    "object": "agent",
    "id": "ag_1",
    **DEFINITION,
    "completion_args": {"temperature": 0.2, "tool_choice": "any"},
    "version": 3,
    "versions": [0, 1, 2, 3],
    "created_at": AT,
    "updated_at": AT,
    "deployment_chat": False,
    "source": "api",
}
ABOUT: Json = {"provider": "mistral", "agent_id": "ag_1", "agent_name": "baker", "model": "mistral-medium-latest"}


def logged(spans: LoggedSpans) -> LoggedSpan:
    (call,) = logged_calls(spans.pop())
    return call


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create", DEFINITION),
        ("update", {"agent_id": "ag_1", **DEFINITION}),
        ("get", {"agent_id": "ag_1"}),
        ("update_version", {"agent_id": "ag_1", "version": 3}),
    ],
)
def test_an_agent_is_logged_with_its_definition(
    method: str, arguments: Json, call_method: CallMethod, spans: LoggedSpans
) -> None:
    agent = call_method(lambda _: answer(AGENT), f"beta.agents.{method}", **arguments)
    assert agent.name == "baker"
    call = logged(spans)
    times = {name: call.output.pop(name) for name in ("created_at", "updated_at")}
    assert all(time.startswith("2026-10-05T14:45:45") for time in times.values())
    assert call == LoggedSpan(
        name=f"mistral.beta.agents.{method}",
        type="task",
        input=arguments,
        # As in a request: Mistral's `any` is `required`.
        output={
            **{name: value for name, value in AGENT.items() if name not in times},
            "completion_args": DEFINITION["completion_args"],
        },
        metadata={**ABOUT, "object": "agent", "agent_version": 3},
        metrics={"duration": ANY},
    )


def test_a_deleted_agent_is_named_if_it_is_known(call_method: CallMethod, spans: LoggedSpans) -> None:
    learn_agent_name("ag_1", "baker")
    call_method(lambda _: answer(None, 204), "beta.agents.delete", agent_id="ag_1")
    call = logged(spans)
    assert (call.name, call.input, call.output) == ("mistral.beta.agents.delete", {"agent_id": "ag_1"}, None)
    assert call.metadata == {"provider": "mistral", "agent_id": "ag_1", "agent_name": "baker"}


def test_only_so_many_names_are_known() -> None:
    for number in range(1_100):
        learn_agent_name(f"ag_{number}", f"baker {number}")
    assert len(agent_names) == 1_024
    assert (agent_name_of("ag_0"), agent_name_of("ag_1099")) == (None, "baker 1099")


@pytest.mark.parametrize("value", [None, 7, "", [], {}])
def test_what_is_no_name_is_not_learned(value: Any) -> None:
    learn_agent_name("ag_1", value)
    learn_agent_name(value, "baker")
    assert len(agent_names) == 0 or value == ""
    assert agent_name_of("ag_1") is None


HANDOFF: Json = {
    "object": "entry",
    "type": "agent.handoff",
    "id": "ho_1",
    "created_at": AT,
    "completed_at": AT,
    "previous_agent_id": "ag_1",
    "previous_agent_name": "baker",
    "next_agent_id": "ag_2",
    "next_agent_name": "miller",
}


def conversation(*outputs: Json) -> Any:
    response = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": outputs, "usage": USAGE}
    return answer(response)


def test_a_handoff_tells_the_names_of_all_that_have_their_ids(spans: LoggedSpans, make_client: MakeClient) -> None:
    said = {**says("Rye."), "agent_id": "ag_2"}
    asked = {**calls("grind", {"flour": "rye"}), "agent_id": "ag_2"}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Rye."}, "finish_reason": "stop"}
    completion = {"id": "cmpl_1", "object": "chat.completion", "model": "m", "created": 0, "choices": [choice]}

    def handle(request: Any) -> Any:
        is_completion = request.url.path.startswith("/v1/agents")
        return answer({**completion, "usage": USAGE}) if is_completion else conversation(HANDOFF, asked, said)

    client = make_client(handle)
    conversations = wrap_mistral(client, llm_spans=True).beta.conversations
    conversations.start(agent_id="ag_1", inputs="Which flour?")
    rows = spans.pop()
    named = {row["span_attributes"]["name"]: row["metadata"].get("agent_name") for row in rows}
    expected = {
        "mistral.beta.conversations.start": "baker",
        "chat": "baker",
        "handoff: miller": None,
        "chat mistral-small-latest": "miller",
    }
    if keeps("ToolExecutionEntry", "agent_id"):
        expected["tool: grind"] = "miller"
    assert {name: named[name] for name in expected} == expected
    # And from then on.
    conversations.append(conversation_id="conv_1", inputs="Thanks.")
    client.agents.complete(agent_id="ag_2", messages=[{"role": "user", "content": "Which flour?"}])
    *_, last = spans.pop()
    assert (last["metadata"]["agent_id"], last["metadata"]["agent_name"]) == ("ag_2", "miller")


def test_a_handoff_without_names_has_those_that_are_known(spans: LoggedSpans, make_client: MakeClient) -> None:
    learn_agent_name("ag_1", "baker")
    learn_agent_name("ag_2", "miller")
    nameless = {name: value for name, value in HANDOFF.items() if not name.endswith("_name")}
    entry = {**nameless, "previous_agent_name": "", "next_agent_name": ""}
    make_client(lambda _: conversation(entry)).beta.conversations.start(agent_id="ag_1", inputs="Which flour?")
    row = spans.pop()[-1]
    assert row["span_attributes"]["name"] == "handoff: miller"
    assert row["input"] == {"agent_id": "ag_1", "agent_name": "baker"}
    assert row["output"] == {"agent_id": "ag_2", "agent_name": "miller"}


def test_a_stream_is_named_by_what_came_before(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(lambda request: answer_stream(streamed([says("Rye.")])) if request.content else answer(AGENT))
    client.beta.agents.get(agent_id="ag_1")
    with client.beta.conversations.start_stream(agent_id="ag_1", inputs="Which flour?") as stream:
        list(stream)
    assert [row["metadata"]["agent_name"] for row in spans.pop()] == ["baker", "baker"]


def test_a_lookup_teaches_the_names_in_the_history(spans: LoggedSpans, make_client: MakeClient) -> None:
    history = {"object": "conversation.history", "conversation_id": "conv_1", "entries": [HANDOFF]}
    make_client(lambda _: answer(history)).beta.conversations.get_history(conversation_id="conv_1")
    assert (agent_name_of("ag_1"), agent_name_of("ag_2")) == ("baker", "miller")
    assert spans.pop()
