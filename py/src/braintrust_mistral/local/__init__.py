"""A local Mistral and a local Braintrust: both ends of a traced call, on loopback, for demos and end-to-end tests."""

from braintrust_mistral.local.braintrust.service import LocalBraintrust
from braintrust_mistral.local.mistral.service import LocalMistral


__all__ = ["LocalBraintrust", "LocalMistral"]
