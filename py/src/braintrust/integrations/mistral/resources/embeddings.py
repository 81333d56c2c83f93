"""What embeddings log: the texts, and how many vectors of which length they became, never the vectors."""

from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import Operation, Outcome, Request
from ..payloads import Loggable, to_loggable, without_none
from .reading import request_reader, response_metadata, with_requested_model
from .usage import usage_metrics


def read_response(response: Any, request: Request) -> Outcome:
    """Return what an `EmbeddingResponse` logs, without going through its vectors."""
    data: list[Any] = response.data
    first = data[0] if data else None
    vector = getattr(first, "embedding", None)
    output: dict[str, Loggable] = {
        "embeddings_count": len(data),
        "embedding_length": len(vector) if isinstance(vector, list) else None,  # pyright: ignore[reportUnknownArgumentType]
        "first_index": to_loggable(getattr(first, "index", None)),
    }
    about = {name: to_loggable(getattr(response, name, None)) for name in ("id", "object", "model", "usage")}
    outcome = Outcome(without_none(output), response_metadata(about), usage_metrics(about["usage"]))
    return with_requested_model(outcome, request)


OPERATIONS = {
    "create": Operation("mistral.embeddings.create", SpanTypeAttribute.LLM, request_reader("inputs"), read_response)
}
"""The traced methods of `client.embeddings`."""
