"""Traces the program that `python -m braintrust_mistral run` executes, and the Python programs that it starts.

Each of their interpreters comes here at its start, with the settings in its environment, and imports nothing that the
program does not: a library is traced once the program has imported it, for it may have to do something before that,
such as gevent's patches.
"""

import inspect
import json
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict

from wrapt import register_post_import_hook, wrap_function_wrapper

from braintrust_mistral import RUN


class Settings(TypedDict):
    """What a traced program is told, as JSON in the environment variable `RUN`.

    Attributes:
        url: where the local Braintrust is.
        api_key: the key that it invented.
        project: the project to log to where the program sets up none.
        mistral_url: where clients of Mistral go, `None` for where they would.
    """

    url: str
    api_key: str
    project: str
    mistral_url: str | None


LIBRARIES: dict[str, tuple[str, ...]] = {
    "adk": ("google.adk",),
    "agentscope": ("agentscope",),
    "agno": ("agno",),
    "ai_sdk": ("ai",),
    "anthropic": ("anthropic",),
    "autogen": ("autogen_agentchat",),
    "bedrock": ("botocore",),
    "claude_agent_sdk": ("claude_agent_sdk",),
    "cohere": ("cohere",),
    "crewai": ("crewai",),
    "cursor_sdk": ("cursor_sdk",),
    "dspy": ("dspy",),
    "google_discoveryengine": ("google.cloud.discoveryengine_v1",),
    "google_genai": ("google.genai",),
    "huggingface_hub": ("huggingface_hub",),
    "instructor": ("instructor",),
    "langchain": ("langchain_core",),
    "litellm": ("litellm",),
    "livekit_agents": ("livekit.agents",),
    "llamaindex": ("llama_index.core",),
    "mistral": ("mistralai", "mistralai.client", "mistralai_azure", "mistralai_gcp"),
    "openai": ("openai",),
    "openai_agents": ("agents",),
    "openrouter": ("openrouter",),
    "pipecat": ("pipecat",),
    "pydantic_ai": ("pydantic_ai",),
    "strands": ("strands",),
    "temporal": ("temporalio",),
    "transformers": ("transformers",),
    "typesafe": ("typesafe_sdk",),
}
"""By parameter of `auto_instrument()`: the modules of which one must be imported before that library can be traced."""

_MISTRAL_CLIENTS = ("mistralai.client.sdk", "mistralai.sdk")


_logger = logging.getLogger(__name__)
_is_following = _traces_imports = False


def follow() -> None:
    """Trace what this process imports from now on, as the settings in its environment say."""
    global _is_following  # noqa: PLW0603
    if _is_following:
        return
    _is_following = True
    settings: Settings = json.loads(os.environ[RUN])
    _after("braintrust", partial(_set_up, settings))
    trace_imports()
    if settings["mistral_url"]:
        for name in _MISTRAL_CLIENTS:
            _after(name, partial(_redirect, settings["mistral_url"]))


def trace_imports() -> None:
    """Trace each library that was imported, and from now on each that is."""
    global _traces_imports  # noqa: PLW0603
    if _traces_imports:
        return
    _traces_imports = True
    for parameter, names in LIBRARIES.items():
        for name in names:
            _after(name, partial(_trace, parameter))


def _after(name: str, act: Callable[[Any], None]) -> None:
    """Act when the module of that name has been imported; what goes wrong then is not the program's."""

    def hook(module: Any) -> None:
        try:
            act(module)
        except Exception:
            _logger.warning("Tracing %s failed", name, exc_info=True)

    register_post_import_hook(hook, name)


def _set_up(settings: Settings, braintrust: Any) -> None:
    from braintrust_mistral.local.sdk import outlive_forks, send_to

    send_to(settings["url"], settings["api_key"])
    outlive_forks(settings["url"], settings["api_key"])
    if braintrust.current_logger() is None:
        braintrust.init_logger(project=settings["project"])


def _trace(parameter: str, _: Any) -> None:
    import braintrust

    auto_instrument: Callable[..., Any] = getattr(braintrust, "auto_instrument")  # noqa: B009
    known = inspect.signature(auto_instrument).parameters
    # What a later SDK traces, it traces with the first of these.
    switches = {name: name == parameter or name not in LIBRARIES for name in known if known[name].default is True}
    if parameter in switches:
        auto_instrument(**switches)


def _redirect(url: str, module: Any) -> None:
    def construct(wrapped: Callable[..., None], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = inspect.signature(wrapped).bind_partial(*args, **kwargs)
        given.arguments |= {"server_url": url, "api_key": given.arguments.get("api_key") or "local"}
        wrapped(*given.args, **given.kwargs)

    wrap_function_wrapper(module, "Mistral.__init__", construct)
