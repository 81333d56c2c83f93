"""Shows conversations in two processes that share one trace: `python -m examples.two_processes`.

The first process asks, and hands on its span as a text, `span.export()`, as it would in a message queue or a header.
The second opens its span with that as `parent=` and goes on with the conversation.
"""

import multiprocessing

import braintrust

from examples.services import connect, services


PROJECT = "mistral two processes"


def go_on(parent: str, conversation_id: str, url: str | None) -> None:
    """Ask the second question, in a process that knows nothing but these three texts."""
    braintrust.auto_instrument()
    braintrust.init_logger(project=PROJECT)
    conversations = connect(url).beta.conversations
    with braintrust.start_span(name="the second process", parent=parent):
        conversations.append(conversation_id=conversation_id, inputs="Say that in one sentence.")
    braintrust.flush()  # type: ignore[no-untyped-call]


def main() -> None:
    """Ask the first question, have another process ask the second, and show the trace."""
    with services() as here:
        braintrust.auto_instrument()
        braintrust.init_logger(project=PROJECT)
        conversations = here.client.beta.conversations
        with braintrust.start_span(name="the first process") as root:
            question = "Which river flows through Lisbon?"
            response = conversations.start(model=here.model("plain"), inputs=question)
            arguments = (root.export(), response.conversation_id, here.url)
            # A fresh interpreter, as on another machine.
            second = multiprocessing.get_context("spawn").Process(target=go_on, args=arguments)
            second.start()
            second.join()
        if second.exitcode:
            raise SystemExit(second.exitcode)
        here.show(root, "mistral.beta.conversations.append")


if __name__ == "__main__":
    main()
