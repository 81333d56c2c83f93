"""What the administration of agents logs.

- `input`: the definition that was given (instructions, tools, completion_args, handoffs …), or which agent was meant.
- `output`: the agent, as it is now.
- `metadata`: the agent's id, name, version and model.
"""

from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..operations import Operation, Outcome, Request
from ..payloads import Loggable, without_none
from .agent_names import learn_agent_name
from .reading import from_loggable, parameters_of, with_agent_name


def read_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of a method log; `update_version` has the version that it makes the current one."""
    definition = parameters_of(arguments)
    metadata: dict[str, Loggable] = {
        "provider": "mistral",
        "agent_id": definition.get("agent_id"),
        "agent_version": definition.get("agent_version", definition.get("version")),
        "model": definition.get("model"),
    }
    return Request(definition or None, with_agent_name(without_none(metadata)))


@from_loggable
def read_response(agent: dict[str, Loggable]) -> Outcome:
    """Return what an `Agent` logs."""
    learn_agent_name(agent.get("id"), agent.get("name"))
    metadata: dict[str, Loggable] = {
        "object": agent.get("object"),
        "agent_id": agent.get("id"),
        "agent_version": agent.get("version"),
        "model": agent.get("model"),
    }
    return Outcome(parameters_of(agent), without_none(metadata))


OPERATIONS = {
    method: Operation(f"mistral.beta.agents.{method}", SpanTypeAttribute.TASK, read_request, read_response)
    for method in ("create", "update", "get", "update_version", "delete")
}
"""The traced methods of `client.beta.agents`."""
