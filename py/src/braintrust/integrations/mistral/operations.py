"""An operation of the Mistral client as a row, and the values that flow between its payloads and its span.

Modules that understand payloads build these values and know no spans; those of `tracing` turn them into
spans and know no payloads.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

from braintrust.span_types import SpanTypeAttribute

from .payloads import Loggable


INSTRUMENTATION = "mistral-auto"
"""What the spans of this integration name as their origin."""


class ToolCallKey(NamedTuple):
    """What identifies a function call that waits for its result."""

    conversation_id: str
    tool_call_id: str


class ToolCallUpdate(NamedTuple):
    """What a request brings for an earlier function call: its result, or the decision whether it may run."""

    key: ToolCallKey
    output: Loggable = None
    approval: str | None = None


class Request(NamedTuple):
    """What a call's arguments log.

    Attributes:
        unlogged: what the reader of the response needs to know of the arguments, and nobody logs.
    """

    input: Loggable = None
    metadata: Mapping[str, Loggable] = MappingProxyType({})
    tool_call_updates: Sequence[ToolCallUpdate] = ()
    unlogged: Any = None

    def built_from(self, prompt: Loggable) -> "Request":
        """Return the request with the Braintrust prompt that its arguments were built from, if there is one."""
        if prompt is None:
            return self
        # Pylint does not see what a named tuple's own class inherits.
        return self._replace(metadata={**self.metadata, "prompt": prompt})  # pylint: disable=no-member

    def sent_to(self, provider: str, host: str | None) -> "Request":
        """Return the request as one to a deployment of Mistral's models at another provider."""
        about: dict[str, Loggable] = {"provider": provider} if host is None else {"provider": provider, "host": host}
        return self._replace(metadata={**self.metadata, **about})  # pylint: disable=no-member


class Child(NamedTuple):
    """One span below a call, of a tool unless it says otherwise.

    One of type `llm` is a model call, which began where what came before it ended, and so has no `start`.

    Attributes:
        child_index: which of the response's children it is, by the index under which `arrivals` has it.
        start: when it began by Mistral's clock, in Unix seconds; `None` where Mistral did not say.
        end: when it ended by Mistral's clock.
        arrival: when its events were seen, of a stream.
        pending_key: set for a function call whose result the application sends later.
        metrics: what it alone used, beside its times.
        children: those below it, in its own time.
    """

    name: str
    input: Loggable = None
    output: Loggable = None
    metadata: Mapping[str, Loggable] = MappingProxyType({})
    child_index: int | None = None
    error: str | None = None
    start: float | None = None
    end: float | None = None
    arrival: "Arrival | None" = None
    pending_key: ToolCallKey | None = None
    span_type: SpanTypeAttribute = SpanTypeAttribute.TOOL
    metrics: Mapping[str, float] = MappingProxyType({})
    children: "Sequence[Child]" = ()


class Arrival(NamedTuple):
    """When this process saw the first and the last event of a child; no last of an unfinished one.

    In seconds of `time.monotonic`, which nobody sets while a stream is open.
    """

    first: float
    last: float | None


class Outcome(NamedTuple):
    """What a call's response logs.

    Attributes:
        children: what happened during the call.
        results: what happened at times of its own, such as the results of a batch job; read one by one.
    """

    output: Loggable = None
    metadata: Mapping[str, Loggable] | None = None
    metrics: Mapping[str, float] = MappingProxyType({})
    children: Sequence[Child] = ()
    results: Iterable[Child] = ()
    error: str | None = None


class Accumulator(Protocol):
    """Folds a stream's events into the response they add up to, in constant work per event."""

    @property
    def first_output(self) -> float | None:
        """When the first event that carries output arrived, in seconds of `time.monotonic`."""
        ...

    def add(self, event: Any) -> None:
        """Fold one event; may raise on an event it cannot read, and then folds the next one all the same."""
        ...

    def response(self) -> Any:
        """Return the response that the events so far add up to, in the shape of an unstreamed one."""
        ...

    def arrivals(self) -> Mapping[int, Arrival]:
        """Return when the events of each child arrived, by its index in the response."""
        ...


RequestReader: TypeAlias = Callable[[Mapping[str, Any]], Request]
"""Reads the arguments of a call by name."""

ResponseReader: TypeAlias = Callable[[Any, Request], Outcome]
"""Reads a response, the SDK's or an accumulator's, to a request."""


class LiveAccumulator(Accumulator, Protocol):
    """One that knows what of the response is over while its stream is open.

    Attributes:
        on_progress: called with the accumulator, if it is set, when an entry has ended or 4 KB of text have arrived.
        is_followed: whether it is called as well when a model has asked for something that is still to be done.
    """

    on_progress: "Callable[[LiveAccumulator], None] | None"
    is_followed: bool

    def end_call(self, key: ToolCallKey) -> None:
        """End the function call with this key, if that is arriving: somebody has answered it."""
        ...


LiveReader: TypeAlias = Callable[[Any, Request], Sequence[Child]]
"""Reads the children that are over from a `LiveAccumulator`, each once; to a request."""


def read_stream(accumulator: Accumulator, read: ResponseReader, request: Request) -> Outcome:
    """Return what a stream logs after the events so far, its children with their arrivals."""
    outcome = read(accumulator.response(), request)
    arrivals = accumulator.arrivals()
    return outcome._replace(children=[_with_arrival(child, arrivals) for child in outcome.children])


def _with_arrival(child: Child, arrivals: Mapping[int, Arrival]) -> Child:
    """Return a child with its arrival: the same object where it has that already."""
    arrival = child.arrival if child.child_index is None else arrivals.get(child.child_index)
    return child if arrival is child.arrival else child._replace(arrival=arrival)


class Readers(NamedTuple):
    """What reads the response to one request, and of a stream what is over while that is open.

    Attributes:
        is_following: whether `live` also wants to know what a model has asked for as soon as it has.
    """

    response: ResponseReader
    live: LiveReader | None = None
    is_following: bool = False


class CallsInside(enum.Enum):
    """What becomes of the calls of traced methods that a method itself makes."""

    NONE = "it makes none"
    BELOW = "their spans stand below its own"
    SILENT = "they have no spans, as its own says all that there is to say"


class Operation(NamedTuple):
    """What differs between one traced method and another.

    Attributes:
        span_name: the span's name, the same for sync and async.
        span_type: `task` for what may contain several model calls, `llm` for one.
        request: reads the arguments of the call, as far as they are the method's own.
        response: reads what came of it.
        accumulator: makes the accumulator of a method that can stream; a `LiveAccumulator` where there is a `live`.
        with_llm_spans: makes what reads the response to a request where the model calls inside are to be shown as
            well, when the request is made.
        live: reads the children that are over of a stream that is open.
        calls_inside: what becomes of the calls of traced methods that the method itself makes.
    """

    span_name: str
    span_type: SpanTypeAttribute
    request: RequestReader
    response: ResponseReader
    accumulator: Callable[[], Accumulator] | None = None
    with_llm_spans: Callable[[Request], Readers] | None = None
    live: LiveReader | None = None
    calls_inside: CallsInside = CallsInside.NONE
