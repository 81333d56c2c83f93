"""What the execution of a workflow logs: one span for each call, whatever requests it makes."""

import asyncio
from typing import Any
from unittest.mock import ANY

import pytest

from tests.conftest import CallMethod, LoggedSpans, MakeClient
from tests.helpers.features import needs
from tests.helpers.spans import LoggedSpan, logged_calls
from tests.helpers.wire import AT, Json, answer


pytestmark = needs("workflows")

EXECUTION: Json = {
    "workflow_name": "bake",
    "execution_id": "exec_1",
    "root_execution_id": "exec_1",
    "status": "RUNNING",
    "start_time": AT,
    "end_time": None,
    "result": None,
}
DONE: Json = {**EXECUTION, "status": "COMPLETED", "end_time": AT, "result": {"loaves": 2}}
ABOUT: Json = {"provider": "mistral", "workflow_identifier": "bake"}


def handle(request: Any) -> Any:
    """Start an execution, which is done when it is asked for; or wait for its result where that is wanted."""
    if request.method == "GET":
        return answer(DONE)
    if b'"wait_for_result":true' in request.content.replace(b" ", b""):
        return answer({"workflow_name": "bake", "execution_id": "exec_1", "result": {"loaves": 2}})
    return answer(EXECUTION)


def logged(spans: LoggedSpans) -> LoggedSpan:
    (call,) = logged_calls(spans.pop())
    return call


def test_an_execution_that_was_started_says_what_is_known_of_it(call_method: CallMethod, spans: LoggedSpans) -> None:
    call_method(handle, "workflows.execute_workflow", workflow_identifier="bake", input={"flour": "rye"})
    call = logged(spans)
    assert call == LoggedSpan(
        name="mistral.workflows.execute_workflow",
        type="task",
        input={"flour": "rye"},
        output={**{name: value for name, value in EXECUTION.items() if value is not None}, "start_time": ANY},
        metadata={**ABOUT, "workflow_name": "bake", "execution_id": "exec_1", "status": "RUNNING"},
        metrics={"duration": ANY},
    )


@pytest.mark.parametrize("positional", [False, True])
@pytest.mark.parametrize("waits", [False, True])
def test_an_execution_that_is_waited_for_is_one_span_with_its_result(
    waits: bool, positional: bool, spans: LoggedSpans, make_client: MakeClient
) -> None:
    client: Any = make_client(handle)
    by_position, by_name = ["bake", {"flour": "rye"}], {"workflow_identifier": "bake", "input": {"flour": "rye"}}
    args, kwargs = (by_position, {}) if positional else ([], by_name)

    async def execute() -> Any:
        return await client.workflows.execute_workflow_and_wait_async(*args, **kwargs, use_api_sync=waits)

    results = [
        client.workflows.execute_workflow_and_wait(*args, **kwargs, use_api_sync=waits),
        asyncio.run(execute()),
    ]
    assert results == [{"loaves": 2}] * 2
    expected = LoggedSpan(
        name="mistral.workflows.execute_workflow_and_wait",
        type="task",
        input={"flour": "rye"},
        output={"loaves": 2},
        metadata={**ABOUT, "use_api_sync": waits},
        metrics={"duration": ANY},
    )
    assert logged_calls(spans.pop()) == [expected] * 2


@pytest.mark.usefixtures("no_logger")
def test_positional_arguments_are_passed_on_where_nothing_is_traced(make_client: MakeClient) -> None:
    workflows: Any = make_client(handle).workflows
    assert workflows.wait_for_workflow_completion("exec_1").result == {"loaves": 2}


def test_waiting_for_an_execution_is_a_span_with_its_result(call_method: CallMethod, spans: LoggedSpans) -> None:
    call_method(handle, "workflows.wait_for_workflow_completion", execution_id="exec_1")
    call = logged(spans)
    assert (call.name, call.output) == ("mistral.workflows.wait_for_workflow_completion", {"loaves": 2})
    about = {"execution_id": "exec_1", "workflow_name": "bake", "status": "COMPLETED"}
    assert call.metadata == {"provider": "mistral", **about}


def test_a_workflow_that_failed_is_an_error(call_method: CallMethod, spans: LoggedSpans) -> None:
    failed = {**EXECUTION, "status": "FAILED"}
    call_method(lambda _: answer(failed), "workflows.execute_workflow", workflow_identifier="bake")
    assert logged(spans).error == "The workflow's status is FAILED."
    with pytest.raises(RuntimeError, match="FAILED"):
        call_method(lambda _: answer(failed), "workflows.execute_workflow_and_wait", workflow_identifier="bake")
    call = logged(spans)
    assert call.name == "mistral.workflows.execute_workflow_and_wait"
    assert call.error == "RuntimeError: Workflow failed with status: FAILED"


def test_after_a_call_that_calls_others_these_are_traced_again(spans: LoggedSpans, make_client: MakeClient) -> None:
    workflows: Any = make_client(handle).workflows
    workflows.execute_workflow_and_wait("bake")
    workflows.execute_workflow(workflow_identifier="bake")
    assert [call.name.rpartition(".")[2] for call in logged_calls(spans.pop())] == [
        "execute_workflow_and_wait",
        "execute_workflow",
    ]
