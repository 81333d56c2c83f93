"""The names of agents, as far as this process has seen them: most calls and entries name an agent by its id alone."""

from collections.abc import Mapping

from ..bounded import BoundedMap
from ..payloads import Loggable


agent_names: BoundedMap[str, str] = BoundedMap(most_entries=1024)
"""The names by the ids of their agents, those that were learned last."""

_SIDES = (("previous_agent_id", "previous_agent_name"), ("next_agent_id", "next_agent_name"))


def learn_agent_name(agent_id: Loggable, name: Loggable) -> None:
    """Remember the name of an agent."""
    if isinstance(agent_id, str) and isinstance(name, str) and name:
        agent_names.set(agent_id, name)


def learn_from_handoff(entry: Mapping[str, Loggable]) -> None:
    """Remember the names of the two agents of a handoff."""
    for agent_id, name in _SIDES:
        if name in entry:
            learn_agent_name(entry.get(agent_id), entry[name])


def agent_name_of(agent_id: Loggable) -> str | None:
    """Return the name of an agent, if any call or entry has told it; Mistral is not asked."""
    return agent_names.get(agent_id) if isinstance(agent_id, str) else None
