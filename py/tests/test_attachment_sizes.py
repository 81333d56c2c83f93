"""Attachments that are too large: a note of what each was stands in its place, wherever one is made."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterator

import braintrust
import pytest
from braintrust.integrations.mistral.genai.customizer import GenAIAttributes
from braintrust.integrations.mistral.media import base64_attachment, bytes_attachment
from braintrust.integrations.mistral.settings import MAX_ATTACHMENT_BYTES
from braintrust.logger import Attachment

from braintrust_mistral.local import LocalMistral
from tests.conftest import LoggedSpans, MakeClient, Switch
from tests.helpers.canaries import CHUNKS, Calls, CanaryMistral, say_it_everywhere
from tests.helpers.spans import attachments_in
from tests.helpers.wire import Json, answer


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NOTE = re.compile(r"<([\w/-]+) of (\d+) bytes, not uploaded>")


@pytest.fixture(scope="module")
def mistral() -> Iterator[LocalMistral]:
    with LocalMistral(pace=0.0) as running:
        yield running


def notes_in(rows: list[Json]) -> Counter[tuple[str, int]]:
    found = NOTE.findall(json.dumps(rows, default=repr))
    return Counter((content_type, int(size)) for content_type, size in found)


def test_every_attachment_of_every_call_is_a_note_of_its_type_and_size(
    mistral: LocalMistral, spans: LoggedSpans, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAINTRUST_MISTRAL_REALTIME_AUDIO", "true")
    canaries = CanaryMistral(mistral.url)
    say_it_everywhere(Calls(canaries.client(), is_async=False))
    attachments = attachments_in(spans.pop())
    assert {attachment.reference["content_type"] for attachment in attachments} >= {"image/png", "audio/wav"}
    switch(MAX_ATTACHMENT_BYTES, "0")
    say_it_everywhere(Calls(canaries.client(), is_async=False))
    rows = spans.pop()
    assert not attachments_in(rows)
    sizes = ((attachment.reference["content_type"], len(attachment.data)) for attachment in attachments)
    assert notes_in(rows) == Counter(sizes)


@pytest.mark.parametrize(("size", "is_uploaded"), [(11, False), (12, True), (13, True)])
def test_one_is_uploaded_up_to_the_size_that_was_set(size: int, is_uploaded: bool, switch: Switch) -> None:
    switch(MAX_ATTACHMENT_BYTES, str(size))
    media = base64_attachment("UklGRjEyMzRXQVZF")
    assert isinstance(media, Attachment) is is_uploaded
    assert is_uploaded or media == "<audio/wav of 12 bytes, not uploaded>"
    assert bytes_attachment(b"x" * 14, "image/gif") == "<image/gif of 14 bytes, not uploaded>"


@pytest.mark.parametrize("value", ["10MB", "-1", "1e6", "1.5", "²"])
def test_what_is_no_size_is_one_warning_and_no_limit(
    value: str, switch: Switch, faults: list[logging.LogRecord]
) -> None:
    switch(MAX_ATTACHMENT_BYTES, value)
    assert all(isinstance(bytes_attachment(bytes(20_000)), Attachment) for _ in range(2))
    assert faults.pop().getMessage() == (
        f"BRAINTRUST_MISTRAL_MAX_ATTACHMENT_BYTES is {value!r}, and not a whole number of bytes, as in 1000000: "
        "attachments of any size are uploaded"
    )


@pytest.mark.skipif(not hasattr(braintrust, "SpanCustomizer"), reason="this braintrust has no span customizers")
def test_in_opentelemetrys_words_a_note_is_a_text(spans: LoggedSpans, switch: Switch, make_client: MakeClient) -> None:
    switch(MAX_ATTACHMENT_BYTES, "0")
    braintrust.set_span_customizers([GenAIAttributes()])
    try:
        with pytest.raises(Exception, match="500"):
            make_client(lambda _: answer({}, status=500)).chat.complete(
                model="m", messages=[{"role": "user", "content": CHUNKS}]
            )
        (message,) = spans.pop_one()["metadata"]["gen_ai.input.messages"]
    finally:
        braintrust.set_span_customizers(None)
    notes = [part for part in message["parts"] if NOTE.fullmatch(str(part.get("content")))]
    assert [part["type"] for part in notes] == ["text"] * (len(CHUNKS) - 1)
