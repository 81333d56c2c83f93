"""What the local Mistral knows, for those who ask it by name."""

import textwrap
from collections.abc import Iterable

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


def described() -> str:
    """Return the names of scenarios and faults, as text 80 columns wide."""
    lines = ["Scenarios, by model name or agent id; long-stream-<n> for n deltas:"]
    for surface, names in _SCENARIOS.items():
        lines += [f"  {surface}:", _wrapped(names)]
    lines.append(f"  with {SUFFIX}, a conversation's repeats what was said")
    return "\n".join([*lines, "", f"Faults of the wire, by the header {HEADER}:", _wrapped(KINDS)])


def _wrapped(names: Iterable[str]) -> str:
    return textwrap.indent(textwrap.fill(", ".join(names), 76, break_on_hyphens=False), "    ")
