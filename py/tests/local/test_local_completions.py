import json
import time
from collections import defaultdict
from typing import Any

import pytest
from pydantic import BaseModel

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral.completion_scenarios import COMPLETIONS
from braintrust_mistral.local.mistral.delivery import DELIVERIES
from tests.local.conftest import Http


CHAT, AGENTS, FIM = "/v1/chat/completions", "/v1/agents/completions", "/v1/fim/completions"
MESSAGES = [{"role": "user", "content": "Hello"}]
# A short long stream: the SDKs take milliseconds for each event.
NAMES = sorted({"long-stream-50", *COMPLETIONS} - {"long-stream"})
FAILING = [name for name in DELIVERIES if name.startswith("http-")]
SENTENCE = "Lisbon lies on the estuary of the Tagus."


def merged(chunks: list[Any]) -> dict[int, dict[str, Any]]:
    """The messages that chunks of an SDK add up to, by the index of their choice."""
    messages: dict[int, dict[str, Any]] = defaultdict(lambda: {"content": None, "calls": {}})
    for chunk in chunks:
        (choice,) = chunk.data.choices
        message = messages[choice.index]
        message["finish_reason"] = choice.finish_reason
        add_content(message, choice.delta.model_dump().get("content"))
        for call in choice.delta.tool_calls or []:
            whole = message["calls"].setdefault(call.index, {"name": "", "arguments": ""})
            whole["name"] += call.function.name
            given = call.function.arguments
            whole["arguments"] = whole["arguments"] + given if isinstance(given, str) else given
    return messages


def add_content(message: dict[str, Any], content: Any) -> None:
    if isinstance(content, str):
        if not isinstance(message["content"], list):
            message["content"] = (message["content"] or "") + content
            return
        content = [{"type": "text", "text": content}] if content else []
    for chunk in content or []:
        chunks = message["content"] = message["content"] or []
        if chunks and chunk["type"] == chunks[-1]["type"] == "text":
            chunks[-1]["text"] += chunk["text"]
        elif chunks and chunk["type"] == chunks[-1]["type"] == "thinking":
            chunks[-1]["thinking"][0]["text"] += chunk["thinking"][0]["text"]
        else:
            chunks.append(chunk)


def whole(response: Any) -> dict[int, dict[str, Any]]:
    """The messages of an SDK's response, in the same form."""
    messages: dict[int, dict[str, Any]] = {}
    for choice in response.choices:
        calls = {
            index: {"name": call.function.name, "arguments": call.function.arguments}
            for index, call in enumerate(choice.message.tool_calls or [])
        }
        content = choice.message.model_dump().get("content")
        messages[choice.index] = {"content": content, "calls": calls, "finish_reason": choice.finish_reason}
    return messages


def only(response: Any) -> Any:
    (choice,) = response.choices
    return choice.message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("surface", ["chat", "agents"])
def test_a_streamed_message_is_the_message(sdk: Any, surface: str, name: str) -> None:
    resource, named = (sdk.chat, {"model": name}) if surface == "chat" else (sdk.agents, {"agent_id": name})
    response = resource.complete(messages=MESSAGES, **named)
    chunks = list(resource.stream(messages=MESSAGES, **named))
    assert merged(chunks) == whole(response)
    assert chunks[-1].data.usage.model_dump() == response.usage.model_dump()
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens


@pytest.mark.parametrize("name", ["plain", "parallel-functions", "thinking"])
async def test_async_clients_are_served(async_sdk: Any, name: str) -> None:
    response = await async_sdk.chat.complete_async(model=name, messages=MESSAGES)
    stream = await async_sdk.chat.stream_async(model=name, messages=MESSAGES)
    assert merged([chunk async for chunk in stream]) == whole(response)
    response = await async_sdk.agents.complete_async(agent_id=name, messages=MESSAGES)
    stream = await async_sdk.agents.stream_async(agent_id=name, messages=MESSAGES)
    assert merged([chunk async for chunk in stream]) == whole(response)
    response = await async_sdk.fim.complete_async(model=name, prompt="def mean(values):")
    stream = await async_sdk.fim.stream_async(model=name, prompt="def mean(values):")
    assert merged([chunk async for chunk in stream]) == whole(response)


def test_an_unknown_name_gets_a_plain_answer(sdk: Any) -> None:
    response = sdk.chat.complete(model="mistral-small-latest", messages=MESSAGES)
    assert (response.model, only(response).content) == ("mistral-small-latest", SENTENCE)
    assert response.choices[0].finish_reason == "stop"


def test_agents_answer_with_a_model_of_theirs(sdk: Any) -> None:
    assert sdk.agents.complete(agent_id="plain", messages=MESSAGES).model == "mistral-medium-latest"


def test_code_is_filled_in(sdk: Any) -> None:
    request = {"model": "codestral-latest", "prompt": "def mean(values):", "suffix": "print(mean([1, 2]))"}
    response = sdk.fim.complete(**request)
    assert only(response).content.endswith("return total / len(values)\n")
    assert merged(list(sdk.fim.stream(**request))) == whole(response)


def test_a_stream_has_the_shape_of_the_apis(http: Http) -> None:
    first, *middle, last, done = http.stream(CHAT, model="plain", messages=MESSAGES)
    assert done == "[DONE]"
    assert first["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert last["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in middle) == SENTENCE
    assert not any("usage" in chunk for chunk in [first, *middle])
    assert last["usage"]["completion_tokens"] == len(middle) + 2
    heads = {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in [first, *middle, last]}
    ((_, kind, created, model),) = heads
    assert (kind, model) == ("chat.completion.chunk", "plain")
    assert abs(time.time() - created) < 60


def test_a_function_call_comes_in_one_chunk_with_the_finish_reason(http: Http) -> None:
    *_, last, _ = http.stream(CHAT, model="function-call", messages=MESSAGES)
    (choice,) = last["choices"]
    (call,) = choice["delta"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(call["function"]["arguments"])["quote"] == "SEK"


def test_parallel_calls_come_in_turn_and_in_pieces(http: Http) -> None:
    chunks = http.stream(CHAT, model="parallel-functions", messages=MESSAGES)[:-1]
    pieces = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert [piece["index"] for piece in pieces] == [0, 1] * (len(pieces) // 2)
    assert [piece["function"]["name"] for piece in pieces if piece["index"] == 1][:3] == ["get_exch", "ange_rate", ""]
    assert len({piece["id"] for piece in pieces if "id" in piece}) == 2
    arguments = [piece["function"]["arguments"] for piece in pieces if piece["index"] == 1]
    assert json.loads("".join(arguments)) == {"base": "EUR", "quote": "NOK"}
    for piece in filter(None, arguments):
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|Extra"):
            json.loads(piece)


def test_arguments_can_be_an_object_or_malformed(sdk: Any) -> None:
    (call,) = only(sdk.chat.complete(model="object-arguments", messages=MESSAGES)).tool_calls
    assert call.function.arguments == {"base": "EUR", "quote": "SEK"}
    (call,) = only(sdk.chat.complete(model="malformed-arguments", messages=MESSAGES)).tool_calls
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(call.function.arguments)


@pytest.mark.parametrize("name", ["function-call", "parallel-functions", "object-arguments", "malformed-arguments"])
def test_results_of_tools_are_used(sdk: Any, name: str) -> None:
    message = only(sdk.chat.complete(model=name, messages=MESSAGES))
    results = [
        {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": f"11.{number}"}
        for number, call in enumerate(message.tool_calls)
    ]
    replayed = {"role": "assistant", "tool_calls": [call.model_dump() for call in message.tool_calls]}
    answer = only(sdk.chat.complete(model=name, messages=[*MESSAGES, replayed, *results]))
    assert not answer.tool_calls
    assert answer.content == f"The exchange gave: {'; '.join(result['content'] for result in results)}."
    # Results of an earlier turn are no results of this one.
    again = only(sdk.chat.complete(model=name, messages=[*MESSAGES, replayed, *results, *MESSAGES]))
    assert again.tool_calls


def test_thinking_comes_before_the_text(http: Http) -> None:
    body = http.post(CHAT, json={"model": "thinking", "messages": MESSAGES}).json()
    assert [chunk["type"] for chunk in body["choices"][0]["message"]["content"]] == ["thinking", "text"]
    chunks = http.stream(CHAT, model="thinking", messages=MESSAGES)[1:-2]
    contents = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    kinds = ["text" if isinstance(content, str) else content[0]["type"] for content in contents]
    assert kinds == sorted(kinds, reverse=True)
    assert kinds.count("thinking") > 10
    assert kinds.count("text") == 4


def test_references_stand_between_texts(sdk: Any) -> None:
    content = only(sdk.chat.complete(model="citations", messages=MESSAGES)).content
    assert [chunk.type for chunk in content] == ["text", "reference", "text", "reference", "text"]
    assert [chunk.reference_ids for chunk in content if chunk.type == "reference"] == [[0], [1, 2]]


@pytest.mark.parametrize(("name", "wanted", "count"), [("choices", None, 2), ("choices", 3, 3), ("plain", 2, 2)])
def test_choices_take_turns(sdk: Any, name: str, wanted: int | None, count: int) -> None:
    response = sdk.chat.complete(model=name, messages=MESSAGES, n=wanted)
    assert len({choice.message.content for choice in response.choices}) == count
    chunks = list(sdk.chat.stream(model=name, messages=MESSAGES, n=wanted))
    assert [chunk.data.choices[0].index for chunk in chunks][: 2 * count] == [*range(count)] * 2
    assert merged(chunks) == whole(response)


def test_logprobs_are_of_the_tokens(http: Http, sdk: Any) -> None:
    body = http.post(CHAT, json={"model": "logprobs", "messages": MESSAGES}).json()
    tokens = body["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == SENTENCE
    assert all(token["logprob"] < 0 for token in tokens)
    assert bytes(tokens[1]["bytes"]) == b" lies"
    chunks = http.stream(CHAT, model="logprobs", messages=MESSAGES)[1:-2]
    assert [chunk["choices"][0]["logprobs"]["content"][0]["token"] for chunk in chunks] == [t["token"] for t in tokens]
    choice = sdk.chat.complete(model="logprobs", messages=MESSAGES).choices[0]
    if "logprobs" in type(choice).model_fields:
        assert choice.logprobs.content[0].token == "Lisbon"


def test_usage_tells_of_caches_reasoning_and_audio(sdk: Any) -> None:
    usage = sdk.chat.complete(model="cached", messages=MESSAGES).usage.model_dump()
    assert usage["prompt_tokens_details"] == {"cached_tokens": 1_280}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 6}
    assert (usage["prompt_audio_seconds"], usage["service_tier"]) == (4, "priority")
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_message_can_be_cut_or_empty(sdk: Any) -> None:
    (choice,) = sdk.chat.complete(model="length", messages=MESSAGES).choices
    assert (choice.finish_reason, choice.message.content) == ("length", "Lisbon lies on the")
    assert only(sdk.chat.complete(model="null-content", messages=MESSAGES)).content is None


def test_unknown_fields_are_everywhere(http: Http) -> None:
    body = http.post(CHAT, json={"model": "unknown-field", "messages": MESSAGES}).json()
    chunk = http.stream(CHAT, model="unknown-field", messages=MESSAGES)[0]
    message, delta = body["choices"][0]["message"], chunk["choices"][0]["delta"]
    assert all(part["provenance"] == {"region": "eu", "replica": 7} for part in (body, message, chunk, delta))


class Ferry(BaseModel):
    class Stop(BaseModel):
        town: str
        minutes: int | None

    line: str
    price: float
    runs: bool
    stops: list[Stop]


@pytest.mark.parametrize("name", ["json", "plain"])
def test_an_answer_fits_the_schema(sdk: Any, name: str) -> None:
    parsed = only(sdk.chat.parse(Ferry, model=name, messages=MESSAGES)).parsed
    assert parsed == Ferry(line="Lisbon", price=1.4, runs=True, stops=[Ferry.Stop(town="Lisbon", minutes=3)])
    streamed = merged(list(sdk.chat.parse_stream(Ferry, model=name, messages=MESSAGES)))
    assert Ferry.model_validate_json(streamed[0]["content"]) == parsed


def test_json_without_a_schema_is_json(sdk: Any) -> None:
    answer = only(sdk.chat.complete(model="json", messages=MESSAGES, response_format={"type": "json_object"}))
    assert json.loads(answer.content) == {"answer": "Lisbon"}


def test_a_long_stream_has_as_many_pieces_as_its_name_says(http: Http) -> None:
    chunks = http.stream(CHAT, model="long-stream-3000", messages=MESSAGES)
    assert sum(chunk != "[DONE]" and bool(chunk["choices"][0]["delta"]["content"]) for chunk in chunks) == 3_000


@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("method", ["complete", "stream"])
def test_a_failure_is_an_http_error(sdk: Any, name: str, method: str) -> None:
    # 422 has an exception of its own, whose text is the body alone.
    with pytest.raises(Exception, match=r"Status \d+|extra_forbidden") as caught:
        getattr(sdk.chat, method)(model=name, messages=MESSAGES)
    assert caught.value.raw_response.status_code == int(name.removeprefix("http-"))


@pytest.mark.parametrize("method", ["complete", "stream"])
def test_a_broken_connection_is_a_protocol_error(sdk: Any, method: str) -> None:
    with pytest.raises(Exception, match="without sending complete message body"):
        list(getattr(sdk.chat, method)(model="broken", messages=MESSAGES))


def test_an_error_in_a_stream_raises(sdk: Any, http: Http) -> None:
    stream = iter(sdk.chat.stream(model="error-event", messages=MESSAGES))
    first = next(stream)
    with pytest.raises(Exception, match="validation error"):
        list(stream)
    *begun, failure = http.stream(CHAT, model="error-event", messages=MESSAGES)
    assert begun[0]["choices"][0]["delta"]["role"] == first.data.choices[0].delta.role
    assert (failure["object"], failure["code"]) == ("error", "1000")


def test_a_slow_answer_takes_its_time() -> None:
    with LocalMistral(pace=0.05) as slower:
        begin = time.monotonic()
        Http(slower.url).post(CHAT, json={"model": "slow", "messages": MESSAGES})
        assert time.monotonic() - begin > 3.0 * 0.05


@pytest.mark.parametrize(
    ("path", "body", "location"),
    [
        (CHAT, [], ["body"]),
        (CHAT, {"messages": MESSAGES}, ["body", "model"]),
        (CHAT, {"model": "plain"}, ["body", "messages"]),
        (CHAT, {"model": "plain", "messages": "Hello"}, ["body", "messages"]),
        (AGENTS, {"messages": MESSAGES}, ["body", "agent_id"]),
        (FIM, {"model": "plain"}, ["body", "prompt"]),
    ],
)
def test_a_request_without_its_fields_is_unprocessable(http: Http, path: str, body: Any, location: list[str]) -> None:
    assert http.refused_at(path, json=body) == location


def test_requests_are_kept_as_they_arrived(sdk: Any, mistral: LocalMistral) -> None:
    sdk.chat.stream(model="plain", messages=MESSAGES, temperature=0.2)
    sdk.fim.complete(model="plain", prompt="def", suffix="return")
    chat, fim = mistral.requests
    assert (chat.path, chat.body["temperature"], chat.body["stream"]) == (CHAT, 0.2, True)
    assert (fim.path, fim.body["suffix"], fim.files) == (FIM, "return", {})
