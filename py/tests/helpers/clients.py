"""The clients of the installed mistralai, and every public method that they have."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.helpers.clouds import CLOUDS
from tests.helpers.wire import answer, client_of


class Method(NamedTuple):
    """A method: the path of its resource, its name there, and the function."""

    path: str
    name: str
    function: Any

    def __str__(self) -> str:
        return f"{self.path}.{self.name}".lstrip(".")


# What every resource has to send its own requests, and a client to find its resources.
_MACHINERY = {"do_request", "do_request_async", "dynamic_import"}


def all_clients() -> list[Any]:
    """Return a client of each provider."""
    return [client_of(lambda _: answer({})), *(cloud.make() for cloud in CLOUDS.values())]


def methods_of(resource: Any, path: str = "") -> Iterator[Method]:
    """Yield the public methods of a client, or of a resource at a path, and of all resources below."""
    kind = type(resource)
    for name, value in inspect.getmembers_static(kind):
        if name.startswith("_") or name in _MACHINERY:
            continue
        if callable(getattr(value, "__get__", None)) and callable(getattr(kind, name, None)):
            yield Method(path, name, getattr(kind, name))
    for name in _resources_of(resource):
        try:
            below = getattr(resource, name)
        except ImportError:
            # It needs an extra that is not installed.
            continue
        yield from methods_of(below, f"{path}.{name}".lstrip("."))


def _resources_of(resource: Any) -> list[str]:
    made_when_asked_for = getattr(type(resource), "_sub_sdk_map", {})
    properties = [name for name, value in vars(type(resource)).items() if isinstance(value, property)]
    now = [name for name, value in vars(resource).items() if _is_resource(value) and name != "parent_ref"]
    return [name for name in dict.fromkeys([*made_when_asked_for, *properties, *now]) if not name.startswith("_")]


def _is_resource(value: Any) -> bool:
    bases = {base.__name__ for base in type(value).__mro__}
    return type(value).__module__.startswith("mistralai") and "BaseSDK" in bases
