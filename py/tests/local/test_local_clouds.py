from typing import Any

import pytest

from braintrust_mistral.local import LocalMistral
from tests.helpers.clouds import CLOUDS, Cloud
from tests.helpers.wire import answer, transports


MESSAGES: Any = [{"role": "user", "content": "Where does Lisbon lie?"}]


@pytest.fixture
def clouds(service: LocalMistral) -> dict[str, Any]:
    return {name: cloud.make(server_url=service.url + _folder(cloud)) for name, cloud in CLOUDS.items()}


def _folder(cloud: Cloud) -> str:
    """Return what an application writes behind the host: where the client names no folder of its own, this is it."""
    asked: list[str] = []

    def handle(request: Any) -> Any:
        asked.append(request.url.path)
        return answer({}, status=404)

    client = cloud.make(server_url="https://bakery.example", **transports(handle))
    with pytest.raises(Exception, match="404"):
        client.chat.complete(model="m", messages=MESSAGES)
    return "/v1" if asked == ["/chat/completions"] else ""


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_completes_chats(clouds: dict[str, Any], cloud: str) -> None:
    client = clouds[cloud]
    answer = client.chat.complete(model="parallel-functions", messages=MESSAGES)
    assert len(answer.choices[0].message.tool_calls) > 1
    events = list(client.chat.stream(model="plain", messages=MESSAGES))
    assert events[-1].data.choices[0].finish_reason == "stop"


def test_google_cloud_fills_in_the_middle(clouds: dict[str, Any]) -> None:
    assert clouds["vertex"].fim.complete(model="codestral-2501", prompt="def fare(").choices[0].message.content
    assert len(list(clouds["vertex"].fim.stream(model="codestral-2501", prompt="def fare("))) > 1


def test_azure_reads_documents(clouds: dict[str, Any]) -> None:
    document = {"type": "document_url", "document_url": "https://example.com/fares.pdf"}
    assert clouds["azure"].ocr.process(model="mistral-ocr-latest", document=document).pages
