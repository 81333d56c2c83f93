"""Client-side runs as one trace: the run's span, the requests below it, and the functions it executes, live."""

import contextlib
import contextvars
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded
from ..operations import Child, Outcome, Request, ToolCallKey
from ..patching import OncePatcher, Wrapper
from ..payloads import Loggable, parse_arguments, to_loggable, without_none
from ..resources.reading import request_metadata
from ..tracing.arguments import own_arguments
from ..tracing.pending import PendingToolCalls
from ..tracing.run_state import RunState, current_run
from ..tracing.spans import CallSpan, is_tracing
from ..tracing.streams import AsyncTracedStream, ObjectProxy, StreamLifecycle


_APPROVALS = {"DeferredToolCallConfirmation": "approved", "DeferredToolCallRejection": "denied"}
_CONTEXT_FIELDS = ("model", "agent_id", "conversation_id")
_FAILURE = "Error while executing "

deferred_calls: PendingToolCalls[Child] = PendingToolCalls()
"""The function calls that wait for a confirmation, as they will be shown once it was given or refused."""


def read_request(arguments: Mapping[str, Any], *, stream: bool) -> Request:
    """Return what the arguments of `run_async` or `run_stream_async` log."""
    context = arguments.get("run_ctx")
    metadata = {
        **request_metadata(arguments, {"run_ctx", "inputs"}),
        **without_none({name: to_loggable(getattr(context, name, None)) for name in _CONTEXT_FIELDS}),
        "stream": stream,
    }
    return Request(to_loggable(arguments.get("inputs")), metadata)


def read_response(turns: Sequence[Outcome], request: Request) -> Outcome:
    """Return what the turns of a run log together: their outputs in order, the sums of their metrics."""
    output: list[Loggable] = []
    metadata: dict[str, Loggable] = {}
    metrics: dict[str, float] = {"request_count": len(turns)}
    for turn in turns:
        output += turn.output if isinstance(turn.output, list) else []
        about = turn.metadata or {}
        # The model that answered first, as in a single request.
        metadata = without_none({name: metadata.get(name, about.get(name)) for name in ("conversation_id", "model")})
        for name, count in turn.metrics.items():
            metrics[name] = metrics.get(name, 0) + count
    return Outcome(output, metadata, metrics, error=turns[-1].error if turns else None)


def _enter(span: CallSpan, run: RunState | None) -> contextlib.AbstractContextManager[object]:
    """Make this the current span, and requests those of this run, if any, until what is returned is left."""
    inside = contextlib.ExitStack()
    inside.callback(guarded, _leave, span, current_run.set(run), fallback=None)
    guarded(span.set_current, fallback=None)
    return inside


def _leave(span: CallSpan, token: contextvars.Token[RunState | None]) -> None:
    # A coroutine that nobody waits for any more is closed wherever the garbage collector runs: that is the context
    # of someone else, where nothing was set.
    with contextlib.suppress(ValueError):
        current_run.reset(token)
        span.unset_current()


class Run:
    """A run in progress: its span, and what its requests add up to."""

    def __init__(self, name: str, request: Request) -> None:
        self.turns = RunState()
        self.span = CallSpan(f"mistral.beta.conversations.{name}", SpanTypeAttribute.TASK, request)
        self.request = request

    @classmethod
    def begin(
        cls, name: str, method: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
    ) -> "Run | None":
        """Open the span of a run, or return `None` where nobody would see it."""
        if not is_tracing():
            return None
        guarded(_FunctionsPatcher.patch_once, fallback=None)
        arguments = guarded(own_arguments, method, named, positional, fallback={})
        read = functools.partial(read_request, stream=name == "run_stream")
        run = cls(name, guarded(read, arguments, fallback=Request()))
        guarded(run.take_decisions, arguments, fallback=None)
        return run

    def enter(self) -> contextlib.AbstractContextManager[object]:
        """Make requests this run's, and its span their parent, until what is returned is left."""
        return _enter(self.span, self.turns)

    def close(self, error: BaseException | None = None) -> None:
        """End the span with what came of the run, and with what the caller saw if that is an exception."""
        self.span.close(self.outcome, error=error)

    def outcome(self) -> Outcome:
        """Return what came of the run so far."""
        return read_response(self.turns.response(), self.request)

    def failed(self, error: BaseException) -> None:
        """Take note of how the run ended; one that asks for confirmations goes on as another run."""
        for call in getattr(error, "deferred_calls", ()):
            deferred_calls.add(ToolCallKey(str(error.conversation_id), call.tool_call_id), _child(call.function_call))  # type: ignore[attr-defined]

    def take_decisions(self, arguments: Mapping[str, Any]) -> None:
        """Take note of what the user decided about function calls that an earlier run had deferred."""
        inputs = arguments.get("inputs")
        conversation_id = str(getattr(arguments.get("run_ctx"), "conversation_id", None))
        for response in inputs if isinstance(inputs, list) else ():
            # By their names: 1.x does not have the classes.
            approval = _APPROVALS.get(type(response).__name__)
            if approval is None:
                continue
            deferred = deferred_calls.take(ToolCallKey(conversation_id, response.tool_call_id))
            runs_here = to_loggable(response.deferral_reason) != "server_side_confirmation_required"
            if approval == "approved" and runs_here:
                self.turns.approved.add(response.tool_call_id)
            else:
                # What a run in another process deferred is known here only if the decision names it.
                call = getattr(response, "function_call", None)
                unknown = Child("tool: unknown", metadata={"tool_call_id": response.tool_call_id})
                child = deferred or (unknown if call is None else _child(call))
                metadata = {**child.metadata, "tool_approval": approval}
                self.span.log_child(child._replace(output=getattr(response, "message", None), metadata=metadata))


class RunStream(AsyncTracedStream):
    """The async generator of a streamed run, traced. Its run is the current one whenever its code runs."""

    def __init__(self, stream: Any, run: Run) -> None:
        super().__init__(stream, StreamLifecycle(read_response, run.request, run.span, run.turns))
        self._self_run = run

    async def __anext__(self) -> Any:
        return await self._step(self.__wrapped__.__anext__())

    async def asend(self, value: Any) -> Any:
        """Resume the generator with a value."""
        return await self._step(self.__wrapped__.asend(value))

    async def athrow(self, *error: Any) -> Any:
        """Resume the generator with an exception."""
        return await self._step(self.__wrapped__.athrow(*error))

    async def aclose(self) -> None:
        """Close the generator."""
        await self._step(self.__wrapped__.aclose())
        guarded(self._self_lifecycle.end, fallback=None)

    async def _step(self, step: Awaitable[Any]) -> Any:
        if getattr(self.__wrapped__, "ag_running", False):
            # Refused, as another task waits for the step before; that one goes on.
            return await step
        try:
            with guarded(self._self_run.enter, fallback=contextlib.nullcontext()):
                return await step
        except StopAsyncIteration:
            guarded(self._self_lifecycle.end, fallback=None)
            raise
        except BaseException as error:
            guarded(self._self_run.failed, error, fallback=None)
            guarded(self._self_lifecycle.end, error, fallback=None)
            raise


async def trace_run(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Trace a call of `run_async`."""
    run = guarded(Run.begin, "run", wrapped, args, kwargs, fallback=None)
    if run is None:
        return await wrapped(*args, **kwargs)
    try:
        with guarded(run.enter, fallback=contextlib.nullcontext()):
            result = await wrapped(*args, **kwargs)
    except BaseException as error:
        guarded(run.failed, error, fallback=None)
        guarded(run.close, error, fallback=None)
        raise
    guarded(run.close, fallback=None)
    return result


async def trace_run_stream(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Trace a call of `run_stream_async`."""
    run = guarded(Run.begin, "run_stream", wrapped, args, kwargs, fallback=None)
    if run is None:
        return await wrapped(*args, **kwargs)
    try:
        with guarded(run.enter, fallback=contextlib.nullcontext()):
            stream = await wrapped(*args, **kwargs)
    except BaseException as error:
        guarded(run.close, error, fallback=None)
        raise
    traced = guarded(RunStream, stream, run, fallback=None)
    if traced is None:
        guarded(run.close, fallback=None)
        return stream
    return traced


class _Function:
    """A function that a run executes: its live span, and what the function itself returned or raised."""

    def __init__(
        self, run: RunState, method: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]
    ) -> None:
        arguments = own_arguments(method, named, positional)
        call, tool = arguments["function_call"], arguments["run_tool"]
        child = _child(call, "mcp" if hasattr(tool, "mcp_client") else "function")
        metadata = dict(child.metadata)
        if call.tool_call_id in run.approved:
            metadata["tool_approval"] = "approved"
        self._run = run
        self._tool_call_id: str = call.tool_call_id
        self._result: Any = None
        self._error: BaseException | None = None
        self.arguments = {**arguments, "run_tool": guarded(self._recording, tool, fallback=tool)}
        self._span = CallSpan(child.name, SpanTypeAttribute.TOOL, Request(child.input, metadata))

    def enter(self) -> contextlib.AbstractContextManager[object]:
        """Make the span the current one, and requests the function's own and not the run's, until that is left."""
        return _enter(self._span, None)

    def failed(self, error: BaseException) -> None:
        """End the span with what the function raised, around which the SDK puts an exception of its own."""
        self._span.close(Outcome, error=error if self._error is None else self._error)
        self._error = None

    def returned(self, entry: Any) -> None:
        """End the span with the result; an error may be one that the run is to go on with."""
        self._span.close(functools.partial(self._outcome, entry), error=self._error)
        self._error = None

    def _outcome(self, entry: Any) -> Outcome:
        sent = to_loggable(entry.result)
        self._run.add_result(self._tool_call_id, sent)
        # Also for arguments that are no object, and for a result that is no JSON. A text is sent as it is.
        is_failure = not isinstance(self._result, str) and str(sent).startswith(_FAILURE)
        if is_failure or self._error is not None:
            return Outcome(sent, error=str(sent))
        return Outcome(to_loggable(self._result))

    def _recording(self, tool: Any) -> Any:
        """Return a copy of the SDK's tool whose function leaves its result and its exception here."""
        if hasattr(tool, "callable"):
            return dataclasses.replace(tool, callable=self._recorded(tool.callable))
        if hasattr(tool, "awaitable"):
            return dataclasses.replace(tool, awaitable=self._recorded_async(tool.awaitable))
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
    run = current_run.get()
    function = None if run is None else guarded(_Function, run, wrapped, args, kwargs, fallback=None)
    if function is None:
        return await wrapped(*args, **kwargs)
    try:
        with guarded(function.enter, fallback=contextlib.nullcontext()):
            entry = await wrapped(**function.arguments)
    except BaseException as error:
        guarded(function.failed, error, fallback=None)
        raise
    guarded(function.returned, entry, fallback=None)
    return entry


class _FunctionsPatcher(OncePatcher):
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
    def patch_once(cls) -> None:
        """Patch it, unless that was done.

        Raises:
            AttributeError: if this version of the SDK does not have it.
        """
        if not cls.patch(None, None):
            raise AttributeError(f"{cls.target_module} has no {cls.target_path}: functions of runs get no spans")


def _child(call: Any, tool_type: str = "function") -> Child:
    """Return one of the SDK's `FunctionCallEntry`s as the span of the function."""
    metadata = {"tool_type": tool_type, "tool_name": call.name, "tool_call_id": call.tool_call_id}
    return Child(f"tool: {call.name}", parse_arguments(to_loggable(call.arguments)), metadata=without_none(metadata))


WRAPPERS: dict[str, Wrapper] = {"run_async": trace_run, "run_stream_async": trace_run_stream}
"""The wrappers of the runs of `client.beta.conversations`, by method."""
