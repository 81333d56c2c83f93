"""What Mistral's API really answered, replayed through a real client: every recorded payload makes a whole span.

The recordings are no part of this project.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from braintrust.integrations.mistral.test_mistral import events_of, unstreamed

from tests.conftest import LoggedSpans, MakeClient
from tests.helpers.spans import expected_conversation, logged_calls, parsed_by_sdk
from tests.helpers.wire import Json, answer, httpx


RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"there are no recordings in {RECORDINGS}")

# The order in which the SDK has them is not that of the wire.
REQUEST_METADATA = ("model", "instructions", "tools", "completion_args", "store", "handoff_execution")


def recording(name: str) -> Any:
    return json.loads((RECORDINGS / name).read_text(encoding="utf-8"))


def names(pattern: str) -> list[str]:
    """The recordings of that pattern; where there are none, one test says so by being skipped."""
    found = sorted(path.relative_to(RECORDINGS).as_posix() for path in RECORDINGS.glob(pattern))
    return found or ["none"]


def requested(name: str) -> Json:
    """The arguments of the call that was recorded, as far as that is known."""
    path = RECORDINGS / f"{name.partition('.response.')[0]}.request.json"
    arguments = (
        json.loads(path.read_text(encoding="utf-8"))
        if path.exists()
        else {"model": "mistral-small-latest", "inputs": "Hello"}
    )
    return {key: value for key, value in arguments.items() if key != "stream"}


def shown(arguments: Json) -> Json:
    """What the span's metadata shows of these arguments."""
    return {key: value for key, value in arguments.items() if key in REQUEST_METADATA}


def redacted(value: Any) -> Any:
    """What is logged of a recording with signed URLs: their signatures were replaced at the source already."""
    return json.loads(json.dumps(value).replace("sig=FILTERED_SIGNATURE", "sig=REDACTED"))


STARTED = [
    name
    for name in names("*.response.json")
    if not name.startswith(("append.2", "history", "messages"))  # these answer other methods
]


@pytest.mark.parametrize("name", STARTED)
def test_a_recorded_response_is_logged_as_it_was_on_the_wire(
    name: str, make_client: MakeClient, spans: LoggedSpans
) -> None:
    response, arguments = recording(name), requested(name)
    make_client(lambda _: answer(response)).beta.conversations.start(**arguments)
    assert logged_calls(spans.pop()) == [
        expected_conversation("start", redacted(response), inputs=arguments["inputs"], **shown(arguments))
    ]


def test_an_append_after_its_start(make_client: MakeClient, spans: LoggedSpans) -> None:
    """Each recorded append follows the start of its conversation, whose id it keeps."""
    responses = iter([recording("append.1.response.json"), recording("append.2.response.json")])
    first, second = requested("append.1"), requested("append.2")
    conversations = make_client(lambda _: answer(next(responses))).beta.conversations
    started = conversations.start(**first)
    conversations.append(conversation_id=started.conversation_id, **second)
    assert logged_calls(spans.pop()) == [
        expected_conversation("start", recording("append.1.response.json"), inputs=first["inputs"], **shown(first)),
        expected_conversation("append", recording("append.2.response.json"), inputs=second["inputs"], **shown(second)),
    ]


@pytest.mark.parametrize("method", ["get_history", "get_messages"])
def test_a_recorded_history_is_logged_whole(method: str, make_client: MakeClient, spans: LoggedSpans) -> None:
    response = recording(f"{method.removeprefix('get_')}.response.json")
    conversation: Json = {"conversation_id": response["conversation_id"]}
    getattr(make_client(lambda _: answer(response)).beta.conversations, method)(**conversation)
    row = spans.pop_one()
    # The example leaves out "object", whose only value the SDK knows.
    assert row["output"] == {"object": row["output"]["object"], **parsed_by_sdk(response)}
    assert row["input"] == conversation


@pytest.mark.parametrize("name", names("*.response.sse"))
def test_a_recorded_stream_is_logged_like_the_response_it_adds_up_to(
    name: str, make_client: MakeClient, spans: LoggedSpans
) -> None:
    body, arguments = (RECORDINGS / name).read_bytes(), requested(name)
    stream = make_client(lambda _: event_stream(body)).beta.conversations.start_stream(**arguments)
    seen = [event.event for event in stream]
    sent = events_of(body)
    assert seen == [event["type"] for event in sent]
    assert logged_calls(spans.pop()) == [
        expected_conversation("start_stream", unstreamed(sent), inputs=arguments["inputs"], **shown(arguments))
    ]


@pytest.mark.parametrize("name", names("*.response.sse"))
async def test_a_recorded_stream_cut_after_any_event_is_logged_as_far_as_it_came(
    name: str, make_client: MakeClient, spans: LoggedSpans
) -> None:
    """A connection may end anywhere: what had arrived is logged as it stands."""
    body, arguments = (RECORDINGS / name).read_bytes(), requested(name)
    pieces = [piece + b"\n\n" for piece in body.split(b"\n\n") if piece]
    for count in range(1, len(pieces) + 1):
        cut = b"".join(pieces[:count])
        client = make_client(lambda _, cut=cut: event_stream(cut))
        async for _ in await client.beta.conversations.start_stream_async(**arguments):
            pass
        assert logged_calls(spans.pop()) == [
            expected_conversation(
                "start_stream", unstreamed(events_of(cut)), inputs=arguments["inputs"], **shown(arguments)
            )
        ]


@pytest.mark.parametrize("name", names("errors/*.json"))
def test_a_recorded_error_reaches_the_span(name: str, make_client: MakeClient, spans: LoggedSpans) -> None:
    """The status and what Mistral said about it are in the error's text, and the caller has the SDK's exception."""
    body, status = recording(name), int(Path(name).name[:3])
    conversation: Json = {"conversation_id": "conv_01a10c872824753cb749aead430f1a48"}
    with pytest.raises(Exception, match="message") as caught:
        make_client(lambda _: answer(body, status)).beta.conversations.append(**conversation, inputs="Hello")
    error: Any = caught.value
    assert error.status_code == status
    row = spans.pop_one()
    assert f"{caught.type.__qualname__}: {error}" in row["error"]
    assert str(status) in row["error"]
    assert row.get("output") is None
    assert row["metadata"] == {"provider": "mistral", "stream": False, **conversation}


def event_stream(body: bytes) -> Any:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
