"""What must not be logged: secrets by the names under which they stand, in values and in texts.

A text is searched for the few endings of such names with plain searches, which cost under a nanosecond a character;
only where a name is found, what stands around it is looked at. So no text costs much, however it was made.
"""

import functools
import re


REDACTED = "REDACTED"

_REDACTED = REDACTED.encode()

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")

_SECRETS = frozenset({"auth", "bearer", "jwt", "oauth", "oauth2", "pwd"})
_SECRET_ENDINGS = (
    "authorization",
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "secrets",
    "apikey",
    "apikeys",
    "accesskey",
    "encryptionkey",
    "privatekey",
    "secretkey",
    "signingkey",
    "credential",
    "credentials",
    "cookie",
    "cookies",
)
# What makes a token a place in a list, a piece of text or a measure of it.
_TOKENS_OF_PAGES = frozenset({"continuation", "cursor", "next", "page", "prev", "previous"})
_TOKENS_OF_TEXT = frozenset(
    {"audio", "bos", "cls", "eos", "image", "mask", "pad", "sep", "special", "stop", "text", "unk"}
)
_TOKENS_COUNTED = frozenset(
    {
        "cached",
        "completion",
        "each",
        "end",
        "first",
        "input",
        "last",
        "max",
        "min",
        "new",
        "num",
        "output",
        "per",
        "prompt",
        "start",
    }
)
_NO_SECRET_TOKENS = _TOKENS_OF_PAGES | _TOKENS_OF_TEXT | _TOKENS_COUNTED
LONGEST_CACHED_NAME = 64
"""Of longer names nothing is remembered: they may be anybody's text."""

# The ends of all names that are looked for in texts, each with what may begin an equal sign or end a key.
_PARAMETER_ENDS = (
    b"sig=",
    b"nature=",
    b"token=",
    b"policy=",
    b"secret=",
    b"password=",
    b"passwd=",
    b"ikey=",
    b"_key=",
)
_KEY_ENDS = (*_PARAMETER_ENDS, b"auth=", b"authorization=", b"headers=", b"cookie=")
_LONGEST_END = max(map(len, _KEY_ENDS))
_MARK_AFTER_NAME = re.compile(rb"=(?<=%b)" % b"|".join(sorted({end[-4:] for end in _KEY_ENDS})))


def _search_table() -> bytes:
    """Return the table that makes letters small, and an equal sign of all that may begin one or end a key."""
    table = bytearray(bytes(range(256)).lower())
    table[ord("-")] = ord("_")
    for sign in b"\"'%\\":
        table[sign] = ord("=")
    return bytes(table)


_SEARCHED = _search_table()

_NAME_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_LONGEST_NAME = 48
_SEPARATORS = b"?&;#\"'"
# Escaped once or several times: results of tools are JSON inside JSON, and links carry links.
_ESCAPED_SEPARATOR = {
    ord("\\"): re.compile(rb"u00(?:26|3[fb]|23)", re.IGNORECASE),
    ord("%"): re.compile(rb"(?:25)*(?:26|3[fb]|23|5cu00(?:26|3[fb]|23))", re.IGNORECASE),
}
_EQUAL_SIGN = re.compile(rb"=|(?:\\+|%(?:25)*5c)u003d|%(?:25)*3d|&(?:#61|#x3d|equals);", re.IGNORECASE)
_PARAMETER_VALUE = re.compile(rb"[\w%+/=~*.:$!@\\-]+")
_END_AFTER_BACKSLASHES = re.compile(rb"\\(?!\\|/|u00(?:2[bdfBDF]|3[dD]|5[fF]|7[eE]|25))")
_ESCAPED_ENDS = tuple(tuple(b"%" + b"25" * level + end for end in (b"26", b"22", b"23")) for level in range(4))
_LIKELY_LENGTHS = (256, 4096)
_BASE64_OF_JSON = re.compile(rb"e[yw][\w+/=~-]{6}")

_KEY_END = re.compile(rb"(\\*[\"'])\s{0,100}:\s{0,100}")
_QUOTE = re.compile(rb"(\\*)([\"'])")
_SCALAR = re.compile(rb"(?!(?:null|true|false)\b)[\w.+-]+")
_LOGPROB = re.compile(rb"\s*,\s*\\*\"logprob")
_SCHEMA = re.compile(
    rb"\{\s*\\*\"(?:(?:description|title|default|anyOf|allOf|oneOf|enum|\$ref)\\*\"|"
    rb"type\\*\"\s*:\s*(?:\[|\\*\"(?:string|object|array|integer|number|boolean|null)\\*\"))"
)
_MOST_QUOTES = 100

_HOST_END = r"\s/?#\"'<>\\"
_PERCENT_PASSWORD = (
    rf"%(?:25)*2[Ff][^%@{_HOST_END}]{{0,200}}%(?:25)*3[Aa])"
    rf"(?:[^%@&{_HOST_END}]|%(?!(?:25)*(?:2[Ff]|40))){{1,200}}(?=%(?:25)*40)"
)
# By what each begins with, which is searched for first. The password goes up to the last "@" of the host's part.
_PASSWORDS = (
    ("://", re.compile(rf"(://[^@:{_HOST_END}]*:)[^{_HOST_END}]+@"), "@"),
    (":\\", re.compile(rf"(:\\+/\\+/[^@:{_HOST_END}]*:)[^{_HOST_END}]+@"), "@"),
    ("2F%", re.compile(rf"(2F{_PERCENT_PASSWORD}"), ""),
    ("2f%", re.compile(rf"(2f{_PERCENT_PASSWORD}"), ""),
)

_CERTAINLY_FEW = 200
_CHARACTERS_PER_SECRET = 512
_CHARACTERS_PER_MARK = 8
_CHARACTERS_PER_URL = 8


def is_secret_name(name: str) -> bool:
    """Tell whether what stands under a name, a key or a header, lets whoever has it act for somebody.

    Names are compared by their words, in whatever case and however written: `client_secret`, `X-Api-Key`,
    `accessToken`. Of tokens, counts (`max_tokens`), places (`page_token`) and pieces of text (`eos_token`) are none.
    """
    return _is_secret(name) if len(name) <= LONGEST_CACHED_NAME else _is_secret.__wrapped__(name)


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name[-LONGEST_CACHED_NAME:])]
    joined = "".join(words)
    if joined in _SECRETS or joined.endswith(_SECRET_ENDINGS):
        return True
    return bool(words) and joined.endswith("token") and not _NO_SECRET_TOKENS.intersection(words[-2:-1])


@functools.lru_cache(maxsize=1024)
def is_sensitive_name(name: str) -> bool:
    """Tell whether a name, of no more than `LONGEST_CACHED_NAME` letters, is a secret's or that of HTTP headers."""
    return holds_headers(name) or is_secret_name(name)


def holds_headers(name: str) -> bool:
    """Tell whether a name is that of HTTP headers."""
    return name[-7:].lower() == "headers"


def redact(text: str, *, keys: bool = False) -> str:
    """Return `text` with `REDACTED` in the place of secrets, and all else as it is.

    - Parameters of URLs, however escaped: signatures, and what stands under a secret name.
    - Passwords in URLs.
    - In a text that is JSON, in others with `keys`: what stands under a key with a secret name, and HTTP headers.

    A text that holds more secrets than any that is not made for it is cut off, and says so.
    """
    if "@" in text or ("%" in text and "40" in text):
        text = _without_passwords(text)
    keys = keys or _begins_like_json(text)
    if keys or "=" in text or "%" in text or "\\" in text or "&" in text:
        return _without_named_secrets(text, keys)
    return text


def _begins_like_json(text: str) -> bool:
    first = text[:1]
    return (text.lstrip()[:1] if first.isspace() else first) in ("{", "[")


def _without_passwords(text: str) -> str:
    for start, password, at_sign in _PASSWORDS:
        if start[1] in text and start in text:
            urls = text.count(start)
            if urls > _CERTAINLY_FEW + len(text) // _CHARACTERS_PER_URL or min(
                urls, text.count(at_sign)
            ) > _most_secrets(len(text)):
                return _left_out(len(text))
            text = password.sub(rf"\1{REDACTED}{at_sign}", text)
    return text


def _without_named_secrets(text: str, keys: bool) -> str:
    data = text.encode("utf-8", "surrogatepass")
    most = _most_secrets(len(data))
    pieces: list[bytes] = []
    done = candidates = 0
    for position in _name_ends(data, _KEY_ENDS if keys else _PARAMETER_ENDS, most):
        if position < done:
            continue
        candidates += 1
        if candidates > most:
            pieces.append(_left_out(len(data) - done).encode())
            done = len(data)
            break
        secret = _secret_at(data, position, keys)
        if secret is not None:
            start, end, replacement = secret
            pieces += data[done:start], replacement
            done = end
    if not pieces:
        return text
    return b"".join([*pieces, data[done:]]).decode("utf-8", "surrogatepass")


def _most_secrets(length: int) -> int:
    """Return how many secrets are looked for: a text of nothing but signed URLs has fewer."""
    return _CERTAINLY_FEW + length // _CHARACTERS_PER_SECRET


def _left_out(length: int) -> str:
    return f"<{length} characters with too many secrets>"


def _name_ends(data: bytes, ends: tuple[bytes, ...], most: int) -> list[int]:
    """Return the positions after what may be secret names, in order; of too many, more than `most`."""
    searched = data.translate(_SEARCHED)
    if b"&" in data:
        # An entity has no sign of its own that nothing else begins with.
        for entity in (b"&#61;", b"&#x3d;", b"&equals;"):
            searched = searched.replace(entity, b"=".ljust(len(entity)))
    found: list[int] = []
    if searched.count(b"=") <= len(searched) // _CHARACTERS_PER_MARK:
        for mark in _MARK_AFTER_NAME.finditer(searched):
            if searched.endswith(ends, max(0, mark.start() - _LONGEST_END), mark.end()):
                found.append(mark.start())
                if len(found) > most:
                    break
        return found
    for end in ends:
        position = searched.find(end)
        count = 0
        while position >= 0 and count <= most:
            found.append(position + len(end) - 1)
            count += 1
            position = searched.find(end, position + len(end))
    return sorted(found)


def _secret_at(data: bytes, position: int, keys: bool) -> tuple[int, int, bytes] | None:
    """Return where the secret stands whose name ends at `position`, and what to write there; `None` of no secret."""
    before = data[max(0, position - _LONGEST_NAME) : position]
    name = before[len(before.rstrip(_NAME_LETTERS)) :]
    start = position - len(name)
    separator = data[start - 1] if start else ord("?")
    if separator in _ESCAPED_SEPARATOR:
        escaped = _ESCAPED_SEPARATOR[separator].match(name)
        if escaped is None:
            return None
        name = name[escaped.end() :]
    elif separator not in _SEPARATORS:
        return None
    if data[position] == ord("="):
        return _parameter(data, name, position + 1)
    sign = _EQUAL_SIGN.match(data, position)
    if sign is not None:
        return _parameter(data, name, sign.end())
    return _value_of_key(data, name.decode(), position) if keys and separator in b"\"'" else None


def _parameter(data: bytes, name: bytes, start: int) -> tuple[int, int, bytes] | None:
    # CloudFront's policy is JSON in base64, and another's a word.
    is_policy = name.lower() == b"policy" and _BASE64_OF_JSON.match(data, start) is not None
    if not is_policy and not _is_secret_parameter(name):
        return None
    end = _value_end(data, start)
    return (start, end, _REDACTED) if end > start else None


@functools.lru_cache(maxsize=256)
def _is_secret_parameter(name: bytes) -> bool:
    small = name.lower()
    return small == b"sig" or small.endswith(b"signature") or name == b"Policy" or is_secret_name(name.decode())


def _value_end(data: bytes, start: int) -> int:
    """Return where the value of a URL's parameter ends; what is escaped itself may be followed by others so."""
    for length in _LIKELY_LENGTHS:
        value = _PARAMETER_VALUE.match(data, start, start + length)
        run_end = end = value.end() if value else start
        if data.find(b"%", start, end) >= 0:
            for ends in _ESCAPED_ENDS if data.find(b"%25", start, end) >= 0 else _ESCAPED_ENDS[:1]:
                for escaped in ends:
                    position = data.find(escaped, start, end)
                    end = position if position >= 0 else end
        if data.find(b"\\", start, end) >= 0:
            ending = _END_AFTER_BACKSLASHES.search(data, start, end)
            end = start + len(data[start : ending.start() if ending else end].rstrip(b"\\"))
        if run_end < start + length or end < run_end:
            return end
    # No signature is that long.
    value = _PARAMETER_VALUE.match(data, start)
    return value.end() if value else start


def _value_of_key(data: bytes, name: str, position: int) -> tuple[int, int, bytes] | None:
    key_end = _KEY_END.match(data, position)
    if key_end is None or not (is_secret_name(name) or holds_headers(name)):
        return None
    start, quote = key_end.end(), key_end[1]
    replacement = quote + _REDACTED + quote
    first = data[start : start + 1]
    if first == b"{":
        is_schema = _SCHEMA.match(data, start) is not None
        return None if is_schema else (start, _after(data, b"}", start), replacement)
    if first == b"[":
        # Headers in a list are a table's, or have keys or places of their own.
        return None if holds_headers(name) else (start, _after(data, b"]", start), replacement)
    opening = _QUOTE.match(data, start)
    if opening is None:
        scalar = _SCALAR.match(data, start)
        return (*scalar.span(), replacement) if scalar else None
    end = _string_end(data, opening.end(), opening[2], len(opening[1]))
    if end == opening.end() + len(opening[0]) or _LOGPROB.match(data, end):
        # It is empty, or a piece of text with its probability.
        return None
    return start, end, opening[0] + _REDACTED + opening[0]


def _after(data: bytes, sign: bytes, start: int) -> int:
    return data.find(sign, start) + 1 or len(data)


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
