"""Batch jobs, and their results as they are read, with real clients."""

import asyncio
import gc
import gzip
import importlib.util
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral.resources.batch import jobs_by_file, known_requests, remember_upload

from tests.conftest import LoggedSpans
from tests.helpers.wire import Json, answer, client_of, httpx


JOB: Json = {
    "id": "job_1",
    "object": "batch",
    "input_files": [],
    "endpoint": "/v1/chat/completions",
    "model": "mistral-small-latest",
    "errors": [],
    "status": "SUCCESS",
    "created_at": 1_790_000_000,
    "started_at": 1_790_000_010,
    "completed_at": 1_790_000_310,
    "total_requests": 2,
    "completed_requests": 2,
    "succeeded_requests": 2,
    "failed_requests": 0,
    "output_file": "file_out",
}
QUESTION: Json = {"messages": [{"role": "user", "content": "Which ferry?"}], "temperature": 0.5}
ANSWER: Json = {
    "id": "chat_1",
    "object": "chat.completion",
    "model": "mistral-small-2506",
    "created": 1_790_000_100,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "The 14:10."}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
}

has_batch_client = pytest.mark.skipif(
    importlib.util.find_spec("mistralai.extra.batch") is None, reason="this mistralai has no BatchClient"
)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """No job and no request of another test."""
    jobs_by_file.clear()
    known_requests.clear()
    yield
    jobs_by_file.clear()
    known_requests.clear()


def result(custom_id: str, body: Json = ANSWER, **fields: Any) -> Json:
    """A line of a file of results."""
    return {"id": f"r_{custom_id}", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, **fields}


def lines(*results: Json) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in results)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces, that may break."""

    def __init__(self, content: bytes, size: int = 100, error: Exception | None = None) -> None:
        self._pieces = [content[start : start + size] for start in range(0, len(content), size)]
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class BatchMistral:
    """A Mistral with a batch job behind a real client."""

    def __init__(self, content: bytes = b"", **job: Any) -> None:
        self.job = {**JOB, **job}
        self.content = content
        self.body: Callable[[bytes], Any] = Body
        self.headers = {"content-type": "application/octet-stream"}
        self.running = 0
        self.client = client_of(self.answer)

    def answer(self, request: Any) -> Any:
        path = request.url.path.removeprefix("/v1/")
        if path.endswith("/content"):
            return httpx.Response(200, headers=self.headers, stream=self.body(self.content))
        if path.startswith("files"):
            if request.method == "DELETE":
                return answer({"id": path.split("/")[1], "object": "file", "deleted": True})
            about = {"id": "file_in", "object": "file", "bytes": 1, "created_at": 1, "filename": "in.jsonl"}
            return answer({**about, "purpose": "batch", "sample_type": "batch_request", "source": "upload"})
        if path == "batch/jobs" and request.method == "GET":
            return answer({"data": [self.job], "object": "list", "total": 1})
        if self.running:
            self.running -= 1
            return answer({**self.job, "status": "RUNNING", "output_file": None, "completed_at": None})
        return answer(self.job)

    def learn(self, spans: LoggedSpans) -> None:
        """Have the job looked up."""
        self.client.batch.jobs.get(job_id="job_1")
        spans.pop()


def named(row: Json) -> str:
    return row["span_attributes"]["name"]


def test_a_creation_says_what_was_asked_for(spans: LoggedSpans) -> None:
    requests = [{"custom_id": str(number), "body": QUESTION} for number in range(30)]
    mistral = BatchMistral(status="QUEUED", started_at=None, completed_at=None, output_file=None)
    given = {"endpoint": JOB["endpoint"], "model": JOB["model"], "metadata": {"team": "ferries"}}
    mistral.client.batch.jobs.create(requests=requests, **given)
    row = spans.pop_one()
    assert (named(row), row["span_attributes"]["type"]) == ("mistral.batch.jobs.create", "task")
    assert row["input"] == {"requests": requests[:10]}
    assert row["output"] == {name: value for name, value in mistral.job.items() if value is not None}
    assert row["metadata"] == {
        "provider": "mistral",
        "endpoint": JOB["endpoint"],
        "model": JOB["model"],
        "request_metadata": {"team": "ferries"},
        "request_count": 30,
        "job_id": "job_1",
        "status": "QUEUED",
    }


def test_requests_that_can_be_read_only_once_are_left_to_the_sdk(spans: LoggedSpans) -> None:
    mistral = BatchMistral()
    with pytest.raises(Exception, match=r"(?i)valid|iter|generator"):
        mistral.client.batch.jobs.create(requests=iter([7]), endpoint=JOB["endpoint"])  # type: ignore[arg-type]
    assert "requests" not in spans.pop_one()["input"]


@pytest.mark.parametrize("method", ["get", "cancel"])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_lookup_shows_the_job(method: str, is_async: bool, spans: LoggedSpans) -> None:
    jobs = BatchMistral().client.batch.jobs
    if is_async:
        asyncio.run(getattr(jobs, f"{method}_async")(job_id="job_1"))
    else:
        getattr(jobs, method)(job_id="job_1")
    row = spans.pop_one()
    assert (named(row), row["input"], row["output"]) == (f"mistral.batch.jobs.{method}", {"job_id": "job_1"}, JOB)
    assert row["metadata"]["status"] == "SUCCESS"


def test_each_result_is_the_call_that_it_was(spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a"), result("b")))
    requests = [{"custom_id": name, "body": QUESTION} for name in "ab"]
    mistral.client.batch.jobs.create(requests=requests, endpoint=JOB["endpoint"], model=JOB["model"])
    mistral.client.batch.jobs.get(job_id="job_1")
    spans.pop()
    with braintrust.start_span("nightly") as outer:
        content = mistral.client.files.download(file_id="file_out").read()
    assert content == mistral.content
    rows = spans.pop_ended()
    nightly, download, *children = rows
    assert named(nightly) == "nightly"
    assert download["span_parents"] == [outer.span_id]
    assert (named(download), download["span_attributes"]["type"]) == ("mistral.files.download", "task")
    assert download["input"] == {"file_id": "file_out"}
    assert download["output"] == {"succeeded": 2, "failed": 0}
    assert "tokens" not in download["metrics"]
    assert [child["metadata"]["custom_id"] for child in children] == ["a", "b"]
    for child in children:
        assert child["span_parents"] == [download["span_id"]]
        assert (named(child), child["span_attributes"]["type"]) == ("mistral.chat.complete", "llm")
        assert (child["input"], child["output"]) == (QUESTION["messages"], ANSWER["choices"])
        metrics = {"prompt_tokens": 5, "completion_tokens": 3, "tokens": 8}
        assert child["metrics"] == {"start": JOB["started_at"], "end": JOB["completed_at"], **metrics}
        assert (
            child["metadata"].items()
            >= {"batch_job_id": "job_1", "temperature": 0.5, "model": ANSWER["model"]}.items()
        )
        assert child["metadata"]["requested_model"] == JOB["model"]


SIZE = {"dpi": 2, "height": 2, "width": 2}
ROLE = {"type": "message.output", "role": "assistant"}
CALL = {"type": "function.call"}
WITH_NULLS = {
    **ANSWER,
    "choices": [{**ANSWER["choices"][0], "message": {**ANSWER["choices"][0]["message"], "tool_calls": None}}],
}
CALLED = {
    "/v1/chat/completions": ("chat.complete", QUESTION, ANSWER),
    "/v1/fim/completions": ("fim.complete", {"prompt": "def f(", "suffix": "return 1"}, WITH_NULLS),
    "/v1/embeddings": (
        "embeddings.create",
        {"input": ["a", "b"]},
        {
            "id": "e",
            "object": "list",
            "model": "mistral-embed",
            "usage": ANSWER["usage"],
            "data": [{"object": "embedding", "index": number, "embedding": [0.1, 0.2, 0.3]} for number in range(2)],
        },
    ),
    "/v1/moderations": (
        "classifiers.moderate",
        {"input": ["a"]},
        {
            "id": "m",
            "model": "mod",
            "usage": None,
            "results": [{"categories": {"pii": False}, "category_scores": {"pii": 0.1}}],
        },
    ),
    "/v1/ocr": (
        "ocr.process",
        {"document": {"type": "document_url", "document_url": "https://example.com/a.pdf"}},
        {
            "model": "ocr",
            "usage_info": {"pages_processed": 1, "doc_size_bytes": 7},
            "pages": [
                {"index": 0, "markdown": "# A", "images": [], "dimensions": {"dpi": 2, "height": 2, "width": 2}}
            ],
        },
    ),
    "/v1/conversations": (
        "beta.conversations.start",
        {"inputs": "Hello"},
        {
            "object": "conversation.response",
            "conversation_id": "conv_1",
            "usage": ANSWER["usage"],
            "outputs": [
                {
                    "object": "entry",
                    "type": "message.output",
                    "role": "assistant",
                    "content": "Rye.",
                    "model": "m",
                    "id": "msg_1",
                },
                {
                    "object": "entry",
                    "type": "function.call",
                    "tool_call_id": "c",
                    "name": "f",
                    "arguments": "{}",
                    "id": "fc_1",
                },
            ],
        },
    ),
}


@pytest.mark.parametrize("endpoint", CALLED)
def test_a_result_logs_what_its_call_would_have(endpoint: str, spans: LoggedSpans) -> None:
    method, body, response = CALLED[endpoint]
    resource, _, name = method.rpartition(".")
    target = client_of(lambda _: answer(response))
    for part in resource.split("."):
        target = getattr(target, part)
    arguments = {"inputs" if name in ("create", "moderate") and key == "input" else key: body[key] for key in body}
    getattr(target, name)(model="asked", **arguments)
    called, *called_children = spans.pop()

    mistral = BatchMistral(lines(result("a", response)), endpoint=endpoint, model="asked")
    mistral.client.batch.jobs.create(requests=[{"custom_id": "a", "body": body}], endpoint=endpoint, model="asked")
    spans.pop()
    mistral.client.files.download(file_id="file_out").read()
    _, child, *below = spans.pop_ended()
    assert (
        child["span_attributes"].items() >= {"name": named(called), "type": called["span_attributes"]["type"]}.items()
    )
    assert (child["input"], child["output"]) == (called["input"], called["output"])
    about = {"custom_id": "a", "batch_job_id": "job_1", "status_code": 200}
    assert child["metadata"] == {**called["metadata"], **about}
    times = ("start", "end", "duration")
    assert {key: value for key, value in child["metrics"].items() if key not in times} == {
        key: value for key, value in called["metrics"].items() if key not in times
    }
    assert [(named(row), row["metadata"]) for row in below] == [
        (named(row), row["metadata"]) for row in called_children
    ]
    assert all(row["span_parents"] == [child["span_id"]] for row in below)


READ: dict[str, Callable[[Any], object]] = {
    "read": lambda response: response.read(),
    "lines": lambda response: list(response.iter_lines()),
    "text": lambda response: list(response.iter_text()),
    "bytes": lambda response: list(response.iter_bytes(7)),
    "raw": lambda response: list(response.iter_raw()),
    "stream": lambda response: list(response.stream),
    "twice": lambda response: (response.read(), list(response.iter_lines()), response.text),
}


@pytest.mark.parametrize("size", [1, 50, 100_000])
@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("way", READ)
def test_each_result_is_logged_once_however_it_is_read(way: str, encoding: str, size: int, spans: LoggedSpans) -> None:
    plain = lines(result("a"), result("b")) + b"\n\n"
    mistral = BatchMistral(gzip.compress(plain) if encoding else plain)
    mistral.body = lambda content: Body(content, size)
    if encoding:
        mistral.headers["content-encoding"] = encoding
    mistral.learn(spans)
    response = mistral.client.files.download(file_id="file_out")
    READ[way](response)
    del response
    _, *children = spans.pop_ended()
    assert [child["metadata"]["custom_id"] for child in children] == ["a", "b"]


def test_a_body_that_came_whole_is_read_as_well(spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a")))
    mistral.learn(spans)
    mistral.body = httpx.ByteStream
    client = client_of(
        lambda request: (
            httpx.Response(200, headers=mistral.headers, content=mistral.content)
            if request.url.path.endswith("/content")
            else mistral.answer(request)
        )
    )
    assert client.files.download(file_id="file_out").read() == mistral.content
    assert len(spans.pop_ended()) == 2


async def read_async(response: Any, way: str) -> None:
    if way == "read":
        await response.aread()
    elif way == "lines":
        async for _ in response.aiter_lines():
            pass
    else:
        async for _ in response.aiter_lines():
            break
        await response.aclose()


@pytest.mark.parametrize(("way", "count"), [("read", 2), ("lines", 2), ("break", 1)])
async def test_async_reading(way: str, count: int, spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a"), result("b")))
    mistral.learn(spans)
    mistral.body = lambda content: Body(content, len(lines(result("a"))) + 1)
    await read_async(await mistral.client.files.download_async(file_id="file_out"), way)
    download, *children = spans.pop_ended()
    assert len(children) == count
    assert "error" not in download


@pytest.mark.parametrize("way", ["never", "break", "close", "with"])
def test_reading_that_stops_ends_with_what_was_read(way: str, spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a"), result("b")))
    mistral.body = lambda content: Body(content, len(lines(result("a"))) + 1)
    mistral.learn(spans)
    response = mistral.client.files.download(file_id="file_out")
    if way != "never":
        pieces = response.iter_lines()
        next(pieces)
        if way == "close":
            response.close()
        del pieces
    del response
    gc.collect()
    download, *children = spans.pop_ended()
    assert len(children) == (0 if way == "never" else 1)
    assert download["output"] == {"succeeded": len(children), "failed": 0}
    assert "error" not in download


def test_reading_that_fails_ends_with_the_error(spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a")) + b"\n" + b'{"custom')
    mistral.body = lambda content: Body(content, error=httpx.ReadError("gone"))
    mistral.learn(spans)
    with pytest.raises(httpx.ReadError):
        mistral.client.files.download(file_id="file_out").read()
    # What is there of the second line is no result.
    download, child = spans.pop_ended()
    assert "gone" in download["error"]
    assert child["metadata"]["custom_id"] == "a"


def test_a_download_that_is_refused_is_an_error(spans: LoggedSpans) -> None:
    mistral = BatchMistral()
    mistral.learn(spans)
    client = client_of(lambda _: answer({"detail": "gone"}, 404))
    with pytest.raises(Exception, match="404"):
        client.files.download(file_id="file_out")
    assert "404" in spans.pop_one()["error"]


def test_a_file_that_no_job_named_has_no_span(spans: LoggedSpans) -> None:
    assert BatchMistral(b"anything").client.files.download(file_id="file_else").read() == b"anything"
    assert spans.pop() == []


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"error": {"message": "no such model", "code": "1500"}}, "no such model (code 1500)"),
        ({"response": {"status_code": 422, "body": {"message": "bad", "code": 3001}}}, "bad (code 3001)"),
        ({"response": {"status_code": 500, "body": "oops"}}, "oops (code 500)"),
        ({"response": None, "error": "lost"}, "lost"),
    ],
)
def test_a_request_that_failed_is_an_error_of_its_own(line: Json, error: str, spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a", **line), result("b")), error_file="file_err")
    mistral.learn(spans)
    mistral.client.files.download(file_id="file_err").read()
    download, failed, fine = spans.pop_ended()
    assert (failed["error"], failed["metadata"]["custom_id"]) == (error, "a")
    assert "error" not in fine
    assert "error" not in download
    assert download["output"] == {"succeeded": 1, "failed": 1}


def test_lines_that_are_no_results_hide_no_others(spans: LoggedSpans) -> None:
    mistral = BatchMistral(b"[7]\nhello\n" + lines(result("a", {"choices": 7}), result("b")))
    mistral.learn(spans)
    mistral.client.files.download(file_id="file_out").read()
    _, *children = spans.pop_ended()
    assert [child.get("error") for child in children] == ["Unreadable result", "Unreadable result", None, None]
    assert children[-1]["output"] == ANSWER["choices"]


def uploaded(content: Any) -> Json:
    return {"file_name": "in.jsonl", "content": content}


@pytest.mark.parametrize("kind", ["bytes", "handle", "long", "long handle"])
def test_requests_that_were_uploaded_here_are_known(kind: str, spans: LoggedSpans) -> None:
    content = lines({"custom_id": "b", "body": QUESTION}, {"custom_id": "a", "body": QUESTION})
    # Whatever else is in there.
    content += b'\nhello\n\n[7]\n{"custom_id": "a", "body": 7}'
    if "long" in kind:
        content += b"\n" + lines({"custom_id": "c", "body": {"messages": "x" * 17_000_000}})
    mistral = BatchMistral(lines(result("a")), input_files=["file_in"])
    # The oldest SDK takes no other handles.
    given = io.BufferedReader(io.BytesIO(content)) if "handle" in kind else content  # type: ignore[arg-type]
    mistral.client.files.upload(file=uploaded(given), purpose="batch")
    mistral.client.batch.jobs.create(input_files=["file_in"], endpoint=JOB["endpoint"])
    (created,) = spans.pop()
    assert created["input"] == {"input_files": ["file_in"]}
    mistral.client.files.download(file_id="file_out").read()
    _, child = spans.pop_ended()
    assert child.get("input") == (None if "long" in kind else QUESTION["messages"])


def test_a_long_file_is_not_read_here() -> None:
    class Long(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("read")

    file = Long(bytes(17_000_000))
    file.seek(5)
    remember_upload({"file": {"content": file}, "purpose": "batch"}, SimpleNamespace(id="file_in"))
    assert (file.tell(), len(known_requests)) == (5, 0)


def test_other_uploads_are_not_looked_at(spans: LoggedSpans) -> None:
    BatchMistral().client.files.upload(file=uploaded(b"{}"), purpose="fine-tune")
    assert len(known_requests) == 0
    assert spans.pop() == []


def test_results_in_another_process_have_no_input(spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a")))
    for job in mistral.client.batch.jobs.list().data or []:
        mistral.client.files.download(file_id=str(job.output_file)).read()
    listed, _, child = spans.pop_ended()
    assert (named(listed), listed["output"]["data"]) == ("mistral.batch.jobs.list", [JOB])
    assert "input" not in child
    assert child["output"] == ANSWER["choices"]


def test_an_endpoint_that_nobody_knows(spans: LoggedSpans) -> None:
    body = {"painted": True, "usage": {"total_tokens": 3}}
    mistral = BatchMistral(lines(result("a", body)), endpoint="/v1/paintings")
    mistral.learn(spans)
    mistral.client.files.download(file_id="file_out").read()
    _, child = spans.pop_ended()
    assert (named(child), child["output"], child["metrics"]["tokens"]) == ("mistral.batch.result", body, 3)


def test_results_that_a_job_brings_are_below_the_lookup(spans: LoggedSpans) -> None:
    mistral = BatchMistral(outputs=[result("a"), result("b")], output_file=None)
    job = mistral.client.batch.jobs.get(job_id="job_1", inline=True)
    assert len(job.outputs or []) == 2
    row, *children = spans.pop_ended()
    assert "outputs" not in row["output"]
    assert [child["metadata"]["custom_id"] for child in children] == ["a", "b"]
    for child in children:
        assert child["span_parents"] == [row["span_id"]]
        assert child["metrics"].items() >= {"start": JOB["started_at"], "end": JOB["completed_at"]}.items()


def batch_client(mistral: BatchMistral) -> Any:
    from mistralai.client.models import ChatCompletionResponse
    from mistralai.extra.batch import BatchClient

    return BatchClient(mistral.client, endpoint=JOB["endpoint"], response_body_type=ChatCompletionResponse)


@has_batch_client
async def test_a_run_of_the_batch_client(spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a")), total_requests=1)
    mistral.running = 3
    given = lines({"custom_id": "a", "body": QUESTION})
    done = await batch_client(mistral).run(given, model=JOB["model"], poll_interval_seconds=0)
    assert done.by_id()["a"].id == ANSWER["id"]
    rows = {named(row): row for row in spans.pop_ended()}
    assert set(rows) == {
        "mistral.batch.run",
        "mistral.batch.jobs.create",
        "mistral.batch.wait",
        "mistral.files.download",
        "mistral.chat.complete",
    }
    run = rows["mistral.batch.run"]
    assert run["input"] == {"requests": [json.loads(given)]}
    assert run["output"] == JOB | {"total_requests": 1}
    for name in ("mistral.batch.jobs.create", "mistral.batch.wait", "mistral.files.download"):
        assert rows[name]["span_parents"] == [run["span_id"]]
    assert rows["mistral.chat.complete"]["input"] == QUESTION["messages"]


@has_batch_client
async def test_results_that_the_batch_client_streams(spans: LoggedSpans) -> None:
    mistral = BatchMistral(lines(result("a"), result("b")))
    client = batch_client(mistral)
    handle = await client.get("job_1")
    read = [custom_id async for custom_id, _ in client.stream_results(handle)]
    assert read == ["a", "b"]
    _, download, *children = spans.pop_ended()
    assert [child["metadata"]["custom_id"] for child in children] == read
    assert all(child["span_parents"] == [download["span_id"]] for child in children)


@has_batch_client
async def test_a_wait_that_is_cancelled(spans: LoggedSpans) -> None:
    mistral = BatchMistral()
    mistral.running = 1_000_000
    waiting = asyncio.create_task(batch_client(mistral).wait("job_1", poll_interval_seconds=1000))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    row = spans.pop_one()
    assert (named(row), row["metadata"]["cancelled"]) == ("mistral.batch.wait", True)
    # What comes after is traced again.
    await mistral.client.batch.jobs.get_async(job_id="job_1")
    assert named(spans.pop_one()) == "mistral.batch.jobs.get"


def test_nothing_is_read_or_remembered_without_a_logger(no_logger: None) -> None:
    mistral = BatchMistral(lines(result("a")))
    mistral.client.files.upload(file=uploaded(b"{}"), purpose="batch")
    mistral.client.batch.jobs.get(job_id="job_1")
    assert mistral.client.files.download(file_id="file_out").read() == mistral.content
    assert len(jobs_by_file) == len(known_requests) == 0
