"""Windows and macOS, as far as they can be seen from here: no forks, few signals, and consoles without lines."""

import subprocess
import sys
from pathlib import Path

import pytest

from braintrust_mistral.local.drawing.encoding import encodable
from tests.helpers.alone import run_python
from tests.helpers.traced import Traced


WITHOUT_UNIX = """
import os, signal, sys

for name in ("fork", "register_at_fork", "killpg", "getuid", "getpgrp"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGTSTP", "SIGUSR1", "SIGUSR2", "setitimer"):
    if hasattr(signal, name):
        delattr(signal, name)
sys.modules.update(dict.fromkeys(("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")))
"""
STREAMS = """
from tests.helpers.alone import log_to_stdout
from tests.helpers.wire import answer_stream, client_of, says, streamed
import braintrust

logger = log_to_stdout()
client = client_of(lambda request: answer_stream(streamed([says("Bread rises")])))
stream = client.beta.conversations.start_stream(inputs="Bread?", model="m")
next(stream), next(stream)
del stream
braintrust.flush()
"""
LOGS = """
import braintrust
with braintrust.start_span(name="Straße → 東京", type="task") as span:
    braintrust.start_span(name="step").end()
    span.log(output="é")
"""
CAPTURES = f"""
from braintrust_mistral.local import capture

with capture() as traces:
    exec({LOGS!r})
print(traces[0].tree())
print(traces)
"""
CONSOLES = ["cp1252", "cp437", "ascii"]


def test_a_system_without_forks_and_signals_traces_as_well() -> None:
    (ended,) = (line for line in run_python(WITHOUT_UNIX + STREAMS).stdout.splitlines() if '"duration"' in line)
    assert "Bread" in ended


def test_the_local_services_need_no_unix() -> None:
    # Python's own modules for Unix are there, so this is Windows by name only.
    windows = "import sys\nsys.platform = 'win32'\nimport braintrust_mistral.local.screen as screen\n"
    run_python(f"{WITHOUT_UNIX}{windows}assert screen._is_taken(0)\nimport braintrust_mistral.local.program\n")


@pytest.mark.parametrize("console", CONSOLES)
def test_traces_are_drawn_on_a_console_without_lines(console: str, tmp_path: Path) -> None:
    traced = Traced(tmp_path)
    app = traced.write(LOGS)
    encoding = {"PYTHONIOENCODING": console, "PYTHONUTF8": "0"}
    arguments = (
        ["run", "--json", "rows.jsonl", "--details", app],
        ["show", "--details", "rows.jsonl"],
        ["-c", CAPTURES],
    )
    for command in arguments:
        module = [] if command[0] == "-c" else ["-m", "braintrust_mistral"]
        shown = subprocess.run(
            [sys.executable, *module, *command],
            cwd=tmp_path,
            env=traced.environment(**encoding),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = shown.stdout.decode(console)
        assert shown.returncode == 0, text
        assert "Traceback" not in text
        tree = [line for line in text.splitlines() if "step" in line]
        assert tree
        # As in cp437, which has some of them.
        assert all(line.startswith((encodable("└─ step", console), "`- step")) for line in tree), tree


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "├─ ━━╌ … →"),
        (None, "├─ ━━╌ … →"),
        ("cp1252", "+- ==- . >"),
        ("ascii", "+- ==- . >"),
    ],
)
def test_a_tree_keeps_its_columns(encoding: str | None, shown: str) -> None:
    assert encodable("├─ ━━╌ … →", encoding) == shown
    assert encodable("Straße", encoding) == ("Stra?e" if encoding == "ascii" else "Straße")
