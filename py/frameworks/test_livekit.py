"""LiveKit Agents: a session of text alone, on conversation streams; the tokens stand on our spans."""

from typing import Any

from livekit.agents import Agent, AgentSession, function_tool
from livekit.plugins import mistralai

from braintrust_mistral.local import LocalMistral
from frameworks.trace import Trace, name_of, reported, tokens_of
from tests.helpers.wire import answer, answer_until, client_of, says, streamed


class Clerk(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="Be brief.")

    @function_tool
    async def get_exchange_rate(self, base: str, quote: str, date: str = "") -> str:
        """Return an exchange rate."""
        return f"{base}/{quote} 11.2 {date}"


async def session_of(client: Any) -> AgentSession:
    session = AgentSession(llm=mistralai.LLM(client=client, model="function-call"))
    await session.start(Clerk())
    return session


async def test_tokens_of_a_session_count_once(client: Any, mistral: LocalMistral, trace: Trace) -> None:
    session = await session_of(client)
    await session.run(user_input="What is the rate?")
    await session.aclose()
    (above,) = trace.named("livekit_agent_session")
    asked, answered = trace.calls()
    assert name_of(asked) == name_of(answered) == "mistral.beta.conversations.start_stream"
    assert trace.parent_of(asked) == trace.parent_of(answered) == above
    assert trace.tokens() == tokens_of(asked, answered) == reported(mistral)


async def test_a_session_left_early_ends_the_span_with_what_it_heard(trace: Trace) -> None:
    *events, _ = streamed([says("Just a moment.")])
    response, body = answer_until(events)
    # The session asks for the list of models as well.
    client = client_of(lambda request: response if request.method == "POST" else answer({"data": []}))
    session = await session_of(client)
    session.generate_reply(user_input="What is the rate?")
    await body.is_waited_for.wait()
    await session.aclose()
    (call,) = trace.calls()
    assert [entry["content"] for entry in call["output"]] == ["Just a moment."]
    assert call["metadata"]["cancelled"] is True
    assert "error" not in call
