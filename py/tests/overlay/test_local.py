"""The local services as users install them: with the wheel, and what they need with its extra."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.overlay.conftest import MISTRALAI, NEWEST, Environment


NEEDS = 'braintrust_mistral.local needs starlette, uvicorn, rich: pip install "braintrust-mistral[local]"'
APP = """
import sys
from mistralai.client import Mistral
answer = Mistral().chat.complete(model="plain", messages=[{"role": "user", "content": "When does the ferry leave?"}])
print(len(answer.choices))
"""


@pytest.fixture(scope="module")
def without_extra(make: Callable[..., Environment], wheel: str) -> Environment:
    return make(NEWEST, MISTRALAI, wheel)


COMMANDS = [
    ("braintrust_mistral", "run", "app.py"),
    ("braintrust_mistral", "show", "rows"),
    ("braintrust_mistral.local",),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_extra_a_command_says_what_it_needs(without_extra: Environment, command: tuple[str, ...]) -> None:
    assert without_extra.call("-m", *command, status=2) == NEEDS


def test_without_the_extra_all_can_be_imported_but_what_needs_it(without_extra: Environment) -> None:
    code = "import braintrust_mistral.local as local; print(local.explain_missing()); local.capture"
    output = without_extra.call("-c", code, status=1).splitlines()
    assert NEEDS in output
    assert f"ImportError: {NEEDS}" in output


def test_with_the_extra_strangers_see_the_trace_of_their_program(make: Callable[..., Environment], wheel: str) -> None:
    environment = make(NEWEST, MISTRALAI, f"braintrust-mistral[local] @ {Path(wheel).as_uri()}")
    (environment.folder / "app.py").write_text(APP, encoding="utf-8")
    output = environment.call("-m", "braintrust_mistral", "run", "--local-mistral", "app.py")
    assert output.startswith("1\n")
    assert "mistral.chat.complete  llm" in output
    assert "1 trace, 1 span, 0 errors" in output
