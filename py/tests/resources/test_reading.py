import functools
from typing import Any

import pytest
from braintrust.integrations.mistral.operations import Request
from braintrust.integrations.mistral.resources.reading import (
    request_metadata,
    request_reader,
    response_metadata,
    with_stream,
)
from braintrust.integrations.mistral.tracing.arguments import own_arguments

from tests.helpers.wire import Json


try:
    from mistralai.client import models
    from mistralai.client.chat import Chat
    from mistralai.client.types import UNSET
    from mistralai.client.utils import RetryConfig
    from mistralai.client.utils.retries import BackoffStrategy
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.chat import Chat
    from mistralai.types import UNSET
    from mistralai.utils import RetryConfig
    from mistralai.utils.retries import BackoffStrategy

TRANSPORT = {
    "retries": RetryConfig("backoff", BackoffStrategy(1, 2, 1.5, 3), False),
    "server_url": "https://user:password@proxy.example",
    "timeout_ms": 1_000,
    "http_headers": {"authorization": "Bearer secret"},
}


class TestOwnArguments:
    def test_those_of_the_signature_stay_and_transport_settings_go(self) -> None:
        arguments = {"model": "m", "messages": [], "temperature": 0.5}
        assert own_arguments(Chat.complete, {**arguments, **TRANSPORT}) == arguments

    def test_what_the_method_does_not_know_could_be_anything(self) -> None:
        assert own_arguments(Chat.complete, {"model": "m", "api_key": "secret"}) == {"model": "m"}

    def test_a_parameter_of_a_newer_sdk_shows_up(self) -> None:
        def complete(self: Any, *, model: str, foresight: str, http_headers: Any = None) -> None: ...

        assert own_arguments(complete, {"model": "m", "foresight": "high", "http_headers": {}}) == {
            "model": "m",
            "foresight": "high",
        }

    def test_a_method_that_takes_anything_is_given_everything_but_transport_settings(self) -> None:
        def complete(**kwargs: Any) -> None: ...

        assert own_arguments(complete, {"later": 1, **TRANSPORT}) == {"later": 1}

    def test_who_wrapped_the_method_before_us_hides_nothing(self) -> None:
        @functools.wraps(Chat.complete)
        def complete(*args: Any, **kwargs: Any) -> None: ...

        assert own_arguments(complete, {"model": "m", "api_key": "secret"}) == {"model": "m"}


class TestRequestMetadata:
    def test_it_has_what_was_given_and_holds_no_content(self) -> None:
        arguments = {
            "messages": [{"role": "user", "content": "hello"}],
            "stop": "",
            "response_format": {},
            "model": None,
            "max_tokens": UNSET,
            "tools": [models.WebSearchTool()],
            "safe_prompt": False,
        }
        assert request_metadata(arguments, {"messages"}) == {
            "provider": "mistral",
            "stop": "",
            "response_format": {},
            "tools": [{"type": "web_search"}],
            "safe_prompt": False,
        }

    def test_the_requests_own_metadata_keeps_apart_from_the_spans(self) -> None:
        assert request_metadata({"metadata": {"provider": "caller"}}, set()) == {
            "provider": "mistral",
            "request_metadata": {"provider": "caller"},
        }


@pytest.mark.parametrize(
    ("given", "stream"), [(True, True), (False, False), (None, False), (UNSET, False), ("yes", False)]
)
def test_a_stream_argument_that_is_true_says_so_and_no_other_does(given: Any, stream: bool) -> None:
    read = with_stream(request_reader("messages"))
    assert read({"messages": "Rye?", "stream": given}) == Request("Rye?", {"provider": "mistral", "stream": stream})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            {"id": "c1", "object": "chat.completion", "model": "m", "created": 7, "choices": []},
            {"id": "c1", "object": "chat.completion", "model": "m", "created": 7},
        ),
        ({"id": "c1", "usage": {"service_tier": "standard"}}, {"id": "c1", "usage_service_tier": "standard"}),
        ({"usage": {"service_tier": None}, "model": None}, {}),
        ({"usage": "none"}, {}),
    ],
)
def test_a_response_says_what_it_is_as_far_as_it_does(response: Json, expected: Json) -> None:
    assert response_metadata(response) == expected
