"""What moderations and classifications log: the texts or messages, and what was found of each."""

from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from .metadata import request_metadata, response_metadata
from .operations import Arrival, Operation, Outcome, Request, from_plain
from .payloads import Loggable, plain
from .usage import usage_metrics


def read_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of a moderation or a classification log."""
    # `classify_chat` of 2.x and 3.x is alone in the singular.
    content = arguments.get("inputs", arguments.get("input"))
    return Request(plain(content), request_metadata(arguments, {"inputs", "input"}))


@from_plain
def read_response(
    response: dict[str, Loggable], request: Mapping[str, Loggable], arrivals: Mapping[int, Arrival]
) -> Outcome:
    """Return what a `ModerationResponse` or a `ClassificationResponse` logs."""
    return Outcome(response.get("results"), response_metadata(response), usage_metrics(response.get("usage")))


OPERATIONS = {
    method: Operation(f"mistral.classifiers.{method}", SpanTypeAttribute.LLM, read_request, read_response)
    for method in ("moderate", "moderate_chat", "classify", "classify_chat")
}
"""The traced methods of `client.classifiers`."""
