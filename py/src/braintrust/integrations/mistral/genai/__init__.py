"""Mistral's payloads in OpenTelemetry's GenAI words: messages, tool definitions and attributes.

For whoever exports them; nothing here needs OpenTelemetry, and nothing raises.
"""

from .messages import (
    format_input_message,
    format_output_entries,
    format_output_message,
    format_tool_definition,
    span_attributes,
)


__all__ = [
    "format_input_message",
    "format_output_entries",
    "format_output_message",
    "format_tool_definition",
    "span_attributes",
]
