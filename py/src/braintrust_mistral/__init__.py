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
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


__all__ = ["activate"]
__version__ = "0.1.0"

INTEGRATION = "braintrust.integrations.mistral"
SWITCH = "BRAINTRUST_MISTRAL_OVERLAY"
RUN = "BRAINTRUST_MISTRAL_RUN"
"""Environment variable: what `python -m braintrust_mistral run` tells the interpreters below it."""


def activate() -> bool:
    """Make `braintrust.integrations.mistral` this distribution's, and return whether it is.

    Doing it again changes nothing. With `BRAINTRUST_MISTRAL_OVERLAY=0` it does nothing and returns False: who runs a
    process outranks the code in it.

    Raises:
        RuntimeError: if the SDK's own module is loaded already. Whoever imported something from it keeps that, so what
            follows would be half an overlay, which is worse than none.
    """
    if os.environ.get(SWITCH) == "0":
        return False
    if INTEGRATION in sys.modules:
        from braintrust_mistral.loading import is_ours

        if not is_ours(sys.modules[INTEGRATION]):
            raise RuntimeError(
                f"braintrust_mistral.activate() came too late: the SDK's own {INTEGRATION} is loaded already. "
                "Call it before anything imports braintrust."
            )
    at_startup()
    return True


def at_startup() -> None:
    """Put the finder in place, unless it is there, is switched off, or comes too late; `activate` would raise then."""
    if os.environ.get(SWITCH) != "0" and INTEGRATION not in sys.modules and FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    if RUN in os.environ:
        from braintrust_mistral.local import startup

        startup.follow()


class Finder:
    """Finds `braintrust.integrations.mistral` in this distribution, and nothing else; its submodules follow suit."""

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the spec of the integration, or None for any other name."""
        # pytest puts a finder in front that takes the modules of every distribution with a pytest plugin, such as the
        # SDK, and asks no other finder. It lets the rest pass, of which the SDK imports much before its integrations.
        # One assignment, and only this finder moves up: a thread on its way through the list skips none.
        if self in sys.meta_path[1:]:
            sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder is not self)]
        if name != INTEGRATION:
            return None
        from braintrust_mistral.loading import find_integration

        return find_integration()


FINDER = Finder()
