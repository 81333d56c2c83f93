"""Client-side runs as one trace: the run's span, the requests below it, and the functions it executes, live."""

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..bounded import BoundedMap, size_of
from ..faults import guarded
from ..operations import Child, Outcome, Request, ToolCallKey
from ..patching import ObjectProxy, Wrapper, is_traced_outside
from ..payloads import Loggable, to_loggable, without_none
from ..resources.reading import request_metadata, with_agent_name, with_learned_name, with_requested_model
from ..resources.shapes import shape_entries
from ..settings import settings
from ..tracing.arguments import own_arguments, pop_prompt
from ..tracing.around import OngoingCall, around_async
from ..tracing.run_state import RunState, current_run
from ..tracing.sampling import leaving_out
from ..tracing.spans import CallSpan, is_tracing
from ..tracing.streams import StreamLifecycle
from .functions import FunctionsPatcher, function_child


_APPROVALS = {"DeferredToolCallConfirmation": "approved", "DeferredToolCallRejection": "denied"}
_CONTEXT_FIELDS = ("model", "agent_id", "conversation_id")
_MOST_DEFERRED_BYTES = 4 * 1024 * 1024

deferred_calls: BoundedMap[ToolCallKey, Child] = BoundedMap(most_bytes=_MOST_DEFERRED_BYTES)
"""The function calls that wait for a confirmation, as they will be shown once it was given or refused."""


def read_request(arguments: Mapping[str, Any], *, stream: bool) -> Request:
    """Return what the arguments of `run_async` or `run_stream_async` log."""
    context = arguments.get("run_ctx")
    metadata = {
        **request_metadata(arguments, {"run_ctx", "inputs"}),
        **without_none({name: to_loggable(getattr(context, name, None)) for name in _CONTEXT_FIELDS}),
        **_output_format(context),
        "stream": stream,
    }
    return Request(shape_entries(to_loggable(arguments.get("inputs"))), with_agent_name(metadata))


def _output_format(context: Any) -> dict[str, Loggable]:
    """Return the name of the class whose JSON the run is to answer with, if there is one."""
    output_format = getattr(context, "output_format", None)
    return {"output_format": output_format.__name__} if isinstance(output_format, type) else {}


def read_response(turns: Sequence[Outcome], request: Request) -> Outcome:
    """Return what the turns of a run log together: their outputs in order, how many there were, and their usage.

    The tokens stand on the requests, or on the model calls inside these, and are no metrics of the run.
    """
    output: list[Loggable] = []
    metadata: dict[str, Loggable] = {}
    usage: dict[str, float] = {}
    for turn in turns:
        output += turn.output if isinstance(turn.output, list) else []
        about = turn.metadata or {}
        # The model that answered first, as in a single request.
        metadata = without_none({name: metadata.get(name, about.get(name)) for name in ("conversation_id", "model")})
        for name, count in _usage(turn):
            usage[name] = usage.get(name, 0) + count
    about_run: dict[str, Loggable] = {"request_count": len(turns), **({"usage": {**usage}} if usage else {})}
    outcome = Outcome(output, {**metadata, **about_run}, error=turns[-1].error if turns else None)
    return with_learned_name(with_requested_model(outcome, request), request)


def _usage(turn: Outcome) -> Iterator[tuple[str, float]]:
    """Yield what a request used, which is metadata where its model calls have it."""
    usage = (turn.metadata or {}).get("usage", turn.metrics)
    for name, count in usage.items() if isinstance(usage, Mapping) else ():
        if isinstance(count, int | float):
            yield name, count


class Run(OngoingCall):
    """A run in progress: its span, and what its requests add up to."""

    def __init__(self, name: str, request: Request) -> None:
        self.state = RunState()
        self.span = CallSpan(f"mistral.beta.conversations.{name}", SpanTypeAttribute.TASK, request)
        self.request = request

    @classmethod
    def begin(
        cls,
        name: str,
        method: Callable[..., Any],
        resource: Any,
        positional: Sequence[Any],
        named: dict[str, Any],
    ) -> "Run | None":
        """Open the span of a run, or return `None` where nobody would see it, or another span is that run's."""
        prompt = pop_prompt(named)
        if is_traced_outside(resource) or not is_tracing():
            return None
        FunctionsPatcher.patch_once()
        arguments = _arguments(method, positional, named)
        run = cls(name, _read_request(arguments, stream=name == "run_stream").built_from(prompt))
        run.add_decisions(arguments)
        run.context = run.span.as_current(current_run, run.state)
        return run

    def failed(self, error: BaseException) -> None:
        """End the span with what came of the run, and with what the caller is about to see."""
        self.defer_calls(error)
        self.span.close(self._outcome, error=error)

    def returned(self, result: Any) -> Any:
        """End the span with what came of the run, which the caller gets as it is."""
        self.span.close(self._outcome)

    def _outcome(self) -> Outcome:
        return read_response(self.state.response(), self.request)

    @guarded(fallback=None)
    def defer_calls(self, error: BaseException) -> None:
        """Know which function calls a run that ended so asks to confirm: it goes on as another run."""
        for call in getattr(error, "deferred_calls", ()):
            key = ToolCallKey(str(error.conversation_id), call.tool_call_id)  # type: ignore[attr-defined]
            child = function_child(call.function_call)
            deferred_calls.set(key, child, size_of(child.input))
            self.state.shown.add(call.tool_call_id)

    @guarded(fallback=None)
    def add_decisions(self, arguments: Mapping[str, Any]) -> None:
        """Log what the user decided about function calls that an earlier run had deferred, and let the others run."""
        inputs = arguments.get("inputs")
        conversation_id = str(getattr(arguments.get("run_ctx"), "conversation_id", None))
        for response in inputs if isinstance(inputs, list) else ():
            # By their names: 1.x does not have the classes.
            approval = _APPROVALS.get(type(response).__name__)
            if approval is None:
                continue
            deferred = deferred_calls.pop(ToolCallKey(conversation_id, response.tool_call_id))
            runs_here = to_loggable(response.deferral_reason) != "server_side_confirmation_required"
            if approval == "approved" and runs_here:
                self.state.approved.add(response.tool_call_id)
            else:
                # What a run in another process deferred is known here only if the decision names it.
                call = getattr(response, "function_call", None)
                unknown = Child("tool: unknown", metadata={"tool_call_id": response.tool_call_id})
                child = deferred or (unknown if call is None else function_child(call))
                metadata = {**child.metadata, "tool_approval": approval}
                self.span.log_child(child._replace(output=getattr(response, "message", None), metadata=metadata))


class _StreamedRun(Run):
    """One whose events the caller asks for."""

    def returned(self, result: Any) -> "RunStream":
        """Return the stream that the caller gets, with which the run ends."""
        try:
            return RunStream(result, self)
        except Exception:
            # Nobody sees when it ends.
            self.span.close(self._outcome)
            raise


class _LeftOutRun(OngoingCall):
    """A streamed run that is left out of what is sampled, and so is all that it does."""

    def __init__(self) -> None:
        self.context = leaving_out()

    def returned(self, result: Any) -> "_LeftOutStream":
        """Return the stream that the caller gets."""
        return _LeftOutStream(result)


def _begin_streamed_run(*call: Any) -> "Run | _LeftOutRun | None":
    run = _StreamedRun.begin("run_stream", *call)
    if run is None and settings().sample_rate is not None and is_tracing(may_leave_out=False):
        return _LeftOutRun()
    return run


class _SteppedStream(ObjectProxy):
    """The async generator of a streamed run, whose code runs in whichever context its next event is asked for."""

    def __aiter__(self) -> "_SteppedStream":
        return self

    async def __anext__(self) -> Any:
        return await self._step(self.__wrapped__.__anext__())

    async def asend(self, value: Any) -> Any:  # codespell:ignore asend -- a generator's method
        """Resume the generator with a value."""
        return await self._step(self.__wrapped__.asend(value))  # codespell:ignore asend

    async def athrow(self, *error: Any) -> Any:
        """Resume the generator with an exception."""
        return await self._step(self.__wrapped__.athrow(*error))

    async def aclose(self) -> None:
        """Close the generator."""
        await self._step(self.__wrapped__.aclose())

    async def _step(self, step: Awaitable[Any]) -> Any:
        """Have a step of the generator's code run where it is to."""
        raise NotImplementedError


class _LeftOutStream(_SteppedStream):
    """One whose run is left out, and so is all that it does."""

    async def _step(self, step: Awaitable[Any]) -> Any:
        with leaving_out():
            return await step


class RunStream(_SteppedStream):
    """One that is traced. Its run is the current one whenever its code runs."""

    def __init__(self, stream: Any, run: Run) -> None:
        super().__init__(stream)
        self._self_lifecycle = StreamLifecycle(read_response, run.request, run.span, run.state)
        self._self_run = run

    async def aclose(self) -> None:
        """Close the generator."""
        await super().aclose()
        self._self_lifecycle.end()

    async def _step(self, step: Awaitable[Any]) -> Any:
        if getattr(self.__wrapped__, "ag_running", False):
            # Refused, as another task waits for the step before; that one goes on.
            return await step
        try:
            with self._self_run.span.as_current(current_run, self._self_run.state):
                return await step
        except StopAsyncIteration:
            self._self_lifecycle.end()
            raise
        except BaseException as error:
            self._self_run.defer_calls(error)
            self._self_lifecycle.end(error)
            raise


@guarded(fallback=MappingProxyType({}))
def _arguments(method: Callable[..., Any], positional: Sequence[Any], named: Mapping[str, Any]) -> Mapping[str, Any]:
    return own_arguments(method, named, positional)


@guarded(fallback=Request())
def _read_request(arguments: Mapping[str, Any], *, stream: bool) -> Request:
    return read_request(arguments, stream=stream)


WRAPPERS: dict[str, Wrapper] = {
    "run_async": around_async(functools.partial(Run.begin, "run")),
    "run_stream_async": around_async(_begin_streamed_run),
}
"""The wrappers of the runs of `client.beta.conversations`, by method."""
