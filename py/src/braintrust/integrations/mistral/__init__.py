"""Traces the Mistral Python SDK: conversations as task spans, with the tools that ran in them as their children."""

from typing import TYPE_CHECKING, Any

from .integration import MistralIntegration
from .patchers import wrap_mistral


if TYPE_CHECKING:
    from .genai.customizer import GenAIAttributes


__all__ = ["GenAIAttributes", "MistralIntegration", "wrap_mistral"]


def __getattr__(name: str) -> Any:
    # Few applications use it, and not every SDK can.
    if name == "GenAIAttributes":
        from .genai.customizer import GenAIAttributes

        return GenAIAttributes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
