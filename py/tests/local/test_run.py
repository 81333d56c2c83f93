"""One's own program, traced without an account: it behaves as it does without us, and nothing leaves the machine."""

import inspect
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import braintrust
import pytest
import requests
from braintrust.integrations.base import BaseIntegration

from braintrust_mistral.local import LocalBraintrust
from braintrust_mistral.local.startup import LIBRARIES
from tests.conftest import wait_until
from tests.helpers.traced import LOGS, RUN, Traced


ASKS = """
try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral
Mistral().beta.conversations.start(model="web-search", inputs="When does the next ferry leave?")
"""


unix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals, shells or terminals")


@pytest.fixture(autouse=True, scope="module")
def interruptible() -> Iterator[None]:
    """Where the tests run in a shell's background, Ctrl-C is ignored, and processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_program_runs_as_python_runs_it(traced: Traced) -> None:
    (traced.folder / "beside.py").write_text("NAME = 'beside'", encoding="utf-8")
    app = traced.write(
        "import sys, beside\n"
        "print(sys.argv, __name__, beside.NAME, input(), sys.flags.optimize)\n"
        "print('oops', file=sys.stderr)\n"
        f"{LOGS}"
        "sys.exit(3)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-O", *RUN[1:], app, "--any", "--of=its", "--", "-m", "--json"],
        cwd=traced.folder,
        env=traced.environment(),
        input="typed",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    assert ran.stdout == "['app.py', '--any', '--of=its', '--', '-m', '--json'] __main__ beside typed 1\n"
    assert ran.stderr.startswith("oops\n")
    assert re.search(r"^job +task +\d\.\d\d  ━+\n\n1 trace, 1 span, 0 errors\n", ran.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "program", [["-m", "package.module", "-x"], ["-c", LOGS, "-x"], ["--", sys.executable, "app.py"]]
)
def test_modules_code_and_commands_are_programs_too(traced: Traced, program: list[str]) -> None:
    (traced.folder / "package").mkdir()
    (traced.folder / "package/module.py").write_text(LOGS, encoding="utf-8")
    traced.write(LOGS)
    assert traced.names(*program) == ["job"]


@unix_only
def test_the_programs_that_a_shell_starts_are_traced(traced: Traced) -> None:
    traced.write(LOGS)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    assert traced.names("--", "sh", "-c", "python app.py", PATH=path) == ["job"]


def test_what_auto_instrument_traces_is_traced(traced: Traced) -> None:
    assert traced.names("--local-mistral", traced.write(ASKS), http_proxy="http://192.0.2.1:9") == [
        "mistral.beta.conversations.start",
        "tool: web_search",
    ]
    assert traced.rows()[0]["span_attributes"]["name"] == "mistral.beta.conversations.start"


def test_a_program_may_have_gevent_patch_first(traced: Traced) -> None:
    code = (
        "from gevent import monkey\nmonkey.patch_all()\nimport gevent\ndef ask():\n"
        + textwrap.indent(ASKS, "    ")
        + "\ngevent.joinall([gevent.spawn(ask)], raise_error=True)\n"
    )
    names = traced.names("--local-mistral", traced.write(code))
    assert names == ["mistral.beta.conversations.start", "tool: web_search"]


SERVES = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import braintrust

@braintrust.traced
def answer():
    return "answered"

app = Starlette(routes=[Route("/", lambda _: PlainTextResponse(answer()))])
"""


@unix_only
def test_a_server_shows_each_trace_when_it_ends(traced: Traced) -> None:
    traced.write(SERVES)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    process = traced.start("--", sys.executable, "-m", "uvicorn", "--port", port, "--log-level", "warning", "app:app")

    def answered() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/", timeout=10).text == "answered"
        except requests.ConnectionError:
            return False

    wait_until(answered)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any(line.startswith("answer  function") for line in lines)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert "1 trace, 1 span, 0 errors" in stderr


def test_each_library_of_the_sdk_is_known() -> None:
    known = inspect.signature(braintrust.auto_instrument).parameters
    switches = {name for name in known if known[name].default is True}
    assert switches <= LIBRARIES.keys()
    names = {name for names in LIBRARIES.values() for name in names}
    waiting = [BaseIntegration]
    while waiting:
        integration = waiting.pop()
        waiting += integration.__subclasses__()
        assert set(getattr(integration, "import_names", ())) <= names


def test_a_program_that_imports_nothing_of_it_pays_nothing(traced: Traced) -> None:
    app = traced.write("import sys; print({'braintrust', 'starlette', 'rich', 'requests'} & set(sys.modules))")
    ran = traced.run(app)
    assert ran.stdout == "set()\n"
    assert "No span arrived." in ran.stderr


# All that this process and those below it look up and connect to, as the interpreter tells it.
WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments
        with open(os.environ["WATCHED"], "a") as file:
            print(event, address[0] if isinstance(address, tuple) else "local", file=file)
sys.addaudithook(watch)
"""
LEAKS = """
import os, subprocess, sys
import braintrust
os.environ["BRAINTRUST_API_KEY"] = "sk-real"
os.environ["BRAINTRUST_APP_URL"] = "https://www.braintrust.dev"
with braintrust.start_span(name="to our project"):
    pass
braintrust.flush()
logger = braintrust.init_logger(
    project="real", api_key="sk-real", app_url="https://www.braintrust.dev", org_name="real", force_login=FORCE
)
with logger.start_span(name="to a real project") as span:
    span.log(output=braintrust.Attachment(data=b"1", filename="a.txt", content_type="text/plain"))
braintrust.flush()
braintrust.login(api_key="sk-real", force_login=True)
with braintrust.start_span(name="after a login"):
    pass
braintrust.flush()
child = (
    "import braintrust\\n"
    "with braintrust.init_logger(project='c', api_key='sk-real').start_span(name='child'): pass"
)
subprocess.run([sys.executable, "-c", child], check=True)
"""


@pytest.mark.parametrize("force", [False, True])
def test_nothing_leaves_the_machine_whatever_keys_there_are(traced: Traced, force: bool) -> None:
    watched = traced.folder / "watched"
    (traced.folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    environ = {
        "BRAINTRUST_API_KEY": "sk-real",
        "BRAINTRUST_API_URL": "https://api.braintrust.dev",
        "BRAINTRUST_ORG_NAME": "real",
        "HTTPS_PROXY": "http://192.0.2.1:9",
        "HTTP_PROXY": "http://192.0.2.1:9",
        "PYTHONPATH": str(traced.folder),
        "WATCHED": str(watched),
    }
    app = traced.write(LEAKS.replace("FORCE", str(force)))
    assert traced.names(app, **environ) == ["after a login", "child", "to a real project", "to our project"]
    addresses = {line.split(" ", 1)[1] for line in watched.read_text(encoding="utf-8").splitlines()}
    assert "127.0.0.1" in addresses
    assert addresses <= {"127.0.0.1", "localhost", "local"}
    assert "sk-real" not in (traced.folder / "rows.jsonl").read_text(encoding="utf-8")


def test_an_evaluation_runs_against_it(traced: Traced) -> None:
    app = traced.write(
        "import braintrust\n"
        "data = [{'input': 1}, {'input': 3}]\n"
        "braintrust.Eval('demo', data=data, task=lambda x: x, scores=[lambda input, output: output / 4])\n"
    )
    ran = traced.run(app)
    assert ran.returncode == 0
    assert re.search(r"^50\.00% 'scorer_0' +score", ran.stdout, re.MULTILINE)
    # The number alone may be part of a port.
    assert not re.search(r"\b404\b", ran.stderr)
    assert "2 traces, 6 spans, 0 errors" in ran.stderr


PROCESSES = """
import multiprocessing, os, sys, braintrust

def work(how):
    with braintrust.start_span(name=how):
        pass

if __name__ == "__main__":
    work("first")
    for how in ("spawn", "fork", "forkserver"):
        process = multiprocessing.get_context(how).Process(target=work, args=(how,))
        process.start()
        process.join()
        assert process.exitcode == 0
    if (pid := os.fork()) == 0:
        work("os.fork")
        os._exit(0)
    os.waitpid(pid, 0)
    work("last")
    os._exit(7)
"""


@unix_only
def test_processes_that_fork_and_leave_lose_nothing(traced: Traced) -> None:
    names = traced.names(traced.write(PROCESSES), status=7, PYTHONWARNINGS="ignore")
    assert names == sorted(["first", "spawn", "fork", "forkserver", "os.fork", "last"])


WAITS = """
import signal, sys, time, braintrust
{}
span = braintrust.start_span(name="job", type="task")
braintrust.flush()
print("ready", flush=True)
time.sleep(60)
"""
LEAVES = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))"


@unix_only
@pytest.mark.parametrize(
    ("name", "handling", "status"),
    [("SIGTERM", "", None), ("SIGTERM", LEAVES, 9), ("SIGINT", "", None), ("SIGKILL", "", None)],
)
def test_a_signal_ends_the_program_and_us_as_it_would(
    traced: Traced, name: str, handling: str, status: int | None
) -> None:
    number = signal.Signals[name]
    app = traced.write(WAITS.format(handling).replace('"ready"', "f\"ready {__import__('os').getpid()}\""))
    process = traced.start(app)
    assert process.stdout is not None
    pid = int(process.stdout.readline().removeprefix("ready "))
    # Nothing hands on a kill: the program itself gets it.
    os.kill(pid if name == "SIGKILL" else process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (-number if status is None else status)
    # What was not over is drawn as it was.
    assert re.search(r"^job +task +open +━+╌╌╌$", stderr, re.MULTILINE)
    assert "1 trace, 1 span, 0 errors, 1 still open" in stderr


def test_what_is_wrong_before_the_start_is_said(traced: Traced) -> None:
    app = traced.write("print('ran')")
    with LocalBraintrust() as other:
        ran = traced.run("--port", str(other.port), app)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"Port {other.port} of 127.0.0.1 cannot be had" in ran.stderr
    ran = traced.run("--json", "no/such/folder", app)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "no/such/folder cannot be written" in ran.stderr
    ran = traced.run("--", "no-such-command")
    assert ran.returncode == 127
    assert re.fullmatch(r"no-such-command: .*(No such file|cannot find the file).*\n", ran.stderr)
    ran = traced.run()
    assert ran.returncode == 2
    assert "name a program" in ran.stderr


@unix_only
def test_the_page_opens_while_the_program_runs_and_stays_until_it_is_left(traced: Traced) -> None:
    browser = traced.folder / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > opened.part && mv opened.part opened\n', encoding="utf-8")
    browser.chmod(0o755)
    process = traced.start("--open", traced.write(LOGS + "span.flush(); input()"), BROWSER=f"{browser} %s")
    opened = traced.folder / "opened"
    wait_until(opened.exists)
    url = opened.read_text(encoding="utf-8").strip()
    with requests.Session() as visitor:
        assert "<html" in visitor.get(url, timeout=10).text
        rows = f"{url.split('/?')[0]}/page/rows"
        assert requests.get(rows, timeout=10).status_code == 401
        wait_until(lambda: "job" in visitor.get(rows, timeout=10).text)
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("\n")
        process.stdin.flush()
        while f"The page stays at {url}" not in process.stderr.readline():
            assert process.poll() is None
        assert "job" in visitor.get(rows, timeout=10).text
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


GROWS = """
import sys, braintrust
with braintrust.start_span(name="job"):
    with braintrust.start_span(name="step"):
        braintrust.flush()
        print("ready", flush=True)
        input()
"""


@unix_only
def test_a_trace_grows_below_the_programs_output(traced: Traced) -> None:
    import pty

    ours, theirs = pty.openpty()
    seen: list[bytes] = []
    grew = threading.Event()

    def read() -> None:
        while True:
            try:
                seen.append(os.read(ours, 65_536))
            except OSError:
                return
            if b"open" in seen[-1]:
                grew.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    process = subprocess.Popen(
        [*RUN, traced.write(GROWS)],
        cwd=traced.folder,
        env=traced.environment(TERM="xterm", COLUMNS="80", LINES="24"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert grew.wait(60)
    out, _ = process.communicate(b"\n", timeout=60)
    os.close(theirs)
    reader.join(10)
    text = b"".join(seen).decode()
    # Nothing but the program's own goes to stdout; the lines that were set apart are given back.
    assert out == b""
    assert re.search(r"\x1b\[1;\d+r.*open.*\x1b\[r\x1b\[\d+;1H\x1b\[J", text, re.DOTALL)
    last = text[text.rindex("\x1b[r") :]
    assert not re.search(r"(job|step) .*open", last)
    assert "1 trace, 2 spans, 0 errors" in last
