"""Shows function calling by hand: `python -m examples.function_calling`.

The model asks for an exchange rate; the program looks it up and sends it with `append`. The call is a span below the
request that brought it, and its result joins that span although another request sends it. What the function does is a
span of the program's own.
"""

import json
from typing import Any

import braintrust

from examples.services import services


RATES = {"SEK": 11.42, "NOK": 11.87}
EXCHANGE_RATE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_exchange_rate",
        "description": "Looks up the price of one unit of a currency in another one, both by their ISO codes.",
        "parameters": {
            "type": "object",
            "properties": {"base": {"type": "string"}, "quote": {"type": "string"}, "date": {"type": "string"}},
            "required": ["base", "quote"],
        },
    },
}


def get_exchange_rate(base: str, quote: str, date: str = "today") -> str:
    """Look up an exchange rate, or pretend to."""
    with braintrust.start_span(name="look up the rate", input={"base": base, "quote": quote}) as span:
        rate = RATES.get(quote, 1.0)
        span.log(output=rate)
    return f"1 {base} = {rate} {quote}, {date}"


def result(call: Any) -> dict[str, str]:
    """Run the function that the model called, and return the entry that brings its result."""
    arguments = json.loads(call.arguments) if isinstance(call.arguments, str) else call.arguments
    answer = get_exchange_rate(**arguments)
    return {"type": "function.result", "tool_call_id": call.tool_call_id, "result": answer}


def main() -> None:
    """Ask, answer the model's calls until it has no more, and show the trace."""
    with services() as here:
        braintrust.auto_instrument()
        braintrust.init_logger(project="mistral function calling")
        conversations = here.client.beta.conversations
        with braintrust.start_span(name="a question") as root:
            response = conversations.start(
                model=here.model("parallel-functions"),
                inputs="What do I get for a euro in Stockholm, and what in Oslo?",
                tools=[EXCHANGE_RATE],
            )
            while calls := [entry for entry in response.outputs if entry.type == "function.call"]:
                results = [result(call) for call in calls]
                response = conversations.append(conversation_id=response.conversation_id, inputs=results)
            print(response.outputs[-1].content)
        here.show(root, "tool: get_exchange_rate")


if __name__ == "__main__":
    main()
