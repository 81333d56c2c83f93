"""What tests share: scenarios that need an interpreter of their own, with the SDK's real log queue."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import braintrust
from braintrust import logger as braintrust_logger
from braintrust.integrations.mistral import MistralIntegration
from braintrust.logger import ObjectMetadata, OrgProjectMetadata, _HTTPBackgroundLogger
from braintrust.util import LazyValue

from tests.helpers.wire import Json


def print_records(self: Any, batch_size: int | None = None) -> None:
    """Print what the SDK's background logger would send."""
    with self.flush_lock:
        for record in self.queue.drain_all():
            print(json.dumps({"process": os.getpid(), **record.get()}), flush=True)


def log_to_stdout() -> Any:
    """Set this interpreter up as an application, traced and logging through the SDK's own queue; return its logger."""
    assert MistralIntegration.setup()
    _HTTPBackgroundLogger.flush = print_records
    project = OrgProjectMetadata(org_id="org", project=ObjectMetadata(id="project", name="project", full_info={}))
    nowhere: Any = LazyValue(lambda: None, use_mutex=False)
    logger = LazyValue(lambda: _HTTPBackgroundLogger(nowhere), use_mutex=True)
    braintrust_logger._state._global_bg_logger = logger
    braintrust.init_logger(project="project")._lazy_metadata = LazyValue(lambda: project, use_mutex=False)
    return logger.get()


def run_alone(scenario: Callable[..., None], *arguments: str) -> list[Json]:
    """Run a function of a test module in an interpreter of its own, and return the records it logged.

    A scenario that hangs fails. The SDK's queue is emptied at exit, not before: what is in it can be counted.
    """
    completed = run_python(f"from {scenario.__module__} import {scenario.__name__} as s; s(*{arguments!r})")
    assert completed.stderr == ""
    return [json.loads(line) for line in completed.stdout.splitlines()]


def run_python(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in an interpreter of its own, to its end, and return what it printed; one that hangs fails."""
    completed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "BRAINTRUST_SYNC_FLUSH": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed
