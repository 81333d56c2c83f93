from typing import Any

import pytest

from tests.helpers.features import needs
from tests.local.conftest import Http


pytestmark = pytest.mark.filterwarnings(r"ignore:warning. \*\* DEPRECATED:DeprecationWarning")


@needs("beta.connectors.call_tool")
@pytest.mark.parametrize(("tool", "failed"), [("find_line", False), ("failing-tool", True)])
def test_a_connectors_tool_answers(sdk: Any, tool: str, failed: bool) -> None:
    response = sdk.beta.connectors.call_tool(
        tool_name=tool, connector_id_or_name="ferries", arguments={"to": "Cacilhas"}
    )
    assert response.metadata.mcp_meta.is_error is failed
    assert ("Cacilhas" in response.content[0].text) is not failed


@needs("beta.context.search_indexes")
def test_an_index_is_searched_and_read(sdk: Any) -> None:
    indexes = sdk.beta.context.search_indexes
    hits = indexes.search(index_name="ferries", retriever={"type": "keyword", "query": "ticket", "top_k": 2}).hits
    assert [hit.score for hit in hits] == [0.9, 0.7]
    where = {"index_name": "ferries", "source_id": "timetable"}
    assert len(indexes.read(**where, start_offset=0, end_offset=200).chunks) == 3
    assert len(indexes.navigate(**where, start_offset=0, end_offset=9, direction="next").chunks) == 3
    (found,) = indexes.grep(**where, pattern="1.40", mode="term").chunks
    assert "1.40" in found.content
    assert len(indexes.get_chunk(index_name="ferries", chunk_id=found.id).chunks) == 1


def test_a_library_is_searched_and_read(sdk: Any) -> None:
    documents = sdk.beta.libraries.documents
    (document,) = documents.list(library_id="lib_1", search="ferry").data
    assert document.name == "timetable.txt"
    assert "01:40" in documents.text_content(library_id="lib_1", document_id=document.id).text


def test_searches_fail_as_everything_does(http: Http) -> None:
    assert http.post("/v1/connectors/ferries/tools/http-403/call", json={}).status_code == 403
    assert http.get("/v1/libraries/http-404/documents").status_code == 404
    path = "/v1/context/search-indexes/ferries/search"
    assert http.refused_at(path, json={}) == ["body", "retriever"]
    assert http.post("/v1/rag/managed_indexes/http-500/search", json={"retriever": {}}).status_code == 500
