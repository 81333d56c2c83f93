"""Inline media as attachments: raw bytes, base64 and data URLs. Nothing here opens or fetches anything."""

import base64
import binascii
import re
import urllib.parse

from braintrust.logger import Attachment, BaseAttachment


BASE64_KEYS = frozenset({"audio_data", "data", "image_base64", "input_audio", "ref_audio"})
"""The fields in which the API takes or returns media as bare base64; they may hold URLs and other texts as well."""

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<parameters>(?:;[^,;]*)*),", re.ASCII)

# What a file of each type begins with, RIFF aside, which is several.
_MAGIC_NUMBERS = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
)
_RIFF_TYPES = {b"WAVE": "audio/wav", b"WEBP": "image/webp"}
_CERTAINLY_NO_WORD = 1_000
_UNKNOWN_TYPE = "application/octet-stream"
_EXTENSIONS = {"mpeg": "mp3", "octet-stream": "bin", "plain": "txt", "x-wav": "wav"}


def bytes_attachment(data: bytes, content_type: str | None = None, filename: str | None = None) -> Attachment:
    """Return bytes as an attachment, of the type that they begin like where none is given."""
    content_type = content_type or _sniffed_type(data)
    if filename is None:
        kind, _, subtype = content_type.partition("/")
        stem = kind if kind in ("image", "audio", "video") else "document"
        subtype = subtype.partition("+")[0]
        filename = f"{stem}.{_EXTENSIONS.get(subtype, subtype)}"
    return Attachment(data=data, filename=filename, content_type=content_type)


def base64_attachment(text: str) -> Attachment | None:
    """Return what base64 holds as an attachment, or `None` where the text is not that, such as a URL or a word.

    Many a word is valid base64: what is short must begin like a file of a known type.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(text) < _CERTAINLY_NO_WORD and _sniffed_type(data) == _UNKNOWN_TYPE:
        return None
    return bytes_attachment(data)


def data_url_attachment(url: str) -> Attachment | None:
    """Return a data URL's content as an attachment, or `None` where it is not a valid data URL."""
    header = _DATA_URL.match(url)
    if header is None:
        return None
    content = url[header.end() :]
    try:
        data = urllib.parse.unquote_to_bytes(content) if "%" in content else content.encode()
        if header["parameters"].endswith(";base64"):
            data = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return bytes_attachment(data, header["type"] or "text/plain")


def bytes_in_memory(attachment: BaseAttachment) -> bytes | None:
    """Return what an attachment holds, unless that would have to be read from a file or fetched."""
    is_held = isinstance(attachment, Attachment) and attachment.debug_info().get("input_data") == "<in-memory data>"
    return attachment.data if is_held else None


def _sniffed_type(data: bytes) -> str:
    if data[:4] == b"RIFF":
        return _RIFF_TYPES.get(data[8:12], _UNKNOWN_TYPE)
    return next((content_type for magic, content_type in _MAGIC_NUMBERS if data.startswith(magic)), _UNKNOWN_TYPE)
