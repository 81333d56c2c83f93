"""The arguments of a call that are the method's own."""

import contextlib
import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..faults import guarded
from ..payloads import Loggable, to_loggable


# They tell the SDK how to send a request; the last may hold keys.
_TRANSPORT_SETTINGS = frozenset({"retries", "server_url", "timeout_ms", "http_headers"})


def own_arguments(
    method: Callable[..., Any], named: Mapping[str, Any], positional: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return the arguments that the method's signature names, without those that only say how to send the request.

    Whatever else was passed is a mistake, which the method is about to refuse, and could be anything.
    """
    function = getattr(method, "__func__", None)
    parameters = _parameters(method, False) if function is None else _parameters(function, True)
    if positional:
        by_position = [name for name, is_positional in (parameters or {}).items() if is_positional]
        named = {**dict(zip(by_position, positional, strict=False)), **named}
    return {
        name: value
        for name, value in named.items()
        if name not in _TRANSPORT_SETTINGS and (parameters is None or name in parameters)
    }


@guarded(fallback=None)
def pop_prompt(named: dict[str, Any]) -> Loggable:
    """Take `span_info` out of the arguments of a call, and return which prompt it says they were built from.

    `build()` of a Braintrust prompt puts it there, and no API knows it. `None` where it is not there, or names none.
    """
    return None if "span_info" not in named else _prompt(named.pop("span_info"))


@guarded(fallback=None)
def _prompt(span_info: Any) -> Loggable:
    fields = to_loggable(span_info)
    metadata = fields.get("metadata") if isinstance(fields, dict) else None
    return metadata.get("prompt") if isinstance(metadata, dict) else None


# By function, and only as long as that is there: an application may decorate a method anew for each request.
_known_parameters: weakref.WeakKeyDictionary[Callable[..., Any], dict[str, bool] | None] = weakref.WeakKeyDictionary()


def _parameters(function: Callable[..., Any], is_bound: bool) -> dict[str, bool] | None:
    """Return the names of a function's parameters in order, the instance aside, and whether each may be positional.

    `None` where it takes any.
    """
    try:
        return _known_parameters[function]
    except (KeyError, TypeError):
        parameters = _read_parameters(function, is_bound)
    with contextlib.suppress(TypeError):
        _known_parameters[function] = parameters
    return parameters


def _read_parameters(function: Callable[..., Any], is_bound: bool) -> dict[str, bool] | None:
    parameters = list(inspect.signature(function).parameters.values())[is_bound:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    # Looked into for every argument of every call.
    return {parameter.name: parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters}
