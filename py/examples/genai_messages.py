"""Puts Mistral's payloads into OpenTelemetry's GenAI words by hand: `python -m examples.genai_messages`.

For a program that exports them itself, in spans or events of its own: that needs neither OpenTelemetry nor a logger.
The last lines do the same with a span that this integration logged.
"""

import json
from typing import Any

import braintrust

from braintrust_mistral import (
    format_input_message,
    format_output_entries,
    format_output_message,
    format_tool_definition,
    span_attributes,
    wrap_mistral,
)
from examples.services import BOOK_FERRY, services


QUESTION = "Which ferries go from Lisbon to Cacilhas?"


def show(name: str, value: Any) -> None:
    """Print an attribute with its value, long lines cut."""
    print(name)
    for line in json.dumps(value, indent=2).splitlines():
        print(f"  {line[:110]}")


def main() -> None:
    """Have a conversation and a completion, and print what an exporter would send of them."""
    with services(pace=0.1) as here, here.agent("handoff") as agent_id:
        response = here.client.beta.conversations.start(agent_id=agent_id, inputs=QUESTION)
        show("gen_ai.input.messages", [format_input_message({"role": "user", "content": QUESTION})])
        show("gen_ai.output.messages", format_output_entries(response.outputs))

        message = {"role": "user", "content": QUESTION}
        completion = here.client.chat.complete(model=here.model("plain"), messages=[message], tools=[BOOK_FERRY])
        show("gen_ai.tool.definitions", [format_tool_definition(BOOK_FERRY)])
        show("gen_ai.output.messages", [format_output_message(choice) for choice in completion.choices])

        braintrust.init_logger(project="mistral genai messages")
        with braintrust.start_span(name="a completion") as root:
            wrap_mistral(here.client).chat.complete(model=here.model("plain"), messages=[message])
        for span in here.trace(root)[1:]:
            show("the attributes of a logged span, without content", span_attributes(span, capture_content=False))
        here.show(root, "mistral.chat.complete")


if __name__ == "__main__":
    main()
