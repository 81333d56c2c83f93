"""Whether the calls of conversations show the model calls inside: as decided for one client, else for the process."""

from typing import Any

from .settings import is_on


LLM_SPANS = "BRAINTRUST_MISTRAL_LLM_SPANS"
"""The environment variable that turns on the spans of model calls inside conversations."""

_LLM_SPANS_ENABLED = "__braintrust_llm_spans__"


def set_llm_spans(resource: Any, enabled: bool) -> None:
    """Decide for the calls of one resource of a client, or of those it will make, whether they show model calls."""
    resource.__dict__[_LLM_SPANS_ENABLED] = enabled


def llm_spans_decided_for(resource: Any) -> bool | None:
    """Return what was decided for a resource of a client, or for a client."""
    return getattr(resource, "__dict__", {}).get(_LLM_SPANS_ENABLED)


def llm_spans_enabled(resource: Any) -> bool:
    """Tell whether the calls of a resource show the model calls inside."""
    decided = llm_spans_decided_for(resource)
    return is_on(LLM_SPANS, default=False) if decided is None else decided
