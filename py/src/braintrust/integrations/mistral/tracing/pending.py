"""Function calls that wait for the results that later requests bring, and results that come before their calls."""

from typing import NamedTuple

from braintrust.logger import Span

from ..bounded import BoundedMap, size_of
from ..faults import guarded
from ..operations import ToolCallKey, ToolCallUpdate
from . import handover


_MOST_EARLY_BYTES = 4 * 1024 * 1024
_MOST_EARLY_SECONDS = 600


class PendingToolCall(NamedTuple):
    """A function call that waits: its span, which was logged with an end when it was made, and when that began."""

    span: Span
    start: float


class _EarlyUpdate(NamedTuple):
    update: ToolCallUpdate
    sent: float


pending_tool_calls: BoundedMap[ToolCallKey, PendingToolCall] = BoundedMap()
"""The function calls of this process that wait for their results."""

early_updates: BoundedMap[ToolCallKey, _EarlyUpdate] = BoundedMap(
    most_bytes=_MOST_EARLY_BYTES, most_seconds=_MOST_EARLY_SECONDS
)
"""What was sent for calls that have no spans yet, as their streams are open.

An application may answer a call as soon as it has read it, and a stream that it then drops ends a little later.
"""


def add_pending(key: ToolCallKey, call: PendingToolCall) -> None:
    """Let a function call wait for its result, unless that was sent before."""
    pending_tool_calls.set(key, call)
    early = early_updates.pop(key)
    if early is not None:
        _log_update(early.update, early.sent)


@guarded(fallback=None)
def update_tool_call(update: ToolCallUpdate, sent: float) -> None:
    """Log what a request brings to the function call that waits for it; the call ended when this was sent."""
    if not _log_update(update, sent) and handover.is_any_open() and update.key not in early_updates:
        early_updates.set(update.key, _EarlyUpdate(update, sent), size_of(update.output))
        # Its stream may have ended in between, in another thread; then one of the two finds it.
        if update.key in pending_tool_calls and early_updates.pop(update.key) is not None:
            _log_update(update, sent)


def drop_early_updates() -> None:
    """Drop what nobody waits for any more, as no stream is open: it belongs to calls of other processes."""
    if not handover.is_any_open():
        early_updates.clear()


def _log_update(update: ToolCallUpdate, sent: float) -> bool:
    """Log an update, and return whether its call is known here."""
    waits_on = update.approval == "approved"
    call = pending_tool_calls.get(update.key) if waits_on else pending_tool_calls.pop(update.key)
    if call is None:
        return False
    approval = {"tool_approval": update.approval} if update.approval else None
    # By Mistral's clock the call may have begun later, and ours may have been set back.
    call.span.log(output=update.output, metadata=approval, metrics={"end": max(sent, call.start)})
    return True
