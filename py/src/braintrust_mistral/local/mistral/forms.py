"""Forms, as file uploads send them: their fields, and their files with names, types and bytes."""

from dataclasses import dataclass
from email.message import Message
from urllib.parse import parse_qs

from braintrust_mistral.local.json_types import Json


@dataclass(frozen=True)
class Upload:
    """A file in a form."""

    name: str
    content_type: str | None
    content: bytes


def parsed_form(content_type: str, content: bytes) -> tuple[Json, dict[str, Upload]]:
    """Return the fields and the files of a form. A field whose name comes several times is a list of texts."""
    head = _headers(f"Content-Type: {content_type}")
    if head.get_content_type() == "application/x-www-form-urlencoded":
        return _fields(parse_qs(content.decode(), keep_blank_values=True)), {}
    fields: dict[str, list[str]] = {}
    files: dict[str, Upload] = {}
    # Before the first boundary and after the last there is nothing that counts.
    for part in (b"\r\n" + content).split(b"\r\n--" + head.get_boundary("").encode())[1:-1]:
        lines, _, value = part.partition(b"\r\n\r\n")
        headers = _headers(lines.decode().strip())
        name = str(headers.get_param("name", "", "content-disposition"))
        if file_name := headers.get_filename():
            files[name] = Upload(file_name, headers.get("content-type"), value)
        else:
            fields.setdefault(name, []).append(value.decode())
    return _fields(fields), files


def _fields(values: dict[str, list[str]]) -> Json:
    return {name: given[0] if len(given) == 1 else given for name, given in values.items()}


def _headers(lines: str) -> Message:
    headers = Message()
    for line in lines.splitlines():
        name, _, value = line.partition(":")
        headers[name] = value.strip()
    return headers
