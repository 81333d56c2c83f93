"""What tools and searches log that an application calls by itself."""

import base64
import json
from typing import Any
from unittest.mock import ANY

import braintrust
import pytest

from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.helpers.features import has, needs
from tests.helpers.spans import LoggedSpan, Media, logged_calls
from tests.helpers.wire import AT, Json, answer, httpx


# The SDK's own, of methods and parameters that it is about to change.
pytestmark = pytest.mark.filterwarnings(r"ignore:warning. \*\* DEPRECATED:DeprecationWarning")

has_connectors = needs("beta.connectors.call_tool")

PNG = b"\x89PNG\r\n\x1a\nbread"
FOUND: Json = {"type": "text", "text": "Rye bread, 500 g."}
RECIPE: Json = {"tool_name": "find_recipe", "connector_id_or_name": "recipes", "arguments": {"bread": "rye"}}
CHUNK: Json = {
    "id": "chunk_1",
    "source_id": "recipes",
    "locator": "page:1",
    "start_offset": 0,
    "end_offset": 17,
    "chunk_type": "text",
    "content": "Rye bread, 500 g.",
}


def logged(spans: LoggedSpans) -> LoggedSpan:
    (call,) = logged_calls(spans.pop())
    return call


@has_connectors
def test_a_connectors_tool_has_its_arguments_and_its_result(call_method: CallMethod, spans: LoggedSpans) -> None:
    image = {"type": "image", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"}
    call_method(lambda _: answer({"content": [FOUND, image]}), "beta.connectors.call_tool", **RECIPE)
    about = {"tool_name": "find_recipe", "connector_id_or_name": "recipes"}
    assert logged(spans) == LoggedSpan(
        name="mistral.beta.connectors.call_tool",
        type="tool",
        input={"bread": "rye"},
        output={"content": [FOUND, {**image, "data": Media(PNG, "image/png", "image.png")}]},
        metadata={"provider": "mistral", **about},
        metrics={"duration": ANY},
    )


@has_connectors
def test_a_failure_that_a_connectors_tool_returns_is_an_error(call_method: CallMethod, spans: LoggedSpans) -> None:
    response: Json = {
        "content": [{"type": "text", "text": "No oven."}],
        "metadata": {"mcp_meta": {"isError": True}},
    }
    assert call_method(lambda _: answer(response), "beta.connectors.call_tool", **RECIPE).content
    call = logged(spans)
    assert (call.error, call.output["content"]) == ("No oven.", response["content"])


@has_connectors
def test_with_a_masking_function_a_failure_repeats_nothing(call_method: CallMethod, spans: LoggedSpans) -> None:
    response: Json = {"content": [FOUND], "metadata": {"mcp_meta": {"isError": True}}}
    braintrust.set_masking_function(lambda value: value)
    try:
        call_method(lambda _: answer(response), "beta.connectors.call_tool", **RECIPE)
        assert logged(spans).error == "Error executing tool find_recipe"
    finally:
        braintrust.set_masking_function(None)


SEARCHES: dict[str, tuple[Json, Json]] = {
    "search": (
        {"retriever": {"type": "keyword", "query": "rye", "top_k": 3}},
        {"hits": [{"chunk": CHUNK, "score": 0.7, "index_name": "bakery"}]},
    ),
    "navigate": (
        {"source_id": "recipes", "start_offset": 0, "end_offset": 17, "direction": "next"},
        {"chunks": [CHUNK]},
    ),
    "read": ({"source_id": "recipes", "start_offset": 0, "end_offset": 17}, {"chunks": [CHUNK]}),
    "grep": ({"source_id": "recipes", "pattern": "rye", "mode": "term"}, {"chunks": [CHUNK]}),
    "get_chunk": ({"chunk_id": "chunk_1"}, {"chunks": [CHUNK]}),
}


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("resource", ["beta.context.search_indexes", "beta.rag.managed_indexes"])
def test_a_search_has_its_arguments_what_it_found_and_its_index(
    resource: str, method: str, call_method: CallMethod, spans: LoggedSpans
) -> None:
    if not has(f"{resource}.{method}"):
        pytest.skip(f"this mistralai has no {resource}.{method}")
    arguments, response = SEARCHES[method]
    call_method(lambda _: answer(response), f"{resource}.{method}", index_name="bakery", **arguments)
    (found,) = response.values()
    assert logged(spans) == LoggedSpan(
        name=f"mistral.{resource}.{method}",
        type="tool",
        input=arguments,
        output=found,
        metadata={"provider": "mistral", "index_name": "bakery"},
        metrics={"duration": ANY},
    )


@needs("beta.context.search_indexes")
def test_an_embedding_that_is_searched_for_is_not_logged(spans: LoggedSpans, make_client: MakeClient) -> None:
    nearest = {"type": "nearest_neighbour", "query_embedding": [0.25] * 1024}
    client: Any = make_client(lambda _: answer({"hits": []}))
    client.beta.context.search_indexes.search(
        index_name="bakery", retriever={"type": "rrf", "retrievers": [nearest, {"type": "keyword", "query": "rye"}]}
    )
    first, second = logged(spans).input["retriever"]["retrievers"]
    assert first == {"type": "nearest_neighbour", "query_embedding": "<1024 numbers>"}
    assert second["query"] == "rye"


DOCUMENT: Json = {
    "id": "doc_1",
    "library_id": "lib_1",
    "hash": "abc",
    "mime_type": "text/plain",
    "extension": "txt",
    "size": 17,
    "name": "recipes.txt",
    "created_at": AT,
    "process_status": "done",
    "processing_status": "Completed",
    "uploaded_by_id": None,
    "uploaded_by_type": "User",
    "tokens_processing_total": 5,
}


def test_a_library_is_searched(call_method: CallMethod, spans: LoggedSpans) -> None:
    page = {"total_items": 1, "total_pages": 1, "current_page": 0, "page_size": 10, "has_more": False}
    response = {"pagination": page, "data": [DOCUMENT]}
    call_method(lambda _: answer(response), "beta.libraries.documents.list", library_id="lib_1", search="rye")
    call = logged(spans)
    assert (call.name, call.type) == ("mistral.beta.libraries.documents.list", "tool")
    assert call.input["search"] == "rye"
    assert call.output["data"][0]["name"] == "recipes.txt"
    assert call.metadata == {"provider": "mistral", "library_id": "lib_1"}


def test_a_document_is_read(call_method: CallMethod, spans: LoggedSpans) -> None:
    given = {"library_id": "lib_1", "document_id": "doc_1"}
    call_method(lambda _: answer({"text": "Rye."}), "beta.libraries.documents.text_content", **given)
    call = logged(spans)
    assert (call.name, call.input, call.output) == (
        "mistral.beta.libraries.documents.text_content",
        {"document_id": "doc_1"},
        {"text": "Rye."},
    )


# Sessions


class McpServer:
    """An MCP server that a connector's gateway leads to, and the HTTP client that speaks with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gateway = pytest.importorskip("mistralai.extra.connectors_gateway")
        pytest.importorskip("mcp.client.streamable_http")
        monkeypatch.setattr(gateway, "_new_httpx_client", self._http_client)
        self.result: Json = {"content": [FOUND], "isError": False}

    def _http_client(self, **settings: Any) -> Any:
        return httpx.AsyncClient(**settings, transport=httpx.MockTransport(self._answer))

    def _answer(self, request: Any) -> Any:
        if request.method != "POST":
            return httpx.Response(405)
        message = json.loads(request.content)
        if "id" not in message:
            return httpx.Response(202)
        results: dict[str, Json] = {
            "initialize": {
                "protocolVersion": message.get("params", {}).get("protocolVersion"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "recipes", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "find_recipe", "inputSchema": {"type": "object"}}]},
            "tools/call": self.result,
        }
        return answer({"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> McpServer:
    return McpServer(monkeypatch)


async def test_the_tools_of_a_session_with_a_connector_are_logged(
    server: McpServer, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client: Any = make_client(lambda _: answer({}))
    async with client.beta.connectors.mcp_client(connector_id_or_name="recipes") as session:
        result = await session.call_tool("find_recipe", {"bread": "rye"})
        await session.call_tool(name="find_recipe", arguments={"bread": "wheat"})
    assert result.content[0].text == FOUND["text"]
    first, second = logged_calls(spans.pop())
    assert (first.output["content"], second.input) == ([FOUND], {"bread": "wheat"})
    assert first == LoggedSpan(
        name="mistral.beta.connectors.mcp_client.call_tool",
        type="tool",
        input={"bread": "rye"},
        output=first.output,
        metadata={"provider": "mistral", "tool_name": "find_recipe", "connector_id_or_name": "recipes"},
        metrics={"duration": ANY},
    )


async def test_what_a_session_returns_as_a_failure_is_an_error(
    server: McpServer, spans: LoggedSpans, make_client: MakeClient
) -> None:
    server.result = {"content": [{"type": "text", "text": "No oven."}], "isError": True}
    client: Any = make_client(lambda _: answer({}))
    async with client.beta.connectors.mcp_client(connector_id_or_name="recipes") as session:
        await session.call_tool("find_recipe", {"bread": "rye"})
    assert logged(spans).error == "No oven."


async def test_an_error_in_a_session_is_the_callers(server: McpServer, make_client: MakeClient) -> None:
    client: Any = make_client(lambda _: answer({}))
    with pytest.raises(Exception) as raised:  # noqa: PT011
        async with client.beta.connectors.mcp_client(connector_id_or_name="recipes"):
            raise ZeroDivisionError
    error: Any = raised.value
    # The task groups of the SDK's own session wrap it, in some versions.
    while exceptions := getattr(error, "exceptions", ()):
        (error,) = exceptions
    assert isinstance(error, ZeroDivisionError)
