"""Mistral's payloads in OpenTelemetry's GenAI words: messages, tool definitions and attributes.

For whoever exports them; nothing here needs OpenTelemetry, and nothing raises.

The conventions are those of OpenTelemetry's repository `semantic-conventions-genai`, into which they moved with 1.42
of its semantic conventions. What comes out fits the schemas of 1.37 to 1.41 as well.
"""

from .attributes import span_attributes
from .messages import format_input_message, format_output_entries, format_output_message, format_tool_definition


__all__ = [
    "format_input_message",
    "format_output_entries",
    "format_output_message",
    "format_tool_definition",
    "span_attributes",
]
