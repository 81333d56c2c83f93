"""Any Mistral value as a plain, safe, loggable one.

What users pass to the Mistral SDK and what it returns is a mix of pydantic models, typed dicts, enums, dates, media
and, now and then, something that was never meant to be logged. `to_loggable` turns all of it into JSON-able values
without opening, fetching, iterating or calling anything that the provider's own call would still need.
"""

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from braintrust.logger import BaseAttachment

from .media import BASE64_KEYS, base64_attachment, bytes_attachment, data_url_attachment
from .redaction import REDACTED, redact
from .secret_names import LONGEST_CACHED_NAME, holds_headers, is_secret_name, is_sensitive_name
from .settings import settings


Loggable: TypeAlias = "dict[str, Loggable] | list[Loggable] | str | int | float | bool | BaseAttachment | None"

MAX_DEPTH = 100
"""Levels of nesting that are logged. The SDK's copy of a record stops at 200, the interpreter's stack near 1,000."""

# Text that a model reads or writes. Elsewhere a string that is a whole data URL is media.
_PROSE_KEYS = frozenset({"", "text", "content", "instructions", "thinking"})

# Dicts and lists below these are not read where no content is logged.
_CONTENT_KEYS = frozenset({"arguments", "content", "parameters", "schema", "thinking"})

_MOST_CHARACTERS_WITHOUT_CONTENT = 1_000

# A name that says nothing about what stands there.
_SOME_FIELD = "value"

_AUDIO = frozenset({"audio", "input_audio"})

_A_PAIR = 2

_SCALARS = frozenset({type(None), bool, int, float})

# What a data URL begins with, white space in front included, or JSON.
_FIRST_LETTERS = frozenset("dD \t\r\n{[")

# Most keys are one of these, which hold neither secrets nor media.
_ORDINARY_NAMES = frozenset(
    {
        "agent_id",
        "arguments",
        "completed_at",
        "content",
        "created_at",
        "description",
        "function",
        "id",
        "info",
        "model",
        "name",
        "object",
        "parameters",
        "result",
        "role",
        "text",
        "title",
        "type",
        "url",
    }
)

_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_SCHEMA_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_SCHEMA_KEYWORDS = frozenset({"$ref", "allOf", "anyOf", "description", "enum", "oneOf", "title"})
_EXAMPLES = frozenset({"const", "default", "enum", "example", "examples"})


class LoggableFields(dict[str, Loggable]):
    """A dict that is loggable as it is: `to_loggable` returns it, and reads nothing in it again.

    Attributes:
        reading: what was read from it, to be found when it is read again.
    """

    __slots__ = ("reading",)

    def __init__(self, fields: "Mapping[str, Loggable]") -> None:
        super().__init__(fields)
        self.reading: Any = None


_Reader: TypeAlias = Callable[[Any, str, set[int]], Loggable]


def to_loggable(value: Any, key: str = "") -> Loggable:
    """Return `value` as JSON-able dicts, lists and scalars, with inline media as attachments.

    `key` is the name under which the value stood, if any: some hold base64 and do not say so.

    - Models become dicts by their wire names, with the fields that were given and are not null; `Unset` is null.
    - Dates become ISO 8601 strings, enums their values, bytes and base64 data URLs `Attachment`s.
    - What lets others act for somebody reads `REDACTED`: the values of keys and fields with a secret name, such as the
      `authorization` with which a request lets Mistral use a connector; the values of HTTP headers; signatures,
      passwords and the like in URLs, wherever in a text they stand. A parameter of a function may have such a name.
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
    if not isinstance(arguments, str) or not settings().content:
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


def _plain(value: Any, key: str, ancestors: set[int]) -> Loggable:  # noqa: PLR0911
    kind: type[Any] = type(value)
    if kind is str:
        # Nearly every string is none of these: a URL with parameters or a password, JSON, media.
        is_ordinary = (
            "=" not in value
            and "%" not in value
            and "&" not in value
            and "@" not in value
            and "\\" not in value
            and value[:1] not in _FIRST_LETTERS
            and key not in BASE64_KEYS
        )
        return value if is_ordinary else _read_text(value, key, ancestors)
    if kind in _SCALARS:
        return value
    if kind is datetime.datetime:
        return _iso_text(value)
    if key in _CONTENT_KEYS and not settings().content:
        return None
    identity = id(value)
    too_deep = len(ancestors) >= MAX_DEPTH
    if too_deep or identity in ancestors:
        return f"<nested deeper than {MAX_DEPTH} levels>" if too_deep else f"<{kind.__name__} that contains itself>"
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
        if "raw" in fields and getattr(fields.get("type"), "default", None) == "UNKNOWN":
            # SDK 2.x and 3.x wrap chunks and the like of a type that they do not know.
            return lambda value, key, ancestors: _plain(value.raw, key, ancestors)
        return _model_reader(kind, fields)
    for base, reader in _READERS:
        if issubclass(kind, base):
            return reader
    if dataclasses.is_dataclass(kind):
        return _read_dataclass
    return _leaf(lambda value: f"<{kind.__name__}>")


def _read_text(value: Any, key: str, ancestors: set[int]) -> Loggable:
    text = str.__str__(value)
    if not settings().content:
        # Read for ids and the like, which are short.
        return redact(text[:_MOST_CHARACTERS_WITHOUT_CONTENT])
    attachment = None
    if key not in _PROSE_KEYS:
        attachment = data_url_attachment(text)
        if attachment is None and key in BASE64_KEYS:
            attachment = base64_attachment(text)
    return redact(text) if attachment is None else attachment


def _read_bytes(value: Any) -> Loggable:
    return bytes_attachment(bytes(value)) if settings().content else None


def _iso_text(time: datetime.date | datetime.time) -> str:
    text = time.isoformat()
    # Mistral writes UTC as "Z"; what was parsed is written back the same way.
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _read_mapping(value: Any, key: str, ancestors: set[int]) -> dict[str, Loggable]:
    result: dict[str, Loggable] = {}
    sensitive: list[str] = []
    for name, item in value.items():
        if type(name) is not str:
            name = str(_plain(name, "", ancestors))
        if name in _ORDINARY_NAMES or (len(name) <= LONGEST_CACHED_NAME and _is_ordinary_name(name)):
            result[name] = _plain(item, name, ancestors)
            continue
        name = redact(name)
        result[name] = _plain(item, _field_key(name, value, key) if name in BASE64_KEYS else name, ancestors)
        if len(name) > LONGEST_CACHED_NAME or is_sensitive_name(name):
            sensitive.append(name)
    for name in sensitive:
        result[name] = _without_secrets(name, result, key)
    if "value" in result and result["value"] and is_secret_name(str(result.get("name") or result.get("key") or "")):
        result["value"] = REDACTED
    return result


@functools.lru_cache(maxsize=1024)
def _is_ordinary_name(name: str) -> bool:
    """Tell whether a name holds no secret itself, and says nothing of what stands under it."""
    return name not in BASE64_KEYS and redact(name) == name and not is_sensitive_name(name)


def _field_key(name: str, fields: Any, key: str) -> str:
    """Return the name under which to read a field of a dict that is named like one of Mistral's with base64.

    It holds media in a chunk or turn of audio, and in what MCP's tools return; all else is what somebody called so.
    """
    kind = fields.get("type")
    if kind == "input_audio" or (name == "data" and key in _AUDIO):
        return name
    is_mcp_content = kind in ("audio", "image") and ("mimeType" in fields or "mime_type" in fields)
    return name if is_mcp_content else _SOME_FIELD


def _without_secrets(name: str, fields: Mapping[str, Loggable], key: str) -> Loggable:
    """Return what to log under one of the sensitive names of a mapping, which itself stood under `key`."""
    item = fields[name]
    if not item or isinstance(item, bool):
        return item
    if key in _SCHEMAS and isinstance(item, dict) and _is_schema(item):
        # A function may have a parameter of that name.
        return {keyword: REDACTED if keyword in _EXAMPLES else value for keyword, value in item.items()}
    if not is_secret_name(name):
        return _without_header_values(item) if holds_headers(name) else item
    return item if "logprob" in fields else REDACTED


def _is_schema(fields: dict[str, Loggable]) -> bool:
    kind = fields.get("type")
    is_typed = isinstance(kind, list) or (isinstance(kind, str) and kind in _SCHEMA_TYPES)
    return is_typed or not _SCHEMA_KEYWORDS.isdisjoint(fields)


def _without_header_values(headers: Loggable) -> Loggable:
    """Return HTTP headers with their names and no values; a list of texts is none, but a table's first row."""
    if isinstance(headers, dict):
        return dict.fromkeys(headers, REDACTED)
    if not isinstance(headers, list):
        return REDACTED
    result: list[Loggable] = []
    for header in headers:
        if isinstance(header, dict):
            values = ["value"] if "value" in header else header
            result.append({**header, **dict.fromkeys(values, REDACTED)})
        elif isinstance(header, list) and len(header) == _A_PAIR:
            result.append([header[0], REDACTED])
        else:
            result.append(header)
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
    is_mistrals = kind.__module__.startswith("mistralai")
    # Discriminators ("type", "object", "role") have their only value as default, and the SDK sends them. Other
    # defaults, a usage of 0 tokens and a tool call's id of "null" above all, are the SDK's invention.
    plan = [
        (
            name,
            wire_name,
            wire_name if is_mistrals or wire_name not in BASE64_KEYS else _SOME_FIELD,
            _constant(name, field),
        )
        for name, field in fields.items()
        for wire_name in (field.alias or name,)
    ]
    sensitive = [wire_name for _, wire_name, _, _ in plan if is_sensitive_name(wire_name)]

    def read_model(value: Any, key: str, ancestors: set[int]) -> Loggable:
        attributes: dict[str, Any] = value.__dict__
        names_given: set[str] = value.__pydantic_fields_set__
        result: dict[str, Loggable] = {}
        for name, wire_name, item_key, constant in plan:
            if name in names_given:
                item = _plain(attributes.get(name), item_key, ancestors)
                if item is not None:
                    result[wire_name] = item
            elif constant is not None:
                result[wire_name] = constant
        if value.__pydantic_extra__:
            result.update(_read_mapping(value.__pydantic_extra__, key, ancestors))
        for name in sensitive:
            if name in result:
                result[name] = _without_secrets(name, result, key)
        return result

    return read_model


def _constant(name: str, field: Any) -> str | None:
    return field.default if isinstance(field.default, str) and name != "id" else None


def _leaf(read: Callable[[Any], Loggable]) -> _Reader:
    """Return the reader of values that have no others inside, and that are the same under every name."""
    return lambda value, key, ancestors: read(value)


# In order: a class is read by the first of its bases here. Only containers that can be read twice are read at all.
_READERS: tuple[tuple[type[Any] | tuple[type[Any], ...], _Reader], ...] = (
    (LoggableFields, _leaf(lambda value: value)),
    (enum.Enum, lambda value, key, ancestors: _plain(value.value, key, ancestors)),
    (str, _read_text),
    (int, _leaf(int.__int__)),
    (float, _leaf(float.__float__)),
    ((datetime.date, datetime.time), _leaf(_iso_text)),
    (
        (bytes, bytearray, memoryview),
        _leaf(_read_bytes),
    ),
    (BaseAttachment, _leaf(lambda value: value)),
    (Mapping, _read_mapping),
    ((list, tuple, set, frozenset, collections.deque), _read_sequence),
    ((uuid.UUID, decimal.Decimal, os.PathLike), _leaf(lambda value: redact(str(value)))),
)
