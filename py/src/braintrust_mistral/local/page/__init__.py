"""Traces as a page for a browser: one file that needs nothing else, or the same page live on loopback."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.page.data import SHOWN_TYPES, data_of, to_browser_json


_SCRIPTS = ("values.js", "list.js", "tree.js", "timeline.js", "page.js")
"""One program, in files for readers and in the order in which they are read."""


def write(rows: Iterable[Json], path: Path, attachments: Mapping[str, bytes] | None = None) -> None:
    """Write the traces of these rows as one HTML file; see `html`."""
    path.write_text(html(rows, attachments=attachments), encoding="utf-8", newline="\n")


def html(rows: Iterable[Json] = (), live: bool = False, attachments: Mapping[str, bytes] | None = None) -> str:
    """Return the traces of these rows as a page.

    Whatever the rows hold is shown as text. The page runs no script and loads no style but its own; it asks the
    network for nothing, or if it is live, for what the server that it came from has.

    Args:
        rows: as the SDK sends them, or as `spans_of` has merged them.
        live: whether to ask the page's own server for rows, again and again.
        attachments: the contents to put into the page, by the key in their reference.
    """
    encoded = {key: base64.b64encode(content).decode() for key, content in (attachments or {}).items()}
    data = {**data_of(rows), "attachments": encoded, "types": sorted(SHOWN_TYPES), "live": live}
    style = _source("page.css")
    script = "\n".join(map(_source, _SCRIPTS))
    parts = {
        "policy": _policy(style, script, live),
        "style": style,
        "data": to_browser_json(data),
        "script": script,
    }
    # In one pass: what a part contains is no place for another.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _source("page.html"))


def _source(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str, live: bool) -> str:
    """Return the page's content security policy, which names its own style and script by what they are."""
    media = "'self' data:" if live else "data:"
    rules = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "img-src": media,
        "media-src": media,
        "connect-src": "'self'" if live else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        # Browsers that know of them refuse any text where markup is meant.
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
