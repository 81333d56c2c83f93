"""What moderations and classifications log: the texts or messages, and what was found of each."""

from braintrust.span_types import SpanTypeAttribute

from ..operations import Operation, Outcome
from ..payloads import Loggable
from .reading import from_loggable, request_reader, response_metadata
from .shapes import shape_messages
from .usage import usage_metrics


@from_loggable
def read_response(response: dict[str, Loggable]) -> Outcome:
    """Return what a `ModerationResponse` or a `ClassificationResponse` logs."""
    return Outcome(response.get("results"), response_metadata(response), usage_metrics(response.get("usage")))


# `classify_chat` of 2.x and 3.x is alone in the singular.
_read_request = request_reader("inputs", "input", shape=shape_messages)

OPERATIONS = {
    method: Operation(f"mistral.classifiers.{method}", SpanTypeAttribute.LLM, _read_request, read_response)
    for method in ("moderate", "moderate_chat", "classify", "classify_chat")
}
"""The traced methods of `client.classifiers`."""
