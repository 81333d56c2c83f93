from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from braintrust.integrations.mistral.operations import Arrival, Request, read_stream
from braintrust.integrations.mistral.payloads import to_loggable
from braintrust.integrations.mistral.resources.completion_stream import CompletionAccumulator
from braintrust.integrations.mistral.resources.completions import read_response
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.features import TYPES_TOOL_CALLS, WRAPS_INVALID, keeps
from tests.helpers.folding import LETTERS, NAMES, URLS, Folding, Streamed, merged, optional, pieces
from tests.helpers.wire import Json
from tests.resources.test_completions import IDENTITY, has_several_messages


try:
    from mistralai.client import models
except ImportError:  # 1.x
    from mistralai import models


TYPE: Json = {"type": "function"} if TYPES_TOOL_CALLS else {}
"""What the SDK fills in."""

KEEPS_LOGPROBS = keeps("ChatCompletionChoice", "logprobs")
KEEPS_MESSAGES = keeps("ChatCompletionChoice", "messages")


def chunk(*choices: Json, **fields: Any) -> Json:
    return {**IDENTITY, "object": "chat.completion.chunk", "choices": choices, **fields}


def choice(delta: Json, index: int = 0, finish_reason: str | None = None, **fields: Any) -> Json:
    """Return a choice as a chunk has it."""
    return {"index": index, "delta": delta, "finish_reason": finish_reason, **fields}


def parsed(event: Json) -> Any:
    """Return a chunk as the SDK hands it to its user."""
    return models.CompletionEvent.model_validate({"data": event})


FOLDING = Folding(CompletionAccumulator, parsed, read_response)
accumulated, folded, seen_at = FOLDING.accumulated, FOLDING.folded, FOLDING.seen_at


def message_of(*deltas: Json) -> Json:
    """Return the message that these deltas add up to."""
    (only,) = folded(*(chunk(choice(delta)) for delta in deltas))["choices"]
    return only["message"]


def content_of(*contents: Any) -> Any:
    """Return the content that these contents of deltas add up to."""
    return message_of(*({"content": content} for content in contents)).get("content")


def piece(arguments: Any = "", name: str = "", **fields: Any) -> Json:
    """Return a piece of a tool call."""
    return {"function": {"name": name, "arguments": arguments}, **fields}


def calls_of(*deltas: list[Json]) -> list[Json]:
    """Return the tool calls that these deltas' add up to."""
    return message_of(*({"tool_calls": pieces} for pieces in deltas))["tool_calls"]


def text(content: str) -> Json:
    return {"type": "text", "text": content}


def thinking(content: str) -> Json:
    return {"type": "thinking", "thinking": [text(content)]}


REFERENCE: Json = {"type": "reference", "reference_ids": [1, 2]}


# A completion


def test_no_chunks_are_a_response_without_choices() -> None:
    assert folded() == {"choices": []}


def test_a_whole_stream_adds_up_to_the_response_it_would_have_been() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    assert folded(
        chunk(choice({"role": "assistant", "content": ""})),
        chunk(choice({"content": "Ry"})),
        chunk(choice({"content": "e."})),
        chunk(choice({"content": ""}, finish_reason="length"), usage=usage),
    ) == {
        **IDENTITY,
        "choices": [
            {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": "Rye."}},
        ],
        "usage": usage,
    }


@pytest.mark.parametrize("last", [[], [choice({"content": "c"})]])
def test_usage_is_that_of_the_last_chunk_that_has_any_with_choices_or_without(last: list[Json]) -> None:
    chunks = [chunk(choice({"content": letter}), usage={"total_tokens": 1}) for letter in "ab"]
    usage = {"total_tokens": 3}
    assert folded(*chunks, chunk(*last, usage=usage), chunk(usage=None))["usage"] == usage


def test_choices_are_told_apart_by_their_index_in_one_chunk_and_in_turn() -> None:
    response = folded(
        chunk(choice({"content": "c"}, 2), choice({"content": "a"}, 0)),
        chunk(choice({"content": "A"}, 0), choice({"content": "b"}, 1)),
        chunk(choice({"content": "C"}, 2)),
        chunk(choice({"content": "!"}, 2)),
        chunk(choice({"content": "B"}, 1)),
    )
    assert [(one["index"], one["message"]["content"]) for one in response["choices"]] == [
        (0, "aA"),
        (1, "bB"),
        (2, "cC!"),
    ]


# Content


def test_a_text_of_many_pieces_is_whole() -> None:
    cut = [f"{number} " for number in range(5_000)]
    assert content_of(*cut) == "".join(cut)


@pytest.mark.parametrize(
    ("contents", "content"),
    [
        (["", [thinking("a")], [thinking("b")], "c", "d", ""], [thinking("ab"), text("cd")]),
        (["a", [REFERENCE], "b", [REFERENCE, text("c")]], [text("a"), REFERENCE, text("b"), REFERENCE, text("c")]),
        ([[text("a"), REFERENCE, text("b")], [text("c")]], [text("a"), REFERENCE, text("bc")]),
        ([[text("a")]], [text("a")]),
        (["", [REFERENCE], ""], [REFERENCE]),
    ],
)
def test_content_may_be_chunks_and_strings_in_turn(contents: list[Any], content: Any) -> None:
    assert content_of(*contents) == content


@pytest.mark.skipif(not WRAPS_INVALID, reason="this mistralai refuses chunks that it cannot validate")
@pytest.mark.parametrize(
    "unknown",
    [
        {"type": "hologram", "depth": 3},
        # Known chunks that the SDK could not validate.
        {"type": "image_url", "image_url": 3},
    ],
)
def test_a_chunk_that_the_sdk_does_not_know_is_what_was_on_the_wire(unknown: Json) -> None:
    delta = parsed(chunk(choice({"content": [unknown]}))).data.choices[0].delta
    assert delta.content[0].type == "UNKNOWN"
    assert content_of("a", [unknown], [unknown, text("b")]) == [text("a"), unknown, unknown, text("b")]
    answered = {**IDENTITY, "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": [unknown]}}]}
    whole: Any = read_response(models.ChatCompletionResponse.model_validate({**answered, "usage": {}}), Request())
    streamed: Any = FOLDING.logged([chunk(choice({"content": [unknown]}))])
    assert streamed.output[0]["message"]["content"] == whole.output[0]["message"]["content"]


@pytest.mark.skipif(not WRAPS_INVALID, reason="this mistralai refuses chunks that it cannot validate")
def test_thinking_with_a_part_that_the_sdk_does_not_know_goes_on() -> None:
    unknown = {"type": "hologram", "depth": 3}
    parts = [[{"type": "thinking", "thinking": [part]}] for part in (text("a"), unknown, text("b"))]
    assert content_of(*parts) == [{"type": "thinking", "thinking": [text("a"), unknown, text("b")]}]


def test_a_text_after_an_empty_citation_goes_on_in_the_middle_of_json() -> None:
    citation = {"type": "reference", "reference_ids": []}
    assert content_of('{"a": ', [citation, text("1")], "}") == [text('{"a": '), citation, text("1}")]


def test_thinking_turns_to_the_answer_within_one_delta_and_later_says_that_it_is_closed() -> None:
    closed = {**thinking("b"), "closed": True}
    assert content_of([thinking("a")], [closed, text("c")], "d") == [{**thinking("ab"), "closed": True}, text("cd")]


# What a model may send for nothing


def test_empty_chunks_and_padding_change_nothing() -> None:
    padded = chunk(choice({"content": "Rye."}, finish_reason="stop"), usage={"total_tokens": 3}, p="abcdef")
    assert folded(chunk(usage=None), padded, chunk(usage=None)) == folded(padded)


def test_a_stream_of_empty_texts_is_an_empty_text() -> None:
    assert content_of("", "", "") == ""
    assert seen_at(*((float(n), chunk(choice({"content": ""}))) for n in range(3))).first_output is None


# Tool calls


def test_later_pieces_may_have_an_empty_id_and_an_empty_name() -> None:
    later = {"id": "", "index": 0}
    assert calls_of(
        [piece("", "bake", id="chatcmpl-tool-0123456789", index=0)],
        [piece('{"flour": ', **later)],
        [piece('"rye"}', **later)],
    ) == [piece('{"flour": "rye"}', "bake", id="chatcmpl-tool-0123456789", index=0, **TYPE)]


@pytest.mark.parametrize("identity", [{"index": 0}, {"id": "call1"}, {}])
def test_a_name_that_is_repeated_on_each_piece_is_one(identity: Json) -> None:
    cut = ["", '{"flour": {"kind": "rye"}, ', '"oven": ', '{"degrees": 240}', "}"]
    assert calls_of(*([piece(part, "get_weather", **identity)] for part in cut)) == [
        piece("".join(cut), "get_weather", **identity, **TYPE)
    ]


@pytest.mark.parametrize("other", ["bake", "taste"])
@pytest.mark.parametrize("identity", [{}, {"id": "null"}, {"id": ""}])
@pytest.mark.parametrize(
    ("first", "second"),
    [('{"a": 1}', '{"a": 2}'), ("{}", "{}"), ({"a": 1}, {"a": 2}), ({}, {}), ('{"a": {"b": "}"}}', "{}")],
)
def test_whole_calls_one_a_delta_are_several_without_an_id_and_an_index(
    first: Any, second: Any, identity: Json, other: str
) -> None:
    assert calls_of([piece(first, "bake", **identity)], [piece(second, other, **identity)]) == [
        piece(first, "bake", **TYPE),
        piece(second, other, **TYPE),
    ]


def test_braces_inside_of_a_text_begin_no_other_call() -> None:
    cut = ['{"code": "function() {', "}", '{"', "}"]
    assert calls_of(*([piece(part, "run")] for part in cut)) == [piece("".join(cut), "run", **TYPE)]


def test_pieces_of_calls_may_alternate_and_come_together() -> None:
    first, second = {"id": "call1", "index": 0}, {"id": "call2", "index": 1}
    assert calls_of(
        [piece("1", "a", **first)],
        [piece("2", "b", **second)],
        [piece("3", index=0), piece("4", index=1)],
        [piece("5", index=1), piece("6", index=0)],
    ) == [piece("136", "a", **first, **TYPE), piece("245", "b", **second, **TYPE)]


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    assert calls_of(
        [piece("1", "a", id="call1"), piece("2", "b", id="call2")],
        [piece("3", id="call2")],
        [piece("4", id="call1"), piece("5", "c", id="call3")],
        [piece("6")],
    ) == [
        piece("146", "a", id="call1", **TYPE),
        piece("23", "b", id="call2", **TYPE),
        piece("5", "c", id="call3", **TYPE),
    ]


@pytest.mark.parametrize("identity", [{}, {"id": "null"}])
def test_calls_with_neither_an_index_nor_an_id_are_told_apart_by_their_place(identity: Json) -> None:
    assert calls_of([piece("1", "a", **identity), piece("2", "b", **identity)]) == [
        piece("1", "a", **TYPE),
        piece("2", "b", **TYPE),
    ]


@pytest.mark.parametrize("ids", [["call1", None], ["call1", "null"], ["null", "call1"], [None, "call1"]])
def test_a_call_has_the_id_that_any_of_its_pieces_brings(ids: list[str | None]) -> None:
    identities = [{} if id is None else {"id": id} for id in ids]
    assert calls_of(*([piece("1", index=0, **identity)] for identity in identities)) == [
        piece("11", id="call1", index=0, **TYPE)
    ]


# Several messages


@has_several_messages
def test_deltas_that_all_belong_to_the_first_message_are_of_one() -> None:
    (only,) = folded(
        chunk(choice({"role": "assistant", "content": "", "index": 0})),
        chunk(choice({"content": "Rye.", "index": 0}, finish_reason="stop")),
    )["choices"]
    assert only == {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Rye."}}


@has_several_messages
def test_messages_are_told_apart_by_the_index_of_their_deltas() -> None:
    hosted = piece("{}", "web_search", id="call1", type="web_search", index=0)
    response = folded(
        chunk(choice({"role": "assistant", "tool_calls": [hosted], "index": 0})),
        chunk(choice({"role": "tool", "tool_call_id": "call1", "content": "ry", "index": 1})),
        chunk(choice({"role": "assistant", "content": "It is ", "index": 2})),
        chunk(choice({"content": "e", "index": 1})),
        chunk(choice({"content": "rye", "index": 2})),
        # What has no index goes on with the latest.
        chunk(choice({"content": "."})),
        chunk(choice({"content": ""}, finish_reason="stop")),
    )
    assert response["choices"] == [
        {
            "index": 0,
            "finish_reason": "stop",
            "messages": [
                {"role": "assistant", "tool_calls": [hosted]},
                {"role": "tool", "tool_call_id": "call1", "content": "rye"},
                {"role": "assistant", "content": "It is rye."},
            ],
        }
    ]


# When it came


@pytest.mark.parametrize(
    "first",
    [
        {"content": "a"},
        {"content": [thinking("a")]},
        {"content": [REFERENCE]},
        {"tool_calls": [piece(name="b")]},
    ],
)
def test_the_first_output_is_the_first_chunk_that_carries_any(first: Json) -> None:
    accumulator = seen_at(
        (1.0, chunk(choice({"role": "assistant", "content": ""}))),
        (2.0, chunk(choice({"content": ""}), choice({"content": [thinking("")]}, 1))),
        (3.0, chunk(choice(first))),
        (4.0, chunk(choice({"content": "b"}))),
        (5.0, chunk(choice({"content": ""}, finish_reason="stop"))),
    )
    assert accumulator.first_output == 3.0


def test_a_stream_without_output_has_no_first_output() -> None:
    accumulator = seen_at(
        (1.0, chunk(choice({"role": "assistant", "content": ""}))), (2.0, chunk(usage={"total_tokens": 3}))
    )
    assert accumulator.first_output is None


def test_arrivals_are_the_first_and_the_last_piece_of_each_call_of_all_choices() -> None:
    accumulator = seen_at(
        (1.0, chunk(choice({"tool_calls": [piece(id="c", index=0)]}, 1))),
        (2.0, chunk(choice({"tool_calls": [piece(id="a", index=0), piece(id="b", index=1)]}, 0))),
        (3.0, chunk(choice({"content": "x"}, 0))),
        (4.0, chunk(choice({"tool_calls": [piece(index=0)]}, 0))),
        (5.0, chunk(choice({"tool_calls": [piece(index=0)]}, 1))),
    )
    children = read_stream(accumulator, read_response, Request()).children
    assert [(child.metadata["tool_call_id"], child.arrival) for child in children] == [
        ("a", Arrival(2.0, 4.0)),
        ("b", Arrival(2.0, 2.0)),
        ("c", Arrival(1.0, 5.0)),
    ]


# Events that nobody can read, memory


@pytest.mark.parametrize(
    "event",
    [None, "text", SimpleNamespace(), SimpleNamespace(data=None), SimpleNamespace(data=SimpleNamespace(usage=None))],
)
def test_an_event_of_another_shape_costs_no_other(event: Any) -> None:
    FOLDING.assert_costs_no_other(event, *(chunk(choice({"content": letter})) for letter in "abc"))


def test_a_choice_whose_chunks_cannot_be_read_costs_no_other() -> None:
    accumulator = accumulated([chunk(choice({"content": "Rye."}))])
    unreadable = parsed(chunk(choice({"content": "Oats."}, index=1)))
    unreadable.data.choices[0].delta = SimpleNamespace(content=None)
    with pytest.raises(AttributeError):
        accumulator.add(unreadable)
    response: Any = to_loggable(accumulator.response())
    first, second = response["choices"]
    assert (first["message"]["content"], second["message"]) == ("Rye.", None)


def test_reading_the_response_does_not_disturb_the_folding() -> None:
    deltas = [{"content": "a"}, {"content": [REFERENCE]}, {"content": "b"}, {"tool_calls": [piece("1")]}]
    FOLDING.assert_reading_disturbs_nothing(*(chunk(choice(delta)) for delta in [*deltas, *deltas]))


@pytest.mark.parametrize(
    "make_choice",
    [
        lambda letter: choice({"content": letter}),
        lambda letter: choice({"content": [text(letter)]}),
        lambda letter: choice({"content": [thinking(letter)]}),
        lambda letter: choice({"tool_calls": [piece(letter, id="call1")]}),
        lambda letter: choice({"content": ""}, finish_reason="stop"),
        lambda letter: choice({"content": None}, ord(letter) % 2),
    ],
)
def test_memory_grows_with_the_text_and_not_with_the_chunks(make_choice: Callable[[str], Json]) -> None:
    FOLDING.assert_memory_grows_with_the_text(lambda letter: chunk(make_choice(letter)))


# Any response


LOGPROBS = st.lists(
    st.builds(lambda token: {"token": token, "logprob": -0.5, "bytes": [97], "token_id": 7}, LETTERS), max_size=3
)


@st.composite
def content_chunks(draw: st.DrawFn, kind: str) -> tuple[Json, list[Any]]:
    """Return a chunk of a message's content, and the strings or chunks that bring it."""
    if kind == "reference":
        whole: Json = {"type": kind, "reference_ids": draw(st.lists(st.integers(0, 9), max_size=2))}
    elif kind == "image_url":
        whole = {"type": kind, kind: draw(URLS | URLS.map(lambda url: {"url": url}))}
    elif kind == "text":
        # An empty one in a list cannot be told from the empty text that begins or ends a message.
        whole = {"type": kind, "text": draw(LETTERS.filter(bool))}
        return whole, [part if draw(st.booleans()) else text(part) for part in draw(pieces(whole["text"]))]
    else:
        said = draw(LETTERS)
        extra = optional(draw, closed=st.booleans())
        first, *later = (thinking(part) for part in draw(pieces(said)))
        return {**thinking(said), **extra}, [{**first, **extra}, *later]
    return whole, [whole]


@st.composite
def contents(draw: st.DrawFn) -> tuple[Any, list[Any]]:
    """Return the content of a message, and the contents of its deltas."""
    form = draw(st.sampled_from(["null", "string", "chunks"]))
    if form == "null":
        return None, draw(st.lists(st.none(), max_size=2))
    if form == "string":
        content: Any = draw(LETTERS)
        return content, draw(pieces(content))
    kinds = draw(st.lists(st.sampled_from(["text", "thinking", "reference", "image_url"]), min_size=1, max_size=3))
    # Two texts or thoughts never stand side by side: no delta would tell them apart.
    kinds = [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if kind != before or "_" in kind]
    chunks = [draw(content_chunks(kind)) for kind in kinds]
    parts = [part for _, parts in chunks for part in parts]
    if all(isinstance(part, str) for part in parts):
        # Of strings alone the content would be one.
        parts[0] = text(parts[0])
    deltas: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            deltas.append(part)
        elif deltas and isinstance(deltas[-1], list) and draw(st.booleans()):
            deltas[-1].append(part)
        else:
            deltas.append([part])
    return [whole for whole, _ in chunks], ["", *deltas, ""] if draw(st.booleans()) else deltas


@st.composite
def tool_calls(draw: st.DrawFn) -> tuple[list[Json], list[list[Json]]]:
    """Return the tool calls of a message, and those of its deltas."""
    # By what pieces are known: their index; their id; neither, where all come whole and together.
    known_by = draw(st.sampled_from(["index", "id", "place"]))
    calls: list[tuple[Json, list[Json]]] = []
    for number in range(draw(st.integers(1, 2))):
        ids = st.just(f"call{number}")
        shared = {"id": draw(ids)} if known_by == "id" else draw(st.fixed_dictionaries({}, optional={"id": ids}))
        shared |= draw(st.fixed_dictionaries({}, optional={"type": st.sampled_from(["function", "web_search"])}))
        name, arguments = draw(NAMES), draw(LETTERS | st.just({}) | st.builds(lambda flour: {"flour": flour}, LETTERS))
        whole = piece(arguments, name, **shared)
        cut = [whole]
        if known_by != "place":
            cut = [piece("", part) for part in draw(pieces(name))]
            later = draw(pieces(arguments)) if isinstance(arguments, str) else [arguments]
            cut += [piece(part) for part in later]
            repeated = {"id": shared["id"]} if known_by == "id" else draw(st.sampled_from([{}, {"id": "null"}]))
            for one in cut[1:]:
                one |= repeated
            cut[0] |= shared
        calls.append((whole, cut))
    if known_by == "place":
        return [whole for whole, _ in calls], [[whole for whole, _ in calls]]
    cut = merged(draw, [cut for _, cut in calls])
    # The calls stand in the order in which they began.
    order = list(dict.fromkeys(number for number, _ in cut))
    deltas: list[list[Json]] = []
    for number, one in cut:
        one |= {"index": order.index(number)} if known_by == "index" else {}
        if deltas and draw(st.booleans()):
            deltas[-1].append(one)
        else:
            deltas.append([one])
    index = {number: {"index": place} if known_by == "index" else {} for place, number in enumerate(order)}
    return [{**calls[number][0], **index[number]} for number in order], deltas


@st.composite
def messages(draw: st.DrawFn, **fields: Any) -> Streamed:
    """Return a message with these fields: content, tool calls, or both."""
    content, content_deltas = draw(contents())
    calls, call_deltas = draw(tool_calls()) if draw(st.booleans()) else (None, [])
    named = [[{"content": one} for one in content_deltas], [{"tool_calls": one} for one in call_deltas]]
    deltas = [delta for _, delta in merged(draw, named)] or [{}]
    nulls: Json = dict.fromkeys(draw(st.sets(st.sampled_from(["content", "tool_calls", "role"]))))
    deltas = [nulls | delta for delta in deltas]
    whole = {"role": "assistant", "content": content, "tool_calls": calls, **fields}
    deltas[0] |= {"role": "assistant", **fields}
    return Streamed({name: whole[name] for name in whole if whole[name] is not None or draw(st.booleans())}, deltas)


@st.composite
def choices(draw: st.DrawFn, index: int) -> Streamed:
    """Return a choice: a message or, where the SDK knows that, several."""
    whole: Json = {"index": index, "finish_reason": draw(st.sampled_from(["stop", "length", "tool_calls", "later"]))}
    if KEEPS_MESSAGES and draw(st.booleans()):
        several = [draw(messages()), draw(messages(role="tool", tool_call_id="call0"))]
        whole["messages"] = [one.whole for one in several]
        deltas = [{**delta, "index": number} for number, delta in merged(draw, [one.events for one in several])]
    else:
        whole["message"], deltas = draw(messages())
    cut = [choice(delta, index) for delta in deltas]
    cut[-1]["finish_reason"] = whole["finish_reason"]
    for name in draw(st.sets(st.sampled_from(["logprobs", "prompt_logprobs"]))) if KEEPS_LOGPROBS else ():
        tokens = draw(LOGPROBS)
        whole[name] = {"content": tokens}
        for one, some in zip(cut, draw(pieces(tokens, len(cut))), strict=True):
            one[name] = {"content": some} if some or one is cut[-1] else None
    return Streamed(whole, cut)


COUNTS = st.integers(0, 99)


@st.composite
def completions(draw: st.DrawFn) -> Streamed:
    """Return any response with any chunks that bring it."""
    drawn = [draw(choices(index)) for index in range(draw(st.integers(1, 3)))]
    usage = optional(draw, prompt_audio_seconds=COUNTS, prompt_tokens_details=st.just({"cached_tokens": 1}))
    usage |= draw(st.fixed_dictionaries({}, optional={"prompt_tokens": COUNTS, "total_tokens": COUNTS}))
    response = {**IDENTITY, "choices": [one.whole for one in drawn], "usage": usage}
    grouped: list[list[Json]] = []
    for _, one in merged(draw, [one.events for one in drawn]):
        if grouped and draw(st.booleans()):
            grouped[-1].append(one)
        else:
            grouped.append([one])
    grouped += [[]] if draw(st.booleans()) else []
    nulls = draw(st.sampled_from([{}, {"usage": None}]))
    chunks = [chunk(*group, **nulls) for group in grouped]
    chunks[-1]["usage"] = usage
    return Streamed(response, chunks)


@given(completions())
def test_any_response_cut_into_any_chunks_logs_what_it_would_have_logged_unstreamed(completion: Streamed) -> None:
    unstreamed = models.ChatCompletionResponse.model_validate(completion.whole)
    assert FOLDING.logged(completion.events) == read_response(unstreamed, Request())


@given(completions(), st.integers(0, 30))
def test_whatever_had_arrived_of_a_broken_stream_is_there(completion: Streamed, count: int) -> None:
    broken = folded(*completion.events[:count])["choices"]
    whole = {one["index"]: one for one in folded(*completion.events)["choices"]}
    assert [one["index"] for one in broken] == sorted(
        {one["index"] for event in completion.events[:count] for one in event["choices"]}
    )
    for one in broken:
        # Which of several messages began does not show, nor that there will be several.
        is_one = "message" in whole[one["index"]]
        assert_begins(
            whole[one["index"]],
            {name: one[name] for name in one if name != "messages" and (name != "message" or is_one)},
        )


def assert_begins(whole: Any, begun: Any) -> None:
    """What has come of a part of a response is the beginning of it."""
    if isinstance(begun, dict):
        assert begun.keys() <= whole.keys()
        for name in begun:
            assert_begins(whole[name], begun[name])
    elif isinstance(begun, list):
        assert len(begun) <= len(whole)
        for one, begun_one in zip(whole, begun, strict=False):
            assert_begins(one, begun_one)
    elif isinstance(begun, str):
        # A text is a string until something else follows, and an empty one may announce anything.
        whole = whole[0].get("text") if isinstance(whole, list) else whole
        assert not begun or whole.startswith(begun)
    else:
        assert begun == whole
