"""Shows an evaluation of a conversation: `python -m examples.evaluation`.

`braintrust.Eval` has the model answer each question, and two functions score the answer. Nothing in the task knows of
tracing, and yet each row of the experiment leads to what the model did for it: its search, its tokens, its time.
"""

from typing import Any

import braintrust

from examples.services import services


DATA = [
    braintrust.EvalCase(input="What does the ferry from Lisbon to Cacilhas cost?", expected="1.40"),
    braintrust.EvalCase(input="At what time does the first ferry leave Lisbon for Cacilhas?", expected="5:35"),
]


def names_what_was_asked(input: str, output: dict[str, Any], expected: str) -> bool:
    """Score 1 for an answer that contains what was expected."""
    return expected in output["text"]


def cites_a_source(input: str, output: dict[str, Any], expected: str) -> bool:
    """Score 1 for an answer with a source."""
    return bool(output["sources"])


def read(content: Any) -> dict[str, Any]:
    """Return the text of a message, and the sources that it names."""
    chunks: list[Any] = [] if isinstance(content, str) else content
    text = content if isinstance(content, str) else "".join(getattr(chunk, "text", "") for chunk in chunks)
    return {"text": text, "sources": [chunk.url for chunk in chunks if chunk.type == "tool_reference"]}


def main() -> None:
    """Evaluate, print the scores, and show the trace of each row."""
    with services() as here:
        braintrust.auto_instrument()
        conversations = here.client.beta.conversations
        spans: list[Any] = []

        def ask(question: str) -> dict[str, Any]:
            spans.append(braintrust.current_span())
            model, tools = here.model("web-search"), [{"type": "web_search"}]
            response = conversations.start(model=model, inputs=question, tools=tools)
            return read(response.outputs[-1].content)

        result = braintrust.Eval(
            "mistral evaluation",
            data=DATA,
            task=ask,
            scores=[names_what_was_asked, cites_a_source],
            # The local Braintrust does not compare experiments.
            summarize_scores=here.braintrust is None,
        )
        for row in result.results:
            print(f"{row.input}  {row.scores}")
        first, second = spans
        here.show(first, "names_what_was_asked")
        here.show(second)


if __name__ == "__main__":
    main()
