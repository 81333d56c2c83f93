"""A browser for the page: Chromium as the system has it, driven by playwright."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.chromium import find_chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: the dependency group `browser`")
    path = find_chromium()
    if path is None:
        pytest.skip("needs Chromium, which this machine has not: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        yield browser
        browser.close()


class Tab:
    """A page in the browser, and what went wrong in it or wanted to leave it."""

    def __init__(self, browser: Any, scheme: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 720}, color_scheme=scheme)
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.add_init_script("window.hacked = () => { throw new Error('hacked') }")
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append("a dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def rows(self) -> Any:
        return self.page.locator("#tree [role=treeitem]")

    def span(self, name: str) -> Any:
        return self.page.get_by_role("treeitem", name=name)

    def chosen(self) -> str:
        """The name of the chosen span, as the tree tells screen readers."""
        active = self.page.locator("#tree").get_attribute("aria-activedescendant")
        row = self.page.locator(f"#{active}")
        assert row.get_attribute("aria-selected") == "true"
        return row.get_attribute("aria-label").split(", ")[0]

    def pane(self) -> Any:
        return self.page.locator("#pane")


OpenTab = Callable[..., Tab]


@pytest.fixture
def open_tab(chromium: Any) -> Iterator[OpenTab]:
    """Open a URL or a file; whatever goes wrong in the page fails the test."""
    tabs: list[Tab] = []

    def open_it(target: str | Path, scheme: str = "light") -> Tab:
        tab = Tab(chromium, scheme)
        tabs.append(tab)
        tab.page.goto(target.as_uri() if isinstance(target, Path) else target)
        return tab

    yield open_it
    for tab in tabs:
        tab.page.close()
        assert tab.faults == []
