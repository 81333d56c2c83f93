import asyncio
import functools
import importlib.util
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
    ("mistral.beta.agents.create", "beta_agents.BetaAgents.create"),
    ("mistral.beta.agents.create_async", "beta_agents.BetaAgents.create_async"),
    ("mistral.beta.agents.update", "beta_agents.BetaAgents.update"),
    ("mistral.beta.agents.update_async", "beta_agents.BetaAgents.update_async"),
    ("mistral.beta.agents.get", "beta_agents.BetaAgents.get"),
    ("mistral.beta.agents.get_async", "beta_agents.BetaAgents.get_async"),
    ("mistral.beta.agents.update_version", "beta_agents.BetaAgents.update_version"),
    ("mistral.beta.agents.update_version_async", "beta_agents.BetaAgents.update_version_async"),
    ("mistral.beta.agents.delete", "beta_agents.BetaAgents.delete"),
    ("mistral.beta.agents.delete_async", "beta_agents.BetaAgents.delete_async"),
    ("mistral.beta.connectors.call_tool", "connectors.Connectors.call_tool"),
    ("mistral.beta.connectors.call_tool_async", "connectors.Connectors.call_tool_async"),
    ("mistral.beta.connectors.mcp_client", "connectors.Connectors.mcp_client"),
    ("mistral.beta.context.search_indexes.search", "context_search_indexes.ContextSearchIndexes.search"),
    ("mistral.beta.context.search_indexes.search_async", "context_search_indexes.ContextSearchIndexes.search_async"),
    ("mistral.beta.context.search_indexes.navigate", "context_search_indexes.ContextSearchIndexes.navigate"),
    (
        "mistral.beta.context.search_indexes.navigate_async",
        "context_search_indexes.ContextSearchIndexes.navigate_async",
    ),
    ("mistral.beta.context.search_indexes.read", "context_search_indexes.ContextSearchIndexes.read"),
    ("mistral.beta.context.search_indexes.read_async", "context_search_indexes.ContextSearchIndexes.read_async"),
    ("mistral.beta.context.search_indexes.grep", "context_search_indexes.ContextSearchIndexes.grep"),
    ("mistral.beta.context.search_indexes.grep_async", "context_search_indexes.ContextSearchIndexes.grep_async"),
    ("mistral.beta.context.search_indexes.get_chunk", "context_search_indexes.ContextSearchIndexes.get_chunk"),
    (
        "mistral.beta.context.search_indexes.get_chunk_async",
        "context_search_indexes.ContextSearchIndexes.get_chunk_async",
    ),
    ("mistral.beta.rag.managed_indexes.search", "managed_indexes.ManagedIndexes.search"),
    ("mistral.beta.rag.managed_indexes.search_async", "managed_indexes.ManagedIndexes.search_async"),
    ("mistral.beta.rag.managed_indexes.navigate", "managed_indexes.ManagedIndexes.navigate"),
    ("mistral.beta.rag.managed_indexes.navigate_async", "managed_indexes.ManagedIndexes.navigate_async"),
    ("mistral.beta.rag.managed_indexes.read", "managed_indexes.ManagedIndexes.read"),
    ("mistral.beta.rag.managed_indexes.read_async", "managed_indexes.ManagedIndexes.read_async"),
    ("mistral.beta.rag.managed_indexes.grep", "managed_indexes.ManagedIndexes.grep"),
    ("mistral.beta.rag.managed_indexes.grep_async", "managed_indexes.ManagedIndexes.grep_async"),
    ("mistral.beta.rag.managed_indexes.get_chunk", "managed_indexes.ManagedIndexes.get_chunk"),
    ("mistral.beta.rag.managed_indexes.get_chunk_async", "managed_indexes.ManagedIndexes.get_chunk_async"),
    ("mistral.beta.libraries.documents.list", "documents.Documents.list"),
    ("mistral.beta.libraries.documents.list_async", "documents.Documents.list_async"),
    ("mistral.beta.libraries.documents.text_content", "documents.Documents.text_content"),
    ("mistral.beta.libraries.documents.text_content_async", "documents.Documents.text_content_async"),
    ("mistral.workflows.execute_workflow", "workflows.Workflows.execute_workflow"),
    ("mistral.workflows.execute_workflow_async", "workflows.Workflows.execute_workflow_async"),
    ("mistral.workflows.execute_workflow_registration", "workflows.Workflows.execute_workflow_registration"),
    (
        "mistral.workflows.execute_workflow_registration_async",
        "workflows.Workflows.execute_workflow_registration_async",
    ),
    ("mistral.workflows.wait_for_workflow_completion", "workflows.Workflows.wait_for_workflow_completion"),
    ("mistral.workflows.wait_for_workflow_completion_async", "workflows.Workflows.wait_for_workflow_completion_async"),
    ("mistral.workflows.execute_workflow_and_wait", "workflows.Workflows.execute_workflow_and_wait"),
    ("mistral.workflows.execute_workflow_and_wait_async", "workflows.Workflows.execute_workflow_and_wait_async"),
    ("mistral.batch.jobs.create", "jobs.Jobs.create"),
    ("mistral.batch.jobs.create_async", "jobs.Jobs.create_async"),
    ("mistral.batch.jobs.get", "jobs.Jobs.get"),
    ("mistral.batch.jobs.get_async", "jobs.Jobs.get_async"),
    ("mistral.batch.jobs.cancel", "jobs.Jobs.cancel"),
    ("mistral.batch.jobs.cancel_async", "jobs.Jobs.cancel_async"),
    ("mistral.batch.jobs.list", "jobs.Jobs.list"),
    ("mistral.batch.jobs.list_async", "jobs.Jobs.list_async"),
    ("mistral.files.download", "files.Files.download"),
    ("mistral.files.download_async", "files.Files.download_async"),
    ("mistral.files.upload", "files.Files.upload"),
    ("mistral.files.upload_async", "files.Files.upload_async"),
)

# Where each client has its resources, from 2.0 on and in 1.x, and what other clients have of Mistral's own.
PACKAGES = {
    "mistral": ("mistralai.client", "mistralai"),
    "mistral.azure": ("mistralai.azure.client", "mistralai_azure"),
    "mistral.vertex": ("mistralai.gcp.client", "mistralai_gcp"),
}
CLOUDS = {"chat": ("mistral.azure", "mistral.vertex"), "fim": ("mistral.vertex",), "ocr": ("mistral.azure",)}

# Only in 1.x is a class elsewhere, by another name.
ELSEWHERE_IN_1 = {"beta_agents.BetaAgents": "mistral_agents.MistralAgents", "jobs.Jobs": "mistral_jobs.MistralJobs"}
# And only in early 2.x.
ELSEWHERE_IN_EARLY_2 = {"jobs.Jobs": "batch_jobs.BatchJobs"}

# Name, target_module, target_path and the names of superseded_by.
TABLE = [
    row
    for name, place in METHODS
    for module, _, path in [place.partition(".")]
    for older_place in [ELSEWHERE_IN_1.get(place.rpartition(".")[0], place.rpartition(".")[0])]
    for client in ("mistral", *(() if "parse" in name else CLOUDS.get(module, ())))
    for newer, older in [PACKAGES[client]]
    for method in [name.replace("mistral", client, 1)]
    for row in (
        (f"{method}.v2", f"{newer}.{module}", path, ()),
        (
            f"{method}.v1",
            f"{older}.{older_place.partition('.')[0]}",
            f"{older_place.partition('.')[2]}.{path.partition('.')[2]}",
            (f"{method}.v2",),
        ),
        *(
            (
                f"{method}.early_v2",
                f"{newer}.{early_place.partition('.')[0]}",
                f"{early_place.partition('.')[2]}.{path.partition('.')[2]}",
                (f"{method}.v1",),
            )
            for class_place, early_place in ELSEWHERE_IN_EARLY_2.items()
            if class_place == place.rpartition(".")[0]
        ),
    )
]
# Those of the extras, which are where they are in every version.
TABLE += [
    ("mistral.extra.batch.run.v2", "mistralai.extra.batch.client", "BatchClient.run", ()),
    ("mistral.extra.batch.wait.v2", "mistralai.extra.batch.client", "BatchClient.wait", ()),
    (
        "mistral.audio.realtime.connect.v2",
        "mistralai.extra.realtime.transcription",
        "RealtimeTranscription.connect",
        (),
    ),
    ("mistral.audio.realtime_speech.connect.v2", "mistralai.extra.realtime.speech", "RealtimeSpeech.connect", ()),
    ("mistral.extra.voice_agents.invoke.v2", "mistralai.extra.voice_agents.tools", "FunctionHandler.invoke", ()),
]

SUB_PATCHERS: tuple[type[FunctionWrapperPatcher], ...] = tuple(
    patcher for composite in PATCHERS for patcher in composite.sub_patchers
)
CONVERSATIONS = [place.rpartition(".")[2] for _, place in METHODS if place.startswith("conversations.")]


@functools.cache
def client() -> Mistral:
    """Return a client that stays.

    On Python 3.10, an import may fail while the collector closes another, and the SDK imports its module once more.
    """
    return Mistral(api_key="key")


def is_installed(name: str) -> bool:
    """Tell whether the installed mistralai has a resource, or a method of one, by its patcher's name."""
    try:
        operator.attrgetter(name.removeprefix("mistral."))(client())
    except AttributeError:
        return False
    return True


def is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


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
        "mistral.beta.agents": "BetaAgentsPatcher",
        "mistral.beta.connectors": "ConnectorsPatcher",
        "mistral.beta.context.search_indexes": "ContextSearchIndexesPatcher",
        "mistral.beta.rag.managed_indexes": "ManagedIndexesPatcher",
        "mistral.beta.libraries.documents": "DocumentsPatcher",
        "mistral.workflows": "WorkflowsPatcher",
        "mistral.batch.jobs": "JobsPatcher",
        "mistral.files": "FilesPatcher",
        "mistral.extra.batch": "BatchClientPatcher",
        "mistral.audio.realtime": "RealtimeTranscriptionPatcher",
        "mistral.audio.realtime_speech": "RealtimeSpeechPatcher",
        "mistral.extra.voice_agents": "FunctionHandlerPatcher",
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
        expected = is_importable(str(patcher.target_module))
        if ".extra." not in str(patcher.target_module):
            method = patcher.target_path.rpartition(".")[2]
            expected = expected and is_installed(f"{composite.name}.{method}")
        assert patcher.applies(None, None) is expected
        if expected:
            assert patcher.is_patched(None, None)
            module = importlib.import_module(str(patcher.target_module))
            class_name, _, method = patcher.target_path.partition(".")
            assert callable(getattr(getattr(module, class_name), method))


def test_every_resource_hangs_where_its_row_says(make_client: MakeClient) -> None:
    client: Any = make_client(lambda _: answer({}))
    for resource in RESOURCES:
        # The application makes a `BatchClient` and the like itself.
        if resource.path.startswith("extra.") or not is_installed(f"mistral.{resource.path}"):
            continue
        target = operator.attrgetter(resource.path)(client)
        assert (type(target).__module__, type(target).__name__) in {place[2:] for place in resource.places}
        # A version may lack some, each with its twin.
        methods = [method for method in resource.operations if hasattr(target, method)]
        assert methods or not resource.operations
        assert methods == [method for method in resource.operations if hasattr(target, f"{method}_async")]


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
