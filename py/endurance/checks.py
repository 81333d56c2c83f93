"""What the spans of conversations must show, given what their clients saw."""

import contextlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from endurance.plan import SEED
from endurance.talks import Seen, Talk


Row = dict[str, Any]

_TOKEN = re.compile(r"\bc\d{6}\b")
_CHILD_TYPES = ("tool.execution", "function.call", "agent.handoff")
_APPROVALS = {"allow": "approved", "deny": "denied"}


class Trace:
    """The spans of some conversations, each as its rows add up."""

    def __init__(self, spans: Iterable[Row], ends: Counter[str]) -> None:
        self._ends = ends
        self._spans = {span["span_id"]: span for span in spans}
        self._calls: defaultdict[str, list[Row]] = defaultdict(list)
        self._children: defaultdict[str, list[Row]] = defaultdict(list)
        self._clients: dict[str, Row] = {}
        for span in self._spans.values():
            if (token := _said(span)) is not None:
                self._calls[token].append(span)
            elif span["span_attributes"]["name"].startswith("client "):
                self._clients[span["span_id"]] = span
            else:
                self._children[span["span_parents"][0]].append(span)

    def check(self, talks: Sequence[Talk]) -> None:
        """Check that these conversations, and nothing else, are here, as their clients saw them."""
        made = Counter(seen.token for talk in talks for seen in talk.seen)
        assert Counter({token: len(calls) for token, calls in self._calls.items()}) == made
        assert self._children.keys() <= {call["span_id"] for calls in self._calls.values() for call in calls}
        assert self._clients.keys() == {talk.parent for talk in talks if talk.parent is not None}
        for talk in talks:
            with _telling(talk):
                self._check_talk(talk)

    def _check_talk(self, talk: Talk) -> None:
        calls: dict[str, Row] = {}
        for seen in talk.seen:
            (span,) = self._calls[seen.token]
            children = self._children[span["span_id"]]
            _check_call(span, seen)
            assert self._ends[span["span_id"]] == 1
            entries = [entry for entry in span.get("output") or () if entry.get("type") in _CHILD_TYPES]
            assert len(children) == len(entries)
            for child in children:
                assert {*_TOKEN.findall(json.dumps(child))} <= {talk.plan.token}
                if child["metadata"]["tool_type"] == "function.call":
                    calls[child["metadata"]["tool_call_id"]] = child
                else:
                    assert self._ends[child["span_id"]] == 1
            arguments = {call: calls[call]["input"] for call in seen.arguments}
            assert arguments == {call: _parsed(text) for call, text in seen.arguments.items()}
        self._check_settled(talk, calls)

    def _check_settled(self, talk: Talk, calls: dict[str, Row]) -> None:
        for tool_call_id, call in calls.items():
            result, decision = talk.results.get(tool_call_id), talk.decisions.get(tool_call_id)
            assert call.get("output") == result
            assert call["metadata"].get("tool_approval") == _APPROVALS.get(decision or "")
            is_settled = result is not None or decision is not None
            assert self._ends[call["span_id"]] == 1 + is_settled


@contextlib.contextmanager
def _telling(talk: Talk) -> Generator[None, None, None]:
    try:
        yield
    except (AssertionError, KeyError) as failure:
        raise AssertionError(f"seed {SEED}, {talk.plan}\nof which the client saw {talk.seen}") from failure


def _check_call(span: Row, seen: Seen) -> None:
    assert span["span_attributes"]["name"] == seen.span_name
    assert span.get("span_parents") == (None if seen.parent is None else [seen.parent])
    assert {*_TOKEN.findall(json.dumps(span))} == {seen.token.partition("-")[0]}
    error = span.get("error")
    if seen.error == "CancelledError":
        assert error is None
        assert span["metadata"]["cancelled"] is True
    elif seen.error is not None:
        assert error is not None
        assert seen.error in error
    elif seen.error_event is not None:
        assert error is not None
        assert seen.error_event in error
    else:
        assert error is None
    if seen.is_whole or seen.span_name.endswith("stream"):
        assert _text(span.get("output")) == seen.text
    assert span["metrics"]["start"] <= span["metrics"]["end"]


def _said(span: Row) -> str | None:
    """The token that a call said, which its request's `stop` repeats; none of what is not a call."""
    metadata = span.get("metadata") or {}
    if "completion_args" in metadata:
        return metadata["completion_args"]["stop"]
    return metadata.get("stop")


def _text(value: Any) -> str:
    """All text of an output, in its order."""
    if isinstance(value, list):
        return "".join(_text(item) for item in value)
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    for name in ("message", "content", "thinking", "text"):
        if name in value:
            return _text(value[name])
    return ""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
