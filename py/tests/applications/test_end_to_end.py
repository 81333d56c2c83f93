"""A whole application at work: the real Mistral client against a local Mistral, the real Braintrust SDK against a
local Braintrust, both over HTTP. Only what arrived at Braintrust is looked at.

Each application is a process of its own, which gets its addresses from the environment and traces by
`braintrust.auto_instrument()`, as any application would.
"""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from braintrust.integrations import mistral as integration

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from tests.conftest import run_application
from tests.helpers.spans import LoggedSpan, expected_conversation, logged_calls, parsed_by_sdk, without_identity
from tests.helpers.wire import Json


PRELUDE = """
import asyncio
import os

import braintrust

braintrust.auto_instrument()

try:
    from mistralai.client import Mistral
except ImportError:
    from mistralai import Mistral  # 1.x

import braintrust.integrations.mistral

print(braintrust.integrations.mistral.__file__)
braintrust.init_logger(project="end to end")
mistral = Mistral(api_key="local", server_url=os.environ["LOCAL_MISTRAL_URL"])
conversations = mistral.beta.conversations
"""


@pytest.fixture(scope="module")
def mistral() -> Iterator[LocalMistral]:
    """A Mistral that is fifty times as fast as the real one, and on time."""
    with LocalMistral(pace=0.02) as server:
        yield server


@pytest.fixture
def bt() -> Iterator[LocalBraintrust]:
    with LocalBraintrust() as server:
        yield server


Run = Callable[[str, LocalMistral], list[LoggedSpan]]


@pytest.fixture
def run(bt: LocalBraintrust, tmp_path: Path) -> Run:
    """Run an application to its end, which is also when it sends its last spans, and return the calls that arrived."""

    def run(application: str, mistral: LocalMistral) -> list[LoggedSpan]:
        process = run_application(PRELUDE + textwrap.dedent(application), tmp_path, mistral, bt)
        assert process.stderr == ""
        used, *_ = process.stdout.splitlines()
        assert Path(used) == Path(str(integration.__file__)), "another copy of the integration traced this application"
        return logged_calls(bt.spans())

    return run


def answered(mistral: LocalMistral, call: LoggedSpan) -> list[Json]:
    """What Mistral has in the conversation of this call, apart from what the application put there."""
    entries = mistral.conversations[call.metadata["conversation_id"]].entries
    return [entry for entry in entries if entry["type"] not in ("message.input", "function.result")]


def expected(method: str, call: LoggedSpan, outputs: list[Json], **expectation: Any) -> LoggedSpan:
    """What this call should show, were these its outputs. Its usage and its new id only Mistral knows."""
    response = {
        "object": "conversation.response",
        "conversation_id": call.metadata["conversation_id"],
        "outputs": outputs,
        "usage": {"connectors": call.metadata.get("connectors")},
    }
    return expected_conversation(method, response, **expectation)._replace(metrics=ANY)


def test_an_agentic_conversation_shows_the_same_streamed_and_unstreamed(run: Run, mistral: LocalMistral) -> None:
    """Hosted tools, one of them failing, a handoff, reasoning with citations and a function call, both ways."""
    calls = run(
        """
        arguments = {"agent_id": "agentic", "inputs": "Book a ferry for four of us."}
        conversations.start(**arguments)
        with conversations.start_stream(**arguments) as stream:
            for _ in stream:
                pass
        """,
        mistral,
    )
    for method, call in zip(["start", "start_stream"], calls, strict=True):
        outputs = answered(mistral, call)
        request: Json = {"inputs": "Book a ferry for four of us.", "agent_id": "agentic"}
        assert call == expected(method, call, outputs, **request)
        assert call.metrics["tokens"] == sum(
            call.metrics[f"{of}_tokens"] for of in ("prompt", "completion", "connector")
        )
    unstreamed, streamed = calls
    assert without_identity(streamed.output) == without_identity(unstreamed.output)
    assert [without_identity(child._replace(seconds=None)) for child in streamed.children] == [
        without_identity(child._replace(seconds=None)) for child in unstreamed.children
    ]
    assert [(child.name, child.error) for child in unstreamed.children] == [
        ("tool: web_search", None),
        ("tool: code_interpreter", None),
        (
            "tool: library_get_document",
            "Error executing tool library_get_document: document doc_71 is not processed yet",
        ),
        ("handoff: analyst", None),
        ("tool: book_ferry", None),
    ]
    assert unstreamed.metadata["connectors"] == {"web_search": 1, "code_interpreter": 1, "document_library": 1}


def test_a_result_is_on_the_call_that_asked_for_it(run: Run, mistral: LocalMistral) -> None:
    """Streamed or not, and however the append goes: the result is on the child of the first call."""
    calls = run(
        """
        question = {"model": "parallel-functions", "inputs": "What are a hundred euros in kronor and kroner?"}

        def results(calls):
            return [{"tool_call_id": call, "result": f"result of {call}"} for call in calls]

        first = conversations.start(**question)
        answer = results(call.tool_call_id for call in first.outputs)
        for _ in conversations.append_stream(conversation_id=first.conversation_id, inputs=answer):
            pass

        calls = set()
        for event in conversations.start_stream(**question):
            if event.event == "conversation.response.started":
                conversation_id = event.data.conversation_id
            if event.event == "function.call.delta":
                calls.add(event.data.tool_call_id)
        conversations.append(conversation_id=conversation_id, inputs=results(calls))
        """,
        mistral,
    )
    methods = [call.name.rpartition(".")[2] for call in calls]
    assert methods == ["start", "append_stream", "start_stream", "append"]
    for asked, answer in (calls[:2], calls[2:]):
        *function_calls, message = answered(mistral, asked)
        results = {call["tool_call_id"]: f"result of {call['tool_call_id']}" for call in function_calls}
        assert len(results) == 2
        request: Json = {"model": "parallel-functions", "inputs": "What are a hundred euros in kronor and kroner?"}
        method = asked.name.rpartition(".")[2]
        assert asked == expected(method, asked, function_calls, results=results, **request)
        assert [child.output for child in asked.children] == list(results.values())
        assert answer.output == parsed_by_sdk([message])
        assert answer.children == ()


@pytest.mark.parametrize("offset", [3600.0, -3600.0])
def test_children_are_within_their_call_whatever_the_time_at_mistral_is(offset: float, run: Run) -> None:
    """An hour ahead or behind: a tool lasts as long as Mistral says, and runs during its call."""
    with LocalMistral(pace=0.05, clock_offset=offset) as mistral:
        calls = run(
            """
            for name in ("parallel-tools", "web-search"):
                conversations.start(model=name, inputs="Question")
                for _ in conversations.start_stream(model=name, inputs="Question"):
                    pass
            """,
            mistral,
        )
        assert len(calls) == 4
        for call in calls:
            request: Json = {"inputs": "Question", "model": call.metadata["model"]}
            assert call == expected(call.name.rpartition(".")[2], call, answered(mistral, call), **request)


def test_what_goes_wrong_is_logged_with_all_that_went_well_before(run: Run, mistral: LocalMistral) -> None:
    calls = run(
        """
        def attempt(call):
            try:
                for _ in call(inputs="Question"):
                    pass
            except Exception as error:
                print(type(error).__name__)

        for name in ("broken", "error-event", "http-500"):
            attempt(lambda inputs: conversations.start_stream(model=name, inputs=inputs))
            attempt(lambda inputs: [conversations.start(model=name, inputs=inputs)])
        """,
        mistral,
    )
    broken_stream, broken, failed_stream, failed, refused_stream, refused = calls

    outputs = answered(mistral, failed_stream)
    assert [entry["type"] for entry in outputs] == ["tool.execution", "message.output"]
    request: Json = {"inputs": "Question", "model": "error-event", "error": "Response failed (code 3000)"}
    assert failed_stream == expected("start_stream", failed_stream, outputs, **request)

    assert "RemoteProtocolError" in str(broken_stream.error)
    assert [child.name for child in broken_stream.children] == ["tool: code_interpreter"]
    assert [entry["type"] for entry in broken_stream.output] == ["tool.execution", "message.output"]
    assert broken_stream.output[1]["content"] == "The connection breaks before this"
    assert broken_stream.metrics.keys() == {"duration", "time_to_first_token"}

    for call, text in (
        (broken, "RemoteProtocolError"),
        (failed, "Response failed"),
        (refused, "Response failed during handoff orchestration"),
        (refused_stream, "Response failed during handoff orchestration"),
    ):
        assert text in str(call.error)
        assert (call.output, call.children, call.metrics) == (None, (), {"duration": ANY})


def test_an_application_that_leaves_its_streams_open_loses_nothing(run: Run, mistral: LocalMistral) -> None:
    """Streams that nobody finishes are logged when they are dropped, or when the interpreter exits."""
    left, dropped, untouched = run(
        """
        left = conversations.start_stream(model="web-search", inputs="Left")
        for event in left:
            if event.event == "message.output.delta":
                break
        for event in conversations.start_stream(model="web-search", inputs="Dropped"):
            if event.event == "tool.execution.done":
                break
        untouched = conversations.start_stream(model="web-search", inputs="Untouched")
        """,
        mistral,
    )
    assert [call.error for call in (left, dropped, untouched)] == [None, None, None]
    assert [call.input for call in (left, dropped, untouched)] == ["Left", "Dropped", "Untouched"]
    assert [entry["type"] for entry in left.output] == ["tool.execution", "message.output"]
    assert [entry["type"] for entry in dropped.output] == ["tool.execution"]
    assert [child.name for child in (*left.children, *dropped.children)] == ["tool: web_search"] * 2
    assert untouched.output == []


def test_media_are_uploaded_and_files_are_not(run: Run, mistral: LocalMistral, bt: LocalBraintrust) -> None:
    """A data URL arrives as an attachment; a path and a remote URL are nothing but text."""
    (call,) = run(
        """
        import base64

        image = "data:image/png;base64," + base64.b64encode(bytes(range(256))).decode()
        urls = [image, "/etc/passwd", "https://images.example.net/ferry.png"]
        chunks = [{"type": "image_url", "image_url": url} for url in urls]
        inputs = [{"type": "message.input", "role": "user", "content": chunks}]
        conversations.start(model="plain", inputs=inputs)
        """,
        mistral,
    )
    ((key, content),) = bt.attachments.items()
    assert content == bytes(range(256))
    attachment = {"type": "braintrust_attachment", "filename": "image.png", "content_type": "image/png", "key": key}
    urls = [attachment, "/etc/passwd", "https://images.example.net/ferry.png"]
    chunks = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    assert call.input == [{"type": "message.input", "role": "user", "content": chunks}]


def test_conversations_at_the_same_time_do_not_mix(run: Run, mistral: LocalMistral) -> None:
    """Forty at once, streamed and unstreamed: each span has what Mistral said to that question, and only that."""
    calls = run(
        """
        async def ask(number):
            arguments = {"agent_id": "agentic", "inputs": f"Question {number}"}
            if number % 2:
                await conversations.start_async(**arguments)
            else:
                async for _ in await conversations.start_stream_async(**arguments):
                    await asyncio.sleep(0)

        async def main():
            await asyncio.gather(*(ask(number) for number in range(40)))

        asyncio.run(main())
        """,
        mistral,
    )
    assert sorted(call.input for call in calls) == sorted(f"Question {number}" for number in range(40))
    for call in calls:
        question = mistral.conversations[call.metadata["conversation_id"]].entries[0]
        assert call.input == question["content"]
        method = "start" if int(call.input.split()[1]) % 2 else "start_stream"
        request: Json = {"inputs": question["content"], "agent_id": "agentic"}
        assert call == expected(method, call, answered(mistral, call), **request)
