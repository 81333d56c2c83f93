"""Examines what traces Mistral here, finding by finding; `python -m braintrust_mistral` prints what it found.

What a program sets itself, such as its logger, shows only from inside: `report(examine())` there tells that as well.
"""

import importlib
import os
import platform
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import Literal, NamedTuple

from braintrust_mistral import FINDER, INTEGRATION, SWITCH, __version__
from braintrust_mistral.loading import is_ours


WIDTH = 80
TELEMETRY = "MISTRAL_SDK_TELEMETRY"
"""The environment variable with which mistralai, where it has one, turns its own tracing on."""


class Finding(NamedTuple):
    """What was found about one thing.

    Attributes:
        check: what was looked at.
        mark: "ok", "note" for what may be as intended, or "problem".
        summary: what is the case, in a line.
        advice: what to do about it, in a sentence; empty where there is nothing to do.
        details: facts behind the summary, by name; `None` for what is missing.
    """

    check: str
    mark: Literal["ok", "note", "problem"]
    summary: str
    advice: str = ""
    details: Mapping[str, str | None] = MappingProxyType({})


def examine() -> list[Finding]:
    """Examine this process: which implementation is active, the versions, the traced methods, and the settings.

    It imports both SDKs, as far as they are there, and `braintrust.integrations.mistral`.
    """
    early, had_finder = INTEGRATION in sys.modules, FINDER in sys.meta_path
    module: ModuleType | None = None
    try:
        module = importlib.import_module(INTEGRATION)
        findings = [_overlay(module, early, had_finder)]
    except Exception as error:
        summary = f"braintrust-mistral {__version__} is not active: {type(error).__name__}: {error}"
        findings = [Finding("overlay", "problem", summary, "Nothing is traced; reinstall the braintrust SDK.")]
    findings += _versions(module)
    if module is not None:
        if _version("mistralai"):
            findings += [_methods(traced_methods(module)), _telemetry()]
        findings.append(_logger())
        if is_ours(module):
            findings.append(_llm_spans())
    return findings


def report(findings: Iterable[Finding]) -> str:
    """Return the findings as text, 80 columns wide but for names that are longer."""
    return "\n".join(line for finding in findings for line in _lines(finding))


def traced_methods(module: ModuleType) -> dict[str, str | None]:
    """Map each method that this integration traces to its place in the installed mistralai, or to None."""
    from braintrust.integrations.base import BaseIntegration, CompositeFunctionWrapperPatcher

    integration: type[BaseIntegration] = module.MistralIntegration
    mistralai = _version("mistralai")
    methods: dict[str, str | None] = {}
    for patcher in integration.patchers:
        if not issubclass(patcher, CompositeFunctionWrapperPatcher):
            continue
        for method in patcher.sub_patchers:
            # One method has a patcher for each place where some mistralai has it.
            name = re.sub(r"\.v\d+$", "", method.name)
            methods.setdefault(name, None)
            if method.applies(None, mistralai):
                methods[name] = f"{method.target_module}.{method.target_path}"
    return methods


def _overlay(module: ModuleType, early: bool, had_finder: bool) -> Finding:
    details = {INTEGRATION: module.__file__}
    if is_ours(module):
        switch = os.environ.get(SWITCH)
        if switch:
            advice = f"{SWITCH} is {switch!r}, which changes nothing: only 0 turns this integration off."
            return Finding("overlay", "note", f"braintrust-mistral {__version__} is active", advice, details)
        return Finding("overlay", "ok", f"braintrust-mistral {__version__} is active", details=details)
    reason, advice = _reason(early, had_finder)
    return Finding("overlay", "problem", f"braintrust-mistral {__version__} is not active: {reason}", advice, details)


def _reason(early: bool, had_finder: bool) -> tuple[str, str]:
    """Return why the SDK's own integration is in force, and what to do about it."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0", "The SDK's own integration is in force; unset the variable to change that."
    if early:
        advice = "Have nothing import braintrust at start-up; `python -X importtime` shows what does."
        return "the SDK's own module was imported before it", advice
    if FINDER in sys.meta_path:
        return "its files are missing", "Reinstall braintrust-mistral; till then the SDK's own integration traces."
    if had_finder:
        advice = "The SDK's own integration is in force; upgrade braintrust-mistral."
        return "it cannot be imported with this braintrust, see the warning", advice
    return "no start-up file was read", "Call braintrust_mistral.activate() before anything imports braintrust."


def _versions(module: ModuleType | None) -> Iterator[Finding]:
    """Yield a finding about Python and about each SDK, with the range that its one declaration names."""
    python, braintrust = _declared()
    yield _in_range("python", platform.python_version(), python)
    yield _in_range("braintrust", _version("braintrust"), braintrust)
    oldest: str | None = getattr(getattr(module, "MistralIntegration", None), "min_version", None)
    yield _in_range("mistralai", _version("mistralai"), oldest and f">={oldest}")


def _declared() -> tuple[str | None, str | None]:
    """Return the versions of Python and of braintrust that this distribution requires, where its metadata is here."""
    try:
        declared = metadata("braintrust-mistral")
    except PackageNotFoundError:
        return None, None
    required = (re.match(r"braintrust\b\s*([^;]*)", line) for line in declared.get_all("Requires-Dist") or ())
    return declared["Requires-Python"], next((match[1] for match in required if match), None)


def _in_range(name: str, installed: str | None, supported: str | None) -> Finding:
    if installed is None:
        return Finding(name, "problem", "not installed", f"Install it: pip install {name}.")
    if supported is None:
        return Finding(name, "note", f"{installed}, and which versions are supported is not known here")
    try:
        from braintrust.integrations.versioning import version_satisfies
    except ImportError:
        return Finding(name, "note", f"{installed}; {supported} is supported, but nothing here can compare them")
    if version_satisfies(installed, supported):
        return Finding(name, "ok", f"{installed}, and {supported} is supported")
    return Finding(name, "problem", f"{installed} is not supported", f"Install a version {supported}.")


def _methods(methods: Mapping[str, str | None]) -> Finding:
    found = sum(place is not None for place in methods.values())
    summary = f"{found} of {len(methods)} traced methods found"
    if not found:
        return Finding("methods", "problem", summary, "Reinstall mistralai: its client cannot be imported.", methods)
    if found < len(methods):
        advice = "This mistralai does not have the others; calls of those that were found are traced."
        return Finding("methods", "note", summary, advice, methods)
    return Finding("methods", "ok", summary, details=methods)


def _telemetry() -> Finding:
    """Tell whether mistralai's own OpenTelemetry tracing is on: by its variable, or before it had one always."""
    if _is_there("mistralai.extra.observability.telemetry"):
        return _telemetry_by_variable()
    if _has_tracer_provider():
        return _traced_twice("on, as OpenTelemetry has a tracer provider here")
    return Finding("opentelemetry", "ok", "mistralai's own tracing is off, until there is a tracer provider")


def _telemetry_by_variable() -> Finding:
    value = os.environ.get(TELEMETRY, "")
    mode = value.strip().lower()
    if mode == "global":
        condition = "" if _has_tracer_provider() else ", once there is a tracer provider"
        return _traced_twice(f"on by {TELEMETRY}=global{condition}")
    # Beside a tracer provider of the program, mistralai makes none of its own.
    if mode == "dedicated" and not _has_tracer_provider():
        if _is_there("opentelemetry.sdk.trace") and _is_there("opentelemetry.exporter.otlp.proto.http"):
            return _traced_twice(f"on by {TELEMETRY}=dedicated, and exports to Mistral")
        advice = f"Unset {TELEMETRY}, or install what it asks for: pip install 'mistralai[telemetry]'."
        return Finding("opentelemetry", "problem", f"{TELEMETRY}={value} makes every call fail here", advice)
    if value == "" or mode in ("false", "dedicated"):
        return Finding("opentelemetry", "ok", "mistralai's own tracing is off, unless the program turns it on")
    advice = "Unset it, or say dedicated, global or false."
    return Finding("opentelemetry", "problem", f"{TELEMETRY}={value} makes every call fail", advice)


def _traced_twice(state: str) -> Finding:
    advice = "Each call has a span there and one here: who exports both to one place sees every call twice."
    return Finding("opentelemetry", "note", f"mistralai's own tracing is {state}", advice)


def _has_tracer_provider() -> bool:
    from opentelemetry import trace

    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _logger() -> Finding:
    """Tell whether calls are logged: for certain where a logger exists, else by what one would find."""
    from braintrust import current_logger
    from braintrust.env import BraintrustEnv

    if current_logger() is not None:
        return Finding("logger", "ok", "this process has a logger")
    names = ("BRAINTRUST_APP_URL", "BRAINTRUST_API_URL", "BRAINTRUST_ORG_NAME")
    details = {name: os.environ[name] for name in names if name in os.environ}
    # The SDK also reads a file `.env.braintrust`.
    if BraintrustEnv.API_KEY.get(None, use_dotenv=True):
        summary = "BRAINTRUST_API_KEY is set; only your program knows whether it calls init_logger()"
        return Finding("logger", "ok", summary, details=details)
    advice = "Set it, or give init_logger() an api_key: without a logger nothing is traced."
    return Finding("logger", "note", "BRAINTRUST_API_KEY is not set", advice, details)


def _llm_spans() -> Finding:
    tracing = importlib.import_module(f"{INTEGRATION}.tracing.calls")
    name: str = tracing.LLM_SPANS
    if tracing.llm_spans_enabled(None):
        return Finding("llm spans", "ok", f"on by {name}")
    value = os.environ.get(name, "")
    if value.lower() in ("", "0", "false"):
        return Finding("llm spans", "ok", f"off; {name}=true turns them on")
    return Finding("llm spans", "note", f"off: {name} is {value!r}", "Say true or 1 to turn them on.")


def _lines(finding: Finding) -> Iterator[str]:
    yield from _filled(f"{finding.mark:9}", f"{finding.check}: {finding.summary}")
    yield from _filled(" " * 9, finding.advice)
    if finding.check == "methods":
        yield from _method_lines(finding.details)
        return
    for name, value in finding.details.items():
        yield from _filled(" " * 11, f"{name} is {value}")


def _method_lines(methods: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the methods, those of a resource together."""
    resources: dict[str, dict[str, bool]] = {}
    for name, place in methods.items():
        resource, _, method = name.rpartition(".")
        resources.setdefault(resource, {})[method] = place is not None
    for resource, found in resources.items():
        for label, wanted in (("", True), (" not found", False)):
            if names := [name for name, is_found in found.items() if is_found is wanted]:
                yield from _filled(" " * 11, f"{resource}{label}: {', '.join(names)}")


def _filled(head: str, text: str) -> Iterator[str]:
    indent = " " * len(head)
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
