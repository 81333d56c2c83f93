"""Shows a client-side run as one trace: `python -m examples.run`.

The model calls a Python function and a tool of an MCP server, at once; `run_async` executes both and sends the
results. The trace is one tree: the run, its two requests, and the two functions as they ran, with the span that the
Python function opens itself.

Everything runs on this machine, against a local Mistral and a local Braintrust; the MCP server, `examples.fares`, runs
in a process of its own. `mistralai` needs its extra "agents".
"""

import asyncio
import os
import sys
from typing import Any

import braintrust
from braintrust.integrations.mistral import wrap_mistral
from mcp import StdioServerParameters
from mistralai.extra.mcp.stdio import MCPClientSTDIO
from mistralai.extra.run.context import RunContext

from local import LocalBraintrust, LocalMistral
from local.picture import show_trace


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # pyright: ignore[reportAttributeAccessIssue]  # 1.x


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


async def ask(client: Any, model: str) -> str:
    """Have a model answer the question with the help of both functions."""
    async with RunContext(model=model) as context:
        context.register_func(departures)
        await context.register_mcp_client(MCPClientSTDIO(stdio_params=MCP_SERVER))
        result = await client.beta.conversations.run_async(run_ctx=context, inputs=QUESTION)
        return result.output_as_text


def main() -> None:
    """Run it, and show the trace."""
    with LocalBraintrust() as local_braintrust, LocalMistral() as local_mistral:
        os.environ.update(local_braintrust.environment())
        braintrust.init_logger(project="mistral run")
        client = wrap_mistral(Mistral(api_key="local", server_url=local_mistral.url))
        answer = asyncio.run(ask(client, model="two-functions"))
        braintrust.flush()
        show_trace(local_braintrust.spans())
        print(answer)


if __name__ == "__main__":
    main()
