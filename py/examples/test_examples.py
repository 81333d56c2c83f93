"""Each example as it stands, against the local services: it ends well, and its trace shows what it says it shows."""

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest


FOLDER = Path(__file__).parent
# The demo has a session of its own; the others are no examples, but what examples need.
EXAMPLES = sorted(
    {path.stem for path in FOLDER.glob("[!_]*.py")} - {"conftest", "demo", "fares", "services", "test_examples"}
)

START, APPEND = "mistral.beta.conversations.start", "mistral.beta.conversations.append"
STREAM = "mistral.beta.conversations.start_stream"
SEARCHED = [STREAM, "tool: web_search"]
HANDED_OVER = [START, "tool: web_search", "handoff: analyst", "tool: code_interpreter"]
MODEL_CALLS = ["chat mistral-medium-latest", "chat mistral-large-latest"] * 2
EVALUATED = ["eval", "task", START, "tool: web_search", "names_what_was_asked", "cites_a_source"]
CALLED = ["tool: get_exchange_rate"] * 2 + ["look up the rate"] * 2
BOOKED = [
    *("a conversation", START, "tool: web_search", "tool: code_interpreter", "tool: library_get_document"),
    *("handoff: analyst", "tool: book_ferry", APPEND),
]
SPANS = {
    "conversation": ["a conversation", START, APPEND],
    "evaluation": EVALUATED * 2,
    "function_calling": ["a question", START, *CALLED, APPEND],
    "genai": BOOKED,
    "genai_messages": ["a completion", "mistral.chat.complete"],
    "handoff": ["a handoff", *HANDED_OVER],
    "llm_spans": [
        *("llm_spans=False", *HANDED_OVER),
        *("llm_spans=True", *HANDED_OVER, *MODEL_CALLS),
    ],
    "masking": [
        *("masked", START, "tool: web_search", APPEND, "tool: web_search", "mistral.chat.complete"),
        *("a question that fails", "mistral.chat.complete"),
    ],
    "run": [
        *("a run", "mistral.beta.conversations.run", START),
        *("tool: departures", "read the timetable", "tool: ticket_price", APPEND),
    ],
    "two_processes": ["the first process", START, "the second process", APPEND],
    "web_app": ["GET /ask", *SEARCHED, "GET /ask", *SEARCHED],
    "web_search": ["a question", *SEARCHED],
}
"""The spans that an example shows."""

TEXTS = {
    "evaluation": r"'names_what_was_asked': True, 'cites_a_source': True",
    "genai": r'gen_ai\.operation\.name: "invoke_agent"[\s\S]*error\.type: "tool_error"',
    "genai_messages": r'"type": "server_tool_call_response"[\s\S]*"gen_ai.usage.output_tokens": 10',
    "llm_spans": r"thread of \d+: user → assistant → tool → [\s\S]*What the last model saw:\n  user +How did tram",
    "masking": r"of type ValidationError[\s\S]*The canary is in what was sent: no\.",
    "web_app": r"left half-way: +Ferries leave every \n[\s\S]*CancelledError",
    "web_search": r"1\.40 EUR \[2\][\s\S]*\[2\] Fares \| Tagus Ferries, https:",
}
"""What else it shows."""

# What one span holds.
_HELD = re.compile(r"^(?:\w+: )?[\w.]+\n  input: .+\n(?:    .+\n)*  output: .+$", re.MULTILINE)
_SPAN = re.compile(r"^[│├└─ ]*(\S.*?)  +(?:[a-z]+ +)?\d+\.\d\d ", re.MULTILINE)


Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Ran]]]:
    """The examples that are to be tested, by name: they mostly wait, so some run at once."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    with ThreadPoolExecutor(max_workers=4) as pool:
        yield {
            call.params["name"]: pool.submit(run, "-m", f"examples.{call.params['name']}") for call in calls if call
        }


def run(*arguments: str) -> Ran:
    """Run Python with these arguments, and without what sets up Braintrust or Mistral."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BRAINTRUST", "MISTRAL"))}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, check=False, cwd=FOLDER.parent, env=environ, capture_output=True, text=True, encoding="utf-8"
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, ran: dict[str, Future[Ran]]) -> None:
    example = ran[name].result()
    shown = example.stdout
    print(f"\n$ python -m examples.{name}\n{shown.rstrip()}")
    assert example.returncode == 0, example.stderr
    assert "Traceback" not in example.stderr
    # Spans of two threads or processes open in any order.
    assert sorted(_SPAN.findall(shown)) == sorted(SPANS[name])
    assert re.search(TEXTS.get(name, ""), shown)
    assert len(_HELD.findall(shown)) == 1


def test_the_notebook_was_executed_and_shows_what_it_says() -> None:
    """Run its code as a notebook does, but that there is no notebook; the pictures are those of the last execution."""
    cells = json.loads((FOLDER / "capture.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    drawn = [
        output["data"] for cell in code for output in cell["outputs"] if output["output_type"] == "execute_result"
    ]
    assert len(drawn) == 2
    assert all("data:image/svg+xml" in "".join(data["text/html"]) for data in drawn)
    # Each cell ends as in a notebook: its last expression is shown.
    lines = ["".join(cell["source"]) for cell in code]
    program = "\n".join(f"{line}\nprint(traces)" if line.endswith("\ntraces") else line for line in lines)
    body = textwrap.indent(program, "    ")
    script = f"import asyncio\nasync def notebook():\n{body}\nasyncio.run(notebook())\n"
    notebook = run("-c", script)
    print(f"\nexamples/capture.ipynb, cell by cell\n{notebook.stdout.rstrip()}")
    assert notebook.returncode == 0, notebook.stderr
    # The stream that is still open has no seconds; what was over in it has.
    assert _SPAN.findall(notebook.stdout) == [*HANDED_OVER, "tool: web_search"]
    assert re.search(r"start_stream  task +open  ━+╌╌╌", notebook.stdout)
