"""Files and batch jobs of the local Mistral, with real clients."""

import json
from typing import Any

import pytest

from braintrust_mistral.local import LocalMistral
from tests.local.conftest import Http, Mistral


CHAT = {"messages": [{"role": "user", "content": "Hello"}]}


def batch_of(*models: str, body: dict[str, Any] = CHAT) -> list[Any]:
    return [{"custom_id": str(number), "body": {"model": model, **body}} for number, model in enumerate(models)]


def results(sdk: Any, file_id: Any) -> dict[str, Any]:
    lines = sdk.files.download(file_id=file_id).read().splitlines()
    return {line["custom_id"]: line for line in map(json.loads, lines)}


@pytest.mark.parametrize("uploaded", [False, True])
def test_each_request_is_answered_by_its_endpoint(uploaded: bool, sdk: Any) -> None:
    requests = batch_of("plain", "http-500", "plain")
    given: dict[str, Any] = {"requests": requests}
    if uploaded:
        content = "\n".join(map(json.dumps, requests)).encode()
        given = {"input_files": [sdk.files.upload(file={"file_name": "a", "content": content}, purpose="batch").id]}
    created = sdk.batch.jobs.create(endpoint="/v1/chat/completions", metadata={"a": "b"}, **given)
    assert (created.status, created.total_requests, created.metadata) == ("QUEUED", 3, {"a": "b"})
    job = sdk.batch.jobs.get(job_id=created.id)
    assert (job.status, job.succeeded_requests, job.failed_requests) == ("SUCCESS", 2, 1)
    assert job.created_at <= job.completed_at
    answers, errors = results(sdk, job.output_file), results(sdk, job.error_file)
    assert (set(answers), set(errors)) == ({"0", "2"}, {"1"})
    assert answers["0"]["response"]["body"]["choices"][0]["message"]["content"]
    assert errors["1"]["response"]["status_code"] == 500
    assert errors["1"]["error"]["code"] == "1000"


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/embeddings", {"input": ["a"]}),
        ("/v1/moderations", {"input": ["a"]}),
        ("/v1/ocr", {"document": {"type": "document_url", "document_url": "https://example.com/a.pdf"}}),
        ("/v1/conversations", {"inputs": "Hello"}),
    ],
)
def test_a_job_may_bring_its_results_itself(endpoint: str, body: dict[str, Any], sdk: Any) -> None:
    job = sdk.batch.jobs.create(endpoint=endpoint, model="plain", requests=[{"custom_id": "a", "body": body}])
    assert sdk.batch.jobs.get(job_id=job.id).outputs in (None, [])
    (result,) = sdk.batch.jobs.get(job_id=job.id, inline=True).outputs
    assert result["response"]["status_code"] == 200, result


def test_a_job_runs_for_a_while() -> None:
    with LocalMistral(pace=5.0) as service, Mistral(api_key="local", server_url=service.url) as sdk:
        job = sdk.batch.jobs.create(endpoint="/v1/chat/completions", requests=batch_of("plain"))
        assert sdk.batch.jobs.get(job_id=job.id).status == "RUNNING"
        assert sdk.batch.jobs.cancel(job_id=job.id).status == "CANCELLED"


def test_jobs_are_listed(sdk: Any) -> None:
    job = sdk.batch.jobs.create(endpoint="/v1/chat/completions", requests=batch_of("plain"))
    assert sdk.batch.jobs.list().data[0].id == job.id
    assert sdk.batch.jobs.cancel(job_id=job.id).status == "CANCELLED"
    assert sdk.batch.jobs.get(job_id=job.id).status == "CANCELLED"


def test_batches_fail_as_everything_does(http: Http) -> None:
    assert http.post("/v1/batch/jobs", json={}).status_code == 422
    assert http.post("/v1/batch/jobs", json={"endpoint": "/v1/ocr"}).status_code == 422
    assert http.post("/v1/batch/jobs", json={"endpoint": "/v1/ocr", "input_files": ["none"]}).status_code == 404
    given = {"endpoint": "/v1/ocr", "model": "http-403", "requests": [{"body": {}}]}
    assert http.post("/v1/batch/jobs", json=given).status_code == 403
    assert http.get("/v1/batch/jobs/none").status_code == 404
    assert http.get("/v1/files/none/content").status_code == 404
    assert http.post("/v1/files", data={"purpose": "batch"}).status_code == 422


def test_a_deleted_file_is_gone(sdk: Any, http: Http) -> None:
    file = sdk.files.upload(file={"file_name": "a", "content": b"{}"}, purpose="batch")
    assert sdk.files.delete(file_id=file.id).deleted
    assert http.get(f"/v1/files/{file.id}/content").status_code == 404
