"""What is told of the difference between two versions of mistralai."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.changes import changes, main
from tools.surface import Surface, surface


OLD: Surface = {
    "version": "1.0.0",
    "methods": {
        "mistral.chat.complete": {"model": "str", "top_p": "float | None = None", "→": "ChatCompletion"},
        "mistral.chat.complete_async": {"model": "str", "top_p": "float | None = None", "→": "ChatCompletion"},
        "mistral.fim.complete": {"prompt": "str", "→": "FIMCompletion"},
    },
    "models": {"Usage": {"tokens": "int"}, "Choice": {"role": "'user' | 'tool'", "text": "List[str]"}},
}
NEW: Surface = {
    "version": "2.0.0",
    "methods": {
        "mistral.chat.complete": {"model": "str", "top_k": "int = 0", "→": "ChatCompletion"},
        "mistral.chat.complete_async": {"model": "str", "top_k": "int = 0", "→": "ChatCompletion"},
        "mistral.ocr.process": {"model": "str", "→": "OCR"},
    },
    "models": {"Usage": {"tokens": "int"}, "Choice": {"role": "'user' | 'tool' | 'critic'", "text": "str | List"}},
}


def test_what_is_new_gone_and_changed_twins_together() -> None:
    assert list(changes(OLD, NEW)) == [
        "\ntraced methods:",
        "  + mistral.ocr.process",
        "  - mistral.fim.complete",
        "  ~ mistral.chat.complete",
        "  ~ mistral.chat.complete_async",
        "      + top_k: int = 0",
        "      - top_p",
        "\nmodels of their answers:",
        "  ~ Choice",
        "      ~ role",
        "          + 'critic'",
        "      ~ text",
        "          - List[str]",
        "          + str | List",
    ]


def test_nothing_changed() -> None:
    assert list(changes(OLD, OLD)) == ["\ntraced methods: no change", "\nmodels of their answers: no change"]


def test_a_traced_method_that_vanished_is_an_exit_status(tmp_path: Path) -> None:
    for name, version in (("old", OLD), ("new", NEW)):
        (tmp_path / f"{name}.json").write_text(json.dumps(version), encoding="utf-8")

    def compared(*names: str) -> "subprocess.CompletedProcess[str]":
        files = [str(tmp_path / f"{name}.json") for name in names]
        command = [sys.executable, "-m", "tools.changes", *files]
        return subprocess.run(command, check=False, cwd=Path(__file__).parents[1], capture_output=True, text=True)

    run = compared("old", "new")
    assert run.returncode == 1
    assert run.stdout.splitlines()[-1] == "These methods are traced and are gone: mistral.fim.complete"
    assert compared("new", "new").returncode == 0


def test_a_resource_in_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file, resource in (("old", "beta.rag.managed_indexes"), ("new", "beta.context.search_indexes")):
        surface = {"version": file, "methods": {f"mistral.{resource}.search": {}}, "models": {}}
        (tmp_path / f"{file}.json").write_text(json.dumps(surface), encoding="utf-8")
    for files, status in ((("old", "new"), 0), (("new", "old"), 1)):
        monkeypatch.setattr(sys, "argv", ["changes", *(str(tmp_path / f"{file}.json") for file in files)])
        assert main() == status


def test_the_surface_of_the_installed_mistralai() -> None:
    installed = surface()
    start = installed["methods"]["mistral.beta.conversations.start"]
    assert start["name"] == "OptionalNullable[str] = Unset"
    assert start["→"] == "ConversationResponse"
    models = installed["models"]
    assert {"outputs", "usage", "conversation_id"} <= models["ConversationResponse"].keys()
    # Reached through a list of a union, and as what a stream yields.
    assert {"ToolExecutionEntry", "MessageOutputEvent", "ToolReferenceChunk"} <= models.keys()
    assert json.loads(json.dumps(installed)) == installed
