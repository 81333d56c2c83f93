"""Any Mistral value as a plain, safe, loggable one.

What users pass to the Mistral SDK and what it returns is a mix of pydantic models, typed dicts, enums, dates, media
and, now and then, something that was never meant to be logged. `plain` turns all of it into JSON-able values without
opening, fetching, iterating or calling anything that the provider's own call would still need.
"""

import base64
import binascii
import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import os
import re
import urllib.parse
import uuid
from collections.abc import Callable, Mapping, Set
from typing import Any, TypeAlias

from braintrust.logger import Attachment, BaseAttachment


Loggable: TypeAlias = "dict[str, Loggable] | list[Loggable] | str | int | float | bool | BaseAttachment | None"

MAX_DEPTH = 100
"""Levels of nesting that are logged. The SDK's copy of a record stops at 200, the interpreter's stack near 1,000."""

# Text that a model reads or writes. Elsewhere a string that is a whole data URL is media.
_PROSE_KEYS = frozenset({"", "text", "content", "instructions", "thinking"})

_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<parameters>(?:;[^,;]*)*),", re.ASCII)
_SCALARS = frozenset({type(None), bool, int, float})
_EXTENSIONS = {"mpeg": "mp3", "octet-stream": "bin", "plain": "txt", "x-wav": "wav"}

# The separator in front may itself be escaped: tool results are JSON inside JSON, and links carry links.
_SIGNATURE = re.compile(
    r"((?:[?&;]|\\u0026|%(?:25)*(?:3[Ff]|26))"
    r"(?:sig|(?:[Xx]-(?:[Aa]mz|[Gg]oog)-)?[Ss]ignature)"
    r"(?:=|\\u003[Dd]|%(?:25)*3[Dd]))"
    r"(?:(?!%(?:25)*26)[\w%+/=~*.-])+"
)
_SIGNATURE_HINTS = tuple(name + sign for name in ("sig", "ignature") for sign in ("=", "\\u003", "%"))


_Reader: TypeAlias = Callable[[Any, str, set[int]], Loggable]


def plain(value: Any) -> Loggable:
    """Return `value` as JSON-able dicts, lists and scalars, with inline media as attachments.

    - Models become dicts by their wire names, with the fields that were given and are not null; `Unset` is null.
    - Dates become ISO 8601 strings, enums their values, bytes and base64 data URLs `Attachment`s.
    - Signatures of signed URLs read `REDACTED`, wherever in a text they stand.
    - Iterators, files, classes and other things that only their owner may touch are named, as in `<generator>`.
    - A value that cannot be read (it raises, it contains itself, it is nested deeper than `MAX_DEPTH`) is replaced by
      a text that says so; everything around it stays.

    Never raises, unless the interpreter's own stack is exhausted before the first level.
    """
    return _plain(value, "", set())


def is_given(value: Any) -> bool:
    """Tell whether a request parameter or a model's field holds something: neither `None` nor the SDK's `Unset`."""
    return value is not None and type(value).__name__ != "Unset"


def given(arguments: Mapping[str, Any], names: Set[str]) -> dict[str, Loggable]:
    """Return those of the named arguments that hold something, made plain."""
    return {name: plain(value) for name, value in arguments.items() if name in names and is_given(value)}


def redact(text: str) -> str:
    """Return `text` with the signature of every signed URL in it replaced by `REDACTED`."""
    # Most texts have none, and a substring search costs a fraction of the expression.
    if "ig" in text and any(hint in text for hint in _SIGNATURE_HINTS):
        return _SIGNATURE.sub(r"\1REDACTED", text)
    return text


def _plain(value: Any, key: str, ancestors: set[int]) -> Loggable:
    kind: type[Any] = type(value)
    # Nearly every string has neither a signature nor media.
    if kind in _SCALARS or (kind is str and "ig" not in value and value[:5] != "data:"):
        return value
    if kind is str or kind is datetime.datetime:
        return _reader_of(kind)(value, key, ancestors)
    if len(ancestors) >= MAX_DEPTH:
        return f"<nested deeper than {MAX_DEPTH} levels>"
    identity = id(value)
    if identity in ancestors:
        return f"<{kind.__name__} that contains itself>"
    ancestors.add(identity)
    try:
        return _reader_of(kind)(value, key, ancestors)
    except Exception as error:
        return f"<unreadable {kind.__name__}: {type(error).__name__}>"
    finally:
        ancestors.discard(identity)


# Bounded: applications may create model classes at run time.
@functools.lru_cache(maxsize=1024)
def _reader_of(kind: type[Any]) -> _Reader:
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        return _model_reader(kind, fields)
    for base, reader in _READERS:
        if issubclass(kind, base):
            return reader
    if dataclasses.is_dataclass(kind):
        return _read_dataclass
    return _name_it


def _read_text(value: Any, key: str, ancestors: set[int]) -> Loggable:
    text = str.__str__(value)
    if key not in _PROSE_KEYS and text.startswith("data:"):
        attachment = _data_url_attachment(text)
        if attachment is not None:
            return attachment
    return redact(text)


def _read_enum(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return _plain(value.value, key, ancestors)


def _read_integer(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return int.__int__(value)


def _read_float(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return float.__float__(value)


def _read_date(value: Any, key: str, ancestors: set[int]) -> Loggable:
    text: str = value.isoformat()
    # Mistral writes UTC as "Z"; what was parsed is written back the same way.
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _read_as_text(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return redact(str(value))


def _read_bytes(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return _attachment(bytes(value), "application/octet-stream")


def _read_attachment(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return value


def _read_mapping(value: Any, key: str, ancestors: set[int]) -> dict[str, Loggable]:
    result: dict[str, Loggable] = {}
    for name, item in value.items():
        name = redact(name) if type(name) is str else str(_plain(name, "", ancestors))
        result[name] = _plain(item, name, ancestors)
    return result


def _read_sequence(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return [_plain(item, key, ancestors) for item in value]


def _read_dataclass(value: Any, key: str, ancestors: set[int]) -> Loggable:
    fields = dataclasses.fields(value)
    return _read_mapping({field.name: getattr(value, field.name) for field in fields}, key, ancestors)


def _model_reader(kind: type[Any], fields: Mapping[str, Any]) -> _Reader:
    """Return the reader of a pydantic model class: its fields by wire name, as far as they were given."""
    if kind.__name__ == "Unset":
        return lambda value, key, ancestors: None
    # Discriminators ("type", "object", "role") have their only value as default, and the SDK sends them. Other
    # defaults, a usage of 0 tokens above all, are the SDK's invention.
    plan = [
        (name, field.alias or name, field.default if isinstance(field.default, str) else None)
        for name, field in fields.items()
    ]

    def read_model(value: Any, key: str, ancestors: set[int]) -> Loggable:
        attributes: dict[str, Any] = value.__dict__
        names_given: set[str] = value.__pydantic_fields_set__
        result: dict[str, Loggable] = {}
        for name, wire_name, constant in plan:
            if name in names_given:
                item = attributes.get(name)
                if type(item) is not str or "ig" in item or item[:5] == "data:":
                    item = _plain(item, wire_name, ancestors)
                if item is not None:
                    result[wire_name] = item
            elif constant is not None:
                result[wire_name] = constant
        if value.__pydantic_extra__:
            result.update(_read_mapping(value.__pydantic_extra__, key, ancestors))
        return result

    return read_model


def _name_it(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return f"<{type(value).__name__}>"


# In order: a class is read by the first of its bases here. Only containers that can be read twice are read at all.
_READERS: tuple[tuple[type[Any], _Reader], ...] = (
    (enum.Enum, _read_enum),
    (str, _read_text),
    (int, _read_integer),
    (float, _read_float),
    (datetime.date, _read_date),
    (datetime.time, _read_date),
    (bytes, _read_bytes),
    (bytearray, _read_bytes),
    (memoryview, _read_bytes),
    (BaseAttachment, _read_attachment),
    (Mapping, _read_mapping),
    (list, _read_sequence),
    (tuple, _read_sequence),
    (set, _read_sequence),
    (frozenset, _read_sequence),
    (collections.deque, _read_sequence),
    (uuid.UUID, _read_as_text),
    (decimal.Decimal, _read_as_text),
    (os.PathLike, _read_as_text),
)


def _data_url_attachment(url: str) -> Attachment | None:
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
    return _attachment(data, header["type"] or "text/plain")


def _attachment(data: bytes, content_type: str) -> Attachment:
    kind, _, subtype = content_type.partition("/")
    stem = kind if kind in ("image", "audio", "video") else "document"
    subtype = subtype.partition("+")[0]
    return Attachment(data=data, filename=f"{stem}.{_EXTENSIONS.get(subtype, subtype)}", content_type=content_type)
