import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import requests

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.helpers.traced import Traced


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral


class Http:
    """The service without an SDK, for what the SDKs hide."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str) -> requests.Response:
        return requests.get(self._url + path, timeout=10)

    def post(self, path: str, **content: Any) -> requests.Response:
        return requests.post(self._url + path, timeout=10, **content)

    def refused_at(self, path: str, **content: Any) -> list[str | int]:
        """The place in a request that the service cannot process."""
        response = self.post(path, **content)
        assert response.status_code == 422
        return response.json()["detail"][0]["loc"]

    def stream(self, path: str, **body: Any) -> list[Any]:
        """The data of a streamed answer's events, each of its name's type; what is no JSON stays a text."""
        response = self.post(path, json={**body, "stream": True})
        assert response.headers["content-type"].startswith("text/event-stream")
        events: list[Any] = []
        for block in response.content.decode().split("\n\n")[:-1]:
            name, _, data = block.partition("data: ")
            events.append(json.loads(data) if data.startswith("{") else data)
            assert not name or name == f"event: {events[-1]['type']}\n"
        return events


@pytest.fixture(scope="session")
def service() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.0) as running:
        yield running


@pytest.fixture
def mistral(service: LocalMistral) -> LocalMistral:
    service.requests.clear()
    service.conversations.clear()
    return service


@pytest.fixture
def bt() -> Iterator[LocalBraintrust]:
    with LocalBraintrust() as service:
        yield service


@pytest.fixture(scope="session")
def sdk(service: LocalMistral) -> Iterator[Mistral]:
    with Mistral(api_key="local", server_url=service.url) as client:
        yield client


# The connections of an asynchronous client belong to one event loop, and each test has its own.
@pytest_asyncio.fixture
async def async_sdk(service: LocalMistral) -> AsyncIterator[Mistral]:
    async with Mistral(api_key="local", server_url=service.url) as client:
        yield client


@pytest.fixture
def http(mistral: LocalMistral) -> Http:
    return Http(mistral.url)


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    return Traced(tmp_path)
