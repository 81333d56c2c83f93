import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import requires, version
from pathlib import Path

import pytest


PROJECT = Path(__file__).parents[2]
REQUIRED = next(line for line in requires("braintrust-mistral") or () if line.startswith("braintrust"))
OLDEST, NEWEST = REQUIRED.replace(">=", "=="), f"braintrust=={version('braintrust')}"
MISTRALAI = f"mistralai=={version('mistralai')}"
UV = shutil.which("uv")


def run(command: str | Sequence[str], folder: Path, *, status: int = 0, answer: str = "", **environ: str) -> str:
    """Run a command, to this exit status, and return what it prints and what it complains of.

    Of our environment it gets all but what sets up Braintrust or Python, and `environ`. A text is for a shell, and
    `answer` is what its user types.
    """
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(("BRAINTRUST", "PYTHON"))}
    ran = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env=inherited | environ,
        input=answer,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == status, ran.stdout
    return ran.stdout.strip()


class Environment:
    """A virtual environment, whose Python runs where this project is out of sight."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = str(folder / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
        make = [UV, "venv", "--quiet", "--python", sys.executable] if UV else [sys.executable, "-m", "venv"]
        run([*make, "venv"], folder)
        self.packages = Path(self.run("import sysconfig; print(sysconfig.get_path('purelib'))"))

    def install(self, *requirements: str) -> "Environment":
        """Install these requirements, whatever is there already."""
        self._pip("install", *requirements)
        return self

    def uninstall(self, distribution: str) -> None:
        """Uninstall this distribution."""
        self._pip("uninstall", *([] if UV else ["--yes"]), distribution)

    def run(self, code: str, *options: str, **environ: str) -> str:
        """Run this code, which must succeed, and return what it prints; its warnings and errors too."""
        return self.call(*options, "-c", code, **environ)

    def call(self, *arguments: str, status: int = 0, **environ: str) -> str:
        """Run Python with these arguments, to this exit status, and return what it prints and what it complains of."""
        return run([self.python, *arguments], self.folder, status=status, **environ)

    def _pip(self, command: str, *arguments: str) -> None:
        if UV:
            run([UV, "pip", command, "--quiet", "--python", self.python, *arguments], self.folder)
        else:
            self.call("-m", "pip", "--quiet", command, *arguments)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("wheel")
    build = [UV, "build", "--wheel", "--out-dir"] if UV else [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w"]
    run([*build, str(folder), str(PROJECT)], folder)
    (path,) = folder.glob("*.whl")
    return str(path)


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    return lambda *requirements: Environment(tmp_path_factory.mktemp("environment")).install(*requirements)
