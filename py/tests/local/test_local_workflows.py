from typing import Any

import pytest

from tests.helpers.features import needs
from tests.local.conftest import Http


has_workflows = needs("workflows")


@has_workflows
@pytest.mark.parametrize("waits", [False, True])
def test_a_workflow_has_a_result(sdk: Any, waits: bool) -> None:
    result = sdk.workflows.execute_workflow_and_wait("book-ferry", {"passengers": 2}, use_api_sync=waits)
    assert result == {"booked": True, "input": {"passengers": 2}}


@has_workflows
def test_a_workflow_that_was_started_is_done_later(sdk: Any) -> None:
    started = sdk.workflows.execute_workflow(workflow_identifier="book-ferry", execution_id="exec-1")
    assert (started.execution_id, started.status) == ("exec-1", "RUNNING")
    assert sdk.workflows.wait_for_workflow_completion("exec-1").result == {"booked": True, "input": None}


@has_workflows
def test_a_workflow_fails(sdk: Any) -> None:
    with pytest.raises(RuntimeError, match="FAILED"):
        sdk.workflows.execute_workflow_and_wait("failing-workflow")


def test_workflows_fail_as_everything_does(http: Http) -> None:
    assert http.post("/v1/workflows/http-503/execute", json={}).status_code == 503
    assert http.post("/v1/workflows/registrations/http-403/execute", json={}).status_code == 403
    assert http.get("/v1/workflows/executions/exec-0").status_code == 404
