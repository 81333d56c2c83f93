import base64
import json
from typing import Any

import pytest

from braintrust_mistral.local.mistral.documents import DOCUMENT_BYTES
from tests.helpers.features import keeps
from tests.local.conftest import Http


PDF = b"%PDF-1.7 not much of a document"
DATA_URL = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
DOCUMENT = {"type": "document_url", "document_url": "https://example.org/fares.pdf"}
ANNOTATION = {
    "type": "json_schema",
    "json_schema": {
        "name": "fares",
        "schema": {"type": "object", "properties": {"town": {"type": "string"}, "price": {"type": "number"}}},
    },
}


@pytest.mark.parametrize(
    ("document", "pages", "size"),
    [
        (DOCUMENT, 3, DOCUMENT_BYTES),
        ({"type": "document_url", "document_url": DATA_URL}, 3, len(PDF)),
        ({"type": "image_url", "image_url": "https://example.org/fares.png"}, 1, DOCUMENT_BYTES),
        ({"type": "image_url", "image_url": {"url": DATA_URL}}, 1, len(PDF)),
        ({"type": "file", "file_id": "9d0e2c64-1f3b-4a87-b5d2-6e7f8091a2b3"}, 3, DOCUMENT_BYTES),
    ],
)
def test_documents_of_all_kinds_are_read(sdk: Any, document: Any, pages: int, size: int) -> None:
    response = sdk.ocr.process(model="mistral-ocr-latest", document=document)
    assert [page.index for page in response.pages] == list(range(pages))
    assert (response.usage_info.pages_processed, response.usage_info.doc_size_bytes) == (pages, size)
    assert response.model == "mistral-ocr-latest"
    page = response.pages[0]
    assert "# Fares, part 1" in page.markdown
    assert "| Single | 1.40 |" in page.markdown
    assert page.hyperlinks == ["https://ferries.example.com/timetable"]
    assert page.images[0].id in page.markdown
    assert page.images[0].image_base64 is None
    assert page.dimensions.dpi == 200


def test_images_come_with_their_bytes_when_they_are_asked_for(sdk: Any) -> None:
    response = sdk.ocr.process(model="plain", document=DOCUMENT, include_image_base64=True)
    content = base64.b64decode(response.pages[0].images[0].image_base64.removeprefix("data:image/png;base64,"))
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    without = sdk.ocr.process(model="plain", document=DOCUMENT, include_image_base64=True, image_limit=0)
    assert not any(page.images for page in without.pages)


def test_annotations_fit_their_schemas(sdk: Any) -> None:
    formats = {"document_annotation_format": ANNOTATION, "bbox_annotation_format": ANNOTATION}
    response = sdk.ocr.process(model="plain", document=DOCUMENT, **formats)
    assert json.loads(response.document_annotation) == {"town": "Lisbon", "price": 1.4}
    assert json.loads(response.pages[2].images[0].image_annotation) == {"town": "Lisbon", "price": 1.4}


@pytest.mark.parametrize(("form", "beginning"), [("html", "<table>"), ("markdown", "| Ticket")])
def test_tables_and_margins_can_be_taken_out_of_the_text(sdk: Any, form: str, beginning: str) -> None:
    settings = {"table_format": form, "extract_header": True, "extract_footer": True}
    page = sdk.ocr.process(model="plain", document=DOCUMENT, **settings).pages[1]
    (table,) = page.tables
    assert table.content.startswith(beginning)
    assert table.id in page.markdown
    assert "1.40 |" not in page.markdown
    assert (page.header, page.footer) == ("Tagus Ferries", "Page 2 of 3")
    assert "Tagus Ferries" not in page.markdown


@pytest.mark.parametrize(("pages", "expected"), [([0, 2], [0, 2]), ("0,1-2", [0, 1, 2]), ("2", [2]), ([1, 7], [1])])
def test_pages_are_selected(http: Http, pages: Any, expected: list[int]) -> None:
    response = http.post("/v1/ocr", json={"model": "plain", "document": DOCUMENT, "pages": pages}).json()
    assert [page["index"] for page in response["pages"]] == expected
    assert response["usage_info"]["pages_processed"] == len(expected)


def test_blocks_have_places_and_confidences(http: Http) -> None:
    request = {"model": "plain", "document": DOCUMENT, "pages": [0]}
    (page,) = http.post("/v1/ocr", json={**request, "confidence_scores_granularity": "block"}).json()["pages"]
    kinds = ["header", "title", "text", "table", "image", "footer"]
    assert [block["type"] for block in page["blocks"]] == kinds
    assert all(block["top_left_y"] < block["bottom_right_y"] for block in page["blocks"])
    assert all("block_type_confidence_score" in block["confidence_scores"] for block in page["blocks"])
    (page,) = http.post("/v1/ocr", json={**request, "confidence_scores_granularity": "word"}).json()["pages"]
    scores = page["confidence_scores"]["word_confidence_scores"]
    assert [score["text"] for score in scores] == page["markdown"].split()
    assert page["markdown"][scores[3]["start_index"] :].startswith(scores[3]["text"])
    (page,) = http.post("/v1/ocr", json={**request, "include_blocks": False}).json()["pages"]
    assert page.keys().isdisjoint({"blocks", "confidence_scores"})


@pytest.mark.skipif(not keeps("OCRPageObject", "blocks"), reason="this mistralai drops the blocks")
def test_sdks_know_the_blocks(sdk: Any) -> None:
    page = sdk.ocr.process(model="plain", document=DOCUMENT, include_blocks=True).pages[0]
    image = next(block for block in page.blocks if block.type == "image")
    assert image.image_id == page.images[0].id


async def test_async_clients_are_served(async_sdk: Any) -> None:
    response = await async_sdk.ocr.process_async(model="plain", document=DOCUMENT, pages=[1])
    assert [page.index for page in response.pages] == [1]


def test_documents_fail_as_everything_does(sdk: Any) -> None:
    with pytest.raises(Exception, match="Status 503"):
        sdk.ocr.process(model="http-503", document=DOCUMENT)
    with pytest.raises(Exception, match="without sending complete message body"):
        sdk.ocr.process(model="broken", document=DOCUMENT)


@pytest.mark.parametrize(
    ("body", "location"),
    [({"model": "plain"}, ["body", "document"]), ({"document": {}}, ["body", "document", "document_url"])],
)
def test_a_request_without_a_document_is_unprocessable(http: Http, body: Any, location: list[str]) -> None:
    assert http.refused_at("/v1/ocr", json=body) == location
