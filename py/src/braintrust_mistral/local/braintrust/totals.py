"""What Braintrust adds up over the spans of a trace: tokens, and what they are estimated to cost."""

from collections.abc import Iterable
from typing import NamedTuple

from braintrust_mistral.local.braintrust.rows import orderly
from braintrust_mistral.local.json_types import Json


class Price(NamedTuple):
    """What a model's tokens cost, in US dollars per million."""

    prompt: float
    cached: float
    completion: float


PRICES = {
    ("mistral", "mistral-small-latest"): Price(0.15, 0.015, 0.60),
    ("mistral", "mistral-medium-latest"): Price(1.50, 0.15, 7.50),
    ("mistral", "mistral-large-latest"): Price(0.50, 0.05, 1.50),
}
"""Prices by provider and model, to show what Braintrust estimates: those of the demo's models, and no price list."""


class Totals(NamedTuple):
    """What the spans of a trace add up to, scorers' spans aside.

    Attributes:
        tokens: of the spans of any type, like the next two.
        cost: in US dollars; None where no span has tokens with a known price.
        llm_tokens: of the spans of type llm alone, which is what Braintrust's ready-made charts read.
        llm_cost: what the chart "Total LLM cost" shows.
    """

    spans: int
    errors: int
    tokens: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    llm_tokens: int
    llm_cost: float | None


def totals_of(spans: Iterable[Json]) -> Totals:
    """Return what these spans add up to; a scorer's spans count as spans and as errors, and cost nothing."""
    spans = list(map(orderly, spans))
    counted = [span for span in spans if not is_scorers(span)]
    llm_spans = [span for span in counted if is_llm(span)]
    return Totals(
        spans=len(spans),
        errors=sum(bool(span.get("error")) for span in spans),
        tokens=_sum("tokens", counted),
        prompt_tokens=_sum("prompt_tokens", counted),
        completion_tokens=_sum("completion_tokens", counted),
        cost=_total_cost(counted),
        llm_tokens=_sum("tokens", llm_spans),
        llm_cost=_total_cost(llm_spans),
    )


def summed(totals: Iterable[Totals]) -> Totals:
    """Return what several traces add up to together."""
    parts = list(totals)
    return Totals(
        spans=sum(part.spans for part in parts),
        errors=sum(part.errors for part in parts),
        tokens=sum(part.tokens for part in parts),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
        cost=_known_sum(part.cost for part in parts),
        llm_tokens=sum(part.llm_tokens for part in parts),
        llm_cost=_known_sum(part.llm_cost for part in parts),
    )


def mean_scores(spans: Iterable[Json]) -> Json:
    """Return the mean of each score over these spans, as the SDK reads it for the summary of an experiment."""
    given: dict[str, list[float]] = {}
    for span in map(orderly, spans):
        for name, score in span["scores"].items():
            given.setdefault(name, []).append(score)
    unchanged = {"improvements": 0, "regressions": 0}
    return {name: {"name": name, "score": sum(scores) / len(scores), **unchanged} for name, scores in given.items()}


def cost_of(span: Json) -> float | None:
    """Return what one span cost in US dollars, or None where that is not known.

    The span's own `metrics.estimated_cost` if it has one, else its tokens at the price of its own `metadata.model`
    from its own `metadata.provider`. Cached tokens are among the prompt's.
    """
    span = orderly(span)
    metrics, metadata = span["metrics"], span["metadata"]
    if (estimated := metrics.get("estimated_cost")) is not None:
        return estimated
    price = PRICES.get((str(metadata.get("provider")), str(metadata.get("model"))))
    if price is None or not metrics.keys() & {"prompt_tokens", "completion_tokens"}:
        return None
    cached = metrics.get("prompt_cached_tokens") or 0
    uncached = (metrics.get("prompt_tokens") or 0) - cached
    completion = metrics.get("completion_tokens") or 0
    return (uncached * price.prompt + cached * price.cached + completion * price.completion) / 1_000_000


def is_llm(span: Json) -> bool:
    """Return whether the span is a model call, which charts and threads are made of."""
    return (span.get("span_attributes") or {}).get("type") == "llm"


def is_scorers(span: Json) -> bool:
    """Return whether the span is a scorer's, whose tokens are not the application's."""
    attributes = span.get("span_attributes") or {}
    return attributes.get("purpose") == "scorer" or attributes.get("type") == "score"


def _sum(metric: str, spans: Iterable[Json]) -> int:
    return int(sum(span["metrics"].get(metric, 0) for span in spans))


def _total_cost(spans: Iterable[Json]) -> float | None:
    return _known_sum(map(cost_of, spans))


def _known_sum(costs: Iterable[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
