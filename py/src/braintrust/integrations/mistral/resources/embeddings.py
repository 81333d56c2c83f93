"""What embeddings log: the texts, and how many vectors of which length they became, never the vectors."""

from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import Operation, Outcome, Request
from ..payloads import Loggable, to_loggable, without_none
from .reading import request_reader, response_metadata, with_requested_model
from .usage import usage_metrics


def read_response(response: Any, request: Request) -> Outcome:
    """Return what an `EmbeddingResponse` logs, without going through its vectors."""
    data: list[Any] = _field(response, "data")
    first = data[0] if data else None
    vector = _field(first, "embedding")
    output: dict[str, Loggable] = {
        "embeddings_count": len(data),
        "embedding_length": len(vector) if isinstance(vector, list) else None,  # pyright: ignore[reportUnknownArgumentType]
        "first_index": to_loggable(_field(first, "index")),
    }
    about = {name: to_loggable(_field(response, name)) for name in ("id", "object", "model", "usage")}
    outcome = Outcome(without_none(output), response_metadata(about), usage_metrics(about["usage"]))
    return with_requested_model(outcome, request)


def _field(value: Any, name: str) -> Any:
    """Return a field of a model, or of a dict as a batch brings it."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


# On the wire, as a batch has it, there is no plural.
_READ_REQUEST = request_reader("inputs", "input")

OPERATIONS = {"create": Operation("mistral.embeddings.create", SpanTypeAttribute.LLM, _READ_REQUEST, read_response)}
"""The traced methods of `client.embeddings`."""
