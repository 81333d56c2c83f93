"""What OCR logs: the document, and its pages with their images as attachments."""

from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import Operation, Outcome, Request
from ..payloads import Loggable, to_loggable, without_none
from .reading import from_loggable, request_metadata
from .shapes import shape_chunk
from .usage import usage_metrics


def read_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of `process` log."""
    document = to_loggable(arguments.get("document"))
    metadata = request_metadata(arguments, {"document"})
    if isinstance(document, dict):
        metadata["document_type"] = document.get("type")
    return Request({"document": shape_chunk(document)}, without_none(metadata))


@from_loggable
def read_response(response: dict[str, Loggable]) -> Outcome:
    """Return what an `OCRResponse` logs."""
    pages = response.get("pages")
    page_count = len(pages) if isinstance(pages, list) else None
    return Outcome(
        output={name: value for name, value in response.items() if name not in ("model", "usage_info")},
        metadata=without_none({"model": response.get("model"), "page_count": page_count}),
        metrics=usage_metrics(response.get("usage_info")),
    )


OPERATIONS = {"process": Operation("mistral.ocr.process", SpanTypeAttribute.LLM, read_request, read_response)}
"""The traced methods of `client.ocr`."""
