"""What a stream has brought to its end while it is open: logged as it comes, and not when the stream ends."""

import time
from typing import Any

from ..faults import guarded
from ..operations import LiveReader, Request, ResponseReader
from ..settings import is_on, settings
from . import handover
from .spans import CallSpan


PROGRESS = "BRAINTRUST_MISTRAL_PROGRESS"
"""The environment variable that, set to 0, keeps the answers of open streams from being logged."""

_SECONDS_BETWEEN_ANSWERS = 10.0


class StreamProgress:
    """Logs the children of a stream that are over, and every ten seconds the answer so far, if there is more of it.

    It knows no accumulator, which has it called: a stream that is dropped goes at once.

    Args:
        read_ended: reads the children that are over.
        read: reads the response so far.
    """

    __slots__ = ("_logged_at", "_logs_answers", "_read", "_read_over", "_request", "_span")

    def __init__(self, span: CallSpan, read_ended: LiveReader, read: ResponseReader, request: Request) -> None:
        self._span = span
        self._read_over = read_ended
        self._read = read
        self._request = request
        self._logs_answers = is_on(PROGRESS, default=True) and settings().content
        self._logged_at = time.monotonic()

    @guarded(fallback=None)
    def progressed(self, accumulator: Any) -> None:
        """Log what is new of an accumulator: an entry is over, say, or more text has arrived."""
        # A collector may run inside the lock of the log queue. What is over stays with the accumulator.
        if not handover.may_open():
            return
        for child in self._read_over(accumulator, self._request):
            self._span.log_child(child, accumulator.first_output)
        now = time.monotonic()
        if self._logs_answers and now - self._logged_at >= _SECONDS_BETWEEN_ANSWERS:
            self._logged_at = now
            self._span.log_so_far(self._read(accumulator.response(), self._request).output)
