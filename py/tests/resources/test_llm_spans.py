import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from braintrust.integrations.mistral.operations import Child, Outcome, Request
from braintrust.integrations.mistral.patchers import wrap_mistral
from braintrust.integrations.mistral.payloads import without_none
from braintrust.integrations.mistral.resources.model_calls import with_llm_spans
from braintrust.integrations.mistral.tracing.calls import LLM_SPANS

from braintrust_mistral.local import LocalMistral
from tests.conftest import LoggedSpans, Mistral, consume
from tests.helpers.spans import outline
from tests.helpers.wire import Json


MESSAGE: Json = {"type": "message.output", "role": "assistant", "content": "Rye.", "model": "small", "id": "m1"}
SEARCH: Json = {
    "type": "tool.execution",
    "id": "t1",
    "name": "web_search",
    "arguments": '{"query": "flour"}',
    "info": {"result": "rye"},
}
CALL: Json = {"type": "function.call", "id": "f1", "tool_call_id": "c1", "name": "bake", "arguments": {"loaves": 2}}
HANDOFF: Json = {"type": "agent.handoff", "id": "h1", "next_agent_id": "ag2", "next_agent_name": "baker"}


def model_calls(outputs: list[Json], request: Request | None = None, **outcome: Any) -> list[Child]:
    """Return the children that these outputs have where nothing else makes any."""
    read = with_llm_spans(lambda response, request: Outcome(outputs, **outcome))
    return list(read(None, request or Request("Bread?")).children)


def tool_call(call_id: str, name: str, arguments: str) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# Chat messages


@pytest.mark.parametrize(
    ("request_", "messages"),
    [
        (Request("Bread?"), [{"role": "user", "content": "Bread?"}]),
        (
            Request("Bread?", {"instructions": "Be brief."}),
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Bread?"}],
        ),
        (Request([{"role": "user", "content": "Bread?"}]), [{"role": "user", "content": "Bread?"}]),
        (
            Request([{"type": "function.result", "tool_call_id": "c1", "result": "2 loaves"}]),
            [{"role": "tool", "tool_call_id": "c1", "content": "2 loaves"}],
        ),
        (Request(None, {"instructions": ""}), []),
    ],
)
def test_a_request_as_chat_messages(request_: Request, messages: list[Json]) -> None:
    assert chat_messages(request_) == messages


@pytest.mark.parametrize(
    ("entry", "messages"),
    [
        (MESSAGE, [{"role": "assistant", "content": "Rye."}]),
        (
            SEARCH,
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [tool_call("t1", "web_search", '{"query": "flour"}')],
                },
                {"role": "tool", "tool_call_id": "t1", "content": "rye"},
            ],
        ),
        (CALL, [{"role": "assistant", "content": None, "tool_calls": [tool_call("c1", "bake", '{"loaves": 2}')]}]),
        (
            HANDOFF,
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [tool_call("h1", "handoff", '{"agent_id": "ag2", "agent_name": "baker"}')],
                },
                {"role": "tool", "tool_call_id": "h1", "content": "baker"},
            ],
        ),
        ({"type": "memory.recall", "content": "rye"}, [{"role": "user", "content": "rye"}]),
        (
            {"content": [{"type": "text", "text": "This?"}, {"type": "image_url", "image_url": "https://a.b/c.png"}]},
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "This?"},
                        {"type": "image_url", "image_url": {"url": "https://a.b/c.png"}},
                    ],
                }
            ],
        ),
    ],
)
def test_an_entry_as_chat_messages(entry: Json, messages: list[Json]) -> None:
    assert entry_messages([entry]) == messages


# Model calls


def test_a_model_call_saw_the_request_and_the_entries_before_it_and_wrote_the_message() -> None:
    request = Request("Bread?", {"completion_args": {"temperature": 0.2}, "tools": [{"type": "web_search"}]})
    first, second = model_calls([MESSAGE, SEARCH, {**MESSAGE, "content": "Spelt.", "agent_id": "ag1"}], request)
    assert (first.name, first.span_type, first.input) == ("message: small", "llm", chat_messages(request))
    assert first.output == [{"index": 0, "message": {"role": "assistant", "content": "Rye."}}]
    assert second.input == [*chat_messages(request), *entry_messages([MESSAGE, SEARCH])]
    assert second.metadata == {
        "provider": "mistral",
        "model": "small",
        "agent_id": "ag1",
        "tools": [{"type": "web_search"}],
        "temperature": 0.2,
    }


def test_the_function_calls_after_a_message_are_of_the_same_model_call() -> None:
    (call,) = model_calls([MESSAGE, CALL, {**CALL, "tool_call_id": "c2"}])
    assert call.output == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Rye.",
                "tool_calls": [tool_call("c1", "bake", '{"loaves": 2}'), tool_call("c2", "bake", '{"loaves": 2}')],
            },
        }
    ]


@pytest.mark.parametrize(
    ("outputs", "is_only_call"),
    [
        ([MESSAGE], True),
        ([MESSAGE, CALL], True),
        ([SEARCH, MESSAGE], False),
        ([HANDOFF, MESSAGE], False),
        ([MESSAGE, MESSAGE], False),
    ],
)
def test_only_the_only_model_call_has_the_tokens(outputs: list[Json], is_only_call: bool) -> None:
    expected = {"tokens": 9} if is_only_call else {}
    assert all(call.metrics == expected for call in model_calls(outputs, metrics={"tokens": 9}))


def test_a_model_without_a_name_and_outputs_that_are_no_entries() -> None:
    (call,) = model_calls([{"type": "message.output"}, None, 3])  # type: ignore[list-item]
    assert (call.name, call.metadata) == ("message", {"provider": "mistral"})
    assert model_calls("no entries") == []  # type: ignore[arg-type]


# The whole tree


@pytest.fixture(scope="module")
def service() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0) as mistral:
        yield mistral


WHOLE_TREES = {
    "plain": ["start", "  message: plain"],
    "web-search": ["start", "  tool: web_search", "  message: web-search"],
    "handoff": [
        "start",
        "  tool: web_search",
        "  handoff: analyst",
        "  tool: code_interpreter",
        "  message: mistral-large-latest",
    ],
    "function-call": ["start", "  tool: get_exchange_rate"],
}


def converse(client: Mistral, scenario: str, streamed: bool) -> None:
    conversations: Any = client.beta.conversations
    if streamed:
        consume(conversations.start_stream(model=scenario, inputs="Hello"))
    else:
        conversations.start(model=scenario, inputs="Hello")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("scenario", WHOLE_TREES)
def test_the_tree_reads_model_tool_model_as_it_happened_where_that_is_wanted(
    scenario: str, streamed: bool, service: LocalMistral, spans: LoggedSpans
) -> None:
    tree = WHOLE_TREES[scenario]
    for wanted in (True, False):
        with Mistral(api_key="key", server_url=service.url) as client:
            converse(wrap_mistral(client, llm_spans=wanted), scenario, streamed)
        assert outline(spans.pop()) == (tree if wanted else [line for line in tree if "message: " not in line])


def test_the_only_model_call_of_a_stream_has_its_tokens_and_its_first_output(
    service: LocalMistral, spans: LoggedSpans
) -> None:
    with Mistral(api_key="key", server_url=service.url) as client:
        converse(wrap_mistral(client, llm_spans=True), "plain", streamed=True)
    call, (child,) = spans.pop_tree()
    names = ("prompt_tokens", "completion_tokens", "tokens", "time_to_first_token")
    assert {name: child["metrics"][name] for name in names} == {name: call["metrics"][name] for name in names}


@pytest.mark.parametrize(
    ("environment", "argument", "shown"),
    [
        ("true", None, True),
        ("1", None, True),
        ("false", None, False),
        ("", None, False),
        (None, None, False),
        ("true", False, False),
        ("false", True, True),
    ],
)
def test_the_environment_decides_for_clients_for_which_nothing_was_said(
    environment: str | None,
    argument: bool | None,
    shown: bool,
    service: LocalMistral,
    spans: LoggedSpans,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(LLM_SPANS, raising=False)
    if environment is not None:
        monkeypatch.setenv(LLM_SPANS, environment)
    with Mistral(api_key="key", server_url=service.url) as client:
        converse(wrap_mistral(client, **without_none({"llm_spans": argument})), "plain", streamed=False)  # type: ignore[arg-type]
    assert outline(spans.pop()) == ["start", *(["  message: plain"] if shown else [])]


@pytest.mark.parametrize("wanted", [True, False])
def test_the_requests_of_a_run_show_their_model_calls_as_well(
    wanted: bool, service: LocalMistral, spans: LoggedSpans
) -> None:
    context_module = pytest.importorskip("mistralai.extra.run.context", reason="the extra 'agents' is not installed")

    async def run() -> None:
        async with context_module.RunContext(model="function-call") as context:

            @context.register_func
            def get_exchange_rate(base: str, quote: str, date: str) -> str:
                """Look up an exchange rate.

                Args:
                    base: the one currency
                    quote: the other currency
                    date: of which day
                """
                return f"{base}{quote}{date}"

            client = wrap_mistral(Mistral(api_key="key", server_url=service.url), llm_spans=wanted)
            async with client:
                await client.beta.conversations.run_async(run_ctx=context, inputs="How much?")

    asyncio.run(run())
    messages = ["    message: function-call"] if wanted else []
    assert outline(spans.pop()) == ["run", "  start", "  tool: get_exchange_rate", "  append", *messages]
