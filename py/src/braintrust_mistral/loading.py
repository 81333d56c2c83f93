"""Finds and loads the integration, once something asks for it."""

import importlib
import logging
import os
import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from braintrust_mistral import FINDER, INTEGRATION, __version__


_HERE = os.path.dirname(os.path.abspath(__file__))
# Where the wheel puts the integration, and where the source tree has it. In site-packages the second is the SDK's own,
# which is as it should be when the first has gone.
_FOLDERS = [os.path.join(_HERE, "integrations"), os.path.join(os.path.dirname(_HERE), "braintrust", "integrations")]


def find_integration() -> ModuleSpec | None:
    """Return the spec of the integration that came with this distribution, or None if it is not there."""
    spec = PathFinder.find_spec(INTEGRATION, _FOLDERS)
    if spec is None or spec.loader is None:
        return None
    spec.loader = FallbackLoader(spec.loader)
    return spec


def is_ours(module: ModuleType) -> bool:
    """Return whether this `braintrust.integrations.mistral` is this distribution's, and not the SDK's own."""
    sdk = sys.modules["braintrust.integrations"].__path__
    return all(os.path.dirname(folder) not in sdk for folder in module.__path__)


class FallbackLoader(Loader):
    """Loads the integration as its own loader would, or the SDK's in its place where that fails."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the module's own loader makes for this spec."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, which then has its own loader again.

        Raises:
            Exception: the module's own, if the SDK cannot serve either.
        """
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        try:
            self._loader.exec_module(module)
        except Exception as error:
            _fall_back(error)


def _fall_back(error: Exception) -> None:
    sys.meta_path.remove(FINDER)
    for name in list(sys.modules):
        if name == INTEGRATION or name.startswith(f"{INTEGRATION}."):
            del sys.modules[name]
    try:
        # The import under way returns what stands in `sys.modules` after its loader, so this need not be handed on.
        importlib.import_module(INTEGRATION)
    except ImportError:
        raise error from None
    logging.getLogger(INTEGRATION).warning(
        "braintrust-mistral %s cannot be imported with the installed braintrust, whose own %s is used instead",
        __version__,
        INTEGRATION,
        exc_info=error,
    )
