"""The differences that the README claims, seen in one application that runs with the overlay and without.

`test_differences_application` takes a step for each. A claim is a function of what came of its step; it must hold of
ours and not of the SDK's own, so that a claim which a newer SDK makes untrue is found here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.conftest import Mistral, run_application
from tests.helpers.wire import Json


pytestmark = pytest.mark.skipif(
    not hasattr(Mistral(api_key="key"), "responses"),
    reason="what is compared has responses",
)

APPLICATION = Path(__file__).with_name("test_differences_application.py")


class Step(NamedTuple):
    """What came of a step: the spans inside, by name, what was uploaded in the whole process, and what was raised."""

    spans: dict[str, Json]
    uploads: list[bytes]
    raised: str | None

    @property
    def call(self) -> Json:
        """The span of the only call, or of the first of several."""
        return next(span for name, span in self.spans.items() if name.startswith("mistral."))


def has_ended(span: Json) -> bool:
    return "end" in span["metrics"]


def seconds(span: Json) -> float:
    return span["metrics"]["end"] - span["metrics"]["start"]


def types_of_chunks(span: Json) -> set[str]:
    contents = [entry["content"] for entry in span["output"] if isinstance(entry.get("content"), list)]
    return {chunk["type"] for content in contents for chunk in content}


def is_below(step: Step, name: str, parent: str) -> bool:
    return step.spans[name]["span_parents"] == [step.spans[parent]["span_id"]]


CLAIMS: dict[str, tuple[str, Callable[[Step], Any]]] = {
    "a stream that is broken off ends": ("a_stream_that_is_broken_off", lambda step: has_ended(step.call)),
    "a stream that is closed ends": ("a_stream_that_is_closed", lambda step: has_ended(step.call)),
    "a stream that is cancelled ends": ("a_stream_that_is_cancelled", lambda step: has_ended(step.call)),
    "an error inside a stream is an error": ("a_stream_that_fails", lambda step: step.call.get("error")),
    "streamed citations and thinking are logged": (
        "streamed_content",
        lambda step: types_of_chunks(step.call) >= {"thinking", "tool_reference"},
    ),
    "a failed hosted tool is an error": (
        "streamed_content",
        lambda step: step.spans["tool: library_get_document"].get("error"),
    ),
    "a hosted tool is as long as it took": (
        "a_hosted_tool",
        lambda step: seconds(step.spans["tool: web_search"]) > 0.1,
    ),
    "a function call has a span, with the result that the next append sends": (
        "a_function_call",
        lambda step: step.spans.get("tool: get_exchange_rate", {}).get("output") == "11.2",
    ),
    "a handoff has a span": ("a_handoff", lambda step: "handoff: analyst" in step.spans),
    "a run is one trace, with its functions live": (
        "a_run",
        lambda step: "tool: get_exchange_rate" in step.spans and is_below(step, "inside", "tool: get_exchange_rate"),
    ),
    "classifiers and responses are traced": (
        "classifiers_and_responses",
        lambda step: {"mistral.classifiers.moderate", "mistral.responses.create"} <= step.spans.keys(),
    ),
    "a local file that a message names is not uploaded": ("a_local_file", lambda step: not step.uploads),
    "signatures of signed URLs are not logged": ("a_signed_url", lambda step: "secret" not in str(step.call)),
    "what lets Mistral use a connector is not logged": (
        "a_connector",
        lambda step: "t0ken" not in str(step.call),
    ),
    "arguments that a prompt built are taken": (
        "a_prompt",
        lambda step: step.raised is None and step.call["metadata"]["prompt"] == {"id": "p1"},
    ),
    "an answer that does not fit what parse asked for is an error": (
        "an_answer_that_does_not_fit",
        lambda step: step.call.get("error"),
    ),
    "a fault in tracing leaves the call alone": ("a_fault_in_tracing", lambda step: step.raised is None),
}


@pytest.fixture(scope="module")
def own_and_ours(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Step]]:
    return [steps(tmp_path_factory.mktemp("application"), switch) for switch in ("0", "1")]


def steps(folder: Path, switch: str) -> dict[str, Step]:
    """Run the application to its end, and return what came of its steps."""
    # Web searches take 0.25 s at this pace.
    with LocalMistral(pace=0.1) as mistral, LocalBraintrust() as bt:
        process = run_application(
            APPLICATION.read_text(encoding="utf-8"), folder, mistral, bt, BRAINTRUST_MISTRAL_OVERLAY=switch
        )
        rows, uploads = bt.spans(), list(bt.attachments.values())
    raised = json.loads(process.stdout)
    traces: dict[str, dict[str, Json]] = {}
    for row in rows:
        traces.setdefault(row["root_span_id"], {})[row["span_attributes"]["name"]] = row
    # The first span of each trace is the step's own.
    return {name: Step(trace, uploads, raised.get(name)) for trace in traces.values() for name in list(trace)[:1]}


@pytest.mark.parametrize("claim", CLAIMS)
def test_it_holds_of_ours_and_not_of_the_sdks_own(claim: str, own_and_ours: list[dict[str, Step]]) -> None:
    name, holds = CLAIMS[claim]
    assert [bool(holds(run[name])) for run in own_and_ours] == [False, True]
