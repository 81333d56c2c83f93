"""Any events, any JSON, any nesting: nothing escapes, the time is linear, the depth is bounded.

What is right has its tests beside the code; here nearly nothing is. Events go through a traced stream, as in an
application: an accumulator may refuse one, and nobody notices.
"""

import json
import sys
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from braintrust.integrations.mistral import patchers
from braintrust.integrations.mistral.genai.attributes import span_attributes
from braintrust.integrations.mistral.operations import Operation, Request, read_stream
from braintrust.integrations.mistral.payloads import MAX_DEPTH, parse_arguments, to_loggable
from braintrust.integrations.mistral.tracing import streams
from braintrust.integrations.mistral.tracing.spans import CallSpan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from braintrust_mistral.local import LocalMistral
from endurance.applications import read
from endurance.observation import Observed, observe
from endurance.plan import IS_FULL
from endurance.replay import Replay


OPERATIONS: dict[str, Operation] = {
    f"{resource.path}.{method}": operation
    for resource in patchers.RESOURCES
    for method, operation in resource.methods.operations.items()
}
STREAMED = {path: operation for path, operation in OPERATIONS.items() if operation.accumulator is not None}

SCALARS = st.sampled_from([None, False, True, 0, -1, 7, 10**30, 0.5, float("nan"), "", "a", "SUQz", "[1", "\ud800"])
JSON = st.recursive(
    SCALARS,
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.sampled_from(["", "a", "type"]), items, max_size=3),
    max_leaves=6,
)


def words(*names: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(names)


NAMES = words(
    "type", "id", "content", "content_index", "output_index", "arguments", "name", "info", "usage", "outputs", "model",
    "choices", "index", "delta", "message", "messages", "tool_calls", "function", "finish_reason", "tool_call_id",
    "thinking", "text", "item", "item_id", "part", "response", "output", "call_id", "audio_data", "segments", "raw",
    "language", "data", "created_at", "completed_at", "role", "error", "code", "image_url", "result", "pages", "n",
    "total_tokens", "prompt_tokens_details", "conversation_id", "confirmation_status", "next_agent_name", "logprobs",
)  # fmt: skip
TYPES = words(
    "message.output.delta", "message.output", "tool.execution.started", "tool.execution.done", "tool.execution",
    "function.call.delta", "function.call", "function.result", "agent.handoff.started", "agent.handoff.done",
    "agent.handoff", "conversation.response.started", "conversation.response.done", "conversation.response.error",
    "text", "thinking", "image_url", "tool_reference", "function", "UNKNOWN", "message", "function_call", "error",
    "response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta",
    "response.content_part.done", "response.function_call_arguments.delta", "response.completed", "output_text",
    "transcription.text.delta", "transcription.segment", "transcription.language", "transcription.done",
    "speech.audio.delta", "speech.audio.done",
)  # fmt: skip
PAYLOADS = st.recursive(
    SCALARS | TYPES,
    lambda items: (
        st.lists(items, max_size=4)
        | st.dictionaries(NAMES, items, max_size=6)
        | st.builds(lambda kind, fields: {**fields, "type": kind}, TYPES, st.dictionaries(NAMES, items, max_size=6))
    ),
    max_leaves=24,
)
"""JSON in the words of the API, and in no order of its."""


def as_object(value: Any) -> Any:
    """Return JSON as the SDK's models that nobody validated: objects with attributes, as far as there are any."""
    if isinstance(value, list):
        return [as_object(item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {name: as_object(item) for name, item in value.items()}
    return SimpleNamespace(**fields, __pydantic_fields_set__=set(fields))


EVENTS = st.lists(PAYLOADS.map(lambda value: SimpleNamespace(data=as_object(value))) | PAYLOADS, max_size=8)


pytestmark = pytest.mark.usefixtures("models_remembered")


def fuzzed(function: Callable[..., None]) -> Callable[..., None]:
    """Run a test on examples that are the same each time: few in the short form, many in the full one."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    chosen = settings(
        max_examples=2_000 if IS_FULL else 15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=checks,
    )
    return chosen(function)


def assert_harmless(observed: Observed, expected: Any) -> None:
    assert observed.results == expected
    assert observed.noise == []
    assert {ends for name, ends in observed.ends.values() if name.startswith("mistral.")} == {1}


def read_traced(operation: Operation, events: Iterable[Any]) -> list[bool]:
    """Read events through a traced stream, and return whether each came out as itself."""
    assert operation.accumulator is not None
    span = CallSpan(operation.span_name, operation.span_type, Request())
    lifecycle = streams.StreamLifecycle(operation.response, Request(), span, operation.accumulator())
    kept = list(events)
    stream = streams.traced_stream(iter(kept), lifecycle)
    return [came is event for came, event in zip(stream, kept, strict=True)]


@pytest.mark.parametrize("path", sorted(STREAMED))
@fuzzed
@given(events=EVENTS)
def test_whatever_the_events_are_they_pass_and_the_span_ends(path: str, events: list[Any]) -> None:
    observed = observe(lambda: read_traced(STREAMED[path], events), is_traced=True)
    assert_harmless(observed, [True] * len(events))


PLAIN_READERS = sorted(path for path, operation in OPERATIONS.items() if hasattr(operation.response, "__wrapped__"))


@pytest.mark.parametrize("path", PLAIN_READERS)
@fuzzed
@given(response=PAYLOADS, request=st.dictionaries(NAMES, PAYLOADS, max_size=3))
def test_whatever_a_response_is_it_can_be_read(path: str, response: Any, request: dict[str, Any]) -> None:
    OPERATIONS[path].response(response, Request())
    reader = OPERATIONS[path].with_llm_spans
    if reader is not None:
        asked = Request(response, request)
        reader(asked).response({"outputs": response}, asked)


@pytest.mark.parametrize("path", sorted(OPERATIONS))
@fuzzed
@given(arguments=st.dictionaries(NAMES | words("inputs", "input", "tools", "file", "document"), PAYLOADS, max_size=6))
def test_whatever_the_arguments_are_they_can_be_read(path: str, arguments: dict[str, Any]) -> None:
    OPERATIONS[path].request(arguments)


class Recorded(NamedTuple):
    """A stream that the local Mistral once sent, with how its client reads it."""

    replay: Replay
    call: Callable[[Any], Any]


CALLS: dict[str, Callable[[Any], Any]] = {
    "conversation": lambda client: client.beta.conversations.start_stream(model="agentic", inputs="Ferries?"),
    "thinking": lambda client: client.beta.conversations.start_stream(model="thinking", inputs="Ferries?"),
    "chat": lambda client: client.chat.stream(model="parallel-functions", messages=[{"role": "user", "content": "?"}]),
    "transcription": lambda client: client.audio.transcriptions.stream(model="plain", file_id="f1"),
    "response": lambda client: client.responses.create(model="parallel-functions", input="Rates?", stream=True),
}


@pytest.fixture(scope="module")
def recorded() -> dict[str, Recorded]:
    made: dict[str, Recorded] = {}
    with LocalMistral(pace=0.0) as mistral:
        for name, call in CALLS.items():
            replay = Replay(mistral.url)
            if name != "response" or hasattr(replay.client(), "responses"):
                read(call(replay.client()))
                made[name] = Recorded(replay, call)
    return made


@pytest.mark.parametrize("name", CALLS)
@fuzzed
@given(data=st.data())
def test_a_stream_with_anything_in_the_place_of_anything_reads_as_it_does_untraced(
    name: str, data: st.DataObject, recorded: dict[str, Recorded]
) -> None:
    if name not in recorded:
        pytest.skip("this mistralai has no Responses API")
    replay, call = recorded[name]
    with replay.changed(lambda content: _with_changes(content, data)):
        untraced = observe(lambda: read(call(replay.client())), is_traced=False)
        traced = observe(lambda: read(call(replay.client())), is_traced=True)
    assert repr(traced.results) == repr(untraced.results)
    assert traced.noise == []
    assert [ends for span, ends in traced.ends.values() if span.startswith("mistral.")] == [1]


def _with_changes(content: bytes, data: st.DataObject) -> bytes:
    """Return server-sent events with some of them left out, doubled or changed somewhere inside."""
    blocks = content.split(b"\n\n")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(blocks) - 1))
        head, found, body = blocks[place].partition(b"data: ")
        how = data.draw(words("leave out", "double", "change", "change"))
        if how == "double":
            blocks.insert(place, blocks[place])
        elif how == "leave out":
            blocks[place] = b": nothing"
        elif found and body.startswith(b"{"):
            event = json.loads(body)
            _change(event, data)
            blocks[place] = head + b"data: " + json.dumps(event).encode()
    return b"\n\n".join(blocks)


def _change(value: Any, data: st.DataObject) -> None:
    """Change one field of an object, or of an object inside."""
    name = data.draw(st.sampled_from(sorted(value)))
    inner = value[name][0] if isinstance(value[name], list) and value[name] else value[name]
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        _change(inner, data)
    elif data.draw(st.booleans()):
        value[name] = data.draw(JSON)
    else:
        del value[name]


# Time


def text_events(number: int) -> list[Any]:
    """A message in many pieces, by turns in two of its chunks and now and then of another message."""
    return [
        SimpleNamespace(data=SimpleNamespace(type="message.output.delta", id=f"m{index % 7 // 6}", content="word ",
                                             content_index=index % 2, created_at=None, model="m"))
        for index in range(number)
    ]  # fmt: skip


def thinking_events(number: int) -> list[Any]:
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": ""}]}
    return [
        SimpleNamespace(data=SimpleNamespace(type="message.output.delta", id="m", content=chunk, content_index=0))
        for _ in range(number)
    ]


def tool_events(number: int) -> list[Any]:
    return [
        SimpleNamespace(data=SimpleNamespace(type="tool.execution.delta", id=f"t{index // 2}", name="search",
                                             arguments="{}", output_index=index // 2))
        for index in range(number)
    ]  # fmt: skip


def chunks(*contents: Any) -> Callable[[int], list[Any]]:
    """Return what makes so many chunks of a completion, with these contents by turns."""

    def make(number: int) -> list[Any]:
        return [chat_chunk(content=contents[index % len(contents)]) for index in range(number)]

    return make


def call_chunks(number: int) -> list[Any]:
    function = SimpleNamespace(name="f", arguments="{}")
    calls = [as_object({"id": f"c{index // 2}", "index": index // 2, "type": "function"}) for index in range(number)]
    for call in calls:
        call.function = function
        call.__pydantic_fields_set__ = {"id", "index", "type", "function"}
    return [chat_chunk(tool_calls=[call]) for call in calls]


def chat_chunk(**delta: Any) -> Any:
    event = as_object({"data": {"choices": [{"index": 0, "delta": None, "finish_reason": None}], "usage": None}})
    # Chunks of content may as well be dicts.
    event.data.choices[0].delta = SimpleNamespace(**delta, __pydantic_fields_set__=set(delta))
    return event


STREAMS: dict[str, tuple[str, Callable[[int], list[Any]]]] = {
    "texts": ("beta.conversations.start_stream", text_events),
    "empty thoughts": ("beta.conversations.start_stream", thinking_events),
    "tools": ("beta.conversations.start_stream", tool_events),
    "completion": ("chat.stream", chunks("word")),
    "completion of empty texts": ("chat.stream", chunks("")),
    "completion of chunks": ("chat.stream", chunks("word", [{"type": "reference", "reference_ids": [1]}])),
    "completion of empty thoughts": (
        "chat.stream",
        chunks([{"type": "thinking", "thinking": [{"type": "text", "text": ""}]}]),
    ),
    "completion of empty chunks": ("chat.stream", chunks([{"type": "text", "text": ""}], [{}])),
    "completion of calls": ("chat.stream", call_chunks),
}


def calls_in(function: Callable[[], Any]) -> int:
    """Return how many functions are called in the course of a call."""
    number = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal number
        number += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return number


def assert_linear(make: Callable[[int], Callable[[], Any]], size: int = 300) -> None:
    # Names beyond what a cache holds are looked at anew: in both.
    make(10 * size)()
    few, many = calls_in(make(size)), calls_in(make(10 * size))
    assert many < 11 * few


@pytest.mark.parametrize("name", STREAMS)
def test_ten_times_the_events_are_ten_times_the_work(name: str) -> None:
    path, make_events = STREAMS[name]
    operation = STREAMED[path]

    def make(number: int) -> Callable[[], Any]:
        events = make_events(number)

        def fold() -> None:
            assert operation.accumulator is not None
            accumulator = operation.accumulator()
            for event in events:
                accumulator.add(event)
            read_stream(accumulator, operation.response, Request())

        return fold

    assert_linear(make)


VALUES: dict[str, Callable[[int], Any]] = {
    "list": lambda number: [{"type": "text", "text": "word"}] * number,
    "dict": lambda number: {f"key {index}": [index] for index in range(number)},
    "deep": lambda number: [nested(min(number, MAX_DEPTH - 10)) for _ in range(number // 100)],
    "outputs": lambda number: {
        "outputs": [
            {"type": "tool.execution", "id": f"t{index}", "name": "search", "arguments": "{}", "created_at": "2026"}
            for index in range(number)
        ]
    },
}
READINGS: dict[str, Callable[[Any], Any]] = {
    "plain": to_loggable,
    "response": lambda value: OPERATIONS["beta.conversations.start"].response(value, Request()),
    "attributes": lambda value: span_attributes(
        {"span_attributes": {"name": "mistral.chat.complete"}, "input": value, "output": value, "metadata": {}}
    ),
}


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", VALUES)
def test_ten_times_the_value_is_ten_times_the_work(name: str, reading: str) -> None:
    def make(number: int) -> Callable[[], Any]:
        value = VALUES[name](number)
        return lambda: READINGS[reading](value)

    assert_linear(make)


# Depth


def nested(depth: int, inner: Any = "core") -> Any:
    value = inner
    for level in range(depth):
        value = {"content": value} if level % 2 else [value]
    return value


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, (list, dict)) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        depth += 1
    return depth


DEEP = 10_000


@pytest.mark.parametrize("reading", [*READINGS, "arguments", "llm spans"])
def test_however_deep_a_value_is_what_is_logged_of_it_is_not(reading: str) -> None:
    value = nested(DEEP)
    if reading == "arguments":
        text = "[" * DEEP + "]" * DEEP
        assert parse_arguments(text) == text
    elif reading == "llm spans":
        entries = [{"type": "message.output", "content": value}]
        read_all = OPERATIONS["beta.conversations.start"].with_llm_spans
        assert read_all is not None
        asked = Request(value)
        (call,) = read_all(asked).response({"outputs": entries}, asked).children
        assert depth_of(call.output) <= MAX_DEPTH + 5
    else:
        result = READINGS[reading](value)
        assert depth_of(result) <= MAX_DEPTH + 5


@pytest.mark.parametrize("path", sorted(STREAMED))
def test_however_deep_an_event_is_it_passes_and_the_next_one_is_folded(path: str) -> None:
    """A stack that runs out is a fault like any other."""
    chunk: Any = {"type": "text", "text": "core"}
    for _ in range(DEEP):
        chunk = {"type": "thinking", "thinking": [chunk]}
    delta = {"type": "message.output.delta", "id": "m", "content": chunk, "content_index": 0}
    events = [
        SimpleNamespace(data=SimpleNamespace(**delta)),
        SimpleNamespace(data=SimpleNamespace(type="UNKNOWN", raw=delta)),
        chat_chunk(content=[chunk]),
        SimpleNamespace(data=SimpleNamespace(**{**delta, "id": "n", "content": "next"})),
        chat_chunk(content="next"),
    ]
    observed = observe(lambda: read_traced(STREAMED[path], events), is_traced=True)
    assert_harmless(observed, [True] * len(events))
    if path.startswith(("beta", "chat")):
        assert "next" in str(observed.rows)
