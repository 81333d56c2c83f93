"""What calls cost that the network answers."""

from mistralai.client.models import ConversationResponse
from pydantic import BaseModel

from ..answers import PLAIN, PLAIN_COMPLETION, wire_chunks, with_tools
from ..bench import Bench, complete, start, stream
from .registry import CHATS, CONVERSATIONS, STREAMED_CHATS, figure


@figure("a chat.complete over HTTP", "µs", sides=CHATS, ahead=True)
def completion_over_http(bench: Bench) -> float:
    """What tracing adds to the real method of the client, answered below its HTTP."""
    bench.provider.completion = PLAIN_COMPLETION
    with bench.traced(_body(PLAIN_COMPLETION)):
        return bench.microseconds_on_the_wire(complete)


@figure("one of 200 chunks over HTTP", "µs", sides=STREAMED_CHATS, ahead=True)
def chunk_over_http(bench: Bench) -> float:
    """Its share of the whole stream, opening and ending included."""
    with bench.traced(wire_chunks(200)):
        return bench.microseconds_on_the_wire(stream, repetitions=3) / 200


@figure("a plain call over HTTP", "µs", sides=CONVERSATIONS, ahead=True)
def call_over_http(bench: Bench) -> float:
    """What tracing adds to a conversation started, one message answered."""
    return _call_over_http(bench, PLAIN)


@figure("a call with 4 tools over HTTP", "µs", sides=CONVERSATIONS, ahead=True)
def call_with_4_tools_over_http(bench: Bench) -> float:
    """The same with hosted tools run on the way."""
    return _call_over_http(bench, with_tools(4))


def _call_over_http(bench: Bench, response: ConversationResponse) -> float:
    bench.provider.response = response
    with bench.traced(_body(response)):
        return bench.microseconds_on_the_wire(start)


def _body(response: BaseModel) -> bytes:
    return response.model_dump_json().encode()
