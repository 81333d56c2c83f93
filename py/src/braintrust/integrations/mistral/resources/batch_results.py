"""Reads the results of a batch job, each as the call of its endpoint that it was."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from braintrust.span_types import SpanTypeAttribute

from ..errors import api_error_text
from ..faults import guarded
from ..operations import Child, Operation, Outcome, Request
from ..payloads import Loggable, given_fields, to_loggable, without_none
from . import audio, classifiers, completions, conversations, embeddings, ocr
from .reading import from_loggable, request_metadata
from .usage import usage_metrics


_ENDPOINTS = {
    "/v1/chat/completions": completions.CHAT["complete"],
    "/v1/agents/completions": completions.AGENTS["complete"],
    "/v1/fim/completions": completions.FIM["complete"],
    "/v1/embeddings": embeddings.OPERATIONS["create"],
    "/v1/ocr": ocr.OPERATIONS["process"],
    "/v1/moderations": classifiers.OPERATIONS["moderate"],
    "/v1/chat/moderations": classifiers.OPERATIONS["moderate_chat"],
    "/v1/classifications": classifiers.OPERATIONS["classify"],
    "/v1/chat/classifications": classifiers.OPERATIONS["classify_chat"],
    "/v1/conversations": conversations.OPERATIONS["start"],
    "/v1/audio/transcriptions": audio.TRANSCRIPTIONS["complete"],
}
_LOWEST_ERROR = 400

MOST_REQUESTS_SHOWN = 10
"""How many requests of a batch are shown where it is created; the others are shown with their results."""


class Job(NamedTuple):
    """What is known of a batch job when its results are read; times in Unix seconds."""

    id: str
    endpoint: str
    model: Loggable = None
    agent_id: Loggable = None
    start: float | None = None
    end: float | None = None
    input_files: Sequence[str] = ()

    @classmethod
    def described_by(cls, fields: Mapping[str, Loggable]) -> "Job":
        """Return what a `BatchJob`, made plain, says."""
        files = fields.get("input_files")
        return cls(
            str(fields.get("id")),
            str(fields.get("endpoint")),
            fields.get("model"),
            fields.get("agent_id"),
            _seconds(fields.get("started_at")) or _seconds(fields.get("created_at")),
            _seconds(fields.get("completed_at")),
            [str(file) for file in files] if isinstance(files, list) else (),
        )


class BatchResults:
    """Reads the results of a job, piece by piece, as spans; holds no more than one line of them at a time.

    Args:
        job: the job.
        requests: its requests, as JSON lines, as far as they are known.
        file_id: the file that the results are in; none where the job itself brings them.
    """

    def __init__(self, job: Job, requests: Iterable[bytes], file_id: str | None = None) -> None:
        self._job = job
        self._operation = _ENDPOINTS.get(job.endpoint, _OTHER)
        self._requests = requests
        self._lines_by_id: dict[str, bytes] | None = None
        self._file_id = file_id
        self._unfinished: list[bytes] = []
        self._counts = {"succeeded": 0, "failed": 0}

    @property
    def request(self) -> Request:
        """What the span above those of the results logs when it begins."""
        about = {"endpoint": self._job.endpoint, "model": self._job.model, "agent_id": self._job.agent_id}
        metadata: dict[str, Loggable] = {"provider": "mistral", "batch_job_id": self._job.id, **about}
        return Request({"file_id": self._file_id}, without_none(metadata))

    def add(self, data: bytes) -> Iterator[Child]:
        """Yield the results that are whole with these further bytes of the file."""
        first, *others = data.split(b"\n")
        self._unfinished.append(first)
        for piece in others:
            line = self._pop_line()
            if line:
                yield self.read(_parsed(line))
            self._unfinished.append(piece)

    def finish(self) -> Iterator[Child]:
        """Yield the last result, after which no line need end; one that was cut off is left out."""
        result = _parsed(self._pop_line())
        if result is not None:
            yield self.read(result)

    def outcome(self) -> Outcome:
        """Return what was read so far."""
        return Outcome({**self._counts})

    def read(self, result: Any) -> Child:
        """Return one result, given the JSON of its line."""
        child = self._child(result) or _UNREADABLE
        self._counts["succeeded" if child.error is None else "failed"] += 1
        return child._replace(
            metadata={"provider": "mistral", **child.metadata, "batch_job_id": self._job.id},
            start=self._job.start,
            end=self._job.end,
        )

    def _pop_line(self) -> bytes:
        line = b"".join(self._unfinished).strip()
        self._unfinished.clear()
        return line

    @guarded(fallback=None)
    def _child(self, result: Any) -> Child | None:
        if not isinstance(result, Mapping):
            return None
        custom_id, response = result.get("custom_id"), result.get("response") or {}
        body, status = response.get("body"), response.get("status_code")
        request = self._request(custom_id)
        error = _error_text(result.get("error"), status, body)
        outcome = self._operation.response(_without_nulls(body), request) if error is None else Outcome(error=error)
        about = {"custom_id": to_loggable(custom_id), "status_code": to_loggable(status)}
        return Child(
            self._operation.span_name,
            request.input,
            outcome.output,
            {**request.metadata, **(outcome.metadata or {}), **without_none(about)},
            error=outcome.error,
            span_type=self._operation.span_type,
            metrics=outcome.metrics,
            children=outcome.children,
        )

    def _request(self, custom_id: Any) -> Request:
        common = without_none({"model": self._job.model, "agent_id": self._job.agent_id})
        if self._lines_by_id is None:
            self._lines_by_id = _by_custom_id(self._requests)
        line = self._lines_by_id.get(str(custom_id))
        if line is None:
            return Request(metadata=common)
        return self._operation.request({**common, **json.loads(line)["body"]})


def request_lines(requests: Sequence[Any], most_bytes: int) -> bytes:
    """Return the requests of a batch, models or dicts, as JSON lines: the first of them that fit."""
    lines: list[bytes] = []
    size = 0
    for request in requests:
        fields: Mapping[str, Any] = request if isinstance(request, Mapping) else given_fields(request)
        line = json.dumps({"custom_id": fields.get("custom_id"), "body": fields.get("body")}).encode()
        size += len(line) + 1
        if size > most_bytes:
            break
        lines.append(line)
    return b"\n".join(lines)


def first_requests(lines: bytes) -> Loggable:
    """Return the first of a batch's requests, `MOST_REQUESTS_SHOWN` at most, as they are logged."""
    return [to_loggable(_parsed(line)) for line in lines.split(b"\n", MOST_REQUESTS_SHOWN)[:MOST_REQUESTS_SHOWN]]


def _parsed(line: bytes) -> Any:
    """Return what a line says, `None` where that is no JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _without_nulls(value: Any) -> Any:
    """Return JSON without what is null, as the SDK's models have it that the call itself would have returned."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    # Not through the numbers of a vector.
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return [_without_nulls(item) for item in value]
    return value


def _by_custom_id(sources: Iterable[bytes]) -> dict[str, bytes]:
    """Return the lines that are requests, by the `custom_id` that their results have as well."""
    lines: dict[str, bytes] = {}
    for source in sources:
        for line in source.split(b"\n"):
            fields = _parsed(line)
            if isinstance(fields, dict) and isinstance(fields.get("body"), dict):
                lines[str(fields.get("custom_id"))] = line
    return lines


def _error_text(error: Any, status: Any, body: Any) -> str | None:
    """Return why a request of a batch failed, or `None` where it did not."""
    if error is None and not (isinstance(status, int) and status >= _LOWEST_ERROR):
        return None
    said = body if error is None else error
    if not isinstance(said, Mapping):
        return api_error_text(said, status)
    return api_error_text(said.get("message") or said.get("detail"), said.get("code") or status)


def _seconds(value: Loggable) -> float | None:
    return value if isinstance(value, int | float) else None


def _read_other_request(body: Mapping[str, Any]) -> Request:
    return Request(to_loggable(body), request_metadata({"model": body.get("model")}))


@from_loggable
def _read_other_response(body: dict[str, Loggable]) -> Outcome:
    return Outcome(body, metrics=usage_metrics(body.get("usage")))


_OTHER = Operation("mistral.batch.result", SpanTypeAttribute.LLM, _read_other_request, _read_other_response)
"""What a result of an endpoint that nobody knows yet is read as."""

_UNREADABLE = Child(_OTHER.span_name, error="Unreadable result", span_type=_OTHER.span_type)
