"""The commands that need the extra `local`: `run` and `show`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from braintrust_mistral.local import explain_missing


_USAGE_OF_RUN = """\
python -m braintrust_mistral run [OPTIONS] FILE [ARGUMENT ...]
       python -m braintrust_mistral run [OPTIONS] -m MODULE [ARGUMENT ...]
       python -m braintrust_mistral run [OPTIONS] -- COMMAND [ARGUMENT ...]"""
_DESCRIPTION = """\
Runs a Python program, or a command and the Python programs that it starts, with
all traced that braintrust.auto_instrument() traces, and shows the traces. They go
to a Braintrust on this machine and nowhere else, whatever keys there are. What the
program prints, reads and returns stays its own."""
_WITH_VALUE = {"--html", "--json", "--project", "--port"}
_PYTHONS = ("-m", "-c", "-")
"""What Python itself takes for a program."""


def main(name: str, arguments: Sequence[str]) -> int:
    """Do what this command says with its arguments, and return the exit status."""
    if missing := explain_missing():
        print(missing, file=sys.stderr)
        return 2
    return {"run": _run, "show": _show}[name](arguments)


def _run(arguments: Sequence[str]) -> int:
    from braintrust_mistral.local.run import Options, run

    parser = _parser_of_run()
    own, program = _split(arguments)
    options = vars(parser.parse_args(own))
    if not program:
        parser.error("name a program: a file, -m MODULE, or -- COMMAND")
    command = program[1:] if program[0] == "--" else [*_python(), *program]
    if not command:
        parser.error("name a command after --")
    return run(command, Options(**options))


def _show(arguments: Sequence[str]) -> int:
    from braintrust_mistral.local.show import show

    parser = argparse.ArgumentParser(
        prog="python -m braintrust_mistral show", description="Draws the traces again that run --json wrote."
    )
    parser.add_argument("rows", type=Path, metavar="ROWS.jsonl")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write them as a page as well")
    parser.add_argument("--details", action="store_true", help="add inputs and outputs, shortened")
    options = parser.parse_args(arguments)
    return show(options.rows, html=options.html, details=options.details)


def _parser_of_run() -> argparse.ArgumentParser:
    from braintrust_mistral.local.mistral.catalogue import described

    parser = argparse.ArgumentParser(
        prog="python -m braintrust_mistral run",
        usage=_USAGE_OF_RUN,
        description=_DESCRIPTION,
        epilog=f"What the local Mistral of --local-mistral knows.\n{described()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--details", action="store_true", help="add inputs and outputs to the trees, shortened")
    add("--quiet", action="store_true", help="show the summary only")
    add("--html", type=Path, metavar="FILE", help="write all traces as one page, which needs no network")
    add("--open", action="store_true", help="open that page in the browser, live, until Ctrl-C")
    add("--json", type=Path, metavar="FILE", help="write the rows as JSON lines, for `show`")
    add("--local-mistral", action="store_true", help="have clients of Mistral ask a local one, without a key")
    add("--project", default="local", help="to log to, where the program sets up none (default: %(default)s)")
    add("--port", type=_port, default=0, help="of the local Braintrust and its page (default: a free one)")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError(f"no port: {number}")
    return number


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return our own options, and the program with its arguments, which are not ours to read."""
    place = 0
    while place < len(arguments):
        argument = arguments[place]
        if not argument.startswith("-") or argument in ("--", *_PYTHONS):
            break
        place += 2 if argument in _WITH_VALUE else 1
    return arguments[:place], arguments[place:]


def _python() -> list[str]:
    """Return this Python, with the options that it was started with itself."""
    options = sys.orig_argv[1:]
    return [sys.executable, *(options[: options.index("-m")] if "-m" in options else [])]
