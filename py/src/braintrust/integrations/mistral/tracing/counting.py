"""Whose span counts the tokens of a call: ours, or that of a framework directly above it."""

from braintrust.logger import current_span

from ..faults import guarded
from ..operations import Outcome
from ..payloads import Loggable


_PYDANTIC_AI = "pydantic-ai-auto"
_AGNO = "agno-auto"

# A span of agno's around calls of its Mistral model: `Mistral.response`, `Mistral.aresponse_stream`, ….
_AGNO_RESPONSES = ("Mistral.response", "Mistral.aresponse")

# What they fail on, and do not count then, when it has no choice: a whole answer, or a stream.
_FAILS_WITHOUT_CHOICES = {(_PYDANTIC_AI, False), (_AGNO, True)}


@guarded(fallback=None)
def framework_that_counts(model: Loggable) -> str | None:
    """Return the integration of the current span, if that is a framework's span that counts a call of this model.

    Pydantic AI names its span after the model that it asks. With any other name in between, a fallback's or a
    wrapper's, Braintrust knows no price for what it counts.
    """
    span = current_span()
    framework: str | None = getattr(span, "_instrumentation", None)
    is_counting = (framework == _PYDANTIC_AI and span.name == f"chat {model}") or (
        framework == _AGNO and span.name.startswith(_AGNO_RESPONSES)
    )
    return framework if is_counting else None


def without_count(outcome: Outcome, framework: str, is_stream: bool) -> Outcome:
    """Return what a call logs whose tokens this framework counts, unless it fails: its usage is metadata."""
    if not outcome.metrics or (not outcome.output and (framework, is_stream) in _FAILS_WITHOUT_CHOICES):
        return outcome
    return outcome._replace(metadata={**(outcome.metadata or {}), "usage": dict(outcome.metrics)}, metrics={})
