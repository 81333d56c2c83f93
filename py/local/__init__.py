"""A local Mistral and a local Braintrust: both ends of a traced call, on loopback, for demos and end-to-end tests."""

from local.braintrust import LocalBraintrust
from local.mistral import LocalMistral


__all__ = ["LocalBraintrust", "LocalMistral"]
