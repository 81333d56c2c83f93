"""Content that is left out: a canary in every field of every call is in no span, and all that is no content is there."""

import json
from collections.abc import Iterator
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral.genai.attributes import GenAIAttributes
from braintrust.integrations.mistral.patchers import RESOURCES
from braintrust.integrations.mistral.settings import CONTENT
from braintrust.logger import BaseAttachment

from braintrust_mistral.local import LocalMistral
from tests.conftest import LoggedSpans, Switch
from tests.helpers.canaries import CANARY, Calls, CanaryMistral, say_it_everywhere
from tests.helpers.features import has
from tests.helpers.wire import Json


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def mistral() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.0) as running:
        yield running


@pytest.fixture(autouse=True)
def all_spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The spans of model calls as well, and OpenTelemetry's attributes where there are any."""
    monkeypatch.setenv("BRAINTRUST_MISTRAL_LLM_SPANS", "true")
    if hasattr(braintrust, "SpanCustomizer"):
        braintrust.set_span_customizers([GenAIAttributes()])
        yield
        braintrust.set_span_customizers(None)
    else:
        yield


def attachments_in(value: Any) -> list[BaseAttachment]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [found for item in items for found in attachments_in(item)]
    return [value] if isinstance(value, BaseAttachment) else []


TIMES = {"start", "end", "duration", "time_to_first_token"}


def text_of(row: Json) -> str:
    return json.dumps(row, default=repr)


def name_of(row: Json) -> str:
    return row["span_attributes"]["name"]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_no_span_has_content_and_all_else_is_there(
    is_async: bool, mistral: LocalMistral, spans: LoggedSpans, switch: Switch
) -> None:
    canaries = CanaryMistral(mistral.url)
    say_it_everywhere(Calls(canaries.client(), is_async=is_async))
    with_content = spans.pop()
    switch(CONTENT, "false")
    say_it_everywhere(Calls(canaries.client(), is_async=is_async))
    records = spans.so_far
    without = spans.pop()
    dropped = {}; added = {}
    assert [name_of(r) for r in without] == [name_of(r) for r in with_content]
    for r, w in zip(without, with_content):
        a, b = r.get("metadata") or {}, w.get("metadata") or {}
        if "inputs" in b: print("INPUTS", name_of(r), text_of(w)[:800])
        for k in b.keys() - a.keys(): dropped.setdefault(k, text_of(b[k])[:80])
        for k in a.keys() - b.keys(): added.setdefault(k, text_of(a[k])[:80])
        for k in a.keys() & b.keys():
            if a[k] != b[k]: print("CHANGED", name_of(r), k, text_of(a[k])[:100], text_of(b[k])[:100])
        ma, mb = r["metrics"], w["metrics"]
        if ma.keys() != mb.keys() or {k: v for k, v in ma.items() if k not in TIMES} != {k: v for k, v in mb.items() if k not in TIMES}: print("METRICS", name_of(r), ma, mb)
        if bool(r.get("error")) != bool(w.get("error")): print("ERROR", name_of(r), r.get("error"), w.get("error"))
        elif r.get("error"): print("ERR", r["error"].splitlines()[0])
    print("DROPPED", json.dumps(dropped, indent=1)); print("ADDED", added)
    assert not [row for row in [*records, *without] if CANARY in text_of(row) or attachments_in(row)]


def names_with_no_canary(rows):
    return sorted({name_of(r) for r in rows} - {name_of(r) for r in rows if CANARY in text_of(r)})
