"""Traces the Mistral Python SDK: conversations as task spans, with the tools that ran in them as their children."""

from .integration import MistralIntegration
from .patchers import wrap_mistral


__all__ = ["MistralIntegration", "wrap_mistral"]
