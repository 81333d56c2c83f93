"""What the environment says about what is logged at all: content, attachments, and which traces.

Read once, when the first call is traced: a process decides this before it begins. A value that cannot be understood is
one warning, and never an exception.
"""

import contextlib
import functools
import logging
import os
from typing import NamedTuple


CONTENT = "BRAINTRUST_MISTRAL_CONTENT"
"""The environment variable that, set to false, keeps what people, models, tools and documents say out of all spans."""

MAX_ATTACHMENT_BYTES = "BRAINTRUST_MISTRAL_MAX_ATTACHMENT_BYTES"
"""The environment variable with the size beyond which a note stands in the place of an attachment."""

SAMPLE_RATE = "BRAINTRUST_MISTRAL_SAMPLE_RATE"
"""The environment variable with the share of traces that are logged."""

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"0", "false", "no", "off"})

_logger = logging.getLogger(__name__.rpartition(".")[0])


class Settings(NamedTuple):
    """What is logged.

    Attributes:
        content: whether what people, models, tools and documents say is.
        max_attachment_bytes: how large an attachment may be; `None` for any size.
        sample_rate: which share of the traces, from 0 to below 1; `None` for all.
    """

    content: bool = True
    max_attachment_bytes: int | None = None
    sample_rate: float | None = None


@functools.lru_cache(maxsize=1)
def settings() -> Settings:
    """Return what the environment said when this was first called."""
    return Settings(_content(), _max_attachment_bytes(), _sample_rate())


def is_on(name: str, *, default: bool) -> bool:
    """Return what an environment variable that says yes or no says now; `default` where it says neither."""
    if name not in os.environ:
        return default
    value = _value_of(name).lower()
    return value in _ON or (default and value not in _OFF)


def _content() -> bool:
    value = _value_of(CONTENT).lower()
    if value not in _ON | _OFF | {""}:
        # Whoever set it meant to keep something back.
        _warn(CONTENT, "true or false", "content is left out")
    return value in _ON | {""}


def _max_attachment_bytes() -> int | None:
    value = _value_of(MAX_ATTACHMENT_BYTES)
    if value.isascii() and value.isdigit():
        # Python reads no integer of more than 4,300 digits.
        return int(value[:100])
    if value:
        _warn(MAX_ATTACHMENT_BYTES, "a whole number of bytes, as in 1000000", "attachments of any size are uploaded")
    return None


def _sample_rate() -> float | None:
    value = _value_of(SAMPLE_RATE)
    try:
        rate = float(value or 1)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        _warn(SAMPLE_RATE, "a number from 0 to 1, as in 0.1", "every trace is logged")
        return None
    return None if rate == 1 else rate


def _value_of(name: str) -> str:
    return os.environ.get(name, "").strip()


def _warn(name: str, wanted: str, consequence: str) -> None:
    # Logging calls the application's handlers, which may raise.
    with contextlib.suppress(Exception):
        _logger.warning("%s is %r, and not %s: %s", name, os.environ.get(name), wanted, consequence)
