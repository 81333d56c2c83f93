"""Whose span counts the tokens of a call: ours, or that of a framework directly above it."""

from braintrust.logger import current_span

from ..faults import guarded
from ..operations import Outcome
from ..payloads import Loggable


# A span of agno's around a call of its Mistral model: `Mistral.response`, `Mistral.aresponse_stream`, ….
_AGNO_CALLS = ("Mistral.response", "Mistral.aresponse")


@guarded(fallback=False)
def is_counted_above(model: Loggable) -> bool:
    """Tell whether the current span is a framework's that counts the tokens of a call of this model as well.

    Pydantic AI names its span after the model that it asks. With any other name in between, a fallback's or a
    wrapper's, Braintrust knows no price for what it counts.
    """
    span = current_span()
    framework = getattr(span, "_instrumentation", None)
    if framework == "pydantic-ai-auto":
        return span.name == f"chat {model}"
    return framework == "agno-auto" and span.name.startswith(_AGNO_CALLS)


def without_count(outcome: Outcome, is_stream: bool) -> Outcome:
    """Return what a call logs whose tokens another span counts: its usage is metadata.

    An answer without a choice keeps its tokens, unless in a stream: the framework refuses it, and counts nothing.
    """
    if not outcome.metrics or not (outcome.output or is_stream):
        return outcome
    return outcome._replace(metadata={**(outcome.metadata or {}), "usage": dict(outcome.metrics)}, metrics={})
