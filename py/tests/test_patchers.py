import ast
import asyncio
import functools
import importlib.util
import inspect
import operator
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import braintrust
import pytest
import wrapt
from braintrust.integrations.base import CompositeFunctionWrapperPatcher, FunctionWrapperPatcher
from braintrust.integrations.mistral import patchers as patchers_module
from braintrust.integrations.mistral.integration import MistralIntegration
from braintrust.integrations.mistral.patchers import PATCHERS, RESOURCES, wrap_mistral
from braintrust.integrations.mistral.providers import MISTRAL
from braintrust.integrations.mistral.traced_methods import TRACED_METHODS

from tests.conftest import Conversations, LoggedSpans, MakeClient, Mistral
from tests.helpers.wire import answer


class Row(NamedTuple):
    """A patcher of a method: its name, what it patches, and what is patched instead where that is there."""

    name: str
    module: str
    path: str
    superseded_by: tuple[str, ...] = ()


# One of each kind; the places of the others are those that the installed mistralai has.
ROWS = {
    Row("mistral.chat.complete.v2", "mistralai.client.chat", "Chat.complete"),
    Row("mistral.chat.complete.v1", "mistralai.chat", "Chat.complete", ("mistral.chat.complete.v2",)),
    Row("mistral.azure.chat.stream_async.v2", "mistralai.azure.client.chat", "Chat.stream_async"),
    Row(
        "mistral.azure.chat.stream_async.v1",
        "mistralai_azure.chat",
        "Chat.stream_async",
        ("mistral.azure.chat.stream_async.v2",),
    ),
    Row("mistral.vertex.fim.complete.v2", "mistralai.gcp.client.fim", "Fim.complete"),
    Row("mistral.vertex.fim.complete.v1", "mistralai_gcp.fim", "Fim.complete", ("mistral.vertex.fim.complete.v2",)),
    # In 1.x a class of another name, in another module, and in early 2.x in a third one.
    Row("mistral.beta.agents.create.v2", "mistralai.client.beta_agents", "BetaAgents.create"),
    Row(
        "mistral.beta.agents.create.v1",
        "mistralai.mistral_agents",
        "MistralAgents.create",
        ("mistral.beta.agents.create.v2",),
    ),
    Row("mistral.batch.jobs.get.v2", "mistralai.client.jobs", "Jobs.get"),
    Row("mistral.batch.jobs.get.v1", "mistralai.mistral_jobs", "MistralJobs.get", ("mistral.batch.jobs.get.v2",)),
    Row(
        "mistral.batch.jobs.get.early_v2",
        "mistralai.client.batch_jobs",
        "BatchJobs.get",
        ("mistral.batch.jobs.get.v1",),
    ),
    # Methods that are more than a call.
    Row("mistral.beta.conversations.run_async.v2", "mistralai.client.conversations", "Conversations.run_async"),
    Row("mistral.beta.connectors.mcp_client.v2", "mistralai.client.connectors", "Connectors.mcp_client"),
    Row(
        "mistral.audio.realtime.connect.v2",
        "mistralai.extra.realtime.transcription",
        "RealtimeTranscription.connect",
    ),
}

SUB_PATCHERS: tuple[type[FunctionWrapperPatcher], ...] = tuple(
    patcher for composite in PATCHERS for patcher in composite.sub_patchers
)
TABLE = {
    Row(
        patcher.name,
        str(patcher.target_module),
        patcher.target_path,
        tuple(superior.name for superior in patcher.superseded_by),
    )
    for patcher in SUB_PATCHERS
}
(CONVERSATIONS,) = (
    [method for method, _ in resource.methods.all_wrappers()]
    for resource in RESOURCES
    if resource.path == "beta.conversations"
)


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
    assert not ROWS - TABLE


def test_each_resource_has_its_methods() -> None:
    assert [resource.path for resource in RESOURCES] == [*TRACED_METHODS]


def test_a_method_is_patched_wherever_its_class_may_be() -> None:
    # The clients for the clouds have what is a call.
    wanted = {
        (place.module, f"{place.class_name}.{method}")
        for resource in RESOURCES
        for method, _ in resource.methods.all_wrappers()
        for place in resource.places
        if place.provider is MISTRAL or method not in resource.methods.wrappers
    }
    found = [(row.module, row.path) for row in TABLE]
    assert sorted(found) == sorted(set(found))
    assert not wanted ^ set(found)


def sdks_own_patchers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the SDK's own patchers by the names of their classes, each with its constants by name."""
    source = Path(braintrust.__file__).parent / "integrations/mistral/patchers.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Patcher"):
            lines = [line for line in node.body if isinstance(line, ast.Assign)]
            constants = {
                ast.unparse(line.targets[0]): line.value.value
                for line in lines
                if isinstance(line.value, ast.Constant)
            }
            yield node.name, constants


def test_the_sdks_own_patchers_are_all_here() -> None:
    """Methods by name and target, and resources by name and class, for whoever takes one out or imports it."""
    theirs = dict(sdks_own_patchers())
    methods = {(its["name"], its["target_module"], its["target_path"]) for its in theirs.values() if len(its) == 3}
    assert ("mistral.chat.complete.v2", "mistralai.client.chat", "Chat.complete") in methods
    assert not methods - {row[:3] for row in TABLE}
    resources = {(name, its["name"]) for name, its in theirs.items() if len(its) == 1}
    assert ("ConversationsPatcher", "mistral.beta.conversations") in resources
    assert not resources - {(patcher.__name__, patcher.name) for patcher in PATCHERS}


def test_each_patcher_has_a_name_of_its_own() -> None:
    for patcher in PATCHERS:
        assert issubclass(patcher, CompositeFunctionWrapperPatcher)
        assert getattr(patchers_module, patcher.__name__) is patcher
    for names in ([patcher.__name__ for patcher in SUB_PATCHERS], [patcher.__name__ for patcher in PATCHERS]):
        assert not [name for name, count in Counter(names).items() if count > 1]
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
        methods = [method for method in resource.methods.operations if hasattr(target, method)]
        assert methods or not resource.methods.operations
        assert methods == [method for method in resource.methods.operations if hasattr(target, f"{method}_async")]


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


def test_what_cannot_be_imported_leaves_the_client_as_it_is() -> None:
    code = f"""
import sys
import braintrust
sys.modules["braintrust.integrations.mistral.traced_methods"] = None
assert braintrust.auto_instrument()["mistral"]
from {Mistral.__module__} import Mistral
print(type(Mistral(api_key="key").chat.complete).__name__)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "method\n"
    assert ran.stderr.count("Tracing a Mistral call failed") == 1
    assert "ModuleNotFoundError: import of braintrust.integrations.mistral.traced_methods halted" in ran.stderr
