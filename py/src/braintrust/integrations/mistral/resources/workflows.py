"""What the execution of a workflow logs.

- `input`: the workflow's.
- `output`: its result; of an execution that was only started, what is known of it.
- `metadata`: which workflow and which execution it is, its status, and how it was to be executed.
- `error`: also a status that says that the workflow failed.
"""

from braintrust.span_types import SpanTypeAttribute

from ..operations import CallsInside, Operation, Outcome
from ..payloads import Loggable, without_none
from .reading import from_loggable, read_value, request_reader


_FAILED = frozenset({"CANCELED", "FAILED", "TERMINATED", "TIMED_OUT"})


@from_loggable
def read_execution(execution: dict[str, Loggable]) -> Outcome:
    """Return what a `WorkflowExecutionResponse` logs, or that of an execution that was waited for."""
    metadata = without_none({name: execution.get(name) for name in ("workflow_name", "execution_id", "status")})
    status = metadata.get("status")
    return Outcome(
        output=execution.get("result", execution),
        metadata=metadata,
        error=f"The workflow's status is {status}." if status in _FAILED else None,
    )


_read_input = request_reader("input")

OPERATIONS = {
    **{
        method: Operation(f"mistral.workflows.{method}", SpanTypeAttribute.TASK, _read_input, read_execution)
        for method in ("execute_workflow", "execute_workflow_registration", "wait_for_workflow_completion")
    },
    "execute_workflow_and_wait": Operation(
        "mistral.workflows.execute_workflow_and_wait",
        SpanTypeAttribute.TASK,
        _read_input,
        read_value,
        calls_inside=CallsInside.SILENT,
    ),
}
"""The traced methods of `client.workflows`."""
