"""Shows the model calls inside a conversation: `python -m examples.llm_spans`.

The same question twice. As it is by default, the trace has the steps that Mistral ran; with `llm_spans=True` also the
messages that its models wrote, each with what the model had seen by then, as Braintrust's views of threads read it.

Everything runs on this machine, against a local Mistral and a local Braintrust.
"""

import os
from typing import Any

import braintrust
from braintrust.integrations.mistral import wrap_mistral

from local import LocalBraintrust, LocalMistral
from local.picture import show_trace


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # pyright: ignore[reportAttributeAccessIssue]  # 1.x


def main() -> None:
    """Ask twice, and show both traces and what one model call holds."""
    with LocalBraintrust() as local_braintrust, LocalMistral() as local_mistral:
        os.environ.update(local_braintrust.environment())
        braintrust.init_logger(project="mistral llm spans")
        for llm_spans in (False, True):
            client = Mistral(api_key="local", server_url=local_mistral.url)
            # Type checkers see the signature of the SDK's own function, which has no such parameter.
            wrap_mistral(client, llm_spans=llm_spans)  # pyright: ignore[reportCallIssue]
            root: Any
            with braintrust.start_span(name=f"llm_spans={llm_spans}") as root:
                client.beta.conversations.start(agent_id="handoff", inputs="How did tram ridership develop?")
            braintrust.flush()
            show_trace([span for span in local_braintrust.spans() if span["root_span_id"] == root.root_span_id])
        (message,) = [span for span in local_braintrust.spans() if span["span_attributes"].get("type") == "llm"]
        print("What the last model saw:")
        for seen in message["input"]:
            print(f"  {seen['role']:9}  {str(seen['content'] or seen['tool_calls'])[:100]}")


if __name__ == "__main__":
    main()
