"""What embeddings log: the texts, and how many vectors of which length they became, never the vectors."""

from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import Operation, Outcome, Request
from ..payloads import Loggable, to_loggable, without_none
from .reading import fields_of, request_reader, response_metadata, with_requested_model
from .usage import usage_metrics


def read_response(response: Any, request: Request) -> Outcome:
    """Return what an `EmbeddingResponse` logs, without going through its vectors."""
    fields = fields_of(response)
    data = fields["data"]
    first = fields_of(data[0]) if data else {}
    vector = first.get("embedding")
    output: dict[str, Loggable] = {
        "embeddings_count": len(data),
        "embedding_length": len(vector) if isinstance(vector, list) else None,
        "first_index": to_loggable(first.get("index")),
    }
    about = {name: to_loggable(fields.get(name)) for name in ("id", "object", "model", "usage")}
    outcome = Outcome(without_none(output), response_metadata(about), usage_metrics(about["usage"]))
    return with_requested_model(outcome, request)


# The wire, and so a batch, says "input".
_read_request = request_reader("inputs", "input")

OPERATIONS = {"create": Operation("mistral.embeddings.create", SpanTypeAttribute.LLM, _read_request, read_response)}
"""The traced methods of `client.embeddings`."""
