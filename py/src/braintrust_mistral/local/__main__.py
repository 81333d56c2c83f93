"""Both local services until Ctrl-C: `python -m braintrust_mistral.local`."""

import argparse
import shlex
import textwrap
import threading
from collections.abc import Iterable

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.mistral.classifiers import FLAGGED
from braintrust_mistral.local.mistral.completion_scenarios import COMPLETIONS
from braintrust_mistral.local.mistral.delivery import DELIVERIES
from braintrust_mistral.local.mistral.echo import SUFFIX
from braintrust_mistral.local.mistral.response_items import RESPONSES
from braintrust_mistral.local.mistral.scenarios import SCENARIOS
from braintrust_mistral.local.mistral.wire_faults import HEADER, KINDS


_SCENARIOS: dict[str, Iterable[str]] = {
    "conversations": SCENARIOS,
    "chat, agents, fim": COMPLETIONS,
    "responses": RESPONSES,
    "moderation": [FLAGGED],
    "everything but conversations": DELIVERIES,
}


def main() -> None:
    """Start both services, and say where they are and what they know."""
    parser = argparse.ArgumentParser(prog="python -m braintrust_mistral.local", description=__doc__)
    parser.add_argument("--mistral-port", type=int, default=8701, help="default: %(default)s; 0 takes a free port")
    parser.add_argument("--braintrust-port", type=int, default=8702, help="default: %(default)s; 0 takes a free port")
    parser.add_argument("--pace", type=float, default=1.0, help="multiplies Mistral's delays (default: %(default)s)")
    options = parser.parse_args()
    mistral = LocalMistral(pace=options.pace, port=options.mistral_port)
    with mistral, LocalBraintrust(port=options.braintrust_port) as braintrust:
        print(f"Mistral     {mistral.url}   Mistral(api_key='local', server_url='{mistral.url}')")
        print(f"Braintrust  {braintrust.url}\n")
        print("Environment of an application that logs here:")
        for name, value in braintrust.environment().items():
            print(f"  export {name}={shlex.quote(value)}")
        print("\nScenarios, by model name or agent id; long-stream-<n> for n deltas:")
        for surface, names in _SCENARIOS.items():
            print(f"  {surface}:")
            print(_wrapped(names))
        print(f"  with {SUFFIX}, a conversation's repeats what was said")
        print(f"\nFaults of the wire, by the header {HEADER}:")
        print(_wrapped(KINDS))
        print("\nCtrl-C stops both.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


def _wrapped(names: Iterable[str]) -> str:
    return textwrap.indent(textwrap.fill(", ".join(names), 96, break_on_hyphens=False), "    ")


if __name__ == "__main__":
    main()
