"""Instructor: one span of ours for each request, below one of its own; the tokens stand on ours."""

import asyncio
from typing import Any

import instructor
import pytest
from braintrust.integrations.mistral import wrap_mistral
from instructor import Mode
from pydantic import BaseModel

from braintrust_mistral.local import LocalMistral
from frameworks.trace import Trace, name_of, origin_of, reported, tokens_of


class Rate(BaseModel):
    base: str
    quote: str


class Answer(BaseModel):
    answer: str


QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "What is the rate?"}], "max_retries": 0}


async def tools(client: Any) -> None:
    rate = instructor.from_mistral(client, mode=Mode.TOOLS).create(Rate, model="function-call", **QUESTION)
    assert (rate.base, rate.quote) == ("EUR", "SEK")


async def json_schema(client: Any) -> None:
    assert instructor.from_mistral(client, mode=Mode.JSON_SCHEMA).create(Answer, model="json", **QUESTION).answer


async def tools_async(client: Any) -> None:
    model = instructor.from_mistral(client, mode=Mode.TOOLS, use_async=True)
    rate = await model.create(Rate, model="function-call", **QUESTION)
    assert (rate.base, rate.quote) == ("EUR", "SEK")


async def partial(client: Any) -> None:
    *_, rate = instructor.from_mistral(client).create_partial(Rate, model="function-call", **QUESTION)
    assert (rate.base, rate.quote) == ("EUR", "SEK")


@pytest.mark.parametrize("wrap", [lambda client: client, wrap_mistral])
@pytest.mark.parametrize("go", [tools, json_schema, tools_async, partial])
async def test_a_request_is_one_span_below_its_own(
    go: Any, wrap: Any, client: Any, mistral: LocalMistral, trace: Trace
) -> None:
    await go(wrap(client))
    (call,) = trace.calls()
    assert origin_of(trace.parent_of(call)) == "instructor-auto"
    assert trace.tokens() == tokens_of(call) == reported(mistral)


def test_each_retry_is_a_span_below_its_own(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    question = {**QUESTION, "max_retries": 1}
    with pytest.raises(Exception, match="tool call"):
        instructor.from_mistral(client).create(Rate, model="plain", **question)
    first, second = trace.calls()
    assert trace.parent_of(first) == trace.parent_of(second)
    assert trace.tokens() == tokens_of(first, second) == reported(mistral)


def test_a_reader_that_fails_in_mid_stream_ends_the_span(client: Any, trace: Trace) -> None:
    async def read() -> None:
        # Synchronous, it reads the whole stream before it gives its first part.
        model = instructor.from_mistral(client, mode=Mode.JSON_SCHEMA, use_async=True)
        async for part in model.create_partial(Answer, model="json", **QUESTION):
            assert not part.answer

    with pytest.raises(AssertionError):
        asyncio.run(read())
    (call,) = trace.calls()
    assert name_of(call) == "mistral.chat.stream"
    (choice,) = call["output"]
    assert choice["message"]["content"]
    assert "finish_reason" not in choice
    assert "error" not in call
    assert not +trace.tokens()
