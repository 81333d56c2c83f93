"""Keeps what a local Braintrust gets, put together as it comes, in bounded memory."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from braintrust_mistral.local.braintrust.rows import orderly, with_row
from braintrust_mistral.local.braintrust.totals import Totals, summed, totals_of
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.json_types import Json


KEPT_BYTES = 64 * 1024 * 1024
"""How much of rows is kept, as JSON; Python needs several times as much for them."""

REMEMBERED = 100_000
"""How many of the forgotten spans are known as such, whose late rows are left out."""

SETTLED_SECONDS = 0.3
"""How long nothing has come of a trace whose root has ended, until it is taken to be whole."""


@dataclass
class _Span:
    """A span as far as it has come: its rows with when each arrived, what they make together, and their size."""

    merged: Json
    rows: list[tuple[int, Json]]
    size: int


@dataclass
class _Record:
    """A trace as far as it has come.

    Attributes:
        roots: by id, those of its spans that have no parent, and whether they have ended.
        changed: when its latest row came, on the monotonic clock.
        rows: how many rows came of it.
        shown: how many had come when it was taken, 0 if it never was.
    """

    spans: dict[str, _Span] = field(default_factory=dict[str, _Span])
    roots: dict[str, bool] = field(default_factory=dict[str, bool])
    changed: float = 0.0
    rows: int = 0
    shown: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether it has a root, and all its roots have ended."""
        return bool(self.roots) and all(self.roots.values())


class TraceStore:
    """The traces so far; safe to use from several threads.

    Args:
        kept_bytes: how much of rows to keep. Beyond that whole traces are forgotten, those that were taken first, then
            the oldest; of the only trace its oldest spans. The totals go on counting what is forgotten.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.arrived = 0
        """How many rows came, kept or not."""
        self._kept_bytes = kept_bytes
        self._size = 0
        self._records: dict[str, _Record] = {}
        self._roots: dict[str, str] = {}
        self._forgotten: dict[str, None] = {}
        self.forgotten_traces = 0
        """How many traces are no longer kept."""
        self._forgotten_totals = summed([])
        self._lock = threading.Lock()

    def add(self, rows: Iterable[Json], size: int) -> None:
        """Take in rows as the SDK sends them, which are `size` bytes of JSON together."""
        rows = list(rows)
        with self._lock:
            for row in rows:
                self._add(row, size // len(rows))
            while self._size > self._kept_bytes and len(self._roots) > 1:
                self._forget()

    def add_to_known(self, row: Json) -> None:
        """Take in a row of a span of which there are rows already, and no other."""
        with self._lock:
            if row["id"] in self._roots:
                self._add(row, 0)

    def rows(self) -> list[Json]:
        """Return the rows that are kept, in the order in which they arrived."""
        return [row for _, row in self.numbered_rows()]

    def numbered_rows(self) -> list[tuple[int, Json]]:
        """Return them each with its number, from 1 on: as the how manieth it arrived."""
        with self._lock:
            rows = [row for record in self._records.values() for span in record.spans.values() for row in span.rows]
        return sorted(rows, key=lambda row: row[0])

    def spans(self) -> list[Json]:
        """Return the spans that are kept, in the order in which their first rows arrived."""
        with self._lock:
            spans = [span for record in self._records.values() for span in record.spans.values()]
        return [span.merged for span in sorted(spans, key=lambda span: span.rows[0][0])]

    def traces(self) -> list[Trace]:
        """Return the traces that are kept, in the order in which they began."""
        return self._traces(lambda _: True)

    def open_traces(self) -> list[Trace]:
        """Return the traces that go on."""
        return self._traces(lambda record: not record.has_ended)

    def take_ended(self) -> list[Trace]:
        """Return the traces that have ended since the last call, each once."""
        settled = time.monotonic() - SETTLED_SECONDS
        return self._take(lambda record: not record.shown and record.has_ended and record.changed < settled)

    def take_rest(self) -> list[Trace]:
        """Return, when the program is over, the traces that were not taken yet, or that have changed since."""
        return self._take(lambda record: record.shown < record.rows)

    def totals(self) -> tuple[int, Totals]:
        """Return how many traces there were, and what all of them add up to."""
        kept = [trace.totals for trace in self.traces()]
        return self.forgotten_traces + len(kept), summed([self._forgotten_totals, *kept])

    def clear(self) -> None:
        """Forget everything, as if nothing had come."""
        with self._lock:
            self._records.clear()
            self._roots.clear()
            self._forgotten.clear()
            self._size = self.forgotten_traces = 0
            self._forgotten_totals = summed([])

    def _traces(self, wanted: Callable[[_Record], bool]) -> list[Trace]:
        with self._lock:
            traces = [_trace(root, record) for root, record in self._records.items() if wanted(record)]
        return [trace for trace in traces if trace.is_of_spans]

    def _take(self, wanted: Callable[[_Record], bool]) -> list[Trace]:
        with self._lock:
            taken = [(root, record) for root, record in self._records.items() if wanted(record)]
            for _, record in taken:
                record.shown = record.rows
            traces = [_trace(root, record) for root, record in taken]
        return [trace for trace in traces if trace.is_of_spans]

    def _add(self, row: Json, size: int) -> None:
        self.arrived += 1
        span_id = row["id"]
        # Only the first row of a span needs to name its root.
        root = row.get("root_span_id") or self._roots.get(span_id) or span_id
        if span_id in self._forgotten or root in self._forgotten:
            return
        record = self._records.setdefault(root, _Record())
        span = record.spans.setdefault(span_id, _Span({}, [], 0))
        span.merged = with_row(span.merged, row)
        span.rows.append((self.arrived, row))
        span.size += size
        self._size += size
        self._roots[span_id] = root
        if not span.merged.get("span_parents"):
            record.roots[span_id] = "end" in orderly(span.merged)["metrics"]
        record.changed = time.monotonic()
        record.rows += 1

    def _forget(self) -> None:
        if len(self._records) > 1:
            taken = (root for root, record in self._records.items() if record.shown)
            root = next(taken, next(iter(self._records)))
            gone = self._records.pop(root).spans
            self.forgotten_traces += 1
            self._remember(root)
        else:
            (record,) = self._records.values()
            # A root tells when the trace ends.
            span_id = next(
                (span_id for span_id in record.spans if span_id not in record.roots), next(iter(record.spans))
            )
            record.roots.pop(span_id, None)
            gone = {span_id: record.spans.pop(span_id)}
        for span_id, span in gone.items():
            self._size -= span.size
            del self._roots[span_id]
            self._remember(span_id)
        totals = totals_of(span.merged for span in gone.values())
        self._forgotten_totals = summed([self._forgotten_totals, totals])

    def _remember(self, forgotten: str) -> None:
        self._forgotten[forgotten] = None
        if len(self._forgotten) > REMEMBERED:
            del self._forgotten[next(iter(self._forgotten))]


def _trace(root: str, record: _Record) -> Trace:
    return Trace(root, [span.merged for span in record.spans.values()])
