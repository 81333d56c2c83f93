"""An application that PyInstaller froze: the hook in the wheel brings the integration, and `activate` puts it in."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from braintrust_mistral import __version__
from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.overlay.conftest import MISTRALAI, NEWEST, Environment, run


APPLICATION = """
import braintrust_mistral
print(braintrust_mistral.activate())

import os
import braintrust
from mistralai.client import Mistral

braintrust.auto_instrument()
braintrust.init_logger(project="frozen")
client = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"])
client.beta.conversations.start(model="web-search", inputs="When does the next ferry leave?")

from braintrust_mistral.doctor import examine, report
print(report(examine()))
"""


@pytest.fixture(scope="module")
def frozen(make: Callable[..., Environment], wheel: str) -> Path:
    """The folder of the frozen application."""
    environment = make(NEWEST, MISTRALAI, "pyinstaller", wheel)
    (environment.folder / "application.py").write_text(APPLICATION, encoding="utf-8")
    # None of it is used here, and it would all be looked through.
    without = ["cryptography", "setuptools", "sqlite3", "tkinter"]
    options = [f"--exclude-module={name}" for name in without]
    environment.call("-m", "PyInstaller", "--noconfirm", "--log-level=WARN", *options, "application.py")
    return environment.folder / "dist/application"


def test_a_frozen_application_is_traced(frozen: Path) -> None:
    executable = frozen / ("application.exe" if sys.platform == "win32" else "application")
    with LocalMistral(pace=0.0) as mistral, LocalBraintrust() as bt:
        said = run([str(executable)], frozen, LOCAL_MISTRAL_URL=mistral.url, **bt.environment())
        spans = [span["span_attributes"]["name"] for span in bt.spans()]
    assert spans == ["mistral.beta.conversations.start", "tool: web_search"]
    is_active, *findings = said.splitlines()
    assert is_active == "True"
    assert findings[0] == f"ok       overlay: braintrust-mistral {__version__} is active"
    assert not [line for line in findings if line.startswith(("note", "problem"))]
