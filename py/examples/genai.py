"""Shows a conversation in OpenTelemetry's GenAI vocabulary: `python -m examples.genai`.

One line asks for it, in `main`; the conversation has hosted tools, a handoff between agents and a function call that
this program answers. Everything runs on this machine, against a local Mistral and a local Braintrust.
"""

import json
import os
from typing import Any

import braintrust
from braintrust.integrations.mistral import GenAIAttributes  # pyright: ignore[reportAttributeAccessIssue]

from local import LocalBraintrust, LocalMistral


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # pyright: ignore[reportAttributeAccessIssue]  # 1.x


def converse(conversations: Any) -> None:
    """Ask for a ferry, answer the function call that comes of it, and have the reply."""
    response = conversations.start(agent_id="agentic", inputs="Book a ferry from Lisbon to Cacilhas for four of us.")
    results = [
        {"type": "function.result", "tool_call_id": entry.tool_call_id, "result": '{"booked": true}'}
        for entry in response.outputs
        if entry.type == "function.call"
    ]
    conversations.append(conversation_id=response.conversation_id, inputs=results)


def show(span: dict[str, Any]) -> None:
    """Print the attributes of a span, long lines cut."""
    print(f"\n{span['span_attributes']['name']}")
    for name, value in span["metadata"].items():
        if name.startswith("gen_ai."):
            for line in f"{name}: {json.dumps(value, indent=2)}".splitlines():
                print(f"  {line[:110]}")


def main() -> None:
    """Trace a conversation and print the attributes of each of its spans."""
    with LocalBraintrust() as local_braintrust, LocalMistral(pace=0.1) as mistral:
        os.environ.update(local_braintrust.environment())
        braintrust.auto_instrument(span_customizers=[GenAIAttributes()])
        braintrust.init_logger(project="genai")
        converse(Mistral(api_key="local", server_url=mistral.url).beta.conversations)
        braintrust.flush()
        for span in local_braintrust.spans():
            show(span)


if __name__ == "__main__":
    main()
