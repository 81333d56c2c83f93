"""The clients for Azure and for Google Cloud: the spans of Mistral's own client, with a provider and a host."""

import asyncio
import operator
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from braintrust.integrations.mistral import wrap_mistral
from braintrust.integrations.mistral.providers import deployment_host

from tests.conftest import LoggedSpans
from tests.helpers.clouds import CLOUDS, client_at
from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import USAGE, Json, answer, answer_stream


ASKED: Json = {"messages": [{"role": "user", "content": "Which flour?"}]}
GAP: Json = {"prompt": "flour = "}
SCAN: Json = {"document": {"type": "document_url", "document_url": "https://example.com/bread.pdf"}}

CALLS = [
    (provider, path, arguments)
    for provider, paths in {
        "azure": {"chat.complete": ASKED, "chat.stream": ASKED, "ocr.process": SCAN},
        "vertex": {"chat.complete": ASKED, "chat.stream": ASKED, "fim.complete": GAP, "fim.stream": GAP},
    }.items()
    for path, arguments in paths.items()
]


def handle(request: Any) -> Any:
    """Answer any call as its API does."""
    call = {"id": "call_1", "function": {"name": "bake", "arguments": '{"flour": "rye"}'}, "index": 0}
    said: Json = {"role": "assistant", "content": "Rye.", "tool_calls": [call]}
    about: Json = {"id": "cmpl1", "model": "mistral-small-2603", "created": 0}
    body = request.read().decode()
    if "document" in body:
        page: Json = {"index": 0, "markdown": "# Rye", "images": [], "dimensions": None}
        return answer({"pages": [page], "model": "mistral-ocr-2512", "usage_info": {"pages_processed": 1}})
    if '"stream":true' in body.replace(" ", ""):
        choice = {"index": 0, "delta": said, "finish_reason": "tool_calls"}
        return answer_stream([{**about, "object": "chat.completion.chunk", "choices": [choice], "usage": USAGE}])
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls"}
    return answer({**about, "object": "chat.completion", "choices": [choice], "usage": USAGE})


def call_sync(client: Any, path: str, arguments: Json) -> None:
    result = operator.attrgetter(path)(client)(model="mistral-small-2603", **arguments)
    if path.endswith("stream"):
        assert len(list(result)) == 1


def call_async(client: Any, path: str, arguments: Json) -> None:
    async def call() -> None:
        result = await operator.attrgetter(f"{path}_async")(client)(model="mistral-small-2603", **arguments)
        if path.endswith("stream"):
            assert len([event async for event in result]) == 1

    asyncio.run(call())


@pytest.mark.parametrize("set_up", [lambda client: client, wrap_mistral], ids=["auto_instrument", "wrap_mistral"])
@pytest.mark.parametrize("call", [call_sync, call_async])
@pytest.mark.parametrize(("provider", "path", "arguments"), CALLS)
def test_a_cloud_has_the_spans_of_mistral_with_its_provider_and_host(
    provider: str,
    path: str,
    arguments: Json,
    call: Callable[[Any, str, Json], None],
    set_up: Callable[[Any], Any],
    spans: LoggedSpans,
) -> None:
    def logged(provider: str) -> LoggedSpan:
        call(set_up(client_at(provider, handle)), path, arguments)
        (span,) = logged_calls(spans.pop())
        return span

    expected = logged("mistral")
    times = {name: span for name in ("duration", "time_to_first_token") if (span := expected.metrics.get(name))}
    found = logged(provider)
    assert found.metrics.keys() == expected.metrics.keys()
    assert found == expected._replace(
        metadata={**expected.metadata, **CLOUDS[provider].about},
        metrics={**expected.metrics, **{name: found.metrics[name] for name in times}},
        seconds=found.seconds,
        children=tuple(
            child._replace(seconds=other.seconds)
            for child, other in zip(expected.children, found.children, strict=True)
        ),
    )


def test_the_host_is_that_of_the_call(spans: LoggedSpans) -> None:
    client = client_at("azure", handle)
    client.chat.complete(model="m", server_url="https://me:secret@other.example/v1?key=secret", **ASKED)
    assert spans.pop()[0]["metadata"]["host"] == "other.example"


@pytest.mark.parametrize("url", ["", "other.example/v1?key=secret", "https:///v1", "https://key@"])
def test_what_is_no_url_has_no_host(url: str) -> None:
    class Resource:
        class sdk_configuration:  # noqa: N801
            @staticmethod
            def get_server_details() -> tuple[str, Json]:
                return url, {}

    assert deployment_host(Resource(), None) is None


IMPORTS = """
import sys
from braintrust.integrations.mistral import MistralIntegration
from braintrust.integrations.mistral.patching import MethodPatcher
assert MistralIntegration.setup() and MistralIntegration.setup()
resources = {patcher.target_module for resource in MistralIntegration.patchers for patcher in resource.sub_patchers}
assert not (resources | {"mistralai.azure", "mistralai.gcp", "google.auth"}) & sys.modules.keys()
from tests.helpers.clouds import CLOUDS
for cloud in CLOUDS.values():
    client = cloud.make()
    assert MethodPatcher.has_patch_marker(type(client.chat).complete)
"""


def test_setting_up_imports_no_resource_of_any_client_and_traces_them_once_they_are_imported() -> None:
    run = subprocess.run([sys.executable, "-c", IMPORTS], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
