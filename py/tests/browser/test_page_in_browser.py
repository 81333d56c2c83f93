"""The page in a real browser: what it shows, what it lets happen, and how it is used without a mouse."""

import base64
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from braintrust_mistral.local import LocalBraintrust
from braintrust_mistral.local.page import write
from tests.browser.conftest import OpenTab, Tab
from tests.helpers.rows import Row, large_trace, row, send


IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG, SVG, PDF, WAV = (
    {"type": "braintrust_attachment", "key": name, "filename": f"{name} file", "content_type": content_type}
    for name, content_type in [
        ("png", "image/png"),
        ("svg", "image/svg+xml"),
        ("pdf", "application/pdf"),
        ("wav", "audio/wav"),
    ]
)
CONTENTS = {
    "png": IMAGE,
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='hacked()'><script>hacked()</script></svg>",
    "pdf": b"%PDF-1.4\n%%EOF",
    "wav": b"RIFF",
}
HOSTILE = (
    "</script><script>hacked()</script>",
    "<img src=x onerror=hacked()>",
    "<svg onload=hacked()>",
    "</script x <!-- <script x",
    "javascript:hacked()",
    "'\"><style>*{display:none}</style><iframe srcdoc='<script>parent.hacked()</script>'></iframe>",
    "{{script}} ${hacked()} `${hacked()}`",
    "__proto__",
    "https://evil.example/pixel.png",
    "data:text/html,<script>hacked()</script>",
    "data:image/svg+xml,<svg onload='hacked()'/>",
    "\u202e\u0000\ud800% <!-- ",
)


def conversation() -> list[Row]:
    root = row("a conversation", 0.0, 4.0, tags=["first"], metadata={"customer": 12})
    question = {
        "role": "user",
        "content": [{"type": "text", "text": "When?"}, {"type": "image_url", "image_url": PNG}],
    }
    call = {"id": "call1", "type": "function", "function": {"name": "timetable", "arguments": '{"day": "Monday"}'}}
    asks = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "call1", "content": '{"departure": "14:10"}'}
    answers = {"role": "assistant", "content": "At ten past two."}
    metrics = {"tokens": 1200, "prompt_tokens": 1000, "completion_tokens": 200, "estimated_cost": 0.00123}
    return [
        root,
        row("first call", 0.5, 1.0, root, type="llm", input=[question], output=[{"message": asks}], metrics=metrics),
        row(
            "timetable", 1.0, 2.0, root, type="tool", input={"day": "Monday"}, error="Traceback\nValueError: no boats"
        ),
        row("second call", 2.0, 3.0, root, type="llm", input=[question, asks, result], output=[{"message": answers}]),
        row("left by break", 3.0, None, root, type="llm"),
        row("files", 3.0, 3.5, root, output=[SVG, PDF, WAV]),
    ]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(rows: list[Row]) -> Path:
        write(rows, tmp_path / "trace.html", CONTENTS)
        return tmp_path / "trace.html"

    return save


Save = Callable[..., Path]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_of(open_tab: OpenTab, saved: Save, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    tab = open_tab(saved([*conversation(), row("another")]), scheme)
    checked: list[str] = []
    for step in ("timeline", "a failed span", "thread"):
        if step == "a failed span":
            tab.span("timetable").click()
        elif step == "thread":
            tab.page.get_by_role("radio", name="Thread").check()
        results = Axe().run(tab.page)
        assert results.violations_count == 0, f"{step}: {results.generate_report()}"
        checked += [each["id"] for each in results.response["passes"]]
    assert {"color-contrast", "aria-required-children", "aria-valid-attr-value"} <= set(checked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_as_the_reader_likes_it(open_tab: OpenTab, saved: Save, scheme: str) -> None:
    tab = open_tab(saved(conversation()), scheme)

    def brightness() -> int:
        color = tab.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return int(color.removeprefix("rgb(").split(",")[0])

    assert (brightness() > 200) == (scheme == "light")
    tab.page.get_by_role("button", name="Change between light and dark").click()
    assert (brightness() > 200) == (scheme == "dark")
    tab.page.get_by_role("button", name="Change between light and dark").click()
    assert (brightness() > 200) == (scheme == "light")


def test_a_trace_is_a_tree_with_a_time_axis(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    names = [label.split(", ")[0] for label in tab.rows().evaluate_all("rows => rows.map((row) => row.ariaLabel)")]
    assert names == ["a conversation", "first call", "timetable", "second call", "left by break", "files"]
    assert tab.rows().evaluate_all("rows => rows.map((row) => row.ariaLevel)") == ["1", *["2"] * 5]
    track = tab.page.locator("#tree .track").first.bounding_box()

    def place(name: str) -> tuple[float, float]:
        """Where the bar of a span begins and ends, in quarters of the axis: the trace is of four seconds."""
        bar = tab.span(name).locator(".bar").bounding_box()
        begin = (bar["x"] - track["x"]) / track["width"] * 4
        return begin, begin + bar["width"] / track["width"] * 4

    assert place("a conversation") == pytest.approx((0, 4), abs=0.02)
    assert place("timetable") == pytest.approx((1, 2), abs=0.02)
    assert place("left by break") == pytest.approx((3, 4), abs=0.02)
    # The labels of the axis stand at their time, and not on one another.
    labels = tab.page.locator("#axis span")
    boxes = [labels.nth(index).bounding_box() for index in range(labels.count())]
    assert labels.nth(1).text_content() == "1 s"
    assert tab.page.locator("#timeline").evaluate("(lines) => lines.style.getPropertyValue('--step')") == "25%"
    assert (boxes[1]["x"] - track["x"]) / track["width"] * 4 == pytest.approx(1, abs=0.02)
    assert all(one["x"] + one["width"] < other["x"] for one, other in itertools.pairwise(boxes))


def test_the_axis_shows_the_time_of_one_span_where_that_is_wanted(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved([*conversation(), row("another")]))
    track = tab.page.locator("#tree .track").first.bounding_box()

    def width(name: str) -> float:
        return tab.span(name).locator(".bar").bounding_box()["width"] / track["width"]

    tab.span("timetable").click()
    assert width("timetable") == pytest.approx(0.25, abs=0.01)
    button = tab.page.get_by_role("button", name="Zoom")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert width("timetable") == pytest.approx(1, abs=0.01)
    assert tab.page.locator("#axis span").nth(1).text_content().endswith(" ms")
    tab.page.locator("#tree").focus()
    tab.page.keyboard.press("z")
    assert width("timetable") == pytest.approx(0.25, abs=0.01)
    tab.page.keyboard.press("z")
    tab.page.get_by_role("option", name="another").click()
    assert width("another") == pytest.approx(1, abs=0.01)
    assert button.get_attribute("aria-pressed") == "false"


def test_an_open_span_says_so_and_fades_out(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    span = tab.span("left by break")
    assert span.locator(".number").first.text_content() == "open"
    assert "gradient" in span.locator(".bar").evaluate("(bar) => getComputedStyle(bar).maskImage")
    assert tab.span("second call").locator(".number").first.text_content() == "1.00 s"
    assert tab.page.locator("#totals dd").first.text_content() == "open"


def test_the_totals_are_the_traces(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    shown = tab.page.locator("#totals div").evaluate_all(
        "(all) => Object.fromEntries(all.map(({children: [name, value]}) => [name.textContent, value.textContent]))"
    )
    assert shown["Spans"] == "6"
    assert shown["Model calls"] == "3"
    assert shown["Tokens"] == "1,200 1,000 in, 200 out"
    assert shown["Estimated cost"] == "$0.00123"


def test_the_pane_shows_the_chosen_span(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    assert tab.pane().locator("h3").all_text_contents() == ["metadata", "metrics", "tags"]
    tab.page.get_by_role("button", name="1 error").click()
    assert tab.pane().locator("h2").text_content() == "timetable"
    assert tab.pane().locator("[data-field=error] .text").text_content() == "Traceback\nValueError: no boats"
    assert tab.pane().locator("[data-field=input] .field").all_text_contents() == ["dayMonday"]
    assert "start" in tab.pane().locator("[data-field=metrics]").text_content()


def test_the_thread_is_a_conversation(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    tab.page.get_by_role("radio", name="Thread").check()
    messages = tab.page.locator("#thread .message")
    assert messages.evaluate_all("(all) => all.map((each) => each.dataset.role)") == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert messages.nth(0).get_by_role("img", name="png file").is_visible()
    assert "timetable" in messages.nth(1).locator(".call").text_content()
    assert messages.nth(2).locator(".field").all_text_contents() == ["departure14:10"]
    assert "At ten past two." in messages.nth(3).text_content()
    messages.nth(3).get_by_role("button", name="second call").click()
    assert tab.pane().locator("h2").text_content() == "second call"


def test_attachments_are_shown_or_saved(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    tab.span("first call").click()
    image = tab.pane().get_by_role("img", name="png file")
    image.scroll_into_view_if_needed()
    assert image.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 1
    tab.span("files").click()
    assert tab.pane().locator("img").count() == 0
    assert tab.pane().locator("audio").get_attribute("src").startswith("data:audio/wav;")
    for name in ("pdf", "svg"):
        link = tab.pane().get_by_role("link", name=f"{name} file")
        kind = "application/pdf" if name == "pdf" else "application/octet-stream"
        assert link.get_attribute("href").startswith(f"data:{kind};")
        with tab.page.expect_download() as download:
            link.click()
        assert Path(download.value.path()).read_bytes() == CONTENTS[name]


def hostile_rows() -> list[Row]:
    """A trace that has markup and scripts wherever a trace has text."""
    rows = [row(HOSTILE[0])]
    for text in HOSTILE:
        attachment = {"type": "braintrust_attachment", "key": text, "filename": text, "content_type": text}
        message = {"role": text, "content": [text, {"type": "image_url", "image_url": {"url": text}}], "name": text}
        call = {"id": text, "function": {"name": text, "arguments": text}}
        rows.append(
            row(
                text,
                parent=rows[0],
                type="llm",
                input=[message, {"role": "assistant", "content": attachment, "tool_calls": [call], text: text}],
                output={text: [text, attachment, {text: {text: text}}]},
                metadata={text: text, "model": text},
                metrics={text: text},
                error=text,
                tags=[text],
            )
        )
        rows[-1]["id"] = text.replace("\ud800", "")  # which /logs3 refuses in an id
    return rows


@pytest.mark.parametrize("live", [False, True])
def test_a_hostile_trace_is_text(open_tab: OpenTab, saved: Save, live: bool) -> None:
    with LocalBraintrust() as bt:
        send(bt, *hostile_rows())
        tab = open_tab(bt.url if live else saved(hostile_rows()))
        tab.page.locator("#tree [role=treeitem]").first.wait_for()
        for index in range(len(HOSTILE) + 1):
            tab.page.locator(f"#tree-{index}").click()
            for details in tab.pane().locator("details:not([open]) > summary").all():
                details.click()
        tab.page.get_by_role("radio", name="Thread").check()
        tab.page.locator("#thread .message").first.wait_for()
        shown = tab.page.locator("body").text_content()
        assert all(text.split("\0")[0] in shown for text in HOSTILE)
        assert (
            tab.page.locator("body :is(script:not([type]), iframe, style, svg, object, embed, form, base)").count()
            == 0
        )
        assert tab.page.locator("a:not([download]), img").count() == 0
        home = bt.url if live else "file:"
        assert [url for url in tab.requests if not url.startswith((home, "data:"))] == []
        tab.page.close()


def test_the_browser_itself_would_refuse_what_the_page_never_does(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    attempts = {
        "markup": "document.body.innerHTML = '<b>x</b>'",
        "a script": "document.body.append(Object.assign(document.createElement('script'), {textContent: 'x = 1'}))",
    }
    for attempt in attempts.values():
        with pytest.raises(Exception, match=r"TrustedHTML|TrustedScript"):
            tab.page.evaluate(attempt)
    assert tab.page.evaluate("fetch('https://evil.example').then(() => 'sent', () => 'refused')") == "refused"
    assert len(tab.faults) >= 3
    tab.faults.clear()


def test_ten_thousand_spans_are_few_rows(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(large_trace(10_000)))
    assert tab.page.locator("#tree .rows").evaluate("(rows) => rows.clientHeight") == 10_000 * 28

    def drawn() -> int:
        return tab.rows().count()

    few = 60
    assert 20 < drawn() < few
    tab.page.locator("#tree").focus()
    tab.page.keyboard.press("End")
    assert 20 < drawn() < few
    last = tab.chosen()
    assert tab.pane().locator("h2").text_content() == last
    assert tab.span(last).last.is_visible()
    tab.page.keyboard.press("Home")
    assert tab.chosen() == "root"
    for _ in range(5):
        tab.page.keyboard.press("PageDown")
    assert tab.page.locator("#tree").evaluate("(tree) => tree.scrollTop") > 1000
    # Scrolled away by other means, the chosen span is still there for those who do not see.
    chosen = tab.chosen()
    tab.page.locator("#tree").evaluate("(tree) => { tree.scrollTop = 100_000 }")
    tab.page.locator("#tree-3571").wait_for()
    assert tab.chosen() == chosen
    assert drawn() < few


def test_a_trace_may_be_as_deep_as_it_is_long(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(large_trace(5_000, width=1)))
    tab.page.locator("#tree").focus()
    tab.page.keyboard.press("End")
    assert tab.chosen() == "span 4999"
    assert tab.span("span 4999").get_attribute("aria-level") == "5000"
    assert tab.span("span 4999").locator(".name > span").last.is_visible()


def test_many_traces_are_few_rows(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved([row(f"trace {number}") for number in range(3_000)]))
    assert tab.page.get_by_role("option").count() < 60
    tab.page.locator("#traces").focus()
    tab.page.keyboard.press("End")
    assert tab.page.get_by_role("heading", level=2).first.text_content() == "trace 2999"


def test_the_tree_is_used_with_the_keyboard(open_tab: OpenTab, saved: Save) -> None:
    root = row("root", 0, 9)
    first, second = row("first", 1, 2, root), row("second", 3, 4, root)
    tab = open_tab(saved([root, first, second, row("below first", 1.2, 1.5, first)]))
    tree = tab.page.locator("#tree")
    tree.focus()
    assert tree.evaluate("(tree) => getComputedStyle(tree).outlineStyle") == "solid"
    steps = [
        ("ArrowDown", "first", 4),
        ("ArrowLeft", "first", 3),
        ("ArrowDown", "second", 3),
        ("ArrowUp", "first", 3),
        ("ArrowRight", "first", 4),
        ("ArrowRight", "below first", 4),
        ("ArrowRight", "below first", 4),
        ("ArrowLeft", "first", 4),
        ("ArrowLeft", "first", 3),
        ("ArrowLeft", "root", 3),
        ("ArrowLeft", "root", 1),
        ("ArrowUp", "root", 1),
    ]
    for key, chosen, rows in steps:
        tab.page.keyboard.press(key)
        assert (tab.chosen(), tab.rows().count()) == (chosen, rows), key
    assert tab.span("root").get_attribute("aria-expanded") == "false"
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "pane"


def test_a_click_on_the_triangle_hides_what_is_below(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved(conversation()))
    tab.span("a conversation").locator(".twisty").click()
    assert tab.rows().count() == 1
    tab.span("a conversation").locator(".twisty").click()
    assert tab.rows().count() == 6


def test_finding_goes_from_match_to_match_and_opens_the_way(open_tab: OpenTab, saved: Save) -> None:
    rows = large_trace(1_000)
    rows[500]["output"] = rows[900]["output"] = "The needle"
    tab = open_tab(saved(rows))
    tab.span("root").locator(".twisty").click()
    tab.page.get_by_role("searchbox").fill("needle")
    found = set[str]()
    for order in ("1 of 2", "2 of 2"):
        tab.page.keyboard.press("Enter")
        assert tab.page.locator("#found").text_content() == order
        found.add(tab.chosen())
        assert tab.span(tab.chosen()).last.is_visible()
    assert found == {"span 500", "span 900"}
    tab.page.keyboard.press("Enter")
    assert tab.page.locator("#found").text_content() == "1 of 2"


def test_the_address_leads_to_the_span(open_tab: OpenTab, saved: Save) -> None:
    rows = [row("another"), *conversation()]
    tab = open_tab(f"{saved(rows).as_uri()}#span={rows[3]['id']}")
    assert tab.chosen() == rows[3]["span_attributes"]["name"]
    tab.page.locator("#tree").focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.wait_for_url(f"**#span={rows[4]['id']}")
    assert open_tab(f"{saved(rows).as_uri()}#%").chosen() == "another"


def test_parents_may_be_missing_or_their_own_descendants(open_tab: OpenTab, saved: Save) -> None:
    root = row("root", 0)
    orphan = {**row("orphan", 1, 2, root), "span_parents": ["nobody"]}
    one, other, own = row("one", 2, 3, root), row("other", 3, 4, root), row("own", 4, 5, root)
    one["span_parents"], other["span_parents"], own["span_parents"] = (
        [other["span_id"]],
        [one["span_id"]],
        [own["span_id"]],
    )
    timeless = {**row("timeless", parent=root), "metrics": {}}
    tab = open_tab(saved([root, orphan, one, other, own, timeless]))
    rows = tab.rows().evaluate_all("(rows) => rows.map((row) => [row.ariaLabel.split(', ')[0], row.ariaLevel])")
    assert dict(rows) == {"root": "1", "timeless": "2", "orphan": "1", "own": "1", "one": "1", "other": "2"}


def test_the_live_page_shows_spans_as_they_come(open_tab: OpenTab) -> None:
    with LocalBraintrust() as bt:
        tab = open_tab(bt.url)
        status = tab.page.locator("#status")
        status.get_by_text("waiting for the first span").wait_for()
        root, *others = conversation()
        opened = {**root, "metrics": {"start": root["metrics"]["start"]}}
        send(bt, opened)
        tab.span("a conversation, task, open").wait_for()
        status.get_by_text("live").wait_for()
        send(bt, *others)
        tab.span("timetable").click()
        send(
            bt, {"id": root["id"], "metrics": root["metrics"], "output": "done", "_is_merge": True}, row("a new trace")
        )
        tab.span("a conversation, task, 4.00 s").wait_for()
        tab.page.get_by_role("option", name="a new trace").wait_for()
        # What is being read stays.
        assert tab.pane().locator("h2").text_content() == "timetable"
        requests.put(f"{bt.url}/attachment/png", data=IMAGE, timeout=10).raise_for_status()
        tab.span("first call").click()
        image = tab.pane().get_by_role("img", name="png file")
        image.scroll_into_view_if_needed()
        assert image.evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 1
    status.get_by_text("ended").wait_for()
    tab.span("timetable").click()
    assert "no boats" in tab.pane().text_content()
    assert all("ERR_CONNECTION_REFUSED" in fault for fault in tab.faults)
    tab.faults.clear()


def test_a_live_page_does_not_show_a_span_again_that_did_not_change(open_tab: OpenTab) -> None:
    with LocalBraintrust() as bt:
        rows = conversation()
        send(bt, *rows)
        tab = open_tab(bt.url)
        tab.span("timetable").click()
        tab.pane().locator("section").first.evaluate("(section) => { section.id = 'mine' }")
        send(bt, row("later", 3.8, 4.0, rows[0]))
        tab.span("later").wait_for()
        assert tab.pane().locator("#mine").count() == 1
        tab.page.close()


def test_a_page_without_traces_says_so(open_tab: OpenTab, saved: Save) -> None:
    tab = open_tab(saved([]))
    assert tab.page.locator("#status").text_content() == "no traces"
    assert not tab.page.locator("main").is_visible()


def wait_for_polls(tab: Tab) -> None:
    for _ in range(2):
        with tab.page.expect_response("**/page/rows*"):
            pass


def test_a_live_page_touches_nothing_that_did_not_change(open_tab: OpenTab) -> None:
    with LocalBraintrust() as bt:
        send(bt, *conversation())
        tab = open_tab(bt.url)
        tab.span("timetable").evaluate("(row) => { window.before = row }")
        wait_for_polls(tab)
        assert tab.page.evaluate("window.before.isConnected")
        tab.page.close()


def test_a_live_page_forgets_what_its_server_forgot(open_tab: OpenTab) -> None:
    with LocalBraintrust() as bt:
        send(bt, row("first"), row("second"))
        tab = open_tab(bt.url)
        tab.page.get_by_role("option", name="second").wait_for()
        bt.clear()
        send(bt, row("third"), row("fourth"))
        tab.page.get_by_role("option", name="fourth").wait_for()
        assert tab.page.get_by_role("option").count() == 2
        assert tab.page.locator("#trace-name").text_content() == "third"
        tab.page.close()


def test_a_click_may_take_longer_than_the_next_span(open_tab: OpenTab) -> None:
    with LocalBraintrust() as bt:
        rows = conversation()
        send(bt, *rows)
        tab = open_tab(bt.url)
        tab.span("timetable").hover()
        tab.page.mouse.down()
        send(bt, row("later", 3.8, 4.0, rows[0]))
        wait_for_polls(tab)
        tab.page.mouse.up()
        assert tab.pane().locator("h2").text_content() == "timetable"
        tab.span("later").wait_for()
        tab.page.close()


def test_a_narrow_window_has_everything_below_one_another(open_tab: OpenTab, saved: Save) -> None:
    tab: Tab = open_tab(saved([*conversation(), row("another")]))
    tab.page.set_viewport_size({"width": 500, "height": 800})

    def box(selector: str) -> Any:
        return tab.page.locator(selector).bounding_box()

    assert box("nav")["y"] < box("main")["y"] < box("#pane")["y"]
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 500
