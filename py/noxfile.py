"""The project's checks: ``nox`` runs them all, ``nox -l`` lists them, ``nox -s "test_mistral(latest)"`` runs one."""

import glob
import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import nox
from packaging.version import Version


nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

# pyenv's shims run only the versions that are switched on; the others are here all the same.
if pyenv := os.environ.get("PYENV_ROOT"):
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *glob.glob(f"{pyenv}/versions/*/bin")])

PROJECT = nox.project.load_toml("pyproject.toml")
VERSIONS: dict[str, list[str]] = PROJECT["tool"]["braintrust-mistral"]["versions"]
NEWEST_MISTRAL = VERSIONS["mistralai"][-1]
NEWEST_BRAINTRUST = VERSIONS["braintrust"][-1]
FRAMEWORKS: list[dict[str, Any]] = PROJECT["tool"]["braintrust-mistral"]["frameworks"]
THIS_PYTHON = "{}.{}".format(*sys.version_info)
OLDEST_PYTHON = VERSIONS["python"][0]
# The newest that is here: few machines have it in its first months.
NEWEST_PYTHON = next(
    version for version in reversed(VERSIONS["python"]) if version == THIS_PYTHON or shutil.which(f"python{version}")
)
INTEGRATION = "src/braintrust/integrations/mistral"

PARALLEL = ("--numprocesses=auto", "--maxprocesses=4")

# The SDK's tests of what all its integrations have in common, and its settings for them, which its wheel leaves out.
HOST_TESTS = (
    "integrations/mistral/test_mistral.py",
    "integrations/test_base.py",
    "integrations/test_utils.py",
    "integrations/test_versioning.py",
    "test_cassette_usage.py",
    "test_context.py",
    "test_lazy_integration_imports.py",
    "test_span_customizer.py",
    "test_span_origin.py",
    "test_vcr_config.py",
)
HOST_PYTEST = "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"
HOST_RUFF = (
    "--isolated",
    # The copy lies in a folder of nox, which git and so ruff would leave out.
    "--config=exclude=[]",
    "--no-respect-gitignore",
    "--line-length=119",
    "--config=lint.select=['I', 'F401']",
    "--config=lint.isort={lines-after-imports=2, known-third-party=['braintrust', 'braintrust_local', 'autoevals']}",
)

FORGE = "../.github"
FORGE_SCHEMAS = {
    "dependabot": "dependabot.yml",
    "github-issue-config": "ISSUE_TEMPLATE/config.yml",
    "github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "github-workflows": "workflows/*.yml",
}

nox.options.sessions = [
    "lint",
    "types",
    "test_mistral",
    # Those between them run by name.
    *(f"test_python-{python}" for python in (OLDEST_PYTHON, NEWEST_PYTHON) if python != THIS_PYTHON),
    "host",
    "page",
    "overlay",
    "endurance",
    "changes",
    "demo",
    "examples",
    "release_check",
    "release_install",
]


def label(mistral: str) -> str:
    """Return what a mistralai version is called here, in sessions and as a folder of cassettes."""
    return "latest" if mistral == NEWEST_MISTRAL else mistral


# The oldest mistralai with the oldest braintrust, the others with the newest: each version, not each combination.
PAIRS = [
    *(nox.param(mistral, NEWEST_BRAINTRUST, id=label(mistral)) for mistral in reversed(VERSIONS["mistralai"][1:])),
    nox.param(VERSIONS["mistralai"][0], VERSIONS["braintrust"][0], id=VERSIONS["mistralai"][0]),
]

# What depends on the Python: event loops, garbage collection, signatures. The rest are pure functions, or about the
# SDKs and the network between them.
PYTHON_TESTS = ("test_patchers.py", "test_payloads.py", "test_safety.py", "tracing", "runs")

# What has sessions of its own.
ELSEWHERE = ("--ignore=tests/overlay", "--ignore=tests/browser")


def mistralai(version: str) -> str:
    """Return the requirement of a mistralai with all that it can trace; an older one has not all of these extras."""
    return f"mistralai[agents,gcp,realtime]=={version}"


def install(session: nox.Session, *groups: str, mistral: str, braintrust: str = NEWEST_BRAINTRUST) -> None:
    """Install this project for development with its extra, these two SDKs, and what these dependency groups name."""
    requirements = nox.project.dependency_groups(PROJECT, *groups)
    session.install("-e", ".[local]", f"braintrust=={braintrust}", mistralai(mistral), *requirements)


def pytest(session: nox.Session, *arguments: str, mistral: str) -> None:
    """Run pytest with the cassettes of this tested mistralai version."""
    parallel = (*PARALLEL, "--dist=loadfile")
    session.run(
        "pytest", *parallel, *arguments, *session.posargs, env={"BRAINTRUST_TEST_PACKAGE_VERSION": label(mistral)}
    )


def environment(session: nox.Session, group: str) -> str:
    """Make another environment, of the newest mistralai and this dependency group alone, and return its Python."""
    folder = Path(session.virtualenv.location, group)
    python = str(folder / Path(session.bin).name / "python")
    session.run("python", "-m", "venv", str(folder))
    requirements = nox.project.dependency_groups(PROJECT, group)
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    session.run(*pip, f"mistralai=={NEWEST_MISTRAL}", *requirements, external=True)
    return python


@nox.session
@nox.parametrize(["mistral", "braintrust"], PAIRS)
def test_mistral(session: nox.Session, mistral: str, braintrust: str) -> None:
    """Test the integration against one pair of SDKs, and the local services with its clients."""
    install(session, "test", "demo", mistral=mistral, braintrust=braintrust)
    pytest(session, "tests", INTEGRATION, *ELSEWHERE, mistral=mistral)


@nox.session(python=[version for version in VERSIONS["python"] if version != THIS_PYTHON])
def test_python(session: nox.Session) -> None:
    """Test the integration on another Python, where that is present."""
    # Nothing plays cassettes to the newest mistralai on Python 3.10, see pyproject.toml.
    mistral = VERSIONS["mistralai"][-2] if session.python == "3.10" else NEWEST_MISTRAL
    install(session, "test", mistral=mistral)
    pytest(session, *(f"tests/{name}" for name in PYTHON_TESTS), mistral=mistral)


@nox.session
def host(session: nox.Session) -> None:
    """Put the integration where the SDK has its own, in a copy of the SDK, and run the SDK's checks there."""
    requirements = nox.project.dependency_groups(PROJECT, "host")
    session.install(f"braintrust=={VERSIONS['host'][0]}", mistralai(NEWEST_MISTRAL), *requirements)
    (installed,) = Path(session.virtualenv.location).glob("**/site-packages/braintrust")
    tree = Path(session.create_tmp()).resolve()
    folder = tree / "braintrust" / "integrations" / "mistral"
    shutil.rmtree(tree / "braintrust", ignore_errors=True)
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(installed, tree / "braintrust", ignore=no_caches)
    shutil.rmtree(folder)
    shutil.copytree(INTEGRATION, folder, ignore=no_caches)
    (tree / "pytest.ini").write_text(HOST_PYTEST, encoding="utf-8")
    session.chdir(tree)
    environment = {"PYTHONPATH": str(tree), "BRAINTRUST_TEST_PACKAGE_VERSION": label(NEWEST_MISTRAL)}
    tests = [f"braintrust/{test}" for test in HOST_TESTS]
    session.run("pytest", *PARALLEL, *tests, *session.posargs, env=environment)
    session.run("pylint", "--errors-only", str(folder), env=environment)
    session.run("codespell", "--skip=*.yaml", str(folder))
    session.run("ruff", "check", *HOST_RUFF, str(folder))
    session.run("ruff", "format", "--check", *HOST_RUFF, str(folder))


@nox.session
def page(session: nox.Session) -> None:
    """Test the page of traces in Chromium; where the system has none, its tests are skipped and say so."""
    install(session, "test", "browser", mistral=NEWEST_MISTRAL)
    pytest(session, "tests/browser", mistral=NEWEST_MISTRAL)


@nox.session
def overlay(session: nox.Session) -> None:
    """Test the overlay in environments of its own: the wheel and the editable install, beside the SDK as released."""
    install(session, "test", "users", mistral=NEWEST_MISTRAL)
    pytest(session, "tests/overlay", mistral=NEWEST_MISTRAL)


@nox.session
def endurance(session: nox.Session) -> None:
    """Test what tracing survives, in minutes; ``ENDURANCE=full nox -s endurance`` takes its time."""
    install(session, "test", mistral=NEWEST_MISTRAL)
    # These look at all that their process holds, and want it to themselves.
    alone = ["endurance/test_conversations.py", "endurance/test_outages.py"]
    pytest(session, *alone, mistral=NEWEST_MISTRAL)
    pytest(session, "endurance", *(f"--ignore={file}" for file in alone), mistral=NEWEST_MISTRAL)


@nox.session
def new_mistral(session: nox.Session) -> None:
    """Try any mistralai: ``nox -s new_mistral -- 3.8.0`` tells what changed since a tested one, and runs the tests."""
    if not session.posargs:
        session.error("name a version: nox -s new_mistral -- 3.8.0; arguments for pytest may follow")
    mistral = session.posargs.pop(0)
    # The tested one of its generation, whose cassettes it should understand.
    alike = [version for version in VERSIONS["mistralai"] if Version(version).major == Version(mistral).major]
    tested = alike[-1] if alike else NEWEST_MISTRAL
    install(session, "test", "demo", mistral=mistral)
    # Where methods vanished, the tests tell what that means.
    print_changes(session, *sorted({tested, mistral}, key=Version), success_codes=[0, 1])
    session.install(mistralai(mistral))
    pytest(session, "tests", INTEGRATION, *ELSEWHERE, mistral=tested)


@nox.session
def changes(session: nox.Session) -> None:
    """Print what changed from each tested mistralai to the next; fails where a traced method vanished."""
    install(session, "test", mistral=NEWEST_MISTRAL)
    print_changes(session, *VERSIONS["mistralai"], success_codes=[0])
    session.run("pytest", "tools", "benchmarks", *session.posargs)


def print_changes(session: nox.Session, *versions: str, success_codes: list[int]) -> None:
    """Print what changed from each of these versions of mistralai to the next; the last one stays installed."""
    surfaces = [Path(session.create_tmp()) / f"{version}.json" for version in versions]
    for version, surface in zip(versions, surfaces, strict=True):
        session.install(mistralai(version))
        session.run("python", "-m", "tools.surface", str(surface))
    for old, new in itertools.pairwise(surfaces):
        session.run("python", "-m", "tools.changes", str(old), str(new), success_codes=success_codes)


@nox.session
@nox.parametrize(
    ["requires", "tests"],
    [nox.param(row["requires"], row["tests"], id=row["requires"][0]) for row in FRAMEWORKS],
)
def frameworks(session: nox.Session, requires: list[str], tests: str) -> None:
    """Test a framework on top of the Mistral client, against the local services."""
    requirements = nox.project.dependency_groups(PROJECT, "frameworks")
    session.install("-e", ".[local]", f"braintrust=={NEWEST_BRAINTRUST}", *requires, *requirements)
    # The warnings of a framework are its own affair.
    session.run("pytest", "--override-ini=filterwarnings=ignore", f"frameworks/{tests}", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Show a traced conversation, end to end on this machine."""
    install(session, "demo", mistral=NEWEST_MISTRAL)
    session.run("python", "-m", "examples.demo", *session.posargs)


@nox.session
def pictures(session: nox.Session) -> None:
    """Draw the demo's traces anew, and photograph their page."""
    install(session, "demo", "browser", mistral=NEWEST_MISTRAL)
    pictures = ("--pictures", "examples/pictures")
    session.run("python", "-m", "examples.demo", *pictures)
    session.run("python", "-m", "examples.demo", "conversation", "--llm-spans", *pictures)
    session.run("python", "-m", "tools.page_pictures", "examples/pictures")


@nox.session
def examples(session: nox.Session) -> None:
    """Run the other examples, show what they print, and see whether their traces show what they say."""
    install(session, "test", "demo", mistral=NEWEST_MISTRAL)
    session.run("pytest", "-qq", "examples", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what tracing costs."""
    install(session, mistral=NEWEST_MISTRAL)
    others = [f"--{name}={environment(session, name)}" for name in ("native", "openinference")]
    session.run("python", "-m", "benchmarks", *others, *session.posargs)


@nox.session
def release_check(session: nox.Session) -> None:
    """Build what a release consists of, and check it."""
    session.install(*nox.project.dependency_groups(PROJECT, "release"))
    tree = session.create_tmp()
    for folder in ("dist", tree):
        shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", "--outdir", "dist", silent=True)
    session.run("python", "-m", "build", "--no-isolation", "--wheel", "--outdir", tree, silent=True)
    session.run("twine", "check", "--strict", *glob.glob("dist/*"))
    session.run("python", "-m", "tools.release_check", "dist", tree)


@nox.session(python=[OLDEST_PYTHON, NEWEST_PYTHON], requires=["release_check"])
def release_install(session: nox.Session) -> None:
    """Install the wheel of the release on the oldest and on the newest Python, and see whether it works there."""
    (wheel,) = glob.glob("dist/*.whl")
    # The version stays the same from build to build.
    session.install("--force-reinstall", "--no-deps", wheel)
    session.install(wheel, f"braintrust=={NEWEST_BRAINTRUST}", f"mistralai=={NEWEST_MISTRAL}")
    session.run("python", "-m", "braintrust_mistral")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, and the files for the forge; ``nox -s lint -- --fix`` mends what can be mended."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    # A file without an encoding is another one on Windows; the rule is still a preview.
    session.run("ruff", "check", "--preview", "--select=PLW1514", ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")
    session.run("zizmor", "--offline", "--quiet", FORGE)
    for schema, files in FORGE_SCHEMAS.items():
        session.run("check-jsonschema", f"--builtin-schema=vendor.{schema}", *glob.glob(f"{FORGE}/{files}"))


@nox.session
def types(session: nox.Session) -> None:
    """Check the types: strictly, in the tests by pyright's standard."""
    install(session, "test", "demo", "browser", "openinference", "types", mistral=NEWEST_MISTRAL)
    session.run("pyright")
    # One configuration has one strictness for a folder, and the tests live beside the code.
    session.run("pyright", "--project", "pyright.tests.json")


@nox.session
@nox.parametrize("mistral", [nox.param(mistral, id=label(mistral)) for mistral in reversed(VERSIONS["mistralai"])])
def record(session: nox.Session, mistral: str) -> None:
    """Record the cassettes anew: from Mistral's API with MISTRAL_API_KEY set, else from the local Mistral."""
    install(session, "test", mistral=mistral)
    pytest(session, "-ptests.helpers.recording", INTEGRATION, "--record-mode=rewrite", mistral=mistral)
