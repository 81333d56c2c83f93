"""The endpoints that execute workflows: what was started is done when it is asked for."""

import uuid

from starlette.responses import Response

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.delivery import delivery
from braintrust_mistral.local.mistral.endpoints import Endpoint, Received, json_object
from braintrust_mistral.local.mistral.errors import RefusedError, api_error
from braintrust_mistral.local.mistral.playback import Clock, timestamp


FAILING_WORKFLOW = "failing-workflow"
"""The workflow that fails, which only its status tells."""

KEPT_EXECUTIONS = 1_000


class Workflows:
    """The endpoints that execute workflows. The name of one is the name of a delivery."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._executions: dict[str, Json] = {}

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint("POST", "/v1/workflows/{workflow}/execute", self._execute),
            Endpoint("POST", "/v1/workflows/registrations/{workflow}/execute", self._execute),
            Endpoint("GET", "/v1/workflows/executions/{execution_id}", self._get),
        ]

    async def _execute(self, request: Received) -> Response:
        body = json_object(request.body, ["body"], required=set())
        name = request.path_params["workflow"]
        execution_id = body.get("execution_id") or f"exec-{uuid.uuid4().hex}"
        result = {"booked": True, "input": body.get("input")}
        failed = name == FAILING_WORKFLOW
        done: Json = {
            "workflow_name": name,
            "execution_id": execution_id,
            "root_execution_id": execution_id,
            "status": "FAILED" if failed else "COMPLETED",
            "start_time": timestamp(self._clock.now()),
            "end_time": timestamp(self._clock.now()),
            "result": None if failed else result,
        }
        while len(self._executions) >= KEPT_EXECUTIONS:
            del self._executions[next(iter(self._executions))]
        self._executions[execution_id] = done
        if body.get("wait_for_result") and not failed:
            answer: Json = {"workflow_name": name, "execution_id": execution_id, "result": result}
        else:
            answer = {**done, "status": "RUNNING", "end_time": None, "result": None}
        return await delivery(name).response(answer, self._clock)

    async def _get(self, request: Received) -> Response:
        execution = self._executions.get(request.path_params["execution_id"])
        if execution is None:
            raise RefusedError(api_error(404, "No such execution", "not_found", "1404"))
        return await delivery("").response(execution, self._clock)
