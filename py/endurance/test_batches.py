"""A batch's results are logged while they are read: what that takes does not grow with their number."""

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import braintrust
import pytest
from braintrust import logger as braintrust_logger
from braintrust.logger import ObjectMetadata, OrgProjectMetadata
from braintrust.util import LazyValue

from endurance.plan import IS_FULL
from tests.helpers.wire import answer, client_of, httpx


COUNT = 100_000 if IS_FULL else 4_000
MOST_BYTES = 500_000
JOB = {"id": "job", "endpoint": "/v1/chat/completions", "status": "SUCCESS", "output_file": "file", "created_at": 1}
COUNTS = dict.fromkeys(("total_requests", "completed_requests", "succeeded_requests", "failed_requests"), COUNT)
CHOICES = [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "The 14:10. " * 20}}]
BODY = {"object": "chat.completion", "model": "m", "choices": CHOICES, "usage": {"total_tokens": 3}}


class Counting(braintrust_logger._MemoryBackgroundLogger):
    """A logger that keeps nothing, as one whose records are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.tokens = 0

    def log(self, *records: Any) -> None:
        for record in records:
            row = record.get()
            self.seen[row.get("metadata", {}).get("custom_id", "")] += 1
            self.tokens += row.get("metrics", {}).get("tokens", 0)


class Results(httpx.SyncByteStream):
    """The results, each made when it is sent."""

    def __iter__(self) -> Iterator[bytes]:
        for number in range(COUNT):
            line = {"custom_id": f"r{number}", "response": {"status_code": 200, "body": BODY}}
            yield json.dumps(line).encode() + b"\n"


@pytest.fixture
def counting() -> Iterator[Counting]:
    logger = Counting()
    state = braintrust_logger._state
    before = state._global_bg_logger
    state._global_bg_logger = LazyValue(lambda: logger, use_mutex=False)
    project = OrgProjectMetadata(org_id="org", project=ObjectMetadata(id="project", name="project", full_info={}))
    braintrust.init_logger(project="project")._lazy_metadata = LazyValue(lambda: project, use_mutex=False)
    yield logger
    state.reset_parent_state()
    state._global_bg_logger = before


def test_many_results_take_no_more_memory_than_few(counting: Counting) -> None:
    def serve(request: Any) -> Any:
        if request.url.path.endswith("/content"):
            return httpx.Response(200, headers={"content-type": "application/octet-stream"}, stream=Results())
        return answer({**JOB, **COUNTS, "input_files": [], "errors": []})

    client = client_of(serve)
    client.batch.jobs.get(job_id="job")
    held: list[int] = []
    tracemalloc.start()
    try:
        for number, _ in enumerate(client.files.download(file_id="file").iter_lines()):
            if number in (COUNT // 10, COUNT - 1):
                # What the test itself counts is not what tracing holds.
                counted = sum(len(key) + 100 for key in counting.seen)
                held.append(tracemalloc.get_traced_memory()[0] - counted)
    finally:
        tracemalloc.stop()
    assert held[1] - held[0] < MOST_BYTES
    assert {counting.seen[f"r{number}"] for number in range(COUNT)} == {1}
    assert counting.tokens == 3 * COUNT
