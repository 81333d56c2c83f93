"""Shows a plain conversation of two turns: `python -m examples.conversation`.

Two lines trace it, both in `main`; each request is a span, with what was asked and answered, the model, the tokens and
the conversation that both belong to.
"""

import braintrust

from examples.services import services


def main() -> None:
    """Ask twice, and show the trace."""
    with services() as here:
        braintrust.auto_instrument()
        braintrust.init_logger(project="mistral conversation")
        conversations = here.client.beta.conversations
        with braintrust.start_span(name="a conversation") as root:
            response = conversations.start(model=here.model("plain"), inputs="Which river flows through Lisbon?")
            response = conversations.append(
                conversation_id=response.conversation_id, inputs="Say that in one sentence."
            )
            print(response.outputs[-1].content)
        here.show(root, "mistral.beta.conversations.append")


if __name__ == "__main__":
    main()
