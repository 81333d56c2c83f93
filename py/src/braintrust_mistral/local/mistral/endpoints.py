"""What the local Mistral's endpoints have in common: requests as they arrived, the table of routes, checks."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from starlette.requests import Request
from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.errors import RefusedError, validation_error
from braintrust_mistral.local.mistral.forms import Upload, parsed_form


@dataclass(frozen=True)
class Received:
    """A request as it arrived.

    `body` is the parsed JSON, None where there was none or where it was malformed. Of a form it is the fields, and
    `files` are the form's files by the names of their fields.
    """

    method: str
    path: str
    path_params: dict[str, str]
    query: dict[str, str]
    body: Any
    files: dict[str, Upload] = field(default_factory=dict[str, Upload])


class Endpoint(NamedTuple):
    """A row of the table of routes. `serve` answers a request, or raises a `RefusedError`."""

    method: str
    path: str
    serve: Callable[[Received], Awaitable[Response]]


async def received(request: Request) -> Received:
    """Read a request."""
    content = await request.body()
    kind = request.headers.get("content-type", "")
    files: dict[str, Upload] = {}
    if kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        body, files = parsed_form(kind, content)
    else:
        body = _json(content)
    where = (request.url.path, dict(request.path_params), dict(request.query_params))
    return Received(request.method, *where, body, files)


def is_object(value: object) -> TypeGuard[Json]:
    """Return whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether a value is a JSON array."""
    return isinstance(value, list)


def json_object(value: object, location: list[str | int], required: set[str], allowed: set[str] | None = None) -> Json:
    """Return an object without its null fields; refuse what is none, lacks a field or has one too many, by a 422."""
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
    """Return a list of objects without their null fields; refuse what is none, by a 422."""
    if not is_list(value):
        raise RefusedError(validation_error("list_type", location, "Input should be a valid list", value))
    return [json_object(item, [*location, index], required=set()) for index, item in enumerate(value)]


def texts(value: object, location: list[str | int]) -> list[str]:
    """Return a text or a list of texts as a list; refuse what is neither, by a 422."""
    given = [value] if isinstance(value, str) else value
    if not is_list(given) or not all(isinstance(item, str) for item in given):
        raise RefusedError(validation_error("string_type", location, "Input should be a valid string", value))
    return given


def token_count(given: object) -> int:
    """About how many tokens something given is, going by its length as JSON."""
    return len(json.dumps(given)) // 4


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None
