"""Function calls that wait for the results that later requests bring."""

from typing import NamedTuple

from braintrust.logger import Span

from ..bounded import BoundedMap
from ..faults import guarded
from ..operations import ToolCallKey, ToolCallUpdate
from . import handover, rows


class PendingToolCall(NamedTuple):
    """A function call that waits: its span, which was logged with an end when it was made, and when that began."""

    span: Span
    start: float


pending_tool_calls: BoundedMap[ToolCallKey, PendingToolCall] = BoundedMap()
"""The function calls of this process that wait for their results."""


@guarded(fallback=None)
def update_tool_call(update: ToolCallUpdate, sent: float) -> None:
    """Log what a request brings to the function call that waits for it; the call ended when this was sent."""
    if not _log_update(update, sent) and handover.have_call_logged(update.key):
        _log_update(update, sent)


def _log_update(update: ToolCallUpdate, sent: float) -> bool:
    """Log an update, and return whether its call is known here."""
    waits_on = update.approval == "approved"
    call = pending_tool_calls.get(update.key) if waits_on else pending_tool_calls.pop(update.key)
    if call is None:
        return False
    approval = {"tool_approval": update.approval} if update.approval else None
    # By Mistral's clock the call may have begun later, and ours may have been set back.
    rows.log(call.span, output=update.output, metadata=approval, metrics={"end": max(sent, call.start)})
    return True
