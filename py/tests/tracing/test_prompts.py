"""`span_info`, which Braintrust's `prompt.build()` puts among the arguments, never reaches Mistral's SDK."""

import inspect
import operator
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest
from braintrust.integrations.mistral import wrap_mistral
from braintrust.integrations.mistral.patchers import RESOURCES
from braintrust.integrations.mistral.runs import runs
from braintrust.logger import Prompt
from braintrust.prompt import PromptData

from tests.conftest import CallMethod, LoggedSpans
from tests.helpers.runs import context_of
from tests.helpers.wire import Json, ScriptedMistral, says


PROMPT: Json = {"id": "prompt1", "project_id": "project1", "version": "5", "variables": {"flour": "rye"}}
SPAN_INFO: Json = {"name": "bake", "spanAttributes": {"purpose": "bread"}, "metadata": {"prompt": PROMPT}}
ASKED: Json = {"model": "mistral-small-2603", "messages": [{"role": "user", "content": "Which flour?"}]}


class Loaf(pydantic.BaseModel):
    """What a model may be asked to answer with."""

    flour: str


pytestmark = pytest.mark.filterwarnings(r"ignore:warning. \*\* DEPRECATED:DeprecationWarning")


def refuse(request: Any) -> Any:
    """Answer no request: what was asked is all that matters."""
    raise ConnectionRefusedError


def methods() -> Iterator[str]:
    """Yield the path of each traced method of the installed SDK, below the client."""
    client = ScriptedMistral().client
    for resource in RESOURCES:
        try:
            target = operator.attrgetter(resource.path)(client)
        except AttributeError:
            continue
        for method in resource.methods.operations:
            if hasattr(target, method):
                yield f"{resource.path}.{method}"


def arguments_of(path: str) -> Json:
    """Return arguments with which the SDK sends a request."""
    given: Json = {
        "model": "mistral-small-2603",
        "messages": ASKED["messages"],
        "agent_id": "ag1",
        "conversation_id": "conv1",
        "prompt": "def f(",
        "inputs": [{"role": "user", "content": "Bread?"}] if path.endswith("moderate_chat") else "Bread?",
        "input": {"messages": ASKED["messages"]} if path.endswith("classify_chat") else "Bread?",
        "document": {"type": "document_url", "document_url": "https://example.com/a.pdf"},
        "from_entry_id": "entry1",
        "file_id": "file1",
        "endpoint": "/v1/chat/completions",
        "job_id": "job1",
        "name": "baker",
        "version": 0,
        **dict.fromkeys(("library_id", "document_id", "index_name", "source_id", "chunk_id", "pattern"), "rye"),
        **dict.fromkeys(("tool_name", "connector_id_or_name", "execution_id", "workflow_identifier"), "bake"),
        "workflow_registration_id": "bake",
        "start_offset": 0,
        "end_offset": 3,
        "direction": "next",
        "retriever": {"type": "keyword", "query": "rye"},
    }
    if path.endswith("classify_chat"):
        given["inputs"] = given["input"]
    method = operator.attrgetter(path)(ScriptedMistral().client)
    names = inspect.signature(method).parameters
    if path.startswith("beta.conversations.") and "model" in names:
        # A conversation has a model or an agent.
        del given["agent_id"]
    needed = ("model", "file_id")
    return {
        name: given[name]
        for name, parameter in names.items()
        if name in given and (parameter.default is parameter.empty or name in needed or name == "inputs")
    }


@pytest.mark.parametrize("path", list(methods()))
def test_every_traced_call_takes_it_out_and_shows_the_prompt(
    path: str, call_method: CallMethod, spans: LoggedSpans
) -> None:
    with pytest.raises(ConnectionRefusedError):
        call_method(refuse, path, **arguments_of(path), span_info=SPAN_INFO)
    assert spans.pop_one()["metadata"]["prompt"] == PROMPT


@pytest.mark.usefixtures("no_logger")
@pytest.mark.parametrize("path", list(methods()))
def test_it_is_taken_out_where_nothing_is_traced(path: str, call_method: CallMethod) -> None:
    with pytest.raises(ConnectionRefusedError):
        call_method(refuse, path, **arguments_of(path), span_info=SPAN_INFO)


@pytest.mark.parametrize("is_traced", [True, False])
@pytest.mark.parametrize("method", list(runs.WRAPPERS))
async def test_a_run_takes_it_out_and_shows_the_prompt(
    method: str, is_traced: bool, request: pytest.FixtureRequest
) -> None:
    spans: LoggedSpans | None = request.getfixturevalue("spans" if is_traced else "no_logger")
    mistral = ScriptedMistral([says("Rye.")])
    run = getattr(mistral.client.beta.conversations, method)
    result = await run(run_ctx=context_of(), inputs="Which flour?", span_info=SPAN_INFO)
    if method == "run_stream_async":
        result = [item async for item in result][-1]
    assert result.output_as_text == "Rye."
    assert "span_info" not in mistral.requests[0]
    if spans is not None:
        run_span, start = spans.pop_ended()
        assert run_span["metadata"]["prompt"] == PROMPT
        assert "prompt" not in start["metadata"]


@pytest.mark.usefixtures("uninstrumented")
def test_a_wrapped_client_takes_it_out(spans: LoggedSpans) -> None:
    client = wrap_mistral(ScriptedMistral().client)
    assert client.chat.complete(**ASKED, span_info=SPAN_INFO).choices[0].message.content == "Rye."
    assert spans.pop_one()["metadata"]["prompt"] == PROMPT


def test_parse_hands_it_on_to_its_call(call_method: CallMethod, spans: LoggedSpans) -> None:
    with pytest.raises(ConnectionRefusedError):
        call_method(refuse, "chat.parse", **ASKED, response_format=Loaf, span_info=SPAN_INFO)
    assert spans.pop_one()["metadata"]["prompt"] == PROMPT


def test_a_prompt_of_braintrusts_is_called_as_it_was_built(call_method: CallMethod, spans: LoggedSpans) -> None:
    messages = [{"role": "user", "content": "Which flour for {{bread}}?"}]
    block = {"prompt": {"type": "chat", "messages": messages}, "options": {"model": "mistral-small-2603"}}
    built = Prompt.from_prompt_data("bake", PromptData.from_dict_deep(block)).build(bread="a loaf")
    with pytest.raises(ConnectionRefusedError):
        call_method(refuse, "chat.complete", **built)
    row = spans.pop_one()
    assert row["input"] == [{"role": "user", "content": "Which flour for a loaf?"}]
    assert row["metadata"]["prompt"]["variables"] == {"bread": "a loaf"}


@pytest.mark.parametrize("odd", [None, "bake", {}, {"metadata": None}, {"metadata": {"prompt": None}}, object()])
def test_whatever_it_is_it_is_taken_out(odd: Any, call_method: CallMethod, spans: LoggedSpans) -> None:
    with pytest.raises(ConnectionRefusedError):
        call_method(refuse, "chat.complete", **ASKED, span_info=odd)
    assert "prompt" not in spans.pop_one()["metadata"]
