"""What moderations and classifications log: the texts or messages, and what was found of each."""

import inspect
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import CallMethod, LoggedSpans
from tests.helpers.spans import LoggedSpan, Media, logged_calls
from tests.helpers.wire import Json, answer, client_of


PARAMETERS = inspect.signature(client_of(answer).classifiers.classify_chat).parameters
CONVERSATION = "input" if "input" in PARAMETERS else "inputs"

PIXEL_URL = "data:image/png;base64,iVBORw0KGgo="
PIXEL = Media(b"\x89PNG\r\n\x1a\n", "image/png", "image.png")

MODERATION: list[Json] = [{"categories": {"law": True, "pii": False}, "category_scores": {"law": 0.9, "pii": 0.1}}]
CLASSIFICATION: list[Json] = [{"mood": {"scores": {"hungry": 0.75, "full": 0.25}}}]


def conversation(image: Any) -> list[Json]:
    """Return messages with an image, as they are given, or else as they are logged."""
    return [
        {"role": "user", "content": [{"type": "text", "text": "Rye?"}, {"type": "image_url", "image_url": image}]},
        {"role": "assistant", "content": "Rye."},
    ]


@pytest.mark.parametrize(
    ("method", "parameter", "given", "logged", "results"),
    [
        ("moderate", "inputs", "Rye?", "Rye?", MODERATION),
        ("moderate", "inputs", ["Rye?", "Rye."], ["Rye?", "Rye."], MODERATION * 2),
        ("moderate_chat", "inputs", conversation(PIXEL_URL), conversation({"url": PIXEL}), MODERATION),
        ("moderate_chat", "inputs", [conversation(PIXEL_URL)], [conversation({"url": PIXEL})], MODERATION),
        ("classify", "inputs", ["Rye?"], ["Rye?"], CLASSIFICATION),
        ("classify", "inputs", [], [], []),
        (
            "classify_chat",
            CONVERSATION,
            {"messages": conversation(PIXEL_URL)},
            {"messages": conversation({"url": PIXEL})},
            CLASSIFICATION,
        ),
    ],
)
def test_what_was_classified_is_logged_with_what_was_found(
    method: str,
    parameter: str,
    given: Any,
    logged: Any,
    results: list[Json],
    call_method: CallMethod,
    spans: LoggedSpans,
) -> None:
    body = {"id": "mod1", "model": "classifier-2411", "results": results}
    path = f"classifiers.{method}"
    result = call_method(lambda request: answer(body), path, model="classifier-latest", **{parameter: given})
    assert len(result.results) == len(results)
    (call,) = logged_calls(spans.pop())
    assert call == LoggedSpan(
        name=f"mistral.classifiers.{method}",
        type="llm",
        input=logged,
        output=results,
        metadata={
            "provider": "mistral",
            "id": "mod1",
            "model": "classifier-2411",
            "requested_model": "classifier-latest",
        },
        metrics={"duration": ANY},
        error=None,
        seconds=ANY,
        children=(),
    )
