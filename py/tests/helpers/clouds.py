"""Real clients of all providers that run Mistral's models, and what their spans say of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.helpers.wire import Handler, Json, client_of, transports


class Cloud(NamedTuple):
    """A provider, what makes its client with two HTTP clients, and what its spans say of it in their metadata."""

    make: Callable[..., Any]
    about: Json


def _azure(server_url: str = "https://user:secret@bakery.azure.example:8443/path", **http: Any) -> Any:
    try:
        from mistralai.azure.client import MistralAzure
    except ImportError:
        from mistralai_azure import MistralAzure  # 1.x

        return MistralAzure(azure_api_key="key", azure_endpoint=server_url, **http)
    return MistralAzure(api_key="key", server_url=server_url, **http)


def _vertex(server_url: str | None = None, **http: Any) -> Any:
    try:
        from mistralai.gcp.client import MistralGCP
    except ImportError:
        from mistralai_gcp import MistralGoogleCloud as MistralGCP  # 1.x

    client = MistralGCP(project_id="bakery", region="europe-west4", access_token="key", **http)
    if server_url is not None:
        # 1.x has no argument for it.
        client.sdk_configuration.server_url = server_url
    return client


CLOUDS = {
    "azure": Cloud(_azure, {"provider": "azure", "host": "bakery.azure.example:8443"}),
    "vertex": Cloud(_vertex, {"provider": "vertex", "host": "europe-west4-aiplatform.googleapis.com"}),
}


def about(provider: str) -> Json:
    """Return what the metadata of a provider's spans says of it."""
    return CLOUDS[provider].about if provider in CLOUDS else {"provider": provider}


def client_at(provider: str, handler: Handler) -> Any:
    """Return a real client of a provider, which a function answers, see `client_of`."""
    return CLOUDS[provider].make(**transports(handler)) if provider in CLOUDS else client_of(handler)


def at(*providers: str) -> pytest.MarkDecorator:
    """Run a test with the client of Mistral's own API and with these, all of which the fixture `provider` names."""
    return pytest.mark.parametrize("provider", ["mistral", *providers], indirect=True)
