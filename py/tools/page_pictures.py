"""Photographs the page of traces in light and in dark: `python -m tools.page_pictures FOLDER`, where Chromium is.

What it shows are the demo's conversations, with their model calls, as the local services make them.
"""

import re
import sys
from pathlib import Path

import braintrust
from braintrust.integrations.mistral import wrap_mistral
from playwright.sync_api import Page, sync_playwright

from braintrust_mistral.local.page import write
from examples import demo
from examples.services import connect, services
from tools.chromium import find_chromium


WIDTH, HEIGHT = 1360, 640
SHOWN_SPAN = re.compile("^chat mistral-large-latest")


def main(folder: Path) -> None:
    """Make the traces, and save a picture of their page for each colour scheme."""
    page_file = folder / "page.html"
    save_page(page_file)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium())
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            page.goto(page_file.absolute().as_uri())
            choose(page)
            page.screenshot(path=folder / f"page-{scheme}.png")
        browser.close()
    page_file.unlink()


def choose(page: Page) -> None:
    """Choose the last trace, and in it the model call that answers."""
    page.get_by_role("option").last.click()
    page.get_by_role("treeitem", name=SHOWN_SPAN).first.click()


def save_page(path: Path) -> None:
    """Save the page of the demo's conversations."""
    with services() as here, here.agent("agentic") as agent_id:
        client = connect(here.url)
        # Type checkers see the signature of the SDK's own function, which has no such parameter.
        wrap_mistral(client, llm_spans=True)  # pyright: ignore[reportCallIssue]
        braintrust.init_logger(project="mistral demo")
        for conversation in (demo.run, demo.converse_streamed, demo.converse):
            conversation(here._replace(client=client), agent_id)
        braintrust.flush()
        if here.braintrust is None:
            sys.exit("without keys, please: the pictures are of local traces")
        write(here.braintrust.spans(), path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
