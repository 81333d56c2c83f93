"""Playing an answer: its entries unfold in real time, and leave behind the outputs that a response would show."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Answer, Entry


T = TypeVar("T")

OVERLAP_SECONDS = 0.12
"""Seconds between the beginnings of entries that overlap: enough for one's arguments before the next begins."""


@dataclass(frozen=True)
class Clock:
    """The server's time: `pace` multiplies every delay, `offset` is how many seconds it is ahead of ours."""

    pace: float
    offset: float

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(timezone.utc) + timedelta(seconds=self.offset)

    async def paced(self, schedule: Iterable[tuple[float, T]]) -> AsyncIterator[T]:
        """Yield the items of a schedule, each when its second has come."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for offset, item in schedule:
            delay = begin + offset * self.pace - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            yield item


@dataclass
class _Played:
    """An entry under way: its keys, and the moments of its first and last event so far."""

    entry: Entry
    start: float
    keys: Json
    created_at: datetime | None = None
    completed_at: datetime | None = None


class Playback:
    """One answer, played once: iterate `events()` to its end, then `outputs()` and `tokens()` are complete."""

    def __init__(self, answer: Answer, author: Json, clock: Clock) -> None:
        self._answer = answer
        self._author = author
        self._clock = clock
        self._entries = [_Played(entry, start, {}) for entry, start in _timeline(answer)]
        self._tokens = 0

    async def events(self) -> AsyncIterator[Json]:
        """Yield the entries' events, each when its time has come and stamped with that time."""
        async for index, event in self._clock.paced(self._schedule()):
            yield self._stamped(index, event)

    def outputs(self) -> list[Json]:
        """Return the entries as a response shows them, with ids and the times at which they were played."""
        return [output for played in self._entries if (output := self._output(played)) is not None]

    def tokens(self) -> int:
        """Return how many tokens the model wrote, at one an event."""
        return self._tokens

    def _schedule(self) -> list[tuple[float, tuple[int, Json]]]:
        # Sorting is stable and by offset alone: at a pace of 0 the order is still that of the clock.
        schedule = [
            (played.start + offset, (index, event))
            for index, played in enumerate(self._entries)
            for offset, event in played.entry.events(self._authored(played.entry))
            if not (self._answer.old and event["type"] == "tool.execution.delta")
        ]
        return sorted(schedule, key=lambda item: item[0])

    def _stamped(self, index: int, event: Json) -> Json:
        now = self._clock.now()
        played = self._entries[index]
        if played.created_at is None:
            played.created_at = now
            played.keys = {"id": new_id(played.entry.prefix, now), **played.entry.new_keys()}
        played.completed_at = now
        self._tokens += 1
        stamp: Json = {"type": event["type"]}
        if played.entry.timed:
            stamp["created_at"] = self._written(now)
        if played.entry.indexed:
            stamp |= {"output_index": self._output_index(index), **played.keys}
        return _without_new_fields(stamp | event) if self._answer.old else stamp | event

    def _output(self, played: _Played) -> Json | None:
        fields = played.entry.fields(self._authored(played.entry))
        if fields is None or played.created_at is None or played.completed_at is None:
            return None
        times: Json = {}
        if played.entry.timed:
            times["created_at"] = self._written(played.created_at)
            # A call for the application to run is never completed by the server.
            is_call = fields["type"] == "function.call"
            times["completed_at"] = None if is_call else self._written(played.completed_at)
        return {"object": "entry", "type": fields["type"], **times, **played.keys, **fields}

    def _output_index(self, index: int) -> int:
        return sum(played.entry.indexed for played in self._entries[:index])

    def _authored(self, entry: Entry) -> Json:
        return {"model": entry.agent.model, "agent_id": entry.agent.id} if entry.agent else self._author

    def _written(self, moment: datetime) -> str:
        return str(moment) if self._answer.old else timestamp(moment)


def timestamp(moment: datetime) -> str:
    """Return a time as the API writes it: ISO 8601 in UTC, with microseconds and a Z."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id(prefix: str, moment: datetime) -> str:
    """Return an id as the API makes them: a prefix and a UUIDv7, which begins with the time in milliseconds."""
    milliseconds = int(moment.timestamp() * 1000)
    variant = secrets.choice("89ab")
    return f"{prefix}_{milliseconds:012x}7{secrets.token_hex(2)[:3]}{variant}{secrets.token_hex(8)[:15]}"


def _timeline(answer: Answer) -> list[tuple[Entry, float]]:
    """Return each entry with the second at which it begins."""
    placed: list[tuple[Entry, float]] = []
    end = 0.0
    for group in answer.groups():
        start = end + group[0].wait
        for position, entry in enumerate(group):
            begin = start + position * OVERLAP_SECONDS
            placed.append((entry, begin))
            end = max(end, begin + entry.seconds_long())
    return placed


def _without_new_fields(event: Json) -> Json:
    """Return an event as older servers sent it: no indexes, no `function`, and no arguments of tools."""
    new = {"output_index", "content_index", "function"}
    if event["type"] == "tool.execution.started":
        new |= {"arguments"}
    return {key: value for key, value in event.items() if key not in new}
