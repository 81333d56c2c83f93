"""LlamaIndex: one span of ours for each request, below one of its own; the tokens stand on ours."""

from typing import Any

import pytest
from braintrust.integrations.mistral import wrap_mistral
from llama_index.core.llms import ChatMessage
from llama_index.llms.mistralai import MistralAI

from braintrust_mistral.local import LocalMistral
from frameworks.trace import Trace, name_of, origin_of, reported, tokens_of


QUESTION = [ChatMessage(role="user", content="Where is it?")]


def model_of(client: Any) -> MistralAI:
    # It takes models that it knows alone, and makes its client itself.
    model = MistralAI(model="mistral-small-latest", api_key="local")
    model._client = client
    return model


async def complete(model: MistralAI) -> None:
    model.complete("Where is it?")


async def chat(model: MistralAI) -> None:
    model.chat(QUESTION)


async def chat_async(model: MistralAI) -> None:
    await model.achat(QUESTION)


async def stream(model: MistralAI) -> None:
    assert list(model.stream_chat(QUESTION))


async def stream_async(model: MistralAI) -> None:
    assert [part async for part in await model.astream_chat(QUESTION)]


@pytest.mark.parametrize("wrap", [lambda client: client, wrap_mistral])
@pytest.mark.parametrize("go", [complete, chat, chat_async, stream, stream_async])
async def test_a_request_is_one_span_below_its_own(
    go: Any, wrap: Any, client: Any, mistral: LocalMistral, trace: Trace
) -> None:
    await go(model_of(wrap(client)))
    (call,) = trace.calls()
    assert origin_of(trace.parent_of(call)) == "llamaindex-auto"
    assert trace.tokens() == tokens_of(call) == reported(mistral)


def test_a_reader_that_fails_in_mid_stream_ends_the_span(client: Any, trace: Trace) -> None:
    def read() -> None:
        for part in model_of(client).stream_chat(QUESTION):
            assert "Lisbon" not in part.delta

    with pytest.raises(AssertionError):
        read()
    (call,) = trace.calls()
    assert name_of(call) == "mistral.chat.stream"
    assert call["output"][0]["message"]["content"] == "Lisbon"
    assert "error" not in call
    assert not +trace.tokens()
