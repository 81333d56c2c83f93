import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from braintrust_mistral.local import LocalBraintrust
from braintrust_mistral.local.braintrust.totals import totals_of
from braintrust_mistral.local.page import html, write
from braintrust_mistral.local.page.data import data_of, data_since, to_browser_json
from tests.helpers.rows import BEGIN, row, send


PIXELS = b"\x89PNG pixels"
CALL = [{"role": "user", "content": "when?"}]
ANSWER = [{"index": 0, "message": {"role": "assistant", "content": "at noon"}}]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {"role": st.text()}, optional=dict.fromkeys(("content", "tool_calls", "tool_call_id"), json_values)
)


class Page(HTMLParser):
    """The tags of a page, and what its data element holds."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        for tag, attributes in self.tags[-1:]:
            self.text.setdefault(attributes.get("id") or tag, data)

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.text["data"])

    @property
    def policy(self) -> dict[str, str]:
        (content,) = (attrs["content"] for _, attrs in self.tags if "http-equiv" in attrs)
        return dict(rule.split(" ", 1) for rule in str(content).split("; "))


def get(bt: LocalBraintrust, path: str, **headers: str) -> requests.Response:
    return requests.get(bt.url + path, headers=headers, timeout=10)


def changes(bt: LocalBraintrust, since: int) -> dict[str, Any]:
    return get(bt, f"/page/rows?since={since}").json()


def test_a_page_is_one_file_that_names_nothing_else(tmp_path: Path) -> None:
    write([row("a span")], tmp_path / "trace.html")
    content = (tmp_path / "trace.html").read_text(encoding="utf-8")
    page = Page(content)
    assert [attrs.get("src") or attrs.get("href") for _, attrs in page.tags if {"src", "href"} & attrs.keys()] == [
        "data:,"
    ]
    assert not re.search(r"https?://|@import|url\(", content)


def test_the_policy_lets_the_page_run_only_what_it_is() -> None:
    policy = Page(html([row("a span")])).policy
    assert policy["default-src"] == policy["connect-src"] == "'none'"
    for source in (policy["script-src"], policy["style-src"]):
        assert re.fullmatch(r"'sha256-[\w+/]+='", source)
    assert Page(html(live=True)).policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)


@pytest.mark.parametrize(
    "hostile", ["</script><script>x()</script>", "</script x", "<!-- <script ", "{{script}}{{policy}}", "\u2028\ud800"]
)
def test_what_a_trace_holds_stays_inside_of_its_data(hostile: str) -> None:
    page = Page(html([row(hostile, input={hostile: hostile}, type=hostile)]))
    assert [tag for tag, _ in page.tags].count("script") == 2
    # Browsers know more ways out of a script element than this test's parser.
    assert not {"<", ">", "&"} & set(page.text["data"])
    (span,) = page.data["spans"]
    assert span["name"] == hostile
    assert span["row"]["input"] == {hostile: hostile}


def test_numbers_that_a_browser_cannot_hold_are_texts() -> None:
    values = {"id": 2**63, "least": -(2**53), "small": 999_999_999_999_999, "nan": float("nan"), "half": 0.5}
    assert json.loads(to_browser_json(values)) == {
        "id": str(2**63),
        "least": str(-(2**53)),
        "small": 999_999_999_999_999,
        "nan": "NaN",
        "half": 0.5,
    }


def test_each_trace_has_its_totals_and_its_thread() -> None:
    root = row("root")
    call = row("call", 0.1, 0.2, root, type="llm", input=CALL, output=ANSWER, metrics={"tokens": 7})
    data = data_of([root, call, row("another")])
    assert [trace["id"] for trace in data["traces"]] == [root["span_id"], data["spans"][2]["span_id"]]
    first = data["traces"][0]
    assert first["totals"] == {**totals_of([root, call])._asdict(), "llm_calls": 1}
    assert first["thread"] == [(call["id"], "input", 0), (call["id"], "output", 0)]
    span = data["spans"][1]
    assert (span["start"], span["end"], span["tokens"]) == (BEGIN + 0.1, BEGIN + 0.2, 7)
    assert span["parents"] == [root["span_id"]]
    assert span["row"] == call


def test_an_open_span_has_no_end() -> None:
    (span,) = data_of([row("open", end=None)])["spans"]
    assert span["end"] is None


def test_rows_of_one_span_are_merged() -> None:
    first = row("a span", end=None)
    later = {"id": first["id"], "metrics": {"end": BEGIN + 1}, "output": "done", "_is_merge": True}
    (span,) = data_of([first, later])["spans"]
    assert (span["end"], span["row"]["output"]) == (BEGIN + 1, "done")


@given(
    st.fixed_dictionaries(
        {"id": st.text()},
        optional=dict.fromkeys(
            ("span_attributes", "metrics", "metadata", "span_parents", "input", "output", "error", "tags"), json_values
        ),
    ),
    st.dictionaries(st.sampled_from(["start", "end", "tokens", "estimated_cost", "prompt_tokens"]), json_values),
    st.lists(messages),
)
def test_a_row_may_hold_anything_anywhere(
    strange: dict[str, Any], metrics: dict[str, Any], said: list[dict[str, Any]]
) -> None:
    llm = {"span_attributes": {"type": "llm", "name": None}, "metrics": metrics, "input": said, "output": said}
    for each in (strange, {**llm, **strange}, {**strange, **llm}):
        spans = Page(html([each])).data["spans"]
        assert [span["id"] for span in spans] == ([each["id"]] if each.get("span_attributes") else [])


def test_what_a_message_holds_may_be_anything() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": None}]}
    (trace,) = data_of([row("call", type="llm", input=[message])])["traces"]
    assert len(trace["thread"]) == 1


def test_what_is_no_span_is_in_no_trace() -> None:
    feedback = {"id": "feedback", "scores": {"good": 1.0}, "_is_merge": True}
    assert data_of([feedback]) == {"traces": [], "spans": []}


def test_attachments_are_in_the_page() -> None:
    assert Page(html([row("a span")], attachments={"key": b"pixels"})).data["attachments"] == {"key": "cGl4ZWxz"}


def test_changes_are_the_spans_that_changed_and_their_traces() -> None:
    first, second = row("first", end=None), row("second")
    child = row("child", 0.1, 0.2, first)
    rows = [(1, first), (2, second), (4, child)]
    assert {span["name"] for span in data_since(rows, 0)["spans"]} == {"first", "second", "child"}
    data = data_since(rows, 2)
    assert [span["name"] for span in data["spans"]] == ["child"]
    assert [(trace["id"], trace["totals"]["spans"]) for trace in data["traces"]] == [(first["root_span_id"], 2)]
    assert set(data["kept"]) == {first["root_span_id"], second["root_span_id"]}
    end = {"id": first["id"], "metrics": {"end": BEGIN + 2}, "_is_merge": True}
    (changed,) = data_since([*rows, (5, end)], 4)["spans"]
    assert (changed["name"], changed["end"]) == ("first", BEGIN + 2)
    assert data_since(rows, 4) == {"latest": 4}


def test_the_local_braintrust_serves_the_page_live(bt: LocalBraintrust) -> None:
    response = get(bt, "/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert Page(response.text).data["live"] is True


def test_a_page_asks_for_what_is_new(bt: LocalBraintrust) -> None:
    assert changes(bt, 0) == {"latest": 0}
    send(bt, row("first"))
    assert [span["name"] for span in changes(bt, 0)["spans"]] == ["first"]
    assert changes(bt, 1) == {"latest": 1}
    send(bt, row("second"), row("third"))
    data = changes(bt, 1)
    assert ([span["name"] for span in data["spans"]], data["latest"]) == (["second", "third"], 3)


def test_a_page_learns_what_is_gone(bt: LocalBraintrust) -> None:
    send(bt, row("first"), row("second"))
    bt.clear()
    kept = row("third")
    send(bt, kept)
    data = changes(bt, 2)
    assert [span["name"] for span in data["spans"]] == ["third"]
    assert data["kept"] == [kept["root_span_id"]]


def test_a_page_of_another_server_gets_everything(bt: LocalBraintrust) -> None:
    send(bt, row("first"))
    assert len(changes(bt, 5)["spans"]) == 1


@pytest.mark.parametrize(
    ("named", "served", "shown"),
    [
        ("image/png", "image/png", True),
        ("audio/wav", "audio/wav", True),
        ("application/pdf", "application/pdf", True),
        ("text/html", "application/octet-stream", False),
        ("image/svg+xml", "application/octet-stream", False),
        ("text/xml", "application/octet-stream", False),
        ("image/png, text/html", "application/octet-stream", False),
        ("", "application/octet-stream", False),
    ],
)
def test_attachments_are_served_as_nothing_that_runs(
    bt: LocalBraintrust, named: str, served: str, shown: bool
) -> None:
    requests.put(f"{bt.url}/attachment/key", data=PIXELS, timeout=10).raise_for_status()
    response = requests.get(f"{bt.url}/page/attachment", params={"key": "key", "type": named}, timeout=10)
    assert response.content == PIXELS
    assert response.headers["content-type"].split(";")[0] == served
    assert response.headers.get("content-disposition") == (None if shown else "attachment")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_an_attachment_that_is_not_there_is_not_found(bt: LocalBraintrust) -> None:
    assert get(bt, "/page/attachment?key=none").status_code == 404


@pytest.mark.parametrize("path", ["/", "/page/rows?since=0", "/page/attachment?key=key"])
def test_only_this_machines_names_lead_to_the_page(bt: LocalBraintrust, path: str) -> None:
    """A site could have its own name resolve to 127.0.0.1 and read the traces of its visitors."""
    assert get(bt, path, Host="evil.example").status_code == 400
    assert get(bt, path, Host=f"localhost:{bt.port}").status_code != 400


def test_the_pictures_of_the_readme_are_small() -> None:
    pictures = sorted((Path(__file__).parents[2] / "examples/pictures").glob("*.png"))
    assert [picture.stem for picture in pictures] == ["page-dark", "page-light"]
    assert sum(picture.stat().st_size for picture in pictures) < 300_000
