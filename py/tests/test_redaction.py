import json
from typing import Any

import pytest
from braintrust.integrations.mistral.redaction import REDACTED, redact
from braintrust.integrations.mistral.secret_names import holds_headers, is_secret_name
from hypothesis import given
from hypothesis import strategies as st


# Names


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Authorization", "AUTHORIZATION", "Proxy-Authorization", "x_authorization"),
        *("api_key", "apiKey", "API-Key", "X-Api-Key", "apikey", "MISTRAL_API_KEY", "api_keys"),
        *(
            "token",
            "access_token",
            "accessToken",
            "refresh-token",
            "bearer_token",
            "X-Amz-Security-Token",
            "slackToken",
        ),
        *("client_secret", "clientSecret", "secret", "secrets", "signing_secret", "password", "db_password", "passwd"),
        *("oauth", "oauth2", "auth", "jwt", "credentials", "private_key", "encryptionKey", "Set-Cookie", "cookie"),
        "x" * 100 + "_password",
    ],
)
def test_a_name_of_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("max_tokens", "maxTokens", "prompt_tokens", "token_count", "tokens", "token_id", "prompt_token_details"),
        *("next_page_token", "pageToken", "eos_token", "time_to_first_token", "cost_per_token", "continuation_token"),
        *(
            "token_endpoint",
            "authorization_endpoint",
            "author",
            "authentication",
            "auth_type",
            "auth_url",
            "oauth_url",
        ),
        *("key", "keys", "search_key", "keyboard", "signature", "sig", "secretary", "password_policy", "is_secret_of"),
        *("", "content", "connector_id", "header", "cookie_policy", "client_secret_expires_at", "ünïcode"),
    ],
)
def test_a_name_of_no_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("headers", True),
        ("http_headers", True),
        ("defaultHeaders", True),
        ("header", False),
        ("extract_header", False),
    ],
)
def test_a_name_of_headers(name: str, expected: bool) -> None:
    assert holds_headers(name) is expected


# Parameters of URLs

PARAMETERS = (
    *("sig", "SIG", "Signature", "X-Amz-Signature", "X-AMZ-SIGNATURE", "x-goog-signature", "X-Amz-Security-Token"),
    *("x-oss-signature", "Policy", "access_token", "api_key", "client_secret", "token", "password"),
)


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a?{}={}&x=1",
        "{}={}&se=1",
        r'{{"inner": "{{\"url\": \"https://example.com/?a=1\\u0026{}\\u003d{}\"}}"}}',
        r"https:\/\/example.com\/?a=1\\\\u0026{}\\\\u003D{}\\\\u0026b=1",
        "https://example.com/?a=1&amp%3B{}%3D{}",
        "https://example.com/?to=https%253A%252F%252Fa%253Fb%253D1%2526{}%253D{}%2526c=2",
        "https://example.com/?a=1&amp;{}&#x3D;{}&amp;b=1",
        "https://example.com/#{}={}",
        '{{"query": "{}={}&a=1"}}',
        r"https://example.com/a.png?size=2\\u0026{}={}\\u0026x=1",
        r'{{"inner": "{{\"url\": \"https://example.com/a.png?x=1&{}={}\"}}"}}',
        "https://example.com/go?to=https%3A%2F%2Fexample.org%2Fa%3Fx%3D1%26{}%3D{}%26x%3D1&back=2",
        "<a href='https://example.com/a.png?{}={}'>image</a>",
    ],
)
@pytest.mark.parametrize("secret", ["TOPSECRET", r"TOP\/SECRET\u002B\u003D", "TOP%2FSECRET%3D", "TOP+SECRET/=="])
def test_a_secret_parameter_reads_redacted_and_the_rest_stays(name: str, text: str, secret: str) -> None:
    assert redact(text.format(name, secret)) == text.format(name, REDACTED)


def test_every_secret_parameter_of_a_text_reads_redacted() -> None:
    text = "https://a.example/?sig={}&x=1 https://b.example/?X-Amz-Signature={}&sig={}"
    assert redact(text.format("one", "two", "three")) == text.format(*[REDACTED] * 3)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/?page_token=2&max_tokens=3&policy=refund&key=a&signature_version=4",
        "f(sig=1), g(token=2)",
        "the token = 5, its price = 7",
        "https://example.com/?policy=eyes",
        "100 % of a, b @ c, d \\ e & f",
        "https://example.com/?design=round&signal=green&config=1&sigma=3#design=2",
        "https://example.com/?sig=",
        "https://example.com/sig=path",
        "The signature = handwritten, a significant one.",
    ],
)
def test_a_parameter_that_is_no_secret_stays(text: str) -> None:
    assert redact(text) is text


def test_a_policy_in_small_letters_is_one_where_it_is_json_in_base64() -> None:
    assert redact("a?policy=eyJTdGF0ZW1lbnQi__&b=1") == "a?policy=REDACTED&b=1"


# Passwords in URLs


@pytest.mark.parametrize(
    "text",
    [
        "https://user:{}@example.com/a@b",
        "see postgres://me:{}@db:5432/x, and a@b.com",
        "redis://:{}@cache",
        r'{{"url": "https:\/\/user:{}@example.com\/"}}',
        "to=https%3A%2F%2Fuser%3A{}%40example.com%2Fa%40b",
        "to=https%253a%252f%252fuser%253a{}%2540example.com",
        r'{{"url": "https://user:{}\u0040example.com/a\u0040b"}}',
        r'{{"inner": "{{\"url\": \"https:\/\/user:{}\\u0040example.com\"}}"}}',
    ],
)
@pytest.mark.parametrize("password", ["TOPSECRET", "TOP:SECRET", "TOP%21SECRET"])
def test_a_password_of_a_url_reads_redacted(text: str, password: str) -> None:
    assert redact(text.format(password)) == text.format(REDACTED)


@pytest.mark.parametrize("text", ["https://user:{}@example.com", r"https://user:{}\u0040example.com"])
def test_so_does_one_with_an_at_sign_that_is_written_in_two_ways(text: str) -> None:
    assert redact(text.format(r"TOP\u0040SECRET")) == text.format(REDACTED)


@pytest.mark.parametrize(
    "text", ["git clone https://{}@example.com/a", r"https://{}\u0040example.com", r"https:\/\/{}@example.com"]
)
@pytest.mark.parametrize("token", ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "glpat-1234567890abcdef"])
def test_a_token_that_is_a_urls_user_reads_redacted(text: str, token: str) -> None:
    assert redact(text.format(token)) == text.format(REDACTED)


@pytest.mark.parametrize(
    "text",
    [
        "https://somebody.with.a.long.name@example.com",
        "ssh://deployment-of-the-app@example.com/4",
        "https://user1@example.com",
        r"https://example.com/a\u0040b:c",
        "https://example.com:8080/@me",
        "git@github.com:owner/name",
        "ssh://git@github.com/a:b",
        "mail a@b.com, see https://x.y/z",
        "https://example.com/a:b@c",
    ],
)
def test_a_url_without_a_password_stays(text: str) -> None:
    assert redact(text) is text


# Keys of JSON


@pytest.mark.parametrize(
    ("secret", "redacted"),
    [
        ({"Authorization": 'Bearer "TOP\\SECRET'}, {"Authorization": REDACTED}),
        ({"a": [{"api_key": "TOPSECRET", "b": 1}]}, {"a": [{"api_key": REDACTED, "b": 1}]}),
        ({"password": 4711, "max_tokens": 5}, {"password": REDACTED, "max_tokens": 5}),
        ({"authorization": {"type": "api-key", "value": "TOPSECRET"}}, {"authorization": REDACTED}),
        ({"headers": {"X-Any": "TOPSECRET"}, "n": 1}, {"headers": REDACTED, "n": 1}),
        ({"headers": {"X-Any": {"is": "TOP"}, "X-Other": ["SECRET"]}, "n": 1}, {"headers": REDACTED, "n": 1}),
        ({"headers": [{"name": "X-Any", "value": "TOPSECRET"}, ["a"]], "n": 1}, {"headers": REDACTED, "n": 1}),
        ({"headers": [["X-Any", "TOP"], ["X-Other", "SECRET"]], "n": 1}, {"headers": REDACTED, "n": 1}),
        ({"passwords": {"password": [["TOP"], "SECRET"]}, "n": 1}, {"passwords": {"password": REDACTED}, "n": 1}),
        ([{"name": "Authorization", "value": "TOPSECRET"}], [{"name": "Authorization", "value": REDACTED}]),
        ({"key": "api_key", "value": {"is": "TOPSECRET"}}, {"key": "api_key", "value": REDACTED}),
    ],
)
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_secret_in_json_reads_redacted_however_deep_it_is_escaped(secret: Any, redacted: Any, levels: int) -> None:
    for _ in range(levels):
        secret, redacted = json.dumps(secret), json.dumps(redacted)
        secret, redacted = (secret, redacted) if levels == 1 else ({"a": secret}, {"a": redacted})
    text, expected = (value if levels == 1 else json.dumps(value) for value in (secret, redacted))
    assert redact(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"token": None, "secret": "", "password": False, "usage": {"prompt_tokens": 3}},
        {"type": "object", "properties": {"password": {"type": "string", "description": "of the user"}}},
        {"logprobs": [{"token": "Bread", "logprob": -0.1}]},
        {"headers": ["Name", "Age"]},
        [{"name": "max_tokens", "value": 5}, {"name": "Authorization", "values": ["by a magistrate"]}],
    ],
)
def test_json_without_secrets_stays(value: Any) -> None:
    text = json.dumps(value)
    assert redact(text) is text


@pytest.mark.parametrize("name", ["client_secret", "X-API-KEY", "access_token", "Passwd", "Set-Cookie", "HEADERS"])
def test_a_secret_goes_from_a_short_text_and_from_a_long_one(name: str) -> None:
    for rest in ("", "Kraków, " * 2_000):
        text = f'{{"{name}": "%s", "rest": "{rest}"}}'
        assert redact(text % "TOPSECRET") == text % "REDACTED"


def test_keys_are_those_of_json_and_not_of_prose() -> None:
    text = 'Write `"password": "changeme"` into the file.'
    assert redact(text) is text
    assert redact(text, keys=True) == 'Write `"password": "REDACTED"` into the file.'


# Texts that are made to cost


@pytest.mark.parametrize("piece", ["?sig=a&", "://a:b@", '"token":"a",'])
def test_a_text_with_more_secrets_than_any_is_cut_off(piece: str) -> None:
    redacted = redact("{" + piece * 10_000)
    assert redacted.endswith(" with too many secrets>")
    assert len(redacted) < 20_000


def test_a_text_of_links_and_addresses_is_whole() -> None:
    text = "see https://example.com/contact or write to anna@example.com, " * 5_000
    assert redact(text) is text


def test_a_text_that_names_secrets_and_tells_none_is_whole() -> None:
    text = ("call(api_key=key)" + ", and so on" * 20 + "\n") * 2_000
    assert redact(text) is text


def test_a_long_text_of_signed_urls_is_redacted_to_its_end() -> None:
    words = "and so on, " * 40
    text = f"https://example.com/a.png?se=1&sig={'a' * 43}%3D {words}" * 1_000
    assert redact(text) == f"https://example.com/a.png?se=1&sig=REDACTED {words}" * 1_000


PIECES = st.sampled_from(
    [
        *(
            "sig",
            "token",
            "password",
            "key",
            "auth",
            "headers",
            "=",
            ":",
            '"',
            "'",
            "\\",
            "%",
            "%25",
            "26",
            "3D",
            "u003d",
        ),
        *("?", "&", ";", "{", "}", "[", "/", "//", "://", "@", "a", " ", "\n", "é", "\ud800", "REDACTED", "Policy"),
    ]
)


@given(st.lists(PIECES, max_size=60).map("".join), st.booleans())
def test_whatever_the_text_it_can_be_redacted_and_then_once_more(text: str, keys: bool) -> None:
    once = redact(text, keys=keys)
    assert isinstance(redact(once, keys=keys), str)
    if not any(mark in text for mark in "=%@\\&") and not keys and not text.lstrip().startswith(("{", "[")):
        assert once is text


@given(st.lists(st.sampled_from(["?", "&", "sig", "=", "Signature", "%3D", "%26", "\\", "a", " "])).map("".join))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(
    before=st.sampled_from(["", "see ", '{"url": "']) | st.text("ab é?", max_size=20),
    separator=st.sampled_from(["?", "?a=1&", "?a=1&amp;", r"?a=1\u0026"]),
    name=st.sampled_from(PARAMETERS),
    secret=st.text("abcXYZ019-_./+%", min_size=1, max_size=40).filter(lambda secret: "%26" not in secret),
    after=st.sampled_from(["", "&x=1", " and so on", '"}', "#top", "\n", r"\u0026x=1", ")", "<br>"]),
)
def test_whatever_the_secret_parameter_it_goes_and_its_surroundings_stay(
    before: str, separator: str, name: str, secret: str, after: str
) -> None:
    start = f"{before}https://example.com/a{separator}{name}="
    assert redact(start + secret + after) == f"{start}{REDACTED}{after}"
