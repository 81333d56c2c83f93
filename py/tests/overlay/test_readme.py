"""The README and the pages in `docs` as a new user follows them: every command and every piece of code is run.

The code of `docs/servers.md` is run by `tests/tracing/test_servers.py`, with servers, and SQL by `test_queries.py`.
"""

import contextlib
import os
import re
import shlex
import shutil
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.helpers.wire import Json
from tests.overlay.conftest import run


ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))}
PIECE_OF_CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
RECIPES = {
    section.partition("\n")[0]: PIECE_OF_CODE.findall(section) for section in PAGES["recipes.md"].split("\n## ")[1:]
}
LINK = re.compile(r"\]\(([^)]+)\)|(?:src|srcset)=\"([^\"]+)\"")
# `py/dist` is there after a build.
REPOSITORY_FILE = re.compile(r"`((?:py|docs)/(?!dist)[\w./]+|CONTRIBUTING\.md)`")
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )?(?:pip|python|make) [^`#\n]+")

INSTALL = "pip install ./py mistralai"
DOCTOR = "python -m braintrust_mistral"
UNINSTALL = "pip uninstall braintrust-mistral"
INSTALL_FOR_LOCAL = 'pip install "./py[local]" mistralai'
RUN = "python -m braintrust_mistral run app.py"
ROWS = "python -m braintrust_mistral run --json rows.jsonl app.py"
RUN_HELP = "python -m braintrust_mistral run --help"
INSTALL_FOR_RUNS = 'pip install "./py[agents]"'
INSTALL_FOR_PYTHONPATH = "pip install --target"

# `make test` runs the first three, and the fourth in its quick form. The last two wait for the first release.
ELSEWHERE = {
    "make check",
    "make demo",
    "make examples",
    "make frameworks",
    "make test",
    "make bench",
    "pip install braintrust-mistral mistralai",
    'pip install "braintrust-mistral[agents]"',
}

START, APPEND = "mistral.beta.conversations.start", "mistral.beta.conversations.append"
RECIPE_SPANS: dict[str, list[str]] = {
    "Group by conversation": ["one visitor", START, APPEND],
    # What a capture holds goes nowhere else.
    "Tokens per conversation, on your own machine": [],
    "Find hosted tools that failed": [],
    "Log what people think of an answer": ["answer a visitor", START],
    "Score a trace": ["eval", "task", START, "tool: web_search", "searched_once"],
    "Mask what people say": [START],
    "Log a share of the traces": ["visitor 5", START, "visitor 6", START],
    "Test your own handlers": [],
    "Serverless functions": [START],
    "Workers and their shutdown": [START],
}
"""The spans that arrive at Braintrust from the code of a recipe."""
RECIPE_PRINTS = {
    "Tokens per conversation, on your own machine": r"Counter\(\{'conv_\w+': [1-9]\d*\}\)",
    "Find hosted tools that failed": r"library_\w+ Error executing tool",
    "Score a trace": r"100\.00% 'searched_once' score",
}

CALL = """
client = globals().get("client") or __import__("mistralai.client").client.Mistral(api_key="local")
client.beta.conversations.start(model="web-search", inputs="When does the next ferry leave?")
"""


def commands() -> Iterator[str]:
    """Yield the commands of all pages: indented lines that are one, and code inside of sentences that is one."""
    text = re.sub(r"```\w+\n.*?```", "", "\n".join([README, *PAGES.values()]), flags=re.DOTALL)
    for indented, quoted in re.findall(r"^    (.+)$|`([^`]+)`", text, re.MULTILINE):
        if command := COMMAND.match(indented or quoted):
            yield command[0].strip()


class User:
    """Someone who has a checkout, a new environment, and a shell in which that is active."""

    def __init__(self, folder: Path) -> None:
        ignored = shutil.ignore_patterns(".*", "__pycache__", "cassettes")
        self.checkout = shutil.copytree(ROOT, folder / "checkout", ignore=ignored)
        run([sys.executable, "-m", "venv", "venv"], folder)
        pins = folder / "pins.txt"
        pins.write_text(
            "".join(f"{name}=={version(name)}\n" for name in ("braintrust", "mistralai")), encoding="utf-8"
        )
        path = os.pathsep.join([str(folder / "venv/bin"), os.environ["PATH"]])
        self.environ = {"PATH": path, "PIP_CONSTRAINT": str(pins), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def types(self, command: str, *, status: int = 0, answer: str = "", **environ: str) -> str:
        """Run a command, to this exit status, and return what it prints."""
        return run(command, self.checkout, status=status, answer=answer, **self.environ, **environ)


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    user = User(tmp_path_factory.mktemp("user"))
    user.types(INSTALL)
    return user


@pytest.fixture(scope="module")
def local_user(user: User) -> User:
    """The user, with what shows traces on their own machine."""
    user.types(INSTALL_FOR_LOCAL)
    return user


def test_every_command_is_run() -> None:
    assert set(commands()) == ELSEWHERE | {
        INSTALL,
        INSTALL_FOR_LOCAL,
        RUN,
        ROWS,
        RUN_HELP,
        INSTALL_FOR_RUNS,
        INSTALL_FOR_PYTHONPATH,
        DOCTOR,
        UNINSTALL,
    }


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{name}" for name in PAGES)])
def test_what_a_page_links_to_or_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    linked = {link or source for link, source in LINK.findall(text) if "://" not in link}
    named = {path for path in REPOSITORY_FILE.findall(text) if not (ROOT / path).exists()}
    assert not named | {link for link in linked if not leads_somewhere(ROOT / page, link)}


def leads_somewhere(page: Path, link: str) -> bool:
    """Tell whether there is the file that a page links to, and in it the heading."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not (anchor and target.exists()):
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_doctor_finds_it_active(user: User) -> None:
    assert "is active" in user.types(DOCTOR, BRAINTRUST_API_KEY="key")
    assert "is not active" in user.types(DOCTOR, status=1, BRAINTRUST_MISTRAL_OVERLAY="0")


class Ran(NamedTuple):
    """What a program printed, and the spans of it that arrived."""

    printed: str
    spans: list[Json]

    @property
    def names(self) -> list[str]:
        return [span["span_attributes"]["name"] for span in self.spans]


def ran(user: User, code: str, python: str = "python", pace: float = 0.0, **environ: str) -> Ran:
    """Run this program, the clients in it on the local Mistral unless they say which.

    Beside the program, there is a file named `asked` as soon as that Mistral has a request.
    """
    asked = user.checkout / "asked"
    asked.unlink(missing_ok=True)
    with LocalMistral(pace=pace) as mistral, LocalBraintrust() as bt, telling(mistral, asked):
        program = re.sub(r"(?<!Local)Mistral\((?!.*server_url)", f"Mistral(server_url={mistral.url!r}, ", code)
        (user.checkout / "application.py").write_text(program, encoding="utf-8")
        printed = user.types(f"{python} application.py", MISTRAL_API_KEY="local", **bt.environment(), **environ)
        # A comment on a span is a row of its own.
        return Ran(printed, [span for span in bt.spans() if "comment" not in span])


@contextlib.contextmanager
def telling(mistral: LocalMistral, asked: Path) -> Iterator[None]:
    """Make this file as soon as a request has arrived."""
    is_over = threading.Event()

    def watch() -> None:
        while not mistral.requests and not is_over.wait(0.02):
            pass
        asked.touch()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()


def spans_of(user: User, code: str, python: str = "python", **environ: str) -> list[str]:
    """Run this piece of code and a call, and return the names of the spans that arrive."""
    return ran(user, f"{code}{CALL}", python, **environ).names


def test_a_program_is_run_and_its_trace_drawn(local_user: User) -> None:
    with LocalMistral(pace=0.0) as mistral:
        program = CALL.replace("Mistral(", f"Mistral(server_url={mistral.url!r}, ")
        (local_user.checkout / "app.py").write_text(program, encoding="utf-8")
        shown = local_user.types(f"{RUN} 2>&1")
        local_user.types(ROWS)
    assert "tool: web_search" in shown
    assert "1 trace, 2 spans, 0 errors" in shown
    assert "tool: web_search" in (local_user.checkout / "rows.jsonl").read_text(encoding="utf-8")
    # The names that a recipe refers to.
    assert "document-library" in local_user.types(RUN_HELP)


def test_every_piece_of_code_runs_and_traces_a_call_if_it_sets_tracing_up(local_user: User) -> None:
    for code in PIECE_OF_CODE.findall(README):
        # A piece may leave the logger to another.
        logger = "import braintrust\nbraintrust.init_logger(project='readme')\n"
        is_traced = any(name in code for name in ("auto_instrument", "wrap_mistral", "capture()"))
        expected = ["mistral.beta.conversations.start", "tool: web_search"] if is_traced else []
        assert spans_of(local_user, logger + code) == expected


def test_every_recipe_with_code_is_run() -> None:
    assert {title for title, pieces in RECIPES.items() if pieces} == RECIPE_SPANS.keys()


def test_the_frameworks_are_those_that_are_tested() -> None:
    project = (ROOT / "py/pyproject.toml").read_text(encoding="utf-8")
    tested = re.findall(r'^requires = \["[\w-]+==([\d.]+)"', project, re.MULTILINE)
    table = PAGES["recipes.md"].partition("## Frameworks")[2]
    assert sorted(re.findall(r"\d+\.\d+\.\d+", table)) == sorted(tested)


def program_of(recipe: str) -> str:
    """Return a recipe as a program: what every program has set up stands after its imports, which come first."""
    (code,) = RECIPES[recipe]
    end = code.index("\n", code.index("from mistralai")) + 1
    setup = "import braintrust\nbraintrust.auto_instrument()\nbraintrust.init_logger(project='recipes')\n"
    return f"{code[:end]}{setup}{code[end:]}"


@pytest.mark.parametrize("recipe", RECIPE_SPANS)
def test_a_recipe_does_what_it_says(recipe: str, local_user: User) -> None:
    result = ran(local_user, program_of(recipe))
    assert result.names == RECIPE_SPANS[recipe]
    assert re.search(RECIPE_PRINTS.get(recipe, "^$"), result.printed), result.printed
    if recipe == "Log what people think of an answer":
        assert [span.get("scores") for span in result.spans] == [{"helpful": 1.0}, None]
    if recipe == "Mask what people say":
        assert "Canary" not in str(result.spans)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process could handle")
def test_a_worker_that_is_told_to_stop_ends_its_call(local_user: User) -> None:
    stopped = """
    while not __import__("pathlib").Path("asked").exists():
        pass
    worker.terminate()
    worker.join()
    print(worker.exitcode)
"""
    program = program_of("Workers and their shutdown").replace("    worker.join()\n", stopped)
    result = ran(local_user, program, pace=1_000.0)
    assert result.printed == "143"
    (span,) = result.spans
    assert "SystemExit" in span["error"]
    assert "end" in span["metrics"]


def test_a_folder_that_no_start_up_file_is_read_in(user: User) -> None:
    """As a layer of AWS Lambda: the doctor says what to do, and that traces."""
    user.types(f"{INSTALL_FOR_PYTHONPATH} layer --no-compile ./py mistralai")
    bare = f"{shlex.quote(sys.executable)} -m venv bare && bare/bin/python"
    layer = {"PYTHONPATH": str(user.checkout / "layer")}
    advice = "call braintrust_mistral.activate() before anything imports braintrust."
    assert advice in " ".join(user.types(f"{bare} -m braintrust_mistral", status=1, **layer).split())
    (code,) = (code for code in PIECE_OF_CODE.findall(README) if "activate()" in code)
    logger = "braintrust.init_logger(project='readme')\n"
    spans = spans_of(user, code + logger, "bare/bin/python", **layer)
    assert spans == ["mistral.beta.conversations.start", "tool: web_search"]


def test_runs_need_the_extra_of_which_the_readme_tells(user: User) -> None:
    context = "python -c 'from mistralai.extra.run.context import RunContext'"
    assert "ModuleNotFoundError" in user.types(context, status=1)
    user.types(INSTALL_FOR_RUNS)
    assert user.types(context) == ""


def test_uninstalling_leaves_nothing(user: User) -> None:
    """The last test: it takes from the user what the others need."""
    user.types(UNINSTALL, answer="y\n")
    module = user.types("python -c 'import braintrust.integrations.mistral as m; print(m.__file__)'")
    assert Path(module).parent.parent.parent.name == "braintrust"
