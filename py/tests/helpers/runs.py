"""What tests share: client-side runs, in both ways, of both kinds of functions."""

import asyncio
import functools
import importlib
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tests.helpers.wire import ScriptedMistral, calls, says


def import_runs() -> Any:
    """Return the SDK's module of client-side runs, or skip the test module that asks for it."""
    with warnings.catch_warnings():
        # From Python 3.12 on, what it imports warns.
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("mistralai.extra.run.context")
        except ModuleNotFoundError:
            pytest.skip('needs the extra "agents" of mistralai', allow_module_level=True)


def defers_calls() -> bool:
    """Tell whether a run defers the calls of functions that are to be confirmed."""
    return "requires_confirmation" in inspect.signature(import_runs().RunContext.register_func).parameters


BREAD = [[calls("knead", {"minutes": 8})], [says("It rests.")]]
"""The turns of a run that calls one function."""


def context_of(*functions: Callable[..., Any], **settings: Any) -> Any:
    """Return a `RunContext` with these functions registered."""
    context = import_runs().RunContext(**(settings if "agent_id" in settings else {"model": "m", **settings}))
    for function in functions:
        context.register_func(function)
    return context


async def unstreamed_run(mistral: ScriptedMistral, context: Any, inputs: Any = "Bake", **arguments: Any) -> Any:
    """Run a conversation unstreamed."""
    return await mistral.client.beta.conversations.run_async(run_ctx=context, inputs=inputs, **arguments)


async def streamed_run(mistral: ScriptedMistral, context: Any, inputs: Any = "Bake", **arguments: Any) -> Any:
    """Run a conversation streamed, to its end; the last of what it yields is the result."""
    stream = await mistral.client.beta.conversations.run_stream_async(run_ctx=context, inputs=inputs, **arguments)
    *_, result = [item async for item in stream]
    return result


def as_function(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for a run to execute."""
    return body


def as_coroutine(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return the coroutine function that does the same, after a turn of the event loop."""

    @functools.wraps(body)
    async def function(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return body(*args, **kwargs)

    return function


Run: TypeAlias = Callable[..., Any]
Kind: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]

both_ways = pytest.mark.parametrize("run", [unstreamed_run, streamed_run])
both_kinds = pytest.mark.parametrize("kind", [as_function, as_coroutine])
