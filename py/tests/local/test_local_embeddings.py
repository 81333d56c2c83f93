import base64
import struct
from typing import Any

import pytest

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral.embeddings import vector
from tests.local.conftest import Http


PATH = "/v1/embeddings"


def test_the_same_text_has_the_same_vector(sdk: Any) -> None:
    response = sdk.embeddings.create(model="mistral-embed", inputs=["ferry", "tram", "ferry"])
    first, second, third = (item.embedding for item in response.data)
    assert first == third != second
    assert [item.index for item in response.data] == [0, 1, 2]
    assert len(first) == 8
    assert all(-1 <= number <= 1 for number in first)
    assert response.usage.prompt_tokens == response.usage.total_tokens > 0
    assert sdk.embeddings.create(model="mistral-embed", inputs="ferry").data[0].embedding == first


def test_the_dimension_is_the_requests(sdk: Any, mistral: LocalMistral) -> None:
    response = sdk.embeddings.create(model="plain", inputs="ferry", output_dimension=256)
    assert len(response.data[0].embedding) == 256
    assert mistral.requests[0].body["input"] == "ferry"


def test_vectors_in_base64_are_none_that_an_sdk_can_read(sdk: Any, http: Http) -> None:
    request = {"model": "plain", "input": "ferry", "encoding_format": "base64"}
    packed = http.post(PATH, json=request).json()["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(packed)) == pytest.approx(vector("ferry", 8))
    with pytest.raises(Exception, match="valid list"):
        sdk.embeddings.create(model="plain", inputs="ferry", encoding_format="base64")


async def test_async_clients_are_served(async_sdk: Any) -> None:
    response = await async_sdk.embeddings.create_async(model="plain", inputs=["ferry"])
    assert response.data[0].embedding == vector("ferry", 8)


def test_embeddings_fail_as_everything_does(sdk: Any, http: Http) -> None:
    with pytest.raises(Exception, match="Status 429"):
        sdk.embeddings.create(model="http-429", inputs="ferry")
    with pytest.raises(Exception, match="without sending complete message body"):
        sdk.embeddings.create(model="broken", inputs="ferry")
    assert http.refused_at(PATH, json={"model": "plain"}) == ["body", "input"]
    assert http.refused_at(PATH, json={"model": "plain", "input": [7]}) == ["body", "input"]
