"""Nothing forgotten: every public method of every client is traced, or named in a list of what is left out."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from braintrust.integrations.mistral.patchers import RESOURCES
from braintrust.integrations.mistral.patching import MethodPatcher

from tests.helpers.clients import Method, all_clients, methods_of
from tests.helpers.left_out import LEFT_OUT


README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")


def known_by_name(method: Method) -> str:
    """Return the name by which both a method and its async twin are known."""
    return str(method).removesuffix("_async")


def is_traced(method: Method) -> bool:
    return MethodPatcher.has_patch_marker(method.function)


@pytest.fixture(scope="module")
def methods() -> list[Method]:
    found = [method for client in all_clients() for method in methods_of(client)]
    # The clients of three providers, and the async twins.
    assert {"chat.complete", "chat.complete_async", "beta.conversations.run_async"} <= {str(each) for each in found}
    return found


def test_every_method_is_traced_or_left_out_on_purpose(methods: list[Method]) -> None:
    forgotten = {str(each) for each in methods if not is_traced(each) and known_by_name(each) not in LEFT_OUT}
    assert not forgotten, f"trace these, or say in tests/helpers/left_out.py why not: {sorted(forgotten)}"


def test_what_is_left_out_is_not_traced(methods: list[Method]) -> None:
    both = {str(each) for each in methods if is_traced(each) and known_by_name(each) in LEFT_OUT}
    assert not both, f"take these out of tests/helpers/left_out.py: {sorted(both)}"


def test_a_twin_is_traced_with_its_method(methods: list[Method]) -> None:
    traced = {str(each) for each in methods if is_traced(each)}
    twins = {str(each) for each in methods if str(each).endswith("_async")}
    alone = {"beta.conversations.run_async", "beta.conversations.run_stream_async"}
    # Asynchronous by nature.
    alone_by_name = {"beta.connectors.mcp_client", "audio.realtime.connect", "audio.realtime_speech.connect"}
    of_twins = {name.removesuffix("_async") for name in traced & twins - alone}
    assert not of_twins ^ (traced - twins - alone_by_name)


def test_a_method_that_nobody_knows_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    (client, *_) = all_clients()
    kind = type(client.chat)
    monkeypatch.setattr(kind, "foresee", lambda self: None, raising=False)
    new = [method for method in methods_of(client) if str(method) == "chat.foresee"]
    assert [is_traced(method) for method in new] == [False]
    with pytest.raises(AssertionError, match=r"chat\.foresee"):
        test_every_method_is_traced_or_left_out_on_purpose(new)


def documented() -> Iterator[str]:
    """Yield the methods in the first column of the README's table, each by its path on the client."""
    section = README.partition("## What you will see")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE):
        paths: list[str] = []
        for code in CODE.findall(row):
            if code.startswith("_"):
                # "and each with `_stream`"
                paths += [f"{path}{code}" for path in paths]
            elif re.fullmatch(r"[a-z_.]+", code) and code != "mistralai":
                paths.append(code if "." in code else f"{paths[-1].rpartition('.')[0]}.{code}")
        yield from paths


def test_the_readme_has_what_is_traced_and_nothing_else() -> None:
    # Through `stream`, and `connect`.
    traced = {"chat.parse_stream", "audio.realtime.transcribe_stream", "audio.realtime_speech.speak_stream"}
    for resource in RESOURCES:
        traced |= {
            f"{resource.path}.{method}" for method in [*resource.methods.operations, *resource.methods.wrappers]
        }
    # The requests in an uploaded file are known, and no span is made of it.
    traced -= {"files.upload", "files.upload_async"}
    wanted = {name for name in traced if not (name.endswith("_async") and name.removesuffix("_async") in traced)}
    found = Counter(documented())
    assert not (missing := wanted - found.keys()), f"the README's table lacks {sorted(missing)}"
    assert not (wrong := found.keys() - wanted), (
        f"the README's table has these, and they are not traced: {sorted(wrong)}"
    )
    assert not (twice := [name for name, count in found.items() if count > 1]), f"twice in the README's table: {twice}"
