"""What many clients will do, as plain data, drawn from a seed: it can be printed, and done again.

What comes of a plan depends on the time as well: two threads are never interleaved in the same way twice. What the
spans of it must show does not.
"""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from braintrust_mistral.local.mistral.scenarios import LONG_STREAM, SCENARIOS
from braintrust_mistral.local.mistral.wire_faults import WireFault


SEED = int(os.environ.get("ENDURANCE_SEED", "6"))
"""The seed of all plans, unless the environment has another."""

IS_FULL = os.environ.get("ENDURANCE") == "full"
"""Whether the tests run at their full length, as `ENDURANCE=full` asks for."""

Method: TypeAlias = Literal["start", "append", "restart", "complete"]

_REFUSING = [name for name in SCENARIOS if name.startswith("http-")]
_ANSWERING = [f"{name}-12" if name == LONG_STREAM else name for name in SCENARIOS if name not in _REFUSING]
# Conversations that go on.
_CALLING = ["function-call", "parallel-functions", "two-functions", "malformed-arguments", "confirmation"]
# The SDKs take a millisecond or two for an event, and these have many.
_LONG = ["agentic", "document-library", "parallel-tools", "handoff", "image-generation"]

_STREAM_FAULTS = ("broken", "reset", "truncated", "malformed", "not-utf8", "wrong-type", "unavailable")
# These take as long as the client waits.
_SLOW_FAULTS = ("stalled", "silent")


@dataclass(frozen=True)
class Leave:
    """How a client ends a call.

    - `read`: it does not, but reads to the end.
    - `break`, `close`, `raise`, `interrupt`: it leaves a stream after the event with the number `after`; the last two
      with an exception of its own, which is an `Exception` or not.
    - `generator`: it reads the stream in a generator, which is closed after that event.
    - `untouched`: it drops the stream unread.
    - `nested`: it makes the next call of the conversation while it reads this stream, at the stream's last event.
    - `cancel`: its task is cancelled after that event, or of an unstreamed call after so many turns of the event loop.
    - `cancel-request`: its task is cancelled after so many turns of the event loop, streamed or not.

    `enters` is whether it reads the stream in a `with` block.
    """

    how: str = "read"
    after: int = 0
    enters: bool = False


@dataclass(frozen=True)
class Call:
    """One call of a client.

    With `retries` it goes by a `RetryConfig`; `settles` is whether it sends function results and decisions, as far as
    the client knows of calls that wait for them.
    """

    method: Method
    streamed: bool
    leave: Leave
    fault: WireFault | None
    retries: bool
    settles: bool


@dataclass(frozen=True)
class Plan:
    """What one client does, one call after the other. With `has_parent` it does so in a span of its own."""

    number: int
    scenario: str
    by_agent: bool
    is_async: bool
    has_parent: bool
    calls: tuple[Call, ...]

    @property
    def token(self) -> str:
        """A text that no other conversation has: each call says it, and is answered with it."""
        return f"c{self.number:06d}"


def plans(seed: int, count: int) -> Sequence[Plan]:
    """Return what `count` clients do."""
    rng = random.Random(seed)
    return [_plan(rng, number) for number in range(count)]


def _plan(rng: random.Random, number: int) -> Plan:
    is_async = rng.random() < 0.5
    names = rng.choices([_CALLING, _ANSWERING, _REFUSING], [0.45, 0.5, 0.05])[0]
    scenario = rng.choice(names)
    if scenario in _LONG and rng.random() < 0.5:
        scenario = rng.choice(names)
    length = rng.choices([1, 2, 3], [0.1, 0.7, 0.2] if names is _CALLING else [0.6, 0.3, 0.1])[0]
    later: list[Method] = ["append", "restart", "complete"]
    methods: list[Method] = ["start", *rng.choices(later, [0.8, 0.1, 0.1], k=length - 1)]
    calls = tuple(_call(rng, method, is_async, f"{number}-{index}") for index, method in enumerate(methods))
    return Plan(number, scenario, rng.random() < 0.3, is_async, rng.random() < 0.4, calls)


def _call(rng: random.Random, method: Method, is_async: bool, key: str) -> Call:
    streamed = rng.random() < 0.5
    fault = _fault(rng, streamed, key) if rng.random() < 0.25 else None
    leave = _leave(rng, streamed, is_async) if rng.random() < 0.35 else Leave(enters=rng.random() < 0.5)
    return Call(method, streamed, leave, fault, fault is not None and rng.random() < 0.4, rng.random() < 0.9)


def _fault(rng: random.Random, streamed: bool, key: str) -> WireFault:
    kind = rng.choice(_STREAM_FAULTS) if rng.random() < 0.9 else rng.choice(_SLOW_FAULTS)
    after = rng.choice([0, 1, 2, 3, 5, 8, 13, 21, 1000]) if streamed else 0
    return WireFault(kind, after, rng.randint(1, 2), key)


def _leave(rng: random.Random, streamed: bool, is_async: bool) -> Leave:
    if not streamed:
        return Leave("cancel", rng.choice([0, 1, 2, 5, 10, 20, 50, 100, 200])) if is_async else Leave()
    hows = ["break", "close", "raise", "interrupt", "generator", "untouched", "nested", "nested"]
    if is_async:
        hows += ["cancel", "cancel", "cancel-request"]
    how = rng.choice(hows)
    steps = [0, 1, 2, 5, 10, 20, 50, 100, 200] if how == "cancel-request" else [0, 1, 2, 3, 4, 6, 9, 14, 25]
    return Leave(how, rng.choice(steps), rng.random() < 0.5)
