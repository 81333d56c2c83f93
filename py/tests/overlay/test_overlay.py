"""The overlay as users install it: beside the SDK's releases, in environments made for the purpose."""

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from braintrust_mistral import __version__
from tests.overlay.conftest import MISTRALAI, NEWEST, OLDEST, PROJECT, UV, Environment


FILE = "import braintrust.integrations.mistral as m; print(m.__file__)"
HOOKS = "import sys, braintrust_mistral; print(sys.path_hooks.count(braintrust_mistral.path_hook))"


@pytest.fixture(scope="module", params=[OLDEST, NEWEST])
def sdk(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def bare(make: Callable[..., Environment], sdk: str) -> Environment:
    """The SDKs alone, and a start-up file that does nothing: for whichever it reads first, Python loads a codec."""
    environment = make(sdk, MISTRALAI, "pytest")
    (environment.packages / "nothing.pth").write_text("import sys", encoding="utf-8")
    return environment


@pytest.fixture(scope="module")
def installed(make: Callable[..., Environment], sdk: str, wheel: str) -> Environment:
    """The SDKs and the wheel; not to be changed."""
    return make(sdk, MISTRALAI, "pytest", wheel)


@pytest.fixture(scope="module")
def editable(make: Callable[..., Environment], sdk: str) -> Environment:
    """The SDKs and this source tree."""
    return make(sdk, MISTRALAI, "pytest", "-e", str(PROJECT))


@pytest.fixture(params=["installed", "editable"])
def environment(request: pytest.FixtureRequest, sdk: str) -> Environment:
    """The SDKs, and the overlay in either way."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def changing(make: Callable[..., Environment], wheel: str) -> Environment:
    """The SDKs and the wheel, for one test to change."""
    return make(NEWEST, MISTRALAI, wheel)


@pytest.fixture
def broken(installed: Environment, tmp_path: Path) -> str:
    """A folder that has the overlay with an integration that fails half-way through its import."""
    shutil.copytree(installed.packages / "braintrust_mistral", tmp_path / "braintrust_mistral")
    module = tmp_path / "braintrust_mistral/integrations/mistral/__init__.py"
    module.write_text(
        module.read_text(encoding="utf-8") + "\nraise AttributeError('the SDK has moved')\n", encoding="utf-8"
    )
    return str(tmp_path)


def place(environment: Environment) -> str:
    """Return where this environment has our integration."""
    wheels = environment.packages / "braintrust_mistral/integrations"
    return str((wheels if wheels.exists() else PROJECT / "src/braintrust/integrations") / "mistral" / "__init__.py")


def sdks_place(environment: Environment) -> str:
    """Return where this environment has the SDK's own."""
    return str(environment.packages / "braintrust/integrations/mistral/__init__.py")


def findings(environment: Environment, *options: str, status: int = 0, **environ: str) -> dict[str, dict[str, Any]]:
    """Return what the doctor finds, by what it looked at."""
    output = environment.call(*options, "-m", "braintrust_mistral", "--json", status=status, **environ)
    return {finding["check"]: finding for finding in json.loads(output[output.index("{") :])["findings"]}


def why_inactive(environment: Environment, *options: str, **environ: str) -> str:
    """Return what the doctor finds to be the reason why the SDK's own integration is in force."""
    overlay = findings(environment, *options, status=1, **environ)["overlay"]
    assert overlay["mark"] == "problem"
    assert overlay["details"] == {"braintrust.integrations.mistral": sdks_place(environment)}
    return overlay["summary"].removeprefix(f"braintrust-mistral {__version__} is not active: ")


@pytest.mark.parametrize(
    "way",
    [
        "import braintrust.integrations.mistral",
        "import braintrust.integrations.mistral.patchers",
        "from braintrust.integrations.mistral import wrap_mistral",
        "from braintrust.integrations import MistralIntegration",
        "import braintrust; assert braintrust.auto_instrument()['mistral']",
    ],
)
def test_every_way_to_the_integration_leads_here(installed: Environment, way: str) -> None:
    code = f"{way}; import sys; print(sys.modules['braintrust.integrations.mistral'].__file__)"
    assert installed.run(code) == place(installed)


def test_the_loaded_module_is_like_any_other(environment: Environment) -> None:
    loaders = f"{FILE}; print(type(m.__loader__).__name__, m.__spec__.loader is m.__loader__)"
    source = "import inspect; print('MistralIntegration' in inspect.getsource(m))"
    output = environment.run(f"{loaders}; {source}").split()
    assert output == [place(environment), "SourceFileLoader", "True", "True"]


def test_it_holds_under_pytest_whose_finder_would_take_the_sdks(environment: Environment) -> None:
    test = environment.folder / "test_application.py"
    test.write_text(f"def test():\n    {FILE}\n    assert m.__file__ == {place(environment)!r}\n", encoding="utf-8")
    assert "1 passed" in environment.call("-m", "pytest", "-p", "no:cacheprovider", str(test))


def test_the_wheel_carries_no_tests(installed: Environment) -> None:
    files = {path.name for path in (installed.packages / "braintrust_mistral").rglob("*")}
    assert "patchers.py" in files
    assert not {name for name in files if name.startswith(("test_", "conftest", "cassettes"))}


def test_the_switch_brings_the_sdks_own_back_and_outranks_activate(environment: Environment) -> None:
    off = {"BRAINTRUST_MISTRAL_OVERLAY": "0"}
    code = f"import braintrust_mistral; print(braintrust_mistral.activate()); {FILE}"
    assert environment.run(code, **off).split() == ["False", sdks_place(environment)]
    assert why_inactive(environment, **off) == "BRAINTRUST_MISTRAL_OVERLAY=0"


def test_uninstalling_brings_the_sdks_own_back(changing: Environment) -> None:
    changing.uninstall("braintrust-mistral")
    assert changing.run(FILE) == sdks_place(changing)
    assert not list(changing.packages.glob("braintrust_mistral*"))


def test_what_becomes_of_the_sdk_does_not_matter(changing: Environment) -> None:
    reinstall = "--reinstall-package=braintrust" if UV else "--force-reinstall"
    for change in ([OLDEST], [NEWEST], [reinstall, NEWEST]):
        assert changing.install(*change).run(FILE) == place(changing)


def test_startup_imports_one_small_module(environment: Environment, bare: Environment) -> None:
    code = "import sys; print(*sys.modules)"
    modules, without = (set(each.run(code, "-I").split()) for each in (environment, bare))
    assert modules - without == {"braintrust_mistral"}


def test_both_startup_files_together_put_in_one_hook(installed: Environment) -> None:
    (entry,) = (installed.packages / "braintrust_mistral.start").read_text(encoding="utf-8").split()
    assert installed.run(HOOKS) == "1"
    assert installed.run(f"import pkgutil; pkgutil.resolve_name({entry!r})(); {HOOKS}") == "1"


def test_a_startup_file_whose_package_is_gone_does_nothing(changing: Environment) -> None:
    shutil.rmtree(changing.packages / "braintrust_mistral")
    assert changing.run(FILE) == sdks_place(changing)


def test_an_overlay_without_its_integration_does_nothing_and_says_so(changing: Environment) -> None:
    shutil.rmtree(changing.packages / "braintrust_mistral/integrations")
    code = f"import braintrust_mistral; print(braintrust_mistral.activate()); {FILE}"
    assert changing.run(code).split() == ["False", sdks_place(changing)]
    assert why_inactive(changing) == "its files are missing"


def test_the_order_of_other_tools_finders_stays(installed: Environment) -> None:
    code = """
import sys
class Other:
    def find_spec(self, name, path=None, target=None):
        return None
before = list(sys.meta_path)
sys.meta_path.insert(0, Other())
import braintrust.integrations.mistral as m
assert type(sys.meta_path.pop(0)) is Other
assert sys.meta_path == before
print(m.__file__)
"""
    assert installed.run(code) == place(installed)


def test_a_finder_in_front_that_looks_where_python_does_finds_ours(installed: Environment) -> None:
    # As pytest's, typeguard's and beartype's do.
    code = "import importlib.machinery, sys; sys.meta_path[:] = [importlib.machinery.PathFinder, *sys.meta_path]"
    assert installed.run(f"{code}; {FILE}") == place(installed)


def test_it_holds_where_the_sdk_is_half_loaded_before(installed: Environment, sdk: str) -> None:
    if sdk == OLDEST:
        pytest.skip("this SDK loads all of its integrations at once")
    code = "import braintrust, braintrust.integrations.utils, braintrust_mistral; print(braintrust_mistral.activate())"
    output = installed.run(f"{code}; {FILE}", "-S", PYTHONPATH=str(installed.packages))
    assert output.split() == ["True", place(installed)]


def test_the_folder_of_integrations_is_listed_as_without_us(installed: Environment) -> None:
    code = (
        "import pkgutil, braintrust.integrations as i; print(sorted(m.name for m in pkgutil.iter_modules(i.__path__)))"
    )
    listed = installed.run(code)
    assert "'mistral'" in listed
    assert listed == installed.run(code, BRAINTRUST_MISTRAL_OVERLAY="0")


def test_activate_does_by_hand_what_site_has_not_done(installed: Environment) -> None:
    without_site = {"PYTHONPATH": str(installed.packages)}
    assert why_inactive(installed, "-S", **without_site) == "no start-up file was read"
    code = f"import braintrust_mistral as overlay; print(overlay.activate(), overlay.activate()); {FILE}; {HOOKS}"
    output = installed.run(code, "-S", **without_site).split()
    assert output == ["True", "True", place(installed), "1"]


def test_activate_says_when_it_comes_too_late(installed: Environment) -> None:
    code = "import braintrust.integrations.mistral, braintrust_mistral; braintrust_mistral.activate()"
    output = installed.call("-S", "-c", code, status=1, PYTHONPATH=str(installed.packages))
    assert output.splitlines()[-1].startswith("RuntimeError: braintrust_mistral.activate() came too late: ")


def test_a_startup_file_that_comes_too_late_keeps_silent(changing: Environment) -> None:
    (changing.packages / "a.pth").write_text("import braintrust.integrations.mistral", encoding="utf-8")
    assert changing.run(FILE) == sdks_place(changing)
    assert why_inactive(changing) == "the SDK's own module was imported before it"


def test_an_integration_that_fails_to_import_gives_way_with_one_warning(installed: Environment, broken: str) -> None:
    files = "import sys; print(*(sys.modules[name].__file__ for name in sys.modules if '.mistral' in name), sep='\\n')"
    output = installed.run(f"import braintrust.integrations.mistral; {files}", PYTHONPATH=broken)
    warning, *rest = output.split("AttributeError: the SDK has moved\n")
    assert warning.startswith(f"braintrust-mistral {__version__} cannot be imported with the installed braintrust")
    assert "Traceback" in warning
    own = Path(sdks_place(installed)).parent
    assert {Path(file).parent for file in rest[0].splitlines()} == {own}
    assert len(rest) == 1
    reason = "it cannot be imported with this braintrust, see the warning"
    assert why_inactive(installed, PYTHONPATH=broken) == reason


def test_it_gives_way_where_the_sdk_lacks_what_only_a_call_needs(installed: Environment, sdk: str) -> None:
    if sdk == OLDEST:
        pytest.skip("this SDK loads all of its integrations at once")
    code = "import braintrust.logger; del braintrust.logger.get_span_parent_object"
    output = installed.run(f"{code}; {FILE}")
    assert output.startswith(f"braintrust-mistral {__version__} cannot be imported with the installed braintrust")
    assert output.splitlines()[-1] == sdks_place(installed)


def test_it_gives_way_where_another_tool_has_wrapped_all_hooks(installed: Environment, broken: str) -> None:
    code = """
import sys
class Wrapper:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, *arguments):
        return self.finder.find_spec(*arguments)
sys.meta_path[:] = [Wrapper(finder) for finder in sys.meta_path]
sys.path_hooks[:] = [lambda path, hook=hook: hook(path) for hook in sys.path_hooks]
import braintrust.integrations.mistral as m, braintrust_mistral
print(m.__file__, braintrust_mistral.activate())
"""
    output = installed.run(code, PYTHONPATH=broken)
    assert output.startswith(f"braintrust-mistral {__version__} cannot be imported with the installed braintrust")
    assert output.splitlines()[-1] == f"{sdks_place(installed)} False"


def test_without_the_sdks_own_the_integrations_error_surfaces(changing: Environment, broken: str) -> None:
    shutil.rmtree(Path(sdks_place(changing)).parent)
    output = changing.call("-c", FILE, status=1, PYTHONPATH=broken)
    assert output.splitlines()[-1] == "AttributeError: the SDK has moved"


def test_the_doctor_on_an_active_overlay(environment: Environment, sdk: str) -> None:
    found = findings(environment)
    assert found["overlay"]["summary"] == f"braintrust-mistral {__version__} is active"
    assert found["overlay"]["details"] == {"braintrust.integrations.mistral": place(environment)}
    assert found["python"]["summary"].endswith(", and >=3.10 is supported")
    assert found["braintrust"]["summary"] == f"{sdk.partition('==')[2]}, and >=0.30.1 is supported"
    assert found["mistralai"]["summary"] == f"{version('mistralai')}, and >=1.12.4 is supported"
    methods = found["methods"]["details"]
    # Google Cloud's client needs google-auth, and one resource is in 2.x alone.
    assert found["methods"]["mark"] == "ok"
    assert None not in [place for name, place in methods.items() if name.startswith("mistral.chat.")]
    start = methods["mistral.beta.conversations.start"]
    assert start == "mistralai.client.conversations.Conversations.start"


@pytest.mark.parametrize(
    ("too_old", "other"),
    [("braintrust==0.20.0", MISTRALAI), ("mistralai==1.9.11", NEWEST), ("mistralai==0.4.2", NEWEST)],
)
def test_the_doctor_where_an_sdk_is_too_old(
    make: Callable[..., Environment], wheel: str, too_old: str, other: str
) -> None:
    # An installer would have none of this braintrust; an application may have both all the same.
    environment = make(too_old, other).install("--no-deps", wheel)
    found = findings(environment, status=1)
    name, _, old = too_old.partition("==")
    assert (found[name]["mark"], found[name]["summary"]) == ("problem", f"{old} is not supported")
    assert found.keys() >= {"overlay", "python", "braintrust", "mistralai", "methods", "opentelemetry", "logger"}
    assert not [finding for finding in found.values() if "with these versions" in finding["summary"]]
    if name == "mistralai":
        assert found["methods"]["summary"] == f"none is traced: mistralai {old} is not supported"
        assert environment.run("import braintrust; print(braintrust.auto_instrument()['mistral'])") == "False"


def test_the_doctor_where_an_sdk_is_missing(changing: Environment) -> None:
    changing.uninstall("mistralai")
    found = findings(changing, status=1)
    assert found["braintrust"]["mark"] == "ok"
    assert (found["mistralai"]["mark"], found["mistralai"]["summary"]) == ("problem", "not installed")
    assert not {"methods", "opentelemetry"} & found.keys()

    changing.uninstall("braintrust")
    found = findings(changing, status=1)
    reason = "ModuleNotFoundError: No module named 'braintrust'"
    assert found["overlay"]["summary"] == f"braintrust-mistral {__version__} is not active: {reason}"
    assert found["braintrust"]["summary"] == "not installed"
