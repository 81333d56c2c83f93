"""What an application does and leaves behind while it is watched: its spans, our warnings, and any other noise."""

import contextlib
import contextvars
import logging
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import braintrust
from braintrust import logger as braintrust_logger
from braintrust.integrations.mistral import faults
from braintrust.integrations.mistral.resources.batch import jobs_by_file, known_requests
from braintrust.integrations.mistral.runs import runs
from braintrust.integrations.mistral.settings import settings
from braintrust.integrations.mistral.tracing import handover, pending
from braintrust.logger import ObjectMetadata, OrgProjectMetadata
from braintrust.util import LazyValue


LOGGER = "braintrust.integrations.mistral"


@dataclass
class Observed:
    """What was seen of one run of an application.

    Attributes:
        results: what the application itself saw; the exception that ended it, if one did.
        rows: the spans that it logged.
        ends: how often each span was ended, with its name, by span id.
        warnings: what our logger was told.
        noise: what anyone else was told: other loggers, stderr, the interpreter.
    """

    results: Any = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    ends: dict[str, tuple[str, int]] = field(default_factory=dict)
    warnings: list[logging.LogRecord] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)


def observe(application: Callable[[], Any], *, is_traced: bool) -> Observed:
    """Run an application from a fresh start to its exit."""
    observed = Observed()
    with _fresh_start(), _memory(is_traced) as memory, _listening(observed):
        try:
            # What a broken function leaves set there, nobody else is to find.
            observed.results = contextvars.copy_context().run(application)
        except Exception as error:
            observed.results = error
        del application
        # As at the exit of the interpreter.
        handover.end_open()
        handover._finish()
        # Before they are merged, which changes them.
        records = [record.get() for record in memory.logs]
        ends = Counter(record["span_id"] for record in records if "end" in record.get("metrics", {}))
        observed.rows = memory.pop()
    for row in observed.rows:
        observed.ends[row["span_id"]] = (row.get("span_attributes", {}).get("name", ""), ends[row["span_id"]])
    return observed


@contextlib.contextmanager
def _fresh_start() -> Iterator[None]:
    """Have the integration know nothing of what came before: no stream, waiting call, reported fault or setting."""
    before = dict(handover._open), faults._reported
    faults._reported = set()
    handover._open.clear()
    settings.cache_clear()
    held = (pending.pending_tool_calls, runs.deferred_calls, jobs_by_file, known_requests)
    for waiting in held:
        waiting._entries.clear()
    try:
        yield
    finally:
        handover._open.update(before[0])
        faults._reported = before[1]
        settings.cache_clear()


@contextlib.contextmanager
def _memory(is_traced: bool) -> Iterator[Any]:
    """Have the SDK log to this process, or not at all."""
    memory = braintrust_logger._MemoryBackgroundLogger()
    state = braintrust_logger._state
    project = OrgProjectMetadata(org_id="org", project=ObjectMetadata(id="project", name="project", full_info={}))
    before = state._global_bg_logger
    state._global_bg_logger = LazyValue(lambda: memory, use_mutex=False)
    state.reset_parent_state()
    if is_traced:
        braintrust.init_logger(project="project")._lazy_metadata = LazyValue(lambda: project, use_mutex=False)
    try:
        yield memory
    finally:
        state.reset_parent_state()
        state._global_bg_logger = before
        if hasattr(braintrust, "set_span_customizers"):
            braintrust.set_span_customizers(None)


@contextlib.contextmanager
def _listening(observed: Observed) -> Iterator[None]:
    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == LOGGER:
                observed.warnings.append(record)
            else:
                observed.noise.append(self.format(record))

    def hook(unhandled: Any) -> None:
        error = unhandled.exc_value
        observed.noise.append(f"{error!r} in {getattr(unhandled, 'object', unhandled)!r}")

    listener = Listener(level=logging.WARNING)
    hooks = sys.unraisablehook, threading.excepthook
    logging.getLogger().addHandler(listener)
    sys.unraisablehook = threading.excepthook = hook
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        sys.unraisablehook, threading.excepthook = hooks
        logging.getLogger().removeHandler(listener)
    observed.noise += [str(warning.message) for warning in caught]
