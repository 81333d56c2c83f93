"""What wrapping leaves as it was: copies, overridden methods, retries, other tools, and what nobody asked for yet."""

import asyncio
import copy
import gc
import inspect
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import wrapt
from braintrust.integrations.mistral import MistralIntegration, wrap_mistral
from braintrust.integrations.mistral.resources.conversation_stream import ConversationAccumulator
from braintrust.integrations.mistral.tracing.arguments import own_arguments

from tests.conftest import LoggedSpans, MakeClient, Mistral, wait_for_abandoned_streams
from tests.helpers.runs import context_of
from tests.helpers.spans import logged_calls
from tests.helpers.wire import ScriptedMistral, answer, answer_stream, client_of, httpx, says, streamed


try:
    from mistralai.client.chat import Chat
    from mistralai.client.conversations import Conversations
except ImportError:  # 1.x
    from mistralai.chat import Chat  # type: ignore[no-redef]
    from mistralai.conversations import Conversations  # type: ignore[no-redef]

MESSAGES: Any = [{"role": "user", "content": "Bread?"}]
HELLO = streamed([says("Bread rises")])


def completion(request: Any) -> Any:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Rye."}, "finish_reason": "stop"}
    body = {"id": "chat_1", "object": "chat.completion", "model": "m", "created": 0, "choices": [choice]}
    return answer({**body, "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})


def complete(client: Any) -> Any:
    return client.chat.complete(model="m", messages=MESSAGES)


class Keys:
    """A transport that remembers the keys that requests were sent with."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def client(self, key: str) -> Mistral:
        def handle(request: Any) -> Any:
            self.seen.append(request.headers["authorization"])
            return completion(request)

        return Mistral(api_key=key, client=httpx.Client(transport=httpx.MockTransport(handle)))


# --- copies ---


@pytest.mark.usefixtures("uninstrumented")
@pytest.mark.parametrize("is_used", [False, True], ids=["fresh", "used"])
def test_a_copy_of_a_wrapped_client_is_traced_and_sends_its_own_key(is_used: bool, spans: LoggedSpans) -> None:
    keys = Keys()
    original, other = wrap_mistral(keys.client("original")), keys.client("other")
    if is_used:
        complete(original)
    copied = copy.copy(original)
    copied.sdk_configuration = other.sdk_configuration
    if is_used:
        # As without tracing: what the original had made already, its copy has as well.
        copied.chat = copy.copy(original.chat)
        copied.chat.sdk_configuration = other.sdk_configuration
    complete(copied)
    complete(original)
    assert keys.seen[-2:] == ["Bearer other", "Bearer original"]
    assert len(spans.pop()) == len(keys.seen)


@pytest.mark.usefixtures("uninstrumented")
def test_wrapping_makes_none_of_the_resources_that_a_client_makes_when_it_is_asked(make_client: MakeClient) -> None:
    client = make_client(completion)
    before = set(vars(client))
    wrap_mistral(client)
    assert set(vars(client)) == before
    assert isinstance(client, Mistral)
    assert type(client).__name__ == "Mistral"


@pytest.mark.usefixtures("uninstrumented")
@pytest.mark.usefixtures("uninstrumented")
def test_a_resource_that_a_client_makes_is_traced_before_another_thread_can_have_it(
    spans: LoggedSpans,
) -> None:
    class Shared(Mistral):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "chat":
                # As fast as a thread could be that asks for the same resource.
                complete(self)

    complete(wrap_mistral(Shared(api_key="key", client=httpx.Client(transport=httpx.MockTransport(completion)))))
    assert len(spans.pop_ended()) == 2


@pytest.mark.parametrize("is_made", [False, True], ids=["later", "before"])
def test_llm_spans_are_decided_for_resources_made_before_and_later(
    is_made: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    response = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [says("Bread rises")]}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    client = make_client(lambda request: answer({**response, "usage": usage}))
    if is_made:
        _ = client.beta.conversations
    wrap: Any = wrap_mistral
    wrap(client, llm_spans=True).beta.conversations.start(inputs="Bread?", model="m")
    assert [row["span_attributes"]["type"] for row in spans.pop()] == ["task", "llm"]


# --- methods that are not the SDK's own ---


class ThriftyChat(Chat):
    """A class of the application's that overrides methods of the SDK's."""

    def complete(self, **arguments: Any) -> Any:
        return super().complete(**{**arguments, "max_tokens": 5})

    async def complete_async(self, **arguments: Any) -> Any:
        return await super().complete_async(**{**arguments, "max_tokens": 5})


class Conversing(Conversations):
    async def run_async(self, **arguments: Any) -> Any:
        return await super().run_async(**arguments)


SET_UPS: dict[str, Callable[[Any], Any]] = {
    "auto": lambda client: MistralIntegration.setup(),
    "wrap": wrap_mistral,
    "auto, wrap": lambda client: (MistralIntegration.setup(), wrap_mistral(client)),
    "wrap, auto": lambda client: (wrap_mistral(client), MistralIntegration.setup(), wrap_mistral(client)),
}


@pytest.mark.usefixtures("uninstrumented")
@pytest.mark.parametrize("set_up", SET_UPS.values(), ids=SET_UPS)
def test_a_method_that_overrides_the_sdks_and_calls_it_gives_one_span(
    set_up: Callable[[Any], Any], spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(completion)
    client.chat = ThriftyChat(client.sdk_configuration)
    set_up(client)
    complete(client)
    asyncio.run(client.chat.complete_async(model="m", messages=MESSAGES))
    calls = logged_calls(spans.pop())
    assert [(call.name, call.metadata["max_tokens"]) for call in calls] == [("mistral.chat.complete", 5)] * 2
    assert isinstance(client.chat, ThriftyChat)


@pytest.mark.usefixtures("uninstrumented")
@pytest.mark.parametrize("set_up", SET_UPS.values(), ids=SET_UPS)
async def test_an_overridden_run_gives_one_span(set_up: Callable[[Any], Any], spans: LoggedSpans) -> None:
    mistral = ScriptedMistral([says("It rests.")])
    mistral.client.beta.conversations = Conversing(mistral.client.sdk_configuration)
    set_up(mistral.client)
    await mistral.client.beta.conversations.run_async(run_ctx=context_of(), inputs="Bake")
    names = [row["span_attributes"]["name"] for row in spans.pop()]
    assert names == ["mistral.beta.conversations.run", "mistral.beta.conversations.start"]


def with_retries(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function again where it fails, and hide what it is, as a decorator of a few lines does."""

    def call(**arguments: Any) -> Any:
        try:
            return function(**arguments)
        except Exception:
            return function(**arguments)

    return call


@pytest.mark.usefixtures("uninstrumented")
@pytest.mark.parametrize("set_up", SET_UPS.values(), ids=SET_UPS)
@pytest.mark.parametrize("is_set_before", [True, False], ids=["before", "after"])
def test_retries_that_were_set_on_the_resource_give_one_span_for_a_call_that_succeeds(
    set_up: Callable[[Any], Any], is_set_before: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(completion)
    if is_set_before and set_up is SET_UPS["auto"]:
        # What was bound before is the SDK's own, and nobody asked to trace this client.
        MistralIntegration.setup()
    if is_set_before:
        client.chat.complete = with_retries(client.chat.complete)
        client.chat.complete_async = with_retries(client.chat.complete_async)
    set_up(client)
    if not is_set_before:
        client.chat.complete = with_retries(client.chat.complete)
        client.chat.complete_async = with_retries(client.chat.complete_async)
    complete(client)
    asyncio.run(client.chat.complete_async(model="m", messages=MESSAGES))
    assert [call.name for call in logged_calls(spans.pop())] == ["mistral.chat.complete"] * 2


@pytest.mark.usefixtures("uninstrumented")
@pytest.mark.parametrize("set_up", SET_UPS.values(), ids=SET_UPS)
def test_a_generator_of_the_applications_own_is_traced_where_it_takes_the_place_of_a_stream(
    set_up: Callable[[Any], Any], spans: LoggedSpans, make_client: MakeClient
) -> None:
    client = make_client(lambda request: answer_stream(HELLO))
    conversations = client.beta.conversations
    start_stream = conversations.start_stream

    def generate(**arguments: Any) -> Any:
        yield from start_stream(**arguments)

    conversations.start_stream = generate
    set_up(client)
    events = list(client.beta.conversations.start_stream(inputs="Bread?", model="m"))
    assert len(events) == len(HELLO)
    outputs = [call.output for call in logged_calls(spans.pop())]
    assert outputs == ([] if set_up is SET_UPS["auto"] else [[says("Bread rises")]])


# --- other tools ---


@pytest.mark.usefixtures("uninstrumented")
def test_after_another_instrumentation_was_removed_mistral_is_traced_again(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = vars(Chat)["complete"]
    monkeypatch.setattr(Chat, "complete", original)
    wrapt.wrap_function_wrapper(Chat, "complete", lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs))  # pyright: ignore[reportCallIssue]
    MistralIntegration.setup()
    complete(make_client(completion))
    assert len(spans.pop()) == 1
    # As tools do it: back to what they found.
    Chat.complete = original
    complete(make_client(completion))
    assert spans.pop() == []
    MistralIntegration.setup()
    complete(make_client(completion))
    assert len(spans.pop()) == 1


# --- the stream is the SDK's ---


def test_a_traced_stream_has_no_protocol_that_the_sdks_does_not_have(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    def protocols(stream: Any) -> set[str]:
        return {name for name in dir(type(stream)) if name.startswith("__")}

    async def both() -> list[Any]:
        client = make_client(lambda request: answer_stream(HELLO))
        started = [client.beta.conversations.start_stream(inputs="Bread?", model="m")]
        return [*started, await client.beta.conversations.start_stream_async(inputs="Bread?", model="m")]

    for stream in asyncio.run(both()):
        (theirs,) = type(stream).__bases__
        assert protocols(stream) - {name for name in dir(theirs) if name.startswith("__")} <= {"__slots__"}
        assert inspect.signature(type(stream)) == inspect.signature(theirs)
        assert type(stream).__name__ == theirs.__name__
    wait_for_abandoned_streams()
    spans.pop()


def test_a_stream_can_be_copied_and_teed_and_has_one_span(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(lambda request: answer_stream(HELLO))
    stream = client.beta.conversations.start_stream(inputs="Bread?", model="m")
    first, second = itertools.tee(stream)
    assert [id(event) for event in first] == [id(event) for event in second]
    copied = copy.copy(client.beta.conversations.start_stream(inputs="Bread?", model="m"))
    assert len(list(copied)) == len(HELLO)
    assert [call.output for call in logged_calls(spans.pop_ended())] == [[says("Bread rises")]] * 2


# --- what is kept ---


def test_a_stream_that_is_over_keeps_neither_its_request_nor_its_text(
    spans: LoggedSpans, make_client: MakeClient
) -> None:
    def accumulators() -> int:
        return sum(type(item) is ConversationAccumulator for item in gc.get_objects())

    client = make_client(lambda request: answer_stream(HELLO))
    before = accumulators()
    kept = [client.beta.conversations.start_stream(inputs="Bread?", model="m") for _ in range(3)]
    assert accumulators() == before + 3
    list(kept[0])
    with kept[1]:
        pass
    assert accumulators() == before + 1
    del kept
    wait_for_abandoned_streams()
    assert accumulators() == before
    assert len(spans.pop_ended()) == 3


def test_nothing_keeps_a_client_whose_method_was_decorated() -> None:
    def decorated() -> Any:
        client = client_of(completion)

        def call(model: str, messages: Any) -> Any:
            return client.chat.complete(model=model, messages=messages)

        assert own_arguments(call, {"model": "m", "other": 1}) == {"model": "m"}
        return weakref.ref(client)

    gone = decorated()
    gc.collect()
    assert gone() is None


def test_a_clock_that_is_set_back_shortens_no_call(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])

    def handle(request: Any) -> Any:
        now[0] -= 3_600
        return completion(request)

    complete(make_client(handle))
    metrics = spans.pop_one()["metrics"]
    assert metrics["duration"] >= 0
    assert metrics["end"] >= metrics["start"] == 1_800_000_000.0
