"""Rows in files, a line of JSON each, and pages of them: what can be kept, and sent to a colleague."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from typing_extensions import Self

from braintrust_mistral.local.json_types import Json


class RowsError(Exception):
    """A file that has no rows, in a sentence for the user."""


class RowFile:
    """A file to which rows are added as they come, for the length of a `with` block.

    Raises:
        OSError: where the file cannot be opened. A disk that is full later is no exception, but `failure`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: str | None = None
        """Why not all rows are in the file, if that is so."""
        self._file = path.open("w", encoding="utf-8")

    def add(self, rows: Iterable[Json]) -> None:
        """Write these rows, which are in the file when this returns, unless the disk is full."""
        if self.failure is not None:
            return
        try:
            self._file.writelines(f"{json.dumps(row)}\n" for row in rows)
            self._file.flush()
        except OSError as error:
            self.failure = error.strerror or str(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or error.strerror or str(error)


def read_rows(path: Path) -> list[Json]:
    """Return the rows of a file that a `RowFile` wrote; a last line that was cut off is left out.

    Raises:
        RowsError: where it is another kind of file, or cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RowsError(f"{path} cannot be read: {error}") from None
    rows: list[Json] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
            if number == len(lines):
                break
        if not (isinstance(row, dict) and isinstance(row.get("id"), str)):
            raise RowsError(f"{path} has no rows of spans: line {number} is not a JSON object with an id")
        rows.append(row)
    return rows


def write_page(rows: Iterable[Json], path: Path, attachments: Mapping[str, bytes]) -> str | None:
    """Write the page of these rows, and return why that failed, if it did."""
    from braintrust_mistral.local import page

    try:
        page.write(rows, path, attachments)
    except OSError as error:
        return error.strerror or str(error)
    return None
