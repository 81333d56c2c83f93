"""The application of `test_comparison`, a process of its own: it calls all that the SDK's own integration traces.

There are no tests here; the name keeps this out of the wheel.
"""

import asyncio
import base64
import inspect
import itertools
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import braintrust
import braintrust.integrations.mistral as integration
from pydantic import BaseModel

from braintrust_mistral.doctor import traced_methods


try:
    from mistralai.client import Mistral, models
except ImportError:
    from mistralai import Mistral, models  # 1.x

Json: TypeAlias = dict[str, Any]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(64))
WAV = b"RIFF\x48\0\0\0WAVE" + bytes(range(64))
PDF = b"%PDF-1.7\n" + bytes(range(64))
REMOTE = "https://ferries.example.com"


def base64_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


PICTURE = f"data:image/png;base64,{base64_text(PNG)}"
FARES = f"data:application/pdf;base64,{base64_text(PDF)}"
REPORT: Json = {"type": "document_url", "document_url": FARES, "document_name": "fares.pdf"}
LEAFLET: Json = {"type": "document_url", "document_url": f"{REMOTE}/leaflet.pdf"}
IMAGES = (PICTURE, {"url": PICTURE, "detail": "low"}, f"{REMOTE}/ferry.png")
MEDIA: list[Json] = [*({"type": "image_url", "image_url": image} for image in IMAGES), REPORT, LEAFLET]
SOUNDS = [{"type": "input_audio", "input_audio": sound} for sound in (base64_text(WAV), f"{REMOTE}/horn.mp3")]
QUESTION = "Where does the ferry leave?"
MESSAGES: list[Json] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]

FORMAT: Json = {"type": "json_schema", "json_schema": {"name": "town", "schema": {"type": "string"}, "strict": True}}
FUNCTION = models.Function(name="get_exchange_rate", parameters={"type": "object"})
TOOL = models.Tool(function=FUNCTION)
MODERATIONS = getattr(models, "GuardrailConfig", BaseModel).model_fields
MODERATION = "moderation_llm_v2" if "moderation_llm_v2" in MODERATIONS else "moderation_llm_v1"
GUARDRAIL: Json = {"block_on_error": True, MODERATION: {"ignore_other_categories": False}}

SAMPLING: Json = {"temperature": 0.25, "top_p": 0.5, "top_k": 40, "random_seed": 7, "stop": ["END"], "n": 2}
LENGTHS: Json = {"max_tokens": 64, "min_tokens": 2, "output_dimension": 4, "image_limit": 1, "image_min_size": 8}
PENALTIES: Json = {"presence_penalty": 0.1, "frequency_penalty": 0.2, "repetition_penalty": 1.1}
LOGPROBS: Json = {"logprobs": True, "top_logprobs": 1, "prompt_logprobs": 1, "top_prompt_logprobs": 1}
TOOLS: Json = {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False}
MODES: Json = {"reasoning_effort": "high", "prompt_mode": "reasoning", "service_tier": "auto", "safe_prompt": True}
TEXTS: Json = {"suffix": "\nprint(mean([]))", "instructions": "Be brief.", "document_annotation_prompt": "Which town?"}
NAMES: Json = {"id": "request-1", "name": "Ferries", "description": "About ferries", "agent_version": 3}
FORMS: Json = {"response_format": FORMAT, "bbox_annotation_format": FORMAT, "document_annotation_format": FORMAT}
ENCODINGS: Json = {"output_dtype": "float", "encoding_format": "float", "table_format": "html"}
PAGES: Json = {"pages": [0, 2], "include_image_base64": True, "extract_header": True, "extract_footer": True}
SPEECH: Json = {"language": "pt", "diarize": True, "context_bias": ["Tagus"], "timestamp_granularities": ["segment"]}
VOICE: Json = {"voice_id": "voice-1", "ref_audio": base64_text(WAV)}
HANDLING: Json = {"store": True, "handoff_execution": "server", "guardrails": [GUARDRAIL], "metadata": {"tenant": "a"}}
CONTENT: Json = {
    "prediction": {"type": "content", "content": "Lisbon"},
    "completion_args": models.CompletionArgs(stop="END"),
}
PARAMETERS: Json = SAMPLING | LENGTHS | PENALTIES | LOGPROBS | TOOLS | MODES | TEXTS | NAMES | FORMS | ENCODINGS
PARAMETERS |= PAGES | SPEECH | VOICE | HANDLING | CONTENT
"""A value for every parameter that the SDK's own logs; each method takes those that it has."""
WAVES = PARAMETERS | {"response_format": "wav"}

CHATS = ("cached", "citations", "logprobs", "null-content", "object-arguments", "parallel-functions", "thinking")
CONVERSATIONS = ("guardrails", "image-generation", "thinking")
FAILURES = ("broken", "error-event", "http-422")


class Town(BaseModel):
    town: str


class Application:
    """The calls, each below a span that is named after it. A method and its async twin take turns."""

    def __init__(self, client: Mistral) -> None:
        self.answers: Json = {}
        self._client = client
        self._turns: Counter[str] = Counter()

    async def run(self) -> None:
        await self._chat()
        await self._others()
        await self._audio()
        await self._conversations("")
        await self._conversations("_stream")

    async def _call(
        self, path: str, case: str, /, optional: Json | None = None, events: int | None = None, **arguments: Any
    ) -> Any:
        """Call a method, if this version has it, also with those `optional` arguments that it has.

        Returns what was answered: a response, a stream's events, at most so many, or the name of an error.
        """
        target: Any = self._client
        suffix = "_async" if self._turns[path] % 2 else ""
        self._turns[path] += 1
        *resources, name = path.split(".")
        for resource in resources:
            target = getattr(target, resource, None)
        method = getattr(target, name + suffix, None)
        if method is None:
            return None
        known = inspect.signature(method).parameters
        arguments |= {key: value for key, value in (optional or {}).items() if key in known}
        label = f"mistral.{path}{suffix}: {case}"
        assert label not in self.answers
        with braintrust.start_span(name=label):
            try:
                answer = method(**arguments)
                answer = await answer if inspect.isawaitable(answer) else answer
                if isinstance(answer, (Iterator, AsyncIterator)):
                    answer = await _events(answer, events)
            except Exception as error:
                answer = type(error).__name__
        self.answers[label] = answer
        return answer

    async def _chat(self) -> None:
        content = [models.TextChunk(text=QUESTION), models.ImageURLChunk(image_url=PICTURE)]
        messages = [models.SystemMessage(content="Be brief."), models.UserMessage(content=content)]
        for method in ("chat.complete", "chat.stream"):
            for scenario in (*CHATS, *FAILURES):
                await self._call(method, scenario, model=scenario, messages=MESSAGES)
            await self._call(method, "parameters", PARAMETERS, model="plain", messages=MESSAGES)
            await self._call(method, "media", model="plain", messages=[{"role": "user", "content": MEDIA + SOUNDS}])
        first = await self._call("chat.complete", "tools", PARAMETERS, model="function-call", messages=messages)
        asked = first.choices[0].message
        result = models.ToolMessage(content="11.2", tool_call_id=asked.tool_calls[0].id, name="get_exchange_rate")
        await self._call("chat.complete", "results", model="function-call", messages=[*messages, asked, result])
        await self._call("chat.stream", "left", events=4, model="plain", messages=MESSAGES)
        for method in ("chat.parse", "chat.parse_stream"):
            await self._call(method, "parsed", model="plain", messages=messages, response_format=Town)

    async def _others(self) -> None:
        for method in ("agents.complete", "agents.stream"):
            await self._call(method, "parameters", PARAMETERS, agent_id="choices", messages=MESSAGES)
            await self._call(method, "tools", agent_id="malformed-arguments", messages=MESSAGES)
            await self._call(method, "http-500", agent_id="http-500", messages=MESSAGES)
        for method in ("fim.complete", "fim.stream"):
            await self._call(method, "parameters", PARAMETERS, model="code", prompt="def mean(values):\n")
            await self._call(method, "http-422", model="http-422", prompt="def mean(values):\n")
        await self._call("embeddings.create", "one", model="plain", inputs="Lisbon")
        await self._call("embeddings.create", "parameters", PARAMETERS, model="plain", inputs=["Lisbon", "Porto"])
        await self._call("embeddings.create", "http-500", model="http-500", inputs="Lisbon")
        await self._call("ocr.process", "picture", model="plain", document=MEDIA[0])
        await self._call("ocr.process", "report", model="plain", document=REPORT)
        await self._call("ocr.process", "parameters", PARAMETERS, model="plain", document=LEAFLET)
        await self._call("ocr.process", "http-500", model="http-500", document=LEAFLET)

    async def _audio(self) -> None:
        sound = {"file_name": "ferry.wav", "content": WAV, "content_type": "audio/wav"}
        for method in ("audio.transcriptions.complete", "audio.transcriptions.stream"):
            await self._call(method, "bytes", PARAMETERS, model="plain", file=sound)
            await self._call(method, "file", model="plain", file={"file_name": "ferry.wav", "content": _opened()})
            await self._call(method, "url", model="plain", file_url=f"{REMOTE}/horn.mp3")
            await self._call(method, "http-422", model="http-422", file_id="file-1")
        for way in ("whole", "streamed"):
            speech: Json = {"input": "Mind the gap.", "stream": way == "streamed"}
            await self._call("audio.speech.complete", way, model="plain", **speech)
            await self._call("audio.speech.complete", f"{way}, parameters", WAVES, model="plain", **speech)
            await self._call("audio.speech.complete", f"{way}, http-500", model="http-500", **speech)

    async def _conversations(self, stream: str) -> None:
        unstreamed = "beta.conversations.start"
        start, append, restart = (f"beta.conversations.{name}{stream}" for name in ("start", "append", "restart"))
        for scenario in (*CONVERSATIONS, *FAILURES):
            await self._call(start, scenario, model=scenario, inputs=QUESTION)
        await self._call(start, "agent", NAMES | HANDLING, agent_id="agentic", inputs=QUESTION)
        message = {"type": "message.input", "role": "user", "content": MEDIA}
        tools = {"tools": [models.FunctionTool(function=FUNCTION), models.WebSearchTool()]}
        await self._call(start, "parameters", PARAMETERS | tools, model="plain", inputs=[message])

        first = await self._call(unstreamed, f"for append{stream}", model="function-call", inputs=QUESTION)
        at = {"conversation_id": first.conversation_id}
        result = models.FunctionResultEntry(tool_call_id=first.outputs[0].tool_call_id, result="11.2")
        await self._call(append, "result", inputs=[result], **at)
        await self._call(append, "parameters", PARAMETERS, inputs=QUESTION, **at)
        await self._call(append, "http-404", conversation_id="conv_none", inputs=QUESTION)
        if "tool_confirmations" in inspect.signature(self._client.beta.conversations.append).parameters:
            first = await self._call(unstreamed, f"for approval{stream}", model="confirmation", inputs=QUESTION)
            allowed = [{"tool_call_id": call.tool_call_id, "confirmation": "allow"} for call in first.outputs]
            given: Json = {"inputs": [], "tool_confirmations": allowed}
            await self._call(append, "approval", conversation_id=first.conversation_id, **given)

        first = await self._call(unstreamed, f"for restart{stream}", model="web-search", inputs=QUESTION)
        at = {"conversation_id": first.conversation_id, "from_entry_id": first.outputs[-1].id}
        await self._call(restart, "parameters", PARAMETERS, inputs=QUESTION, **at)
        await self._call(restart, "http-404", inputs=QUESTION, conversation_id="conv_none", from_entry_id="msg_none")
        await self._call(start, "replay", model="plain", inputs=[message, *first.outputs])
        if stream:
            await self._call(start, "left", events=5, model="web-search", inputs=QUESTION)


async def _events(stream: Any, most: int | None) -> list[Any]:
    """Read a stream, to its end or until so many events are read."""
    if isinstance(stream, Iterator):
        with stream:
            return list(itertools.islice(stream, most))
    events: list[Any] = []
    async with stream:
        async for event in stream:
            events.append(event)
            if len(events) == most:
                break
    return events


def _opened() -> Any:
    Path("ferry.wav").write_bytes(WAV)
    return Path("ferry.wav").open("rb")


async def main() -> None:
    """Call everything, and print which integration traced it, which methods it traces, and all that was answered."""
    braintrust.auto_instrument()
    braintrust.init_logger(project="comparison")
    application = Application(Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"]))
    await application.run()
    methods = [method for method, place in traced_methods(integration).items() if place]
    report = {"module": integration.__file__, "methods": methods, "answers": application.answers}
    print(json.dumps(report, default=lambda value: value.model_dump() if isinstance(value, BaseModel) else str(value)))


if __name__ == "__main__":
    asyncio.run(main())
