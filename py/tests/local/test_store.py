"""What the local Braintrust keeps of rows, for however long they come."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintrust_mistral.local.braintrust import store as store_module
from braintrust_mistral.local.braintrust.rows import spans_of
from braintrust_mistral.local.braintrust.store import TraceStore
from braintrust_mistral.local.json_types import Json


TEXT = "x" * 1_000


def opened(span_id: str, parent: str | None = None, root: str | None = None, **more: Any) -> Json:
    return {
        "id": span_id,
        "span_id": span_id,
        "root_span_id": root or parent or span_id,
        "span_parents": [parent] if parent else None,
        "span_attributes": {"name": span_id},
        "metrics": {"start": 1.0},
        **more,
    }


def ended(span_id: str, **more: Any) -> Json:
    return {"id": span_id, "_is_merge": True, "metrics": {"end": 2.0, "tokens": 3}, **more}


def add(store: TraceStore, *rows: Json) -> None:
    store.add(rows, len(json.dumps(rows)))


def roots(store: TraceStore) -> list[str]:
    return [trace.root_span_id for trace in store.traces()]


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("AB"), st.booleans(), st.integers(0, 3)).map(
        lambda drawn: {
            "id": drawn[0] + drawn[1],
            "root_span_id": drawn[1],
            "span_attributes": {"name": "a span"},
            "metadata": {str(drawn[3]): drawn[3]},
            **({"_is_merge": True} if drawn[2] else {}),
        }
    ),
    max_size=30,
)


@given(rows=ROWS, size=st.integers(1, 5))
def test_what_is_put_together_as_it_comes_is_what_the_rows_make_in_the_end(rows: list[Json], size: int) -> None:
    store = TraceStore()
    for start in range(0, len(rows), size):
        add(store, *rows[start : start + size])
    assert store.rows() == rows
    assert store.spans() == spans_of(rows)
    assert store.arrived == len(rows)


def test_the_oldest_traces_are_forgotten_and_still_counted() -> None:
    store = TraceStore(kept_bytes=5_000)
    for n in range(20):
        add(store, opened(f"t{n}", input=TEXT), ended(f"t{n}"))
    assert roots(store) == ["t16", "t17", "t18", "t19"]
    assert len(json.dumps(store.rows())) < 6_000
    assert store.forgotten_traces == 16
    count, totals = store.totals()
    assert (count, totals.spans, totals.tokens) == (20, 20, 60)


def test_what_was_shown_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SETTLED_SECONDS", -1.0)
    store = TraceStore(kept_bytes=5_000)
    add(store, opened("goes on", input=TEXT))
    for n in range(5):
        add(store, opened(f"t{n}", input=TEXT), ended(f"t{n}"))
        assert [trace.root_span_id for trace in store.take_ended()] == [f"t{n}"]
    assert roots(store) == ["goes on", "t2", "t3", "t4"]


def test_a_single_trace_that_goes_on_for_days_loses_its_oldest_spans() -> None:
    store = TraceStore(kept_bytes=5_000)
    add(store, opened("root"))
    for n in range(20):
        add(store, opened(f"s{n}", "root", input=TEXT))
        add(store, ended(f"s{n}"))
    (trace,) = store.traces()
    assert [span["id"] for span in trace.spans] == ["root", "s17", "s18", "s19"]
    # What comes late of the forgotten does not come to life again.
    add(store, ended("s0"), ended("root"))
    assert [span["id"] for span in store.spans()] == ["root", "s17", "s18", "s19"]
    assert store.totals()[1].spans == 21
    assert len(store.take_rest()) == 1


def test_a_trace_is_shown_once_and_again_in_the_end_if_more_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SETTLED_SECONDS", -1.0)
    store = TraceStore()
    add(store, opened("a"), opened("a1", "a"), opened("b"))
    assert [trace.root_span_id for trace in store.open_traces()] == ["a", "b"]
    assert store.take_ended() == []
    add(store, ended("a"))
    assert [trace.root_span_id for trace in store.take_ended()] == ["a"]
    assert store.take_ended() == []
    assert [trace.root_span_id for trace in store.open_traces()] == ["b"]
    assert [trace.root_span_id for trace in store.take_rest()] == ["b"]
    add(store, ended("a1"))
    assert [trace.root_span_id for trace in store.take_rest()] == ["a"]


def test_what_is_logged_to_datasets_is_no_trace() -> None:
    store = TraceStore()
    add(store, {"id": "r", "root_span_id": "r", "dataset_id": "d", "input": 1})
    assert store.traces() == []
    assert store.totals()[0] == 0
    assert len(store.rows()) == 1


def test_nothing_is_nothing() -> None:
    store = TraceStore()
    store.add([], 12)
    assert (store.rows(), store.traces(), store.totals()[0]) == ([], [], 0)
