"""The calls that an application makes during an outage, of each kind, and what came of them."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any

import braintrust

from endurance.talks import Mistral


PICTURE = bytes(range(256))

_MODELS = ("web-search", "error-event", "http-500", "broken")


def calls(url: str) -> list[str]:
    """Make the calls, and return what they give: texts, names of events, or of the exceptions they raise."""
    with Mistral(api_key="local", server_url=url) as mistral:
        return [*_calls(mistral), *asyncio.run(_calls_at_once(url))]


def _calls(mistral: Mistral) -> Iterator[str]:
    conversations = mistral.beta.conversations
    for model in _MODELS:
        yield _attempt(_whole, mistral, model)
        yield _attempt(_streamed, mistral, model)
    url = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    inputs: Any = [{"type": "message.input", "role": "user", "content": [{"type": "image_url", "image_url": url}]}]
    yield _text(conversations.start(model="plain", inputs=inputs))
    with braintrust.start_span(name="parent"):
        asked: Any = conversations.start(model="function-call", inputs="How many kronor?")
        result: Any = {"type": "function.result", "tool_call_id": asked.outputs[0].tool_call_id, "result": "eleven"}
        yield _text(conversations.append(conversation_id=asked.conversation_id, inputs=[result]))
    for event in conversations.start_stream(model="code-interpreter", inputs="Left"):
        if event.event == "tool.execution.done":
            yield "left"
            break


def _attempt(call: Callable[[Mistral, str], str], mistral: Mistral, model: str) -> str:
    try:
        return call(mistral, model)
    except Exception as error:
        return type(error).__name__


def _whole(mistral: Mistral, model: str) -> str:
    return _text(mistral.beta.conversations.start(model=model, inputs="Question"))


def _streamed(mistral: Mistral, model: str) -> str:
    with mistral.beta.conversations.start_stream(model=model, inputs="Question") as stream:
        return " ".join(event.event for event in stream)


async def _calls_at_once(url: str) -> list[str]:
    async with Mistral(api_key="local", server_url=url) as mistral:
        start = mistral.beta.conversations.start_async
        answers = (start(model="plain", inputs=f"Question {number}") for number in range(3))
        return [_text(answer) for answer in await asyncio.gather(*answers)]


def _text(answer: Any) -> str:
    return " ".join(str(entry.content) for entry in answer.outputs if entry.type == "message.output")
