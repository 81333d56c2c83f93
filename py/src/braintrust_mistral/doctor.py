"""Examines what traces Mistral here, finding by finding; `python -m braintrust_mistral` prints what it found.

What a program sets itself, such as its logger, shows only from inside: `report(examine())` there tells that as well.
"""

import importlib
import os
import platform
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, version
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Literal, NamedTuple, ParamSpec

from braintrust_mistral import INTEGRATION, SWITCH, __version__, path_hook
from braintrust_mistral.loading import has_fallen_back, is_found, is_ours


if TYPE_CHECKING:
    from braintrust.integrations.base import FunctionWrapperPatcher


P = ParamSpec("P")

WIDTH = 80
TESTED = {"python": "3.14", "braintrust": "0.48.1", "mistralai": "3.7.0"}
"""The newest versions that are tested, those of `pyproject.toml`."""
KEY = "BRAINTRUST_API_KEY"
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

    It imports both SDKs, as far as they are there, and `braintrust.integrations.mistral`. A check that cannot be made,
    such as with an SDK that is too old for it, is a finding like the others.
    """
    early = INTEGRATION in sys.modules
    module: ModuleType | None = None
    try:
        module = importlib.import_module(INTEGRATION)
        findings = [_checked("overlay", _overlay, module, early)]
    except Exception as error:
        summary = f"braintrust-mistral {__version__} is not active: {type(error).__name__}: {error}"
        findings = [Finding("overlay", "problem", summary, "Nothing is traced; reinstall the braintrust SDK.")]
    findings += [_checked(name, _version_finding, name, module) for name in TESTED]
    if module is None:
        return findings
    if _version("mistralai"):
        findings += [_checked("methods", _methods, module), _checked("opentelemetry", _telemetry)]
    findings.append(_checked("logger", _logger, module))
    if is_ours(module):
        findings += [_checked("llm spans", _llm_spans), _checked("left out", _left_out)]
    return findings


def _checked(check: str, examiner: Callable[P, Finding], *args: P.args, **kwargs: P.kwargs) -> Finding:
    try:
        return examiner(*args, **kwargs)
    except Exception as error:
        summary = f"not supported with these versions: {type(error).__name__}: {error}"
        return Finding(check, "problem", summary, "What it would tell is not known; see the versions above.")


def report(findings: Iterable[Finding]) -> str:
    """Return the findings as text, 80 columns wide but for names that are longer."""
    return "\n".join(line for finding in findings for line in _lines(finding))


def traced_methods(module: ModuleType) -> dict[str, str | None]:
    """Map each method that this integration traces to its place in the installed mistralai, or to None.

    `mistral.chat.complete` is a method of the client of Mistral's own API, `mistral.azure.chat.complete` of another.
    """
    mistralai = _version("mistralai")
    methods: dict[str, str | None] = {}
    for method in _method_patchers(module):
        # One method has a patcher for each place where some mistralai has it.
        name = re.sub(r"\.(early_)?v\d+$", "", method.name)
        methods.setdefault(name, None)
        if method.applies(None, mistralai):
            methods[name] = f"{method.target_module}.{method.target_path}"
    return methods


def _method_patchers(module: ModuleType) -> "Iterator[type[FunctionWrapperPatcher]]":
    from braintrust.integrations.base import CompositeFunctionWrapperPatcher

    for patcher in module.MistralIntegration.patchers:
        if issubclass(patcher, CompositeFunctionWrapperPatcher):
            yield from patcher.sub_patchers


def _overlay(module: ModuleType, early: bool) -> Finding:
    details = {INTEGRATION: module.__file__}
    if is_ours(module):
        switch = os.environ.get(SWITCH)
        if switch:
            advice = f"{SWITCH} is {switch!r}, which changes nothing: only 0 turns this integration off."
            return Finding("overlay", "note", f"braintrust-mistral {__version__} is active", advice, details)
        return Finding("overlay", "ok", f"braintrust-mistral {__version__} is active", details=details)
    reason, advice = _reason(early)
    return Finding("overlay", "problem", f"braintrust-mistral {__version__} is not active: {reason}", advice, details)


def _reason(early: bool) -> tuple[str, str]:
    """Return why the SDK's own integration is in force, and what to do about it."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0", "The SDK's own integration is in force; unset the variable to change that."
    if early:
        advice = "Have nothing import braintrust at start-up; `python -X importtime` shows what does."
        return "the SDK's own module was imported before it", advice
    if has_fallen_back():
        advice = "The SDK's own integration is in force; upgrade braintrust and braintrust-mistral."
        return "it cannot be imported with this braintrust, see the warning", advice
    if path_hook not in sys.path_hooks:
        advice = (
            "Python reads none in folders of PYTHONPATH, such as those of pip install --target, and with -S: "
            "call braintrust_mistral.activate() before anything imports braintrust."
        )
        return "no start-up file was read", advice
    if not is_found():
        advice = "Reinstall braintrust-mistral; till then the SDK's own integration traces."
        return "its files are missing", advice
    return (
        "another import hook found the SDK's own first",
        f"It is in sys.meta_path, which begins with {sys.meta_path[0]!r}.",
    )


def _version_finding(name: str, module: ModuleType | None) -> Finding:
    """Tell whether this version is in the range that the one declaration of it names, and is not newer than tested."""
    installed = platform.python_version() if name == "python" else _version(name)
    if installed is None:
        return Finding(name, "problem", "not installed", f"Install it: pip install {name}.")
    supported = _supported(name, module)
    if supported is None:
        return Finding(name, "note", f"{installed}, and which versions are supported is not known here")
    try:
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version
    except ImportError:
        return Finding(name, "note", f"{installed}; {supported} is supported, but nothing here can compare them")
    if not SpecifierSet(supported).contains(installed, prereleases=True):
        return Finding(name, "problem", f"{installed} is not supported", f"Install a version {supported}.")
    tested = Version(TESTED[name])
    # A Python is tested as a series, of which the environment has any patch.
    if Version(installed).release[: len(tested.release)] > tested.release:
        summary = f"{installed} is untested: newer than {TESTED[name]}, the newest that is tested"
        return Finding(name, "note", summary, "It should work; whether all methods were found is told below.")
    return Finding(name, "ok", f"{installed}, and {supported} is supported")


def _supported(name: str, module: ModuleType | None) -> str | None:
    """Return the versions that this distribution requires, or of mistralai the integration, where that is known."""
    if name == "mistralai":
        oldest: str | None = getattr(getattr(module, "MistralIntegration", None), "min_version", None)
        return oldest and f">={oldest}"
    try:
        declared = metadata("braintrust-mistral")
    except PackageNotFoundError:
        return None
    if name == "python":
        return declared["Requires-Python"]
    required = (re.match(rf"{name}\b\s*([^;]*)", line) for line in declared.get_all("Requires-Dist") or ())
    return next((match[1] for match in required if match), None)


def _methods(module: ModuleType) -> Finding:
    mistralai = _version_finding("mistralai", module)
    if mistralai.mark == "problem":
        return Finding("methods", "problem", f"none is traced: mistralai {mistralai.summary}", mistralai.advice)
    methods = traced_methods(module)
    found = sum(place is not None for place in methods.values())
    summary = f"{found} of {len(methods)} traced methods found"
    if not found:
        return Finding("methods", "problem", summary, "Reinstall mistralai: its client cannot be imported.", methods)
    # A resource that is missing whole is another version's, or another client's that was not installed.
    present = {_resource_of(name) for name, place in methods.items() if place is not None}
    if any(place is None and _resource_of(name) in present for name, place in methods.items()):
        advice = "This mistralai does not have the others; calls of those that were found are traced."
        return Finding("methods", "note", summary, advice, methods)
    return Finding("methods", "ok", summary, details=methods)


def _resource_of(method: str) -> str:
    return method.rpartition(".")[0]


def _telemetry() -> Finding:
    """Tell whether mistralai's own OpenTelemetry tracing is on: by its variable, or before it had one always."""
    if _is_there("mistralai.extra.observability.telemetry"):
        return _telemetry_by_variable()
    if not _is_there("mistralai.extra.observability") or not _is_there("opentelemetry"):
        return Finding("opentelemetry", "ok", "this mistralai has no tracing of its own")
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


def _logger(module: ModuleType) -> Finding:
    """Tell whether calls are logged: for certain inside the program, else by what its logger would find."""
    from braintrust.logger import NOOP_SPAN, get_span_parent_object

    names = ("BRAINTRUST_APP_URL", "BRAINTRUST_API_URL", "BRAINTRUST_ORG_NAME")
    details = {name: os.environ[name] for name in names if name in os.environ}
    if get_span_parent_object() is not NOOP_SPAN:
        return Finding("logger", "ok", "this process has a logger", details=details)
    if _is_traced(module):
        advice = "Call braintrust.init_logger() before the first call, or make the calls inside of a span."
        return Finding("logger", "problem", "this process traces Mistral, and has no logger", advice, details)
    if place := _place_of_key():
        summary = f"{KEY} is {place}; only your program knows whether it calls init_logger()"
        return Finding("logger", "ok", summary, details=details)
    advice = "Set it, or give init_logger() an api_key: without a logger nothing is traced."
    return Finding("logger", "note", f"{KEY} is not set", advice, details)


def _is_traced(module: ModuleType) -> bool:
    """Tell whether this program has Mistral traced, be it everywhere or, of ours, for single clients."""
    if any(patcher.is_patched(None, None) for patcher in _method_patchers(module)):
        return True
    if not is_ours(module):
        return False
    is_wrapped = importlib.import_module(f"{INTEGRATION}.patching").has_traced_class
    # The SDK's clients and resources have one base class, wherever this mistralai keeps it.
    bases = [vars(each).get("BaseSDK") for name, each in list(sys.modules.items()) if name.endswith(".basesdk")]
    return any(is_wrapped(kind) for base in bases if isinstance(base, type) for kind in base.__subclasses__())


def _place_of_key() -> str:
    """Return how the SDK finds an API key when the program gives it none, or nothing."""
    if os.environ.get(KEY, "").strip():
        return "set"
    try:
        from braintrust.env import BraintrustEnv
    except ImportError:
        # Such an SDK reads no file.
        return ""
    return "set in .env.braintrust" if BraintrustEnv.API_KEY.get(None, use_dotenv=True) else ""


def _llm_spans() -> Finding:
    llm_spans = importlib.import_module(f"{INTEGRATION}.llm_spans")
    name: str = llm_spans.LLM_SPANS
    if llm_spans.llm_spans_enabled(None):
        return Finding("llm spans", "ok", f"on by {name}")
    value = os.environ.get(name, "")
    if not value.strip() or not llm_spans.is_on(name, default=True):
        return Finding("llm spans", "ok", f"off; {name}=true turns them on")
    return Finding("llm spans", "note", f"off: {name} is {value!r}", "Say true or 1 to turn them on.")


def _left_out() -> Finding:
    """Tell what the environment has kept out of the spans, and by which variables."""
    module = importlib.import_module(f"{INTEGRATION}.settings")
    settings = module.settings()
    summaries = [] if settings.content else ["content"]
    if settings.content and settings.max_attachment_bytes is not None:
        summaries.append(f"attachments of more than {settings.max_attachment_bytes} bytes")
    if settings.sample_rate is not None:
        summaries.append(f"{100 * (1 - settings.sample_rate):g} % of the traces")
    names = (module.CONTENT, module.MAX_ATTACHMENT_BYTES, module.SAMPLE_RATE)
    details = {name: os.environ[name] for name in names if name in os.environ}
    return Finding("left out", "ok", " and ".join(summaries) or "nothing", details=details)


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
