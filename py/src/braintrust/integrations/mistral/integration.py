"""The integration that `braintrust.auto_instrument()` sets up."""

from braintrust import logger, span_types
from braintrust.integrations.base import BaseIntegration

from .patchers import OLDEST_MISTRALAI, PATCHERS


NEEDED_LATER = (
    logger.NOOP_SPAN,
    logger.Attachment,
    logger.BaseAttachment,
    logger.Experiment,
    logger.Logger,
    logger.Span,
    logger.SpanInternalOptions,
    logger.current_span,
    logger.get_span_parent_object,
    logger.start_span,
    span_types.SpanTypeAttribute,
)
"""What the modules that are imported later take from the SDK.

Where an SDK lacks one of these, importing the integration fails at once, and the overlay can still give way to the
SDK's own integration.
"""


class MistralIntegration(BaseIntegration):
    """Tracing of the `mistralai` client, `OLDEST_MISTRALAI` or newer."""

    name = "mistral"
    # 2.x and 3.x have no code in the package `mistralai` itself: it is a namespace there, and some tools drop it.
    import_names = ("mistralai", "mistralai.client")
    min_version = OLDEST_MISTRALAI
    patchers = PATCHERS
