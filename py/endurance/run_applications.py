"""Applications whose functions and tools are executed by a client-side run."""

import asyncio
import contextlib
import warnings
from typing import Any
from unittest import mock

from endurance.applications import Application, seen_async


with warnings.catch_warnings():
    # From Python 3.12 on, what it imports warns.
    warnings.simplefilter("ignore")
    from mistralai.extra.run.context import RunContext

try:
    from mistralai.client.models import Function, FunctionTool
except ImportError:
    from mistralai.models import Function, FunctionTool  # 1.x


def departures(harbour: str) -> list[str]:
    """Tell when the ferries leave."""
    return [f"{harbour} 14:30"]


async def ticket_price(passengers: int) -> float:
    """Tell what the tickets cost."""
    await asyncio.sleep(0)
    return 1.4 * passengers


class _NoPriceError(Exception):
    pass


async def sold_out(passengers: int) -> float:
    """Fail to tell what the tickets cost."""
    raise _NoPriceError(passengers)


class _Harbour:
    """An MCP client that reaches no server."""

    _name = "harbour"

    async def initialize(self, exit_stack: Any) -> None:
        pass

    async def get_tools(self) -> list[Any]:
        parameters = {"type": "object", "properties": {"harbour": {"type": "string"}}}
        return [FunctionTool(function=Function(name="departures", parameters=parameters))]

    async def execute_tool(self, name: str, arguments: Any) -> list[Any]:
        return [{"type": "text", "text": f"{name} {arguments}"}]

    async def aclose(self) -> None:
        pass


def _context(*functions: Any, **settings: Any) -> Any:
    context = RunContext(model="two-functions", **settings)
    for function in functions:
        # What is registered has a name of its own.
        context.register_func(function)
    return context


def run(client: Any) -> list[Any]:
    """Runs that are not streamed: of functions, of coroutines, of tools of MCP, and of what fails."""

    async def runs() -> list[Any]:
        call = client.beta.conversations.run_async
        sold_out.__name__ = "ticket_price"
        results = [await seen_async(call(run_ctx=_context(departures, ticket_price), inputs="Which?"))]
        async with _context(sold_out, continue_on_fn_error=True) as context:
            await context.register_mcp_client(_Harbour())
            results.append(await seen_async(call(run_ctx=context, inputs="Which?")))
        results.append(await seen_async(call(run_ctx=_context(departures, sold_out), inputs="Which?")))
        return [_shown(result) for result in results]

    return asyncio.run(runs())


def streamed_run(client: Any) -> list[Any]:
    """Runs that are streamed: read to the end, broken off, closed, sent to and thrown into."""

    async def runs() -> list[Any]:
        call = client.beta.conversations.run_stream_async

        async def begun() -> Any:
            return await call(run_ctx=_context(departures, ticket_price), inputs="Which?")

        results = [[item async for item in await begun()]]
        stream = await begun()
        results.append([await anext(stream), await stream.asend(None)])
        await stream.aclose()
        stream = await begun()
        results.append([await anext(stream), await seen_async(stream.athrow(LookupError("not found")))])
        stream = await begun()
        results.append(await anext(stream))
        del stream
        results.append(await seen_async(call(run_ctx=_context(departures), inputs=object())))
        return [_shown(result) for result in results]

    return asyncio.run(runs())


def deferred_run(client: Any) -> list[Any]:
    """A run that pauses for confirmations, of which one is given and one is not."""

    async def runs() -> list[Any]:
        call = client.beta.conversations.run_async
        context = RunContext(model="two-functions")
        for function in (departures, ticket_price):
            context.register_func(function, requires_confirmation=True)
        try:
            await call(run_ctx=context, inputs="Which?")
        except Exception as pause:
            if not hasattr(pause, "deferred_calls"):
                raise
            first, second = pause.deferred_calls
            context = _context(departures, ticket_price, conversation_id=pause.conversation_id)
            decisions = [first.confirm(), second.reject("too dear")]
            results = [type(pause), await seen_async(call(run_ctx=context, inputs=decisions))]
            # As another process would decide it, which was not there.
            results.append(await seen_async(call(run_ctx=context, inputs=[first.reject("no")])))
            return [_shown(result) for result in results]
        raise AssertionError("the run did not pause")

    with contextlib.suppress(TypeError):
        # mistralai 1.x defers no calls.
        RunContext(model="m").register_func(departures, requires_confirmation=True)
        return asyncio.run(runs())
    return []


def left_out(client: Any) -> list[Any]:
    """Runs and functions of which nothing is logged, as none is among those that are sampled."""
    with mock.patch.dict("os.environ", {"BRAINTRUST_MISTRAL_SAMPLE_RATE": "0"}):
        return [*run(client), *streamed_run(client)]


def _shown(result: Any) -> Any:
    """Return a result as something that can be compared: the SDK's own are equal only to themselves."""
    if isinstance(result, list):
        return [_shown(item) for item in result]
    return [*result.output_entries] if hasattr(result, "output_entries") else result


RUN_APPLICATIONS: list[Application] = [deferred_run, run, streamed_run, left_out]
