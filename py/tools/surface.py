"""What this project sees of the installed mistralai: `python -m tools.surface FILE` writes it as JSON.

These are the traced methods with their signatures, and the models that their answers reach, with their fields.
"""

import importlib
import importlib.metadata
import inspect
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypedDict, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from braintrust_mistral import INTEGRATION
from braintrust_mistral.doctor import traced_methods


Members: TypeAlias = dict[str, str]
"""The parameters of a method or the fields of a model, each with its type and, where it has one, its default."""


class Surface(TypedDict):
    """The traced methods, the table's names for them, and the models of their answers, each with its members."""

    version: str
    methods: dict[str, Members]
    models: dict[str, Members]


def main() -> None:
    """Write the surface of the installed mistralai to a file."""
    Path(sys.argv[1]).write_text(json.dumps(surface(), indent=1), encoding="utf-8")


def surface() -> Surface:
    """Return the surface of the installed mistralai."""
    methods: dict[str, Members] = {}
    models: dict[str, Members] = {}
    for name, place in traced_methods(importlib.import_module(INTEGRATION)).items():
        if place is not None:
            method = _find(place)
            hints = _hints(method)
            methods[name] = _parameters(method, hints)
            _add_models(hints.get("return"), models)
    return {"version": importlib.metadata.version("mistralai"), "methods": methods, "models": models}


def _find(place: str) -> Any:
    """Return the method at a place such as "mistralai.client.chat.Chat.complete"."""
    module, class_name, method = place.rsplit(".", 2)
    return getattr(getattr(importlib.import_module(module), class_name), method)


def _hints(method: Any, unknown: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the annotations of a method, with a class of that name for each that is there for type checkers alone."""
    try:
        return get_type_hints(method, localns={name: type(name, (), {}) for name in unknown}, include_extras=True)
    except NameError as error:
        return _hints(method, (*unknown, str(error.name)))


def _parameters(method: Any, hints: dict[str, Any]) -> Members:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    members = {
        parameter.name: _named(hints.get(parameter.name, Any))
        + ("" if parameter.default is parameter.empty else f" = {_default(parameter.default)}")
        for parameter in parameters
    }
    return {**members, "→": _named(hints.get("return", Any))}


def _add_models(annotation: Any, models: dict[str, Members]) -> None:
    """Add the models that an annotation names, and those that they reach; a named union counts as one."""
    for kind in _kinds(annotation):
        name = kind.__name__
        if name in models:
            continue
        if hasattr(kind, "__value__"):
            models[name] = {"is": _named(kind.__value__)}
            _add_models(kind.__value__, models)
        elif issubclass(kind, BaseModel):
            models[name] = {
                key: _named(field.annotation) + ("" if field.is_required() else f" = {_default(field.default)}")
                for key, field in kind.model_fields.items()
            }
            for field in kind.model_fields.values():
                _add_models(field.annotation, models)


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the classes and the named unions in an annotation, of generic ones the arguments too."""
    for part in (annotation, get_origin(annotation)):
        if isinstance(part, type) or hasattr(part, "__value__"):
            yield part
    if get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from _kinds(argument)


def _named(annotation: Any) -> str:
    """Return an annotation as one would write it, without modules and without what only validation reads."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _named(arguments[0])
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(_named(argument) for argument in arguments))
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin is not None:
        inner = ", ".join("..." if argument is ... else _named(argument) for argument in arguments)
        return f"{getattr(origin, '__name__', origin)}[{inner}]"
    if annotation is type(None):
        return "None"
    return str(getattr(annotation, "__name__", annotation))


def _default(value: Any) -> str:
    # A sentinel's representation may have an address.
    return repr(value) if isinstance(value, (str, int, float, list, dict, type(None))) else type(value).__name__


if __name__ == "__main__":
    main()
