"""What the doctor finds in the environment that runs the tests; test_overlay has what takes one of its own."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import braintrust
import pytest
from opentelemetry import trace

import braintrust_mistral
from braintrust_mistral import doctor
from braintrust_mistral.doctor import Finding, examine, report


try:
    from mistralai.client import Mistral
    from mistralai.client.chat import Chat
except ImportError:
    from mistralai import Mistral
    from mistralai.chat import Chat


OPTS_IN = find_spec("mistralai.extra.observability.telemetry") is not None
"""Whether this mistralai has a variable that turns its own tracing on."""

opting_in = pytest.mark.skipif(not OPTS_IN, reason="this mistralai has no such variable")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable that the doctor looks at, no `.env.braintrust`, and nothing of OpenTelemetry but its API."""
    for name in os.environ:
        if name.startswith(("BRAINTRUST", "MISTRAL", "OTEL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for name in ("opentelemetry.sdk", "opentelemetry.exporter"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def provided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracer provider, as a program sets one."""
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)


def examined() -> dict[str, Finding]:
    """Return the findings by what was looked at."""
    return {finding.check: finding for finding in examine()}


def told(check: str) -> tuple[str, str]:
    finding = examined()[check]
    return finding.mark, finding.summary


def command(*options: str, setup: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor of this source tree in a process of its own, after this code."""
    run = f"import runpy, sys; sys.argv[1:] = {options}; runpy.run_module('braintrust_mistral', None, '__main__')"
    path = str(Path(braintrust_mistral.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": path, **environ}
    return subprocess.run(
        [sys.executable, "-c", f"{setup}\n{run}"], check=False, env=environ, capture_output=True, text=True
    )


def test_an_environment_without_a_problem() -> None:
    run = command()
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"ok       overlay: braintrust-mistral {braintrust_mistral.__version__} is active\n")
    assert run.stdout.splitlines()[-1].startswith("problems: 0, notes: ")


def test_a_problem_is_an_exit_status() -> None:
    run = command(BRAINTRUST_MISTRAL_OVERLAY="0")
    assert run.returncode == 1
    assert run.stdout.startswith("problem  overlay: braintrust-mistral ")
    assert run.stdout.splitlines()[-1].startswith("problems: 1, ")


def test_for_machines() -> None:
    run = command("--json", BRAINTRUST_MISTRAL_OVERLAY="0")
    assert run.returncode == 1
    answer = json.loads(run.stdout)
    assert (answer["version"], answer["problems"]) == (braintrust_mistral.__version__, 1)
    assert [finding["mark"] for finding in answer["findings"]].count("problem") == 1
    assert all(finding.keys() == set(Finding._fields) for finding in answer["findings"])


def test_a_mistralai_without_its_client() -> None:
    # What an upgrade from 1.x leaves behind now and then: metadata without a package.
    run = command("--json", setup="import sys; sys.modules['mistralai'] = None")
    findings = {finding["check"]: finding for finding in json.loads(run.stdout)["findings"]}
    assert findings["methods"]["mark"] == "problem"
    assert findings["methods"]["summary"].startswith("0 of ")


def test_every_other_finding_has_advice_and_fits_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BRAINTRUST_MISTRAL_OVERLAY", "BRAINTRUST_MISTRAL_LLM_SPANS", "MISTRAL_SDK_TELEMETRY"):
        monkeypatch.setenv(name, "unheard-of")
    findings = examine()
    assert [finding.mark for finding in findings].count("note") >= 3
    assert all(finding.advice.endswith(".") for finding in findings if finding.mark != "ok")
    # A path has no place to break it.
    assert [line for line in report(findings).splitlines() if len(line) > 80 and os.sep not in line] == []


@pytest.mark.parametrize(("value", "mark"), [("false", "note"), ("1", "note"), ("", "ok")])
def test_a_switch_that_switches_nothing(monkeypatch: pytest.MonkeyPatch, value: str, mark: str) -> None:
    monkeypatch.setenv("BRAINTRUST_MISTRAL_OVERLAY", value)
    assert told("overlay") == (mark, f"braintrust-mistral {braintrust_mistral.__version__} is active")


@pytest.mark.parametrize(("name", "supported"), [("braintrust", ">=0.30.1"), ("mistralai", ">=1.12.4")])
def test_versions(monkeypatch: pytest.MonkeyPatch, name: str, supported: str) -> None:
    assert told(name) == ("ok", f"{version(name)}, and {supported} is supported")
    monkeypatch.setattr(doctor, "version", lambda asked: "0.1.2" if asked == name else version(asked))
    found = examined()[name]
    assert found[:4] == (name, "problem", "0.1.2 is not supported", f"Install a version {supported}.")


def test_a_source_tree_that_nobody_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def metadata(name: str) -> Any:
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "metadata", metadata)
    assert told("braintrust") == (
        "note",
        f"{version('braintrust')}, and which versions are supported is not known here",
    )


def test_a_method_that_this_mistralai_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Chat, "stream")
    methods = examined()["methods"]
    assert methods.mark == "note"
    assert methods.details["mistral.chat.stream"] is None
    assert methods.details["mistral.chat.stream_async"] == f"{Chat.__module__}.Chat.stream_async"
    lines = [line.strip() for line in report([methods]).splitlines()]
    assert "mistral.chat: complete, complete_async, stream_async" in lines
    assert "mistral.chat not found: stream" in lines


def test_no_logger_and_no_key() -> None:
    assert told("logger") == ("note", "BRAINTRUST_API_KEY is not set")


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_key_where_the_sdk_looks_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    if place == "file":
        (tmp_path / ".env.braintrust").write_text("BRAINTRUST_API_KEY=key\n")
    else:
        monkeypatch.setenv("BRAINTRUST_API_KEY", "key")
    monkeypatch.setenv("BRAINTRUST_APP_URL", "https://example.org")
    assert told("logger") == (
        "ok",
        "BRAINTRUST_API_KEY is set; only your program knows whether it calls init_logger()",
    )
    assert examined()["logger"].details == {"BRAINTRUST_APP_URL": "https://example.org"}


def test_a_logger_is_known_inside_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = braintrust.init_logger(project="doctor", api_key="key", set_current=False)
    monkeypatch.setattr(braintrust, "current_logger", lambda: logger)
    assert told("logger") == ("ok", "this process has a logger")


@pytest.mark.parametrize(
    ("value", "mark", "summary"),
    [
        ("", "ok", "off; BRAINTRUST_MISTRAL_LLM_SPANS=true turns them on"),
        ("false", "ok", "off; BRAINTRUST_MISTRAL_LLM_SPANS=true turns them on"),
        ("TRUE", "ok", "on by BRAINTRUST_MISTRAL_LLM_SPANS"),
        ("yes", "note", "off: BRAINTRUST_MISTRAL_LLM_SPANS is 'yes'"),
    ],
)
def test_llm_spans(monkeypatch: pytest.MonkeyPatch, value: str, mark: str, summary: str) -> None:
    monkeypatch.setenv("BRAINTRUST_MISTRAL_LLM_SPANS", value)
    assert told("llm spans") == (mark, summary)


def test_mistralais_own_tracing_is_off_by_itself() -> None:
    until = "unless the program turns it on" if OPTS_IN else "until there is a tracer provider"
    assert told("opentelemetry") == ("ok", f"mistralai's own tracing is off, {until}")


@pytest.mark.usefixtures("provided")
def test_a_tracer_provider_turns_it_on_where_no_variable_does() -> None:
    mark, _ = told("opentelemetry")
    assert mark == ("ok" if OPTS_IN else "note")


@opting_in
@pytest.mark.parametrize(
    ("value", "mark", "summary"),
    [
        ("", "ok", "mistralai's own tracing is off, unless the program turns it on"),
        ("false", "ok", "mistralai's own tracing is off, unless the program turns it on"),
        (
            "global",
            "note",
            "mistralai's own tracing is on by MISTRAL_SDK_TELEMETRY=global, once there is a tracer provider",
        ),
        ("Dedicated", "problem", "MISTRAL_SDK_TELEMETRY=Dedicated makes every call fail here"),
        ("yes", "problem", "MISTRAL_SDK_TELEMETRY=yes makes every call fail"),
    ],
)
def test_the_variable_turns_it_on(monkeypatch: pytest.MonkeyPatch, value: str, mark: str, summary: str) -> None:
    monkeypatch.setenv("MISTRAL_SDK_TELEMETRY", value)
    assert told("opentelemetry") == (mark, summary)
    with Mistral(api_key="key", server_url="http://127.0.0.1:9") as client, pytest.raises(Exception) as raised:  # noqa: PT011
        client.chat.complete(model="m", messages=[{"role": "user", "content": "Hello"}])
    assert (type(raised.value).__name__ == "TelemetryConfigurationError") == (mark == "problem")


@opting_in
@pytest.mark.usefixtures("provided")
@pytest.mark.parametrize(
    ("value", "mark", "state"),
    [
        ("global", "note", "on by MISTRAL_SDK_TELEMETRY=global"),
        ("dedicated", "ok", "off, unless the program turns it on"),
    ],
)
def test_the_variable_beside_a_tracer_provider(
    monkeypatch: pytest.MonkeyPatch, value: str, mark: str, state: str
) -> None:
    monkeypatch.setenv("MISTRAL_SDK_TELEMETRY", value)
    assert told("opentelemetry") == (mark, f"mistralai's own tracing is {state}")
