"""What the requests and responses of all resources have in common: parameters, ids, times, errors."""

import datetime
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from .operations import Request, RequestReader
from .payloads import Loggable, is_given, plain


# They tell the SDK how to send a request; the last may hold keys.
_TRANSPORT_SETTINGS = frozenset({"retries", "server_url", "timeout_ms", "http_headers"})

_RESPONSE_FIELDS = ("id", "object", "model", "created", "created_at", "status")


def own_arguments(
    method: Callable[..., Any], named: Mapping[str, Any], positional: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return the arguments that the method's signature names, without those that only say how to send the request.

    Whatever else was passed is a mistake, which the method is about to refuse, and could be anything.
    """
    function = getattr(method, "__func__", None)
    parameters = _parameters(method) if function is None else _parameters(function, is_bound=True)
    return {
        name: value
        for name, value in {**dict(zip(parameters or (), positional, strict=False)), **named}.items()
        if name not in _TRANSPORT_SETTINGS and (parameters is None or name in parameters)
    }


def request_reader(*content: str) -> RequestReader:
    """Return a reader of requests that have their content in one argument: the first of these names that was given."""

    def read_request(arguments: Mapping[str, Any]) -> Request:
        value = next((arguments[name] for name in content if name in arguments), None)
        return Request(plain(value), request_metadata(arguments, {*content}))

    return read_request


def with_stream(read: RequestReader, *, streams: bool = False) -> RequestReader:
    """Return a reader that adds whether a call streams: by its method, or by an argument `stream` that is true."""

    def read_request(arguments: Mapping[str, Any]) -> Request:
        request = read(arguments)
        stream = streams or arguments.get("stream") is True
        return request._replace(metadata={**request.metadata, "stream": stream})

    return read_request


def request_metadata(arguments: Mapping[str, Any], content: Set[str]) -> dict[str, Loggable]:
    """Return the parameters of a request that were given, made plain, without those that carry its `content`.

    The request's own `metadata` would mix with the span's, and is logged as `request_metadata`.
    """
    metadata: dict[str, Loggable] = {"provider": "mistral"}
    for name, value in arguments.items():
        if name not in content and is_given(value):
            metadata["request_metadata" if name == "metadata" else name] = plain(value, name)
    return metadata


def response_metadata(response: Mapping[str, Loggable]) -> dict[str, Loggable]:
    """Return what a response, made plain, says about itself: its id, its model, when it was created and so on."""
    metadata = known({name: response.get(name) for name in _RESPONSE_FIELDS})
    usage = response.get("usage")
    if isinstance(usage, dict) and usage.get("service_tier") is not None:
        metadata["usage_service_tier"] = usage["service_tier"]
    return metadata


def known(values: Mapping[str, Loggable]) -> dict[str, Loggable]:
    """Return the values without those that are `None`."""
    return {name: value for name, value in values.items() if value is not None}


def error_text(error: Loggable) -> str | None:
    """Return the text of an error that a response or an event holds: its message and code."""
    if not isinstance(error, dict):
        return None
    message, code = error.get("message"), error.get("code")
    return f"{message} (code {code})" if code is not None else str(message)


def unix_time(timestamp: Loggable) -> float | None:
    """Return an ISO 8601 time as Unix seconds; one without an offset is UTC."""
    if not isinstance(timestamp, str):
        return None
    try:
        # Python 3.10 does not know "Z".
        time = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)).timestamp()


@functools.lru_cache(maxsize=1024)
def _parameters(function: Callable[..., Any], is_bound: bool = False) -> dict[str, None] | None:
    """Return the names of a function's parameters in order, the instance aside, or `None` where it takes any."""
    parameters = list(inspect.signature(function).parameters.values())[is_bound:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    # Looked into for every argument of every call.
    return dict.fromkeys(parameter.name for parameter in parameters)
