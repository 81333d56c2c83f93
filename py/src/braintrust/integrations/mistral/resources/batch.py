"""What batch jobs log: the job, and when its results are read, each of them as the call that it was.

- `input`: the job's id; of a creation, the files with the requests, or the first of the requests.
- `output`: the job as the API describes it, without its results.
- `metadata`: `job_id`, `endpoint`, `model`, `status`, `request_count`.

A result has what its endpoint's calls have, as far as the request is known here, with `custom_id` and `batch_job_id`.
Its times are those of the job: it happened when that ran.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..bounded import BoundedMap
from ..faults import guarded
from ..operations import CallsInside, Operation, Outcome, Request
from ..payloads import Loggable, given_fields, to_loggable, without_none
from .batch_results import MOST_REQUESTS_SHOWN, BatchResults, Job, first_requests, request_lines
from .reading import fields_of, parameters_of, readable_bytes, request_metadata


_MOST_REQUEST_BYTES = 16 * 1024 * 1024
_JOB_FIELDS = ("id", "endpoint", "model", "agent_id", "status")

jobs_by_file: BoundedMap[str, Job] = BoundedMap()
"""The jobs that are known here, by the ids of the files that hold their results and errors."""

known_requests: BoundedMap[str, bytes] = BoundedMap(most_bytes=_MOST_REQUEST_BYTES)
"""The requests of jobs as JSON lines, by the id of the file that was uploaded, or of the job that got them inline."""


def read_creation(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of `create` log."""
    requests = arguments.get("requests")
    shown = {"input_files": to_loggable(arguments.get("input_files"))}
    metadata = request_metadata(arguments, {"requests", "input_files"})
    lines = b""
    # Anything else might be read only once, and the SDK has yet to do that.
    if isinstance(requests, Sequence):
        lines = request_lines(requests, _MOST_REQUEST_BYTES)
        shown["requests"] = first_requests(lines)
        metadata["request_count"] = len(requests)
    return Request(without_none(shown), metadata, unlogged=lines)


def read_lookup(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of `get`, `cancel` or `list` log."""
    parameters = parameters_of(arguments)
    return Request(parameters or None, without_none({"provider": "mistral", "job_id": parameters.get("job_id")}))


def read_job(job: Any, request: Request) -> Outcome:
    """Return what a `BatchJob` logs, with the results that it brings inline, and remember the job."""
    fields: dict[str, Any] = dict(job) if isinstance(job, Mapping) else given_fields(job)
    # There may be a hundred thousand: each is made loggable when it is read.
    outputs = fields.pop("outputs", None) or ()
    shown = to_loggable(fields)
    if not isinstance(shown, dict):
        return Outcome(output=shown)
    results = _results(_remember(shown, request.unlogged))
    metadata = {"job_id" if name == "id" else name: shown.get(name) for name in _JOB_FIELDS}
    metadata["request_count"] = request.metadata.get("request_count", shown.get("total_requests"))
    return Outcome(shown, without_none(metadata), results=map(results.read, outputs))


def read_jobs(response: Any, request: Request) -> Outcome:
    """Return what a `ListBatchJobsResponse` logs, and remember its jobs."""
    fields = given_fields(response)
    jobs = [read_job(job, request).output for job in fields.pop("data", ())]
    about = to_loggable(fields)
    return Outcome({"data": jobs, **(about if isinstance(about, dict) else {})}, {"object": "list"})


def results_in(arguments: Mapping[str, Any]) -> BatchResults | None:
    """Return the reader of the file that a download asks for, if it is known to hold the results of a batch job."""
    file_id = str(arguments.get("file_id"))
    job = jobs_by_file.get(file_id)
    return None if job is None else _results(job, file_id)


def read_run(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of a `BatchClient`'s `run` log."""
    given: Any = arguments.get("input")
    metadata = request_metadata(arguments, {"input"})
    # An input of the SDK's own is a file that was uploaded, or the lines of one.
    file_id = getattr(given, "file_id", None)
    if file_id is not None:
        return Request({"input_files": [str(file_id)]}, metadata)
    if isinstance(given, Mapping):
        first = itertools.islice(given.items(), MOST_REQUESTS_SHOWN)
        shown: Loggable = [{"custom_id": str(custom_id), "body": to_loggable(body)} for custom_id, body in first]
        return Request({"requests": shown}, {**metadata, "request_count": len(given)})
    lines = given.to_jsonl_bytes() if hasattr(given, "to_jsonl_bytes") else given
    lines = lines.encode() if isinstance(lines, str) else lines
    return Request({"requests": first_requests(lines)}, metadata)


def read_wait(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of a `BatchClient`'s `wait` log."""
    handle: Any = arguments.get("handle")
    return Request({"job_id": str(getattr(handle, "id", handle))}, request_metadata(arguments, {"handle"}))


def read_handle(handle: Any, request: Request) -> Outcome:
    """Return what a `BatchJobHandle` or a `BatchResult` logs, and remember its job."""
    return read_job(handle.job, request)


@guarded(fallback=None)
def remember_upload(arguments: Mapping[str, Any], response: Any) -> None:
    """Remember the requests of batch jobs that were uploaded, if these can be read twice and are not too many."""
    if str(arguments.get("purpose")) != "batch":
        return
    content = fields_of(arguments.get("file")).get("content")
    if isinstance(content, bytes | bytearray) or _is_short(content):
        lines = readable_bytes(content) or b""
        known_requests.set(str(response.id), lines, len(lines))


def _is_short(content: Any) -> bool:
    """Tell whether a file can be read twice and is no larger than what is remembered."""
    if not (hasattr(content, "seekable") and content.seekable()):
        return False
    position = content.tell()
    try:
        return content.seek(0, 2) <= _MOST_REQUEST_BYTES
    finally:
        content.seek(position)


def _remember(job: Mapping[str, Loggable], lines: bytes | None) -> Job:
    job_id = str(job.get("id"))
    if lines:
        known_requests.set(job_id, lines, len(lines))
    known = Job.described_by(job)
    for name in ("output_file", "error_file"):
        if job.get(name) is not None:
            jobs_by_file.set(str(job[name]), known)
    return known


def _results(job: Job, file_id: str | None = None) -> BatchResults:
    requests = [lines for source in (job.id, *job.input_files) if (lines := known_requests.get(source))]
    return BatchResults(job, requests, file_id)


OPERATIONS = {
    method: Operation(f"mistral.batch.jobs.{method}", SpanTypeAttribute.TASK, read_request, read_response)
    for method, read_request, read_response in (
        ("create", read_creation, read_job),
        ("get", read_lookup, read_job),
        ("cancel", read_lookup, read_job),
        ("list", read_lookup, read_jobs),
    )
}
"""The traced methods of `client.batch.jobs`."""

RUN = Operation("mistral.batch.run", SpanTypeAttribute.TASK, read_run, read_handle, calls_inside=CallsInside.BELOW)
"""`run` of the SDK's `BatchClient`: creates a job, waits for it, and reads its results."""

WAIT = Operation("mistral.batch.wait", SpanTypeAttribute.TASK, read_wait, read_handle, calls_inside=CallsInside.SILENT)
"""`wait` of the SDK's `BatchClient`: asks for a job until it is over."""
