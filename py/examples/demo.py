"""Shows what traced conversations look like: `make demo`, or `python -m examples.demo`.

Two conversations, one unstreamed and one streamed, each with hosted tools, a handoff between agents and a function
call that this program answers; then a run, in which the SDK executes the functions. Nothing in them knows of tracing:
the two lines that trace them are in `main`.
"""

import argparse
import asyncio
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import braintrust

from braintrust_mistral.local.drawing.picture import save_picture
from examples.run import ask
from examples.services import Services, services


QUESTION = "Which ferries go from Lisbon to Cacilhas on Monday afternoon, and what do four tickets cost? Book one."


def book_ferry(departure: str, passengers: int) -> str:
    """Book a ferry, or pretend to."""
    return json.dumps({"departure": departure, "passengers": passengers, "price_eur": 2.80 * passengers})


def answer_calls(calls: dict[str, str]) -> list[dict[str, Any]]:
    """Run the functions that a conversation called, by the calls' ids, and return the entries with their results."""
    return [
        {"type": "function.result", "tool_call_id": tool_call_id, "result": book_ferry(**json.loads(arguments))}
        for tool_call_id, arguments in calls.items()
    ]


def converse(here: Services, agent_id: str) -> Any:
    """Ask the question, answer the model's calls, and have its reply; returns the root of the trace."""
    conversations = here.client.beta.conversations
    with braintrust.start_span(name="a conversation") as root:
        response = conversations.start(agent_id=agent_id, inputs=QUESTION)
        while calls := {
            entry.tool_call_id: entry.arguments for entry in response.outputs if entry.type == "function.call"
        }:
            conversation_id = response.conversation_id
            response = conversations.append(conversation_id=conversation_id, inputs=answer_calls(calls))
    return root


def converse_streamed(here: Services, agent_id: str, picture: Path | None = None) -> Any:
    """Have the same conversation, streamed, and draw its trace as it grows; returns the root.

    `picture` is where to save how the trace looks after the handoff, in the middle of the stream.
    """
    conversations = here.client.beta.conversations
    with braintrust.start_span(name="the same, streamed") as root, here.watch(root):
        stream = conversations.start_stream(agent_id=agent_id, inputs=QUESTION)
        conversation_id, calls = read_stream(stream, functools.partial(save_trace, here, root, picture))
        while calls:
            results = answer_calls(calls)
            stream = conversations.append_stream(conversation_id=conversation_id, inputs=results)
            _, calls = read_stream(stream)
    return root


def run(here: Services, _agent_id: str) -> Any:
    """Have the SDK run a conversation, and the functions in it; returns the root of the trace."""
    root, _ = asyncio.run(ask(here.client, here.model("two-functions")))
    return root


def read_stream(stream: Any, handed_over: Callable[[], None] | None = None) -> tuple[str, dict[str, str]]:
    """Read a stream to its end and return the conversation's id and the arguments of each call by its id.

    After a handoff, `handed_over` is called.
    """
    conversation_id = ""
    calls: dict[str, str] = {}
    with stream as events:
        for event in events:
            if event.data.type == "conversation.response.started":
                conversation_id = event.data.conversation_id
            elif event.data.type == "function.call.delta":
                call = event.data
                calls[call.tool_call_id] = calls.get(call.tool_call_id, "") + call.arguments
            elif event.data.type == "agent.handoff.done" and handed_over is not None:
                handed_over()
    return conversation_id, calls


def save_trace(here: Services, root: Any, picture: Path | None) -> None:
    """Save how the trace with this root looks by now, where there is a place for it and Braintrust is local."""
    if picture and (trace := here.trace(root)):
        save_picture(trace, picture)


TRACES = {"conversation": converse, "streamed": converse_streamed, "run": run}


def main() -> None:
    """Make the traces and show them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("traces", nargs="*", metavar="TRACE", help=f"{', '.join(TRACES)}; all if none is named")
    parser.add_argument("--pace", type=float, default=1.0, help="how fast the local Mistral works: 0.1 is ten times")
    parser.add_argument("--llm-spans", action="store_true", help="show the model calls inside, and the trace's thread")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="save a picture of each local trace there")
    options = parser.parse_args()
    if unknown := set(options.traces) - TRACES.keys():
        parser.error(f"there is no trace {', '.join(sorted(unknown))}: choose from {', '.join(TRACES)}")

    if options.llm_spans:
        os.environ["BRAINTRUST_MISTRAL_LLM_SPANS"] = "true"
    with services(options.pace) as here, here.agent("agentic") as agent_id:
        braintrust.auto_instrument()
        braintrust.init_logger(project="mistral demo")

        kind = "-llm-spans.svg" if options.llm_spans else ".svg"
        traces = TRACES
        if options.pictures:
            open_picture = options.pictures / f"streamed-open{kind}"
            traces = {**TRACES, "streamed": functools.partial(converse_streamed, picture=open_picture)}
        for name in options.traces or traces:
            root = traces[name](here, agent_id)
            here.show(root, "tool: book_ferry")
            save_trace(here, root, options.pictures and options.pictures / f"{name}{kind}")


if __name__ == "__main__":
    main()
