"""Which traces are logged where only a share of them is: decided once for each, before anything is read for it.

A call below a span is part of the trace that the span is in. One that begins a trace is logged or left out, and so is
all that it makes, as a run its requests and functions.
"""

import contextlib
import contextvars
import os
import random
from typing import Any

from braintrust.logger import Experiment, Logger

from ..contexts import holding
from ..faults import guarded
from ..settings import settings


# Its own: a program that seeded Python's goes on as it would untraced.
chance = random.Random()
"""What decides; a test may seed it."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=chance.seed)

_left_out: contextvars.ContextVar[bool] = contextvars.ContextVar("left_out", default=False)


def is_sampled(parent: Any) -> bool:
    """Tell whether a call with this parent, a span's or what logs whole traces, is logged."""
    if not isinstance(parent, Experiment | Logger):
        return True
    rate = settings().sample_rate
    return rate is None or (not _left_out.get() and chance.random() < rate)


@guarded(fallback=contextlib.nullcontext())
def leaving_out() -> contextlib.AbstractContextManager[object]:
    """Have the calls that one makes that was left out left out as well, until what is returned is left.

    Those below a span that the application opens meanwhile are part of a trace of its own.
    """
    if settings().sample_rate is None:
        return contextlib.nullcontext()
    return holding(_left_out, True)
