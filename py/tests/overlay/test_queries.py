"""The SQL in `docs`, executed over rows as they arrive at Braintrust: what it selects is there, and adds up.

DuckDB stands in for Braintrust, whose own SQL runs nowhere else: fields of objects, aggregates, subqueries and
intervals are written alike in both. Two things it lacks: `project_logs()` is a view of the rows here, and
`estimated_cost()` a price of 0.001 for each token.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from braintrust_mistral import wrap_mistral
from braintrust_mistral.local import LocalMistral, capture
from tests.conftest import Mistral


RECIPES = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", RECIPES, re.DOTALL)
BY_CONVERSATION, BY_CONNECTOR, FAILED_TOOLS = QUERIES


class Logged(NamedTuple):
    """A database with the rows of two conversations, and the tokens of each as Mistral reported them."""

    database: duckdb.DuckDBPyConnection
    two_turns: int
    one_turn: int


@pytest.fixture(params=[False, True], ids=["calls", "llm_spans"])
def logged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Logged]:
    """Two conversations: one with two turns and a web search in each, and one with five tools of which one failed."""
    with LocalMistral(pace=0.0) as mistral, capture() as traces:
        client: Any = wrap_mistral(Mistral(api_key="local", server_url=mistral.url), llm_spans=request.param)
        conversations = client.beta.conversations
        first = conversations.start(model="web-search", inputs="When does the next ferry leave?")
        second = conversations.append(conversation_id=first.conversation_id, inputs="And the one after it?")
        other = conversations.start(model="document-library", inputs="What does the timetable say?")
    file = tmp_path / "rows.jsonl"
    spans = [span for trace in traces for span in trace.spans]
    file.write_text("".join(f"{json.dumps(span, default=str)}\n" for span in spans), encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE rows AS SELECT * REPLACE (created::TIMESTAMPTZ AS created)"
            f" FROM read_json('{file.as_posix()}', sample_size = -1)"
        )
        connection.execute("CREATE MACRO project_logs(project) AS TABLE SELECT * FROM rows")
        two_turns = first.usage.total_tokens + second.usage.total_tokens
        yield Logged(connection, two_turns, other.usage.total_tokens)


def answer(logged: Logged, query: str) -> list[dict[str, Any]]:
    """Execute a query, and return each row of its answer by the names of its columns."""
    result = logged.database.execute(query.replace("estimated_cost()", "metrics.tokens * 0.001"))
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def test_every_query_is_executed() -> None:
    pages = sorted((Path(__file__).parents[3] / "docs").glob("*.md"))
    assert [page.name for page in pages if "```sql" in page.read_text(encoding="utf-8")] == ["recipes.md"]


def test_tokens_and_cost_of_each_conversation(logged: Logged) -> None:
    two_turns, one_turn = answer(logged, BY_CONVERSATION)
    assert two_turns["conversation"].startswith("conv_")
    assert two_turns["conversation"] != one_turn["conversation"]
    assert (two_turns["tokens"], one_turn["tokens"]) == (logged.two_turns, logged.one_turn)
    assert (two_turns["connector_tokens"], two_turns["web_searches"]) == (2 * 1830, 2)
    assert (one_turn["connector_tokens"], one_turn["web_searches"]) == (1500, None)
    assert two_turns["cost"] == Decimal(logged.two_turns) / 1000


def test_calls_and_cost_of_each_connector(logged: Logged) -> None:
    web_search, *others = answer(logged, BY_CONNECTOR)
    assert web_search == {"connector": "web_search", "calls": 2, "failures": 0, "cost": Decimal("0.06")}
    assert {row["connector"]: row["failures"] for row in others} == {
        "library_list_documents": 0,
        "document_library": 0,
        "open_library_result": 0,
        "library_get_document": 1,
        "quickstart_context7_query-docs": 0,
    }


def test_hosted_tools_that_failed(logged: Logged) -> None:
    query = f"SELECT metadata.tool_name, error FROM project_logs('my project') WHERE {FAILED_TOOLS}"
    (failed,) = answer(logged, query)
    assert failed["tool_name"] == "library_get_document"
    assert failed["error"].startswith("Error executing tool")
