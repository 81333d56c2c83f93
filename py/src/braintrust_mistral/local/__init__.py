"""A local Mistral and a local Braintrust: both ends of a traced call, on loopback, without an account.

Both need what `pip install "braintrust-mistral[local]"` adds. Importing this package does not, and loads neither.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from braintrust_mistral.local.braintrust.service import LocalBraintrust
    from braintrust_mistral.local.capturing import capture
    from braintrust_mistral.local.mistral.service import LocalMistral


__all__ = ["LocalBraintrust", "LocalMistral", "capture", "explain_missing"]

_PACKAGES = ("starlette", "uvicorn", "rich")
_MODULES = {
    "LocalBraintrust": "braintrust_mistral.local.braintrust.service",
    "LocalMistral": "braintrust_mistral.local.mistral.service",
    "capture": "braintrust_mistral.local.capturing",
}


def explain_missing() -> str | None:
    """Return which packages are missing and how to install them, in a sentence, or None where all are there."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if not missing:
        return None
    return f'braintrust_mistral.local needs {", ".join(missing)}: pip install "braintrust-mistral[local]"'


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if missing := explain_missing():
        raise ImportError(missing)
    return getattr(import_module(_MODULES[name]), name)
