"""The table of traced resources, turned into the SDK's patchers."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from braintrust.integrations.base import CompositeFunctionWrapperPatcher, FunctionWrapperPatcher

from .faults import guarded
from .operations import Operation
from .patching import OncePatcher, Wrapper
from .resources import audio, classifiers, completions, conversations, embeddings, ocr, responses
from .runs import runs
from .tracing.calls import set_llm_spans, traced, traced_async


class Resource(NamedTuple):
    """One resource of the Mistral client.

    Attributes:
        path: where it hangs on a client; with "mistral" in front, also the name of its patcher.
        module: the module of its class, in `mistralai` (1.x) and in `mistralai.client` (2.x and 3.x).
        class_name: the name of its class.
        operations: its traced methods by name. Each has an async twin, its name followed by `_async`.
        wrappers: those of traced methods that have no such twin, by name.
    """

    path: str
    module: str
    class_name: str
    operations: Mapping[str, Operation]
    wrappers: Mapping[str, Wrapper] = MappingProxyType({})

    def all_wrappers(self) -> Iterator[tuple[str, Wrapper]]:
        """Yield each traced method with its wrapper."""
        for method, operation in self.operations.items():
            yield method, traced(operation)
            yield f"{method}_async", traced_async(operation)
        yield from self.wrappers.items()


RESOURCES = (
    Resource("chat", "chat", "Chat", completions.CHAT),
    Resource("agents", "agents", "Agents", completions.AGENTS),
    Resource("fim", "fim", "Fim", completions.FIM),
    Resource("embeddings", "embeddings", "Embeddings", embeddings.OPERATIONS),
    Resource("ocr", "ocr", "Ocr", ocr.OPERATIONS),
    Resource("audio.transcriptions", "transcriptions", "Transcriptions", audio.TRANSCRIPTIONS),
    Resource("audio.speech", "speech", "Speech", audio.SPEECH),
    Resource("classifiers", "classifiers", "Classifiers", classifiers.OPERATIONS),
    Resource("responses", "responses", "Responses", responses.OPERATIONS),
    Resource("beta.conversations", "conversations", "Conversations", conversations.OPERATIONS, runs.WRAPPERS),
)
"""Every traced resource. A further one is a further row."""


class MethodPatcher(OncePatcher):
    """Patches one method of a resource's class, or of one client's resource, at most once."""

    @classmethod
    def patch_marker_attr(cls) -> str:
        """Return the mark of a patched method: the same for every version of the SDK's layout."""
        return f"__braintrust_patched_{re.sub(r'[.]v[12]$', '', cls.name).replace('.', '_')}__"

    @classmethod
    def wrap_target(cls, target: Any) -> Any:
        """Patch one resource object, unless its class or the object itself is patched already."""
        with cls.lock:
            method = getattr(target, cls.target_path.rpartition(".")[2], None)
            return target if cls.has_patch_marker(method) else super().wrap_target(target)


def _method_patchers(resource: Resource, method: str, wrapper: Wrapper) -> list[type[FunctionWrapperPatcher]]:
    """Return the patchers of a method, for both places where its class may live."""
    patchers: list[type[FunctionWrapperPatcher]] = []
    superseded_by: tuple[type[FunctionWrapperPatcher], ...] = ()
    for version, package in (("v2", "mistralai.client"), ("v1", "mistralai")):
        attributes: dict[str, Any] = {
            "name": f"mistral.{resource.path}.{method}.{version}",
            "target_module": f"{package}.{resource.module}",
            "target_path": f"{resource.class_name}.{method}",
            "wrapper": staticmethod(wrapper),
            "superseded_by": superseded_by,
            "__module__": __name__,
        }
        class_name = f"{resource.class_name}{method.title().replace('_', '')}{version.upper()}Patcher"
        patcher = type(class_name, (MethodPatcher,), attributes)
        patchers.append(patcher)
        superseded_by = (patcher,)
    return patchers


def _resource_patcher(resource: Resource) -> type[CompositeFunctionWrapperPatcher]:
    methods = [
        patcher
        for method, wrapper in resource.all_wrappers()
        for patcher in _method_patchers(resource, method, wrapper)
    ]
    attributes: dict[str, Any] = {
        "name": f"mistral.{resource.path}",
        "sub_patchers": tuple(methods),
        "__module__": __name__,
        "__doc__": f"Patches the methods of `client.{resource.path}`.",
    }
    return type(f"{resource.class_name}Patcher", (CompositeFunctionWrapperPatcher,), attributes)


PATCHERS = tuple(_resource_patcher(resource) for resource in RESOURCES)
"""The patchers of `RESOURCES`, in its order."""

(
    ChatPatcher,
    AgentsPatcher,
    FimPatcher,
    EmbeddingsPatcher,
    OcrPatcher,
    TranscriptionsPatcher,
    SpeechPatcher,
    ClassifiersPatcher,
    ResponsesPatcher,
    ConversationsPatcher,
) = PATCHERS


def wrap_mistral(client: Any, *, llm_spans: bool | None = None) -> Any:
    """Trace the calls of one `mistralai.Mistral` client and return that client.

    Together with `braintrust.auto_instrument()`, in either order and any number of times, a call has one span.
    A resource that the installed `mistralai` does not have is passed over.

    Args:
        client: the client.
        llm_spans: whether its conversations show the model calls inside, as llm spans below the call's; if left out,
            `BRAINTRUST_MISTRAL_LLM_SPANS=true` decides, and without that they do not.

    Raises:
        TypeError: if `client` has none of the traced resources.
    """
    found = False
    for resource, patcher in zip(RESOURCES, PATCHERS, strict=True):
        target = client
        for name in resource.path.split("."):
            target = getattr(target, name, None)
        if any(hasattr(target, method) for method in resource.operations):
            guarded(patcher.wrap_target, target, fallback=target)
            if llm_spans is not None:
                guarded(set_llm_spans, target, llm_spans, fallback=None)
            found = True
    if not found:
        raise TypeError(
            f"wrap_mistral() takes a client, as in wrap_mistral(Mistral(api_key=...)), not {type(client).__name__}"
        )
    return client
