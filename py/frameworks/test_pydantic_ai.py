"""Pydantic AI: its `chat <model>` counts the tokens of the call, and ours below it does not count them again."""

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, direct
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.instrumented import InstrumentedModel
from pydantic_ai.models.mistral import MistralModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.mistral import MistralProvider

from braintrust_mistral.local import LocalMistral
from frameworks.trace import Trace, name_of, reported, tokens_of, usage_of
from tests.helpers.wire import USAGE, answer, answer_stream, client_of


IS_2 = version("pydantic-ai-slim").startswith("2.")
USER = {"role": "user", "content": "Is that a fair question?"}
MODELS = (MistralModel, FallbackModel, InstrumentedModel, WrapperModel)


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    """Leave the classes of models as they were: its integration patches each of them when it is first asked."""
    before = {model: dict(vars(model)) for model in MODELS}
    yield
    for model, attributes in before.items():
        for name in vars(model).keys() - attributes.keys():
            delattr(model, name)
        for name, value in attributes.items():
            if vars(model)[name] is not value:
                setattr(model, name, value)


@pytest.fixture
async def asked_before(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    """Ask the Mistral model on its own, so that a span of its stands below those of the models around it."""
    await run(agent_of(model_of(client, "plain")))
    assert trace.named("chat plain")
    mistral.requests.clear()
    trace.clear()


def model_of(client: Any, name: str) -> MistralModel:
    return MistralModel(name, provider=MistralProvider(mistral_client=client))


def agent_of(model: Model) -> Agent:
    agent = Agent(model)

    @agent.tool_plain
    async def get_exchange_rate(base: str, quote: str, date: str = "") -> str:
        return f"{base}/{quote} 11.2 {date}"

    return agent


async def run(agent: Agent) -> None:
    await agent.run("What is the rate?")


async def run_stream(agent: Agent) -> None:
    async with agent.run_stream("What is the rate?") as result:
        assert await result.get_output()


async def iterate(agent: Agent) -> None:
    async with agent.iter("What is the rate?") as nodes:
        assert [node async for node in nodes]


@pytest.mark.parametrize("go", [run, run_stream, iterate])
async def test_tokens_of_an_agent_count_once(go: Any, client: Any, mistral: LocalMistral, trace: Trace) -> None:
    await go(agent_of(model_of(client, "function-call")))
    assert len(trace.calls()) == 2
    assert trace.tokens() == usage_of(*trace.calls()) == reported(mistral)


async def test_tokens_of_a_direct_request_count_once(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    await direct.model_request(model_of(client, "plain"), [ModelRequest.user_text_prompt("Where is it?")])
    async with direct.model_request_stream(
        model_of(client, "plain"), [ModelRequest.user_text_prompt("Where is it?")]
    ) as events:
        assert [event async for event in events]
    assert [name_of(call) for call in trace.calls()] == ["mistral.chat.complete", "mistral.chat.stream"]
    assert trace.tokens() == usage_of(*trace.calls()) == reported(mistral)


async def test_tokens_of_structured_output_count_once(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    class Answer(BaseModel):
        answer: str

    with pytest.raises(Exception, match="retries"):
        await Agent(model_of(client, "plain"), output_type=Answer).run("Where is it?")
    assert len(trace.calls()) == 2
    assert trace.tokens() == usage_of(*trace.calls()) == reported(mistral)


async def test_ours_counts_below_a_fallback_which_has_no_price(
    client: Any, mistral: LocalMistral, trace: Trace
) -> None:
    await run(agent_of(FallbackModel(model_of(client, "http-503"), model_of(client, "function-call"))))
    assert tokens_of(*trace.calls()) == reported(mistral)
    # Its integration counts what it asks of its models, too.
    doubled = tokens_of(*trace.named("chat fallback:http-503,function-call"))
    assert doubled == reported(mistral)
    assert trace.tokens() == reported(mistral) + doubled


@pytest.mark.usefixtures("asked_before")
async def test_ours_adds_nothing_where_a_model_counts_below_a_fallback(
    client: Any, mistral: LocalMistral, trace: Trace
) -> None:
    await run(agent_of(FallbackModel(model_of(client, "http-503"), model_of(client, "function-call"))))
    assert usage_of(*trace.calls()[1::2]) == reported(mistral)
    assert tokens_of(*trace.named("chat function-call")) == reported(mistral)


async def test_tokens_below_an_instrumented_model_count_once(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    await run(agent_of(InstrumentedModel(model_of(client, "function-call"))))
    assert len(trace.calls()) == 2
    # From 2.x on, an agent takes the model out of it, which its integration does not see.
    assert tokens_of(*trace.named("chat function-call")) == (Counter() if IS_2 else reported(mistral))
    assert trace.tokens() == reported(mistral)


@pytest.mark.usefixtures("asked_before")
async def test_ours_adds_nothing_where_a_model_counts_below_an_instrumented_one(
    client: Any, mistral: LocalMistral, trace: Trace
) -> None:
    await run(agent_of(InstrumentedModel(model_of(client, "function-call"))))
    assert usage_of(*trace.calls()) == reported(mistral)
    assert tokens_of(*(trace.parent_of(call) for call in trace.calls())) == reported(mistral)


async def test_a_call_of_ones_own_inside_a_tool_counts(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    agent = Agent(model_of(client, "function-call"))

    @agent.tool_plain
    async def get_exchange_rate(base: str, quote: str, date: str = "") -> str:
        await client.chat.complete_async(model="function-call", messages=[USER])
        return f"{base}/{quote} 11.2 {date}"

    await agent.run("What is the rate?")
    first, own, last = trace.calls()
    assert name_of(trace.parent_of(own)) == "get_exchange_rate"
    assert tokens_of(own)["tokens"]
    assert tokens_of(own) + usage_of(first, last) == reported(mistral) == trace.tokens()


async def test_a_guard_in_front_of_a_model_counts(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    class Guarded(WrapperModel):
        async def request(self, *arguments: Any, **settings: Any) -> Any:
            await client.chat.complete_async(model="citations", messages=[USER])
            return await super().request(*arguments, **settings)

    await Agent(Guarded(model_of(client, "plain"))).run("Where is it?")
    guard, asked = trace.calls()
    assert tokens_of(guard)["tokens"]
    assert tokens_of(guard) + usage_of(asked) == reported(mistral) == trace.tokens()


CHOICELESS = {"id": "1", "model": "plain", "created": 0, "choices": [], "usage": USAGE}


@pytest.mark.parametrize("go", [run, run_stream])
async def test_an_answer_without_choices_counts_once(go: Any, trace: Trace) -> None:
    def reply(request: Any) -> Any:
        if b'"stream":true' in request.content.replace(b" ", b""):
            return answer_stream([{**CHOICELESS, "object": "chat.completion.chunk"}])
        return answer({**CHOICELESS, "object": "chat.completion"})

    with pytest.raises(Exception, match=r"."):
        await go(agent_of(model_of(client_of(reply), "plain")))
    # Of a stream, Pydantic AI counts every chunk and asks again; what is whole it refuses.
    requests = len(trace.calls())
    assert trace.tokens() == {"prompt_tokens": 5 * requests, "completion_tokens": 3 * requests, "tokens": 8 * requests}
