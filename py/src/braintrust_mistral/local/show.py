"""Draws the traces of a file of rows again: `python -m braintrust_mistral show`."""

import sys
from pathlib import Path

from braintrust_mistral.local.braintrust.rows import spans_of
from braintrust_mistral.local.braintrust.totals import summed
from braintrust_mistral.local.braintrust.traces import traces_of
from braintrust_mistral.local.files import RowsError, read_rows, write_page
from braintrust_mistral.local.report import drawn, summary
from braintrust_mistral.local.screen import Screen


def show(path: Path, *, html: Path | None = None, details: bool = False) -> int:
    """Print the traces of the rows in this file, write their page if that is wanted, and return the exit status."""
    try:
        rows = read_rows(path)
    except RowsError as error:
        print(error, file=sys.stderr)
        return 2
    screen = Screen(sys.stdout, live=False)
    traces = [trace for trace in traces_of(spans_of(rows)) if trace.is_of_spans]
    for trace in traces:
        screen.say(drawn(trace, details=details, width=screen.width))
        screen.say("")
    screen.say(summary(len(traces), summed(trace.totals for trace in traces)))
    if html is not None and (failure := write_page(rows, html, {})):
        print(f"{html} is not complete: {failure}", file=sys.stderr)
        return 1
    return 0
