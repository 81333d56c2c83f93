"""What a span says about an error: enough to find its cause, and no secret, whoever wrote the text.

Braintrust's masking function does not see errors. Where one is set, they repeat nothing that anybody said: neither
messages of exceptions, which quote requests and answers, nor what a tool or the API answered.
"""

import json
import re
import traceback
from collections.abc import Iterator
from typing import Any

from .masking import is_masking
from .redaction import REDACTED, compiled, redact


MAX_LENGTH = 10_000
"""Characters of an error that are logged: the beginning of a longer one, and its end."""

_LEFT_OUT = "\n… {} characters left out …\n"
_MOST_ERRORS = 100
_MOST_QUOTES = 1_000
_MOST_INPUT = 64 * 1024

# What others quote that may be secret, by the words in front of it: pydantic, whose line it ends with a type; the repr
# of an error of the API's validation; HTTP libraries of headers and of what they take for the port of an address.
_QUOTED = (
    ("input_value=", r"(input_value=)(?:.{0,100}?(?=, input_type=)|.*)"),
    ("input=", r"(input=(?<!\winput=))[\"'{\[].*"),
    ("eader value", r"(eader value:? {0,3})b?[\"'].*"),
    # What `int` was given of it.
    ("invalid literal for int", r"(invalid literal for int\(\) with base \d+: ).*"),
    ("Invalid port: ", r"(Invalid port: ).*"),
)
# What looks like a secret, and what to write there; in small letters, each such text has one of the words in front.
_SECRETS = (
    (
        ("authorization", "bearer", "basic"),
        r"(?i)(\bauthorization: {0,10}(?:[a-z]{1,10} {1,10})?|\b(?:bearer|basic)\s{1,10}(?=\S{4}))[^\s\"',;)}\]]+",
        rf"\1{REDACTED}",
    ),
    (
        ("authorization", "apikey", "api_key", "passw", "secret", "token"),
        (
            r"(?i)((?:authorization|api_?key|passw(?:or)?d|secret|token)[\"']?\s{0,5}[=:]\s{0,5}[bru]?([\"']))"
            r"[^\"'\n]+(?=\2)"
        ),
        rf"\1{REDACTED}",
    ),
    (("@",), r"(?<=[:/\"'\s])([\w.+-]{1,100}:)[^\s/@\"']{1,200}@", rf"\1{REDACTED}@"),
)
# Where a traceback begins that no message repeats; the name of an exception below its lines, or in front where there
# are none or the message is left out; the end of an error that the API reported.
_TRACEBACK = r"(?:^|\n\n)(  \+ Exception Group )?Traceback \(most recent call last\):\n"
_RAISED = r"([\w.<>]+)(?=:|$)"
_RAISED_IN_FRONT = r"([\w<>]+(?:\.[\w<>]+)+|\w+(?:Error|Exception|Exit|Group|Interrupt))(?=:| \(status |\n|$)"
_API_CODE = r"\(code ([\w.-]+)\)$"
_INPUT_KEY = r"input(\\{0,100}[\"'])\s{0,100}:\s{0,100}"
_DECODER = json.JSONDecoder()


def error_text_of(error: BaseException) -> str:
    """Return an exception with its traceback, its causes and notes, and what Mistral answered if it does not say so.

    It has no API key or other secret, no header's value, no password of a URL, and nothing that a validation error
    quotes of the request; and no more than `MAX_LENGTH` characters. Where a masking function is set, it has only the
    types, the status codes and the places of the tracebacks.
    """
    if is_masking():
        return _shortened("\n".join(_lines_without_messages(error)))
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    for name in ("status_code", "body"):
        value = str(getattr(error, name, None) or "")
        if value not in text:
            text += f"{name}: {value}\n"
    return safe_error_text(text)


def tool_error_text(text: str, tool_name: str) -> str:
    """Return what a failed tool answered; where a masking function is set, only that it failed, in Mistral's words."""
    return f"Error executing tool {tool_name}" if is_masking() else safe_error_text(text)


def api_error_text(message: object, code: object) -> str:
    """Return an error that the API reported in an answer: its message and code; with a masking function, its code."""
    if is_masking():
        return "Error" if code is None else f"Error (code {code})"
    return safe_error_text(str(message) if code is None else f"{message} (code {code})")


def error_type_of(text: str) -> str | None:
    """Return the name of the exception that a span's error text is of, or the API's code; `None` for another text.

    Of a chain of exceptions it is the one that the caller saw.
    """
    tracebacks = [*compiled(_TRACEBACK).finditer(text)]
    if tracebacks:
        margin = "  | " if tracebacks[-1][1] else ""
        lines = (line.removeprefix(margin) for line in text[tracebacks[-1].end() :].splitlines())
        found = compiled(_RAISED).match(next((line for line in lines if not line.startswith(" ")), ""))
    else:
        found = compiled(_RAISED_IN_FRONT).match(text) or compiled(_API_CODE).search(text)
    return found[1] if found else None


def safe_error_text(text: str) -> str:
    """Return a text for people who look for an error, without the secrets in it and of a bounded length."""
    for words, quoted in _QUOTED:
        if words in text:
            text = _without_quotes(text, compiled(quoted))
    text = redact(_without_inputs(text), keys=True)
    text = _shortened(text, 4 * MAX_LENGTH)
    small = text.casefold()
    for words, secret, replacement in _SECRETS:
        if any(word in small for word in words):
            text = compiled(secret).sub(replacement, text)
    return _shortened(text)


def _without_quotes(text: str, quoted: re.Pattern[str]) -> str:
    pieces: list[str] = []
    done = 0
    for number, quote in enumerate(quoted.finditer(text)):
        if number >= _MOST_QUOTES:
            return "".join(pieces)
        pieces += text[done : quote.start()], quote[1], REDACTED
        done = quote.end()
    return "".join([*pieces, text[done:]])


def _without_inputs(text: str) -> str:
    """Return a text without the parts of a request that the API's validation repeats, as `input` in JSON."""
    pieces: list[str] = []
    done = read = 0
    for number, key in enumerate(compiled(_INPUT_KEY).finditer(text) if "input" in text else ()):
        if number >= _MOST_QUOTES:
            return "".join(pieces)
        if key.start() < done or not text.endswith(key[1], 0, key.start()):
            continue
        try:
            value, length = _DECODER.raw_decode(text[key.end() : key.end() + _MOST_INPUT - read])
        except (ValueError, RecursionError):
            # It was cut off, is long, or is no JSON: the rest belongs to it.
            value, length = True, len(text) - key.end()
        if value:
            pieces += text[done : key.end()], f"{key[1]}{REDACTED}{key[1]}"
            done = key.end() + length
        read = min(read + length, _MOST_INPUT)
    return "".join([*pieces, text[done:]])


def _shortened(text: str, length: int = MAX_LENGTH) -> str:
    if len(text) <= length:
        return text
    left_out = _LEFT_OUT.format(len(text) - length)
    kept = length - 2 * len(left_out)
    return text[: kept // 2] + left_out + text[len(text) - kept // 2 :]


def _lines_without_messages(error: BaseException) -> Iterator[str]:
    errors: list[tuple[str, BaseException]] = [("", error)]
    seen: set[int] = set()
    while errors and len(seen) < _MOST_ERRORS:
        relation, error = errors.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        status: Any = getattr(error, "status_code", None)
        name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        yield f"{relation}{name}" + (f" (status {status})" if isinstance(status, int) else "")
        for frame, line in traceback.walk_tb(error.__traceback__):
            yield f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
        # Exception groups came with Python 3.11.
        members: Any = getattr(error, "exceptions", ())
        if isinstance(members, tuple | list):
            errors += [("In the group: ", member) for member in members if isinstance(member, BaseException)]
        if error.__cause__ is not None:
            errors.append(("Caused by: ", error.__cause__))
        elif error.__context__ is not None and not error.__suppress_context__:
            errors.append(("While handling: ", error.__context__))
