"""A conversation under way: what its client knows, what it sends next, and what it saw come back."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from braintrust_mistral.local.mistral.echo import SUFFIX
from braintrust_mistral.local.mistral.wire_faults import HEADER
from endurance.plan import Call, Plan


if TYPE_CHECKING:
    import httpx2 as httpx
    from mistralai.client import Mistral
    from mistralai.client.conversations import Conversations
    from mistralai.client.utils import BackoffStrategy, RetryConfig
else:
    try:
        from mistralai.client import Mistral
        from mistralai.client.conversations import Conversations
        from mistralai.client.httpclient import httpx
        from mistralai.client.utils import BackoffStrategy, RetryConfig
    except ImportError:
        # 1.x
        from mistralai import Mistral
        from mistralai.conversations import Conversations
        from mistralai.httpclient import httpx
        from mistralai.utils import BackoffStrategy, RetryConfig

__all__ = ["LeftError", "LeftInterrupt", "Mistral", "Seen", "Talk", "httpx"]

TIMEOUT_MS = 120
HAS_CONFIRMATIONS = "tool_confirmations" in inspect.signature(Conversations.append).parameters


class LeftError(Exception):
    """What a client raises to leave a stream."""


class LeftInterrupt(BaseException):
    """What a client raises to leave a stream as an interrupt does."""


@dataclass
class Seen:
    """What the client saw of one call.

    Attributes:
        token: what the call says, and no other.
        span_name: the name that its span should have.
        parent: the span that was current, by its id.
        error: the type of the exception that the call or the stream raised, or that the client raised in a `with`.
        error_event: the message of an event that told of an error.
        text: the text that came, in the order in which it came.
        arguments: of the function calls that came, by `tool_call_id`, as far as they came.
        is_whole: whether all of the answer came.
    """

    token: str
    span_name: str
    parent: str | None
    error: str | None = None
    error_event: str | None = None
    text: str = ""
    arguments: dict[str, str] = field(default_factory=dict[str, str])
    is_whole: bool = False


class Talk:
    """One conversation under way."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen: list[Seen] = []
        """What came of each call that was made."""
        self.results: dict[str, str] = {}
        """The function results that were sent first, by `tool_call_id`."""
        self.decisions: dict[str, str] = {}
        """The decisions that were sent first, likewise."""
        self.conversation_id: str | None = None
        self.parent: str | None = None
        self._waiting: dict[str, bool] = {}
        self._entry_ids: list[str] = []
        self._calls = iter(plan.calls)

    @property
    def unsettled(self) -> set[str]:
        """The function calls that the client knows of, and that neither have a result nor were denied."""
        denied = {call for call, decision in self.decisions.items() if decision == "deny"}
        return {call for seen in self.seen for call in seen.arguments} - self.results.keys() - denied

    def calls(self) -> Iterator[tuple[Call, Seen, dict[str, Any]]]:
        """The calls to make, each with its arguments; those that cannot be made any more are left out."""
        for call in self._calls:
            token = f"{self.plan.token}-{len(self.seen)}"
            arguments = self._arguments(call, token)
            if arguments is not None:
                resource = "chat" if call.method == "complete" else "beta.conversations"
                seen = Seen(token, f"mistral.{resource}.{_method(call)}", self.parent)
                self.seen.append(seen)
                yield call, seen, {**arguments, **_transport(call)}

    def method(self, client: Mistral, call: Call) -> Any:
        """The client's method for a call."""
        resource = client.chat if call.method == "complete" else client.beta.conversations
        return getattr(resource, f"{_method(call)}{'_async' if self.plan.is_async else ''}")

    def took(self, seen: Seen, event: Any) -> None:
        """Take note of an event, or of a chunk."""
        data = event.data
        kind = getattr(data, "type", "chunk")
        if kind == "UNKNOWN":
            return
        if kind == "conversation.response.started":
            self.conversation_id = data.conversation_id
        elif kind == "conversation.response.error":
            seen.error_event = data.message
        elif kind == "message.output.delta":
            seen.text += _text(data.content)
        elif kind == "function.call.delta":
            self._called(seen, data)
        elif kind == "chunk":
            seen.text += "".join(_text(choice.delta.content) for choice in data.choices)
        self._entry_ids.append(getattr(data, "id", ""))

    def got(self, seen: Seen, response: Any) -> None:
        """Take note of a whole answer."""
        seen.is_whole = True
        if hasattr(response, "choices"):
            seen.text = "".join(_text(choice.message.content) for choice in response.choices)
            return
        self.conversation_id = response.conversation_id
        for entry in response.outputs:
            if entry.type == "message.output":
                seen.text += _text(entry.content)
            elif entry.type == "function.call":
                self._called(seen, entry)
            self._entry_ids.append(entry.id)

    def _called(self, seen: Seen, call: Any) -> None:
        if call.tool_call_id not in seen.arguments:
            self._waiting[call.tool_call_id] = getattr(call, "confirmation_status", None) == "pending"
        seen.arguments[call.tool_call_id] = seen.arguments.get(call.tool_call_id, "") + str(call.arguments)

    def _arguments(self, call: Call, token: str) -> dict[str, Any] | None:
        if call.method == "complete":
            return {"model": "plain", "messages": [{"role": "user", "content": f"Say {token}"}], "stop": token}
        # What tells the spans of calls apart that have no inputs.
        arguments: dict[str, Any] = {"inputs": f"Say {token}", "completion_args": {"stop": token}}
        if call.method == "start":
            name = {"agent_id" if self.plan.by_agent else "model": f"{self.plan.scenario}{SUFFIX}"}
            return {**arguments, **name}
        if self.conversation_id is None:
            return None
        arguments["conversation_id"] = self.conversation_id
        if call.method == "restart":
            ids = [entry_id for entry_id in self._entry_ids if entry_id]
            return {**arguments, "from_entry_id": ids[-1]} if ids else None
        if call.settles and self._waiting:
            arguments |= self._settled(token)
        return arguments

    def _settled(self, token: str) -> dict[str, Any]:
        waiting, self._waiting = self._waiting, {}
        results = {call: f"{token} answers {call}" for call, is_pending in waiting.items() if not is_pending}
        decided = [call for call, is_pending in waiting.items() if is_pending]
        decisions = {call: ("allow", "deny")[index % 2] for index, call in enumerate(decided)}
        inputs = [
            {"type": "function.result", "tool_call_id": call, "result": result} for call, result in results.items()
        ]
        self.results |= results
        if not (decisions and HAS_CONFIRMATIONS):
            return {"inputs": inputs} if inputs else {}
        self.decisions |= decisions
        given = [{"tool_call_id": call, "confirmation": decision} for call, decision in decisions.items()]
        return {"inputs": inputs, "tool_confirmations": given}


def _method(call: Call) -> str:
    if call.method == "complete":
        return "stream" if call.streamed else "complete"
    return f"{call.method}_stream" if call.streamed else call.method


def _transport(call: Call) -> dict[str, Any]:
    """What a call says about its transport."""
    fault = call.fault
    if fault is None:
        return {}
    arguments: dict[str, Any] = {"http_headers": {HEADER: fault.header}}
    if fault.kind in ("stalled", "silent"):
        arguments["timeout_ms"] = TIMEOUT_MS
    if call.retries:
        # What can be answered on a later try may take longer.
        longest = 5_000 if fault.kind == "unavailable" else TIMEOUT_MS
        jitter: Mapping[str, Any] = {"jitter_ms": 1} if "jitter_ms" in _BACKOFF_PARAMETERS else {}
        arguments["retries"] = RetryConfig("backoff", BackoffStrategy(1, 10, 1.5, longest, **jitter), True)
    return arguments


_BACKOFF_PARAMETERS = inspect.signature(BackoffStrategy).parameters


def _text(content: Any) -> str:
    """The text of a content: of a string, of chunks, of what they hold."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text(chunk) for chunk in content)
    return _text(getattr(content, "text", None) or getattr(content, "thinking", None) or "")
