"""Files, and the batch jobs that take their requests from them and leave their results in them."""

import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.delivery import DELIVERIES, delivery
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object, json_objects
from braintrust_mistral.local.mistral.errors import RefusedError, api_error, validation_error
from braintrust_mistral.local.mistral.playback import Clock


JOB_SECONDS = 2.0
"""How long a job runs, from its creation on."""

_PIECE = 65_536
_NOT_FOUND = api_error(404, "No such file or job", "not_found", "1404")


@dataclass(frozen=True)
class _File:
    id: str
    purpose: str
    content: bytes
    name: str
    created_at: int

    def described(self) -> Json:
        kind = "batch_request" if self.purpose == "batch" else "pretrain"
        about = {"object": "file", "bytes": len(self.content), "created_at": self.created_at, "filename": self.name}
        return {"id": self.id, **about, "purpose": self.purpose, "sample_type": kind, "source": "upload"}


@dataclass
class _Job:
    """A batch job; without results as long as it runs."""

    endpoint: str
    model: str | None
    metadata: Json | None
    input_files: list[str]
    lines: list[Json]
    created_at: float
    agent_id: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "QUEUED"
    completed_at: float | None = None
    results: list[Json] = field(default_factory=list[Json])
    files: dict[str, str | None] = field(default_factory=lambda: dict.fromkeys(("output_file", "error_file")))

    def described(self, *, inline: bool = False) -> Json:
        failed = sum("body" not in result["response"] for result in self.results)
        return {
            "id": self.id,
            "object": "batch",
            "input_files": self.input_files,
            "metadata": self.metadata,
            "endpoint": self.endpoint,
            "model": self.model,
            "agent_id": self.agent_id,
            **self.files,
            "errors": [],
            "outputs": self.results if inline and self.completed_at else None,
            "status": self.status,
            "created_at": int(self.created_at),
            "started_at": None if self.status == "QUEUED" else int(self.created_at),
            "completed_at": None if self.completed_at is None else int(self.completed_at),
            "total_requests": len(self.lines),
            "completed_requests": len(self.results),
            "succeeded_requests": len(self.results) - failed,
            "failed_requests": failed,
        }


class Batch:
    """The endpoints of files and of batch jobs. A job's requests are answered by the `answering` endpoints."""

    def __init__(self, clock: Clock, answering: Iterable[Endpoint]) -> None:
        self._clock = clock
        self._answering = {row.path: row for row in answering}
        self._files: dict[str, _File] = {}
        self._jobs: dict[str, _Job] = {}

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint("POST", "/v1/files", self._upload),
            Endpoint("GET", "/v1/files/{id}/content", self._download),
            Endpoint("DELETE", "/v1/files/{id}", self._delete),
            Endpoint("POST", "/v1/batch/jobs", self._create),
            Endpoint("GET", "/v1/batch/jobs", self._list),
            Endpoint("GET", "/v1/batch/jobs/{id}", self._get),
            Endpoint("POST", "/v1/batch/jobs/{id}/cancel", self._cancel),
        ]

    async def _upload(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required=set())
        if "file" not in request.files:
            raise RefusedError(validation_error("missing", ["body", "file"], "Field required", body))
        given = request.files["file"]
        return JSONResponse(self._stored(given.content, body.get("purpose", "fine-tune"), given.name).described())

    async def _download(self, request: Received) -> Response:
        content = _found(self._files, request).content
        pieces = (content[start : start + _PIECE] for start in range(0, len(content), _PIECE))
        return StreamingResponse(_each(pieces), media_type="application/octet-stream")

    async def _delete(self, request: Received) -> Response:
        file = _found(self._files, request)
        del self._files[file.id]
        return JSONResponse({"id": file.id, "object": "file", "deleted": True})

    async def _create(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required={"endpoint"})
        files = body.get("input_files") or []
        lines = json_objects(body.get("requests") or [], ["body", "requests"])
        for file_id in files:
            if file_id not in self._files:
                raise RefusedError(_NOT_FOUND)
            lines += [json.loads(line) for line in self._files[file_id].content.splitlines() if line.strip()]
        if not lines:
            raise RefusedError(validation_error("missing", ["body", "requests"], "Field required", body))
        model, now = body.get("model"), self._clock.now().timestamp()
        job = _Job(body["endpoint"], model, body.get("metadata"), files, lines, now, body.get("agent_id"))
        if (model or "") not in DELIVERIES:
            self._jobs[job.id] = job
        return await delivery(model or "").response(job.described(), self._clock)

    async def _list(self, _: Received) -> Response:
        jobs = [job.described() for job in reversed(self._jobs.values())]
        return JSONResponse({"data": jobs, "object": "list", "total": len(jobs)})

    async def _get(self, request: Received) -> Response:
        job = _found(self._jobs, request)
        await self._advance(job)
        return JSONResponse(job.described(inline=request.query.get("inline") == "true"))

    async def _cancel(self, request: Received) -> Response:
        job = _found(self._jobs, request)
        if job.completed_at is None:
            job.status, job.completed_at = "CANCELLED", self._clock.now().timestamp()
        return JSONResponse(job.described())

    async def _advance(self, job: _Job) -> None:
        """Let a job be as far as it would be by now."""
        now = self._clock.now().timestamp()
        if job.completed_at is not None:
            return
        job.status = "RUNNING"
        if now - job.created_at < JOB_SECONDS * self._clock.pace:
            return
        job.results = [await self._result(job, line) for line in job.lines]
        job.status, job.completed_at = "SUCCESS", now
        for name, is_error in (("output_file", False), ("error_file", True)):
            lines = [json.dumps(result) for result in job.results if (result["error"] is not None) is is_error]
            if lines:
                job.files[name] = self._stored("\n".join(lines).encode(), "batch", f"{name}.jsonl").id

    async def _result(self, job: _Job, line: Json) -> Json:
        body = {"model": job.model, "agent_id": job.agent_id, **line["body"]}
        body = {name: value for name, value in body.items() if value is not None}
        common = {"id": uuid.uuid4().hex, "custom_id": line.get("custom_id")}
        try:
            response = await self._answering[job.endpoint].serve(Received("POST", job.endpoint, {}, {}, body))
        except RefusedError as refusal:
            failure = refusal.failure
            return {**common, "response": {"status_code": failure.status}, "error": failure.body}
        return {**common, "response": {"status_code": 200, "body": json.loads(bytes(response.body))}, "error": None}

    def _stored(self, content: bytes, purpose: str, name: str) -> _File:
        created_at = int(self._clock.now().timestamp())
        file = _File(str(uuid.uuid4()), purpose, content, name, created_at)
        self._files[file.id] = file
        return file


def _found(stored: dict[str, Any], request: Received) -> Any:
    found = stored.get(request.path_params["id"])
    if found is None:
        raise RefusedError(_NOT_FOUND)
    return found


async def _each(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
