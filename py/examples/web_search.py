"""Shows a web search with citations, streamed: `python -m examples.web_search`.

The answer is printed as it comes, its sources below it. The span of the call holds the same answer as one that is not
streamed, citations in their places; the search is a span below it, as long as it really took.
"""

from typing import Any

import braintrust

from examples.services import services


QUESTION = "When does the next ferry leave from Lisbon to Cacilhas, and what is the fare?"


def text(event: Any, sources: list[str]) -> str:
    """Return what an event adds to the text of an answer; a citation is a number, its source goes into `sources`."""
    if event.event != "message.output.delta":
        return ""
    content = event.data.content
    if isinstance(content, str):
        return content
    if content.type == "tool_reference":
        sources.append(f"{content.title}, {content.url}")
        return f" [{len(sources)}]"
    return content.text if content.type == "text" else ""


def main() -> None:
    """Ask, print the answer as it comes, and show the trace."""
    with services() as here:
        braintrust.auto_instrument()
        braintrust.init_logger(project="mistral web search")
        conversations = here.client.beta.conversations
        sources: list[str] = []
        with braintrust.start_span(name="a question") as root:
            stream = conversations.start_stream(
                model=here.model("web-search"), inputs=QUESTION, tools=[{"type": "web_search"}]
            )
            with stream as events:
                for event in events:
                    print(text(event, sources), end="", flush=True)
        print(*(f"\n[{number}] {source}" for number, source in enumerate(sources, 1)), "\n", sep="")
        here.show(root, "tool: web_search")


if __name__ == "__main__":
    main()
