"""The application of `test_differences`, a process of its own: in each of its steps the two integrations differ.

There are no tests here; the name keeps this out of the wheel.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import braintrust
import pydantic


try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x


QUESTION = "Where does the ferry leave?"
MESSAGES = [{"role": "user", "content": QUESTION}]
PICTURE = Path("picture.png")


class Ferry(pydantic.BaseModel):
    """What the model is to answer with, and never will: the local Mistral keeps to the schema."""

    departure: str = pydantic.Field(pattern="Porto")


class Application:
    """The steps, each below a span that is named after it."""

    def __init__(self, client: Mistral) -> None:
        self._client = client
        self._conversations = client.beta.conversations
        self._kept: list[Any] = []

    def a_stream_that_is_broken_off(self) -> None:
        for _ in self._conversations.start_stream(model="web-search", inputs=QUESTION):
            break

    def a_stream_that_is_closed(self) -> None:
        stream = self._conversations.start_stream(model="web-search", inputs=QUESTION)
        self._kept.append(stream)
        next(stream)
        stream.close()

    def a_stream_that_is_cancelled(self) -> None:
        async def read(begun: asyncio.Event) -> None:
            async for _ in await self._conversations.start_stream_async(model="slow", inputs=QUESTION):
                begun.set()

        async def cancel() -> None:
            begun = asyncio.Event()
            task = asyncio.ensure_future(read(begun))
            await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(cancel())

    def a_stream_that_fails(self) -> None:
        list(self._conversations.start_stream(model="error-event", inputs=QUESTION))

    def streamed_content(self) -> None:
        list(self._conversations.start_stream(agent_id="agentic", inputs=QUESTION))

    def a_hosted_tool(self) -> None:
        self._conversations.start(model="web-search", inputs=QUESTION)

    def a_function_call(self) -> None:
        response = self._conversations.start(model="function-call", inputs=QUESTION)
        (call,) = response.outputs
        result = {"tool_call_id": call.tool_call_id, "result": "11.2"}
        self._conversations.append(conversation_id=response.conversation_id, inputs=[result])

    def a_handoff(self) -> None:
        self._conversations.start(agent_id="handoff", inputs=QUESTION)

    def a_run(self) -> None:
        from mistralai.extra.run.context import RunContext

        async def run() -> None:
            async with RunContext(model="function-call") as context:

                @context.register_func
                def get_exchange_rate(base: str, quote: str, date: str) -> str:
                    """Return a rate of exchange."""
                    with braintrust.start_span(name="inside"):
                        return "11.2"

                await self._conversations.run_async(run_ctx=context, inputs=QUESTION)

        asyncio.run(run())

    def classifiers_and_responses(self) -> None:
        self._client.classifiers.moderate(model="plain", inputs=[QUESTION])
        self._client.responses.create(model="plain", input=QUESTION)

    def a_local_file(self) -> None:
        content = [{"type": "image_url", "image_url": str(PICTURE)}]
        self._client.chat.complete(model="plain", messages=[{"role": "user", "content": content}])

    def a_signed_url(self) -> None:
        url = "https://files.example.com/map.png?se=2026-11-01&sig=secret&sp=r"
        content = [{"type": "image_url", "image_url": url}]
        self._client.chat.complete(model="plain", messages=[{"role": "user", "content": content}])

    def a_connector(self) -> None:
        authorization = {"type": "oauth2-token", "value": "t0ken"}
        tools: list[Any] = [{"type": "connector", "connector_id": "mail", "authorization": authorization}]
        self._conversations.start(model="plain", inputs=QUESTION, tools=tools)

    def a_prompt(self) -> None:
        # What a prompt of Braintrust's builds.
        arguments: Any = {"model": "plain", "messages": MESSAGES, "span_info": {"metadata": {"prompt": {"id": "p1"}}}}
        self._client.chat.complete(**arguments)

    def an_answer_that_does_not_fit(self) -> None:
        self._client.chat.parse(model="plain", messages=MESSAGES, response_format=Ferry)

    def a_fault_in_tracing(self) -> None:
        fault = mock.patch.object(braintrust.logger.SpanImpl, "log_internal", side_effect=RuntimeError("a fault"))
        with fault:
            response = self._conversations.start(model="plain", inputs=QUESTION)
        assert response.outputs


def main() -> None:
    """Take every step, whatever becomes of the one before, and print which raised what."""
    braintrust.auto_instrument()
    braintrust.init_logger(project="differences")
    PICTURE.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    application = Application(Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"]))
    raised: dict[str, str] = {}
    for name in [name for name in vars(Application) if not name.startswith("_")]:
        with braintrust.start_span(name=name):
            try:
                getattr(application, name)()
            except Exception as error:
                raised[name] = str(error)
    print(json.dumps(raised))


if __name__ == "__main__":
    main()
