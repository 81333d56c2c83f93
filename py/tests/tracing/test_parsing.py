"""What `chat.parse` raises over an answer is an error on the span of the call that brought it."""

import asyncio
import json
from typing import Any

import pydantic
import pytest
from braintrust.integrations.mistral import wrap_mistral

from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.helpers.spans import logged_calls
from tests.helpers.wire import USAGE, Json, answer, answer_stream


try:
    from mistralai.client.errors import MistralError
except ImportError:  # 1.x
    from mistralai.models import MistralError


class Loaf(pydantic.BaseModel):
    """What the model is to answer with."""

    flour: str
    grams: int


ASKED: Json = {
    "model": "mistral-small-2603",
    "messages": [{"role": "user", "content": "Which loaf?"}],
    "response_format": Loaf,
}
RYE = json.dumps({"flour": "rye", "grams": 500})
UNFIT = {"no JSON": "Rye, 500 g.", "another model": json.dumps({"flour": "rye", "grams": "many"})}


def completion(content: str) -> Any:
    """Return the response with this answer."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    chat = {"id": "cmpl1", "object": "chat.completion", "created": 0, "model": "mistral-small-2603"}
    return answer({**chat, "choices": [choice], "usage": USAGE})


@pytest.mark.parametrize("content", UNFIT.values(), ids=UNFIT)
def test_an_answer_that_cannot_be_parsed_is_an_error_on_its_call(
    content: str, call_method: CallMethod, spans: LoggedSpans
) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call_method(lambda request: completion(content), "chat.parse", **ASKED)
    row = spans.pop_ended()[0]
    assert row["span_attributes"]["name"] == "mistral.chat.complete"
    assert type(raised.value).__name__ in row["error"]
    assert row["output"][0]["message"]["content"] == content
    assert row["metrics"]["tokens"] == USAGE["total_tokens"]


def test_an_answer_that_can_be_parsed_is_no_error(call_method: CallMethod, spans: LoggedSpans) -> None:
    parsed = call_method(lambda request: completion(RYE), "chat.parse", **ASKED)
    assert parsed.choices[0].message.parsed == Loaf(flour="rye", grams=500)
    (call,) = logged_calls(spans.pop())
    assert (call.error, call.output[0]["message"]["content"]) == (None, RYE)


def test_an_error_of_the_api_is_logged_once(call_method: CallMethod, spans: LoggedSpans) -> None:
    with pytest.raises(MistralError):
        call_method(lambda request: answer({"message": "The oven is cold"}, 400), "chat.parse", **ASKED)
    # The span's beginning and its end.
    assert spans.records == 2
    assert "The oven is cold" in spans.pop_one()["error"]


def test_what_fails_before_the_call_is_on_no_span(call_method: CallMethod, spans: LoggedSpans) -> None:
    with pytest.raises(Exception, match="response_format"):
        call_method(lambda request: completion(RYE), "chat.parse", messages=[])
    assert spans.pop() == []


def test_the_error_is_not_on_a_call_that_the_validation_made(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(lambda request: completion(RYE))

    class Judged(Loaf):
        @pydantic.field_validator("flour")
        @classmethod
        def judge(cls, flour: str) -> str:
            client.chat.complete(model="judge", messages=[{"role": "user", "content": flour}])
            raise ValueError("no such flour")

    async def parse_async() -> None:
        await client.chat.parse_async(**{**ASKED, "response_format": Judged})

    for parse in (
        lambda: client.chat.parse(**{**ASKED, "response_format": Judged}),
        lambda: asyncio.run(parse_async()),
    ):
        with pytest.raises(ValueError, match="no such flour"):
            parse()
        asked, judged = logged_calls(spans.pop())
        assert asked.error
        assert (judged.metadata["requested_model"], judged.error) == ("judge", None)


def test_a_streamed_answer_is_left_to_its_reader(call_method: CallMethod, spans: LoggedSpans) -> None:
    choice = {"index": 0, "delta": {"content": "Rye."}, "finish_reason": "stop"}
    chunk = {"id": "cmpl1", "object": "chat.completion.chunk", "model": "mistral-small-2603", "choices": [choice]}
    stream = call_method(lambda request: answer_stream([chunk]), "chat.parse_stream", **ASKED)
    del stream
    (call,) = logged_calls(spans.pop_ended())
    assert (call.name, call.error) == ("mistral.chat.stream", None)


@pytest.mark.usefixtures("no_logger")
def test_without_a_logger_the_caller_sees_the_error_all_the_same(call_method: CallMethod) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        call_method(lambda request: completion(UNFIT["no JSON"]), "chat.parse", **ASKED)


@pytest.mark.usefixtures("uninstrumented")
def test_a_wrapped_client_shows_it_once(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = wrap_mistral(wrap_mistral(make_client(lambda request: completion(UNFIT["no JSON"]))))
    with pytest.raises(ValueError):  # noqa: PT011
        client.chat.parse(**ASKED)
    # The span's beginning, its end, and the error.
    assert spans.records == 3
    assert "JSONDecodeError" in spans.pop_one()["error"]
