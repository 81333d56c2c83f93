"""The tests of the examples show what these printed, as if each had been run by hand, and of themselves failures."""

from typing import Any

import pytest


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """Leave out the dot of a test that passed."""
    return ("passed", "", "") if report.passed and report.when == "call" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the examples printed."""
    for report in sorted(terminalreporter.stats.get("passed", []), key=lambda report: report.nodeid):
        terminalreporter.write(report.capstdout)
