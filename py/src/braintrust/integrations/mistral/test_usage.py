from .usage import usage_metrics


def test_usage_metrics_take_the_names_of_the_contract() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 8, "connector_tokens": 5}
    assert usage_metrics(usage) == {"prompt_tokens": 1, "completion_tokens": 2, "tokens": 8, "connector_tokens": 5}


def test_what_was_not_reported_is_absent_and_a_reported_zero_stays() -> None:
    assert usage_metrics({"prompt_tokens": 0, "completion_tokens": None, "connectors": {"web_search": 1}}) == {
        "prompt_tokens": 0
    }


def test_a_counter_that_mistral_adds_keeps_its_name() -> None:
    assert usage_metrics({"image_tokens": 7, "cached": True}) == {"image_tokens": 7}
