"""Sample content in the shapes of the wire: agents, tools with their results, chunks, moderation."""

import json

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.mistral.answers import Agent, ToolExecution, text


AGENT_MODEL = "mistral-medium-latest"
"""The model behind agents whose id a request names."""

RESEARCHER = Agent("ag_0198a3c1f0d27b6e9c41d2a85e7f3b60", "researcher")
ANALYST = Agent("ag_0198a3c204e97d118a5f6b3c92d0e471", "analyst", model="mistral-large-latest")

_FERRIES = {
    "tB4nQz7A": ("Timetable | Tagus Ferries", "https://ferries.example.com/timetable"),
    "Kp0sXw2L": ("Fares | Tagus Ferries", "https://ferries.example.com/fares"),
}


def web_search(query: str, seconds: float = 2.5, agent: Agent | None = None) -> ToolExecution:
    """Return a search; its result is JSON inside a string, hits by a random key."""
    hits = {
        key: {"url": url, "title": title, "description": f"{title}: ...", "rank": rank, "source": "brave"}
        for rank, (key, (title, url)) in enumerate(_FERRIES.items())
    }
    info = {"result": json.dumps(hits)}
    return ToolExecution("web_search", {"query": query}, info, seconds, tokens=1_830, agent=agent)


def code_interpreter(agent: Agent | None = None, timed: bool = True) -> ToolExecution:
    """Return a program and its output; the result is a list of text chunks."""
    code = "total = sum(n * n for n in range(1, 101))\ntotal"
    info = {"result": [text("338350\n")], "code": code, "code_output": "338350\n"}
    return ToolExecution("code_interpreter", {"code": code}, info, 1.2, tokens=12, agent=agent, timed=timed)


def image_generation() -> ToolExecution:
    """Return an image; the result is JSON inside a string and holds a signed URL."""
    url = (
        "https://images.example.net/generated/4f1c/image.png?se=2026-03-02T12%3A00%3A00Z&sp=r&sig=c2VjcmV0LXNpZw%3D%3D"
    )
    return ToolExecution(
        "image_generation",
        {"prompt": "A yellow ferry on a wide river, flat colours."},
        {"result": json.dumps({"url": url})},
        4.0,
        function="generate_image",
        tokens=290,
    )


def library_tool(name: str, arguments: Json, info: Json | None = None, agent: Agent | None = None) -> ToolExecution:
    """Return a tool of a document library. In the usage it counts as the library's."""
    return ToolExecution(name, arguments, info, 0.6, connector="document_library", tokens=95, agent=agent)


def library_search(query: str) -> ToolExecution:
    """Return a search in documents; the result is JSON inside a string."""
    result = json.dumps({"0": {"document": "manual.pdf", "page": 12, "text": "The warranty period is two years."}})
    return library_tool("document_library", {"query": query}, {"result": result})


def opened_result() -> ToolExecution:
    """Return an opened page: a list of text chunks, and long."""
    page = "Section 4. The warranty period is two years from the day of purchase. " * 60
    return ToolExecution("open_library_result", {"result_id": "0"}, {"result": [text(page)]}, 0.4, tokens=1_120)


def failing_library_tool(agent: Agent | None = None) -> ToolExecution:
    """Return a tool that failed on the server: nothing but the text of its result tells."""
    result = "Error executing tool library_get_document: document doc_71 is not processed yet"
    return library_tool("library_get_document", {"document_id": "doc_71"}, {"result": result}, agent)


def connector_tool(name: str, arguments: Json) -> ToolExecution:
    """Return a tool of a connector, after it was allowed."""
    return ToolExecution(name, arguments, {"result": [text("done")]}, 0.8, connector=name.partition("_")[0], tokens=40)


def cited_answer() -> list[Json]:
    """Return text and citations in turn."""
    timetable, fares = (reference(title, url) for title, url in _FERRIES.values())
    return [
        text("Ferries leave every 20 minutes"),
        timetable,
        text(" and a single ticket costs 1.40 EUR"),
        fares,
        text(". Children under four travel free."),
    ]


def reference(title: str, url: str) -> Json:
    """Return a citation of a search hit."""
    return {"type": "tool_reference", "tool": "web_search", "title": title, "url": url, "description": f"{title}: ..."}


def image_answer() -> list[Json]:
    """Return a message that shows a generated image."""
    image = {"tool": "image_generation", "file_id": "9d0e2c64-1f3b-4a87-b5d2-6e7f8091a2b3", "file_type": "png"}
    return [text("Here is the ferry:\n\n"), {"type": "tool_file", "file_name": "image_generated_0", **image}]


def reasoning() -> Json:
    """Return a thinking chunk, whose text is itself a list of chunks."""
    thought = "The next ferry is at 14:10, but four people will not make it. The one after leaves at 14:30."
    return {"type": "thinking", "thinking": [text(thought)]}


def guardrails() -> list[Json]:
    """Return what moderation found in a response: nothing."""
    scores = {"sexual": 4.1e-06, "violence_and_threats": 1.9e-05, "dangerous": 1.2e-05, "pii": 2.4e-05}
    categories = {name: {"score": score, "violated": False} for name, score in scores.items()}
    return [{"moderation_llm_v2": {"action": "none", "categories": categories}}]
