"""Shows a conversation in OpenTelemetry's GenAI vocabulary: `python -m examples.genai`.

One line asks for it, in `main`; the conversation has hosted tools, a handoff between agents and a function call that
this program answers.
"""

import json
from typing import Any

import braintrust

from braintrust_mistral import GenAIAttributes
from examples.services import services


def converse(conversations: Any, agent_id: str) -> None:
    """Ask for a ferry, answer the function call that comes of it, and have the reply."""
    response = conversations.start(agent_id=agent_id, inputs="Book a ferry from Lisbon to Cacilhas for four of us.")
    results = [
        {"type": "function.result", "tool_call_id": entry.tool_call_id, "result": '{"booked": true}'}
        for entry in response.outputs
        if entry.type == "function.call"
    ]
    conversations.append(conversation_id=response.conversation_id, inputs=results)


def show(span: dict[str, Any]) -> None:
    """Print the attributes of a span, long lines cut."""
    print(f"\n{span['span_attributes']['name']}")
    for name, value in (span.get("metadata") or {}).items():
        if name.startswith(("gen_ai.", "error.")):
            for line in f"{name}: {json.dumps(value, indent=2)}".splitlines():
                print(f"  {line[:110]}")


def main() -> None:
    """Trace a conversation; print the attributes of its spans, or where they are the link to them."""
    with services(pace=0.1) as here, here.agent("agentic") as agent_id:
        braintrust.auto_instrument(span_customizers=[GenAIAttributes()])
        braintrust.init_logger(project="mistral genai")
        conversations = here.client.beta.conversations
        with braintrust.start_span(name="a conversation") as root:
            converse(conversations, agent_id)
        here.show(root, "tool: book_ferry")
        for span in here.trace(root):
            show(span)


if __name__ == "__main__":
    main()
