"""Whose span counts, without a framework: a current span with its name and its origin."""

from typing import Any

import braintrust
import pytest

from tests.conftest import LoggedSpans
from tests.helpers.wire import USAGE, answer, answer_stream, client_of


CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Rye."}, "finish_reason": "stop"}
TOKENS = {"prompt_tokens": 5, "completion_tokens": 3, "tokens": 8}


def complete(choices: list[Any], usage: Any = USAGE) -> None:
    body = {"id": "1", "object": "chat.completion", "model": "m", "created": 0, "choices": choices, "usage": usage}
    client_of(lambda _: answer(body)).chat.complete(model="m", messages=[{"role": "user", "content": "Hi."}])


def stream(choices: list[Any]) -> None:
    deltas = [{**choice, "delta": choice["message"]} for choice in choices]
    chunk = {"id": "1", "model": "m", "created": 0, "choices": deltas, "usage": USAGE}
    client = client_of(lambda _: answer_stream([chunk]))
    assert list(client.chat.stream(model="m", messages=[{"role": "user", "content": "Hi."}]))


@pytest.mark.parametrize(
    ("origin", "name", "call", "choices", "is_counted_above"),
    [
        ("pydantic-ai-auto", "chat m", complete, [CHOICE], True),
        ("pydantic-ai-auto", "chat m", stream, [CHOICE], True),
        ("pydantic-ai-auto", "chat fallback:m,n", complete, [CHOICE], False),
        ("pydantic-ai-auto", "agent_run", complete, [CHOICE], False),
        ("agno-auto", "Mistral.response", complete, [CHOICE], True),
        ("agno-auto", "Mistral.aresponse_stream", stream, [CHOICE], True),
        ("agno-auto", "Agent.run", complete, [CHOICE], False),
        ("another-auto", "chat m", complete, [CHOICE], False),
        ("another-auto", "Mistral.response", complete, [CHOICE], False),
        # On one of these each fails, and then counts nothing.
        ("pydantic-ai-auto", "chat m", complete, [], False),
        ("pydantic-ai-auto", "chat m", stream, [], True),
        ("agno-auto", "Mistral.response", complete, [], True),
        ("agno-auto", "Mistral.response_stream", stream, [], False),
    ],
)
def test_tokens_are_on_one_span(
    spans: LoggedSpans, origin: str, name: str, call: Any, choices: list[Any], is_counted_above: bool
) -> None:
    with braintrust.start_span(name=name, internal={"instrumentation": origin}):
        call(choices)
    _, ours = spans.pop()
    assert (ours["metadata"].get("usage") == TOKENS) is is_counted_above
    assert (ours["metrics"].items() >= TOKENS.items()) is not is_counted_above


def metadata_below_a_framework(spans: LoggedSpans, usage: Any) -> Any:
    with braintrust.start_span(name="chat m", internal={"instrumentation": "pydantic-ai-auto"}):
        complete([CHOICE], usage)
    return spans.pop()[1]["metadata"]


def test_whose_tokens_a_framework_counts_says_all_else_itself(spans: LoggedSpans) -> None:
    complete([CHOICE])
    alone = spans.pop_one()["metadata"]
    assert metadata_below_a_framework(spans, USAGE) == {**alone, "usage": TOKENS}


def test_what_used_nothing_says_so_nowhere(spans: LoggedSpans) -> None:
    assert "usage" not in metadata_below_a_framework(spans, {})
