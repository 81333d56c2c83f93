"""What this process has seen of conversations whose model calls are shown: Mistral keeps the turns before a request.

What is held is bounded: the latest turns of each conversation, and the conversations that were used last.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..bounded import BoundedMap, size_of
from ..faults import guarded
from ..operations import Outcome, Request
from ..payloads import Loggable, only_dicts, without_none
from ..settings import settings
from .chat_format import Entry, Message, entries_of, messages_of


_MOST_BYTES = 8 * 1024 * 1024
# One long conversation must not push out all others.
_MOST_BYTES_OF_A_CONVERSATION = _MOST_BYTES // 4

_SETTINGS = ("model", "agent_id", "instructions", "tools", "completion_args")


class Turn(NamedTuple):
    """The entries of one request or of one response, and how many bytes they hold."""

    entries: list[Entry]
    size: int

    @classmethod
    def of(cls, entries: list[Entry]) -> "Turn":
        """Return these entries with their size; none of them where no content is logged."""
        if not settings().content:
            return cls([], 0)
        return cls(entries, sum(size_of({**entry}) for entry in entries))


class Conversation(NamedTuple):
    """A conversation as far as it is known.

    Attributes:
        turns: the latest requests and responses in turn.
        settings: what requests said that holds until another one says otherwise: the model, instructions, tools.
        left_out: how many messages were before the turns that are still held.
    """

    turns: tuple[Turn, ...] = ()
    settings: Mapping[str, Loggable] = {}
    left_out: int = 0

    def messages(self) -> list[Message]:
        """Return it in chat format, with its instructions as a system message."""
        instructions = self.settings.get("instructions")
        system: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
        return [*system, *(message for turn in self.turns for message in messages_of(turn.entries))]

    def with_request(self, request: Request) -> "Conversation":
        """Return it with what a request adds."""
        given = without_none({name: request.metadata.get(name) for name in _SETTINGS})
        turns = (*self.turns, Turn.of(entries_of(request.input)))
        return Conversation(turns, {**self.settings, **given}, self.left_out)

    def up_to(self, entry_id: Loggable) -> "Conversation":
        """Return it up to an entry; without any turn where that is unknown, as are the ids of a request's inputs."""
        for number, turn in enumerate(self.turns):
            for index, entry in enumerate(turn.entries):
                if entry.get("id") == entry_id:
                    turns = (*self.turns[:number], Turn.of(turn.entries[: index + 1]))
                    return Conversation(turns, self.settings, self.left_out)
        return Conversation(settings=self.settings)


conversations: BoundedMap[str, Conversation] = BoundedMap(most_bytes=_MOST_BYTES)
"""The conversations of this process whose model calls are shown, by id."""


def conversation_before(request: Request) -> Conversation:
    """Return what is known of the conversation that a request goes on with."""
    conversation = conversations.get(str(request.metadata.get("conversation_id"))) or Conversation()
    from_entry_id = request.metadata.get("from_entry_id")
    return conversation if from_entry_id is None else conversation.up_to(from_entry_id)


@guarded(fallback=None)
def remember(conversation: Conversation, request: Request, outcome: Outcome) -> None:
    """Remember what came of a request; `conversation` has that request already."""
    conversation_id = (outcome.metadata or {}).get("conversation_id") or request.metadata.get("conversation_id")
    if not isinstance(conversation_id, str) or request.metadata.get("store") is False:
        return
    turns = [*conversation.turns, Turn.of([*only_dicts(outcome.output)])]
    size = size_of({**conversation.settings}) + sum(turn.size for turn in turns)
    left_out = conversation.left_out
    while turns and size > _MOST_BYTES_OF_A_CONVERSATION:
        oldest = turns.pop(0)
        size -= oldest.size
        left_out += len(messages_of(oldest.entries))
    conversations.set(conversation_id, conversation._replace(turns=tuple(turns), left_out=left_out), size)
