"""Shows what reaches Braintrust when all is masked that people, models and tools say: `python -m examples.masking`.

Three things are needed. `mask` sees input, output and metadata of every span, and in them the attachments, which are
uploaded unless it drops them. A span customizer sees the errors, which the mask does not: this integration's say
no more than types, status codes and places then, and those of other spans are cut here. The rest stays as it is: the
names of spans and tools, the keys of dicts, the times, the tokens, and what `KEPT` lists.
"""

import re
from typing import Any

import braintrust
from braintrust.logger import BaseAttachment

from examples.services import BOOK_FERRY, services


KEPT = {"provider", "model", "object", "stream", "role", "type", "finish_reason", "conversation_id", "tool_call_id"}
"""The fields whose texts nobody wrote."""

CANARY = "canary-4711"
PIXEL = "data:image/png;base64,iVBORw0KGgpjYW5hcnktNDcxMQ=="
"""An image that says "canary-4711", too."""


def mask(value: Any) -> Any:
    """Return a value without its texts and files; numbers and the shape stay."""
    if isinstance(value, dict):
        return {name: item if name in KEPT else mask(item) for name, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    return "masked" if isinstance(value, str | bytes | BaseAttachment) else value


class WithoutMessages(braintrust.SpanCustomizer):
    """Leaves of an error its type and status."""

    def on_span_export(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return the record with the beginning of its error, if it has one."""
        if isinstance(data.get("error"), str):
            beginning = re.match(r"[\w.]*(?: \(status \d+\))?", data["error"])
            data = {**data, "error": beginning[0] if beginning else "masked"}
        return data


def say_it_everywhere(client: Any, model: str) -> None:
    """Make calls with the canary wherever there is a place for it, one that is refused among them."""
    text = {"type": "text", "text": CANARY}
    file = {"type": "document_url", "document_url": PIXEL, "document_name": CANARY}
    tool = {**BOOK_FERRY, "function": {**BOOK_FERRY["function"], "description": CANARY}}
    chunks = [text, {"type": "image_url", "image_url": PIXEL}, file]
    response = client.beta.conversations.start(
        model=model,
        instructions=CANARY,
        inputs=[{"role": "user", "content": chunks}],
        tools=[tool],
        name=CANARY,
        description=CANARY,
        metadata={"who": CANARY},
    )
    client.beta.conversations.append(conversation_id=response.conversation_id, inputs=CANARY)
    client.chat.complete(model=model, messages=[{"role": "user", "content": chunks}], metadata={"who": CANARY})
    with braintrust.start_span(name="a question that fails"):
        client.chat.complete(model=model, messages=[{"role": "user", "content": CANARY}], temperature=CANARY)


def main() -> None:
    """Mask, trace, and look for the canary in all that was sent."""
    with services(pace=0.1) as here:
        braintrust.auto_instrument()
        braintrust.init_logger(project="mistral masking")
        braintrust.set_masking_function(mask)
        if hasattr(braintrust, "set_span_customizers"):
            braintrust.set_span_customizers([WithoutMessages()])
        with braintrust.start_span(name="masked") as root:
            try:
                say_it_everywhere(here.client, here.model("web-search+echo"))
            except Exception as error:
                print(f"The application sees its error, of type {type(error).__name__}.")
        here.show(root, "mistral.beta.conversations.start")
        if here.braintrust is not None:
            sent = repr((here.braintrust.rows, here.braintrust.attachments))
            print(f"The canary is in what was sent: {'yes' if CANARY in sent else 'no'}.")


if __name__ == "__main__":
    main()
