import json
from typing import Any

import pytest

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral.response_items import RESPONSES
from tests.local.conftest import Http


PATH = "/v1/responses"
NAMES = sorted({"long-stream-50", *RESPONSES} - {"long-stream"})
SENTENCE = "Lisbon lies on the estuary of the Tagus."
SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}}


@pytest.fixture
def responses(sdk: Any) -> Any:
    if not hasattr(sdk, "responses"):
        pytest.skip("this mistralai has no responses")
    return sdk.responses


def bare(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key not in {"id", "call_id"}} for item in output]


def built(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items that the deltas of a stream add up to."""
    items: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["type"] == "response.output_item.added":
            items[event["item"]["id"]] = event["item"]
        elif event["type"] == "response.content_part.added":
            assert event["content_index"] == len(items[event["item_id"]]["content"])
            items[event["item_id"]]["content"].append(event["part"])
        elif event["type"] == "response.function_call_arguments.delta":
            items[event["item_id"]]["arguments"] += event["delta"]
        elif event["type"].endswith(".delta"):
            items[event["item_id"]]["content"][event["content_index"]]["text"] += event["delta"]
        elif event["type"] == "response.output_item.done":
            items[event["item"]["id"]]["status"] = event["item"]["status"]
    return list(items.values())


@pytest.mark.parametrize("name", NAMES)
def test_an_sdk_reads_every_answer_whole_and_streamed(responses: Any, name: str) -> None:
    whole = responses.create(model=name, input="Hello")
    *events, last = responses.create(model=name, input="Hello", stream=True)
    assert [event.data.type for event in events[:3]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert [event.data.sequence_number for event in [*events, last]] == list(range(len(events) + 1))
    assert last.event == last.data.type == f"response.{whole.status}"
    assert bare([item.model_dump() for item in last.data.response.output]) == bare(
        [item.model_dump() for item in whole.output]
    )
    assert last.data.response.usage == whole.usage
    assert len({event.data.response.id for event in [*events[:2], last]}) == 1


@pytest.mark.parametrize("name", [name for name in NAMES if name != "failed"])
def test_deltas_add_up_to_the_output(http: Http, name: str) -> None:
    events = http.stream(PATH, model=name, input="Hello")
    assert built(events) == events[-1]["response"]["output"]
    assert events[-1]["response"]["usage"]["output_tokens"] == sum(e["type"].endswith(".delta") for e in events)


def test_a_message_opens_and_closes_item_and_part(http: Http) -> None:
    events = [event["type"].removeprefix("response.") for event in http.stream(PATH, model="plain", input="Hello")]
    assert events == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 8,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_reasoning_comes_before_the_message(responses: Any) -> None:
    response = responses.create(model="reasoning", input="Hello")
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert response.output[0].content[0].text.startswith("The next ferry")
    assert 0 < response.usage.output_tokens_details.reasoning_tokens < response.usage.output_tokens
    kinds = [event.event for event in responses.create(model="reasoning", input="Hello", stream=True)]
    assert kinds.index("response.reasoning_text.done") < kinds.index("response.output_text.delta")


def test_parallel_calls_interleave_in_a_stream(http: Http) -> None:
    events = http.stream(PATH, model="parallel-functions", input="Hello")
    deltas = [event for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert [event["output_index"] for event in deltas] == [0, 1] * (len(deltas) // 2)
    done = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert [json.loads(event["arguments"])["quote"] for event in done] == ["SEK", "NOK"]


@pytest.mark.parametrize("name", ["function-call", "parallel-functions", "malformed-arguments"])
def test_results_of_functions_are_used(responses: Any, name: str) -> None:
    calls = responses.create(model=name, input="Hello").output
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "11.4"} for call in calls]
    replayed = [call.model_dump(exclude_unset=True) for call in calls]
    (message,) = responses.create(model=name, input=[*replayed, *results]).output
    assert message.content[0].text == f"The exchange gave: {'; '.join(['11.4'] * len(calls))}."


def test_malformed_arguments_are_sent_as_they_are(responses: Any) -> None:
    (call,) = responses.create(model="malformed-arguments", input="Hello").output
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(call.arguments)


def test_a_response_can_be_incomplete(responses: Any) -> None:
    response = responses.create(model="incomplete", input="Hello")
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert response.output[0].status == "incomplete"


def test_a_response_can_fail_in_the_middle(responses: Any) -> None:
    response = responses.create(model="failed", input="Hello")
    assert (response.status, response.error.code, response.output) == ("failed", "server_error", [])
    *begun, last = responses.create(model="failed", input="Hello", stream=True)
    assert begun[-1].event == "response.output_text.delta"
    assert last.data.response.error.message == "The model failed to answer"


def test_a_stream_can_end_with_an_error(responses: Any) -> None:
    *begun, last = responses.create(model="error-event", input="Hello", stream=True)
    assert (last.data.type, last.data.code, last.data.message) == ("error", "server_error", "Internal server error")
    assert last.data.sequence_number == len(begun)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_response_can_break_off_or_be_refused(responses: Any, streamed: bool) -> None:
    with pytest.raises(Exception, match="without sending complete message body"):
        list(responses.create(model="broken", input="Hello", stream=streamed))
    with pytest.raises(Exception, match="Status 503"):
        responses.create(model="http-503", input="Hello", stream=streamed)


def test_a_long_stream_has_as_many_deltas_as_its_name_says(http: Http) -> None:
    events = http.stream(PATH, model="long-stream-1000", input="Hello")
    assert sum(event["type"] == "response.output_text.delta" for event in events) == 1_000


def test_settings_come_back(responses: Any, mistral: LocalMistral) -> None:
    tools = [{"type": "function", "name": "get_exchange_rate", "parameters": SCHEMA}]
    response = responses.create(
        model="plain", input="Hello", instructions="Be brief.", tools=tools, metadata={"team": "a"}, temperature=0.2
    )
    assert (response.instructions, response.metadata, response.temperature) == ("Be brief.", {"team": "a"}, 0.2)
    assert response.tools[0].name == "get_exchange_rate"
    assert mistral.requests[0].body["input"] == "Hello"


def test_a_text_fits_its_schema(http: Http) -> None:
    # Without the SDK: 3.7.0 does not send `text`.
    form = {"type": "json_schema", "name": "town", "schema": SCHEMA}
    response = http.post(PATH, json={"model": "plain", "input": "Hello", "text": {"format": form}}).json()
    assert json.loads(response["output"][0]["content"][0]["text"]) == {"town": "Lisbon"}
    assert response["text"] == {"format": form}


def test_usage_tells_of_caches(responses: Any) -> None:
    usage = responses.create(model="cached", input="Hello").usage
    assert usage.input_tokens_details.cached_tokens == 1_280 < usage.input_tokens
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens


async def test_async_clients_are_served(async_sdk: Any) -> None:
    if not hasattr(async_sdk, "responses"):
        pytest.skip("this mistralai has no responses")
    response = await async_sdk.responses.create_async(model="mistral-medium-latest", input="Hello")
    assert response.output[0].content[0].text == SENTENCE
    stream = await async_sdk.responses.create_async(model="reasoning", input="Hello", stream=True)
    assert [event.event async for event in stream][-1] == "response.completed"


@pytest.mark.parametrize(
    ("body", "location"),
    [({"input": "Hello"}, ["body", "model"]), ({"model": "plain"}, ["body", "input"]), ([], ["body"])],
)
def test_a_request_without_its_fields_is_unprocessable(http: Http, body: Any, location: list[str]) -> None:
    assert http.refused_at(PATH, json=body) == location
