"""Tells which `braintrust.integrations.mistral` is in force, and what it traces of the installed mistralai.

The exit status is 0 where it is this distribution's, else 1.
"""

import importlib
import os
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from braintrust_mistral import FINDER, INTEGRATION, SWITCH, __version__
from braintrust_mistral.loading import is_ours


def main() -> int:
    """Print the report, and return the exit status."""
    found = FINDER in sys.meta_path
    try:
        module = importlib.import_module(INTEGRATION)
    except Exception as error:
        print(f"braintrust-mistral {__version__} is not active: {type(error).__name__}: {error}")
        _print_versions()
        return 1
    active = is_ours(module)
    print(f"braintrust-mistral {__version__} is {'active' if active else f'not active: {_reason(found)}'}")
    _print_versions()
    print(f"{INTEGRATION} is {module.__file__}")
    _print_methods(module)
    return 0 if active else 1


def traced_methods(module: ModuleType) -> dict[str, str | None]:
    """Map each method that this integration traces to its place in the installed mistralai, or to None."""
    from braintrust.integrations.base import BaseIntegration, CompositeFunctionWrapperPatcher

    integration: type[BaseIntegration] = module.MistralIntegration
    mistralai = _version("mistralai")
    methods: dict[str, str | None] = {}
    for patcher in integration.patchers:
        if not issubclass(patcher, CompositeFunctionWrapperPatcher):
            continue
        for method in patcher.sub_patchers:
            # One method has a patcher for each place where some mistralai has it.
            name = re.sub(r"\.v\d+$", "", method.name)
            methods.setdefault(name, None)
            if method.applies(None, mistralai):
                methods[name] = f"{method.target_module}.{method.target_path}"
    return methods


def _print_versions() -> None:
    for name in ("braintrust", "mistralai"):
        print(f"{name} {_version(name) or 'is not installed'}")


def _print_methods(module: ModuleType) -> None:
    methods = traced_methods(module)
    width = max(map(len, methods))
    print(f"{sum(place is not None for place in methods.values())} of {len(methods)} traced methods found:")
    for name, place in methods.items():
        print(f"  {name:{width}}  {place or 'not found'}")


def _reason(found: bool) -> str:
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0"
    if FINDER in sys.meta_path:
        return "the SDK's own module was imported before it"
    if found:
        return "it cannot be imported with this braintrust, see the warning"
    return "no start-up file was read, call braintrust_mistral.activate()"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
