"""The functions that a client-side run executes: a live span around each, whatever it is a function of."""

import contextvars
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..errors import tool_error_text
from ..faults import guarded, report_fault
from ..operations import Child, Outcome, Request
from ..patching import MethodPatcher, ObjectProxy
from ..payloads import parse_arguments, to_loggable, without_none
from ..tracing.arguments import own_arguments
from ..tracing.run_state import RunState, current_run
from ..tracing.spans import CallSpan


_FAILURE = "Error while executing "

_current_execution: "contextvars.ContextVar[_Execution | None]" = contextvars.ContextVar("execution", default=None)


def function_child(call: Any, tool_type: str = "function") -> Child:
    """Return one of the SDK's `FunctionCallEntry`s as the span of the function."""
    metadata = {"tool_type": tool_type, "tool_name": call.name, "tool_call_id": call.tool_call_id}
    arguments = parse_arguments(to_loggable(call.arguments))
    return Child(f"tool: {call.name}", arguments, metadata=without_none(metadata))


class _Execution:
    """A function that a run executes: its live span, and what the function itself returned or raised."""

    def __init__(
        self, run: RunState, method: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
    ) -> None:
        arguments = own_arguments(method, named, positional)
        call, tool = arguments["function_call"], arguments["run_tool"]
        child = function_child(call, "mcp" if hasattr(tool, "mcp_client") else "function")
        metadata = dict(child.metadata)
        if call.tool_call_id in run.approved:
            metadata["tool_approval"] = "approved"
        self._run = run
        self._name: str = call.name
        self._tool_call_id: str = call.tool_call_id
        self._result: Any = None
        self._error: BaseException | None = None
        # What an MCP server says of a failure, without raising.
        self._failure: str | None = None
        self.arguments = {**arguments, "run_tool": self._recording(tool)}
        self.span = CallSpan(child.name, SpanTypeAttribute.TOOL, Request(child.input, metadata))
        run.shown.add(self._tool_call_id)

    @classmethod
    @guarded(fallback=None)
    def begin(
        cls, method: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
    ) -> "_Execution | None":
        """Open the span of a function, or return `None` where no run that is traced executes it."""
        run = current_run.get()
        return None if run is None else cls(run, method, positional, named)

    @guarded(fallback=None)
    def failed(self, error: BaseException) -> None:
        """End the span with what the function raised, around which the SDK puts an exception of its own."""
        self.span.close(Outcome, error=error if self._error is None else self._error)
        self._error = None

    @guarded(fallback=None)
    def returned(self, entry: Any) -> None:
        """End the span with the result; an error may be one that the run is to go on with."""
        self.span.close(functools.partial(self._outcome, entry), error=self._error)
        self._error = None

    def _outcome(self, entry: Any) -> Outcome:
        sent = to_loggable(entry.result)
        self._run.add_result(self._tool_call_id, sent)
        # Also for arguments that are no object, and for a result that is no JSON. A text is sent as it is.
        is_failure = not isinstance(self._result, str) and str(sent).startswith(_FAILURE)
        if is_failure or self._error is not None:
            return Outcome(sent, error=tool_error_text(str(sent), self._name))
        return Outcome(to_loggable(self._result), error=self._failure)

    @guarded(fallback=None)
    def record_mcp_result(self, result: Any) -> None:
        """Know whether an MCP server reported a failure, which it returns like a result."""
        # By either name: mcp 2 has the second.
        if getattr(result, "isError", False) or getattr(result, "is_error", False):
            texts = (getattr(part, "text", None) for part in result.content)
            failure = "\n".join(text for text in texts if isinstance(text, str)) or "The MCP tool failed."
            self._failure = tool_error_text(failure, self._name)

    def _recording(self, tool: Any) -> Any:
        """Return a copy of the SDK's tool whose function leaves its result and its exception here."""
        try:
            return self._recording_copy(tool)
        except Exception:
            report_fault()
            return tool

    def _recording_copy(self, tool: Any) -> Any:
        if hasattr(tool, "callable"):
            return dataclasses.replace(tool, callable=self._recorded(tool.callable))
        if hasattr(tool, "awaitable"):
            return dataclasses.replace(tool, awaitable=self._recorded_async(tool.awaitable))
        _SessionPatcher.patch(None, None)
        execute_tool = self._recorded_async(tool.mcp_client.execute_tool)
        return dataclasses.replace(tool, mcp_client=_RecordedClient(tool.mcp_client, execute_tool))

    def _recorded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                self._result = function(*args, **kwargs)
            except BaseException as error:
                self._error = error
                raise
            return self._result

        return call

    def _recorded_async(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            # The task that the SDK makes for this function ends with it.
            _current_execution.set(self)
            try:
                self._result = await function(*args, **kwargs)
            except BaseException as error:
                self._error = error
                raise
            return self._result

        return call


class _RecordedClient(ObjectProxy):
    """An MCP client whose calls of tools are recorded."""

    def __init__(self, client: Any, execute_tool: Callable[..., Awaitable[Any]]) -> None:
        super().__init__(client)
        self._self_execute_tool = execute_tool

    @property
    def execute_tool(self) -> Callable[..., Awaitable[Any]]:
        """Call a tool of the MCP server."""
        return self._self_execute_tool


async def _trace_function(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    execution = _Execution.begin(wrapped, args, kwargs)
    if execution is None:
        return await wrapped(*args, **kwargs)
    try:
        with execution.span.as_current(current_run, None):
            entry = await wrapped(**execution.arguments)
    except BaseException as error:
        execution.failed(error)
        raise
    execution.returned(entry)
    return entry


async def _record_mcp_result(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    result = await wrapped(*args, **kwargs)
    execution = _current_execution.get()
    if execution is not None:
        execution.record_mcp_result(result)
    return result


class _SessionPatcher(MethodPatcher):
    """Patches the call of an MCP server's tool, when a run first executes one.

    Mistral's SDK keeps the contents of what the session returns, and drops whether they are those of a failure.
    """

    name = "mistral.beta.conversations.run.mcp"
    target_module = "mcp.client.session"
    target_path = "ClientSession.call_tool"
    wrapper = staticmethod(_record_mcp_result)


class FunctionsPatcher(MethodPatcher):
    """Patches the execution of one function by a run, when the first run begins.

    `create_function_result` is the smallest function that all supported versions have: it executes one call, of a
    Python function, a coroutine or an MCP tool, in a task of its own, and knows both the call and the function.
    `RunContext.execute_function_calls` starts all of a turn at once. Patched any earlier, it would have the extra
    "agents" imported, which takes seconds, by everyone who installed it.
    """

    name = "mistral.beta.conversations.run.functions"
    target_module = "mistralai.extra.run.context"
    target_path = "create_function_result"
    wrapper = staticmethod(_trace_function)

    @classmethod
    @guarded(fallback=None)
    def patch_once(cls) -> None:
        """Patch it, unless that was done.

        Raises:
            AttributeError: if this version of the SDK does not have it.
        """
        if not cls.patch(None, None):
            raise AttributeError(f"{cls.target_module} has no {cls.target_path}: functions of runs get no spans")
