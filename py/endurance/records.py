"""What the Braintrust SDK was given to log, counted before it merges it."""

import threading
from collections import Counter
from typing import Any


class Ends:
    """How often each span of this process was ended, by its id: the SDK's logger, and a count in front of it."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def log(self, *records: Any) -> None:
        """Count and log; a record may be the first of its span, and not yet its end."""
        for record in records:
            row = record.get()
            ends = "end" in row.get("metrics", {})
            with self._lock:
                self._counts[row["span_id"]] += ends
        self._logger.log(*records)

    def open(self) -> list[str]:
        """The spans that were not ended yet."""
        with self._lock:
            return [span for span, count in self._counts.items() if not count]

    def pop(self) -> Counter[str]:
        """The counts since the last time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)
