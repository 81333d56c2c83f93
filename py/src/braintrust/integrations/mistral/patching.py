"""Patching of a function of the SDK's by one thread at a time."""

import os
import threading
from collections.abc import Callable
from typing import Any

from braintrust.integrations.base import FunctionWrapperPatcher


Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""What `wrapt` calls in place of a function: with the function, its instance, and the arguments."""


class OncePatcher(FunctionWrapperPatcher):
    """Patches a function at most once, also where several threads set the tracing up together."""

    lock = threading.RLock()

    @classmethod
    def patch(cls, module: Any | None, version: str | None, *, target: Any | None = None) -> bool:
        """Patch the function, unless that was done, and return whether it is patched."""
        with cls.lock:
            return cls.is_patched(module, version, target=target) or super().patch(module, version, target=target)


def _renew_lock() -> None:
    # Another thread may have held it when this process was forked.
    OncePatcher.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
