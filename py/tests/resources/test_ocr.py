"""What OCR logs: the document, and its pages with their images as attachments."""

import base64
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.helpers.clouds import about, at
from tests.helpers.features import keeps
from tests.helpers.spans import LoggedSpan, Media, logged_calls
from tests.helpers.wire import Json, answer


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


PDF = b"%PDF-1.7 bread"
PNG = b"\x89PNG\r\n\x1a\nbread"
PDF_URL = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
PNG_BASE64 = base64.b64encode(PNG).decode()
PNG_URL = f"data:image/png;base64,{PNG_BASE64}"
SIGNED_URL = "https://example.com/bread.pdf?page=1&X-Amz-Signature="

LOGGED_PDF = Media(PDF, "application/pdf", "bread.pdf")
LOGGED_PNG = Media(PNG, "image/png", "image.png")

IMAGE: Json = {"id": "img0", "top_left_x": 1, "top_left_y": 2, "bottom_right_x": 30, "bottom_right_y": 40}
PAGE: Json = {"index": 0, "markdown": "# Rye\n![img0](img0)", "dimensions": {"dpi": 200, "height": 220, "width": 170}}
RESPONSE: Json = {
    "pages": [
        {**PAGE, "images": [{**IMAGE, "image_base64": PNG_URL}, {**IMAGE, "image_base64": PNG_BASE64}]},
        {**PAGE, "index": 1, "images": [{**IMAGE, "image_base64": None}], "header": "Page 2"},
    ],
    "model": "mistral-ocr-2512",
    "document_annotation": '{"bread": "rye"}',
    "usage_info": {"pages_processed": 2, "doc_size_bytes": 14},
}


@at("azure")
def test_pages_are_logged_with_their_images_as_attachments(
    provider: str, call_method: CallMethod, spans: LoggedSpans
) -> None:
    result = call_method(
        lambda request: answer(RESPONSE),
        "ocr.process",
        model="mistral-ocr-latest",
        document={"type": "document_url", "document_url": PDF_URL, "document_name": "bread.pdf"},
        pages=[0, 1],
        include_image_base64=True,
    )
    assert [image.image_base64 for image in result.pages[0].images] == [PNG_URL, PNG_BASE64]
    (call,) = logged_calls(spans.pop())
    assert call == LoggedSpan(
        name="mistral.ocr.process",
        type="llm",
        input={"document": {"type": "file", "file": {"filename": "bread.pdf", "file_data": LOGGED_PDF}}},
        output={
            "pages": [
                {**PAGE, "images": [{**IMAGE, "image_base64": LOGGED_PNG}, {**IMAGE, "image_base64": LOGGED_PNG}]},
                {**PAGE, "index": 1, "images": [IMAGE], "header": "Page 2"},
            ],
            "document_annotation": '{"bread": "rye"}',
        },
        metadata={
            **about(provider),
            "model": "mistral-ocr-2512",
            "requested_model": "mistral-ocr-latest",
            "pages": [0, 1],
            "include_image_base64": True,
            "document_type": "document_url",
            "page_count": 2,
        },
        metrics={"pages_processed": 2, "doc_size_bytes": 14, "duration": ANY},
        error=None,
        seconds=ANY,
        children=(),
    )


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"type": "document_url", "document_url": f"{SIGNED_URL}5ecre7"},
            {"type": "document_url", "document_url": f"{SIGNED_URL}REDACTED"},
        ),
        (
            models.ImageURLChunk(image_url=models.ImageURL(url=PNG_URL, detail="high")),
            {"type": "image_url", "image_url": {"url": LOGGED_PNG, "detail": "high"}},
        ),
        (models.FileChunk(file_id="file1"), {"type": "file", "file_id": "file1"}),
    ],
)
def test_a_document_is_logged_as_it_was_given_and_inline_ones_as_attachments(
    document: Any, expected: Json, spans: LoggedSpans, make_client: MakeClient
) -> None:
    make_client(lambda request: answer(RESPONSE)).ocr.process(model="mistral-ocr-latest", document=document)
    (call,) = logged_calls(spans.pop())
    assert (call.input, call.metadata["document_type"]) == ({"document": expected}, expected["type"])


@pytest.mark.skipif(not keeps("OCRPageObject", "tables"), reason="this mistralai knows text and images alone")
def test_everything_on_a_page_is_logged(spans: LoggedSpans, make_client: MakeClient) -> None:
    table = {"id": "tbl-0.html", "content": "<table></table>", "format": "html"}
    page = {
        **PAGE,
        "images": [],
        "tables": [table],
        "hyperlinks": ["https://example.com"],
        "header": "h",
        "footer": "f",
    }
    corners = {"top_left_x": 1, "top_left_y": 2, "bottom_right_x": 30, "bottom_right_y": 40}
    if keeps("OCRPageObject", "blocks"):
        page["blocks"] = [
            {"type": "text", "content": "Rye", **corners},
            {"type": "stamp", "content": "PAID", **corners},
        ]
        page["confidence_scores"] = {"average_page_confidence_score": 0.9, "minimum_page_confidence_score": 0.5}
    client = make_client(lambda request: answer({**RESPONSE, "pages": [page]}))
    client.ocr.process(model="mistral-ocr-latest", document={"type": "file", "file_id": "file1"})
    assert logged_calls(spans.pop())[0].output["pages"] == [page]


@at("azure")
def test_what_was_not_reported_is_absent(spans: LoggedSpans, make_client: MakeClient) -> None:
    body = {"pages": [], "model": "m", "usage_info": {"pages_processed": 0, "doc_size_bytes": None}}
    client = make_client(lambda request: answer(body))
    client.ocr.process(model="m", document={"type": "file", "file_id": "file1"})
    (call,) = logged_calls(spans.pop())
    assert (call.output, call.metadata["page_count"]) == ({"pages": []}, 0)
    assert call.metrics == {"pages_processed": 0, "duration": ANY}
