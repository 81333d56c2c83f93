"""What the Responses API logs: its request, its output items, and the calls of tools among them as child spans."""

from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from .metadata import error_text, known, request_metadata, response_metadata
from .operations import Arrival, Child, Operation, Outcome, Request, from_plain
from .payloads import Loggable, parsed, plain
from .response_stream import ResponseAccumulator
from .usage import usage_metrics


def read_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of `create` log."""
    metadata = request_metadata(arguments, {"input"})
    return Request(plain(arguments.get("input")), {**metadata, "stream": arguments.get("stream") is True})


@from_plain
def read_response(
    response: dict[str, Loggable], request: Mapping[str, Loggable], arrivals: Mapping[int, Arrival]
) -> Outcome:
    """Return what a `CreateResponseResponse` logs; `arrivals`, by output item, is empty for an unstreamed one."""
    items = response.get("output")
    # Today's SDK knows calls of functions only; those of Mistral's own tools end in "_call" where they exist.
    children = [
        _child(item, index, arrivals.get(index))
        for index, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict) and str(item.get("type")).endswith("_call")
    ]
    return Outcome(
        output=items,
        metadata={**response_metadata(response), **known({"incomplete_details": response.get("incomplete_details")})},
        metrics=usage_metrics(response.get("usage")),
        children=children,
        error=error_text(response.get("error")),
    )


def _child(item: Mapping[str, Loggable], index: int, arrival: Arrival | None) -> Child:
    tool_type = str(item["type"])
    tool_name = item.get("name") or tool_type.removesuffix("_call")
    metadata: dict[str, Loggable] = {
        "tool_type": tool_type,
        "tool_name": tool_name,
        "tool_call_id": item.get("call_id") or item.get("id"),
        "tool_index": index,
    }
    return Child(f"tool: {tool_name}", parsed(item.get("arguments")), metadata=known(metadata), arrival=arrival)


OPERATIONS = {
    "create": Operation(
        "mistral.responses.create", SpanTypeAttribute.LLM, read_request, read_response, ResponseAccumulator
    )
}
"""The traced methods of `client.responses`, of 3.x; with `stream=True` the one method streams."""
