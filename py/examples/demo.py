"""Shows what a traced conversation looks like: `make demo`, or `python -m examples.demo`.

Two conversations, one unstreamed and one streamed, each with hosted tools, a handoff between agents and a function
call that this program answers; then a run, in which the SDK executes the functions. Nothing in them knows of tracing:
the two lines that trace them are in `main`.

Everything runs on this machine, against a local Mistral and a local Braintrust. With MISTRAL_API_KEY and
BRAINTRUST_API_KEY set, the same program uses the real services and prints the traces' links.
"""

import argparse
import asyncio
import contextlib
import json
import os
from collections.abc import Generator
from typing import Any, NamedTuple

import braintrust

from examples.run import ask
from local import LocalBraintrust, LocalMistral
from local.picture import show_trace


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # pyright: ignore[reportAttributeAccessIssue]  # 1.x


PROJECT = "mistral demo"
QUESTION = "Which ferries go from Lisbon to Cacilhas on Monday afternoon, and what do four tickets cost? Book one."
BOOK_FERRY: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "book_ferry",
        "description": "Books places on a ferry.",
        "parameters": {
            "type": "object",
            "properties": {"departure": {"type": "string"}, "passengers": {"type": "integer"}},
            "required": ["departure", "passengers"],
        },
    },
}


class Services(NamedTuple):
    """Where the demo runs: Mistral, whom to talk to there, and Braintrust unless it is the real one."""

    client: Any
    agent_id: str
    run_model: str
    braintrust: LocalBraintrust | None


def book_ferry(departure: str, passengers: int) -> str:
    """Book a ferry, or pretend to."""
    return json.dumps({"departure": departure, "passengers": passengers, "price_eur": 2.80 * passengers})


def answer_calls(outputs: list[Any]) -> list[dict[str, Any]]:
    """Run the functions that a conversation called, and return the entries that bring their results."""
    calls = [entry for entry in outputs if entry.type == "function.call"]
    return [
        {
            "type": "function.result",
            "tool_call_id": call.tool_call_id,
            "result": book_ferry(**json.loads(call.arguments)),
        }
        for call in calls
    ]


def converse(services: Services) -> None:
    """Ask the question, answer the model's calls, and have its reply."""
    response = services.client.beta.conversations.start(agent_id=services.agent_id, inputs=QUESTION)
    while results := answer_calls(response.outputs):
        response = services.client.beta.conversations.append(conversation_id=response.conversation_id, inputs=results)


def converse_streamed(services: Services) -> None:
    """Have the same conversation, streamed."""
    stream = services.client.beta.conversations.start_stream(agent_id=services.agent_id, inputs=QUESTION)
    conversation_id, calls = read_stream(stream)
    while calls:
        results = [
            {"type": "function.result", "tool_call_id": tool_call_id, "result": book_ferry(**json.loads(arguments))}
            for tool_call_id, arguments in calls.items()
        ]
        stream = services.client.beta.conversations.append_stream(conversation_id=conversation_id, inputs=results)
        _, calls = read_stream(stream)


def run(services: Services) -> None:
    """Have the SDK run a conversation, and the functions in it."""
    asyncio.run(ask(services.client, services.run_model))


def read_stream(stream: Any) -> tuple[str, dict[str, str]]:
    """Read a stream to its end and return the conversation's id and the arguments of each call by its id."""
    conversation_id = ""
    calls: dict[str, str] = {}
    with stream as events:
        for event in events:
            if event.data.type == "conversation.response.started":
                conversation_id = event.data.conversation_id
            elif event.data.type == "function.call.delta":
                call = event.data
                calls[call.tool_call_id] = calls.get(call.tool_call_id, "") + call.arguments
    return conversation_id, calls


@contextlib.contextmanager
def local_services(pace: float) -> Generator[Services, None, None]:
    """Run on this machine."""
    with LocalBraintrust() as local_braintrust, LocalMistral(pace=pace) as local_mistral:
        os.environ.update(local_braintrust.environment())
        client = Mistral(api_key="local", server_url=local_mistral.url)
        yield Services(client, agent_id="agentic", run_model="two-functions", braintrust=local_braintrust)


@contextlib.contextmanager
def real_services() -> Generator[Services, None, None]:
    """Run on the real services, with two agents made for the occasion."""
    client = Mistral(api_key=os.environ["MISTRAL_API_KEY"])
    agents = client.beta.agents
    booker = agents.create(
        model="mistral-medium-latest",
        name="demo-booker",
        description="Computes prices and books ferries.",
        tools=[{"type": "code_interpreter"}, BOOK_FERRY],  # pyright: ignore[reportArgumentType]  # a typed dict is one
    )
    researcher = agents.create(
        model="mistral-medium-latest",
        name="demo-researcher",
        instructions="Search the web for departures and prices, then hand over to the booker.",
        tools=[{"type": "web_search"}],
        handoffs=[booker.id],
    )
    try:
        yield Services(client, agent_id=researcher.id, run_model="mistral-medium-latest", braintrust=None)
    finally:
        agents.delete(agent_id=researcher.id)
        agents.delete(agent_id=booker.id)


TRACES = {"a conversation": converse, "the same, streamed": converse_streamed, "a run": run}


def main() -> None:
    """Make the traces and show them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pace", type=float, default=1.0, help="how fast the local Mistral works: 0.1 is ten times")
    parser.add_argument("--svg", metavar="FILE", help="save the picture of the first trace")
    options = parser.parse_args()
    real = {"MISTRAL_API_KEY", "BRAINTRUST_API_KEY"} <= os.environ.keys()

    with real_services() if real else local_services(options.pace) as services:
        braintrust.auto_instrument()
        braintrust.init_logger(project=PROJECT)

        for title, conversation in TRACES.items():
            with braintrust.start_span(name=title) as root:
                conversation(services)
            braintrust.flush()
            show(title, root, services.braintrust, options.svg)
            options.svg = None


def show(title: str, root: Any, local_braintrust: LocalBraintrust | None, svg: str | None) -> None:
    """Print a trace: its picture, or with the real Braintrust its link."""
    if local_braintrust is None:
        print(f"{title}: {root.permalink()}")
        return
    trace = [span for span in local_braintrust.spans() if span["root_span_id"] == root.root_span_id]
    show_trace(trace, svg)
    print()


if __name__ == "__main__":
    main()
