"""OpenTelemetry's `gen_ai.*` attributes on the spans of this integration, added while the SDK exports them."""

import importlib.metadata
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import braintrust
from braintrust.logger import BaseAttachment

from ..bounded import BoundedMap, size_of
from ..faults import report_fault
from ..masking import is_masking
from ..media import bytes_in_memory
from ..operations import INSTRUMENTATION
from .attributes import span_attributes


if TYPE_CHECKING:
    from braintrust import SpanCustomizer
else:
    SpanCustomizer = getattr(braintrust, "SpanCustomizer", object)

_CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_MOST_SPANS = 8_192
_MOST_DESCRIPTION_BYTES = 4 * 1024 * 1024
_MOST_INLINE_BYTES = 64 * 1024


class GenAIAttributes(SpanCustomizer):
    """Adds OpenTelemetry's `gen_ai.*` attributes to the metadata of this integration's spans, and of no others.

        braintrust.auto_instrument(span_customizers=[GenAIAttributes()])

    What the spans log otherwise stays as it is, content included.

    Args:
        capture_content: whether the attributes include messages, instructions, and the arguments and results of tools.
            `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=false` leaves them out as well.

    Raises:
        RuntimeError: if the installed `braintrust` has no span customizers.
    """

    def __init__(self, *, capture_content: bool = True) -> None:
        if SpanCustomizer is object:
            raise RuntimeError(
                "GenAIAttributes needs span customizers, which braintrust "
                f"{importlib.metadata.version('braintrust')} does not have: upgrade it"
            )
        self._capture_content = capture_content and os.environ.get(_CAPTURE_VARIABLE, "").strip().lower() != "false"
        # Only a span's first record says whose it is and what it is called: that and its provider, by the row's id, of
        # spans whose last record has not come.
        self._awaited: BoundedMap[str, dict[str, Any]] = BoundedMap(_MOST_SPANS)
        # The descriptions of a request's tools, by their names, under the ids of the spans above those of the tools.
        self._descriptions: BoundedMap[str, dict[str, Any]] = BoundedMap(most_bytes=_MOST_DESCRIPTION_BYTES)

    def on_span_export(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the record with the attributes that it brings, or unchanged where it is none of ours."""
        try:
            return self._customized(data)
        except Exception:
            # The SDK would strip the record of everything if this raised.
            report_fault()
            return data

    def _customized(self, record: dict[str, Any]) -> dict[str, Any]:
        span = self._span_of(record)
        if span is None:
            return record
        content = {name: _with_references(record[name]) for name in ("input", "output") if name in record}
        readable = {**record, **content, "span_attributes": span}
        attributes = span_attributes(readable, capture_content=self._capture_content)
        self._remember_descriptions(record, attributes.get("gen_ai.tool.definitions", ()))
        description = self._description_of(record, attributes.get("gen_ai.tool.name"))
        if description is not None:
            attributes["gen_ai.tool.description"] = description
        return {**record, "metadata": {**(record.get("metadata") or {}), **attributes}}

    def _remember_descriptions(self, record: dict[str, Any], definitions: Sequence[dict[str, Any]]) -> None:
        described = {tool["name"]: tool["description"] for tool in definitions if "description" in tool}
        if described:
            # The functions of a run are below the run, beside the requests that defined them.
            for span in (record.get("span_id"), *_parents(record)):
                self._descriptions.set(str(span), described, size_of(described))

    def _description_of(self, record: dict[str, Any], tool_name: str | None) -> Any:
        known = (self._descriptions.get(parent) or {} for parent in _parents(record))
        return next((tools[tool_name] for tools in known if tool_name in tools), None)

    def _span_of(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Return name, type and provider of the span that a record is of, or `None` where that is none of ours."""
        # The hook is also called with OpenTelemetry's own spans, which have no id of this kind.
        identity = str(record.get("id"))
        if "span_attributes" in record and "context" in record:
            if not _is_ours(record["context"]):
                return None
            span = {name: record["span_attributes"].get(name) for name in ("name", "type")}
            span["provider"] = (record.get("metadata") or {}).get("provider")
        else:
            span = self._awaited.pop(identity)
        if span is not None and not _is_last(record, span):
            self._awaited.set(identity, span)
        return span


def _parents(record: dict[str, Any]) -> list[str]:
    return [str(parent) for parent in record.get("span_parents") or ()]


def _is_ours(context: Any) -> bool:
    origin = context.get("span_origin") if isinstance(context, dict) else None
    instrumentation = origin.get("instrumentation") if isinstance(origin, dict) else None
    return isinstance(instrumentation, dict) and instrumentation.get("name") == INSTRUMENTATION


def _is_last(record: dict[str, Any], span: dict[str, Any]) -> bool:
    """Tell whether a span has ended and nothing more is known of it later.

    Of a function call the result may be known later, from a later call; of a model call, what else it asked for.
    """
    if (record.get("metrics") or {}).get("end") is None:
        return False
    if span["type"] == "llm" and str(span["name"]).split(" ", 1)[0] == "chat":
        return False
    tool_type = (record.get("metadata") or {}).get("tool_type", "function.call")
    return not (span["type"] == "tool" and tool_type == "function.call" and record.get("output") is None)


def _with_references(value: Any) -> Any:
    """Return a value with what Braintrust stores in the place of attachments, instead of all but small ones.

    OpenTelemetry's blobs could hold the bytes of any attachment. But Braintrust indexes metadata, and each picture
    would be sent twice: a large one becomes a file, with the key of the uploaded attachment as its id. So do all where
    a masking function is set: one that drops attachments would not recognize their bytes.
    """
    if isinstance(value, BaseAttachment):
        content = bytes_in_memory(value)
        is_small = content is not None and len(content) <= _MOST_INLINE_BYTES
        return value if is_small and not is_masking() else {**value.reference}
    if isinstance(value, dict):
        return {name: _with_references(item) for name, item in value.items()}
    return [_with_references(item) for item in value] if isinstance(value, list) else value
