"""The sides that log to Braintrust, which keeps their records in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import braintrust
from braintrust import logger as braintrust_logger
from braintrust.logger import construct_logs3_data, stringify_with_overflow_meta
from braintrust.merge_row_batch import merge_row_batch

from . import floor
from .provider import Provider
from .sides import Side, SideError


class BraintrustLog:
    """Braintrust's records of one side, which may be none."""

    def __init__(self, side: Side, provider: Provider) -> None:
        if side is not Side.UNTRACED:
            _trace(side)
        if side is Side.FLOOR:
            floor.install(provider, self._rows_of)
        # Kept, because its records go to the network from the moment it is garbage.
        self._memory = braintrust_logger._internal_with_memory_background_logger()  # pyright: ignore[reportPrivateUsage]
        self._records = cast("list[Any]", cast(Any, self._memory.__enter__()).logs)

        # The SDK knows this key and answers for the server: a project is resolved when its records are read.
        braintrust.login(api_key=braintrust_logger.TEST_API_KEY)

    def open(self) -> None:
        """Log to a project."""
        braintrust.init_logger(project="benchmarks", project_id="benchmarks")

    def close(self) -> None:
        """Log nowhere."""
        braintrust_logger._state.reset_parent_state()  # pyright: ignore[reportPrivateUsage]

    def clear(self) -> None:
        """Forget the records."""
        self._records.clear()

    def records(self) -> int:
        """Count the log records."""
        return len(self._records)

    def sent_bytes(self) -> int:
        """Return how long the body of one request with all of them is, made with what the SDK makes it with."""
        rows = [stringify_with_overflow_meta(row) for row in self._rows(0)]
        return len(construct_logs3_data(rows).encode())

    def _rows_of(self, action: Callable[[], object]) -> list[dict[str, Any]]:
        """Do something, and return which rows that logged, without logging them."""
        before = len(self._records)
        action()
        rows = self._rows(before)
        del self._records[before:]
        return rows

    def _rows(self, first: int) -> list[dict[str, Any]]:
        return merge_row_batch([record.get() for record in self._records[first:]])


def _trace(side: Side) -> None:
    from braintrust.integrations import mistral

    own_folder = Path(braintrust.__file__).parent
    if (own_folder in Path(mistral.__file__).parents) is not (side is Side.SDK):
        raise SideError(f"braintrust.integrations.mistral is not the one of side {side.value!r}")
    if not mistral.MistralIntegration.setup():
        raise SideError(f"the Mistral integration of side {side.value!r} does not set itself up")
