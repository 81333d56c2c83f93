"""The embeddings endpoint: vectors that depend on the text alone."""

import random
import struct
import uuid

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.delivery import delivery
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object, texts, token_count
from braintrust_mistral.local.mistral.media import base64_text
from braintrust_mistral.local.mistral.playback import Clock


DIMENSION = 8


class Embeddings:
    """The endpoint that embeds texts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the one endpoint."""
        return [Endpoint("POST", "/v1/embeddings", self._create)]

    async def _create(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"model", "input"})
        given = texts(body["input"], ["body", "input"])
        vectors = [vector(text, body.get("output_dimension", DIMENSION)) for text in given]
        encoded = body.get("encoding_format") == "base64"
        data: list[Json] = [
            {"object": "embedding", "index": index, "embedding": _packed(numbers) if encoded else numbers}
            for index, numbers in enumerate(vectors)
        ]
        tokens = token_count(given)
        answer = {
            "id": uuid.uuid4().hex,
            "object": "list",
            "data": data,
            "model": body["model"],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
        }
        return await delivery(body["model"]).response(answer, self._clock)


def vector(text: str, dimension: int) -> list[float]:
    """Numbers between -1 and 1, the same for the same text."""
    generator = random.Random(text)
    return [round(generator.uniform(-1, 1), 6) for _ in range(dimension)]


def _packed(numbers: list[float]) -> str:
    """32-bit floats in base64. The SDKs ask for it but cannot read it: their models know lists of numbers only."""
    return base64_text(struct.pack(f"<{len(numbers)}f", *numbers))
