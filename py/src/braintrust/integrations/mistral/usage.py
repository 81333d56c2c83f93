"""Usage as metrics."""

from collections.abc import Mapping

from .payloads import Loggable


_METRIC_NAMES = {"total_tokens": "tokens"}


def usage_metrics(usage: Mapping[str, Loggable]) -> dict[str, float]:
    """Return the counts of a `usage` object as metrics: `prompt_tokens`, `completion_tokens`, `tokens`, ….

    What the API did not report is absent, never zero. Every other number keeps its name, so that a counter which
    Mistral adds shows up by itself.
    """
    return {
        _METRIC_NAMES.get(name, name): count
        for name, count in usage.items()
        if type(count) is int or type(count) is float
    }
