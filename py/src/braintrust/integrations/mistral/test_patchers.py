import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from braintrust.integrations.base import CompositeFunctionWrapperPatcher, FunctionWrapperPatcher

from . import patchers as patchers_module
from .conftest import IS_MISTRALAI_1, MakeClient, answer
from .integration import MistralIntegration
from .patchers import PATCHERS, RESOURCES, ConversationsPatcher, wrap_mistral


try:
    from mistralai.client.conversations import Conversations
except ImportError:  # 1.x
    from mistralai.conversations import Conversations

METHODS = (
    "start",
    "start_async",
    "start_stream",
    "start_stream_async",
    "append",
    "append_async",
    "append_stream",
    "append_stream_async",
    "restart",
    "restart_async",
    "restart_stream",
    "restart_stream_async",
    "get",
    "get_async",
    "list",
    "list_async",
    "delete",
    "delete_async",
    "get_history",
    "get_history_async",
    "get_messages",
    "get_messages_async",
)

# Name, target_module, target_path and the names of superseded_by.
TABLE = [
    row
    for method in METHODS
    for row in (
        (
            f"mistral.beta.conversations.{method}.v2",
            "mistralai.client.conversations",
            f"Conversations.{method}",
            (),
        ),
        (
            f"mistral.beta.conversations.{method}.v1",
            "mistralai.conversations",
            f"Conversations.{method}",
            (f"mistral.beta.conversations.{method}.v2",),
        ),
    )
]

SUB_PATCHERS: tuple[type[FunctionWrapperPatcher], ...] = tuple(ConversationsPatcher.sub_patchers)


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
    assert [(patcher.name, patcher.__name__) for patcher in PATCHERS] == [
        ("mistral.beta.conversations", "ConversationsPatcher")
    ]
    assert all(issubclass(patcher, CompositeFunctionWrapperPatcher) for patcher in PATCHERS)
    assert {patcher.__name__ for patcher in SUB_PATCHERS} >= {
        "ConversationsStartV1Patcher",
        "ConversationsStartV2Patcher",
        "ConversationsAppendStreamAsyncV2Patcher",
        "ConversationsGetHistoryAsyncV1Patcher",
    }
    assert len({patcher.__name__ for patcher in SUB_PATCHERS}) == len(SUB_PATCHERS)
    assert all(patcher.__module__ == patchers_module.__name__ for patcher in (*PATCHERS, *SUB_PATCHERS))


def test_both_places_of_a_method_share_one_mark_and_no_two_methods_do() -> None:
    marks = {patcher.patch_marker_attr() for patcher in SUB_PATCHERS}
    assert len(marks) == len(METHODS)
    assert all(mark.isidentifier() for mark in marks)


@pytest.mark.parametrize("patcher", SUB_PATCHERS, ids=lambda patcher: patcher.name)
def test_the_patcher_of_the_installed_layout_finds_its_target_and_the_other_yields(
    patcher: type[FunctionWrapperPatcher],
) -> None:
    expected = patcher.name.endswith(".v1" if IS_MISTRALAI_1 else ".v2")
    assert patcher.applies(None, None) is expected
    if expected:
        assert patcher.is_patched(None, None)
        module = importlib.import_module(str(patcher.target_module))
        class_name, _, method = patcher.target_path.partition(".")
        assert callable(getattr(getattr(module, class_name), method))


def test_every_resource_hangs_where_its_row_says(make_client: MakeClient) -> None:
    client: Any = make_client(lambda _: answer({}))
    for resource in RESOURCES:
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


def test_setting_up_again_patches_nothing_again() -> None:
    before = {method: getattr(Conversations, method) for method in METHODS}
    assert MistralIntegration.setup()
    assert {method: getattr(Conversations, method) for method in METHODS} == before


def test_a_patched_method_keeps_its_name_its_text_and_its_signature() -> None:
    for method in METHODS:
        function = getattr(Conversations, method)
        assert function.__name__ == method
        assert function.__doc__
        assert not hasattr(function.__wrapped__, "__wrapped__")


def test_wrapping_a_client_returns_it_and_adds_nothing_to_patched_methods(make_client: MakeClient) -> None:
    client: Any = make_client(lambda _: answer({}))
    methods = {method: getattr(client.beta.conversations, method) for method in METHODS}
    assert wrap_mistral(client) is client
    assert wrap_mistral(wrap_mistral(client)) is client
    assert {method: getattr(client.beta.conversations, method) for method in METHODS} == methods


def unpatched_client() -> Any:
    """Return the nearest thing to a client whose classes are not patched: its methods count their calls."""

    class Resource:
        def __init__(self) -> None:
            self.calls = 0

        def start(self, **_: object) -> str:
            self.calls += 1
            return "started"

    return SimpleNamespace(beta=SimpleNamespace(conversations=Resource()))


def test_wrapping_an_unpatched_client_traces_that_client_only_and_once(spans: Any) -> None:
    wrapped, other = unpatched_client(), unpatched_client()
    assert wrap_mistral(wrap_mistral(wrapped)) is wrapped
    assert wrapped.beta.conversations.start(inputs="hello") == "started"
    row = spans.pop_one()
    assert (row["input"], row["output"]) == ("hello", "started")
    assert wrapped.beta.conversations.calls == 1
    other.beta.conversations.start(inputs="hello")
    assert spans.records == 0


@pytest.mark.parametrize("wrong", [None, "key", object(), SimpleNamespace(beta=None), SimpleNamespace(chat=1)])
def test_wrapping_something_else_says_what_to_wrap(wrong: Any) -> None:
    with pytest.raises(TypeError) as raised:
        wrap_mistral(wrong)
    assert str(raised.value) == (
        f"wrap_mistral() takes a client, as in wrap_mistral(Mistral(api_key=...)), not {type(wrong).__name__}"
    )
