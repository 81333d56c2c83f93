"""What must not be logged: secrets by the names under which they stand, in values and in texts.

A text is searched for the few ends of such names, backwards from each sign that may follow one, which costs a few
nanoseconds a character. Only where a name is found, what stands around it is read, and only a limited number of times:
so no text costs much, even one that was made to.
"""

import functools
import itertools
import re
import string
from collections.abc import Iterator
from typing import TypeAlias

from .secret_names import holds_headers, is_secret_name, is_sensitive_name


REDACTED = "REDACTED"

compiled = functools.cache(re.compile)
"""Compiles a pattern when it is needed first: all of them are a fifth of what importing the integration takes."""

_REDACTED = REDACTED.encode()

# How the names end that are looked for in texts.
_PARAMETER_ENDS = ("sig", "nature", "token", "policy", "secret", "password", "passwd", "ikey", "_key")
_KEY_ENDS = (*_PARAMETER_ENDS, "auth", "authorization", "headers", "cookie")
# Each name of a secret with such an end has one of these in it, in small letters; few texts have.
_PIECES = ("key", "sig", "token", "policy", "secret", "passw", "auth", "headers", "cookie")
_LONGEST_NAME = 48


@functools.cache
def _read_backwards(ends: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return the pattern of an equal sign and a name before it, read backwards."""
    # Grouped by their last letters: what ends in none of these is passed over at once.
    last_letters = sorted({end[-1] for end in ends})
    tree = (f"{last}(?:{'|'.join(end[-2::-1] for end in ends if end[-1] == last)})" for last in last_letters)
    return re.compile(rf"=(?:{'|'.join(tree)})[a-z0-9_]{{0,{_LONGEST_NAME}}}".encode())


def _search_table() -> bytes:
    """Return the table that makes letters small, and an equal sign of what may begin an escaped one or end a key."""
    table = bytearray(bytes(range(256)).lower())
    table[ord("-")] = ord("_")
    for sign in b"\"'%\\":
        table[sign] = ord("=")
    return bytes(table)


_SEARCHED = _search_table()
# Entities are replaced whole: they begin like all others, so the table cannot tell them.
_ENTITIES = tuple((entity, b"=".ljust(len(entity), b";")) for entity in (b"&#61;", b"&#x3d;", b"&equals;"))
_BLOCK = 8 * 1024
_QUOTES = b"\"'"
# What stands before a name, in the text as it is searched.
_SEPARATORS = b"?&;#="


def _value_table() -> bytes:
    """Return the table that makes a space of every character that no value of a parameter has."""
    letters = string.ascii_letters + string.digits + "_%+/=~*.:$!@\\-"
    return bytes(sign if chr(sign) in letters else ord(" ") for sign in range(256))


_VALUES = _value_table()
_LONGEST_VALUE = 4096

# Escaped once or several times: results of tools are JSON inside JSON, and URLs hold URLs.
_ESCAPED_SEPARATOR = {
    ord("\\"): rb"(?i:u00(?:26|3[fb]|23))",
    ord("%"): rb"(?i:(?:25)*(?:26|3[fb]|23|5cu00(?:26|3[fb]|23)))",
}
_EQUAL_SIGN = rb"(?i:=|(?:\\+|%(?:25)*5c)u003d|%(?:25)*3d|&(?:#61|#x3d|equals);)"
_ESCAPED_END = rb"%(?:25)*2[236]"
_END_AFTER_BACKSLASHES = rb"\\(?!\\|/|u00(?:2[bdfBDF]|3[dD]|5[fF]|7[eE]|25))"
_BASE64_OF_JSON = rb"e[yw][\w+/=~-]{6}"

# A header, or a setting, may stand as a name and a value of its own.
_KEY_END = rb"(\\*[\"'])(?:\s{0,100},\s{0,100}\\*[\"']value\\*[\"'])?\s{0,100}:\s{0,100}"
_SHORT_TEXT = rb"(\\*[\"'])([^\"'\\]{1,1000})\1(?!\s*,\s*\\*\"logprob)"
_QUOTE = rb"(\\*)([\"'])"
_SCALAR = rb"(?!(?:null|true|false)\b)[\w.+-]+"
_LOGPROB = rb"\s*,\s*\\*\"logprob"
_SCHEMA = (
    rb"\{\s*\\*\"(?:(?:description|title|default|anyOf|allOf|oneOf|enum|\$ref)\\*\"|"
    rb"type\\*\"\s*:\s*(?:\[|\\*\"(?:string|object|array|integer|number|boolean|null)\\*\"))"
)
_NESTED = rb"\[\s{0,100}[\[{]"
_MOST_QUOTES = _MOST_BRACKETS = 100

_HOST_END = r"\s/?#\"'<>\\"
_PERCENT_PASSWORD = (
    rf"%(?:25)*2[Ff][^%@{_HOST_END}]{{0,200}}%(?:25)*3[Aa])"
    rf"(?:[^%@&{_HOST_END}]|%(?!(?:25)*(?:2[Ff]|40))){{1,200}}(?=%(?:25)*40)"
)
# A user without a password is redacted only if it looks like a token.
_USER = rf"[^@:{_HOST_END}]{{0,128}}:"
_TOKEN = r"(?=[A-Za-z_-]{0,40}\d)[\w-]{16,255}"
_PASSWORD = rf"(?:({_USER})[^{_HOST_END}]+|{_TOKEN})(@)"
_JSON_PASSWORD = rf"(?:({_USER})(?:[^{_HOST_END}]*\\+u0040){{0,20}}[^{_HOST_END}]*|{_TOKEN})(@|\\+u0040)"
# By the form of the at sign in a text: what the patterns begin with, which is searched for first, and the patterns.
# They go up to the last at sign in front of the host.
_PASSWORDS = {
    "@": (("://", rf"(://){_PASSWORD}"), (":\\", rf"(:\\+/\\+/){_PASSWORD}")),
    "u0040": (("://", rf"(://){_JSON_PASSWORD}"), (":\\", rf"(:\\+/\\+/){_JSON_PASSWORD}")),
    "40": (("2F%", rf"(2F)({_PERCENT_PASSWORD}()"), ("2f%", rf"(2f)({_PERCENT_PASSWORD}()")),
}

# Where a secret begins and ends, and what to write there.
_Secret: TypeAlias = tuple[int, int, bytes]

_CERTAINLY_FEW = 200
_CHARACTERS_PER_SECRET = 512
_NAMES_PER_SECRET = 4
_CHARACTERS_PER_MARK = 5
_CHARACTERS_PER_URL = 48


def redact(text: str, *, keys: bool = False) -> str:
    """Return `text` with `REDACTED` in the place of secrets, and all else as it is.

    - Parameters of URLs, however escaped: signatures, and what stands under a secret name.
    - Passwords in URLs, and tokens in their place.
    - In a text that is JSON, in others with `keys`: what stands under a key with a secret name, and HTTP headers.

    A text with more secrets than any honest one has is cut off where these begin to be too many, and says so.
    """
    if "@" in text or ("40" in text and ("%" in text or "\\" in text)):
        text = _without_passwords(text)
    keys = keys or _begins_like_json(text)
    if keys or "=" in text or "%" in text or "\\" in text or "&" in text:
        return _Text(text, keys).without_secrets() if len(text) > _BLOCK or _may_have_names(text) else text
    return text


def _may_have_names(text: str) -> bool:
    """Tell whether the name of a secret may be in a text: for a short one, much faster than to search for it."""
    # `lower` is fast for bytes, and `in` for texts.
    small = text.encode("utf-8", "surrogatepass").lower().decode("latin-1")
    return any(piece in small for piece in _PIECES)


def _begins_like_json(text: str) -> bool:
    first = text[:1]
    return (text.lstrip()[:1] if first.isspace() else first) in ("{", "[")


def _without_passwords(text: str) -> str:
    starts = 0
    most = _most_secrets(len(text))
    # The pattern for escaped at signs finds the others as well.
    for at_sign in ("u0040" if "u0040" in text else "@", "40"):
        for start, password in _PASSWORDS[at_sign] if at_sign in text else ():
            if start not in text:
                continue
            starts += text.count(start)
            if starts > _CERTAINLY_FEW + len(text) // _CHARACTERS_PER_URL:
                return _left_out(len(text))
            text, count = compiled(password).subn(rf"\1\2{REDACTED}\3", text, most + 1)
            if count > most:
                return _left_out(len(text))
    return text


def _most_secrets(length: int) -> int:
    """Return how many secrets are looked for: a text of nothing but signed URLs has fewer than that."""
    return _CERTAINLY_FEW + length // _CHARACTERS_PER_SECRET


def _left_out(length: int) -> str:
    return f"<{length} characters with too many secrets>"


class _Text:
    """A text that is searched for the names of secrets.

    Args:
        text: the text.
        keys: whether to look for the keys of JSON as well, and not only for parameters of URLs.
    """

    def __init__(self, text: str, keys: bool) -> None:
        self._text, self._keys = text, keys
        self._data = text.encode("utf-8", "surrogatepass")
        self._searched = self._data.translate(_SEARCHED)
        if b"&" in self._data and b";" in self._data:
            for entity, sign in _ENTITIES:
                self._searched = self._searched.replace(entity, sign)
        self._backwards = self._searched[::-1]
        self._ends = _KEY_ENDS if keys else _PARAMETER_ENDS
        self._name = _read_backwards(self._ends)
        # Made where a value is found, which few texts have.
        self._values = b""

    def without_secrets(self) -> str:
        """Return the text with what stands under a secret name redacted."""
        pieces: list[bytes] = []
        done = 0
        for start, end, replacement in self._secrets():
            pieces += self._data[done:start], replacement
            done = end
        if not pieces:
            return self._text
        return b"".join([*pieces, self._data[done:]]).decode("utf-8", "surrogatepass")

    def _secrets(self) -> Iterator[_Secret]:
        """Yield the secrets in their order."""
        length = len(self._data)
        most = _most_secrets(length)
        done = names = candidates = 0
        for low in range(0, length, _BLOCK):
            if low + _BLOCK <= done:
                continue
            for start, end in self._names_in_block(low):
                if end < done:
                    continue
                names += 1
                candidates += start is not None
                if candidates > most or names > most * _NAMES_PER_SECRET:
                    yield done, length, _left_out(length - done).encode()
                    return
                secret = None if start is None else self._secret_under(start, end)
                if secret is not None:
                    yield secret
                    done = secret[1]

    def _names_in_block(self, low: int) -> list[tuple[int | None, int]]:
        """Return where each name begins and ends, in order; one without a separator before it has no beginning."""
        length = len(self._data)
        high, overlap = min(low + _BLOCK, length), min(length, length - low + 2 * _LONGEST_NAME)
        if self._searched.count(b"=", low, high) <= _BLOCK // _CHARACTERS_PER_MARK:
            found = [*self._name.finditer(self._backwards, length - high, overlap)]
        else:
            signs = [length - 1 - sign for sign in self._signs(low, high)]
            found = [name for sign in signs if (name := self._name.match(self._backwards, sign, overlap))]
        return [
            (length - name.end() if self._is_separated(name.end()) else None, length - 1 - name.start())
            for name in reversed(found)
            if name.start() < length - low
        ]

    def _is_separated(self, end: int) -> bool:
        return end == len(self._backwards) or self._backwards[end] in _SEPARATORS

    def _signs(self, low: int, high: int) -> list[int]:
        """Return where equal signs follow names, backwards: where many signs are, this is faster than the pattern."""
        signs: list[int] = []
        for name in self._ends:
            end = f"{name}=".encode()
            position = self._searched.find(end, max(0, low - _LONGEST_NAME), high)
            while position >= 0:
                position += len(end)
                signs.append(position - 1)
                position = self._searched.find(end, position, high)
        return sorted(signs, reverse=True)

    def _secret_under(self, start: int, end: int) -> _Secret | None:
        """Return what stands under the name that begins and ends there, if that is a secret."""
        name = self._data[start:end]
        separator = self._data[start - 1] if start else ord("?")
        if separator in _ESCAPED_SEPARATOR:
            escaped = compiled(_ESCAPED_SEPARATOR[separator]).match(name)
            if escaped is None:
                return None
            name = name[escaped.end() :]
        elif separator == ord("="):
            return None
        mark = self._data[end]
        if mark == ord("="):
            return self._parameter(name, end + 1)
        if mark not in _QUOTES:
            sign = compiled(_EQUAL_SIGN).match(self._data, end)
            if sign is not None:
                return self._parameter(name, sign.end())
        return _value_of_key(self._data, name, end) if self._keys and separator in _QUOTES else None

    def _parameter(self, name: bytes, start: int) -> _Secret | None:
        # CloudFront's policy is JSON in base64; under that name, others have a word.
        is_policy = name.lower() == b"policy" and compiled(_BASE64_OF_JSON).match(self._data, start)
        if not is_policy and not _is_secret_parameter(name):
            return None
        end = self._value_end(start)
        return (start, end, _REDACTED) if end > start else None

    def _value_end(self, start: int) -> int:
        """Return where the value of a URL's parameter ends; in an escaped URL, what follows it is escaped as well."""
        self._values = self._values or self._data.translate(_VALUES) + b" "
        end = self._values.find(b" ", start, start + _LONGEST_VALUE)
        if end < 0:
            # No signature is that long.
            return self._values.find(b" ", start)
        if self._data.find(b"%", start, end) >= 0:
            escaped = compiled(_ESCAPED_END).search(self._data, start, end)
            end = escaped.start() if escaped else end
        if self._data.find(b"\\", start, end) >= 0:
            ending = compiled(_END_AFTER_BACKSLASHES).search(self._data, start, end)
            end = start + len(self._data[start : ending.start() if ending else end].rstrip(b"\\"))
        return end


@functools.lru_cache(maxsize=256)
def _is_secret_parameter(name: bytes) -> bool:
    small = name.lower()
    return small == b"sig" or small.endswith(b"signature") or name == b"Policy" or is_secret_name(name.decode())


def _value_of_key(data: bytes, name: bytes, name_end: int) -> _Secret | None:
    """Return what stands under a key of JSON, if that is a secret."""
    key_end = compiled(_KEY_END).match(data, name_end)
    if key_end is None or not is_sensitive_name(name.decode()):
        return None
    start, quote = key_end.end(), key_end[1]
    opening = compiled(_QUOTE).match(data, start)
    if opening:
        return _quoted_secret(data, opening)
    replacement = quote + _REDACTED + quote
    first = data[start : start + 1]
    if first == b"{":
        is_schema = compiled(_SCHEMA).match(data, start) is not None
        return None if is_schema else (start, _bracket_end(data, start), replacement)
    if first == b"[":
        # Headers that are a list of texts are most likely the first row of a table.
        is_table = holds_headers(name.decode()) and not compiled(_NESTED).match(data, start)
        return None if is_table else (start, _bracket_end(data, start), replacement)
    scalar = compiled(_SCALAR).match(data, start)
    return (*scalar.span(), replacement) if scalar else None


def _quoted_secret(data: bytes, opening: re.Match[bytes]) -> _Secret | None:
    text = compiled(_SHORT_TEXT).match(data, opening.start())
    if text:
        return (*text.span(2), _REDACTED)
    end = _string_end(data, opening.end(), opening[2], len(opening[1]))
    if end == opening.end() + len(opening[0]) or compiled(_LOGPROB).match(data, end):
        # It is empty, or a token of a model's text, with its probability.
        return None
    return opening.start(), end, opening[0] + _REDACTED + opening[0]


def _bracket_end(data: bytes, start: int) -> int:
    """Return where the object or list ends that begins there; beyond many brackets, it has no end."""
    depth = 0
    for bracket in itertools.islice(compiled(rb"[][{}]").finditer(data, start), _MOST_BRACKETS):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth == 0:
            return bracket.end()
    return len(data)


def _string_end(data: bytes, start: int, quote: bytes, escapes: int) -> int:
    """Return where a JSON string ends that begins at `start`, with as many backslashes before each of its quotes."""
    position = start
    for _ in range(_MOST_QUOTES):
        position = data.find(quote, position)
        if position < 0:
            break
        before = data[max(start, position - _LONGEST_NAME) : position]
        backslashes = len(before) - len(before.rstrip(b"\\"))
        # With each level of JSON inside JSON, a quote's backslashes are doubled, and one more is added.
        if backslashes % (2 * (escapes + 1)) == escapes:
            return position + 1
        position += 1
    return len(data)
