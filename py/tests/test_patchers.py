import asyncio
import importlib
import inspect
import operator
from types import SimpleNamespace
from typing import Any

import pytest
import wrapt
from braintrust.integrations.base import CompositeFunctionWrapperPatcher, FunctionWrapperPatcher
from braintrust.integrations.mistral import patchers as patchers_module
from braintrust.integrations.mistral.integration import MistralIntegration
from braintrust.integrations.mistral.patchers import PATCHERS, RESOURCES, wrap_mistral

from tests.conftest import Conversations, LoggedSpans, MakeClient, Mistral
from tests.helpers.spans import IS_MISTRALAI_1
from tests.helpers.wire import answer


# Every traced method by the name of its patcher, with its module and its place there.
METHODS = (
    ("mistral.chat.complete", "chat.Chat.complete"),
    ("mistral.chat.complete_async", "chat.Chat.complete_async"),
    ("mistral.chat.stream", "chat.Chat.stream"),
    ("mistral.chat.stream_async", "chat.Chat.stream_async"),
    ("mistral.chat.parse", "chat.Chat.parse"),
    ("mistral.chat.parse_async", "chat.Chat.parse_async"),
    ("mistral.agents.complete", "agents.Agents.complete"),
    ("mistral.agents.complete_async", "agents.Agents.complete_async"),
    ("mistral.agents.stream", "agents.Agents.stream"),
    ("mistral.agents.stream_async", "agents.Agents.stream_async"),
    ("mistral.fim.complete", "fim.Fim.complete"),
    ("mistral.fim.complete_async", "fim.Fim.complete_async"),
    ("mistral.fim.stream", "fim.Fim.stream"),
    ("mistral.fim.stream_async", "fim.Fim.stream_async"),
    ("mistral.embeddings.create", "embeddings.Embeddings.create"),
    ("mistral.embeddings.create_async", "embeddings.Embeddings.create_async"),
    ("mistral.ocr.process", "ocr.Ocr.process"),
    ("mistral.ocr.process_async", "ocr.Ocr.process_async"),
    ("mistral.audio.transcriptions.complete", "transcriptions.Transcriptions.complete"),
    ("mistral.audio.transcriptions.complete_async", "transcriptions.Transcriptions.complete_async"),
    ("mistral.audio.transcriptions.stream", "transcriptions.Transcriptions.stream"),
    ("mistral.audio.transcriptions.stream_async", "transcriptions.Transcriptions.stream_async"),
    ("mistral.audio.speech.complete", "speech.Speech.complete"),
    ("mistral.audio.speech.complete_async", "speech.Speech.complete_async"),
    ("mistral.classifiers.moderate", "classifiers.Classifiers.moderate"),
    ("mistral.classifiers.moderate_async", "classifiers.Classifiers.moderate_async"),
    ("mistral.classifiers.moderate_chat", "classifiers.Classifiers.moderate_chat"),
    ("mistral.classifiers.moderate_chat_async", "classifiers.Classifiers.moderate_chat_async"),
    ("mistral.classifiers.classify", "classifiers.Classifiers.classify"),
    ("mistral.classifiers.classify_async", "classifiers.Classifiers.classify_async"),
    ("mistral.classifiers.classify_chat", "classifiers.Classifiers.classify_chat"),
    ("mistral.classifiers.classify_chat_async", "classifiers.Classifiers.classify_chat_async"),
    ("mistral.responses.create", "responses.Responses.create"),
    ("mistral.responses.create_async", "responses.Responses.create_async"),
    ("mistral.beta.conversations.start", "conversations.Conversations.start"),
    ("mistral.beta.conversations.start_async", "conversations.Conversations.start_async"),
    ("mistral.beta.conversations.start_stream", "conversations.Conversations.start_stream"),
    ("mistral.beta.conversations.start_stream_async", "conversations.Conversations.start_stream_async"),
    ("mistral.beta.conversations.append", "conversations.Conversations.append"),
    ("mistral.beta.conversations.append_async", "conversations.Conversations.append_async"),
    ("mistral.beta.conversations.append_stream", "conversations.Conversations.append_stream"),
    ("mistral.beta.conversations.append_stream_async", "conversations.Conversations.append_stream_async"),
    ("mistral.beta.conversations.restart", "conversations.Conversations.restart"),
    ("mistral.beta.conversations.restart_async", "conversations.Conversations.restart_async"),
    ("mistral.beta.conversations.restart_stream", "conversations.Conversations.restart_stream"),
    ("mistral.beta.conversations.restart_stream_async", "conversations.Conversations.restart_stream_async"),
    ("mistral.beta.conversations.get", "conversations.Conversations.get"),
    ("mistral.beta.conversations.get_async", "conversations.Conversations.get_async"),
    ("mistral.beta.conversations.list", "conversations.Conversations.list"),
    ("mistral.beta.conversations.list_async", "conversations.Conversations.list_async"),
    ("mistral.beta.conversations.delete", "conversations.Conversations.delete"),
    ("mistral.beta.conversations.delete_async", "conversations.Conversations.delete_async"),
    ("mistral.beta.conversations.get_history", "conversations.Conversations.get_history"),
    ("mistral.beta.conversations.get_history_async", "conversations.Conversations.get_history_async"),
    ("mistral.beta.conversations.get_messages", "conversations.Conversations.get_messages"),
    ("mistral.beta.conversations.get_messages_async", "conversations.Conversations.get_messages_async"),
    ("mistral.beta.conversations.run_async", "conversations.Conversations.run_async"),
    ("mistral.beta.conversations.run_stream_async", "conversations.Conversations.run_stream_async"),
)

# Name, target_module, target_path and the names of superseded_by.
TABLE = [
    row
    for name, place in METHODS
    for module, _, path in [place.partition(".")]
    for row in (
        (f"{name}.v2", f"mistralai.client.{module}", path, ()),
        (f"{name}.v1", f"mistralai.{module}", path, (f"{name}.v2",)),
    )
]

SUB_PATCHERS: tuple[type[FunctionWrapperPatcher], ...] = tuple(
    patcher for composite in PATCHERS for patcher in composite.sub_patchers
)
CONVERSATIONS = [place.rpartition(".")[2] for _, place in METHODS if place.startswith("conversations.")]


def is_installed(resource: str) -> bool:
    """Tell whether the installed mistralai has a resource, by the name of its patcher."""
    try:
        operator.attrgetter(resource.removeprefix("mistral."))(Mistral(api_key="key"))
    except AttributeError:
        return False
    return True


def test_the_table_expands_into_these_patchers() -> None:
    assert [
        (
            patcher.name,
            patcher.target_module,
            patcher.target_path,
            tuple(superior.name for superior in patcher.superseded_by),
        )
        for patcher in SUB_PATCHERS
    ] == TABLE


def test_the_names_are_those_of_the_sdk() -> None:
    assert {patcher.name: patcher.__name__ for patcher in PATCHERS} == {
        "mistral.chat": "ChatPatcher",
        "mistral.agents": "AgentsPatcher",
        "mistral.fim": "FimPatcher",
        "mistral.embeddings": "EmbeddingsPatcher",
        "mistral.ocr": "OcrPatcher",
        "mistral.audio.transcriptions": "TranscriptionsPatcher",
        "mistral.audio.speech": "SpeechPatcher",
        "mistral.classifiers": "ClassifiersPatcher",
        "mistral.responses": "ResponsesPatcher",
        "mistral.beta.conversations": "ConversationsPatcher",
    }
    for patcher in PATCHERS:
        assert issubclass(patcher, CompositeFunctionWrapperPatcher)
        assert getattr(patchers_module, patcher.__name__) is patcher
    assert {patcher.__name__ for patcher in SUB_PATCHERS} >= {
        "ChatCompleteV1Patcher",
        "TranscriptionsStreamAsyncV2Patcher",
        "ConversationsAppendStreamAsyncV2Patcher",
        "ConversationsGetHistoryAsyncV1Patcher",
    }
    assert len({patcher.__name__ for patcher in SUB_PATCHERS}) == len(SUB_PATCHERS)
    assert all(patcher.__module__ == patchers_module.__name__ for patcher in (*PATCHERS, *SUB_PATCHERS))


@pytest.mark.parametrize("composite", PATCHERS, ids=lambda patcher: patcher.name)
def test_the_patchers_of_the_installed_layout_find_their_targets_and_the_others_yield(
    composite: type[CompositeFunctionWrapperPatcher],
) -> None:
    for patcher in composite.sub_patchers:
        expected = is_installed(composite.name) and patcher.name.endswith(".v1" if IS_MISTRALAI_1 else ".v2")
        assert patcher.applies(None, None) is expected
        if expected:
            assert patcher.is_patched(None, None)
            module = importlib.import_module(str(patcher.target_module))
            class_name, _, method = patcher.target_path.partition(".")
            assert callable(getattr(getattr(module, class_name), method))


def test_every_resource_hangs_where_its_row_says(make_client: MakeClient) -> None:
    client: Any = make_client(lambda _: answer({}))
    for resource in RESOURCES:
        if not is_installed(f"mistral.{resource.path}"):
            continue
        target = client
        for name in resource.path.split("."):
            target = getattr(target, name)
        assert type(target).__name__ == resource.class_name
        assert type(target).__module__.endswith(f".{resource.module}")
        for method in resource.operations:
            assert callable(getattr(target, method))
            assert callable(getattr(target, f"{method}_async"))


def test_the_integration_is_what_auto_instrument_expects() -> None:
    assert MistralIntegration.name == "mistral"
    assert MistralIntegration.import_names == ("mistralai", "mistralai.client")
    assert MistralIntegration.min_version == "1.12.4"
    assert MistralIntegration.patchers == PATCHERS


def test_a_patched_method_still_looks_like_the_sdks() -> None:
    for name in CONVERSATIONS:
        ours = getattr(Conversations, name)
        theirs = ours.__wrapped__
        # Once: nothing of ours is below.
        assert not isinstance(theirs, wrapt.FunctionWrapper)
        for look in (inspect.iscoroutinefunction, asyncio.iscoroutinefunction, inspect.signature):
            assert look(ours) == look(theirs)
        assert (ours.__name__, ours.__doc__) == (theirs.__name__, theirs.__doc__)


def test_a_client_is_wrapped_as_far_as_it_has_the_resources_and_their_methods(spans: LoggedSpans) -> None:
    class Conversations:
        def start(self, **_: object) -> str:
            return "started"

    client = SimpleNamespace(beta=SimpleNamespace(conversations=Conversations()))
    assert wrap_mistral(wrap_mistral(client)) is client
    assert client.beta.conversations.start(inputs="hello") == "started"
    row = spans.pop_one()
    assert (row["input"], row["output"]) == ("hello", "started")


async def test_a_resource_may_have_async_methods_only(spans: LoggedSpans) -> None:
    class Chat:
        async def complete_async(self, **_: object) -> str:
            return "completed"

    client = wrap_mistral(SimpleNamespace(chat=Chat()))
    assert await client.chat.complete_async(messages="hello") == "completed"
    assert spans.pop_one()["output"] == "completed"


def test_a_response_that_is_no_model_of_the_sdks_gives_its_tokens(spans: LoggedSpans) -> None:
    class Response:
        def __init__(self) -> None:
            self.model, self.choices = "small", [{"index": 0, "message": {"content": "Rye."}}]
            self.usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
            self._client = object()

    class Chat:
        def complete(self, **_: object) -> Response:
            return Response()

    wrap_mistral(SimpleNamespace(chat=Chat())).chat.complete(messages="hello")
    row = spans.pop_one()
    assert {name: row["metrics"][name] for name in ("prompt_tokens", "completion_tokens", "tokens")} == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "tokens": 3,
    }
    assert (row["output"][0]["message"]["content"], row["metadata"]["model"]) == ("Rye.", "small")


@pytest.mark.usefixtures("uninstrumented")
def test_the_patchers_are_as_the_sdks_tests_use_them(
    spans: LoggedSpans, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take the tracing off a class, mark and all, and set it up again."""
    assert MistralIntegration.setup()
    for composite in MistralIntegration.patchers:
        for patcher in composite.sub_patchers:
            if not patcher.applies(None, None):
                continue
            class_name, method_name = patcher.target_path.split(".")
            owner = getattr(patcher.resolve_root(None, None), class_name)
            method = inspect.getattr_static(owner, method_name)
            monkeypatch.setattr(owner, method_name, method.__wrapped__)
            monkeypatch.setattr(method, patcher.patch_marker_attr(), False, raising=False)
            assert not patcher.is_patched(None, None)
    assert MistralIntegration.setup()
    response = {"object": "conversation.response", "conversation_id": "conv_1", "outputs": [], "usage": {}}
    make_client(lambda request: answer(response)).beta.conversations.start(inputs="Bread?", model="m")
    assert len(spans.pop()) == 1


@pytest.mark.parametrize("wrong", [None, "key", Mistral, SimpleNamespace(beta=None), SimpleNamespace(chat=1)])
def test_wrapping_something_else_says_what_to_wrap(wrong: Any) -> None:
    with pytest.raises(TypeError) as raised:
        wrap_mistral(wrong)
    assert str(raised.value) == (
        f"wrap_mistral() takes a client, as in wrap_mistral(Mistral(api_key=...)), not {type(wrong).__name__}"
    )
