from typing import Any

import pytest

from tests.local.conftest import Http


DEFINITION: dict[str, Any] = {
    "model": "mistral-medium-latest",
    "name": "ferry clerk",
    "instructions": "You sell tickets.",
    "tools": [{"type": "web_search"}],
    "completion_args": {"temperature": 0.2},
}


def test_an_agent_is_kept_in_all_its_versions(sdk: Any) -> None:
    created = sdk.beta.agents.create(**DEFINITION)
    assert (created.name, created.version, created.versions) == ("ferry clerk", 0, [0])
    updated = sdk.beta.agents.update(agent_id=created.id, instructions="You sell no tickets.")
    assert (updated.version, updated.versions, updated.name) == (1, [0, 1], "ferry clerk")
    assert sdk.beta.agents.get(agent_id=created.id).instructions == "You sell no tickets."
    assert sdk.beta.agents.get(agent_id=created.id, agent_version=0).instructions == "You sell tickets."
    assert sdk.beta.agents.update_version(agent_id=created.id, version=0).instructions == "You sell tickets."
    sdk.beta.agents.delete(agent_id=created.id)
    assert sdk.beta.agents.get(agent_id=created.id).name == "clerk"


@pytest.mark.parametrize(
    ("agent_id", "name"), [("ag_0198a3c204e97d118a5f6b3c92d0e471", "analyst"), ("ag_unheard_of", "clerk")]
)
def test_an_agent_that_nobody_defined_has_a_name(sdk: Any, agent_id: str, name: str) -> None:
    assert sdk.beta.agents.get(agent_id=agent_id).name == name


def test_what_there_is_not_is_refused(http: Http) -> None:
    assert http.refused_at("/v1/agents", json={"model": "plain"}) == ["body", "name"]
    assert http.refused_at("/v1/agents", json={**DEFINITION, "flour": "rye"}) == ["body", "flour"]
    for version in ("7", "latest"):
        assert http.get(f"/v1/agents/ag_1?agent_version={version}").status_code == 422


def test_agents_fail_as_everything_does(http: Http) -> None:
    assert http.get("/v1/agents/http-404").status_code == 404
    assert http.post("/v1/agents", json={**DEFINITION, "name": "http-429"}).status_code == 429
