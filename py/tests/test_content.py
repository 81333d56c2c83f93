"""Content that is left out: a canary in every field of every call is in no span, and what is no content is there."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import braintrust
import pytest
from braintrust.integrations import mistral as integration
from braintrust.integrations.mistral import payloads
from braintrust.integrations.mistral.content import without_content
from braintrust.integrations.mistral.genai.customizer import GenAIAttributes
from braintrust.integrations.mistral.patchers import RESOURCES
from braintrust.integrations.mistral.payloads import only_dicts
from braintrust.integrations.mistral.settings import CONTENT
from braintrust.integrations.mistral.tracing import progress, rows

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral.audio import SEGMENTS
from tests.conftest import CallMethod, LoggedSpans, MakeClient, Switch
from tests.helpers.canaries import (
    CANARY,
    FORMAT,
    MESSAGES,
    PIXEL,
    SAMPLING,
    SOUND,
    TOOLS,
    Calls,
    CanaryMistral,
    say_it_everywhere,
)
from tests.helpers.features import has
from tests.helpers.spans import attachments_in, outline
from tests.helpers.wire import USAGE, Json, answer, client_of
from tests.resources.test_retrieval import McpServer


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


INTEGRATION = Path(str(integration.__file__)).parent
TIMES = {"start", "end", "duration", "time_to_first_token"}
LEFT_OUT = {
    "bbox_annotation_format",
    "context_bias",
    "description",
    "document_annotation_format",
    "gen_ai.agent.description",
    "gen_ai.embeddings.dimension.count",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.request.stop_sequences",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.description",
    "instructions",
    "name",
    "ref_audio",
    "request_metadata",
    "segments",
    "stop",
}
"""The metadata that is not there without content."""
DIFFERENT_EACH_TIME = {"deadline", "gen_ai.response.time_to_first_chunk", "request_id"}
SHORTENED = {"completion_args", "gen_ai.tool.definitions", "prompt", "response_format", "tools", "turns"}
"""The metadata of which names and types are left without content."""
FAILING = {
    "beta.conversations.get",
    "beta.conversations.start",
    "beta.conversations.start_stream",
    "chat.complete",
    "chat.stream",
    "workflows.execute_workflow",
}
"""The methods of which some calls are refused on purpose."""
WORDLESS = {
    "handoff: analyst",
    "mistral.audio.realtime_speech.connect",
    "mistral.batch.jobs.cancel",
    "mistral.batch.wait",
    "mistral.beta.agents.delete",
    "mistral.beta.conversations.delete",
    "mistral.files.download",
    "tool: library_list_documents",
}


@pytest.fixture(scope="module")
def mistral() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.0) as running:
        yield running


@pytest.fixture(autouse=True)
def all_spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The spans of model calls as well, streams as far as they have come, and OpenTelemetry's attributes."""
    monkeypatch.setenv("BRAINTRUST_MISTRAL_LLM_SPANS", "true")
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_ANSWERS", 0.0)
    if hasattr(braintrust, "SpanCustomizer"):
        braintrust.set_span_customizers([GenAIAttributes()])
        yield
        braintrust.set_span_customizers(None)
    else:
        yield


def says_it(row: Json) -> bool:
    """Tell whether a row has the canary, or what every recording says."""
    text = json.dumps(row, default=repr)
    return any(words in text for words in (CANARY, *(text.strip() for _, _, text in SEGMENTS)))


def known_names() -> set[str]:
    """Return the names of the spans of all methods that this mistralai has."""
    return {
        operation.span_name
        for resource in RESOURCES
        for name, operation in resource.methods.operations.items()
        if has(f"{resource.path}.{name}")
    }


def name_of(row: Json) -> str:
    return row["span_attributes"]["name"]


def seconds_of(row: Json) -> float:
    return row["metrics"]["end"] - row["metrics"]["start"]


def without_times(values: Json) -> Json:
    return {name: value for name, value in values.items() if name not in TIMES}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_no_span_has_content_and_all_else_is_there(
    is_async: bool, mistral: LocalMistral, spans: LoggedSpans, switch: Switch
) -> None:
    canaries = CanaryMistral(mistral.url)
    say_it_everywhere(calls := Calls(canaries.client(), is_async=is_async))
    assert calls.failed <= FAILING
    with_content = spans.pop()
    switch(CONTENT, "false")
    say_it_everywhere(Calls(canaries.client(), is_async=is_async))
    records = spans.so_far
    without = spans.pop()
    assert not [row for row in [*records, *without] if says_it(row) or attachments_in(row)]
    assert outline(without) == outline(with_content)
    different: Json = {}
    for row, full in zip(without, with_content, strict=True):
        assert not {"input", "output"} & {name for name, value in row.items() if value is not None}
        assert row["span_attributes"]["type"] == full["span_attributes"]["type"]
        assert without_times(row["metrics"]) == without_times(full["metrics"])
        assert row["metrics"].keys() == full["metrics"].keys()
        assert (row.get("error") is None) == (full.get("error") is None)
        if full.get("metadata", {}).get("tool_type") == "tool.execution":
            # By Mistral's clock.
            assert seconds_of(row) == pytest.approx(seconds_of(full), abs=1e-5)
        metadata, had = row.get("metadata") or {}, full.get("metadata") or {}
        # That of a conversation or a response is told from its entries.
        told_from_entries = set() if "finish_reasons" in metadata else {"gen_ai.response.finish_reasons"}
        for name in had.keys() - LEFT_OUT - SHORTENED - DIFFERENT_EACH_TIME - told_from_entries:
            if metadata.get(name) != had[name]:
                different[f"{name} of {name_of(row)}"] = (metadata.get(name), had[name])
        has_choices = any("finish_reason" in each for each in only_dicts(full.get("output")))
        assert metadata.keys() - had.keys() == ({"finish_reasons"} if has_choices else set())
    assert not different
    # The canary was in what each method logs, some aside that get and return ids alone.
    said = {name_of(row) for row in with_content if says_it(row)}
    assert {name_of(row) for row in with_content} - said <= WORDLESS
    assert {name_of(row) for row in without} >= known_names()


async def test_nor_has_the_call_of_a_tool_in_a_session(
    monkeypatch: pytest.MonkeyPatch, spans: LoggedSpans, switch: Switch
) -> None:
    switch(CONTENT, "false")
    server = McpServer(monkeypatch)
    server.result = {"content": [{"type": "text", "text": CANARY}], "isError": True}
    client: Any = client_of(lambda _: answer({}))
    async with client.beta.connectors.mcp_client(connector_id_or_name="recipes") as session:
        await session.call_tool("find_recipe", {"bread": CANARY})
    row = spans.pop_one()
    assert row["metadata"] == {
        "provider": "mistral",
        "tool_name": "find_recipe",
        "connector_id_or_name": "recipes",
        **attributes_in(row),
    }
    assert (row["error"], says_it(row)) == ("Error executing tool find_recipe", False)


def attributes_in(row: Json) -> Json:
    return {name: value for name, value in row["metadata"].items() if "." in name}


TRANSCRIPTION: Json = {"model": "m", "text": CANARY, "language": "en", "segments": [], "usage": USAGE}


@pytest.mark.parametrize("has_content", [False, True])
def test_media_that_nobody_logs_are_not_read(has_content: bool, spans: LoggedSpans, switch: Switch) -> None:
    switch(CONTENT, str(has_content))
    file = _File(SOUND)
    client: Any = client_of(lambda _: answer(TRANSCRIPTION))
    client.audio.transcriptions.complete(model="m", file={"file_name": "a.wav", "content": file})
    assert (file.reads, len(attachments_in(spans.pop_one()))) == (1 + has_content, has_content)


def test_nor_are_they_decoded(
    monkeypatch: pytest.MonkeyPatch, spans: LoggedSpans, switch: Switch, call_method: CallMethod
) -> None:
    decoded: list[str] = []
    switch(CONTENT, "false")
    for name in ("data_url_attachment", "base64_attachment"):
        monkeypatch.setattr(payloads, name, decoded.append)
    document = {"type": "document_url", "document_url": PIXEL}
    image = {"id": "i", "image_base64": PIXEL, "top_left_x": 0, "top_left_y": 0, "bottom_right_x": 1}
    page = {"index": 0, "markdown": CANARY, "images": [{**image, "bottom_right_y": 1}], "dimensions": None}
    response = {"model": "m", "pages": [page], "usage_info": {"pages_processed": 1}}
    call_method(lambda _: answer(response), "ocr.process", model="m", document=document)
    row = spans.pop_one()
    assert (row["metadata"]["page_count"], row["metrics"]["pages_processed"], decoded) == (1, 1, [])


class _File(io.BufferedReader):
    """An open file that counts how often it is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))  # type: ignore[arg-type]
        self.reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.reads += bool(content)
        return content


def test_what_was_asked_for_and_what_came_is_told_without_its_words(
    spans: LoggedSpans, switch: Switch, make_client: MakeClient
) -> None:
    switch(CONTENT, "false")
    choice = {"index": 0, "message": {"role": "assistant", "content": CANARY}, "finish_reason": "length"}
    chat = {"id": "chat_1", "object": "chat.completion", "model": "m-2", "created": 0, "choices": [choice]}
    client = make_client(lambda _: answer({**chat, "usage": USAGE}))
    client.chat.complete(model="m", messages=MESSAGES, tools=TOOLS, response_format=FORMAT, **SAMPLING)
    row = spans.pop_one()
    metadata = {name: value for name, value in row["metadata"].items() if name not in attributes_in(row)}
    assert metadata == {
        "provider": "mistral",
        "model": "m-2",
        "requested_model": "m",
        "id": "chat_1",
        "object": "chat.completion",
        "created": 0,
        "stream": False,
        "temperature": 0.5,
        "max_tokens": 9,
        "tools": [{"type": "function", "function": {"name": "book_ferry"}}],
        "response_format": {"type": "json_schema"},
        "finish_reasons": ["length"],
    }
    assert row["metrics"]["tokens"] == USAGE["total_tokens"]


def test_what_nobody_knows_yet_is_content() -> None:
    metadata = {"mood": CANARY, "moods": [CANARY, {"type": CANARY}], "count": 2, "is_new": True, "ratios": [0.5]}
    record = {"name": "n", "metadata": metadata, "input": CANARY, "output": CANARY}
    assert without_content(record) == {"name": "n", "metadata": {"count": 2, "is_new": True}}


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"response_format": "text", "conversation": "conv_1"}, {"response_format": "text", "conversation": "conv_1"}),
        # A text, or a dict, where none is expected.
        ({"tools": CANARY, "prompt": CANARY, "connectors": CANARY, "model": {"name": CANARY}}, {}),
        ({"tools": [CANARY, {"type": "function", "name": CANARY}]}, {"tools": [{"type": "function"}]}),
        ({"tools": [CANARY]}, {}),
        ({"usage": {"tokens": 3, "said": CANARY}}, {"usage": {"tokens": 3}}),
    ],
)
def test_what_stands_elsewhere_than_expected_is_content(metadata: Json, kept: Json) -> None:
    assert without_content({"metadata": metadata}) == {"metadata": kept}


def test_the_reasons_why_choices_ended_are_kept_as_far_as_they_ended() -> None:
    ended = {"finish_reason": "stop", "message": {"content": CANARY}}
    assert without_content({"output": [ended, {"finish_reason": None}]}) == {"metadata": {"finish_reasons": ["stop"]}}
    assert without_content({"output": [{"index": 0}]}) == {}


def test_a_fault_of_ours_leaves_out_rather_more(
    spans: LoggedSpans,
    switch: Switch,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[logging.LogRecord],
    call_method: CallMethod,
) -> None:
    def without_content(record: Json) -> Json:
        if "output" in record:
            raise LookupError("nothing is left out")
        return record

    switch(CONTENT, "false")
    monkeypatch.setattr(rows, "without_content", without_content)
    body = {**TRANSCRIPTION, "usage": USAGE}
    result = call_method(lambda _: answer(body), "audio.transcriptions.complete", model="m", file_id="f")
    row = spans.pop_one()
    assert (result.text, says_it(row), "end" in row["metrics"]) == (CANARY, False, True)
    assert "nothing is left out" in str(faults.pop().exc_info)


def test_all_that_is_logged_goes_through_one_place() -> None:
    """A span that is opened or logged anywhere else could have content."""
    calls = re.compile(r"(?<!_)start_span\(|span\.log\(")
    places = {path.name for path in INTEGRATION.rglob("*.py") if calls.search(path.read_text(encoding="utf-8"))}
    assert places - {"test_mistral.py"} == {"rows.py"}


def test_what_is_no_answer_to_the_switch_leaves_content_out(
    spans: LoggedSpans, switch: Switch, faults: list[logging.LogRecord], make_client: MakeClient
) -> None:
    switch(CONTENT, "flase")
    client = make_client(lambda _: answer({}, status=500))
    for _ in range(2):
        with pytest.raises(Exception, match="500"):
            client.chat.complete(model="m", messages=MESSAGES)
    assert not [row for row in spans.pop() if says_it(row)]
    assert faults.pop().getMessage() == (
        "BRAINTRUST_MISTRAL_CONTENT is 'flase', and not true or false: content is left out"
    )
