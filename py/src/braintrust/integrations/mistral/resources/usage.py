"""Usage as metrics."""

from ..payloads import Loggable


_METRIC_NAMES = {"total_tokens": "tokens", "input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}

_DETAILS = {
    "prompt_tokens_details": "prompt",
    "prompt_token_details": "prompt",
    "input_tokens_details": "prompt",
    "completion_tokens_details": "completion",
    "output_tokens_details": "completion",
}


def usage_metrics(usage: Loggable) -> dict[str, float]:
    """Return the counts of a `usage` object as metrics: `prompt_tokens`, `completion_tokens`, `tokens`, ….

    What the API did not report is absent, never zero. Every other number keeps its name, so that a counter which
    Mistral adds shows up by itself; those of `prompt_tokens_details` are `prompt_cached_tokens` and so on.
    """
    metrics: dict[str, float] = {}
    for name, count in usage.items() if isinstance(usage, dict) else ():
        if type(count) is int or type(count) is float:
            metrics[_METRIC_NAMES.get(name, name)] = count
        elif name in _DETAILS:
            metrics.update({f"{_DETAILS[name]}_{detail}": number for detail, number in usage_metrics(count).items()})
    return metrics
