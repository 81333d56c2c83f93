"""What the functions of a voice agent log: the arguments that the model gave, and the text that it got back."""

from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import CallsInside, Operation, Request
from ..payloads import Loggable, parse_arguments, to_loggable
from .reading import read_value


def function_operation(handler: Any) -> Operation:
    """Return the calls of one of the SDK's `FunctionHandler`s as an operation."""
    metadata: dict[str, Loggable] = {"tool_type": "function", "tool_name": handler.name}

    def read_request(arguments: Mapping[str, Any]) -> Request:
        return Request(parse_arguments(to_loggable(arguments.get("raw_arguments"))), metadata)

    name = f"tool: {handler.name}"
    return Operation(name, SpanTypeAttribute.TOOL, read_request, read_value, calls_inside=CallsInside.BELOW)
