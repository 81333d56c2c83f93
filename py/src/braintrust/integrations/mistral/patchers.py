"""The table of the client's resources, turned into the SDK's patchers."""

import functools
import logging
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from braintrust.integrations.versioning import detect_module_version, version_satisfies

from .faults import guarded
from .llm_spans import llm_spans_decided_for, set_llm_spans
from .patching import MethodPatcher, MethodPatchers, ResourcePatcher, Wrapper, method_name, traced_class
from .providers import AZURE, MISTRAL, VERTEX, Provider, is_sdk_class


if TYPE_CHECKING:
    from .traced_methods import TracedMethods


Client = TypeVar("Client")

OLDEST_MISTRALAI = "1.12.4"
"""The oldest version of the client that is traced."""

_logger = logging.getLogger(__name__.rpartition(".")[0])


class Place(NamedTuple):
    """Where a class of the SDK may live.

    Attributes:
        provider: whose client has it.
        version: which versions of the SDK have it there: `v2` for 2.0 and newer, `early_v2` for the first of 2.x where
            they differ, `v1` for 1.x.
        module: its module.
        class_name: its name.
    """

    provider: Provider
    version: str
    module: str
    class_name: str


def on(*providers: Provider, module: str, class_name: str, v1: str | None = None) -> tuple[Place, ...]:
    """Return the places of a class that the clients of these providers have.

    Args:
        providers: the providers.
        module: its module, below the client's package.
        class_name: its name.
        v1: its module and its name in 1.x, as in `"jobs.Jobs"`, where they are others.
    """
    earlier_module, _, earlier_name = (v1 or f"{module}.{class_name}").partition(".")
    return tuple(
        Place(provider, version, f"{package}.{module_name}", name)
        for provider in providers
        for version, package, module_name, name in (
            ("v2", provider.packages[0], module, class_name),
            ("v1", provider.packages[1], earlier_module, earlier_name),
        )
    )


class Resource(NamedTuple):
    """One resource of the Mistral client.

    Attributes:
        path: where it hangs on a client; with "mistral" in front, also the name of its patcher.
        places: all places where its class may live, the newest SDK's first; an SDK has one of each provider's.
    """

    path: str
    places: tuple[Place, ...]

    @property
    def name(self) -> str:
        """The name of its class in the newest SDK."""
        return self.places[0].class_name

    @property
    def methods(self) -> "TracedMethods":
        """Its traced methods, with all that tracing needs, which is imported when an application uses a resource."""
        from .traced_methods import TRACED_METHODS

        return TRACED_METHODS[self.path]


RESOURCES = (
    Resource("chat", on(MISTRAL, AZURE, VERTEX, module="chat", class_name="Chat")),
    Resource("agents", on(MISTRAL, module="agents", class_name="Agents")),
    Resource("fim", on(MISTRAL, VERTEX, module="fim", class_name="Fim")),
    Resource("embeddings", on(MISTRAL, module="embeddings", class_name="Embeddings")),
    Resource("ocr", on(MISTRAL, AZURE, module="ocr", class_name="Ocr")),
    Resource("audio.transcriptions", on(MISTRAL, module="transcriptions", class_name="Transcriptions")),
    Resource("audio.speech", on(MISTRAL, module="speech", class_name="Speech")),
    Resource("classifiers", on(MISTRAL, module="classifiers", class_name="Classifiers")),
    Resource("responses", on(MISTRAL, module="responses", class_name="Responses")),
    Resource("beta.conversations", on(MISTRAL, module="conversations", class_name="Conversations")),
    Resource(
        "beta.agents",
        on(MISTRAL, module="beta_agents", class_name="BetaAgents", v1="mistral_agents.MistralAgents"),
    ),
    Resource("beta.connectors", on(MISTRAL, module="connectors", class_name="Connectors")),
    Resource(
        "beta.context.search_indexes",
        on(MISTRAL, module="context_search_indexes", class_name="ContextSearchIndexes"),
    ),
    Resource("beta.rag.managed_indexes", on(MISTRAL, module="managed_indexes", class_name="ManagedIndexes")),
    Resource("beta.libraries.documents", on(MISTRAL, module="documents", class_name="Documents")),
    Resource("workflows", on(MISTRAL, module="workflows", class_name="Workflows")),
    Resource(
        "batch.jobs",
        (
            *on(MISTRAL, module="jobs", class_name="Jobs", v1="mistral_jobs.MistralJobs"),
            Place(MISTRAL, "early_v2", "mistralai.client.batch_jobs", "BatchJobs"),
        ),
    ),
    Resource("files", on(MISTRAL, module="files", class_name="Files")),
    Resource("extra.batch", (Place(MISTRAL, "v2", "mistralai.extra.batch.client", "BatchClient"),)),
    Resource(
        "audio.realtime",
        (Place(MISTRAL, "v2", "mistralai.extra.realtime.transcription", "RealtimeTranscription"),),
    ),
    Resource("audio.realtime_speech", (Place(MISTRAL, "v2", "mistralai.extra.realtime.speech", "RealtimeSpeech"),)),
    Resource("extra.voice_agents", (Place(MISTRAL, "v2", "mistralai.extra.voice_agents.tools", "FunctionHandler"),)),
)
"""Every traced resource. A further one is a further row here, and one in `traced_methods.TRACED_METHODS`."""


def _method_patchers(resource: Resource) -> Iterator[type[MethodPatcher]]:
    """Yield the patchers of a resource's methods, for all places where its class may live."""
    for method, wrapper in resource.methods.all_wrappers():
        yield from _patchers_of(resource, method, wrapper)


def _patchers_of(resource: Resource, method: str, wrapper: Wrapper) -> Iterator[type[MethodPatcher]]:
    superseded_by: dict[Provider, type[MethodPatcher]] = {}
    for place in resource.places:
        if place.provider is not MISTRAL and method in resource.methods.wrappers:
            continue
        cloud = "" if place.provider is MISTRAL else place.provider.name
        superior = superseded_by.get(place.provider)
        attributes: dict[str, Any] = {
            "name": ".".join(filter(None, ("mistral", cloud, resource.path, method, place.version))),
            "target_module": place.module,
            "target_path": f"{place.class_name}.{method}",
            "wrapper": staticmethod(wrapper),
            "superseded_by": (superior,) if superior else (),
            "__module__": __name__,
        }
        method_name = method.title().replace("_", "")
        class_name = f"{cloud.title()}{resource.name}{method_name}{place.version.title().replace('_', '')}Patcher"
        patcher = type(class_name, (MethodPatcher,), attributes)
        superseded_by[place.provider] = patcher
        yield patcher


def _resource_patcher(resource: Resource) -> type[ResourcePatcher]:
    attributes: dict[str, Any] = {
        "name": f"mistral.{resource.path}",
        "sub_patchers": MethodPatchers(functools.partial(_method_patchers, resource)),
        "target_modules": tuple(dict.fromkeys(place.module for place in resource.places)),
        "__module__": __name__,
        "__doc__": f"Patches the methods of `client.{resource.path}`.",
    }
    return type(f"{resource.name}Patcher", (ResourcePatcher,), attributes)


PATCHERS = tuple(_resource_patcher(resource) for resource in RESOURCES)
"""The patchers of `RESOURCES`, in its order."""

# By their names, `ChatPatcher` and the like, as the SDK's own module has them.
globals().update({patcher.__name__: patcher for patcher in PATCHERS})


def wrap_mistral(client: Client, *, llm_spans: bool | None = None) -> Client:
    """Trace the calls of one `mistralai.Mistral` client and return that client.

    Together with `braintrust.auto_instrument()`, in either order and any number of times, a call has one span. A copy
    of the client is traced as well. A resource that the installed `mistralai` does not have is passed over, and one
    that the client makes when it is asked for is traced then. With a `mistralai` that is older than what
    `auto_instrument()` traces, the client is left as it is, with a warning.

    Args:
        client: the client.
        llm_spans: whether its conversations show the model calls inside, as llm spans below the call's; if left out,
            `BRAINTRUST_MISTRAL_LLM_SPANS=true` decides, and without that they do not.

    Raises:
        TypeError: if `client` has none of the traced resources.
    """
    if not _is_supported():
        return client
    names = {resource.path.partition(".")[0] for resource in RESOURCES}
    made_when_asked_for = names & set(getattr(type(client), "_sub_sdk_map", ()))
    if made_when_asked_for:
        # First of all: another thread may ask for them now.
        _trace_later(client, llm_spans)
    now = {name for name in names if name not in made_when_asked_for or name in vars(client)}
    found = [_trace_attribute(client, name, llm_spans) for name in now]
    if not made_when_asked_for and not any(found):
        raise TypeError(
            f"wrap_mistral() takes a client, as in wrap_mistral(Mistral(api_key=...)), not {type(client).__name__}"
        )
    return client


@guarded(fallback=True)
def _is_supported() -> bool:
    """Tell whether the installed `mistralai` is in the range that is traced, and warn where it is not."""
    version = detect_module_version(None, ("mistralai",))
    is_supported = version_satisfies(version, f">={OLDEST_MISTRALAI}")
    if not is_supported:
        _logger.warning("mistralai %s is not traced: %s or newer is needed", version, OLDEST_MISTRALAI)
    return is_supported


@guarded(fallback=False)
def _trace_attribute(owner: Any, name: str, llm_spans: bool | None) -> bool:
    """Trace the resources at or below an attribute of a client, and return whether there is any."""
    found = False
    for resource, patcher in zip(RESOURCES, PATCHERS, strict=True):
        if resource.path.partition(".")[0] != name:
            continue
        target = owner
        for part in resource.path.split("."):
            if isinstance(getattr(type(target), part, None), property):
                _trace_property(target, part, patcher)
                target = None
            target = getattr(target, part, None)
        if any(hasattr(target, method_name(method)) for method in patcher.sub_patchers):
            found = True
            _trace_resource(target, patcher, llm_spans)
    return found


@guarded(fallback=None)
def _trace_property(owner: Any, name: str, patcher: type[ResourcePatcher]) -> None:
    """Trace the resource behind a property, which makes it, and imports what it needs, when it is asked for."""
    kind = traced_class(type(owner))
    if name not in vars(kind):
        make = getattr(kind, name).fget

        def make_traced(self: Any) -> Any:
            made = make(self)
            _trace_resource(made, patcher, None)
            return made

        setattr(kind, name, property(make_traced))
    owner.__class__ = kind


@guarded(fallback=None)
def _trace_resource(target: Any, patcher: type[ResourcePatcher], llm_spans: bool | None) -> None:
    patcher.wrap_target(target)
    if llm_spans is not None:
        set_llm_spans(target, llm_spans)


@guarded(fallback=None)
def _trace_later(client: Any, llm_spans: bool | None) -> None:
    """Trace the resources of a client that it makes when they are asked for, in itself and in its copies."""
    if llm_spans is not None:
        set_llm_spans(client, llm_spans)
    kind = traced_class(type(client))
    if "__setattr__" not in vars(kind):

        def set_traced(self: Any, name: str, value: Any) -> None:
            # Before the client has it, and so any other thread.
            if is_sdk_class(type(value)):
                _trace_attribute(types.SimpleNamespace(**{name: value}), name, llm_spans_decided_for(self))
            super(kind, self).__setattr__(name, value)

        kind.__setattr__ = set_traced  # pyright: ignore[reportAttributeAccessIssue]
    client.__class__ = kind
