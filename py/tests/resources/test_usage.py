from typing import Any

import pytest
from braintrust.integrations.mistral.resources.usage import usage_metrics
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.wire import Json


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "total_tokens", "connectors", "later"]),
        st.none() | st.booleans() | st.text() | st.lists(st.integers()) | st.integers() | st.floats(allow_nan=False),
    )
)
def test_every_number_is_a_metric_and_nothing_else_is(usage: Json) -> None:
    numbers = {name: count for name, count in usage.items() if type(count) in (int, float)}
    assert list(usage_metrics(usage).values()) == list(numbers.values())
    assert set(usage_metrics(usage)) == {name.replace("total_tokens", "tokens") for name in numbers}


SPELLINGS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {},
    optional={
        "num_cached_tokens": st.integers(0, 9),
        **{
            name: st.fixed_dictionaries({"cached_tokens": st.integers(0, 9)})
            for name in ("prompt_tokens_details", "prompt_token_details", "input_tokens_details")
        },
    },
)


@given(SPELLINGS.flatmap(lambda usage: st.permutations(list(usage.items()))))
def test_of_any_spellings_in_any_order_the_largest_counts(items: list[tuple[str, Any]]) -> None:
    counts = [count if isinstance(count, int) else count["cached_tokens"] for _, count in items]
    assert usage_metrics(dict(items)) == ({"prompt_cached_tokens": max(counts)} if counts else {})


@pytest.mark.parametrize(
    ("usage", "metrics"),
    [
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 8, "connector_tokens": 5},
            {"prompt_tokens": 1, "completion_tokens": 2, "tokens": 8, "connector_tokens": 5},
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": None, "by": {"a": 1}}},
            {"prompt_tokens": 9, "prompt_cached_tokens": 4},
        ),
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, {"completion_reasoning_tokens": 0}),
        ({"prompt_token_details": {"cached_tokens": 4}}, {"prompt_cached_tokens": 4}),
        ({"num_cached_tokens": 4}, {"prompt_cached_tokens": 4}),
        # Spellings that contradict each other.
        ({"num_cached_tokens": 0, "prompt_tokens_details": {"cached_tokens": 4}}, {"prompt_cached_tokens": 4}),
        ({"prompt_tokens_details": {"cached_tokens": 0}, "num_cached_tokens": 4}, {"prompt_cached_tokens": 4}),
        (
            {"prompt_tokens_details": {"cached_tokens": 4}, "prompt_token_details": {"cached_tokens": 3}},
            {"prompt_cached_tokens": 4},
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "total_tokens": 16,
                "prompt_audio_seconds": 2,
                "prompt_tokens_details": {"audio_tokens": 9, "total_tokens": 12},
            },
            {
                "prompt_tokens": 3,
                "completion_tokens": 4,
                "tokens": 16,
                "prompt_audio_seconds": 2,
                "prompt_audio_tokens": 9,
                "prompt_total_tokens": 12,
            },
        ),
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
                "prompt_cache_creation_tokens": 2,
                "completion_reasoning_tokens": 3,
            },
        ),
    ],
)
def test_counts_have_the_names_of_the_contract_and_details_are_named_after_what_they_detail(
    usage: Json, metrics: Json
) -> None:
    assert usage_metrics(usage) == metrics


@pytest.mark.parametrize("usage", [None, [], "none", 3])
def test_what_is_no_usage_has_no_metrics(usage: Any) -> None:
    assert usage_metrics(usage) == {}
