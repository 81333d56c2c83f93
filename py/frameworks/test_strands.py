"""Strands: its spans leave the tokens to ours."""

import pytest
from strands import Agent, tool
from strands.models.mistral import MistralModel

from braintrust_mistral.local import LocalMistral
from frameworks.trace import Trace, reported, tokens_of


@tool
def get_exchange_rate(base: str, quote: str, date: str = "") -> str:
    """Return an exchange rate."""
    return f"{base}/{quote} 11.2 {date}"


@pytest.mark.parametrize("stream", [True, False])
def test_tokens_of_an_agent_count_once(stream: bool, mistral: LocalMistral, trace: Trace) -> None:
    model = MistralModel(
        api_key="local", client_args={"server_url": mistral.url}, model_id="function-call", stream=stream
    )
    Agent(model=model, tools=[get_exchange_rate], callback_handler=None)("What is the rate?")
    assert len(trace.calls()) == 2
    assert trace.tokens() == tokens_of(*trace.calls()) == reported(mistral)
