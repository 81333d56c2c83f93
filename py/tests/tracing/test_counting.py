"""Whose span counts, without a framework: a current span with its name and its origin."""

from typing import Any

import braintrust
import pytest

from tests.conftest import LoggedSpans
from tests.helpers.wire import USAGE, answer, client_of


def complete(choices: list[Any]) -> None:
    body = {"id": "1", "object": "chat.completion", "model": "m", "created": 0, "choices": choices, "usage": USAGE}
    client_of(lambda _: answer(body)).chat.complete(model="m", messages=[{"role": "user", "content": "Hi."}])


CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Rye."}, "finish_reason": "stop"}
TOKENS = {"prompt_tokens": 5, "completion_tokens": 3, "tokens": 8}


@pytest.mark.parametrize(
    ("origin", "name", "choices", "is_counted_above"),
    [
        ("pydantic-ai-auto", "chat m", [CHOICE], True),
        ("pydantic-ai-auto", "chat fallback:m,n", [CHOICE], False),
        ("pydantic-ai-auto", "agent_run", [CHOICE], False),
        ("pydantic-ai-auto", "chat m", [], False),
        ("agno-auto", "Mistral.response", [CHOICE], True),
        ("agno-auto", "Mistral.aresponse_stream", [CHOICE], True),
        ("agno-auto", "Agent.run", [CHOICE], False),
        ("another-auto", "chat m", [CHOICE], False),
    ],
)
def test_tokens_are_on_one_span(
    spans: LoggedSpans, origin: str, name: str, choices: list[Any], is_counted_above: bool
) -> None:
    with braintrust.start_span(name=name, internal={"instrumentation": origin}):
        complete(choices)
    (call,) = [row for row in spans.pop() if row["span_attributes"]["name"] == "mistral.chat.complete"]
    assert (call["metadata"].get("usage") == TOKENS) is is_counted_above
    assert (call["metrics"].items() >= TOKENS.items()) is not is_counted_above
