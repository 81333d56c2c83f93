"""What `run` writes to files, and what `show` and a browser make of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.traced import LOGS, Traced


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk_is_said_and_changes_nothing_else(traced: Traced) -> None:
    ran = traced.run("--json", "/dev/full", traced.write(LOGS))
    assert ran.returncode == 0
    assert "/dev/full is not complete: No space left on device" in ran.stderr
    assert "1 trace, 1 span" in ran.stderr


def test_a_trace_can_be_sent_to_a_colleague(traced: Traced) -> None:
    app = traced.write(LOGS + "raise ValueError('no \\x1b[31mferry')\n")
    ran = traced.run("--json", "rows.jsonl", "--details", app)
    assert ran.returncode == 1
    shown = show(traced, "rows.jsonl")
    tree, _, rest = shown.stdout.partition("\n\n")
    assert tree.strip() in ran.stderr
    assert "   output: done" in tree
    assert rest.strip() == "1 trace, 1 span, 0 errors"
    # Cut off by a kill in the middle of a line, it still shows what came before.
    with (traced.folder / "rows.jsonl").open("a") as file:
        file.write('{"id": "')
    assert show(traced, "rows.jsonl").stdout == shown.stdout
    other = show(traced, app)
    assert (other.returncode, other.stdout) == (2, "")
    assert "app.py has no rows of spans: line 1" in other.stderr


def show(traced: Traced, name: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "braintrust_mistral", "show", "--details", name]
    return subprocess.run(command, cwd=traced.folder, capture_output=True, text=True, check=False)


def test_the_page_is_one_file(traced: Traced) -> None:
    ran = traced.run("--html", "trace.html", traced.write(LOGS))
    assert "trace.html is written" in ran.stderr
    page = (traced.folder / "trace.html").read_text(encoding="utf-8")
    assert '"name":"job"' in page
    ran = traced.run("--html", "no/such/folder", traced.write(LOGS))
    assert (ran.returncode, "no/such/folder is not complete: No such file or directory" in ran.stderr) == (0, True)
