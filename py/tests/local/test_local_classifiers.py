import inspect
from typing import Any

import pytest

from tests.local.conftest import Http


CHAT = [{"role": "user", "content": "Hello"}]


def chat_input(classify_chat: Any, chats: Any) -> dict[str, Any]:
    """The one argument of `classify_chat`, whose name has changed."""
    return {"inputs" if "inputs" in inspect.signature(classify_chat).parameters else "input": chats}


@pytest.mark.parametrize(
    ("model", "flagged"), [("mistral-moderation-latest", set()), ("flagged", {"violence_and_threats"})]
)
def test_moderation_scores_each_text(sdk: Any, model: str, flagged: set[str]) -> None:
    response = sdk.classifiers.moderate(model=model, inputs=["Hello", "Goodbye"])
    assert response.model == model
    assert len(response.results) == 2
    for result in response.results:
        assert {name for name, found in result.categories.items() if found} == flagged
        assert {name for name, score in result.category_scores.items() if score > 0.5} == flagged
        assert "pii" in result.categories


@pytest.mark.parametrize(("chats", "count"), [(CHAT, 1), ([CHAT, CHAT], 2)])
def test_moderation_scores_each_chat(sdk: Any, chats: Any, count: int) -> None:
    assert len(sdk.classifiers.moderate_chat(model="plain", inputs=chats).results) == count


def test_classification_scores_each_text(sdk: Any) -> None:
    response = sdk.classifiers.classify(model="plain", inputs="Hello")
    (result,) = response.results
    assert sum(result["intent"].scores.values()) == pytest.approx(1)
    assert set(result) == {"intent", "urgency"}


@pytest.mark.parametrize(("chats", "count"), [({"messages": CHAT}, 1), ([{"messages": CHAT}] * 3, 3)])
def test_classification_scores_each_chat(sdk: Any, chats: Any, count: int) -> None:
    classify_chat = sdk.classifiers.classify_chat
    assert len(classify_chat(model="plain", **chat_input(classify_chat, chats)).results) == count


async def test_async_clients_are_served(async_sdk: Any) -> None:
    classifiers = async_sdk.classifiers
    assert (
        (await classifiers.moderate_async(model="flagged", inputs="x")).results[0].categories["violence_and_threats"]
    )
    assert (await classifiers.moderate_chat_async(model="plain", inputs=CHAT)).results
    assert (await classifiers.classify_async(model="plain", inputs="x")).results
    given = chat_input(classifiers.classify_chat_async, {"messages": CHAT})
    assert (await classifiers.classify_chat_async(model="plain", **given)).results


@pytest.mark.parametrize("kind", ["moderations", "chat/moderations", "classifications", "chat/classifications"])
def test_classifiers_fail_as_everything_does(http: Http, kind: str) -> None:
    good = {"messages": CHAT} if kind == "chat/classifications" else CHAT if kind == "chat/moderations" else "Hello"
    assert http.post(f"/v1/{kind}", json={"model": "http-403", "input": good}).status_code == 403
    assert http.post(f"/v1/{kind}", json={"model": "plain"}).status_code == 422
    assert http.post(f"/v1/{kind}", json={"model": "plain", "input": [7]}).status_code == 422
