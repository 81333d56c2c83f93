import json
from typing import Any

import pytest

from braintrust_mistral.local.mistral.scenarios import SCENARIOS
from tests.local.conftest import Http
from tests.local.test_local_mistral import ANSWERING, PATH, bare, folded


SAID = "the blue ferry"


@pytest.mark.parametrize("name", ANSWERING)
def test_all_that_is_answered_repeats_what_was_said(http: Http, name: str) -> None:
    """Streamed and whole alike, in each of the scenario's entries but handoffs."""
    body = {"model": f"{name}+echo", "inputs": SAID}
    outputs = http.post(PATH, json=body).json()["outputs"]
    for entry in outputs:
        if entry["type"] != "agent.handoff":
            assert SAID in json.dumps(entry.get("content", entry.get("arguments")))
        if "info" in entry:
            assert entry["info"]["echo"] == SAID
    if name != "old-events":
        assert folded(http.stream(PATH, **body)) == bare(outputs)


# One breaks the connection, the other is long.
@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - {"broken", "long-stream"}))
def test_an_echo_changes_nothing_else(http: Http, name: str) -> None:
    plain, echo = (http.post(PATH, json={"model": model, "inputs": SAID}) for model in (name, f"{name}+echo"))
    assert echo.status_code == plain.status_code
    assert kinds(echo.json()) == kinds(plain.json())


def test_a_result_is_what_was_said(http: Http) -> None:
    started = http.post(PATH, json={"model": "function-call+echo", "inputs": SAID}).json()
    (call,) = started["outputs"]
    result = {"type": "function.result", "tool_call_id": call["tool_call_id"], "result": "eleven"}
    path = f"{PATH}/{started['conversation_id']}"
    (message,) = http.post(path, json={"inputs": [result]}).json()["outputs"]
    assert message["content"] == "The exchange gave: eleven. eleven"


def kinds(answer: Any) -> list[str]:
    return [entry["type"] for entry in answer.get("outputs", ())]
