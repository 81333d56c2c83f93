"""What the local Braintrust adds up, and the conversation that it reads in a trace, as the real one does."""

from itertools import count
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from braintrust_mistral.local import LocalBraintrust
from braintrust_mistral.local.braintrust.thread import thread_of
from braintrust_mistral.local.braintrust.totals import cost_of, totals_of
from braintrust_mistral.local.braintrust.traces import Trace, traces_of
from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.report import described


LARGE = {"provider": "mistral", "model": "mistral-large-latest"}
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100, "tokens": 1_100}
_starts = count()


def span(kind: str | None = "llm", *, purpose: str | None = None, **fields: Any) -> Json:
    start = next(_starts)
    attributes = {"name": "a span", "type": kind, "purpose": purpose, "exec_counter": start}
    fields["metrics"] = {"start": float(start), **fields.get("metrics", {})}
    return {"id": str(start), "root_span_id": "root", "span_attributes": attributes, **fields}


def says(role: str, content: Any = None, **more: Any) -> Json:
    return {"role": role, "content": content, **more}


def call(messages: list[Json], *answers: Json, **fields: Any) -> Json:
    choices = [{"index": i, "finish_reason": "stop", "message": answer} for i, answer in enumerate(answers)]
    return span(input=messages, output=choices, **fields)


def test_totals_are_over_spans_of_any_type_but_scorers() -> None:
    spans = [
        span("task", metrics=USAGE, metadata=LARGE),
        span("llm", metrics=USAGE, metadata=LARGE, error="quota exceeded"),
        span("llm", metrics=USAGE, metadata=LARGE, purpose="scorer"),
        span("score", metrics=USAGE, metadata=LARGE),
        span(None),
    ]
    totals = totals_of(spans)
    assert (totals.spans, totals.errors) == (5, 1)
    assert (totals.tokens, totals.prompt_tokens, totals.completion_tokens) == (2_200, 2_000, 200)
    assert totals.cost == pytest.approx(2 * (1_000 * 0.5 + 100 * 1.5) / 1e6)


def test_the_chart_reads_llm_spans_only() -> None:
    spans = [span("task", metrics=USAGE, metadata=LARGE), span("llm", metrics=USAGE, metadata=LARGE)]
    totals = totals_of([*spans, span("llm", metrics=USAGE, metadata=LARGE, purpose="scorer")])
    assert totals.llm_tokens == 1_100
    assert totals.llm_cost == pytest.approx((1_000 * 0.5 + 100 * 1.5) / 1e6)


def test_no_span_is_no_cost() -> None:
    assert totals_of([]) == (0, 0, 0, 0, 0, None, 0, None)


def test_cached_tokens_are_among_the_prompts_and_cheaper() -> None:
    cost = cost_of(span(metrics={**USAGE, "prompt_cached_tokens": 400}, metadata=LARGE))
    assert cost == pytest.approx((600 * 0.5 + 400 * 0.05 + 100 * 1.5) / 1e6)


def test_an_estimated_cost_is_taken_instead() -> None:
    assert cost_of(span(metrics={**USAGE, "estimated_cost": 0.25}, metadata=LARGE)) == 0.25
    assert cost_of(span(metrics={"estimated_cost": 0}, metadata=LARGE)) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"metrics": USAGE},
        {"metrics": USAGE, "metadata": {"model": "mistral-large-latest"}},
        {"metrics": USAGE, "metadata": {**LARGE, "provider": "azure"}},
        {"metrics": USAGE, "metadata": {**LARGE, "model": "web-search"}},
        {"metrics": {}, "metadata": LARGE},
    ],
    ids=["no metadata", "no provider", "another provider", "an unknown model", "no tokens"],
)
def test_what_has_no_known_price_has_no_cost(fields: Json) -> None:
    assert cost_of(span(**fields)) is None
    assert totals_of([span(**fields)]).cost is None


MESSAGES = st.builds(says, st.sampled_from(["system", "user", "assistant"]), st.sampled_from(["", "a", "b", "c"]))


@given(system=MESSAGES, turns=st.lists(st.tuples(MESSAGES, MESSAGES), max_size=8))
def test_the_thread_of_a_growing_conversation_is_that_conversation(
    system: Json, turns: list[tuple[Json, Json]]
) -> None:
    conversation = [system]
    spans: list[Json] = []
    for question, answer in turns:
        conversation.append(question)
        spans.append(call(list(conversation), answer))
        conversation.append(answer)
    assert thread_of(spans) == (conversation if turns else [])


def test_the_thread_follows_when_the_calls_began_and_leaves_others_out() -> None:
    hello, hi = says("user", "hello"), says("assistant", "hi")
    first, second = call([hello], hi), call([hello, hi, says("user", "bye")], says("assistant", "see you"))
    judge = call([says("user", "was that polite?")], says("assistant", "yes"), purpose="scorer")
    embedding = span(input=["hello"], output={"embedding_length": 1024})
    task = span("task", input=[says("user", "not a model's")])
    thread = thread_of([second, judge, embedding, task, first])
    assert [message["content"] for message in thread] == ["hello", "hi", "bye", "see you"]


def test_an_agent_that_takes_over_speaks_under_its_own_instructions() -> None:
    question, handoff = says("user", "when?"), says("assistant", "ask the analyst")
    first = call([says("system", "research"), question], handoff)
    second = call([says("system", "compute"), question, handoff], says("assistant", "at noon"))
    contents = [message["content"] for message in thread_of([first, second])]
    assert contents == ["research", "when?", "ask the analyst", "compute", "at noon"]


def test_answers_show_each_time_and_a_failed_call_shows_its_question() -> None:
    question, answer = says("user", "heads?"), says("assistant", "tails")
    failed = span(input=[question], error="quota exceeded")
    assert thread_of([failed, call([question], answer), call([question], answer, answer)]) == [question, *[answer] * 3]


def test_messages_are_the_same_however_they_are_written_down() -> None:
    image = {"type": "braintrust_attachment", "filename": "image.png", "content_type": "image/png"}

    def shown(key: str) -> Json:
        return says("user", [{"type": "image_url", "image_url": {"url": {**image, "key": key}}}])

    function = {"name": "look", "arguments": "{}"}
    answer = says("assistant", "", tool_calls=[{"id": "c1", "type": "function", "index": 0, "function": function}])
    sent = says("assistant", tool_calls=[{"id": "c1", "function": function}])
    result = says("tool", [{"type": "text", "text": "a "}, {"type": "text", "text": "cat"}], tool_call_id="c1")
    again = says("tool", "a cat", tool_call_id="c1", name="look")
    spans = [
        call([shown("one")], answer),
        call([shown("two"), sent, result], says("assistant", "A cat.")),
        call([shown("three"), sent, again, says("assistant", [{"type": "text", "text": "A cat."}])], says("user", "")),
    ]
    assert [message["role"] for message in thread_of(spans)] == ["user", "assistant", "tool", "assistant", "user"]
    other = says("tool", "a cat", tool_call_id="c2")
    assert thread_of([*spans, call([other])])[-1] == other


def test_spans_are_put_together_by_their_roots() -> None:
    spans = [
        span("task"),
        {**span("task"), "root_span_id": "other"},
        call([says("user", "hi")], says("assistant", "hello"), metrics=USAGE, metadata=LARGE),
    ]
    first, second = traces_of(spans)
    assert (first.spans, second.spans) == ([spans[0], spans[2]], [spans[1]])
    assert described(first) == "1100 tokens (1000 in, 100 out), about $0.00065; thread of 2: user → assistant"
    assert described(second) == "no tokens; no thread, as no span is a model call with messages"


def test_a_long_thread_is_told_by_its_ends() -> None:
    trace = Trace("root", [call([says("user", str(i)) for i in range(40)], says("assistant", "ok"), metrics=USAGE)])
    line = "1100 tokens (1000 in, 100 out), of no known price; thread of 41: " + "user → " * 10 + "… → assistant"
    assert described(trace) == line


def test_the_local_braintrust_offers_its_traces() -> None:
    with LocalBraintrust() as bt:
        rows = [span("task"), call([says("user", "hi")], says("assistant", "hello"), metrics=USAGE, metadata=LARGE)]
        for row in [*rows, {"id": rows[1]["id"], "metrics": {"end": 3.0}, "_is_merge": True}]:
            requests.post(f"{bt.url}/logs3", json={"rows": [row]}, timeout=10).raise_for_status()
        (trace,) = bt.traces()
    assert [row["id"] for row in trace.spans] == [row["id"] for row in rows]
    assert (trace.totals.tokens, trace.spans[1]["metrics"]["end"]) == (1_100, 3.0)
    assert [message["content"] for message in trace.thread] == ["hi", "hello"]
