"""The integration that `braintrust.auto_instrument()` sets up."""

from braintrust.integrations.base import BaseIntegration

from .patchers import PATCHERS


class MistralIntegration(BaseIntegration):
    """Tracing of the `mistralai` client, 1.12.4 or newer."""

    name = "mistral"
    # 2.x and 3.x have no code in the package `mistralai` itself: it is a namespace there, and some tools drop it.
    import_names = ("mistralai", "mistralai.client")
    min_version = "1.12.4"
    patchers = PATCHERS
