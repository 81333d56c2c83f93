"""The one place through which goes all that spans log: with its content, or without where none is to be logged."""

from collections.abc import Callable
from typing import Any

from braintrust.logger import Span

from ..content import without_content
from ..settings import settings


def open_span(start: Callable[..., Span], **record: Any) -> Span:
    """Open a span by `start_span` of the SDK's, or of the span above, with its first record."""
    return start(**(record if settings().content else without_content(record)))


def log(span: Span, **record: Any) -> None:
    """Log a further record of a span."""
    record = record if settings().content else without_content(record)
    if record:
        span.log(**record)
