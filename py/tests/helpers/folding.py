"""What the tests of payloads share: any JSON, and the folding of any events into what they bring."""

import gc
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from braintrust.integrations.mistral.operations import Accumulator, Outcome, Request, ResponseReader, read_stream
from braintrust.integrations.mistral.payloads import to_loggable
from hypothesis import strategies as st

from tests.helpers.clock import monotonic_clock
from tests.helpers.wire import Json


def outcome_of(read: ResponseReader, response: Any) -> Outcome:
    """Return what a response logs, to be compared whole."""
    outcome = read(response, Request())
    return outcome._replace(children=tuple(outcome.children))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(), items, max_size=3),
    max_leaves=5,
)


# Streams


class Folding(NamedTuple):
    """How the events of one kind of stream are folded, and what all kinds have to stand.

    Attributes:
        make: makes an accumulator.
        parsed: returns an event as the SDK hands it to its user.
        read: reads the response that the events add up to.
    """

    make: Callable[[], Accumulator]
    parsed: Callable[[Json], Any]
    read: ResponseReader

    def accumulated(self, events: Iterable[Json]) -> Any:
        """Return an accumulator that saw these events."""
        accumulator = self.make()
        for event in events:
            accumulator.add(self.parsed(event))
        return accumulator

    def folded(self, *events: Json) -> Json:
        """Return the response that these events add up to, made plain."""
        response = to_loggable(self.accumulated(events).response())
        assert isinstance(response, dict)
        return response

    def seen_at(self, *events: tuple[float, Json]) -> Accumulator:
        """Return an accumulator that saw these events at these times."""
        accumulator = self.make()
        now = 0.0
        with monotonic_clock(lambda: now):
            for now, event in events:  # noqa: B007 - the clock reads it
                accumulator.add(self.parsed(event))
        return accumulator

    def logged(self, events: Iterable[Json]) -> Outcome:
        """Return what a stream of these events logs, without the arrivals of its children, which all have one."""
        outcome = read_stream(self.accumulated(events), self.read, Request())
        assert all(child.arrival is not None for child in outcome.children)
        return outcome._replace(children=[child._replace(arrival=None) for child in outcome.children])

    def assert_reading_disturbs_nothing(self, *events: Json) -> None:
        """The response may be read at any time, and as often as one likes."""
        accumulator = self.make()
        for event in events:
            accumulator.add(self.parsed(event))
            assert to_loggable(accumulator.response()) == to_loggable(accumulator.response())
        assert to_loggable(accumulator.response()) == self.folded(*events)

    def assert_costs_no_other(self, unreadable: Any, *events: Json) -> None:
        """An event that cannot be read, before each of these, is an error, which the stream reports, and no more."""
        accumulator = self.make()
        for event in events:
            with pytest.raises(AttributeError):
                accumulator.add(unreadable)
            accumulator.add(self.parsed(event))
        assert to_loggable(accumulator.response()) == self.folded(*events)

    def assert_memory_grows_with_the_text(self, make_event: Callable[[str], Json]) -> None:
        """Of events with a letter each, a piece of text is kept for each 128, and not one for each event."""
        few, many = (
            self.accumulated(make_event(chr(0x4E00 + number)) for number in range(count)) for count in (128, 128 * 20)
        )
        assert retained(many) - retained(few) < 128


def retained(root: object) -> int:
    """Return how many objects an object keeps alive, classes and what they refer to aside."""
    found: dict[int, object] = {}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) not in found and not isinstance(value, type):
            found[id(value)] = value
            waiting += gc.get_referents(value)
    return len(found)


# What streams bring

LETTERS = st.text('ab {}[]"\\:,\n0\N{SNOWMAN}\N{WAVING HAND SIGN}', max_size=12)
NAMES = st.sampled_from(["web_search", "code_interpreter", "open_library_result", "quickstart_context7_query-docs"])
URLS = st.sampled_from(["https://example.com/a.png", "https://example.com/b?x=1&y=2", "/etc/passwd", ""])


class Streamed(NamedTuple):
    """A response or a part of one, and what brings it in a stream."""

    whole: Json
    events: list[Any]


@st.composite
def pieces(draw: st.DrawFn, whole: Any, count: int | None = None) -> list[Any]:
    """Return a text or a list cut anywhere, into so many pieces or else at least one; pieces may be empty."""
    least, most = (0, 4) if count is None else (count - 1, count - 1)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), min_size=least, max_size=most)))
    return [whole[start:end] for start, end in itertools.pairwise([0, *cuts, len(whole)])]


def optional(draw: st.DrawFn, **fields: st.SearchStrategy[Any]) -> Json:
    """Return each field with a value, or null, or left out."""
    return draw(st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in fields.items()}))


def merged(draw: st.DrawFn, sequences: Sequence[Sequence[Any]]) -> list[tuple[int, Any]]:
    """Return the items of some sequences interleaved anyhow, each with the number of its sequence."""
    numbers = draw(st.permutations([number for number, items in enumerate(sequences) for _ in items]))
    iterators = [iter(items) for items in sequences]
    return [(number, next(iterators[number])) for number in numbers]
