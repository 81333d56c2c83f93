"""Makes the installed Braintrust SDK load this distribution's `braintrust.integrations.mistral` instead of its own.

Installing is enough: a line in `braintrust_mistral.pth` puts the overlay in place when the interpreter starts. From
Python 3.15 on `braintrust_mistral.start` does, and the line is skipped (PEP 829). `BRAINTRUST_MISTRAL_OVERLAY=0` turns
it off for a process, `activate` does by hand what start-up could not, `python -m braintrust_mistral` tells what holds.

Every interpreter of the environment pays for this module: it is small, and imports nothing that is not loaded anyway.
"""

import os
import sys


TYPE_CHECKING = False  # Type checkers know the name, and `typing` is not loaded at start-up.
if TYPE_CHECKING:
    # Where the wheel has it, and the source tree has not: no type checker sees what an import hook does.
    from .integrations import mistral as _mistral  # pyright: ignore[reportMissingImports]
    from .integrations.mistral import genai as _genai  # pyright: ignore[reportMissingImports]
    from .loading import IntegrationsFinder

    GenAIAttributes = _mistral.GenAIAttributes
    wrap_mistral = _mistral.wrap_mistral
    format_input_message = _genai.format_input_message
    format_output_entries = _genai.format_output_entries
    format_output_message = _genai.format_output_message
    format_tool_definition = _genai.format_tool_definition
    span_attributes = _genai.span_attributes


__all__ = [
    "GenAIAttributes",
    "activate",
    "format_input_message",
    "format_output_entries",
    "format_output_message",
    "format_tool_definition",
    "span_attributes",
    "wrap_mistral",
]
__version__ = "0.2.0"

INTEGRATION = "braintrust.integrations.mistral"
SWITCH = "BRAINTRUST_MISTRAL_OVERLAY"
RUN = "BRAINTRUST_MISTRAL_RUN"
"""Environment variable: what `python -m braintrust_mistral run` tells the interpreters below it."""

_AT_THE_TOP = ("GenAIAttributes", "wrap_mistral")
_SDK_FOLDER = os.path.join(os.sep, "braintrust", "integrations")


def activate() -> bool:
    """Make `braintrust.integrations.mistral` this distribution's, and return whether it is, or will be once imported.

    Doing it again changes nothing. With `BRAINTRUST_MISTRAL_OVERLAY=0` it does nothing and returns False: who runs a
    process outranks the code in it. It is False as well where the files of the integration are not there, as in a
    frozen application that left them out, or where they could not be imported, of which a warning has told.

    Raises:
        RuntimeError: if the SDK's own module is loaded already. Whoever imported something from it keeps that, so what
            follows would be half an overlay, which is worse than none.
    """
    if os.environ.get(SWITCH) == "0":
        return False
    from braintrust_mistral import loading

    if INTEGRATION not in sys.modules:
        at_startup()
        return loading.is_found()
    is_ours = loading.is_ours(sys.modules[INTEGRATION])
    if not is_ours and not loading.has_fallen_back():
        raise RuntimeError(
            f"braintrust_mistral.activate() came too late: the SDK's own {INTEGRATION} is loaded already. "
            "Call it before anything imports braintrust."
        )
    return is_ours


def at_startup() -> None:
    """Put the hook in place, unless it is there, is switched off, or comes too late; `activate` would raise then."""
    if os.environ.get(SWITCH) != "0" and INTEGRATION not in sys.modules and path_hook not in sys.path_hooks:
        sys.path_hooks.insert(0, path_hook)
        for path in list(sys.path_importer_cache):
            if path.endswith(_SDK_FOLDER):
                del sys.path_importer_cache[path]
    if RUN in os.environ:
        try:
            from braintrust_mistral.local import startup
        except ImportError:  # A frozen application that left it out.
            return
        startup.follow()


def path_hook(path: str) -> "IntegrationsFinder":
    """Return what finds modules in the SDK's folder of integrations; Python asks once for each folder.

    It is no finder on `sys.meta_path`, since tools put theirs in front there. Pytest's, for one, takes the modules of
    every distribution with a pytest plugin, such as the SDK; but it looks for them through this hook, as all do.

    Raises:
        ImportError: if it is another folder, as hooks say that it is not theirs.
    """
    if not path.endswith(_SDK_FOLDER):
        raise ImportError
    from braintrust_mistral.loading import IntegrationsFinder

    return IntegrationsFinder(path)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Return what `braintrust.integrations.mistral` has by that name, imported now, and ours if it can be."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        activate()
        module = INTEGRATION if name in _AT_THE_TOP else f"{INTEGRATION}.genai"
        return getattr(importlib.import_module(module), name)
