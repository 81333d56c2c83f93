"""What a process holds: threads, open files, objects of the integration, memory."""

import gc
import os
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from braintrust.integrations.mistral.resources.agent_names import agent_names
from braintrust.integrations.mistral.tracing import handover
from braintrust.logger import SpanImpl


_INTEGRATION = "braintrust.integrations.mistral"

# The SDK sends with a thread for each core, over a connection each, which have two ends here.
_SDK_THREADS = os.cpu_count() or 1
_SDK_SOCKETS = 2 * _SDK_THREADS


class Held(NamedTuple):
    """What a process holds at a time, each by name and number."""

    threads: Counter[str]
    files: Counter[str]
    objects: Counter[str]

    def beyond(self, before: "Held", waiting: int) -> Counter[str]:
        """What is held beyond what was held before, with `waiting` function calls that wait for results."""
        allowed = Counter(ThreadPoolExecutor=_SDK_THREADS, socket=_SDK_SOCKETS)
        # An entry of a bounded map is an agent's name, too.
        entries = waiting + len(agent_names)
        calls = Counter(SpanImpl=waiting, ToolCallKey=waiting, PendingToolCall=waiting, _Entry=entries)
        grown = (self.threads - before.threads) + (self.files - before.files) - allowed
        # Of these there is one for each call that waits, whatever was there before.
        others = Counter({name: count for name, count in before.objects.items() if name not in calls})
        return grown + (self.objects - others - calls)


def streams() -> int:
    """How many streams the integration takes to be open, those included that were dropped and will be ended soon."""
    return len(handover._open)


def held() -> Held:
    """What this process holds now."""
    return Held(_threads(), _open_files(), _objects())


def resident_bytes() -> int:
    """The memory of this process that is in use, after a full collection."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _threads() -> Counter[str]:
    """The threads that are alive; those of pools have one name, whatever their number."""
    return Counter(thread.name.partition("-")[0] for thread in threading.enumerate())


def _open_files() -> Counter[str]:
    """What the open file descriptors refer to, sockets as one."""
    names: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            name = os.readlink(descriptor)
        except FileNotFoundError:
            # The one with which the folder was read.
            continue
        names["socket" if name.startswith("socket:") else name] += 1
    return names


def _objects() -> Counter[str]:
    """The instances of the integration's classes and of the SDK's span, after a full collection."""
    gc.collect()
    kinds = Counter(type(item) for item in gc.get_objects())
    # Some classes say something else under this name.
    ours = {kind: count for kind, count in kinds.items() if str(kind.__module__).startswith(_INTEGRATION)}
    return Counter({kind.__name__: count for kind, count in {**ours, SpanImpl: kinds[SpanImpl]}.items()})
