"""The endpoints of tools and searches that a client calls without a model: connectors, indexes, libraries."""

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.delivery import delivery
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object
from braintrust_mistral.local.mistral.playback import Clock, timestamp


FAILING_TOOL = "failing-tool"
"""The tool that answers with a failure, in a response that is a success."""

_PASSAGES = (
    "The ferry to Cacilhas leaves Cais do Sodré every ten minutes.",
    "A single ticket costs 1.40 EUR.",
    "The last ferry leaves at 01:40.",
)


class Retrieval:
    """The endpoints of connectors, search indexes and document libraries.

    The name of a tool, of an index or of a library is the name of a delivery.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        # The second is what search indexes are called in 2.x and 3.0.
        indexes = ("/v1/context/search-indexes/{index_name}", "/v1/rag/managed_indexes/{index_name}")
        documents = "/v1/libraries/{library_id}/documents"
        return [
            Endpoint("POST", "/v1/connectors/{connector}/tools/{tool}/call", self._call_tool),
            *(endpoint for index in indexes for endpoint in self._index_endpoints(index)),
            Endpoint("GET", documents, self._documents),
            Endpoint("GET", f"{documents}/{{document_id}}/text_content", self._text),
        ]

    def _index_endpoints(self, index: str) -> list[Endpoint]:
        return [
            Endpoint("POST", f"{index}/search", self._search),
            *(Endpoint("POST", f"{index}/{method}", self._read) for method in ("navigate", "read", "grep")),
            Endpoint("GET", f"{index}/chunks/{{chunk_id}}", self._read),
        ]

    async def _call_tool(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required=set())
        tool = request.path_params["tool"]
        failed = tool == FAILING_TOOL
        text = "There is no such line." if failed else f"{tool}: {body.get('arguments', {})}"
        mcp: Json = {"isError": failed, "structuredContent": None if failed else {"lines": ["Cacilhas", "Seixal"]}}
        answer: Json = {"content": [{"type": "text", "text": text}], "metadata": {"mcp_meta": mcp}}
        return await delivery(tool).response(answer, self._clock)

    async def _search(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"retriever"})
        retriever = json_object(body["retriever"], ["body", "retriever"], required=set())
        index = request.path_params["index_name"]
        found = [
            {"chunk": chunk, "score": round(0.9 - 0.2 * place, 2), "index_name": index, "distance": None}
            for place, chunk in enumerate(_chunks())
        ]
        return await delivery(index).response({"hits": found[: retriever.get("top_k", 20)]}, self._clock)

    async def _read(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"source_id"}) if request.method == "POST" else {}
        chunks = [chunk for chunk in _chunks() if body.get("pattern", "") in chunk["content"]]
        if "chunk_id" in request.path_params:
            chunks = chunks[:1]
        return await delivery(request.path_params["index_name"]).response({"chunks": chunks}, self._clock)

    async def _documents(self, request: Received) -> Response:
        library = request.path_params["library_id"]
        document = {
            "id": "doc-timetable",
            "library_id": library,
            "hash": "b1946ac92492d2347c6235b4d2611184",
            "mime_type": "text/plain",
            "extension": "txt",
            "size": sum(map(len, _PASSAGES)),
            "name": "timetable.txt",
            "created_at": timestamp(self._clock.now()),
            "process_status": "done",
            "processing_status": "Completed",
            "uploaded_by_id": None,
            "uploaded_by_type": "User",
            "tokens_processing_total": 42,
            "summary": "When the ferries leave, and what they cost.",
        }
        page = {"total_items": 1, "total_pages": 1, "current_page": 0, "page_size": 100, "has_more": False}
        return await delivery(library).response({"pagination": page, "data": [document]}, self._clock)

    async def _text(self, request: Received) -> Response:
        return await delivery(request.path_params["library_id"]).response({"text": " ".join(_PASSAGES)}, self._clock)


def _chunks() -> list[Json]:
    chunks: list[Json] = []
    start = 0
    for number, passage in enumerate(_PASSAGES):
        where = {"source_id": "timetable", "locator": f"chunk:{number}", "start_offset": start}
        start += len(passage)
        content = {"end_offset": start, "chunk_type": "text", "content": passage, "parent_ref": None}
        chunks.append({"id": f"chunk_{number}", **where, **content, "metadata": {"line": "Cacilhas"}})
    return chunks
