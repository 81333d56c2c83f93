"""A pytest plugin for `nox -s record`: where the cassettes of `test_mistral.py` are recorded from.

Loaded with `-p`, so that what Braintrust could take needs no local Mistral. With `MISTRAL_API_KEY`, the real Mistral
answers all tests but those that it cannot be made to answer as they need it; without, the local one answers all.
"""

import os
from collections.abc import Iterator

import pytest

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral import completion_scenarios, response_items, scenarios


try:
    from mistralai.client.sdkconfiguration import SERVERS
except ImportError:  # 1.x
    from mistralai.sdkconfiguration import SERVERS


SCENARIOS = {
    "chat_complete_cached": "cached",
    "chat_complete_function_result": "parallel-functions",
    "chat_stream_citations": "citations",
    "chat_stream_parallel_functions": "parallel-functions",
    "chat_stream_thinking": "thinking",
    "responses_create_stream_parallel_functions": "parallel-functions",
    "conversations_start_web_search": "web-search",
    "conversations_start_stream_code_interpreter": "code-interpreter",
    "conversations_start_image_generation": "image-generation",
    "conversations_start_stream_parallel_tools": "parallel-tools",
    "conversations_start_handoff": "handoff",
    "conversations_start_stream_thinking": "thinking",
    "conversations_start_guardrails": "guardrails",
    "conversations_append_function_result": "function-call",
    "conversations_append_stream_function_result": "function-call",
    "conversations_append_confirmation": "confirmation",
}
"""What the local Mistral plays whatever a request names: real models, so that the real one could answer as well."""

ONLY_LOCAL = (
    # It does not cache, cite, moderate, hand over or ask back on demand,
    "chat_complete_cached",
    "chat_stream_citations",
    "conversations_start_stream_parallel_tools",
    "conversations_start_handoff",
    "conversations_start_guardrails",
    "conversations_append_confirmation",
    # and has neither our agents nor our classifiers, connectors, indexes, libraries and workflows.
    "agents_",
    "classifiers_classify",
    "connectors_",
    "context_search_indexes_",
    "conversations_start_agent",
    "libraries_documents_",
    "rag_managed_indexes_",
    "workflows_",
)
"""The beginnings of the tests that the real Mistral cannot be made to answer as they need it."""


def pytest_configure(config: pytest.Config) -> None:
    """Let clients go without being closed: only here have they sockets."""
    for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        config.addinivalue_line("filterwarnings", f"ignore::{warning}")


@pytest.fixture(autouse=True)
def answering_mistral(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have new clients send their requests to the local Mistral, unless the real one is to answer this test."""
    test = request.node.name.removeprefix("test_wrap_mistral_")
    if os.environ.get("MISTRAL_API_KEY") and not test.startswith(ONLY_LOCAL):
        yield
        return
    if scenario := SCENARIOS.get(test.rpartition("_")[0]):
        _always_play(scenario, monkeypatch)
    with LocalMistral(pace=0.02) as server:
        for name in SERVERS:
            monkeypatch.setitem(SERVERS, name, server.url)
        yield


def _always_play(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogues = {"conversations": scenarios, "completions": completion_scenarios, "responses": response_items}
    for endpoints, catalogue in catalogues.items():
        chosen = catalogue.scenario(scenario)
        monkeypatch.setattr(f"braintrust_mistral.local.mistral.{endpoints}.scenario", lambda *_, chosen=chosen: chosen)
