"""The integration that `braintrust.auto_instrument()` sets up."""

from braintrust.integrations.base import BaseIntegration

from .patchers import OLDEST_MISTRALAI, PATCHERS


class MistralIntegration(BaseIntegration):
    """Tracing of the `mistralai` client, `OLDEST_MISTRALAI` or newer."""

    name = "mistral"
    # 2.x and 3.x have no code in the package `mistralai` itself: it is a namespace there, and some tools drop it.
    import_names = ("mistralai", "mistralai.client")
    min_version = OLDEST_MISTRALAI
    patchers = PATCHERS
