"""What `error` says: enough to find the cause, no secret, and with a masking function no payload."""

import builtins
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import braintrust
import pytest
from braintrust.integrations.mistral import errors
from braintrust.integrations.mistral.errors import (
    MAX_LENGTH,
    api_error_text,
    error_text_of,
    error_type_of,
    tool_error_text,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import LoggedSpans, MakeClient, Mistral
from tests.helpers.wire import Json, answer


SECRET = "TOPSECRET"


@pytest.fixture
def masked(spans: LoggedSpans) -> Iterator[None]:
    braintrust.set_masking_function(lambda value: value)
    yield
    braintrust.set_masking_function(None)


def caught(raising: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as info:  # noqa: PT011 - whatever it is
        raising()
    return info.value


def raising(error: BaseException) -> BaseException:
    def fail() -> None:
        raise error

    return caught(fail)


# Secrets


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (r"Illegal header value b'Bearer TOPSECRET\n'", "Illegal header value REDACTED"),
        ("Invalid leading whitespace in header value: 'TOPSECRET '", "header value: REDACTED"),
        ("Authorization: Bearer TOPSECRET", "Authorization: Bearer REDACTED"),
        ("{'Authorization': 'Bearer TOPSECRET'}", "{'Authorization': 'REDACTED'}"),
        ("{'headers': {'X-Any': 'TOPSECRET'}}", "{'headers': 'REDACTED'}"),
        ("client = Mistral(api_key='TOPSECRET')", "client = Mistral(api_key='REDACTED')"),
        ("[type=x, input_value={'value': 'TOPSECRET'}, input_type=dict]", "input_value=REDACTED, input_type=dict]"),
        ("ValidationError(loc=['body'], msg='m', input='TOPSECRET', ctx=None)", "msg='m', input=REDACTED"),
        ('Body: {"detail": [{"msg": "m", "input": {"a": ["TOPSECRET"]}}]}', '"msg": "m", "input": "REDACTED"}]}'),
        ('Body: {"detail": [{"input": "TOPSECRET, cut off', 'Body: {"detail": [{"input": "REDACTED"'),
        ("no such host: https://user:TOPSECRET@example.com/", "https://user:REDACTED@example.com/"),
        ("no such host: user:TOPSECRET@example.com", "host: user:REDACTED@example.com"),
        ("Invalid port: 'TOPSECRET'", "Invalid port: REDACTED"),
        ("invalid literal for int() with base 10: 'TOPSECRET'", "with base 10: REDACTED"),
        ("see https://example.com/?sig=TOPSECRET", "see https://example.com/?sig=REDACTED"),
    ],
)
def test_a_secret_in_an_error_reads_redacted(message: str, expected: str) -> None:
    text = error_text_of(raising(ValueError(message)))
    assert SECRET not in text
    assert expected in text


def with_note(error: BaseException) -> BaseException:
    if not hasattr(error, "add_note"):
        pytest.skip("exceptions have notes from Python 3.11 on")
    error.add_note(f"api_key='{SECRET}'")
    return raising(error)


def with_cause(error: BaseException) -> BaseException:
    error.__cause__ = raising(ValueError(f"Bearer {SECRET}"))
    return raising(error)


def with_context(error: BaseException) -> BaseException:
    try:
        raise ValueError(f"Bearer {SECRET}")
    except ValueError:
        return raising(error)


def in_group(error: BaseException) -> BaseException:
    if sys.version_info < (3, 11):
        pytest.skip("exception groups came with Python 3.11")
    return raising(builtins.BaseExceptionGroup("several", [error, ValueError(f"Bearer {SECRET}")]))


FAMILY = (with_note, with_cause, with_context, in_group)


@pytest.mark.parametrize("make", FAMILY)
def test_so_does_one_in_all_that_belongs_to_an_error(make: Callable[[BaseException], BaseException]) -> None:
    text = error_text_of(make(KeyError("oven")))
    assert SECRET not in text
    assert "REDACTED" in text
    assert "oven" in text


def test_an_api_key_that_is_no_header_is_not_in_the_error(spans: LoggedSpans) -> None:
    with pytest.raises(Exception, match=r"\w"):
        Mistral(api_key=SECRET + "\n", server_url="http://127.0.0.1:9").chat.complete(model="m", messages=[])
    assert SECRET not in spans.pop_one()["error"]


def test_what_pydantic_quotes_of_a_request_is_not_in_the_error(spans: LoggedSpans, make_client: MakeClient) -> None:
    with pytest.raises(Exception, match=SECRET):
        make_client(lambda _: answer({})).chat.complete(model="m", messages=[], temperature=SECRET)
    row = spans.pop_one()
    assert SECRET not in row["error"]
    assert "input_value=REDACTED" in row["error"]


@pytest.mark.parametrize("status", [400, 422])
def test_what_the_api_quotes_of_a_request_is_not_in_the_error(
    status: int, spans: LoggedSpans, make_client: MakeClient
) -> None:
    problem = {"type": "x", "loc": ["body", "tools"], "msg": "Bad dough", "input": {"authorization": SECRET}}
    client = make_client(lambda _: answer({"detail": [problem]}, status))
    with pytest.raises(Exception, match=SECRET):
        client.chat.complete(model="m", messages=[{"role": "user", "content": "x"}])
    error = spans.pop_one()["error"]
    assert SECRET not in error
    assert "Bad dough" in error


@pytest.mark.parametrize(
    "quote",
    [
        *(f'"input": "{SECRET}", ', f"input_value='{SECRET}', input_type=str\n", f"input='{SECRET}'\n"),
        *(f"Illegal header value b'{SECRET}'\n", f"Invalid port: '{SECRET}'\n"),
    ],
)
@pytest.mark.parametrize("times", [2, 5_000])
def test_however_often_it_is_quoted_none_is_left(quote: str, times: int) -> None:
    assert SECRET not in error_text_of(raising(ValueError(quote * times)))


@pytest.mark.parametrize("value", ["x" * 100_000 + SECRET, ["x"] * 100_000 + [SECRET]])
def test_however_long_a_quoted_request_is_it_is_not_in_the_error(value: Any) -> None:
    text = error_text_of(raising(ValueError(json.dumps({"msg": "Bad dough", "input": value}))))
    assert "Bad dough" in text
    assert SECRET not in text


# Length


@pytest.mark.parametrize("length", [MAX_LENGTH - 100, MAX_LENGTH + 1, 3_000_000])
def test_an_error_is_bounded_and_keeps_its_beginning_and_its_end(length: int) -> None:
    text = error_text_of(raising(ValueError(f"it begins {'a ' * (length // 2)} and it ends")))
    assert len(text) <= MAX_LENGTH
    assert text.startswith("Traceback")
    assert "it begins" in text
    assert text.rstrip().endswith("and it ends")
    assert "characters left out" in text


def test_the_answer_of_a_proxy_is_bounded(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(lambda _: answer({"message": "x" * 100_000}, 502))
    with pytest.raises(Exception, match="502"):
        client.chat.complete(model="m", messages=[{"role": "user", "content": "x"}])
    assert len(spans.pop_one()["error"]) <= MAX_LENGTH


@given(st.text(), st.integers(0, 30_000))
def test_whatever_the_message_the_text_is_bounded(message: str, times: int) -> None:
    assert len(error_text_of(ValueError(message * min(times, 30_000 // max(1, len(message)))))) <= MAX_LENGTH


# With a masking function


@pytest.mark.usefixtures("masked")
def test_masked_an_error_is_its_type_its_status_and_its_places(spans: LoggedSpans, make_client: MakeClient) -> None:
    client = make_client(lambda _: answer({"message": SECRET}, 404))
    with pytest.raises(Exception, match=SECRET):
        client.chat.complete(model="m", messages=[{"role": "user", "content": "x"}])
    error = spans.pop_one()["error"]
    first, *places = error.splitlines()
    assert first.endswith("SDKError (status 404)")
    assert all(line.startswith('  File "') and ", line " in line and ", in " in line for line in places)
    assert any(line.endswith(", in complete") for line in places)


@pytest.mark.usefixtures("masked")
@pytest.mark.parametrize("make", FAMILY)
def test_masked_nothing_that_belongs_to_an_error_is_repeated(make: Callable[[BaseException], BaseException]) -> None:
    text = error_text_of(make(KeyError("oven")))
    assert "oven" not in text
    assert SECRET not in text
    assert "KeyError" in text
    assert ("ValueError" in text) is (make is not with_note)


@pytest.mark.usefixtures("masked")
def test_masked_errors_that_are_their_own_causes_end() -> None:
    error, other = ValueError(SECRET), KeyError(SECRET)
    error.__cause__, other.__cause__ = other, error
    assert errors.error_text_of(error).splitlines() == ["ValueError", "Caused by: KeyError"]


EXECUTION: Json = {
    "object": "entry",
    "type": "tool.execution",
    "id": "t1",
    "name": "web_search",
    "arguments": "{}",
    "info": {"result": f"Error executing tool web_search: no {SECRET}"},
}


def conversation(*outputs: Json) -> Json:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    return {"object": "conversation.response", "conversation_id": "c1", "outputs": list(outputs), "usage": usage}


@pytest.mark.parametrize(
    ("is_masked", "expected"),
    [(False, f"Error executing tool web_search: no {SECRET}"), (True, "Error executing tool web_search")],
)
def test_masked_a_tool_that_failed_says_which_it_is(
    is_masked: bool, expected: str, spans: LoggedSpans, make_client: MakeClient, request: pytest.FixtureRequest
) -> None:
    if is_masked:
        request.getfixturevalue("masked")
    make_client(lambda _: answer(conversation(EXECUTION))).beta.conversations.start(inputs="x")
    _, (tool,) = spans.pop_tree()
    assert tool["error"] == expected


@pytest.mark.usefixtures("masked")
def test_masked_an_error_that_the_api_reports_is_its_code() -> None:
    assert api_error_text(SECRET, 3000) == "Error (code 3000)"
    assert api_error_text(SECRET, None) == "Error"
    assert tool_error_text(SECRET, "bake") == "Error executing tool bake"


def test_unmasked_it_is_its_message_too() -> None:
    assert api_error_text("No flour", 3000) == "No flour (code 3000)"
    assert api_error_text(["No flour"], None) == "['No flour']"
    assert tool_error_text("No flour", "bake") == "No flour"
    assert json.loads(tool_error_text('{"token": "TOPSECRET", "n": 1}', "bake")) == {"token": "REDACTED", "n": 1}


# The type of an error


class _RefusedError(Exception):
    """Has a message of several lines, which look like others."""

    def __init__(self, message: str = "Refused\nKeyError: oven") -> None:
        super().__init__(message)
        self.status_code = 429


def types_without_and_with_mask(error: BaseException) -> list[str | None]:
    """Return the type of an error by its text, and by the one that it has where a masking function is set."""
    types = [error_type_of(error_text_of(error))]
    braintrust.set_masking_function(lambda value: value)
    try:
        return [*types, error_type_of(error_text_of(error))]
    finally:
        braintrust.set_masking_function(None)


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (raising, ValueError("no oven"), "ValueError"),
        (raising, ValueError(), "ValueError"),
        (raising, _RefusedError(), "tests.test_errors._RefusedError"),
        (raising, ValueError(MAX_LENGTH * "x"), "ValueError"),
        (raising, ValueError(f"The oven says:\n{error_text_of(raising(KeyError('flour')))}"), "ValueError"),
        (raising, json.JSONDecodeError("no JSON", "{", 1), "json.decoder.JSONDecodeError"),
        *((make, KeyError("oven"), "KeyError") for make in (with_note, with_cause, with_context)),
        (in_group, KeyError("oven"), "ExceptionGroup"),
    ],
)
def test_the_type_of_an_exception_is_its_name(
    make: Callable[[BaseException], BaseException], error: BaseException, name: str
) -> None:
    assert types_without_and_with_mask(make(error)) == [name, name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (api_error_text("No flour", 3000), "3000"),
        (api_error_text("No flour (code red) today", "no_flour"), "no_flour"),
        (api_error_text("No flour", None), None),
        (tool_error_text("Error executing tool bake: no oven", "bake"), None),
        ("Error", None),
        ("Error: no oven", None),
        ("The oven.Then: nothing", None),
        ("", None),
        ("mistralai.extra.exceptions.MCPException: no oven", "mistralai.extra.exceptions.MCPException"),
        ("ValueError: no oven", "ValueError"),
    ],
)
def test_the_type_of_what_has_no_traceback_is_its_code_or_what_it_begins_with(text: str, expected: str | None) -> None:
    assert error_type_of(text) == expected
