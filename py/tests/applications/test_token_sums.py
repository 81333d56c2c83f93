"""Each token once: what the API reported, and no more, is the sum over the spans of any trace, in every mode."""

import asyncio
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from braintrust.integrations.mistral.patchers import wrap_mistral
from hypothesis import HealthCheck, given, settings

from tests.conftest import LoggedSpans
from tests.helpers.runs import context_of, import_runs
from tests.helpers.wire import AT, Json, answer, answer_stream, calls, client_of, says, streamed


USAGES = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9), "total_tokens": st.integers(0, 30)},
    optional={"connector_tokens": st.integers(1, 9)},
)
NAMES = {
    "tokens": "total_tokens",
    **{name: name for name in ("prompt_tokens", "completion_tokens", "connector_tokens")},
}
"""The metrics, and what a usage calls them."""

MESSAGE = says("It rests.")
SEARCH: Json = {
    "object": "entry",
    "type": "tool.execution",
    "id": "t1",
    "name": "web_search",
    "arguments": "{}",
    "created_at": AT,
}
HANDOFF: Json = {
    "object": "entry",
    "type": "agent.handoff",
    "id": "h1",
    "created_at": AT,
    "next_agent_id": "ag2",
    "previous_agent_id": "ag1",
    "previous_agent_name": "miller",
    "next_agent_name": "baker",
}
STEPS = st.sampled_from([MESSAGE, SEARCH, calls("knead", {"minutes": 8}), calls("bake", {}, "call_2"), HANDOFF])

quickly = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sums(rows: list[Json]) -> Json:
    return {name: sum(row["metrics"].get(name, 0) for row in rows) for name in NAMES}


def reported(usages: list[Json]) -> Json:
    return {name: sum(usage.get(wire, 0) for usage in usages) for name, wire in NAMES.items()}


def of_type(kind: str, rows: list[Json]) -> list[Json]:
    return [row for row in rows if row["span_attributes"]["type"] == kind]


def answer_with(turns: list[tuple[list[Json], Json]], stream: Callable[[list[Json]], list[Json]]) -> Any:
    """Return a client whose nth request is answered by the nth outputs with the nth usage."""
    rest = iter(turns)

    def handle(request: Any) -> Any:
        outputs, usage = next(rest)
        if b'"stream":true' in request.content:
            *events, done = stream(outputs)
            return answer_stream([*events, {**done, "usage": usage}])
        body = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": outputs}
        return answer({**body, "usage": usage})

    return client_of(handle)


@quickly
@given(turns=st.lists(st.tuples(st.lists(STEPS, max_size=6), USAGES), min_size=1, max_size=3), wanted=st.booleans())
def test_conversations(turns: list[tuple[list[Json], Json]], wanted: bool, spans: LoggedSpans) -> None:
    conversations: Any = wrap_mistral(answer_with(turns, streamed), llm_spans=wanted).beta.conversations
    conversations.start(inputs="Bread?", model="small")
    for _ in turns[1:]:
        conversations.append(conversation_id="conv_1", inputs="And?")
    rows = spans.pop()
    assert sums(rows) == reported([usage for _, usage in turns])
    if wanted:
        # What has no model call keeps its tokens.
        assert sums(of_type("llm", rows)) == reported([usage for outputs, usage in turns if outputs])


@quickly
@given(
    called=st.lists(st.tuples(st.integers(1, 3), USAGES), max_size=3),
    last=USAGES,
    wanted=st.booleans(),
    is_streamed=st.booleans(),
)
def test_runs(called: list[tuple[int, Json]], last: Json, wanted: bool, is_streamed: bool, spans: LoggedSpans) -> None:
    import_runs()

    def knead(minutes: int) -> str:
        return f"{minutes} minutes"

    turns = [
        *(([calls("knead", {"minutes": 8}, f"call_{n}") for n in range(count)], usage) for count, usage in called),
        ([MESSAGE], last),
    ]
    conversations = wrap_mistral(answer_with(turns, streamed), llm_spans=wanted).beta.conversations

    async def run() -> None:
        arguments: Json = {"run_ctx": context_of(knead), "inputs": "Bread?"}
        if is_streamed:
            async for _ in await conversations.run_stream_async(**arguments):
                pass
        else:
            await conversations.run_async(**arguments)

    asyncio.run(run())
    rows = spans.pop()
    total = reported([usage for _, usage in turns])
    assert sums(rows) == total
    (root,) = [row for row in rows if not row["span_parents"]]
    assert not root["metrics"].keys() & NAMES.keys()
    assert root["metadata"]["request_count"] == len(turns)
    assert {name: root["metadata"]["usage"].get(name, 0) for name in NAMES} == total
    if wanted:
        assert sums(of_type("llm", rows)) == total


ASKED: Any = [{"role": "user", "content": "Bread?"}]
CHATS: dict[str, Callable[[Any], Any]] = {
    "chat.complete": lambda client: client.chat.complete(model="small", messages=ASKED),
    "chat.stream": lambda client: list(client.chat.stream(model="small", messages=ASKED)),
    "agents.complete": lambda client: client.agents.complete(agent_id="a", messages=ASKED),
    "fim.complete": lambda client: client.fim.complete(model="code", prompt="def"),
}


@pytest.mark.parametrize("method", CHATS)
@quickly
@given(usage=USAGES, tools=st.integers(0, 3), wanted=st.booleans())
def test_chats(method: str, usage: Json, tools: int, wanted: bool, spans: LoggedSpans) -> None:
    def handle(request: Any) -> Any:
        function = {"name": "knead", "arguments": "{}"}
        message = {
            "role": "assistant",
            "content": "Rye.",
            "tool_calls": [{"id": f"call_{n}", "index": n, "function": function} for n in range(tools)] or None,
        }
        body = {"id": "1", "object": "chat.completion", "model": "small", "created": 0, "usage": usage}
        if b'"stream":true' in request.content:
            return answer_stream([{**body, "choices": [{"index": 0, "delta": message, "finish_reason": "stop"}]}])
        return answer({**body, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    CHATS[method](wrap_mistral(client_of(handle), llm_spans=wanted))
    rows = spans.pop()
    assert sums(rows) == sums(of_type("llm", rows)) == reported([usage])
    assert len(of_type("tool", rows)) == tools
