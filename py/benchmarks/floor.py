"""The floor: a traced call's rows, known beforehand and logged with Braintrust's bare ``start_span`` and ``log``.

No tracing that logs these rows can cost less: they are those that our tracing logs of the same call, and their records
are as few as can be, two for the call and one for each span below it.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, cast

import braintrust
from braintrust import Span, SpanTypeAttribute
from mistralai.client.chat import Chat
from mistralai.client.conversations import Conversations

from .provider import Provider


_METHODS = ((Conversations, "start"), (Conversations, "start_stream"), (Chat, "complete"))
_PROVENANCE: Any = {"instrumentation": "mistral-auto"}
_LOGGED = ("input", "output", "metadata", "error")


class Rows(NamedTuple):
    """What a call logs.

    Attributes:
        opening: what its span is opened with.
        closing: what is logged when it is over, beside its times.
        children: what the spans below it are opened with, each with the id of the one that it hangs on.
        span_id: the call's, as the children name it.
    """

    opening: dict[str, Any]
    closing: dict[str, Any]
    children: list[tuple[str, str, dict[str, Any]]]
    span_id: str

    @classmethod
    def of(cls, logged: list[dict[str, Any]]) -> "Rows":
        """Return them of the rows that were logged, the call's first; none where nobody logged any."""
        if not logged:
            return cls({}, {"metrics": {}}, [], "")
        call, *below = logged
        opened = _opened(call)
        closing = {name: opened.pop(name) for name in ("output", "metadata", "error", "metrics") if name in opened}
        closing["metrics"] = {name: value for name, value in closing["metrics"].items() if name not in _TIMES}
        del opened["start_time"]
        children = [(row["span_parents"][0], row["span_id"], _opened(row)) for row in below]
        return cls(opened, closing, children, call["span_id"])


_TIMES = ("end", "duration")


def install(provider: Provider, logged_by: Callable[[Callable[[], object]], list[dict[str, Any]]]) -> None:
    """Make the traced methods of the client log the same rows by themselves.

    Args:
        provider: what answers them.
        logged_by: does something, and returns which rows that logged.
    """
    for owner, name in _METHODS:
        traced: Any = getattr(owner, name)
        setattr(owner, name, _logging(traced, provider, logged_by))


def _logging(
    traced: Any, provider: Provider, logged_by: Callable[[Callable[[], object]], list[dict[str, Any]]]
) -> Callable[..., Any]:
    """Return a method that answers as the traced one does, and logs the rows."""
    answer: Callable[..., Any] = traced.__wrapped__
    known: dict[tuple[int, ...], tuple[object, Rows]] = {}

    def call(resource: object, **request: Any) -> Any:
        said = (provider.answers(), *request.values())
        key = tuple(map(id, (*said[0], *said[1:])))
        if key not in known:
            rows = Rows.of(logged_by(lambda: _do(traced, resource, request)))
            if not rows.span_id:
                return _log(rows, answer, resource, request)
            # With all that it was made of, whose ids may be others' once that is garbage.
            known[key] = (said, rows)
        return _log(known[key][1], answer, resource, request)

    return call


def _do(method: Any, resource: object, request: dict[str, Any]) -> None:
    with contextlib.suppress(Exception):
        result = method.__get__(resource)(**request)
        if isinstance(result, Iterator):
            for _ in cast("Iterator[object]", result):
                pass


def _log(rows: Rows, answer: Callable[..., Any], resource: object, request: dict[str, Any]) -> Any:
    started = time.time()
    span = braintrust.start_span(**rows.opening, start_time=started, internal=_PROVENANCE)
    try:
        result = answer(resource, **request)
    except BaseException:
        _close(span, rows, started)
        raise
    if isinstance(result, Iterator):
        return _closing(span, rows, started, cast("Iterator[object]", result))
    _close(span, rows, started)
    return result


def _closing(span: Span, rows: Rows, started: float, events: Iterable[object]) -> Iterator[object]:
    yield from events
    _close(span, rows, started)


def _close(span: Span, rows: Rows, started: float) -> None:
    ended = time.time()
    spans = {rows.span_id: span}
    for parent, span_id, row in rows.children:
        spans[span_id] = spans[parent].start_span(**row, internal=_PROVENANCE)
    metrics = {**rows.closing["metrics"], "end": ended, "duration": ended - started}
    span.log(**{**rows.closing, "metrics": metrics})


def _opened(row: dict[str, Any]) -> dict[str, Any]:
    """Return a logged row as what ``start_span`` takes."""
    metrics: dict[str, float] = dict(row["metrics"])
    return {
        "name": row["span_attributes"]["name"],
        "type": SpanTypeAttribute(row["span_attributes"]["type"]),
        "start_time": metrics.pop("start"),
        "metrics": metrics,
        **{name: row[name] for name in _LOGGED if row.get(name) is not None},
    }
