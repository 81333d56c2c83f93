"""The attributes of client-side runs, of their requests and of their functions."""

from collections.abc import Iterator

import braintrust
import pytest
from braintrust.integrations.mistral.genai.customizer import GenAIAttributes
from pydantic import BaseModel

from tests.conftest import LoggedSpans
from tests.helpers.runs import BREAD, Run, both_ways, context_of, import_runs
from tests.helpers.spans import by_name
from tests.helpers.wire import USAGE, ScriptedMistral


import_runs()

if not hasattr(braintrust, "SpanCustomizer"):
    pytest.skip("this braintrust has no span customizers", allow_module_level=True)


@pytest.fixture(autouse=True)
def customized() -> Iterator[None]:
    braintrust.set_span_customizers([GenAIAttributes()])
    yield
    braintrust.set_span_customizers(None)


def knead(minutes: int) -> str:
    """Knead the dough."""
    return f"kneaded for {minutes}"


class Bread(BaseModel):
    """What to answer with."""

    name: str


@both_ways
async def test_a_run_invokes_an_agent_and_its_usage_stands_on_its_requests(run: Run, spans: LoggedSpans) -> None:
    await run(ScriptedMistral(*BREAD), context_of(knead))
    rows = by_name(spans.pop_ended())
    whole, first, tool, last = (rows[name]["metadata"] for name in ("run", "start", "tool: knead", "append"))
    assert [each["gen_ai.operation.name"] for each in (whole, first, last)] == ["invoke_agent"] * 3
    reasons = [each["gen_ai.response.finish_reasons"] for each in (whole, first, last)]
    assert reasons == [["stop"], ["tool_call"], ["stop"]]
    assert not [each for each in whole if each.startswith("gen_ai.usage.")]
    for request in (first, last):
        assert request["gen_ai.usage.input_tokens"] == USAGE["prompt_tokens"]
        assert request["gen_ai.usage.output_tokens"] == USAGE["completion_tokens"]
    assert tool["gen_ai.operation.name"] == "execute_tool"
    assert tool["gen_ai.tool.type"] == "function"
    assert tool["gen_ai.tool.description"] == "Knead the dough."


@both_ways
async def test_a_run_that_is_to_answer_with_a_model_has_json_as_its_output(run: Run, spans: LoggedSpans) -> None:
    await run(ScriptedMistral(*BREAD), context_of(knead, output_format=Bread))
    rows = by_name(spans.pop_ended())
    assert [rows[name]["metadata"]["gen_ai.output.type"] for name in ("run", "start")] == ["json", "json"]
