"""Shows a handoff between agents: `python -m examples.handoff`.

One request, in which an agent searches the web and hands over to another one, which computes and answers. Each step is
a span below the request's, the handoff too, with the agent that took it in its metadata.
"""

import braintrust

from examples.services import services


def main() -> None:
    """Ask the first agent, print who did what, and show the trace."""
    with services() as here, here.agent("handoff") as agent_id:
        braintrust.auto_instrument()
        braintrust.init_logger(project="mistral handoff")
        conversations = here.client.beta.conversations
        with braintrust.start_span(name="a handoff") as root:
            question = "How many more people took the tram in Lisbon last year, in per cent?"
            response = conversations.start(agent_id=agent_id, inputs=question)
        for entry in response.outputs:
            print(f"{entry.type:16} {getattr(entry, 'agent_id', None) or ''}")
        here.show(root, "handoff: analyst")


if __name__ == "__main__":
    main()
