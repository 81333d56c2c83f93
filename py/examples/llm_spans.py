"""Shows the model calls inside a conversation: `python -m examples.llm_spans`.

The same question twice. As it is by default, the trace has the steps that Mistral ran; with `llm_spans=True` also each
call of a model before what it asked for, with all that the model had seen, as Braintrust's thread view reads it.
"""

from typing import Any

import braintrust

from braintrust_mistral import wrap_mistral
from examples.services import Services, connect, services


QUESTION = "How did tram ridership develop?"


def ask(here: Services, agent_id: str, llm_spans: bool) -> Any:
    """Ask, with a client of its own, and return the root of the trace."""
    client = connect(here.url)
    wrap_mistral(client, llm_spans=llm_spans)
    with braintrust.start_span(name=f"llm_spans={llm_spans}") as root:
        client.beta.conversations.start(agent_id=agent_id, inputs=QUESTION)
    return root


def main() -> None:
    """Ask twice, and show both traces and what one model call holds."""
    with services() as here, here.agent("handoff") as agent_id:
        braintrust.init_logger(project="mistral llm spans")
        here.show(ask(here, agent_id, llm_spans=False))
        root = ask(here, agent_id, llm_spans=True)
        here.show(root, "tool: code_interpreter")
        for message in [span for span in here.trace(root) if span["span_attributes"].get("type") == "llm"][-1:]:
            print("What the last model saw:")
            for seen in message["input"]:
                print(f"  {seen['role']:9}  {str(seen['content'] or seen['tool_calls'])[:100]}")


if __name__ == "__main__":
    main()
