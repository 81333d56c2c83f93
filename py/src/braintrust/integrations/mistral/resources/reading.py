"""What the requests and responses of all resources have in common: parameters, ids, times, errors."""

import datetime
import functools
import io
from collections.abc import Callable, Mapping, Set
from typing import Any

from ..errors import api_error_text
from ..operations import Outcome, Request, RequestReader, ResponseReader
from ..payloads import Loggable, to_loggable, without_none
from ..settings import settings
from .agent_names import agent_name_of
from .shapes import shape_parameter


_LONGEST_TIME = 64
_RESPONSE_FIELDS = ("id", "object", "model", "created", "created_at", "status")


def from_loggable(read: Callable[[dict[str, Loggable]], Outcome]) -> ResponseReader:
    """Return a reader of any response from one that reads its loggable fields; a response without any is the output.

    A framework's own object, or a test's, is read by its attributes if one of them is the usage.
    """

    @functools.wraps(read)
    def read_any(response: Any, request: Request) -> Outcome:
        fields = to_loggable(response)
        if not isinstance(fields, dict) and "usage" in getattr(response, "__dict__", {}):
            fields = to_loggable(vars(response))
        if not isinstance(fields, dict):
            return Outcome(output=fields)
        return with_learned_name(with_requested_model(read(fields), request), request)

    return read_any


def read_value(value: Any, _: Request) -> Outcome:
    """Return what a response logs that may be any value: that value, and nothing else."""
    return Outcome(to_loggable(value))


def with_learned_name(outcome: Outcome, request: Request) -> Outcome:
    """Return the outcome with the name of its agent, if it became known only after the request was read."""
    metadata = outcome.metadata or {}
    agent_id = metadata.get("agent_id", request.metadata.get("agent_id"))
    name = agent_name_of(agent_id)
    if name is None or name == request.metadata.get("agent_name"):
        return outcome
    return outcome._replace(metadata={**metadata, "agent_name": name})


def with_requested_model(outcome: Outcome, request: Request) -> Outcome:
    """Return the outcome with the model that was asked for as well, where another one answered.

    A model that was renamed answers under its new name.
    """
    metadata, requested = outcome.metadata or {}, request.metadata.get("model")
    if requested is None or metadata.get("model") in (None, requested):
        return outcome
    return outcome._replace(metadata={**metadata, "requested_model": requested})


def request_reader(*content: str, shape: Callable[[Loggable], Loggable] | None = None) -> RequestReader:
    """Return a reader of requests that have their content in one argument: the first of these names that was given.

    `shape` makes of the loggable content what is logged.
    """

    def read_request(arguments: Mapping[str, Any]) -> Request:
        metadata = request_metadata(arguments, {*content})
        if not settings().content:
            return Request(metadata=metadata)
        value = to_loggable(next((arguments[name] for name in content if name in arguments), None))
        return Request(value if shape is None else shape(value), metadata)

    return read_request


def with_stream(read: RequestReader, *, streams: bool = False) -> RequestReader:
    """Return a reader that adds whether a call streams: by its method, or by an argument `stream` that is true."""

    def read_request(arguments: Mapping[str, Any]) -> Request:
        request = read(arguments)
        stream = streams or arguments.get("stream") is True
        return request._replace(metadata={**request.metadata, "stream": stream})

    return read_request


def request_metadata(arguments: Mapping[str, Any], content: Set[str] = frozenset()) -> dict[str, Loggable]:
    """Return the parameters of a request that were given, made plain, without those that carry its `content`.

    The request's own `metadata` would mix with the span's, and is logged as `request_metadata`.
    """
    metadata: dict[str, Loggable] = {"provider": "mistral"}
    for name, value in arguments.items():
        if name not in content:
            parameter = shape_parameter(name, to_loggable(value, name))
            if parameter is not None:
                metadata["request_metadata" if name == "metadata" else name] = parameter
    return with_agent_name(metadata)


def with_agent_name(metadata: dict[str, Loggable]) -> dict[str, Loggable]:
    """Return metadata with the name of the agent whose id it has, if that is known."""
    name = agent_name_of(metadata.get("agent_id"))
    return metadata if name is None else {**metadata, "agent_name": name}


def parameters_of(values: Mapping[str, Any]) -> dict[str, Loggable]:
    """Return the arguments of a call that were given, or the fields of what it returned, made plain."""
    parameters = {name: shape_parameter(name, to_loggable(value, name)) for name, value in values.items()}
    return without_none(parameters)


def response_metadata(response: Mapping[str, Loggable]) -> dict[str, Loggable]:
    """Return what a response, made plain, says about itself: its id, its model, when it was created and so on."""
    metadata = without_none({name: response.get(name) for name in _RESPONSE_FIELDS})
    usage = response.get("usage")
    if isinstance(usage, dict) and usage.get("service_tier") is not None:
        metadata["usage_service_tier"] = usage["service_tier"]
    return metadata


def finish_error(finish_reason: Loggable) -> str | None:
    """Return the error of an answer that ended because of one, of which nothing else is known."""
    return "finish_reason: error" if finish_reason == "error" else None


def error_text(error: Loggable) -> str | None:
    """Return the text of an error that a response or an event holds: its message and code."""
    if not isinstance(error, dict):
        return None
    return api_error_text(error.get("message"), error.get("code"))


def unix_time(timestamp: Loggable) -> float | None:
    """Return an ISO 8601 time as Unix seconds; one without an offset is UTC."""
    if not isinstance(timestamp, str) or len(timestamp) > _LONGEST_TIME:
        return None
    return _parse_time(timestamp)


# With model calls shown, each time is read twice: for the order of the entries, and for their spans.
@functools.lru_cache(maxsize=256)
def _parse_time(timestamp: str) -> float | None:
    try:
        # Python 3.10 does not know "Z".
        time = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)).timestamp()


def fields_of(value: Any) -> Mapping[str, Any]:
    """Return the fields of one of the SDK's models, or of the dict that may stand in its place, as they are."""
    return value if isinstance(value, Mapping) else getattr(value, "__dict__", {})


def readable_bytes(content: Any) -> bytes | None:
    """Return the bytes that the SDK is about to send of a file, or `None` where only the SDK may read it."""
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    # A pipe could be read only once.
    if not (hasattr(content, "seekable") and content.seekable()):
        return None
    position = content.tell()
    try:
        if isinstance(content, io.TextIOBase):
            # The SDK reads a text from where it stands.
            return content.read().encode(content.encoding or "utf-8")
        # The HTTP client rewinds everything else.
        content.seek(0)
        return content.read()
    finally:
        content.seek(position)
