"""What `braintrust_mistral` itself exports: the names of the integration, for people and for type checkers."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from braintrust.integrations import mistral
from braintrust.integrations.mistral import genai

import braintrust_mistral
from tests.overlay.conftest import PROJECT, Environment


README = (PROJECT.parent / "README.md").read_text(encoding="utf-8")
SDKS = (f"braintrust=={version('braintrust')}", f"mistralai[agents]=={version('mistralai')}")
# What the examples import, beside the SDKs.
SERVICES = ("fastapi", "rich", "starlette", "uvicorn")
TYPED = """
from typing_extensions import assert_type
from mistralai.client import Mistral
import braintrust_mistral as exported

assert_type(exported.wrap_mistral(Mistral(), llm_spans=True), Mistral)
assert_type(exported.GenAIAttributes(capture_content=False), exported.GenAIAttributes)
assert_type(exported.activate(), bool)
exported.no_such_name  # the error that is expected
"""


def test_each_name_is_the_integrations_own() -> None:
    exported = {name: getattr(braintrust_mistral, name) for name in braintrust_mistral.__all__}
    assert exported.pop("activate") is braintrust_mistral.activate
    assert exported.pop("wrap_mistral") is mistral.wrap_mistral
    assert exported.pop("GenAIAttributes") is mistral.GenAIAttributes
    assert exported == {name: getattr(genai, name) for name in genai.__all__}


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'braintrust_mistral' has no attribute 'wrap_openai'"):
        _ = braintrust_mistral.wrap_openai


def test_what_nobody_uses_is_not_imported() -> None:
    code = """
import re, sys
sys.path.append(sys.argv[1])
import braintrust_mistral
assert "braintrust" not in sys.modules
import braintrust
from braintrust_mistral import wrap_mistral
print(wrap_mistral.__module__)
braintrust.auto_instrument()
print([name for name in sys.modules if re.search(r"[.]mistral[.](genai|resources|runs|tracing)\\b", name)])
"""
    source = str(Path(braintrust_mistral.__file__).parents[1])
    printed = subprocess.check_output([sys.executable, "-c", code, source], text=True)
    assert printed.splitlines() == ["braintrust.integrations.mistral.patchers", "[]"]


@pytest.fixture(scope="module")
def typed(make: Callable[..., Environment], wheel: str) -> Environment:
    """An environment with the wheel, and with a folder of this README's code and of the examples."""
    environment = make(*SDKS, *SERVICES, wheel)
    folder = environment.folder / "code"
    shutil.copytree(
        PROJECT / "examples",
        folder / "examples",
        ignore=shutil.ignore_patterns("test_*", "conftest.py", "__pycache__"),
    )
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", README, re.DOTALL)):
        (folder / f"readme_{number}.py").write_text(code, encoding="utf-8")
    (folder / "exports.py").write_text(TYPED, encoding="utf-8")
    return environment


def errors_of(environment: Environment, *arguments: str) -> list[str]:
    """Return the errors that a type checker finds in that folder."""
    ran = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=environment.folder / "code",
        env={**os.environ, "MYPY_CACHE_DIR": str(environment.folder / "mypy")},
        capture_output=True,
        text=True,
        check=False,
    )
    # Without its error this has found nothing at all.
    assert "exports.py" in ran.stdout, ran.stdout + ran.stderr
    return re.findall(r"^.*\berror: .*$", ran.stdout, re.MULTILINE)


def test_mypy_finds_the_types_in_the_readme_and_the_examples(typed: Environment) -> None:
    pytest.importorskip("mypy")
    (error,) = errors_of(typed, "mypy", "--strict", "--python-executable", typed.python, ".")
    assert error.startswith('exports.py:9: error: Module has no attribute "no_such_name"')


def test_pyright_finds_the_types_in_the_readme_and_the_examples(typed: Environment) -> None:
    pytest.importorskip("pyright")
    # The examples use more of the SDKs than they annotate, see the project's own settings.
    unknown = ("reportMissingTypeStubs", "reportUnknownMemberType", "reportUnknownVariableType")
    examples = {"root": "examples", "extraPaths": ["."], **dict.fromkeys(unknown, False)}
    settings = {"typeCheckingMode": "strict", "executionEnvironments": [examples]}
    (typed.folder / "code/pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    errors = errors_of(typed, "pyright", "--pythonpath", typed.python)
    rules = [error.rpartition(" ")[2] for error in errors if "exports.py:9:" in error]
    assert rules == ["(reportUnknownMemberType)", "(reportAttributeAccessIssue)"]
    assert len(errors) == len(rules), errors
