"""The project's checks: ``nox`` runs them all, ``nox -l`` lists them, ``nox -s "test_mistral(latest)"`` runs one."""

import glob
import os
import sys
from pathlib import Path

import nox


nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "test_mistral", "test_python", "overlay", "local", "demo", "examples"]

# pyenv's shims run only the versions that are switched on; the others are here all the same.
if pyenv := os.environ.get("PYENV_ROOT"):
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *glob.glob(f"{pyenv}/versions/*/bin")])

PROJECT = nox.project.load_toml("pyproject.toml")
VERSIONS: dict[str, list[str]] = PROJECT["tool"]["braintrust-mistral"]["versions"]
NEWEST_MISTRAL = VERSIONS["mistralai"][-1]
NEWEST_BRAINTRUST = VERSIONS["braintrust"][-1]
THIS_PYTHON = "{}.{}".format(*sys.version_info)
INTEGRATION = "src/braintrust/integrations/mistral"


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
PYTHON_TESTS = (
    "payloads",
    "patchers",
    "tracing",
    "streams",
    "stream_endings",
    "runs",
    "run_endings",
    "safety",
    "spans",
)


def install(session: nox.Session, *groups: str, mistral: str, braintrust: str = NEWEST_BRAINTRUST) -> None:
    """Install this project for development, these two SDKs, and what these dependency groups name."""
    requirements = nox.project.dependency_groups(PROJECT, *groups)
    session.install("-e", ".", f"braintrust=={braintrust}", f"mistralai[agents]=={mistral}", *requirements)


def pytest(session: nox.Session, *arguments: str, mistral: str) -> None:
    """Run pytest with the cassettes of this mistralai version."""
    parallel = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")
    session.run(
        "pytest", *parallel, *arguments, *session.posargs, env={"BRAINTRUST_TEST_PACKAGE_VERSION": label(mistral)}
    )


@nox.session
@nox.parametrize(["mistral", "braintrust"], PAIRS)
def test_mistral(session: nox.Session, mistral: str, braintrust: str) -> None:
    """Test the integration against one pair of SDKs."""
    install(session, "test", "local", mistral=mistral, braintrust=braintrust)
    pytest(session, INTEGRATION, mistral=mistral)


@nox.session(python=[version for version in VERSIONS["python"] if version != THIS_PYTHON])
def test_python(session: nox.Session) -> None:
    """Test the integration on another Python, where that is present."""
    # Nothing plays cassettes to the newest mistralai on Python 3.10, see pyproject.toml.
    mistral = VERSIONS["mistralai"][-2] if session.python == "3.10" else NEWEST_MISTRAL
    install(session, "test", "local", mistral=mistral)
    pytest(session, *(f"{INTEGRATION}/test_{name}.py" for name in PYTHON_TESTS), mistral=mistral)


@nox.session
def overlay(session: nox.Session) -> None:
    """Test the overlay in environments of its own: the wheel and the editable install, beside the SDK as released."""
    install(session, "test", mistral=NEWEST_MISTRAL)
    pytest(session, "src/braintrust_mistral", mistral=NEWEST_MISTRAL)


@nox.session
@nox.parametrize("mistral", [nox.param(mistral, id=label(mistral)) for mistral in reversed(VERSIONS["mistralai"])])
def local(session: nox.Session, mistral: str) -> None:
    """Test the local Mistral and the local Braintrust with real clients."""
    install(session, "test", "local", mistral=mistral)
    pytest(session, "local", mistral=mistral)


@nox.session
def demo(session: nox.Session) -> None:
    """Show a traced conversation, end to end on this machine."""
    install(session, "local", "demo", mistral=NEWEST_MISTRAL)
    session.run("python", "-m", "examples.demo", *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """Run the other examples."""
    install(session, "local", "demo", mistral=NEWEST_MISTRAL)
    for example in sorted(Path("examples").glob("*.py")):
        # The demo has a session of its own, and the MCP server is started by the example that needs it.
        if example.stem not in ("__init__", "demo", "fares"):
            session.run("python", "-m", f"examples.{example.stem}")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what tracing costs."""
    install(session, "local", "demo", mistral=NEWEST_MISTRAL)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style; ``nox -s lint -- --fix`` mends what can be mended."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types: strictly, in the tests by pyright's standard."""
    install(session, "test", "local", "demo", "types", mistral=NEWEST_MISTRAL)
    session.run("pyright")
    # One configuration has one strictness for a folder, and the tests live beside the code.
    session.run("pyright", "--project", "pyright.tests.json")


@nox.session
@nox.parametrize("mistral", [nox.param(mistral, id=label(mistral)) for mistral in reversed(VERSIONS["mistralai"])])
def record(session: nox.Session, mistral: str) -> None:
    """Record the cassettes anew: from Mistral's API with MISTRAL_API_KEY set, else from the local Mistral."""
    install(session, "test", "local", mistral=mistral)
    modules = (f"{INTEGRATION}/test_mistral.py", f"{INTEGRATION}/test_mistral_models.py")
    pytest(session, *modules, "--record-mode=rewrite", mistral=mistral)
