"""agno: its `Mistral.response…` counts the tokens of its calls, and ours below it do not count them again."""

from typing import Any

import pytest
from agno.agent import Agent
from agno.models.mistral import MistralChat

from braintrust_mistral.local import LocalMistral
from frameworks.trace import Trace, name_of, reported, tokens_of, usage_of


def agent_of(client: Any, then: Any = None) -> Agent:
    def get_exchange_rate(base: str, quote: str, date: str = "") -> str:
        """Return an exchange rate."""
        if then is not None:
            then()
        return f"{base}/{quote} 11.2 {date}"

    model = MistralChat(id="function-call", mistral_client=client)
    return Agent(model=model, tools=[get_exchange_rate], telemetry=False)


async def stream(agent: Agent) -> None:
    assert list(agent.run("What is the rate?", stream=True))


async def stream_async(agent: Agent) -> None:
    assert [event async for event in agent.arun("What is the rate?", stream=True)]


async def run(agent: Agent) -> None:
    agent.run("What is the rate?")


async def run_async(agent: Agent) -> None:
    await agent.arun("What is the rate?")


@pytest.mark.parametrize("go", [stream, stream_async])
async def test_tokens_of_a_streamed_tool_loop_count_once(
    go: Any, client: Any, mistral: LocalMistral, trace: Trace
) -> None:
    await go(agent_of(client))
    assert len(trace.calls()) == 2
    assert trace.tokens() == usage_of(*trace.calls()) == reported(mistral)


@pytest.mark.parametrize("go", [run, run_async])
async def test_ours_adds_nothing_to_what_agnos_integration_doubles(
    go: Any, client: Any, mistral: LocalMistral, trace: Trace
) -> None:
    await go(agent_of(client))
    first, last = trace.calls()
    assert usage_of(first, last) == reported(mistral)
    # Its span of the loop counts the last request, and its span of the agent both of them. Where this fails, its
    # integration has mended that: then the test above holds for these as well.
    response = trace.parent_of(last)
    assert tokens_of(response) == usage_of(last)
    assert tokens_of(trace.parent_of(response)) == reported(mistral)
    assert trace.tokens() == reported(mistral) + usage_of(last)


async def test_a_call_of_ones_own_inside_a_tool_counts(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    def guard() -> None:
        client.chat.complete(model="plain", messages=[{"role": "user", "content": "Is that a fair question?"}])

    await stream(agent_of(client, guard))
    first, own, last = trace.calls()
    assert name_of(trace.parent_of(own)) == "get_exchange_rate.execute"
    assert tokens_of(own)["tokens"]
    assert tokens_of(own) + usage_of(first, last) == reported(mistral) == trace.tokens()
