"""Usage as metrics."""

from collections.abc import Iterator

from ..payloads import Loggable


_METRIC_NAMES = {
    "total_tokens": "tokens",
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    # January to June 2026; details have it since.
    "num_cached_tokens": "prompt_cached_tokens",
    "prompt_cache_write_tokens": "prompt_cache_creation_tokens",
}

_DETAILS = {
    "prompt_tokens_details": "prompt",
    # A spelling that occurs.
    "prompt_token_details": "prompt",
    "input_tokens_details": "prompt",
    "completion_tokens_details": "completion",
    "output_tokens_details": "completion",
}


def usage_metrics(usage: Loggable) -> dict[str, float]:
    """Return the counts of a `usage` object as metrics: `prompt_tokens`, `completion_tokens`, `tokens`, ….

    What the API did not report is absent, never zero. Every other number keeps its name, so that a counter which
    Mistral adds shows up by itself; those of `prompt_tokens_details` are `prompt_cached_tokens` and so on. The API has
    had several spellings of the same count: where two contradict each other, the larger one is meant.
    """
    metrics: dict[str, float] = {}
    for name, count in _counts(usage):
        metric = _METRIC_NAMES.get(name, name)
        metrics[metric] = max(count, metrics.get(metric, count))
    return metrics


def _counts(usage: Loggable, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a `usage` object, those of its details after what they detail."""
    for name, count in usage.items() if isinstance(usage, dict) else ():
        if type(count) is int or type(count) is float:
            yield f"{prefix}{name}", count
        elif name in _DETAILS:
            yield from _counts(count, f"{_DETAILS[name]}_")
