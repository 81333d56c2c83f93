"""Inline media as attachments: raw bytes, base64 and data URLs. Nothing here opens or fetches anything."""

import base64
import binascii
import re
import urllib.parse

from braintrust.logger import Attachment, BaseAttachment

from .masking import is_masking
from .settings import settings


BASE64_KEYS = frozenset({"audio_data", "blob", "data", "image_base64", "input_audio", "ref_audio"})
"""The fields in which the API takes or returns media as bare base64; they may hold URLs and other texts as well."""

_MIME_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_LONGEST_HEADER = 1_000
# Where some escapes are broken, decoding takes longer for each of all.
_CERTAINLY_FEW = 100
_CHARACTERS_PER_ESCAPE = 200
_PERCENT_SIGN_OF_MAIL = bytes.maketrans(b"%", b"=")
_BROKEN_LINE = re.compile(rb"%[\r\n]")
_SPACES = b" \t\r\n"
_URL_SAFE_LETTERS = bytes.maketrans(b"-_", b"+/")

# What a file of each type begins with; RIFF holds several types.
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
# These many letters of base64 are enough to tell a type.
_HEAD = 64
_UNKNOWN_TYPE = "application/octet-stream"
_EXTENSIONS = {"mpeg": "mp3", "octet-stream": "bin", "plain": "txt", "x-wav": "wav"}


def bytes_attachment(
    data: bytes, content_type: str | None = None, filename: str | None = None, *, stem: str | None = None
) -> Attachment | str:
    """Return bytes as an attachment; where no type is given, it is told by how they begin.

    What is larger than the environment allows becomes a note of its type and its size instead, and so does everything
    where no content is logged. A masking function would not see the caller's name for the file: where one is set, or
    no name is given, the name is made from the type, and from `stem` if that is given.
    """
    content_type = content_type or media_type_of(data)
    most_bytes = settings().max_attachment_bytes
    if not settings().content or (most_bytes is not None and len(data) > most_bytes):
        return f"<{content_type} of {len(data)} bytes, not uploaded>"
    if filename is None or is_masking():
        kind, _, subtype = content_type.partition("/")
        stem = stem or (kind if kind in ("image", "audio", "video") else "document")
        subtype = subtype.partition("+")[0]
        filename = f"{stem}.{_EXTENSIONS.get(subtype, subtype)}"
    return Attachment(data=data, filename=filename, content_type=content_type)


def base64_attachment(text: str) -> Attachment | str | None:
    """Return what base64 holds as an attachment, or `None` where a text is not base64 of a file of a known type.

    Many words are valid base64, and so are URLs without a scheme, DNA and the like.
    """
    try:
        content = _strict_base64(text.encode())
        if media_type_of(base64.b64decode(content[:_HEAD], validate=True)) == _UNKNOWN_TYPE:
            return None
        return bytes_attachment(base64.b64decode(content, validate=True))
    except ValueError:
        return None


def data_url_attachment(url: str) -> Attachment | str | None:
    """Return a data URL's content as an attachment, or `None` where it is not a valid data URL.

    Data URLs that others make may have a space in front, or base64 with line breaks or in its form for URLs.
    """
    if url[:1].isspace():
        url = url.lstrip()
    if url[:5].lower() != "data:":
        return None
    comma = url.find(",", 0, _LONGEST_HEADER)
    content_type, *parameters = url[5 : max(5, comma)].split(";")
    if comma < 0 or (content_type and _MIME_TYPE.fullmatch(content_type) is None):
        return None
    try:
        content = url[comma + 1 :].encode()
        is_base64 = parameters and parameters[-1].strip().lower() == "base64"
        data = base64.b64decode(_strict_base64(content), validate=True) if is_base64 else _unescaped(content)
    except ValueError:
        return None
    return bytes_attachment(data, content_type or "text/plain")


def _strict_base64(content: bytes) -> bytes:
    """Return base64 without line breaks, spaces and escapes, in the standard letters."""
    if b"%" in content:
        content = _unescaped(content.translate(None, _SPACES))
    return content.translate(_URL_SAFE_LETTERS, _SPACES)


def _unescaped(content: bytes) -> bytes:
    """Return the content of a URL without its escapes; broken ones stay, but `ValueError` where they are many."""
    escapes = content.count(b"%")
    # Mail has the same escapes with another sign, and those are decoded in a nanosecond for each character.
    data = binascii.a2b_qp(content.replace(b"=", b"=3D").translate(_PERCENT_SIGN_OF_MAIL))
    # In mail, a line that ends in the sign goes on in the next.
    has_lines = b"\n" in content or b"\r" in content
    if len(data) == len(content) - 2 * escapes and not (has_lines and _BROKEN_LINE.search(content)):
        return data
    if escapes > _CERTAINLY_FEW + len(content) // _CHARACTERS_PER_ESCAPE:
        raise ValueError("escapes without a number")
    return urllib.parse.unquote_to_bytes(content)


def bytes_in_memory(attachment: BaseAttachment) -> bytes | None:
    """Return what an attachment holds, unless that would have to be read from a file or fetched."""
    is_held = isinstance(attachment, Attachment) and attachment.debug_info().get("input_data") == "<in-memory data>"
    return attachment.data if is_held else None


def media_type_of(data: bytes) -> str:
    """Return the type of a file by what it begins with."""
    if data[:4] == b"RIFF":
        return _RIFF_TYPES.get(data[8:12], _UNKNOWN_TYPE)
    return next((content_type for magic, content_type in _MAGIC_NUMBERS if data.startswith(magic)), _UNKNOWN_TYPE)
