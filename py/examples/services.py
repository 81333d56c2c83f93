"""Where an example runs: on this machine, or with keys for both on the real services.

Without them, each example starts a local Mistral, whose answers are scripted, and a local Braintrust, whose traces are
drawn in the terminal. With MISTRAL_API_KEY and BRAINTRUST_API_KEY set, the same example asks the real Mistral, logs to
the real Braintrust, and prints its traces' links.
"""

import contextlib
import json
import os
import sys
import textwrap
from collections.abc import Generator
from io import TextIOWrapper
from typing import Any, NamedTuple

import braintrust

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.drawing.picture import growing_trace, show_trace
from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.report import described


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # type: ignore[attr-defined,no-redef]  # 1.x


REAL_MODEL = "mistral-medium-latest"
BOOK_FERRY: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "book_ferry",
        "description": "Books places on a ferry.",
        "parameters": {
            "type": "object",
            "properties": {"departure": {"type": "string"}, "passengers": {"type": "integer"}},
            "required": ["departure", "passengers"],
        },
    },
}
_INDENTED: dict[str, Any] = {
    "width": 110,
    "initial_indent": "  ",
    "subsequent_indent": "    ",
    "max_lines": 10,
    "placeholder": " …",
}


class Services(NamedTuple):
    """A client of Mistral, where to reach that, and the Braintrust that gets the traces unless it is the real one."""

    client: Any
    url: str | None
    braintrust: LocalBraintrust | None

    def model(self, scenario: str) -> str:
        """Return the model to ask: the scenario that the local Mistral shall follow, or else a real one."""
        return REAL_MODEL if self.braintrust is None else scenario

    @contextlib.contextmanager
    def agent(self, scenario: str) -> Generator[str, None, None]:
        """Have an agent for a while that searches the web and hands over to one that computes and books; its id."""
        if self.braintrust is not None:
            yield scenario
            return
        agents = self.client.beta.agents
        booker = agents.create(
            model=REAL_MODEL,
            name="demo-booker",
            description="Computes prices and books ferries.",
            tools=[{"type": "code_interpreter"}, BOOK_FERRY],
        )
        researcher = agents.create(
            model=REAL_MODEL,
            name="demo-researcher",
            instructions="Search the web for departures and prices, then hand over to the booker.",
            tools=[{"type": "web_search"}],
            handoffs=[booker.id],
        )
        try:
            yield researcher.id
        finally:
            agents.delete(agent_id=researcher.id)
            agents.delete(agent_id=booker.id)

    def trace(self, root: Any) -> list[Json]:
        """Return the spans of the trace with this root, once they have arrived; none where Braintrust is real."""
        braintrust.flush()  # type: ignore[no-untyped-call]
        return self.arrived(root)

    def arrived(self, root: Any) -> list[Json]:
        """Return those of them that have arrived by now."""
        spans = [] if self.braintrust is None else self.braintrust.spans()
        return [span for span in spans if span["root_span_id"] == root.root_span_id]

    def watch(self, root: Any) -> contextlib.AbstractContextManager[None]:
        """Draw the trace with this root while it grows, in a terminal and where Braintrust is local."""
        return growing_trace(lambda: self.arrived(root))

    def show(self, root: Any, closer: str | None = None) -> None:
        """Draw the trace with this root, and print what the last span named `closer` holds, or print its link."""
        if not (trace := self.trace(root)):
            print(root.permalink())
            return
        show_trace(trace)
        print(f"{described(Trace(root.root_span_id, trace))}\n")
        for span in [span for span in trace if span["span_attributes"]["name"] == closer][-1:]:
            print(closer)
            for field in ("input", "output"):
                print(textwrap.fill(f"{field}: {json.dumps(span[field], ensure_ascii=False)}", **_INDENTED))
            print()


def connect(url: str | None) -> Any:
    """Return a client of the Mistral at `url`, the real one if that is None."""
    return Mistral(api_key=os.environ["MISTRAL_API_KEY"] if url is None else "local", server_url=url)


@contextlib.contextmanager
def services(pace: float = 1.0) -> Generator[Services, None, None]:
    """Have both services for a while: the real ones with their keys, else local ones.

    Args:
        pace: how fast the local Mistral works: 0.1 is ten times.
    """
    if {"MISTRAL_API_KEY", "BRAINTRUST_API_KEY"} <= os.environ.keys():
        yield Services(connect(None), None, None)
        return
    if isinstance(sys.stdout, TextIOWrapper):
        # Into a pipe, Windows may have no character for what Mistral says.
        sys.stdout.reconfigure(errors="replace")
    with LocalBraintrust() as local_braintrust, LocalMistral(pace=pace) as mistral:
        os.environ.update(local_braintrust.environment())
        yield Services(connect(mistral.url), mistral.url, local_braintrust)
