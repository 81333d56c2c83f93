"""A doctor, or a command: `run` a program with all of it traced, or `show` its traces again (each has its `--help`).

The doctor tells which `braintrust.integrations.mistral` is active, what it traces, and what stands in its way.

Each finding is ok, a note, or a problem. The exit status is 0 without problems, else 1.
"""

import argparse
import json
import sys

from braintrust_mistral import __version__
from braintrust_mistral.doctor import examine, report


COMMANDS = ("run", "show")


def main() -> int:
    """Do what the arguments say, and return the exit status."""
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        from braintrust_mistral.local import commands

        return commands.main(sys.argv[1], sys.argv[2:])
    return examine_and_print()


def examine_and_print() -> int:
    """Print what the doctor found, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m braintrust_mistral", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args()
    findings = examine()
    problems = sum(finding.mark == "problem" for finding in findings)
    if options.json:
        rows = [{**finding._asdict(), "details": dict(finding.details)} for finding in findings]
        print(json.dumps({"version": __version__, "problems": problems, "findings": rows}, indent=2))
    else:
        notes = sum(finding.mark == "note" for finding in findings)
        print(f"{report(findings)}\n\nproblems: {problems}, notes: {notes}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
