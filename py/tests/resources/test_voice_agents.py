"""The functions that a voice agent calls, by the SDK's own handlers."""

import asyncio
from typing import Any

import braintrust
import pytest

from tests.conftest import LoggedSpans


tools = pytest.importorskip("mistralai.extra.voice_agents.tools")

PRICE: Any = {"passengers": 2}


async def price(passengers: int) -> dict[str, int]:
    """The price of a ticket."""
    with braintrust.start_span("tariff"):
        return {"euros": 3 * passengers}


def price_in_a_thread(passengers: int) -> str:
    """The price of a ticket."""
    with braintrust.start_span("tariff"):
        return f"{3 * passengers} euros"


@pytest.mark.parametrize(("function", "result"), [(price, '{"euros": 6}'), (price_in_a_thread, "6 euros")])
async def test_a_function_has_a_span_around_its_execution(function: Any, result: str, spans: LoggedSpans) -> None:
    handler = tools.function_tool(function, name="ticket_price")
    assert await handler.invoke('{"passengers": 2}') == result
    tool, tariff = spans.pop_ended()
    assert (tool["span_attributes"]["name"], tool["span_attributes"]["type"]) == ("tool: ticket_price", "tool")
    assert (tool["input"], tool["output"]) == (PRICE, result)
    assert tool["metadata"] == {"tool_type": "function", "tool_name": "ticket_price"}
    assert tariff["span_parents"] == [tool["span_id"]]


async def test_one_that_fails_is_an_error(spans: LoggedSpans) -> None:
    async def sold_out() -> None:
        """Say so."""
        raise LookupError("sold out")

    with pytest.raises(LookupError):
        await tools.function_tool(sold_out).invoke(None)
    row = spans.pop_one()
    assert "LookupError: sold out" in row["error"]


async def test_one_that_is_cancelled_is_no_failure(spans: LoggedSpans) -> None:
    async def endless() -> None:
        """Wait."""
        await asyncio.Event().wait()

    task = asyncio.create_task(tools.function_tool(endless).invoke(""))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    row = spans.pop_one()
    assert row["metadata"]["cancelled"] is True
    assert "error" not in row


async def test_without_a_logger_it_only_runs(no_logger: None) -> None:
    assert await tools.function_tool(price).invoke('{"passengers": 2}') == '{"euros": 6}'
