"""The answers that the local Mistral knows, by name. Pure data and functions: nothing here sleeps, counts or sends."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from braintrust_mistral.local.mistral import echo, errors, samples
from braintrust_mistral.local.mistral.answers import (
    Answer,
    Failure,
    FunctionCall,
    Handoff,
    Message,
    Turn,
    UnknownEntry,
    UnknownEvent,
    text,
)


Scenario: TypeAlias = Callable[[Turn], Answer | Failure]

DEFAULT = "plain"
LONG_STREAM = "long-stream"
LONG_STREAM_DELTAS = 2_000


def scenario(name: str) -> Scenario:
    """Return the scenario of that name, else the plain one.

    `long-stream-500` has 500 deltas. `web-search+echo` is `web-search` with what was said last in all that it answers.
    """
    if name.endswith(echo.SUFFIX):
        played = scenario(name.removesuffix(echo.SUFFIX))
        return lambda turn: echo.echoed(played(turn), turn)
    if deltas := stream_length(name):
        return partial(_long_stream, deltas=deltas)
    return SCENARIOS.get(name, SCENARIOS[DEFAULT])


def stream_length(name: str) -> int | None:
    """Return how many deltas a long stream of that name has; None for other names."""
    if name == LONG_STREAM:
        return LONG_STREAM_DELTAS
    prefix, _, count = name.rpartition("-")
    return int(count) if prefix == LONG_STREAM and count.isdecimal() else None


def _plain(_: Turn) -> Answer:
    return Answer((Message("Lisbon lies on the estuary of the Tagus."),))


def _web_search(_: Turn) -> Answer:
    return Answer((samples.web_search("ferries Lisbon to Cacilhas 2026"), Message(samples.cited_answer())))


def _code_interpreter(_: Turn) -> Answer:
    return Answer((samples.code_interpreter(), Message("The sum of the first hundred squares is 338350.")))


def _image_generation(_: Turn) -> Answer:
    return Answer((samples.image_generation(), Message(samples.image_answer())))


def _document_library(_: Turn) -> Answer:
    """Return names that are not built-ins, a failure that only its text tells, an empty info and none at all."""
    entries = (
        samples.library_tool("library_list_documents", {}, info={}),
        samples.library_search("warranty period"),
        samples.opened_result(),
        samples.failing_library_tool(),
        samples.library_tool("quickstart_context7_query-docs", {"topic": "warranty"}),
    )
    return Answer((*entries, Message("The warranty is two years; one document could not be opened.")))


def _parallel_tools(_: Turn) -> Answer:
    towns = ("Porto", "Faro", "Braga", "Evora", "Coimbra")
    searches = (samples.web_search(f"weather {town}", seconds=2.4 - 0.2 * n) for n, town in enumerate(towns))
    return Answer((tuple(searches), Message("Rain in Porto and Braga, sun in the other three towns.")))


def _function_call(turn: Turn) -> Answer:
    if turn.results:
        return Answer((Message(f"The exchange gave: {'; '.join(turn.results)}."),))
    return Answer((FunctionCall("get_exchange_rate", {"base": "EUR", "quote": "SEK", "date": "2026-03-02"}),))


def _parallel_functions(turn: Turn) -> Answer:
    if turn.results:
        return _function_call(turn)
    rates = tuple(FunctionCall("get_exchange_rate", {"base": "EUR", "quote": quote}) for quote in ("SEK", "NOK"))
    return Answer(rates)


def _two_functions(turn: Turn) -> Answer:
    """Return two different functions at once, as the example of a client-side run has them."""
    if not turn.results:
        calls = (
            FunctionCall("departures", {"harbour": "Cais do Sodré"}),
            FunctionCall("ticket_price", {"passengers": 4}),
        )
        return Answer(calls)
    return Answer((Message("Take the 14:30 ferry; four tickets cost 5.60 EUR."),))


def _malformed_arguments(turn: Turn) -> Answer:
    if turn.results:
        return _function_call(turn)
    return Answer((FunctionCall("get_exchange_rate", '{"base": "EUR", "quote": "SE'),))


def _handoff(_: Turn) -> Answer:
    researcher, analyst = samples.RESEARCHER, samples.ANALYST
    entries = (
        samples.web_search("tram ridership 2025", agent=researcher),
        Handoff(researcher, analyst),
        samples.code_interpreter(agent=analyst),
        Message("Ridership grew by a twelfth.", agent=analyst),
    )
    return Answer(entries)


def _agentic(turn: Turn) -> Answer:
    """Return everything at once: hosted tools, one of which fails, a handoff, cited reasoning, a function call."""
    researcher, analyst = samples.RESEARCHER, samples.ANALYST
    if turn.results:
        return Answer((Message("Booked: the 14:30 ferry for four, 11.20 EUR in all.", agent=analyst),))
    entries = (
        samples.web_search("ferries Lisbon to Cacilhas 2026", agent=researcher),
        samples.code_interpreter(agent=researcher),
        samples.failing_library_tool(agent=researcher),
        Handoff(researcher, analyst),
        Message([samples.reasoning(), *samples.cited_answer()], agent=analyst),
        FunctionCall("book_ferry", {"departure": "14:30", "passengers": 4}, agent=analyst),
    )
    return Answer(entries)


def _confirmation(turn: Turn) -> Answer:
    if turn.results:
        return _function_call(turn)
    if not turn.decisions:
        pending = (
            FunctionCall("gmail_search", {"query": "invoice", "limit": 5}, confirmation="pending"),
            FunctionCall("gmail_send", {"to": "desk@example.org"}, confirmation="pending", timed=False),
            FunctionCall("calendar_list", {"day": "2026-03-02"}, confirmation="pending", timed=False),
        )
        return Answer(pending)
    allowed = [decision for decision in turn.decisions if decision.allowed]
    ran = (samples.connector_tool(decision.name, decision.arguments) for decision in allowed)
    denied = len(turn.decisions) - len(allowed)
    return Answer((*ran, Message(f"{len(allowed)} of the calls ran, {denied} did not.")))


def _guardrails(_: Turn) -> Answer:
    return Answer((Message("The moon is about 384,400 km away."),), guardrails=samples.guardrails())


def _thinking(_: Turn) -> Answer:
    return Answer((Message([samples.reasoning(), text("Take the 14:30 ferry.")]),))


def _single_chunk(_: Turn) -> Answer:
    return Answer((Message([text("A list of one chunk, and not a string.")]),))


def _long_stream(_: Turn, deltas: int) -> Answer:
    return Answer((Message("word" + " word" * (deltas - 1), delta_seconds=0.001),))


def _no_times(_: Turn) -> Answer:
    return Answer((samples.code_interpreter(timed=False), Message("No entry has a time.", timed=False)))


def _unknown_event(_: Turn) -> Answer:
    """Return two events of the future, of which a response shows none; one of them looks like an entry's."""
    entries = (
        Message("Before the unknown."),
        UnknownEvent({"type": "conversation.response.heartbeat", "sequence": 1}),
        UnknownEntry({"type": "memory.recall.done", "name": "memory", "content": "likes ferries"}),
        Message("After the unknown."),
    )
    return Answer(entries)


def _old_events(_: Turn) -> Answer:
    return Answer((samples.code_interpreter(), Message("As older servers wrote it.")), old=True)


def _error_event(_: Turn) -> Answer:
    begun = (samples.web_search("ferries Lisbon to Cacilhas 2026"), Message("The ferries leave every"))
    return Answer(begun, failure=errors.error(500, "Response failed", code=3000))


def _broken(_: Turn) -> Answer:
    return Answer((samples.code_interpreter(), Message("The connection breaks before this")), breaks=True)


def _slow(_: Turn) -> Answer:
    return Answer((Message("It took me three seconds to begin.", wait=3.0),))


def _failing(_: Turn, failure: Failure) -> Failure:
    return failure


SCENARIOS: dict[str, Scenario] = {
    "plain": _plain,
    "web-search": _web_search,
    "code-interpreter": _code_interpreter,
    "image-generation": _image_generation,
    "document-library": _document_library,
    "parallel-tools": _parallel_tools,
    "function-call": _function_call,
    "parallel-functions": _parallel_functions,
    "two-functions": _two_functions,
    "malformed-arguments": _malformed_arguments,
    "handoff": _handoff,
    "agentic": _agentic,
    "confirmation": _confirmation,
    "guardrails": _guardrails,
    "thinking": _thinking,
    "single-chunk": _single_chunk,
    LONG_STREAM: partial(_long_stream, deltas=LONG_STREAM_DELTAS),
    "no-times": _no_times,
    "unknown-event": _unknown_event,
    "old-events": _old_events,
    "error-event": _error_event,
    "broken": _broken,
    "slow": _slow,
    **{f"http-{failure.status}": partial(_failing, failure=failure) for failure in errors.FAILURES},
}
