from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .payloads import plain
from .usage import usage_metrics


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


def test_usage_metrics_take_the_names_of_the_contract() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 8, "connector_tokens": 5}
    assert usage_metrics(usage) == {"prompt_tokens": 1, "completion_tokens": 2, "tokens": 8, "connector_tokens": 5}


def test_what_was_not_reported_is_absent_and_a_reported_zero_stays() -> None:
    assert usage_metrics({"prompt_tokens": 0, "completion_tokens": None, "connectors": {"web_search": 1}}) == {
        "prompt_tokens": 0
    }


@pytest.mark.parametrize(
    ("reported", "metrics"),
    [
        ({}, {}),
        ({"prompt_tokens": 3}, {"prompt_tokens": 3}),
        ({"total_tokens": 0, "connector_tokens": None, "connectors": None}, {"tokens": 0}),
        ({"connector_tokens": 4, "connectors": {"web_search": 1, "web_search_mcp": 2}}, {"connector_tokens": 4}),
    ],
)
def test_the_zeros_that_the_sdk_fills_in_are_no_metrics(reported: dict[str, Any], metrics: dict[str, float]) -> None:
    usage = plain(models.ConversationUsageInfo.model_validate(reported))
    assert isinstance(usage, dict)
    assert usage_metrics(usage) == metrics


def test_a_counter_that_mistral_adds_keeps_its_name() -> None:
    assert usage_metrics({"image_tokens": 7, "cached": True}) == {"image_tokens": 7}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "total_tokens", "connectors", "later"]),
        st.none() | st.booleans() | st.text() | st.lists(st.integers()) | st.integers() | st.floats(allow_nan=False),
    )
)
def test_every_number_is_a_metric_and_nothing_else_is(usage: dict[str, Any]) -> None:
    numbers = {name: count for name, count in usage.items() if type(count) in (int, float)}
    assert list(usage_metrics(usage).values()) == list(numbers.values())
    assert set(usage_metrics(usage)) == {name.replace("total_tokens", "tokens") for name in numbers}


@pytest.mark.parametrize(
    ("usage", "metrics"),
    [
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": None, "by": {"a": 1}}},
            {"prompt_tokens": 9, "prompt_cached_tokens": 4},
        ),
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, {"completion_reasoning_tokens": 0}),
        ({"prompt_token_details": {"cached_tokens": 4}}, {"prompt_cached_tokens": 4}),
        (
            {
                "input_tokens": 3,
                "output_tokens": 4,
                "total_tokens": 7,
                "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "tokens": 7,
                "prompt_cached_tokens": 1,
                "prompt_cache_write_tokens": 2,
                "completion_reasoning_tokens": 3,
            },
        ),
    ],
)
def test_details_are_named_after_what_they_detail(usage: dict[str, Any], metrics: dict[str, float]) -> None:
    assert usage_metrics(usage) == metrics


@pytest.mark.parametrize("usage", [None, [], "none", 3])
def test_what_is_no_usage_has_no_metrics(usage: Any) -> None:
    assert usage_metrics(usage) == {}
