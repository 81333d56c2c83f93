"""What the doctor finds in the environment that runs the tests; test_overlay has what takes one of its own."""

import importlib.metadata
import json
import logging
import os
import re
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral import MistralIntegration, wrap_mistral
from opentelemetry import trace

import braintrust_mistral
from braintrust_mistral import doctor
from braintrust_mistral.doctor import Finding, examine, report
from tests.conftest import Switch


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
    assert [finding.mark for finding in findings].count("note") >= 2
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


@pytest.mark.parametrize("name", ["python", "braintrust", "mistralai"])
def test_a_version_that_nobody_tested_yet(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(doctor, "version", lambda asked: "99.0.0" if asked == name else version(asked))
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.99.1" if name == "python" else "3.10.0")
    newer = "3.99.1" if name == "python" else "99.0.0"
    newest = doctor.TESTED[name]
    assert told(name) == ("note", f"{newer} is untested: newer than {newest}, the newest that is tested")


def test_the_newest_tested_versions_are_those_of_the_project() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    table = project.partition("[tool.braintrust-mistral.versions]")[2].partition("\n[")[0]
    versions = dict(re.findall(r"^(\w+) = (\[.*\])$", table, re.MULTILINE))
    assert {name: json.loads(versions[name])[-1] for name in doctor.TESTED} == doctor.TESTED


def test_a_mistralai_that_is_too_old_is_traced_in_no_way(
    monkeypatch: pytest.MonkeyPatch, faults: list[logging.LogRecord]
) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.9.11" if name == "mistralai" else real(name))
    monkeypatch.setattr(doctor, "version", importlib.metadata.version)
    assert told("methods") == ("problem", "none is traced: mistralai 1.9.11 is not supported")
    assert not MistralIntegration.setup()
    client = Mistral(api_key="key")
    assert wrap_mistral(client) is client
    assert type(client) is Mistral
    (warning,) = faults
    faults.clear()
    assert warning.getMessage() == "mistralai 1.9.11 is not traced: 1.12.4 or newer is needed"


@pytest.mark.parametrize("check", ["overlay", "python", "methods", "opentelemetry", "logger", "llm spans", "left out"])
def test_a_check_that_cannot_be_made_is_a_finding(monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    def fail(*_: object) -> Finding:
        raise ImportError("No module named 'moved'")

    examiner = "_version_finding" if check == "python" else f"_{check.replace(' ', '_').replace('open', '')}"
    monkeypatch.setattr(doctor, examiner, fail)
    summary = "not supported with these versions: ImportError: No module named 'moved'"
    assert told(check) == ("problem", summary)


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
    words = " ".join(report([methods]).split())
    assert "mistral.chat: complete, complete_async, stream_async" in words
    assert "mistral.chat not found: stream " in words


IN_A_PROGRAM = """
import braintrust, json
from braintrust.integrations.mistral import wrap_mistral
from {package} import Mistral
{done}
from braintrust_mistral.doctor import examine
print(json.dumps({{finding.check: [*finding[1:3], dict(finding.details)] for finding in examine()}}))
"""


def told_in_a_program(check: str, done: str = "", **environ: str) -> tuple[str, str, dict[str, Any]]:
    """Return what the doctor tells inside of a program that has done this; in the tests' process Mistral is traced."""
    code = IN_A_PROGRAM.format(package=Mistral.__module__.rpartition(".")[0], done=done)
    path = str(Path(braintrust_mistral.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": path, **environ}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environ, text=True)
    mark, summary, details = json.loads(printed)[check]
    return mark, summary, details


def test_a_method_that_has_moved_is_listed_once() -> None:
    names = examined()["methods"].details
    assert "mistral.batch.jobs.create" in names
    assert not [name for name in names if re.search(r"v\d$", name)]


def test_each_client_is_listed_with_what_was_found() -> None:
    methods = examined()["methods"]
    lines = [line.strip() for line in report([methods]).splitlines()]
    assert "mistral.azure.ocr: process, process_async" in lines
    assert "mistral.vertex.fim: complete, complete_async, stream, stream_async" in lines
    place = "mistralai_azure" if Chat.__module__ == "mistralai.chat" else "mistralai.azure.client"
    assert methods.details["mistral.azure.chat.complete"] == f"{place}.chat.Chat.complete"


def test_no_logger_and_no_key() -> None:
    assert told_in_a_program("logger")[:2] == ("note", "BRAINTRUST_API_KEY is not set")


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (None, ""),
        ("BRAINTRUST_API_KEY=key", " in .env.braintrust"),
        ("export BRAINTRUST_API_KEY='key' # ours", " in .env.braintrust"),
    ],
)
def test_a_key_where_the_sdk_looks_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str | None, where: str
) -> None:
    if line is not None:
        # An empty variable is none, and the folders above are looked at as well.
        (tmp_path / ".env.braintrust").write_text(f"# Keys\n{line}\n", encoding="utf-8")
        (tmp_path / "below").mkdir()
        monkeypatch.chdir(tmp_path / "below")
    url = {"BRAINTRUST_APP_URL": "https://example.org"}
    assert told_in_a_program("logger", BRAINTRUST_API_KEY=" " if line else "key", **url) == (
        "ok",
        f"BRAINTRUST_API_KEY is set{where}; only your program knows whether it calls init_logger()",
        url,
    )


@pytest.mark.parametrize(
    "traces",
    [
        "braintrust.auto_instrument()",
        "wrap_mistral(Mistral(api_key='key'))",
        "client = wrap_mistral(Mistral(api_key='key')); client.chat",
        "class Own(Mistral): pass\nwrap_mistral(Own(api_key='key'))",
    ],
)
def test_a_program_that_traces_without_a_logger_has_a_problem(traces: str) -> None:
    if "auto_instrument" in traces and not hasattr(braintrust, "auto_instrument"):
        pytest.skip("this braintrust cannot trace everything")
    told = told_in_a_program("logger", traces, BRAINTRUST_API_KEY="key")
    assert told[:2] == ("problem", "this process traces Mistral, and has no logger")


@pytest.mark.parametrize("setup", ["", "wrap_mistral(Mistral(api_key='key'))"])
def test_a_logger_is_known_inside_the_program(setup: str) -> None:
    setup = f"{setup}\nbraintrust.init_logger(project='doctor', api_key='key')"
    assert told_in_a_program("logger", setup)[:2] == ("ok", "this process has a logger")


@pytest.mark.parametrize(
    ("value", "mark", "summary"),
    [
        ("", "ok", "off; BRAINTRUST_MISTRAL_LLM_SPANS=true turns them on"),
        ("false", "ok", "off; BRAINTRUST_MISTRAL_LLM_SPANS=true turns them on"),
        ("TRUE", "ok", "on by BRAINTRUST_MISTRAL_LLM_SPANS"),
        (" on", "ok", "on by BRAINTRUST_MISTRAL_LLM_SPANS"),
        ("maybe", "note", "off: BRAINTRUST_MISTRAL_LLM_SPANS is 'maybe'"),
    ],
)
def test_llm_spans(monkeypatch: pytest.MonkeyPatch, value: str, mark: str, summary: str) -> None:
    monkeypatch.setenv("BRAINTRUST_MISTRAL_LLM_SPANS", value)
    assert told("llm spans") == (mark, summary)


@pytest.mark.parametrize(
    ("environment", "summary"),
    [
        ({}, "nothing"),
        ({"CONTENT": "false"}, "content"),
        (
            {"MAX_ATTACHMENT_BYTES": "1000", "SAMPLE_RATE": "0.25"},
            "attachments of more than 1000 bytes and 75 % of the traces",
        ),
    ],
)
def test_what_is_left_out(environment: dict[str, str], summary: str, switch: Switch) -> None:
    variables = {f"BRAINTRUST_MISTRAL_{name}": value for name, value in environment.items()}
    for name, value in variables.items():
        switch(name, value)
    assert told("left out") == ("ok", summary)
    assert examined()["left out"].details == variables


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
