"""What tools and searches log that an application calls by itself, without a model.

- `input`: the arguments of the tool, or of the search.
- `output`: what came of it.
- `metadata`: which tool of which connector it was, which index or which library.
- `error`: also what a connector's tool reports as a failure, which it returns like a result.
"""

from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..errors import tool_error_text
from ..operations import Operation, Outcome, Request, RequestReader
from ..payloads import Loggable, only_dicts, to_loggable, without_none
from .reading import from_loggable, parameters_of, request_reader


def read_tool_response(response: Any, request: Request) -> Outcome:
    """Return what a `ConnectorToolCallResponse` logs, or the `CallToolResult` of an MCP session."""
    # Pylint sees the function below the decorator.
    outcome = _read_tool_result(response, request)  # pylint: disable=too-many-function-args
    return outcome._replace(error=_failure(outcome.output, request))


@from_loggable
def _read_tool_result(result: dict[str, Loggable]) -> Outcome:
    return Outcome(result)


def _failure(result: Loggable, request: Request) -> str | None:
    """Return what a tool reports as a failure: of a connector's response, MCP's fields are in its metadata."""
    fields = result if isinstance(result, dict) else {}
    metadata = fields.get("metadata")
    mcp = metadata.get("mcp_meta") if isinstance(metadata, dict) else None
    # By either name: mcp 2 has the second.
    flags = [part.get(name) for part in only_dicts([fields, mcp]) for name in ("isError", "is_error")]
    if not any(flag is True for flag in flags):
        return None
    texts = [part["text"] for part in only_dicts(fields.get("content")) if isinstance(part.get("text"), str)]
    return tool_error_text("\n".join(map(str, texts)) or "The tool failed.", str(request.metadata.get("tool_name")))


def session_tool(connector: Loggable) -> Operation:
    """Return the operation of a call in the MCP session with a connector."""

    def read_request(arguments: Mapping[str, Any]) -> Request:
        metadata: dict[str, Loggable] = {
            "provider": "mistral",
            "tool_name": to_loggable(arguments.get("name")),
            "connector_id_or_name": to_loggable(connector),
        }
        return Request(to_loggable(arguments.get("arguments")), without_none(metadata))

    name = "mistral.beta.connectors.mcp_client.call_tool"
    return Operation(name, SpanTypeAttribute.TOOL, read_request, read_tool_response)


def _search_reader(source: str) -> RequestReader:
    """Return a reader of requests that log as metadata only what is searched: the argument of this name."""

    def read_request(arguments: Mapping[str, Any]) -> Request:
        parameters = parameters_of(arguments)
        metadata = without_none({"provider": "mistral", source: parameters.pop(source, None)})
        if "retriever" in parameters:
            parameters["retriever"] = _without_vectors(parameters["retriever"])
        return Request(parameters or None, metadata)

    return read_request


def _without_vectors(retriever: Loggable) -> Loggable:
    """Return how a search retrieves, with the size of an embedding instead of its numbers."""
    if not isinstance(retriever, dict):
        return retriever
    shaped = dict(retriever)
    if isinstance(vector := shaped.get("query_embedding"), list):
        shaped["query_embedding"] = f"<{len(vector)} numbers>"
    if isinstance(retrievers := shaped.get("retrievers"), list):
        shaped["retrievers"] = [_without_vectors(each) for each in retrievers]
    return shaped


@from_loggable
def read_found(found: dict[str, Loggable]) -> Outcome:
    """Return what a search logs: the list of what it found where there is nothing else, or all of it."""
    for name in ("hits", "chunks"):
        if found.keys() == {name}:
            return Outcome(found[name])
    return Outcome(found)


def _searches(resource: str, source: str, *methods: str) -> dict[str, Operation]:
    read_request = _search_reader(source)
    return {
        method: Operation(f"mistral.{resource}.{method}", SpanTypeAttribute.TOOL, read_request, read_found)
        for method in methods
    }


CONNECTORS = {
    "call_tool": Operation(
        "mistral.beta.connectors.call_tool", SpanTypeAttribute.TOOL, request_reader("arguments"), read_tool_response
    )
}
"""The traced methods of `client.beta.connectors`."""

_INDEX_METHODS = ("search", "navigate", "read", "grep", "get_chunk")

SEARCH_INDEXES = _searches("beta.context.search_indexes", "index_name", *_INDEX_METHODS)
"""The traced methods of `client.beta.context.search_indexes`."""

MANAGED_INDEXES = _searches("beta.rag.managed_indexes", "index_name", *_INDEX_METHODS)
"""The traced methods of `client.beta.rag.managed_indexes`, which search indexes are called in 2.x and 3.0."""

DOCUMENTS = _searches("beta.libraries.documents", "library_id", "list", "text_content")
"""The traced methods of `client.beta.libraries.documents`: those that search a library, and read what is in it."""
