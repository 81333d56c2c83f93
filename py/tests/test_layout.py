"""The rooms of the integration, and what each may import: read from the source, not from what happens to be loaded."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from braintrust.integrations import mistral


FOLDER = Path(str(mistral.__file__)).parent
PACKAGE = "braintrust.integrations.mistral"
ROOMS = ("resources", "tracing", "runs", "genai")
# What of the others a room may import, beside the root of the folder and itself.
ALLOWED: dict[str, tuple[str, ...]] = {
    "resources": (),
    "tracing": (),
    "genai": (),
    # What reads a request.
    "runs": ("tracing", "resources.reading", "resources.shapes"),
}
# What of the root may import rooms, and which.
FACES: dict[str, tuple[str, ...]] = {"traced_methods": ROOMS, "__init__": ("genai",)}


def modules() -> dict[str, str]:
    """The source of each module, by its name below the folder, such as `resources.usage`."""
    files = (file for file in FOLDER.rglob("*.py") if not file.name.startswith("test_"))
    return {
        ".".join(file.relative_to(FOLDER).with_suffix("").parts): file.read_text(encoding="utf-8") for file in files
    }


def imported(name: str, source: str) -> Iterator[str]:
    """Yield what a module imports, as whole names; a relative import counts from where the module is."""
    package = [*PACKAGE.split("."), *name.split(".")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            where = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{where}.{alias.name}" for alias in node.names)


def broken_rules(name: str, source: str) -> list[str]:
    """What a module imports and may not."""
    room = name.partition(".")[0] if "." in name else ""
    found: list[str] = []
    for target in imported(name, source):
        if target.split(".")[0] in ("braintrust_mistral", "tests", "endurance", "mistralai"):
            # The application brings mistralai, and has it imported when it uses it.
            found.append(target)
        if not target.startswith(f"{PACKAGE}."):
            continue
        below = target.removeprefix(f"{PACKAGE}.")
        other = below.partition(".")[0]
        allowed = (*ALLOWED[room], room) if room else FACES.get(name, ())
        if other in ROOMS and not below.startswith(tuple(f"{each}." for each in allowed)):
            found.append(target)
        if room and other in FACES.keys() | {"patchers", "integration"}:
            found.append(target)
    return found


@pytest.mark.parametrize(("name", "source"), modules().items(), ids=modules())
def test_each_module_imports_what_its_room_may(name: str, source: str) -> None:
    assert broken_rules(name, source) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("resources.usage", "from ..tracing.spans import CallSpan"),
        ("resources.usage", "from ..tracing import spans"),
        ("tracing.spans", "from ..resources.usage import usage_metrics"),
        ("tracing.spans", "import braintrust.integrations.mistral.resources.usage"),
        ("genai.parts", "def late():\n    from ..resources import reading"),
        ("runs.runs", "from ..resources.conversations import read_response"),
        ("runs.runs", "from ..patchers import wrap_mistral"),
        ("runs.runs", "from ..traced_methods import TRACED_METHODS"),
        ("patchers", "from .resources import audio"),
        ("payloads", "from .resources.usage import usage_metrics"),
        ("integration", "from .runs.runs import WRAPPERS"),
        ("media", "import braintrust_mistral"),
        ("media", "from braintrust_mistral.local import LocalMistral"),
        ("media", "from mistralai.client import Mistral"),
        ("media", "from tests.helpers import wire"),
    ],
)
def test_a_rule_that_is_broken_is_found(name: str, source: str) -> None:
    assert len(broken_rules(name, source)) == 1


def test_what_is_allowed_is_not_found() -> None:
    assert broken_rules("runs.runs", "from ..tracing.spans import CallSpan\nfrom ..resources.reading import x") == []
    assert broken_rules("traced_methods", "from .resources import audio\nfrom .runs import runs") == []
    assert broken_rules("genai.parts", "from ..payloads import only_dicts\nfrom .messages import x") == []


def test_all_that_is_taken_from_the_sdk_is_asked_for_when_the_integration_is_imported() -> None:
    """Else an SDK without it would be found out when the overlay can no longer give way, and nobody would trace."""
    sdks = re.compile(r"braintrust\.(?:logger|span_types)\.(\w+)")
    everything = {each for name, source in modules().items() for each in imported(name, source)}
    taken = {match[1] for each in everything if (match := sdks.fullmatch(each))}
    asking = ast.walk(ast.parse(modules()["integration"]))
    asked_for = {node.attr for node in asking if isinstance(node, ast.Attribute)}
    assert taken
    assert taken <= asked_for


def test_modules_stay_under_four_hundred_lines() -> None:
    assert {name: source.count("\n") for name, source in modules().items() if source.count("\n") > 400} == {}
