import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


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
