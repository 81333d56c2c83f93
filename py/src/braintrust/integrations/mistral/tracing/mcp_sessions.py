"""The MCP sessions that a client opens: each call of a tool in one of them is a call of the client's."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from wrapt import wrap_function_wrapper

from ..faults import guarded
from ..operations import Operation
from ..patching import ObjectProxy, Wrapper
from .arguments import own_arguments
from .calls import traced_async


def traced_sessions(tool: Callable[[Any], Operation]) -> Wrapper:
    """Return the wrapper of a method that returns the context of an MCP session with a connector.

    Args:
        tool: returns what a call of a tool of the connector is, for the connector that the method was given.
    """

    def call(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        context = wrapped(*args, **kwargs)
        return _traced_context(context, tool, wrapped, args, kwargs) or context

    return call


@guarded(fallback=None)
def _traced_context(
    context: Any, tool: Callable[[Any], Operation], method: Callable[..., Any], args: tuple[Any, ...], kwargs: Any
) -> "_SessionContext | None":
    return _SessionContext(context, tool(own_arguments(method, kwargs, args).get("connector_id_or_name")))


class _SessionContext(ObjectProxy):
    """The context of a session whose calls of tools are traced."""

    def __init__(self, context: Any, operation: Operation) -> None:
        super().__init__(context)
        self._self_operation = operation

    async def __aenter__(self) -> Any:
        session = await self.__wrapped__.__aenter__()
        self._trace(session)
        return session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        return await self.__wrapped__.__aexit__(kind, error, traceback)

    @guarded(fallback=None)
    def _trace(self, session: Any) -> None:
        wrap_function_wrapper(session, "call_tool", traced_async(self._self_operation))
