"""Faults in the integration's own functions, which are found in its source, never listed.

A function is broken by giving it other code, so it fails whoever holds a reference to it and whatever it is: a method,
a property, a coroutine, a closure that is still to be made.
"""

import contextlib
import functools
import gc
import importlib
import inspect
import pkgutil
import weakref
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from braintrust.integrations import mistral


class Place(NamedTuple):
    """Where a function begins; its code objects, of which there may be several, have no other identity."""

    file: str
    line: int
    name: str


def _fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("injected")


def _fail_iterating(*_: Any, **__: Any) -> Generator[Any, Any, Any]:
    raise RuntimeError("injected")
    yield


async def _fail_awaited(*_: Any, **__: Any) -> Any:
    raise RuntimeError("injected")


async def _fail_iterating_async(*_: Any, **__: Any) -> AsyncGenerator[Any, Any]:
    raise RuntimeError("injected")
    yield


_FAILURES: dict[int, Callable[..., Any]] = {
    0: _fail,
    inspect.CO_GENERATOR: _fail_iterating,
    inspect.CO_COROUTINE: _fail_awaited,
    inspect.CO_ASYNC_GENERATOR: _fail_iterating_async,
}
_KINDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@functools.cache
def functions() -> dict[str, Place]:
    """Return every function of the integration by its name, as in `tracing.calls.TracedCall.begin`, in order."""
    found: dict[str, Place] = {}
    for file in _files():
        with open(file, encoding="utf-8") as source:
            module = compile(source.read(), file, "exec")
        for name, code in _functions_in(module):
            stem = _room_of(file)
            number = sum(1 for other in found if other.partition("#")[0] == f"{stem}.{name}")
            found[f"{stem}.{name}#{number + 1}" if number else f"{stem}.{name}"] = place_of(code)
    return found


def place_of(code: CodeType) -> Place:
    """Return where the function of a code object begins."""
    return Place(code.co_filename, code.co_firstlineno, code.co_name)


@contextlib.contextmanager
def broken(place: Place) -> Iterator[None]:
    """Have a function raise a `RuntimeError` whenever it is called, and forget what it returned before."""
    intact = {function: function.__code__ for function in _live_functions()[place]}
    try:
        for function, code in intact.items():
            function.__code__ = _with_fault(code, place)
        forget_results()
        yield
    finally:
        for function, code in intact.items():
            function.__code__ = code
        forget_results()


def forget_results() -> None:
    """Empty the integration's caches, those of its functions that make functions above all."""
    for module in _modules():
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
            elif isinstance(value, weakref.WeakKeyDictionary):
                value.clear()


@functools.cache
def _modules() -> list[Any]:
    found = pkgutil.walk_packages(mistral.__path__, f"{mistral.__name__}.")
    names = sorted(info.name for info in found if not info.name.rpartition(".")[2].startswith("test_"))
    return [mistral, *map(importlib.import_module, names)]


@functools.cache
def _files() -> list[str]:
    return [str(module.__file__) for module in _modules()]


def _room_of(file: str) -> str:
    """Return a module's name below the integration's folder."""
    parts = Path(file).relative_to(Path(str(mistral.__file__)).parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _functions_in(code: CodeType, prefix: str = "") -> Iterator[tuple[str, CodeType]]:
    """Yield the functions that a code object makes, by qualified name; comprehensions are part of their function."""
    for inner in code.co_consts:
        if not isinstance(inner, CodeType):
            continue
        name = prefix + inner.co_name
        is_function = bool(inner.co_flags & inspect.CO_NEWLOCALS) and bool(inner.co_flags & inspect.CO_OPTIMIZED)
        if is_function and (not inner.co_name.startswith("<") or inner.co_name == "<lambda>"):
            yield name, inner
            yield from _functions_in(inner, f"{name}.")
        else:
            yield from _functions_in(inner, prefix if is_function else f"{name}.")


@functools.cache
def _live_functions() -> dict[Place, list[FunctionType]]:
    """Return the functions that there are, by the places of their own code and of all the code that they contain."""
    files = frozenset(_files())
    live: dict[Place, list[FunctionType]] = defaultdict(list)
    for candidate in gc.get_objects():
        if type(candidate) is FunctionType and candidate.__code__.co_filename in files:
            for code in (candidate.__code__, *(inner for _, inner in _functions_in(candidate.__code__))):
                live[place_of(code)].append(candidate)
    return live


def _with_fault(code: CodeType, place: Place) -> CodeType:
    if place_of(code) == place:
        # The traceback names the place: for the guard, each function's fault is one of its own.
        failure = _FAILURES[code.co_flags & _KINDS].__code__
        return failure.replace(
            co_filename=code.co_filename,
            co_firstlineno=code.co_firstlineno,
            co_name=code.co_name,
            co_freevars=code.co_freevars,
        )
    constants = (_with_fault(inner, place) if isinstance(inner, CodeType) else inner for inner in code.co_consts)
    return code.replace(co_consts=tuple(constants))
