"""An application whose sessions hold themselves and a stream, so that only the collector ends what they left."""

import gc
import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from braintrust.integrations.mistral.tracing import handover

from endurance.leftovers import resident_bytes
from tests.helpers.alone import log_to_stdout
from tests.helpers.wire import answer_stream, client_of, says, streamed


_AT_A_TIME = 500


class Session:
    """A visitor's session with an answer that was read to its first event."""

    def __init__(self, client: Any) -> None:
        self.itself = self
        self.answer = self._events(client)
        next(self.answer)

    def _events(self, client: Any) -> Iterator[Any]:
        with client.beta.conversations.start_stream(inputs="Bread?", model="m") as stream:
            yield from stream


def main() -> None:
    """Have as many sessions as the command line says; print how many spans began and ended, and what memory grew."""
    queue = log_to_stdout().queue
    client = client_of(lambda request: answer_stream(streamed([says("Bread rises")])))
    logged: Counter[str] = Counter()

    def take() -> None:
        for record in queue.drain_all():
            logged["ended" if "end" in record.get().get("metrics", {}) else "begun"] += 1

    warm = 0
    for number in range(int(sys.argv[1])):
        Session(client)
        if number % _AT_A_TIME == 0:
            take()
            # What is made once has been made by then.
            warm = warm or (resident_bytes() if number else 0)
    gc.collect()
    handover._finish()
    take()
    print(json.dumps({**logged, "open": len(handover._open), "grown": resident_bytes() - warm}))
