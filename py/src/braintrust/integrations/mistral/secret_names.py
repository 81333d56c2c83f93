"""Which names say that what stands under them is a secret."""

import functools
import re


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_NO_LETTERS = re.compile(r"[^a-z0-9]+")

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
# With one of these words in front, a token is a place in a list, a piece of text or a measure of texts.
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
"""How long the names are that caches hold; what is longer may be anybody's text."""


def is_secret_name(name: str) -> bool:
    """Tell whether the value of a key, a header or a parameter with this name lets its holder act for somebody.

    Names are compared by their words, in whatever case and spelling: `client_secret`, `X-Api-Key`, `accessToken`.
    Tokens that are counts (`max_tokens`), places (`page_token`) or pieces of text (`eos_token`) are no secrets.
    """
    return _is_secret(name) if len(name) <= LONGEST_CACHED_NAME else _is_secret.__wrapped__(name)


@functools.lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    name = name[-LONGEST_CACHED_NAME:]
    joined = _NO_LETTERS.sub("", name.lower())
    if joined in _SECRETS or joined.endswith(_SECRET_ENDINGS):
        return True
    if not joined.endswith("token"):
        return False
    before = _WORD.findall(name)[-2:-1]
    return not before or before[0].lower() not in _NO_SECRET_TOKENS


@functools.lru_cache(maxsize=1024)
def is_sensitive_name(name: str) -> bool:
    """Tell whether a name, of no more than `LONGEST_CACHED_NAME` letters, is a secret's or that of HTTP headers."""
    return holds_headers(name) or is_secret_name(name)


def holds_headers(name: str) -> bool:
    """Tell whether a name is that of HTTP headers."""
    return name[-7:].lower() == "headers"
