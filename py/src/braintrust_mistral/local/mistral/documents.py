"""The OCR endpoint: documents as pages of markdown, with their images, tables and blocks."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.delivery import delivery
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object
from braintrust_mistral.local.mistral.errors import RefusedError, validation_error
from braintrust_mistral.local.mistral.media import base64_text, png
from braintrust_mistral.local.mistral.playback import Clock
from braintrust_mistral.local.mistral.schemas import sample, wanted_schema


DOCUMENT_PAGES = 3
"""The pages of every document; an image is one page."""

DOCUMENT_BYTES = 48_213
"""The size of every document that is not in the request itself."""

_TABLE = {
    "markdown": "| Ticket | EUR |\n| --- | --- |\n| Single | 1.40 |",
    "html": "<table><tr><th>Ticket</th><th>EUR</th></tr><tr><td>Single</td><td>1.40</td></tr></table>",
}
_LINK = "https://ferries.example.com/timetable"
_MARGINS = {"header", "footer"}
_CONFIDENCE = 0.97


class Documents:
    """The endpoint that reads documents."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Return the one endpoint."""
        return [
            Endpoint("POST", "/v1/ocr", self._process),
            # Azure's.
            Endpoint("POST", "/providers/mistral/azure/ocr", self._process),
        ]

    async def _process(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"document"})
        document = json_object(body["document"], ["body", "document"], required=set())
        model = body.get("model", "mistral-ocr-latest")
        count, size = _extent(document)
        pages = [_Page(index, count, body).written() for index in _selected(body.get("pages"), count)]
        answer = {
            "pages": pages,
            "model": model,
            "document_annotation": _annotation(body.get("document_annotation_format")),
            "usage_info": {"pages_processed": len(pages), "doc_size_bytes": size},
        }
        return await delivery(model).response(answer, self._clock, seconds=0.2 * len(pages))


@dataclass(frozen=True)
class _Block:
    """A paragraph of a page; `keys` refer to what it stands for."""

    kind: str
    content: str
    keys: Json = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class _Page:
    """A page, as the settings of a request want it."""

    index: int
    count: int
    settings: Json

    def written(self) -> Json:
        extracted = {name for name in _MARGINS if self.settings.get(f"extract_{name}")}
        blocks = self._blocks()
        markdown = "\n\n".join(block.content for block in blocks if block.kind not in extracted)
        page: Json = {
            "index": self.index,
            "markdown": markdown,
            "images": self._images(),
            "dimensions": {"dpi": 200, "height": 2_200, "width": 1_700},
            "tables": self._tables(),
            "hyperlinks": [_LINK],
            **dict.fromkeys(_MARGINS),
            **{block.kind: block.content for block in blocks if block.kind in extracted},
            **self._confidence(markdown),
        }
        if self.settings.get("include_blocks", True):
            page["blocks"] = [self._placed(position, block) for position, block in enumerate(blocks)]
        return page

    def _blocks(self) -> list[_Block]:
        table = _Block("table", _TABLE["markdown"])
        if tables := self._tables():
            table = _Block("table", f"[{tables[0]['id']}]({tables[0]['id']})", {"table_id": tables[0]["id"]})
        images = [
            _Block("image", f"![{image['id']}]({image['id']})", {"image_id": image["id"]}) for image in self._images()
        ]
        return [
            _Block("header", "Tagus Ferries"),
            _Block("title", f"# Fares, part {self.index + 1}"),
            _Block("text", f"A single ticket costs 1.40 EUR, see [the timetable]({_LINK})."),
            table,
            *images,
            _Block("footer", f"Page {self.index + 1} of {self.count}"),
        ]

    def _images(self) -> list[Json]:
        if self.settings.get("image_limit") == 0:
            return []
        corners = {"top_left_x": 120, "top_left_y": 900, "bottom_right_x": 144, "bottom_right_y": 916}
        included = self.settings.get("include_image_base64")
        content = f"data:image/png;base64,{base64_text(png())}" if included else None
        image = {"id": f"img-{self.index}.png", **corners, "image_base64": content}
        return [{**image, "image_annotation": _annotation(self.settings.get("bbox_annotation_format"))}]

    def _tables(self) -> list[Json]:
        form = self.settings.get("table_format")
        if form is None:
            return []
        ending = "html" if form == "html" else "md"
        return [{"id": f"tbl-{self.index}.{ending}", "content": _TABLE[form], "format": form}]

    def _placed(self, position: int, block: _Block) -> Json:
        top = 100 + 160 * position
        corners = {"top_left_x": 120, "top_left_y": top, "bottom_right_x": 1_580, "bottom_right_y": top + 120}
        scores: Json = {}
        if self.settings.get("confidence_scores_granularity") == "block":
            kinds = ("average_content", "minimum_content", "block_type")
            scores = {"confidence_scores": {f"{kind}_confidence_score": _CONFIDENCE for kind in kinds}}
        return {"type": block.kind, **corners, "content": block.content, **block.keys, **scores}

    def _confidence(self, markdown: str) -> Json:
        granularity = self.settings.get("confidence_scores_granularity")
        if granularity is None:
            return {}
        scores: Json = {
            "average_page_confidence_score": _CONFIDENCE,
            "minimum_page_confidence_score": _CONFIDENCE - 0.2,
        }
        if granularity == "word":
            scores["word_confidence_scores"] = [
                {"text": word[0], "confidence": _CONFIDENCE, "start_index": word.start()}
                for word in re.finditer(r"\S+", markdown)
            ]
        return {"confidence_scores": scores}


def _extent(document: Json) -> tuple[int, int]:
    """Return how many pages a document has, and how many bytes; refuse what is none, by a 422."""
    match document:
        case {"document_url": str(url)}:
            return DOCUMENT_PAGES, _size(url)
        case {"image_url": {"url": str(url)}} | {"image_url": str(url)}:
            return 1, _size(url)
        case {"file_id": str()}:
            return DOCUMENT_PAGES, DOCUMENT_BYTES
        case _:
            raise RefusedError(
                validation_error("missing", ["body", "document", "document_url"], "Field required", document)
            )


def _size(url: str) -> int:
    head, _, content = url.partition(",")
    return len(base64.b64decode(content)) if head.startswith("data:") else DOCUMENT_BYTES


def _selected(pages: object, count: int) -> list[int]:
    """Return the pages that a request asks for, by a list or by a text such as `0,2-4`: those that there are."""
    if pages is None:
        return list(range(count))
    if isinstance(pages, str):
        spans = [[int(end) for end in span.split("-")] for span in pages.split(",")]
        pages = [page for span in spans for page in range(span[0], span[-1] + 1)]
    return [page for page in range(count) if isinstance(pages, list) and page in pages]


def _annotation(response_format: object) -> str | None:
    """JSON that fits the schema of an annotation format; None where none is asked for."""
    schema = wanted_schema(response_format)
    return None if schema is None else json.dumps(sample(schema))
