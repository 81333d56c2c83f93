"""Patching a method of the SDK's: of a class for everyone, or of one object without touching its class."""

import contextvars
import functools
import inspect
import os
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import wrapt
from braintrust.integrations.base import CompositeFunctionWrapperPatcher, FunctionWrapperPatcher
from wrapt import register_post_import_hook, wrap_function_wrapper

from .contexts import reset
from .faults import guarded
from .providers import sdk_class


if TYPE_CHECKING:
    # Generic in its stubs only.
    ObjectProxy = wrapt.ObjectProxy[Any]
else:
    ObjectProxy = wrapt.ObjectProxy

Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]
"""What `wrapt` calls in place of a function: with the function, its instance, and the arguments."""

_TRACED_CLASS = "__braintrust_traced_class__"
"""The attribute of a class that holds its traced subclass: there, both go together when nobody needs them."""

_outer_target: contextvars.ContextVar[Any] = contextvars.ContextVar("outer_target", default=None)


def is_traced_outside(instance: Any) -> bool:
    """Tell whether a call is made by a function that was set on the object itself, and is traced as that one's."""
    return instance is not None and _outer_target.get() is instance


class MethodPatcher(FunctionWrapperPatcher):
    """Patches a method at most once, also where several threads set the tracing up together.

    Whether a method is patched is told by what it is, and not by a mark on it: other tools that wrap and unwrap it
    carry marks along.
    """

    lock = threading.RLock()

    @classmethod
    def patch(cls, module: Any | None, version: str | None, *, target: Any | None = None) -> bool:
        """Patch the method of the class, unless that was done, and return whether it is patched."""
        # Whoever imports the module waits for the lock in the end, and is not to be waited for while it is held.
        cls.resolve_root(module, version, target=target)
        with cls.lock:
            return cls.is_patched(module, version, target=target) or super().patch(module, version, target=target)

    @classmethod
    def has_patch_marker(cls, obj: Any) -> bool:
        """Tell whether a wrapper of ours is around a function, at any depth."""
        while obj is not None:
            patcher = getattr(getattr(obj, "_self_wrapper", None), "__self__", None)
            if isinstance(patcher, type) and issubclass(patcher, MethodPatcher):
                return True
            obj = getattr(obj, "__wrapped__", None)
        return False

    @classmethod
    def mark_patched(cls, obj: Any) -> None:
        """Do nothing: the wrapper itself is the mark."""

    @classmethod
    def wrap_target(cls, target: Any) -> Any:
        """Trace this method of one object, unless it is traced already, and return the object.

        The object gets a traced subclass of its own class. So a copy of it is traced as well, and sends its own
        request; and below a method that overrides the SDK's, it is the SDK's that is traced. A function that was set
        on the object itself hides the class's, and is wrapped where it is.
        """
        name = method_name(cls)
        with cls.lock:
            own = getattr(target, "__dict__", {}).get(name)
            if own is None:
                _trace_method(target, name, cls._wrapper)
            elif not cls.has_patch_marker(own):
                wrap_function_wrapper(target, name, cls._outermost(target))
        return target

    @classmethod
    def _outermost(cls, target: Any) -> Wrapper:
        """Return the wrapper of a function that may itself call the traced method of the object's class."""

        def call(
            _: object, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:
            return cls.wrapper(_called_from(wrapped, target), target, args, kwargs)

        # A method of this class, as `has_patch_marker` looks for.
        return types.MethodType(call, cls)


def method_name(patcher: type[FunctionWrapperPatcher]) -> str:
    """Return the name of the method that is patched, without that of its class."""
    return patcher.target_path.rpartition(".")[2]


class MethodPatchers:
    """The patchers of a resource's methods, as an attribute that makes them when they are asked for.

    There are hundreds, and an application needs those of the few resources that it uses.
    """

    def __init__(self, make: Callable[[], Iterable[type[MethodPatcher]]]) -> None:
        self._make = make
        self._made: tuple[type[MethodPatcher], ...] | None = None

    def __get__(self, _: object, owner: type[Any]) -> tuple[type[MethodPatcher], ...]:
        """Return the patchers, always the same."""
        if self._made is None:
            # What makes them imports modules, for which another thread may have to wait for the lock.
            made = tuple(self._make())
            with MethodPatcher.lock:
                self._made = self._made or made
        return self._made


class ResourcePatcher(CompositeFunctionWrapperPatcher):
    """Patches the methods of a resource, in each module that may have it: now or, if nothing imported it, then.

    So an application imports no more of the clients than it uses.

    Attributes:
        target_modules: the modules.
    """

    target_modules: ClassVar[tuple[str, ...]]
    # Nothing that `is_patched` asks would have to be imported, and `patch` does no harm.
    rescan_on_setup = True
    _awaited: ClassVar[set[str]] = set()

    @classmethod
    def applies(cls, module: Any | None, version: str | None, *, target: Any | None = None) -> bool:
        """Tell whether there may be something to patch, which without a target only an import can tell."""
        return target is None or super().applies(module, version, target=target)

    @classmethod
    def patch(cls, module: Any | None, version: str | None, *, target: Any | None = None) -> bool:
        """Patch what is imported, and the rest as soon as it is; return whether that is settled."""
        if target is not None:
            return super().patch(module, version, target=target)
        for name in cls.target_modules:
            if name in sys.modules:
                cls._patch_imported(name)
            elif name not in cls._awaited:
                cls._awaited.add(name)
                register_post_import_hook(lambda _, name=name: cls._patch_imported(name), name)
        return True

    @classmethod
    @guarded(fallback=None)
    def _patch_imported(cls, name: str) -> None:
        for patcher in cls.sub_patchers:
            if patcher.target_module == name:
                patcher.patch(None, None)


def traced_class(kind: type[Any]) -> type[Any]:
    """Return the subclass of a class in which methods can be patched for some of its objects.

    Of a class that derives from one of the SDK's, it derives from that and from the traced subclass of the SDK's: in
    this order, `super()` in a method of the former leads to the latter.
    """
    own: type[Any] | None = vars(kind).get(_TRACED_CLASS)
    if own is None:
        parent = sdk_class(kind)
        bases = (kind,) if parent is kind else (kind, traced_class(parent))
        names = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
        names["__slots__"] = ()
        own = types.new_class(kind.__name__, bases, exec_body=lambda namespace: namespace.update(names))
        setattr(own, _TRACED_CLASS, own)
        setattr(kind, _TRACED_CLASS, own)
    return own


def has_traced_class(kind: type[Any]) -> bool:
    """Tell whether methods of a class were traced for some of its objects."""
    return _TRACED_CLASS in vars(kind)


def _trace_method(target: Any, name: str, wrapper: Wrapper) -> None:
    kind = type(target)
    parent = sdk_class(kind)
    method = getattr(parent, name, None)
    if method is None or MethodPatcher.has_patch_marker(method):
        return
    try:
        target.__class__ = traced_class(kind)
    except TypeError:
        # An object whose class cannot be changed, such as a namespace of a test.
        wrap_function_wrapper(target, name, wrapper)
        return
    patched = traced_class(parent)
    if not MethodPatcher.has_patch_marker(getattr(patched, name)):
        wrap_function_wrapper(patched, name, wrapper)


def _called_from(function: Callable[..., Any], target: Any) -> Callable[..., Any]:
    """Return the function that `is_traced_outside` knows to be one of this object's while it runs."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        token = _outer_target.set(target)
        try:
            result = function(*args, **kwargs)
        finally:
            _outer_target.reset(token)
        return awaited(result) if inspect.isawaitable(result) else result

    async def awaited(result: Awaitable[Any]) -> Any:
        token = _outer_target.set(target)
        try:
            return await result
        finally:
            reset(_outer_target, token)

    return call


def _renew_lock() -> None:
    # Another thread may have held it when this process was forked.
    MethodPatcher.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
