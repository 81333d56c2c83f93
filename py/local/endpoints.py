"""What the local Mistral's endpoints have in common: requests as they arrived, the table of routes, checks."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeGuard

from starlette.requests import Request
from starlette.responses import Response

from local.answers import Json
from local.errors import RefusedError, validation_error


@dataclass(frozen=True)
class Received:
    """A request as it arrived: `body` is the parsed JSON, None where there was none or where it was malformed."""

    method: str
    path: str
    path_params: dict[str, str]
    query: dict[str, str]
    body: Any


class Endpoint(NamedTuple):
    """A row of the table of routes. `serve` answers a request, or raises a `RefusedError`."""

    method: str
    path: str
    serve: Callable[[Received], Awaitable[Response]]


EndpointTable: TypeAlias = list[Endpoint]


async def received(request: Request) -> Received:
    """Read a request."""
    content = await request.body()
    try:
        body = json.loads(content) if content else None
    except ValueError:
        body = None
    return Received(request.method, request.url.path, dict(request.path_params), dict(request.query_params), body)


def is_object(value: object) -> TypeGuard[Json]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a JSON array."""
    return isinstance(value, list)


def json_object(value: object, location: list[str | int], required: set[str], allowed: set[str] | None = None) -> Json:
    """A value as an object, its null fields left out; a 422 where it is none, lacks a field or has one too many."""
    if not is_object(value):
        raise RefusedError(validation_error("dict_type", location, "Input should be a valid dictionary", value))
    fields = {key: field for key, field in value.items() if field is not None}
    for name in sorted(required - fields.keys()):
        raise RefusedError(validation_error("missing", [*location, name], "Field required", fields))
    for name in sorted(fields.keys() - allowed) if allowed is not None else ():
        problem = validation_error(
            "extra_forbidden", [*location, name], "Extra inputs are not permitted", fields[name]
        )
        raise RefusedError(problem)
    return fields


def json_objects(value: object, location: list[str | int]) -> list[Json]:
    """A value as a list of objects, their null fields left out; a 422 where it is none."""
    if not is_list(value):
        raise RefusedError(validation_error("list_type", location, "Input should be a valid list", value))
    return [json_object(item, [*location, index], required=set()) for index, item in enumerate(value)]
