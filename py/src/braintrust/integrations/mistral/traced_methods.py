"""What is traced of each resource: the table of its methods.

Here all rooms meet, so nothing imports this before an application uses a resource (`patchers.py`).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from .operations import Operation
from .patching import Wrapper
from .resources import (
    agents,
    audio,
    batch,
    classifiers,
    completions,
    conversations,
    embeddings,
    ocr,
    realtime,
    responses,
    retrieval,
    voice_agents,
    workflows,
)
from .runs import runs
from .tracing import downloads, mcp_sessions, parsing, sessions
from .tracing.calls import traced, traced_async


class TracedMethods(NamedTuple):
    """The traced methods of one resource.

    Attributes:
        operations: those that are calls, by name. Each has an async twin, its name followed by `_async`.
        wrappers: the others, by name, which only the client of Mistral's own API has.
    """

    operations: Mapping[str, Operation] = MappingProxyType({})
    wrappers: Mapping[str, Wrapper] = MappingProxyType({})

    def all_wrappers(self) -> Iterator[tuple[str, Wrapper]]:
        """Yield each method with its wrapper."""
        for method, operation in self.operations.items():
            yield method, traced(operation)
            yield f"{method}_async", traced_async(operation)
        yield from self.wrappers.items()


TRACED_METHODS: Mapping[str, TracedMethods] = {
    "chat": TracedMethods(completions.CHAT, parsing.WRAPPERS),
    "agents": TracedMethods(completions.AGENTS),
    "fim": TracedMethods(completions.FIM),
    "embeddings": TracedMethods(embeddings.OPERATIONS),
    "ocr": TracedMethods(ocr.OPERATIONS),
    "audio.transcriptions": TracedMethods(audio.TRANSCRIPTIONS),
    "audio.speech": TracedMethods(audio.SPEECH),
    "classifiers": TracedMethods(classifiers.OPERATIONS),
    "responses": TracedMethods(responses.OPERATIONS),
    "beta.conversations": TracedMethods(conversations.OPERATIONS, runs.WRAPPERS),
    "beta.agents": TracedMethods(agents.OPERATIONS),
    "beta.connectors": TracedMethods(
        retrieval.CONNECTORS, {"mcp_client": mcp_sessions.traced_sessions(retrieval.session_tool)}
    ),
    "beta.context.search_indexes": TracedMethods(retrieval.SEARCH_INDEXES),
    "beta.rag.managed_indexes": TracedMethods(retrieval.MANAGED_INDEXES),
    "beta.libraries.documents": TracedMethods(retrieval.DOCUMENTS),
    "workflows": TracedMethods(workflows.OPERATIONS),
    "batch.jobs": TracedMethods(batch.OPERATIONS),
    "files": TracedMethods(
        wrappers={**downloads.wrappers(batch.results_in), **downloads.upload_wrappers(batch.remember_upload)}
    ),
    "extra.batch": TracedMethods(wrappers={"run": traced_async(batch.RUN), "wait": traced_async(batch.WAIT)}),
    "audio.realtime": TracedMethods(wrappers={"connect": sessions.traced_connect(realtime.TranscriptionSession)}),
    "audio.realtime_speech": TracedMethods(wrappers={"connect": sessions.traced_connect(realtime.SpeechSession)}),
    "extra.voice_agents": TracedMethods(wrappers={"invoke": traced_async(voice_agents.function_operation)}),
}
"""The traced methods of each resource of `patchers.RESOURCES`, by its path."""
