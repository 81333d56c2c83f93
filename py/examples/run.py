"""Shows a client-side run as one trace: `python -m examples.run`.

The model calls a Python function and a tool of an MCP server, at once; `run_async` executes both and sends the
results. The trace is one tree: the run, its two requests, and the two functions as they ran, with the span that the
Python function opens itself.

The MCP server, `examples.fares`, runs in a process of its own. `mistralai` needs its extra "agents".
"""

import asyncio
import sys
from typing import Any

import braintrust
from mcp import StdioServerParameters
from mistralai.extra.mcp.stdio import MCPClientSTDIO
from mistralai.extra.run.context import RunContext

from braintrust_mistral import wrap_mistral
from examples.services import services


QUESTION = "When does the next ferry leave from Cais do Sodré, and what do four tickets cost?"
MCP_SERVER = StdioServerParameters(command=sys.executable, args=["-m", "examples.fares"])


async def departures(harbour: str) -> list[str]:
    """List the next departures.

    Args:
        harbour: where the ferries leave
    """
    with braintrust.start_span(name="read the timetable", input=harbour) as span:
        await asyncio.sleep(0.4)
        span.log(output=2)
    return ["14:10", "14:30"]


async def ask(client: Any, model: str) -> tuple[Any, str]:
    """Have a model answer the question with the help of both functions; returns the trace's root and the answer."""
    async with RunContext(model=model) as context:
        context.register_func(departures)
        await context.register_mcp_client(MCPClientSTDIO(stdio_params=MCP_SERVER))
        with braintrust.start_span(name="a run") as root:
            result = await client.beta.conversations.run_async(run_ctx=context, inputs=QUESTION)
        return root, result.output_as_text


def main() -> None:
    """Run it, and show the trace."""
    with services() as here:
        braintrust.init_logger(project="mistral run")
        root, answer = asyncio.run(ask(wrap_mistral(here.client), here.model("two-functions")))
        print(answer)
        here.show(root, "tool: ticket_price")


if __name__ == "__main__":
    main()
