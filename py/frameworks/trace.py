"""A trace as Braintrust adds it up, and what Mistral reported."""

from collections import Counter
from typing import Any

import braintrust
import requests

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.braintrust.totals import totals_of


OURS = "mistral-auto"

_TOKENS = ("prompt_tokens", "completion_tokens", "tokens")


class Trace:
    """The spans that an application logged."""

    def __init__(self, service: LocalBraintrust) -> None:
        self._service = service

    def spans(self) -> list[dict[str, Any]]:
        """Return the spans so far; all of ours have ended."""
        braintrust.flush()
        spans = self._service.spans()
        assert spans
        assert all("end" in span["metrics"] for span in spans if origin_of(span) == OURS)
        return spans

    def clear(self) -> None:
        """Forget the spans so far."""
        braintrust.flush()
        self._service.clear()

    def calls(self) -> list[dict[str, Any]]:
        """Return our spans of calls of the Mistral client."""
        return [span for span in self.spans() if origin_of(span) == OURS and name_of(span).startswith("mistral.")]

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the spans of this name."""
        return [span for span in self.spans() if name_of(span) == name]

    def parent_of(self, span: dict[str, Any]) -> dict[str, Any]:
        """Return the span above this one."""
        (parent,) = [other for other in self.spans() if [other["span_id"]] == span.get("span_parents")]
        return parent

    def tokens(self) -> Counter[str]:
        """Return the totals over all spans."""
        return tokens_of(*self.spans())


def name_of(span: dict[str, Any]) -> str:
    """Return a span's name."""
    name: str = span["span_attributes"]["name"]
    return name


def origin_of(span: dict[str, Any]) -> str:
    """Return which integration made a span."""
    name: str = span["context"]["span_origin"]["instrumentation"]["name"]
    return name


def tokens_of(*spans: dict[str, Any]) -> Counter[str]:
    """Return what the metrics of these spans add up to."""
    totals = totals_of(spans)
    return Counter({name: getattr(totals, name) for name in _TOKENS})


def usage_of(*spans: dict[str, Any]) -> Counter[str]:
    """Return what these spans say that another counts, which their metrics do not."""
    assert not +tokens_of(*spans)
    totals: Counter[str] = Counter()
    for span in spans:
        totals.update({name: span["metadata"]["usage"][name] for name in _TOKENS})
    return totals


def reported(mistral: LocalMistral) -> Counter[str]:
    """Return what the API reported in all its answers: the local Mistral gives the same answer to each request again.

    Requests that it refuses, or that are no calls of a model, report nothing.
    """
    totals: Counter[str] = Counter()
    asked = [request for request in mistral.requests if request.method == "POST"]
    for request in asked:
        again = requests.post(mistral.url + request.path, json={**request.body, "stream": False}, timeout=10)
        usage = again.json().get("usage") if again.ok else None
        if usage:
            usage = {**usage, "tokens": usage["total_tokens"]}
            totals.update({name: usage[name] for name in _TOKENS})
    mistral.requests.clear()
    mistral.requests.extend(asked)
    assert totals["tokens"]
    return totals
