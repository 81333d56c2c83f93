"""What the Responses API logs: its request, its output items, and the calls of tools among them as child spans."""

from collections.abc import Mapping

from braintrust.span_types import SpanTypeAttribute

from ..operations import Child, Operation, Outcome
from ..payloads import Loggable, parse_arguments, without_none
from .reading import error_text, from_loggable, request_reader, response_metadata, with_stream
from .response_stream import ResponseAccumulator
from .usage import usage_metrics


@from_loggable
def read_response(response: dict[str, Loggable]) -> Outcome:
    """Return what a `CreateResponseResponse` logs."""
    items = response.get("output")
    # Today's SDK knows calls of functions only; the types of calls of Mistral's own tools end in "_call" as well.
    children = [
        _child(item, index)
        for index, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict) and str(item.get("type")).endswith("_call")
    ]
    details = without_none({"incomplete_details": response.get("incomplete_details")})
    return Outcome(
        output=items,
        metadata={**response_metadata(response), **details},
        metrics=usage_metrics(response.get("usage")),
        children=children,
        error=error_text(response.get("error")) or ("status: failed" if response.get("status") == "failed" else None),
    )


def _child(item: Mapping[str, Loggable], index: int) -> Child:
    tool_type = str(item["type"])
    tool_name = item.get("name") or tool_type.removesuffix("_call")
    metadata: dict[str, Loggable] = {
        "tool_type": tool_type,
        "tool_name": tool_name,
        "tool_call_id": item.get("call_id") or item.get("id"),
        "tool_index": index,
    }
    return Child(
        f"tool: {tool_name}",
        parse_arguments(item.get("arguments")),
        metadata=without_none(metadata),
        child_index=index,
    )


OPERATIONS = {
    "create": Operation(
        "mistral.responses.create",
        SpanTypeAttribute.LLM,
        with_stream(request_reader("input")),
        read_response,
        ResponseAccumulator,
    )
}
"""The traced methods of `client.responses`, of 3.x; with `stream=True` the one method streams."""
