"""Finds and loads the integration, once something asks for it."""

import contextlib
import importlib.util
import logging
import os
import sys
from contextvars import ContextVar
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

from wrapt import ObjectProxy

from braintrust_mistral import INTEGRATION, __version__


if TYPE_CHECKING:
    from _typeshed.importlib import PathEntryFinderProtocol


_HERE = os.path.dirname(os.path.abspath(__file__))
# Where the wheel puts the integration, and where the source tree has it. In site-packages the second is the SDK's own.
_FOLDERS = [os.path.join(_HERE, "integrations"), os.path.join(os.path.dirname(_HERE), "braintrust", "integrations")]
_failures: list[Exception] = []
_is_asking_others: ContextVar[bool] = ContextVar("is_asking_others", default=False)


class IntegrationsFinder(ObjectProxy):  # pyright: ignore[reportMissingTypeArgument]  # older ones take none
    """Finds modules in a folder as any other finder, but for `braintrust.integrations.mistral`, which is ours."""

    def __init__(self, path: str) -> None:
        super().__init__(_finder_of_others(path))
        self._self_path = path

    def find_spec(self, name: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of a module, or None where it is not in this folder."""
        spec = _find_integration(self._self_path) if name == INTEGRATION else None
        return spec or self.__wrapped__.find_spec(name, target)


def _finder_of_others(path: str) -> "PathEntryFinderProtocol":
    """Return the finder that the folder would have without us."""
    if not _is_asking_others.get():
        token = _is_asking_others.set(True)
        try:
            for hook in sys.path_hooks:
                with contextlib.suppress(ImportError):
                    return hook(path)
        finally:
            _is_asking_others.reset(token)
    # This hook is one of those that were asked, be it as it is or in another tool's wrapper.
    raise ImportError(f"no other hook knows {path}")


def _find_integration(sdk_folder: str) -> ModuleSpec | None:
    """Return the spec of the integration that came with this distribution, unless it is not there or has failed."""
    if _failures:
        return None
    spec = PathFinder.find_spec(INTEGRATION, [folder for folder in _FOLDERS if folder != sdk_folder])
    if spec is None or spec.loader is None:
        return None
    spec.loader = FallbackLoader(spec.loader)
    return spec


def is_found() -> bool:
    """Tell whether the SDK is there, and the integration that is to take the place of its own."""
    sdk = importlib.util.find_spec("braintrust")
    if sdk is None or sdk.origin is None:
        return False
    return _find_integration(os.path.join(os.path.dirname(sdk.origin), "integrations")) is not None


def has_fallen_back() -> bool:
    """Tell whether the integration could not be imported in this process, so that the SDK's own was."""
    return bool(_failures)


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
    _failures.append(error)
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
