"""What fresh interpreters take to start and to import, measured by starting some."""

import atexit
import functools
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from importlib.metadata import distribution
from pathlib import Path


_OVERLAY = "braintrust-mistral"

# Runs under -S, where nothing of the environment's own start-up has run yet, and lets `site` do it file by file.
_TIMED_SITE = """
import site, sys, time
folder, *timed_names = sys.argv[1:]
seconds = 0.0
add_package = site.addpackage
def timed(sitedir, name, known_paths):
    global seconds
    started = time.perf_counter()
    try:
        return add_package(sitedir, name, known_paths)
    finally:
        if name in timed_names:
            seconds += time.perf_counter() - started
site.addpackage = timed
site.addsitedir(folder)
print(seconds)
"""


def import_milliseconds(module: str, *, after: str) -> float:
    """Return what an interpreter that has imported the one takes to import the other and what only that needs."""
    run = _python(sys.executable, "-X", "importtime", "-c", f"import {after}; import {module}")
    for line in run.stderr.splitlines():
        _, cumulative, name = line.split("|")
        if name.strip() == module:
            return int(cumulative) / 1_000
    raise LookupError(f"the interpreter did not report the import of {module}")


def overlay_milliseconds() -> float:
    """Return what the overlay's own start-up files take when an interpreter reads them."""
    names = [path.name for path in _start_files()]
    command = (sys.executable, "-S", "-c", _TIMED_SITE, sysconfig.get_path("purelib"), *names)
    return statistics.median(float(_python(*command).stdout) for _ in range(5)) * 1_000


def start_milliseconds() -> float:
    """By how much longer an interpreter takes to start with the overlay than in a twin environment without it."""
    bare, overlaid = _twins()
    return statistics.median(_start(overlaid) - _start(bare) for _ in range(15)) * 1_000


def _start(python: str) -> float:
    started = time.perf_counter()
    _python(python, "-c", "pass")
    return time.perf_counter() - started


def _start_files() -> list[Path]:
    paths = [Path(str(file.locate())) for file in distribution(_OVERLAY).files or []]
    # An editable install has another .pth, which only adds a folder to the path.
    pth = [path for path in paths if path.suffix == ".pth" and "import " in path.read_text(encoding="utf-8")]
    return pth + [path for path in paths if path.suffix == ".start"]


@functools.cache
def _twins() -> tuple[str, str]:
    """Return interpreters of two new environments, equal to this one, the first without the overlay's start-up."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    overlay = {path.name for path in _start_files()}
    return _twin(folder / "bare", without=overlay), _twin(folder / "overlaid", without=set())


def _twin(folder: Path, *, without: set[str]) -> str:
    environment = venv.EnvBuilder(symlinks=sys.platform != "win32")
    environment.create(folder)
    python = environment.ensure_directories(folder).env_exe
    packages = Path(_python(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name not in without:
            (packages / path.name).symlink_to(path)
    return python


def _python(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True)
