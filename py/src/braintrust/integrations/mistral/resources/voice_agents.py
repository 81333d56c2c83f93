"""What the functions of a voice agent log: the arguments that the model gave, and the text that it got back."""

from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import CallsInside, Operation, Outcome, Request
from ..payloads import Loggable, parse_arguments, to_loggable


def function_operation(handler: Any) -> Operation:
    """Return the calls of one of the SDK's `FunctionHandler`s as an operation."""
    metadata: dict[str, Loggable] = {"tool_type": "function", "tool_name": handler.name}

    def read_request(arguments: Mapping[str, Any]) -> Request:
        return Request(parse_arguments(to_loggable(arguments.get("raw_arguments"))), metadata)

    return Operation(
        f"tool: {handler.name}",
        SpanTypeAttribute.TOOL,
        read_request,
        _read_response,
        calls_inside=CallsInside.BELOW,
    )


def _read_response(result: Any, _: Request) -> Outcome:
    return Outcome(to_loggable(result))
