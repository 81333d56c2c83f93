"""An application that is to be killed: it forks, and each child streams one conversation and tells how far it came.

By lines of its process id, a word and ids of tools: `done` when the event of a tool was delivered, `flushed` with all
tools that were delivered before a flush began which has succeeded.
"""

import os
import sys
import threading
import time
from typing import Any

import braintrust


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # pyright: ignore[reportAttributeAccessIssue]  # 1.x


SECONDS_BETWEEN_FLUSHES = 0.05


def main() -> None:
    """Fork as often as the first argument says, and wait for all children."""
    braintrust.auto_instrument()
    client = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"])
    # Imported before the forks, which all of them save.
    conversations = client.beta.conversations
    children = [pid for _ in range(int(sys.argv[1])) if (pid := fork(conversations))]
    for pid in children:
        os.waitpid(pid, 0)


def fork(conversations: Any) -> int:
    """Have a child converse, and return its process id."""
    pid = os.fork()
    if not pid:
        converse(conversations)
        os._exit(0)
    return pid


def converse(conversations: Any) -> None:
    """Stream a conversation, while another thread flushes."""
    braintrust.init_logger(project="killed")
    delivered: list[str] = []
    threading.Thread(target=flush_for_ever, args=[delivered], daemon=True).start()
    for event in conversations.start_stream(model="ten-tools", inputs="Which ferries?"):
        if event.event == "tool.execution.done":
            delivered.append(event.data.id)
            tell("done", event.data.id)
    # Nothing ends by itself: it is to be killed.
    time.sleep(60)


def flush_for_ever(delivered: list[str]) -> None:
    """Flush again and again, and tell what must have arrived."""
    while True:
        time.sleep(SECONDS_BETWEEN_FLUSHES)
        ids = list(delivered)
        braintrust.flush()
        tell("flushed", *ids)


def tell(word: str, *ids: str) -> None:
    """Write a line in one piece, as others write to the same pipe."""
    os.write(sys.stdout.fileno(), f"{os.getpid()} {word} {' '.join(ids)}\n".encode())
