"""What embeddings log: the texts, and how many vectors of which length they became, never the vectors."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import Json, answer


try:
    from mistralai.client import models
    from mistralai.client.embeddings import Embeddings
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.embeddings import Embeddings


VECTORS: list[Json] = [
    {"object": "embedding", "embedding": [0.25, -0.5, 1.0], "index": 0},
    {"object": "embedding", "embedding": [0.5, 0.75, 0.125], "index": 1},
]


def response(data: list[Json], **usage: Any) -> Json:
    """Return what the API answers with these vectors."""
    return {"id": "emb1", "object": "list", "model": "mistral-embed-2312", "data": data, "usage": usage}


def test_the_texts_are_logged_and_the_vectors_counted(call_method: CallMethod, spans: LoggedSpans) -> None:
    body = response(VECTORS, prompt_tokens=7, completion_tokens=0, total_tokens=7)
    result = call_method(
        lambda request: answer(body),
        "embeddings.create",
        model="mistral-embed",
        inputs=["Bread?", "Rye."],
        output_dimension=3,
        output_dtype="float",
        metadata={"user": "u1"},
    )
    assert [item.embedding for item in result.data] == [vector["embedding"] for vector in VECTORS]
    (call,) = logged_calls(spans.pop())
    assert call == LoggedSpan(
        name="mistral.embeddings.create",
        type="llm",
        input=["Bread?", "Rye."],
        output={"embeddings_count": 2, "embedding_length": 3, "first_index": 0},
        metadata={
            "provider": "mistral",
            "output_dimension": 3,
            "output_dtype": "float",
            "request_metadata": {"user": "u1"},
            "id": "emb1",
            "object": "list",
            # Which of the models behind the name it was.
            "model": "mistral-embed-2312",
            "requested_model": "mistral-embed",
        },
        metrics={"prompt_tokens": 7, "completion_tokens": 0, "tokens": 7, "duration": ANY},
        error=None,
        seconds=ANY,
        children=(),
    )


def test_whatever_else_is_counted_is_a_metric(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(lambda request: answer(response(VECTORS, request_count=1, prompt_audio_seconds=None)))
    client.embeddings.create(model="mistral-embed-2312", inputs="Bread?")
    (call,) = logged_calls(spans.pop())
    assert call.metrics == {"request_count": 1, "duration": ANY}
    assert "requested_model" not in call.metadata


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], {"embeddings_count": 0}),
        ([{"object": "embedding"}, *VECTORS], {"embeddings_count": 3}),
        ([{"embedding": [], "index": 4}], {"embeddings_count": 1, "embedding_length": 0, "first_index": 4}),
    ],
)
def test_what_was_not_reported_is_absent(
    data: list[Json], expected: Json, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(lambda request: answer(response(data)))
    client.embeddings.create(model="mistral-embed", inputs="Bread?")
    (call,) = logged_calls(spans.pop())
    assert (call.input, call.output, call.metrics) == ("Bread?", expected, {"duration": ANY})


class Unwalkable(list[Any]):
    """A list that has a length, and is never gone through."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("walked")


class UnreadableVector(Unwalkable):
    """A vector of which not even one number is read."""

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("read")


def test_neither_the_vectors_nor_their_list_are_gone_through(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = models.EmbeddingResponseData.model_construct(embedding=UnreadableVector([0.5] * 1024), index=0)
    result = models.EmbeddingResponse.model_construct(model="mistral-embed", data=Unwalkable([vector] * 3))
    monkeypatch.setattr(vars(Embeddings)["create"], "__wrapped__", lambda self, **arguments: result)
    client = make_client(answer)
    assert client.embeddings.create(model="mistral-embed", inputs="Bread?") is result
    assert spans.pop_one()["output"] == {"embeddings_count": 3, "embedding_length": 1024, "first_index": 0}
