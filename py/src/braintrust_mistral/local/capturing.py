"""Captures traces in the process that makes them: in tests, and in notebooks."""

import secrets
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

from typing_extensions import override

from braintrust_mistral.local.braintrust.service import LocalBraintrust
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.sdk import keep_apart, sending_to
from braintrust_mistral.local.startup import trace_imports


# Of the ids of projects in captures, which are those of no other Braintrust.
_NAMESPACE = "b5c2c9a4-7e3f-5d0e-9d53-0f0e5b7f1c11"


class CapturedTraces(Sequence[Trace]):
    """The traces of a `capture` so far, in the order in which they began; in a notebook they draw themselves."""

    def __init__(self, braintrust: LocalBraintrust) -> None:
        self._braintrust = braintrust
        self._is_over = False

    @override
    def __len__(self) -> int:
        return len(self._traces())

    @overload
    def __getitem__(self, index: int) -> Trace: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trace]: ...
    @override
    def __getitem__(self, index: int | slice) -> Trace | Sequence[Trace]:
        return self._traces()[index]

    @override
    def __iter__(self) -> Iterator[Trace]:
        return iter(self._traces())

    @override
    def __repr__(self) -> str:
        return "\n\n".join(trace.tree() for trace in self) or "no traces"

    def _repr_html_(self) -> str:
        return "\n".join(trace.as_html() for trace in self) or "no traces"

    def _traces(self) -> list[Trace]:
        if not self._is_over:
            from braintrust import flush

            flush()
        return self._braintrust.traces()

    def _end(self) -> None:
        self._is_over = True


@contextmanager
def capture() -> Generator[CapturedTraces, None, None]:
    """Capture all traces that this process makes in the block, in whichever thread, and keep them on this machine.

        with capture() as traces:
            client.beta.conversations.start(model="mistral-medium-latest", inputs="When?")
        print(traces[0].tree())

    They pass through the masking function and the span customizers, as on their way to Braintrust. A logger that the
    program has set up goes on, but what it logs arrives here; without one, there is one for the block. What was logged
    before is sent first, where it belongs. One capture at a time: there is one SDK in a process. What the program has
    imported or imports, of all that `auto_instrument()` traces, is traced from now on, after the block as well.
    """
    trace_imports()
    api_key = secrets.token_urlsafe(24)
    with LocalBraintrust(api_key=api_key, namespace=_NAMESPACE) as braintrust:
        traces = CapturedTraces(braintrust)
        try:
            with sending_to(braintrust.url, api_key), _logger():
                yield traces
        finally:
            traces._end()  # pyright: ignore[reportPrivateUsage]
            keep_apart(braintrust.object_ids, braintrust.store)


@contextmanager
def _logger() -> Generator[None, None, None]:
    """Have a current logger, and afterwards what there was, which then knows nothing of its project here."""
    import braintrust
    from braintrust.util import LazyValue

    logger: Any = braintrust.current_logger()
    experiment: Any = braintrust.current_experiment()
    # What they know of their project once they have asked.
    known = [
        (owner, name, getattr(owner, name))
        for owner in (logger, experiment)
        for name in ("_lazy_metadata", "_lazy_id")
        if owner is not None
    ]
    for owner, name, value in known:
        setattr(owner, name, LazyValue(value.callable, use_mutex=True))
    state: Any = (logger or braintrust.init_logger(project="captured")).state
    try:
        yield
    finally:
        braintrust.flush()
        state._cv_logger.set(logger)
        state._local_logger = logger
        state.current_experiment = experiment
        for owner, name, value in known:
            setattr(owner, name, value)
