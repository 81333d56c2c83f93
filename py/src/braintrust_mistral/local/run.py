"""Runs a program with all of it traced, and shows its traces: `python -m braintrust_mistral run`.

The program is a process of its own, as Python would start it, with a Braintrust on loopback in its environment. So it
may end in any way, and what it logged until then is here.
"""

import json
import logging
import math
import os
import secrets
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from rich.text import Text

from braintrust_mistral import RUN, SWITCH, path_hook
from braintrust_mistral.local.braintrust.service import LocalBraintrust
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.files import RowFile, write_page
from braintrust_mistral.local.program import Program, end_as
from braintrust_mistral.local.report import drawn, open_spans, summary
from braintrust_mistral.local.screen import Screen
from braintrust_mistral.local.server import LocalServer
from braintrust_mistral.local.startup import Settings


_logger = logging.getLogger(__name__)

TICK = 0.1
"""How often to look for what is new, in seconds."""

_NOT_AT_WORK = "braintrust-mistral is not at work when this Python starts, so that nothing would be traced below it."
_NOTHING_ARRIVED = (
    "No span arrived. Traced are the libraries that braintrust.auto_instrument() knows, in Python programs of the "
    "environment that braintrust-mistral is installed in, and what a program logs with braintrust itself."
)


class Options(NamedTuple):
    """What to show, and where to write it.

    Attributes:
        project: what to log to where the program sets up nothing.
        port: of the local Braintrust; 0 takes a free one.
        html: where to write the page of all traces.
        json: where to write the rows, a line each.
        open: whether to open the page, which goes on while the program runs and stays afterwards.
        details: whether to add inputs and outputs to the trees.
        quiet: whether to show the summary only.
        local_mistral: whether clients of Mistral go to a local one.
    """

    project: str
    port: int = 0
    html: Path | None = None
    json: Path | None = None
    open: bool = False
    details: bool = False
    quiet: bool = False
    local_mistral: bool = False


def run(command: Sequence[str], options: Options) -> int:
    """Run this command to its end with all Python in it traced, show its traces, and return its exit status.

    Where a signal ended it, this process ends by the same. What goes wrong before it starts is said, and is 2; 126 and
    127 are what shells say of commands that cannot be executed, or do not exist.
    """
    screen = Screen(sys.stderr, live=not options.quiet)
    if path_hook not in sys.path_hooks and os.environ.get(SWITCH) != "0":
        screen.say(_NOT_AT_WORK)
        return 2
    with ExitStack() as services:
        try:
            rows = services.enter_context(RowFile(options.json)) if options.json else None
            on_rows = rows.add if rows is not None else None
            key = secrets.token_urlsafe(24)
            braintrust = services.enter_context(LocalBraintrust(port=options.port, api_key=key, on_rows=on_rows))
        except OSError as error:
            screen.say(_refusal(error, options))
            return 2
        mistral_url = services.enter_context(_mistral()).url if options.local_mistral else None
        try:
            program = Program(command, _environment(braintrust, mistral_url, options.project))
        except OSError as error:
            screen.say(f"{command[0]}: {error.strerror}")
            return 127 if isinstance(error, FileNotFoundError) else 126
        if options.open:
            _open(braintrust.page_url, screen)
        progress = _Progress(braintrust, screen, options)
        status = progress.follow(program)
        try:
            progress.finish()
            _write(screen, braintrust, rows, options)
        except Exception:
            # The exit status is the program's in any case.
            _logger.exception("The traces cannot be shown to their end")
        if options.open:
            with suppress(KeyboardInterrupt):
                screen.say(f"The page stays at {braintrust.page_url} until Ctrl-C.")
                threading.Event().wait()
    return end_as(status)


class _Progress:
    """Shows what has come since it was last asked, and in the end all that was not shown."""

    def __init__(self, braintrust: LocalBraintrust, screen: Screen, options: Options) -> None:
        self._store = braintrust.store
        self._screen = screen
        self._options = options
        self._pause = 0.0

    def follow(self, program: Program) -> int:
        """Show what comes until the program ends, and return its exit status."""
        while (status := program.wait(TICK)) is None:
            if program.is_to_stop:
                # The terminal is the shell's for a while.
                self._screen.clear()
                program.stop()
            self._update()
        return status

    def _update(self) -> None:
        """Show the traces that have ended, and below them those that go on; a fault in that is not the program's."""
        if self._options.quiet or time.monotonic() < self._pause:
            return
        began = time.monotonic()
        try:
            self._show()
        except Exception:
            _logger.exception("Drawing the traces failed; the program goes on, and they are drawn when it has ended")
            self._pause = math.inf
            return
        # However large the traces are, drawing them takes a tenth of the time.
        self._pause = time.monotonic() + 9 * (time.monotonic() - began)

    def _show(self) -> None:
        for trace in self._store.take_ended():
            self._say(trace)
        if self._screen.lines_to_change:
            goes_on = self._store.open_traces()
            if goes_on:
                self._screen.change(Text("\n\n").join(map(self._drawn, goes_on[-3:])))
            else:
                self._screen.clear()

    def finish(self) -> None:
        """Show the rest, and what all traces add up to."""
        store, screen = self._store, self._screen
        screen.clear()
        for trace in [] if self._options.quiet else store.take_rest():
            self._say(trace)
        count, totals = store.totals()
        if not count:
            screen.say(f"\n{_NOTHING_ARRIVED}")
            return
        parts = [summary(count, totals)]
        if still_open := open_spans(store.traces()):
            parts.append(f"{still_open} still open")
        if store.forgotten_traces:
            parts.append(f"the first {store.forgotten_traces} traces no longer kept")
        screen.say("\n" + ", ".join(parts))
        if not (self._options.html or self._options.open):
            screen.say("As a page: run it with --html FILE, or with --open.")

    def _say(self, trace: Trace) -> None:
        # The program may be in the middle of a line.
        self._screen.say(Text("\n").append_text(self._drawn(trace)))

    def _drawn(self, trace: Trace) -> Text:
        return drawn(trace, details=self._options.details, width=self._screen.width, now=time.time())


def _write(screen: Screen, braintrust: LocalBraintrust, rows: RowFile | None, options: Options) -> None:
    if rows is not None:
        screen.say(_written(options.json, rows.failure))
    if options.html:
        screen.say(_written(options.html, write_page(braintrust.rows, options.html, braintrust.attachments)))


def _open(url: str, screen: Screen) -> None:
    # Elsewhere it might be a browser of the terminal, which is the program's.
    has_windows = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys()
    if not (has_windows and webbrowser.open(url)):
        screen.say(f"The page is at {url}")


def _mistral() -> LocalServer:
    from braintrust_mistral.local.mistral.service import LocalMistral

    return LocalMistral()


def _environment(braintrust: LocalBraintrust, mistral_url: str | None, project: str) -> dict[str, str]:
    """Return the environment of the program: ours, but that all that is logged below it goes to this Braintrust."""
    logged_to = braintrust.environment()
    settings: Settings = {
        "url": braintrust.url,
        "api_key": logged_to["BRAINTRUST_API_KEY"],
        "project": project,
        "mistral_url": mistral_url,
    }
    environment = {**os.environ, **logged_to, RUN: json.dumps(settings)}
    if mistral_url is not None:
        for name in ("no_proxy", "NO_PROXY"):
            environment[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    return environment


def _refusal(error: OSError, options: Options) -> str:
    if error.filename is not None:
        return f"{options.json} cannot be written: {error.strerror}"
    reason = os.strerror(error.errno or 0)
    return f"Port {options.port} of 127.0.0.1 cannot be had: {reason}. Without --port a free one is taken."


def _written(path: Path | None, failure: str | None) -> str:
    return f"{path} is written" if failure is None else f"{path} is not complete: {failure}"
