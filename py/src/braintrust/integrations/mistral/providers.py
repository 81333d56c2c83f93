"""The clients that Mistral publishes: of its own API, and of the clouds that run its models."""

import functools
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Provider(NamedTuple):
    """Who runs Mistral's models, and is called through a client of its own.

    Attributes:
        name: as prices are listed under it.
        packages: where its client's resources live: from 2.0 on, and in 1.x.
    """

    name: str
    packages: tuple[str, str]


MISTRAL = Provider("mistral", ("mistralai.client", "mistralai"))
AZURE = Provider("azure", ("mistralai.azure.client", "mistralai_azure"))
VERTEX = Provider("vertex", ("mistralai.gcp.client", "mistralai_gcp"))


def is_sdk_class(kind: type[Any]) -> bool:
    """Tell whether a class is one of Mistral's clients' own."""
    return kind.__module__.partition(".")[0].startswith("mistralai")


def sdk_class(kind: type[Any]) -> type[Any]:
    """Return the nearest class of Mistral's that a class derives from; itself, where it derives from none."""
    return next(filter(is_sdk_class, kind.__mro__), kind)


@functools.lru_cache(maxsize=256)
def provider_of(kind: type[Any]) -> str:
    """Return the provider to which a resource of this class sends its requests."""
    module = f"{sdk_class(kind).__module__}."
    clouds = (AZURE, VERTEX)
    found = (cloud for cloud in clouds if module.startswith(tuple(f"{package}." for package in cloud.packages)))
    return next(found, MISTRAL).name


def deployment_host(resource: Any, server_url: str | None) -> str | None:
    """Return the host, with its port, of the deployment that a resource calls; never a password or a path of its URL.

    `server_url` is the one that a call was told to use instead.
    """
    url = server_url or resource.sdk_configuration.get_server_details()[0]
    return urlsplit(url).netloc.rpartition("@")[2] or None
