"""Any Mistral value as a plain, safe, loggable one.

What users pass to the Mistral SDK and what it returns is a mix of pydantic models, typed dicts, enums, dates, media
and, now and then, something that was never meant to be logged. `plain` turns all of it into JSON-able values without
opening, fetching, iterating or calling anything that the provider's own call would still need.
"""

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from braintrust.logger import BaseAttachment

from .media import BASE64_KEYS, base64_attachment, bytes_attachment, data_url_attachment


Loggable: TypeAlias = "dict[str, Loggable] | list[Loggable] | str | int | float | bool | BaseAttachment | None"

MAX_DEPTH = 100
"""Levels of nesting that are logged. The SDK's copy of a record stops at 200, the interpreter's stack near 1,000."""

# Text that a model reads or writes. Elsewhere a string that is a whole data URL is media.
_PROSE_KEYS = frozenset({"", "text", "content", "instructions", "thinking"})

_SCALARS = frozenset({type(None), bool, int, float})

_SECRET_KEY = "authorization"
_REDACTED = "REDACTED"

# The separator in front may itself be escaped: tool results are JSON inside JSON, and links carry links.
_SIGNATURE = re.compile(
    r"((?:[?&;]|\\u0026|%(?:25)*(?:3[Ff]|26))"
    r"(?:sig|(?:[Xx]-(?:[Aa]mz|[Gg]oog)-)?[Ss]ignature)"
    r"(?:=|\\u003[Dd]|%(?:25)*3[Dd]))"
    r"(?:(?!%(?:25)*26)[\w%+/=~*.-])+"
)
_EQUAL_SIGNS = ("=", "\\u003", "%")


_Reader: TypeAlias = Callable[[Any, str, set[int]], Loggable]


def to_loggable(value: Any, key: str = "") -> Loggable:
    """Return `value` as JSON-able dicts, lists and scalars, with inline media as attachments.

    `key` is the name under which the value stood, if any: some hold base64 and do not say so.

    - Models become dicts by their wire names, with the fields that were given and are not null; `Unset` is null.
    - Dates become ISO 8601 strings, enums their values, bytes and base64 data URLs `Attachment`s.
    - Signatures of signed URLs read `REDACTED`, wherever in a text they stand, and so does an `authorization`, with
      which a request lets Mistral use a connector.
    - Iterators, files, classes and other things that only their owner may touch are named, as in `<generator>`.
    - A value that cannot be read (it raises, it contains itself, it is nested deeper than `MAX_DEPTH`) is replaced by
      a text that says so; everything around it stays.

    Never raises, unless the interpreter's own stack is exhausted before the first level.
    """
    return _plain(value, key, set())


def is_given(value: Any) -> bool:
    """Tell whether a request parameter or a model's field holds something: neither `None` nor the SDK's `Unset`."""
    return value is not None and type(value).__name__ != "Unset"


def given_fields(model: Any) -> dict[str, Any]:
    """Return the fields of one of the SDK's models that hold something and were given, as they are."""
    names: Iterable[str] = model.__pydantic_fields_set__
    fields = {name: getattr(model, name) for name in names}
    return {name: value for name, value in fields.items() if is_given(value)}


def parse_arguments(arguments: Loggable) -> Loggable:
    """Return the arguments of a tool call parsed where they are JSON, else as they came."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return to_loggable(json.loads(arguments))
    except (ValueError, RecursionError):
        return arguments


def only_dicts(values: Loggable) -> list[dict[str, Loggable]]:
    """Return the dicts of a list, and none of what is no list."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def without_none(values: Mapping[str, Loggable]) -> dict[str, Loggable]:
    """Return the values without those that are `None`."""
    return {name: value for name, value in values.items() if value is not None}


def redact(text: str) -> str:
    """Return `text` with the signature of every signed URL in it replaced by `REDACTED`."""
    # Most texts have none, and a search costs a fraction of the expression; that for a single character costs least.
    for sign in _EQUAL_SIGNS:
        if sign[0] in text and (f"sig{sign}" in text or f"ignature{sign}" in text):
            return _SIGNATURE.sub(rf"\1{_REDACTED}", text)
    return text


def _plain(value: Any, key: str, ancestors: set[int]) -> Loggable:
    kind: type[Any] = type(value)
    # Nearly every string has neither a signature nor media.
    if kind in _SCALARS or (kind is str and "ig" not in value and value[:5] != "data:" and key not in BASE64_KEYS):
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
    return _leaf(lambda value: f"<{kind.__name__}>")


def _read_text(value: Any, key: str, ancestors: set[int]) -> Loggable:
    text = str.__str__(value)
    attachment = None
    if key not in _PROSE_KEYS and text.startswith("data:"):
        attachment = data_url_attachment(text)
    elif key in BASE64_KEYS:
        attachment = base64_attachment(text)
    return redact(text) if attachment is None else attachment


def _iso_text(time: datetime.date | datetime.time) -> str:
    text = time.isoformat()
    # Mistral writes UTC as "Z"; what was parsed is written back the same way.
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _read_mapping(value: Any, key: str, ancestors: set[int]) -> dict[str, Loggable]:
    result: dict[str, Loggable] = {}
    for name, item in value.items():
        name = redact(name) if type(name) is str else str(_plain(name, "", ancestors))
        result[name] = _REDACTED if name == _SECRET_KEY and item else _plain(item, name, ancestors)
    return result


def _read_sequence(value: Any, key: str, ancestors: set[int]) -> Loggable:
    return [_plain(item, key, ancestors) for item in value]


def _read_dataclass(value: Any, key: str, ancestors: set[int]) -> Loggable:
    fields = dataclasses.fields(value)
    return _read_mapping({field.name: getattr(value, field.name) for field in fields}, key, ancestors)


def _model_reader(kind: type[Any], fields: Mapping[str, Any]) -> _Reader:
    """Return the reader of a pydantic model class: its fields by wire name, as far as they were given."""
    if kind.__name__ == "Unset":
        return _leaf(lambda value: None)
    # Discriminators ("type", "object", "role") have their only value as default, and the SDK sends them. Other
    # defaults, a usage of 0 tokens and a tool call's id of "null" above all, are the SDK's invention.
    plan = [
        (name, field.alias or name, field.default if isinstance(field.default, str) and name != "id" else None)
        for name, field in fields.items()
    ]

    def read_model(value: Any, key: str, ancestors: set[int]) -> Loggable:
        attributes: dict[str, Any] = value.__dict__
        names_given: set[str] = value.__pydantic_fields_set__
        result: dict[str, Loggable] = {}
        for name, wire_name, constant in plan:
            if name in names_given:
                item = attributes.get(name)
                if type(item) is not str or "ig" in item or item[:5] == "data:" or wire_name in BASE64_KEYS:
                    item = _plain(item, wire_name, ancestors)
                if item is not None:
                    result[wire_name] = _REDACTED if wire_name == _SECRET_KEY else item
            elif constant is not None:
                result[wire_name] = constant
        if value.__pydantic_extra__:
            result.update(_read_mapping(value.__pydantic_extra__, key, ancestors))
        return result

    return read_model


def _leaf(read: Callable[[Any], Loggable]) -> _Reader:
    """Return the reader of values that have no others inside, and that are the same under every name."""
    return lambda value, key, ancestors: read(value)


# In order: a class is read by the first of its bases here. Only containers that can be read twice are read at all.
_READERS: tuple[tuple[type[Any] | tuple[type[Any], ...], _Reader], ...] = (
    (enum.Enum, lambda value, key, ancestors: _plain(value.value, key, ancestors)),
    (str, _read_text),
    (int, _leaf(int.__int__)),
    (float, _leaf(float.__float__)),
    ((datetime.date, datetime.time), _leaf(_iso_text)),
    ((bytes, bytearray, memoryview), _leaf(lambda value: bytes_attachment(bytes(value)))),
    (BaseAttachment, _leaf(lambda value: value)),
    (Mapping, _read_mapping),
    ((list, tuple, set, frozenset, collections.deque), _read_sequence),
    ((uuid.UUID, decimal.Decimal, os.PathLike), _leaf(lambda value: redact(str(value)))),
)
