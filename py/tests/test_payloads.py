import base64
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import io
import json
import math
import pathlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pydantic
import pytest
from braintrust.bt_json import bt_safe_deep_copy
from braintrust.integrations.mistral import payloads
from braintrust.integrations.mistral.payloads import MAX_DEPTH, is_given, to_loggable
from braintrust.integrations.mistral.secret_names import holds_headers, is_secret_name
from braintrust.logger import Attachment, BaseAttachment
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.hostile import HOSTILE, BrokenDict, BrokenKey, BrokenList, BrokenModel, BrokenUserDict
from tests.helpers.spans import with_media


try:
    from mistralai.client import models
    from mistralai.client.types import UNSET
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.types import UNSET


UTC = datetime.timezone.utc
PIXEL = b"\x89PNG\r\n\x1a\n\x00\xff"
PIXEL_URL = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"


def logged(value: Any) -> str:
    """Return a plain value as the SDK would write it: copied, with the attachments as references."""

    def reference(attachment: Any) -> Any:
        assert isinstance(attachment, BaseAttachment)
        return attachment.reference

    return json.dumps(bt_safe_deep_copy(value), default=reference)


def assert_loggable(value: Any) -> None:
    """Nothing but the types that `plain` promises, and the SDK's own copy changes nothing but NaN and infinity."""
    kind = type(value)
    if kind is dict:
        assert all(type(key) is str for key in value)
        for item in value.values():
            assert_loggable(item)
    elif kind is list:
        for item in value:
            assert_loggable(item)
    else:
        assert value is None or kind in (str, int, float, bool, Attachment)


# Models


def test_a_model_becomes_a_dict_of_the_fields_that_were_given_and_its_discriminators() -> None:
    assert to_loggable(models.MessageInputEntry(role="user", content="hello")) == {
        "object": "entry",
        "type": "message.input",
        "role": "user",
        "content": "hello",
    }


def test_a_models_field_that_is_none_or_unset_is_left_out() -> None:
    entry = models.FunctionCallEntry.model_validate(
        {"tool_call_id": "c1", "name": "add", "arguments": "{}", "completed_at": None, "created_at": None}
    )
    assert to_loggable(entry) == {
        "object": "entry",
        "type": "function.call",
        "tool_call_id": "c1",
        "name": "add",
        "arguments": "{}",
    }


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param({}, id="nothing reported"),
        pytest.param({"prompt_tokens": 3}, id="a part reported"),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, id="zeros reported"),
        pytest.param({"total_tokens": 9, "connector_tokens": 4, "connectors": {"web_search": 1}}, id="connectors"),
    ],
)
def test_usage_is_what_the_api_reported_without_the_zeros_that_the_sdk_fills_in(usage: dict[str, Any]) -> None:
    assert to_loggable(models.ConversationUsageInfo.model_validate(usage)) == usage


def test_a_models_field_goes_by_its_name_on_the_wire() -> None:
    assert to_loggable(models.JSONSchema(name="sum", schema_definition={"type": "object"})) == {
        "name": "sum",
        "schema": {"type": "object"},
    }


def test_what_a_model_keeps_beyond_its_fields_is_logged() -> None:
    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")

        name: str

    assert to_loggable(Open.model_validate({"name": "a", "later": {"n": 1}, "empty": None})) == {
        "name": "a",
        "later": {"n": 1},
        "empty": None,
    }


def test_models_inside_lists_and_dicts_become_plain_and_unset_never_shows() -> None:
    value = {"chunks": [models.TextChunk(text="a"), UNSET, {"chunk": models.TextChunk(text="b"), "gone": UNSET}]}
    assert to_loggable(value) == {
        "chunks": [{"type": "text", "text": "a"}, None, {"chunk": {"type": "text", "text": "b"}, "gone": None}],
    }


def test_the_plain_form_shares_no_container_with_what_it_was_made_from() -> None:
    inputs = [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    snapshot = to_loggable(inputs)
    inputs[0]["content"].append({"type": "text", "text": "b"})  # type: ignore[attr-defined]
    inputs.clear()
    assert snapshot == [{"role": "user", "content": [{"type": "text", "text": "a"}]}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"authorization": {"type": "api-key", "value": "secret"}}, {"authorization": "REDACTED"}),
        ({"tools": [{"authorization": "Bearer secret"}]}, {"tools": [{"authorization": "REDACTED"}]}),
        ({"authorization": None}, {"authorization": None}),
    ],
)
def test_what_lets_mistral_use_a_connector_is_not_logged(value: Any, expected: Any) -> None:
    assert to_loggable(value) == expected


@pytest.mark.skipif(not hasattr(models, "CustomConnector"), reason="this mistralai has no custom connectors")
def test_what_a_model_lets_mistral_use_a_connector_with_is_not_logged() -> None:
    connector = {"type": "connector", "connector_id": "c1", "authorization": {"type": "api-key", "value": "secret"}}
    plain_connector = to_loggable(models.CustomConnector.model_validate(connector))
    assert plain_connector == {"type": "connector", "connector_id": "c1", "authorization": "REDACTED"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"type": "mcp", "headers": {"Authorization": "Bearer secret", "X-Any": "secret"}},
            {"type": "mcp", "headers": {"Authorization": "REDACTED", "X-Any": "REDACTED"}},
        ),
        (
            {"tool_configuration": {"headers": [{"name": "X-Any", "value": "secret"}, ["X-Any", "secret"]]}},
            {"tool_configuration": {"headers": [{"name": "X-Any", "value": "REDACTED"}, ["X-Any", "REDACTED"]]}},
        ),
        (
            [{"AUTHORIZATION": "secret"}, {"x-api-key": b"secret"}],
            [{"AUTHORIZATION": "REDACTED"}, {"x-api-key": "REDACTED"}],
        ),
        ({"oauth": {"client": "secret"}, "token": ["secret"]}, {"oauth": "REDACTED", "token": "REDACTED"}),
        ({"env": [{"name": "API_KEY", "value": "secret"}]}, {"env": [{"name": "API_KEY", "value": "REDACTED"}]}),
        ({"arguments": '{"password": "secret", "n": 1}'}, {"arguments": '{"password": "REDACTED", "n": 1}'}),
        ({"a": {"b": [{"c": {"clientSecret": "secret"}}]}}, {"a": {"b": [{"c": {"clientSecret": "REDACTED"}}]}}),
        ({"x" * 99 + "_password": "secret"}, {"x" * 99 + "_password": "REDACTED"}),
    ],
)
def test_a_secret_is_not_logged_under_any_name_at_any_depth(value: Any, expected: Any) -> None:
    assert to_loggable(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 5, "usage": {"prompt_tokens": 3, "token_count": 1}, "next_page_token": "2"},
        {
            "parameters": {
                "type": "object",
                "properties": {"password": {"type": "string"}, "headers": {"type": "object"}},
            }
        },
        {"parameters": {"properties": {"token": {"anyOf": [{"type": "string"}]}}, "required": ["token"]}},
        {"logprobs": {"content": [{"token": "Bread", "logprob": -0.1, "top_logprobs": []}]}},
        {"headers": ["Name", "Age"], "extract_header": True, "header": "Bakery"},
        {"name": "flour", "value": "rye", "type": {"deep": 1}},
        {"properties": {"city": {"type": {"not": "hashable"}}}},
    ],
)
def test_what_is_called_like_a_secret_and_is_none_stays(value: Any) -> None:
    assert to_loggable(value) == value


def test_a_secret_is_none_of_a_parameters_schema_either() -> None:
    schema = {"properties": {"password": {"type": "string", "default": "secret", "examples": ["secret"]}}}
    redacted = {"type": "string", "default": "REDACTED", "examples": "REDACTED"}
    assert to_loggable(schema) == {"properties": {"password": redacted}}


@pytest.mark.parametrize(
    "value", [{"properties": {"password": {"value": "secret"}}}, {"properties": {"token": "secret"}}]
)
def test_properties_that_are_no_schema_keep_no_secret(value: Any) -> None:
    assert "secret" not in logged(to_loggable(value))


def test_what_a_model_keeps_beyond_its_fields_is_no_secret_either() -> None:
    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")

        headers: Any = None

    value = Open.model_validate({"headers": {"X": "secret"}, "api_key": "secret", "n": 1})
    assert to_loggable(value) == {"headers": {"X": "REDACTED"}, "api_key": "REDACTED", "n": 1}


# What is given


@pytest.mark.parametrize("value", ["", 0, False, {}, [], "x"])
def test_an_empty_value_is_given(value: Any) -> None:
    assert is_given(value)


@pytest.mark.parametrize("value", [None, UNSET])
def test_none_and_unset_are_not_given(value: Any) -> None:
    assert not is_given(value)


# Scalars


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Tool(str, enum.Enum):
    SEARCH = "web_search"


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class Count(int):
    __slots__ = ()


class Ratio(float):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Tool.SEARCH, "web_search"),
        (Text("text"), "text"),
        (Count(7), 7),
        (Ratio(0.5), 0.5),
        (10**40, 10**40),
        (True, True),
        (None, None),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/etc/passwd"), "/etc/passwd"),
        (datetime.datetime(2026, 3, 1, 12, 30, 5, 250000, tzinfo=UTC), "2026-03-01T12:30:05.250000Z"),
        (
            datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            "2026-03-01T12:30:00+02:00",
        ),
        (datetime.datetime(2026, 3, 1, 12, 30), "2026-03-01T12:30:00"),
        (datetime.date(2026, 3, 1), "2026-03-01"),
        (datetime.time(12, 30, tzinfo=UTC), "12:30:00Z"),
    ],
)
def test_a_scalar_becomes_what_json_has_for_it(value: Any, expected: Any) -> None:
    result = to_loggable(value)
    assert result == expected
    assert type(result) is type(expected)


def test_numbers_that_json_does_not_have_stay_and_the_sdk_copes_with_them() -> None:
    result = to_loggable([math.nan, math.inf, -math.inf])
    assert isinstance(result, list)
    assert math.isnan(result[0])  # type: ignore[arg-type]
    assert bt_safe_deep_copy(result) == ["NaN", "Infinity", "-Infinity"]


def test_keys_become_strings_and_keys_that_are_enums_their_values() -> None:
    assert to_loggable({1: "a", "b": "c", Tool.SEARCH: "d"}) == {"1": "a", "b": "c", "web_search": "d"}


# Containers


@dataclasses.dataclass
class Point:
    x: int
    where: Any = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, [2, (3,)]), [1, [2, [3]]]),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (collections.deque([1, 2]), [1, 2]),
        (collections.OrderedDict(a=collections.ChainMap({"b": 1})), {"a": {"b": 1}}),
        (Point(1, [Point(2)]), {"x": 1, "where": [{"x": 2, "where": None}]}),
    ],
)
def test_containers_that_can_be_read_twice_are_read(value: Any, expected: Any) -> None:
    assert to_loggable(value) == expected
    assert to_loggable(value) == expected


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda items: (item for item in items), "<generator>"),
        (iter, "<list_iterator>"),
        (lambda items: map(str, items), "<map>"),
        (lambda items: zip(items, items, strict=True), "<zip>"),
    ],
)
def test_an_iterator_is_named_and_not_consumed(make: Callable[[list[int]], Iterator[Any]], name: str) -> None:
    iterator, same = make([1, 2]), make([1, 2])
    assert to_loggable({"inputs": iterator}) == {"inputs": name}
    assert list(iterator) == list(same)


def test_a_file_is_named_and_not_read() -> None:
    file = io.BytesIO(b"content")
    assert to_loggable(file) == "<BytesIO>"
    assert file.tell() == 0


def test_functions_classes_and_other_objects_are_named_only() -> None:
    called: list[object] = []
    result = to_loggable(
        [called.append, print, Point, models.TextChunk, object(), contextlib, lambda: called.append(1)]
    )
    assert isinstance(result, list)
    assert all(isinstance(name, str) and name.startswith("<") and name.endswith(">") for name in result)
    assert called == []


def test_a_coroutine_is_named_and_still_to_be_awaited() -> None:
    async def answer() -> int:
        return 1

    coroutine = answer()
    assert to_loggable(coroutine) == "<coroutine>"
    with pytest.raises(StopIteration, match="1"):
        coroutine.send(None)


def test_ten_megabytes_of_text_are_passed_on_by_reference() -> None:
    for text in ("a" * 10_000_000, "ignored design " * 700_000):
        result = to_loggable({"inputs": [{"content": text}]})
        assert result["inputs"][0]["content"] is text  # type: ignore[index,call-overload]


# Things that fail


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_value_that_cannot_be_read_leaves_everything_around_it(make: Callable[[], Any]) -> None:
    result = to_loggable({"before": 1, "hostile": [make(), 2], "after": {"deep": [3]}})
    assert isinstance(result, dict)
    assert list(result) == ["before", "hostile", "after"]
    assert result["before"] == 1
    assert result["hostile"][1] == 2  # type: ignore[index,call-overload]
    assert result["after"] == {"deep": [3]}
    assert_loggable(result)
    assert logged(result)


def test_a_value_that_cannot_be_read_says_so() -> None:
    assert to_loggable(BrokenUserDict()) == "<unreadable BrokenUserDict: Broken>"


def test_a_key_that_cannot_be_read_costs_no_other_key() -> None:
    result = to_loggable({"inputs": "hello", BrokenKey(): 1})
    assert isinstance(result, dict)
    assert result["inputs"] == "hello"


def test_the_methods_of_a_model_are_not_called() -> None:
    assert to_loggable(BrokenModel()) == {"dough": "sour"}


def test_a_cycle_is_cut_where_it_closes_and_a_repetition_is_no_cycle() -> None:
    shared: list[Any] = [1]
    loop: dict[str, Any] = {"twice": [shared, shared]}
    loop["self"] = [loop]
    assert to_loggable(loop) == {"twice": [[1], [1]], "self": ["<dict that contains itself>"]}


def test_a_thousand_levels_are_cut_at_the_deepest_that_is_logged() -> None:
    deep: Any = "bottom"
    for level in range(1_000):
        deep = [deep] if level % 2 else {"a": deep}
    result = to_loggable(deep)
    for level in range(MAX_DEPTH):
        result = result[0] if level % 2 == 0 else result["a"]  # type: ignore[index,call-overload]
    assert result == f"<nested deeper than {MAX_DEPTH} levels>"
    assert logged(to_loggable(deep))


def test_what_is_just_deep_enough_is_whole() -> None:
    deep: Any = "bottom"
    for _ in range(MAX_DEPTH):
        deep = [deep]
    assert to_loggable(deep) == deep


# Media


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (PIXEL_URL, (PIXEL, "image/png", "image.png")),
        ("data:audio/mpeg;base64,SUQz", (b"ID3", "audio/mpeg", "audio.mp3")),
        ("data:application/pdf;base64,JVBERg==", (b"%PDF", "application/pdf", "document.pdf")),
        ("data:image/svg+xml,%3Csvg%2F%3E", (b"<svg/>", "image/svg+xml", "image.svg")),
        ("data:text/plain;charset=utf-8;base64,aMOp", (b"h\xc3\xa9", "text/plain", "document.txt")),
        ("data:text/plain;charset=utf-8,a,b", (b"a,b", "text/plain", "document.txt")),
        ("data:,a%20b", (b"a b", "text/plain", "document.txt")),
        ("data:;base64,", (b"", "text/plain", "document.txt")),
    ],
)
def test_a_data_url_becomes_an_attachment(url: str, expected: tuple[bytes, str, str]) -> None:
    assert with_media(to_loggable({"image_url": url})["image_url"]) == expected  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64,not base64!",
        "data:image/png;base64,AAA",
        "data:image/png;base64,\N{SNOWMAN}",
        "data:image/png;base64",
        "data: the plural of datum, as one says",
        "data:",
        "database.png, see data:image/png;base64,AAAA",
        "DATASET:image/png,x",
    ],
)
def test_an_invalid_data_url_stays_a_string(text: str) -> None:
    assert to_loggable({"image_url": text}) == {"image_url": text}


CHUNKS_WITH_MEDIA: tuple[Callable[[str], Any], ...] = (
    lambda url: {"type": "image_url", "image_url": url},
    lambda url: {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    lambda url: {"type": "document_url", "document_url": url},
    lambda url: {"type": "input_audio", "input_audio": url},
    lambda url: {"type": "tool_reference", "tool": "web_search", "title": "t", "url": url},
    lambda url: {"type": "tool_reference", "tool": "web_search", "title": "t", "favicon": url},
    lambda url: models.ImageURLChunk(image_url=url),
    lambda url: models.ImageURLChunk(image_url=models.ImageURL(url=url)),
    lambda url: models.DocumentURLChunk(document_url=url),
    lambda url: models.ToolReferenceChunk(tool="web_search", title="t", url=url),
    lambda url: models.ToolReferenceChunk(tool="web_search", title="t", favicon=url),
)


def attachments_in(value: Any) -> list[Attachment]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [found for item in value for found in attachments_in(item)]
    return [value] if isinstance(value, Attachment) else []


@pytest.mark.parametrize("make", CHUNKS_WITH_MEDIA)
def test_every_chunk_that_can_carry_a_url_can_carry_media(make: Callable[[str], Any]) -> None:
    entry = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, make(PIXEL_URL)]}
    (attachment,) = attachments_in(to_loggable([entry]))
    assert with_media(attachment) == (PIXEL, "image/png", "image.png")


@pytest.mark.parametrize(
    "value",
    [
        PIXEL_URL,
        [{"role": "user", "content": PIXEL_URL}],
        [{"role": "user", "content": [{"type": "text", "text": PIXEL_URL}]}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "data:,so"}]}],
        {"instructions": "data:,answer with a data URL"},
    ],
)
def test_what_a_model_reads_or_writes_as_text_stays_text(value: Any) -> None:
    assert to_loggable(value) == value


WAV_TEXT = base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()


@pytest.mark.parametrize(
    "value",
    [
        {"type": "input_audio", "input_audio": WAV_TEXT},
        {"type": "input_audio", "input_audio": {"data": WAV_TEXT, "format": "wav"}},
        {"role": "user", "audio": {"data": WAV_TEXT}},
        {"type": "audio", "data": WAV_TEXT, "mimeType": "audio/wav"},
        models.OCRImageObject.model_validate(
            {
                "id": "i",
                "top_left_x": 0,
                "top_left_y": 0,
                "bottom_right_x": 0,
                "bottom_right_y": 0,
                "image_base64": WAV_TEXT,
            }
        ),
    ],
)
def test_a_field_of_mistrals_with_base64_is_media(value: Any) -> None:
    (attachment,) = attachments_in(to_loggable(value))
    assert attachment.reference["content_type"] == "audio/wav"


class Sequence(pydantic.BaseModel):
    data: str = WAV_TEXT


@pytest.mark.parametrize(
    "value",
    [
        *({name: WAV_TEXT} for name in ("data", "image_base64", "audio_data", "input_audio", "ref_audio", "blob")),
        {"data": "ACGTACGT" * 1_000},
        {"image_base64": {"data": WAV_TEXT}},
        Sequence(data=WAV_TEXT),
    ],
)
def test_what_somebody_calls_like_that_is_text(value: Any) -> None:
    result = to_loggable(value)
    assert attachments_in(result) == []
    assert WAV_TEXT in logged(result) or "ACGT" in logged(result)


@pytest.mark.skipif(not hasattr(models, "UnknownContentChunk"), reason="this mistralai knows no unknown chunks")
@pytest.mark.parametrize("raw", [{"type": "video_url", "video_url": "https://example.com/a.mp4"}, "text", None])
def test_a_chunk_that_the_sdk_does_not_know_is_what_was_on_the_wire(raw: Any) -> None:
    unknown = models.UnknownContentChunk(raw=raw)
    assert to_loggable([unknown, {"chunk": unknown}]) == [raw, {"chunk": raw}]


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_raw_bytes_become_an_attachment_of_their_own_copy(make: Callable[[bytes], Any]) -> None:
    content = make(PIXEL)
    attachment = to_loggable({"file": content})["file"]  # type: ignore[index,call-overload]
    if isinstance(content, bytearray):
        content.clear()
    assert with_media(attachment) == (PIXEL, "image/png", "image.png")


def test_an_attachment_stays_the_one_it_is() -> None:
    attachment = Attachment(data=PIXEL, filename="image.png", content_type="image/png")
    assert to_loggable([attachment])[0] is attachment  # type: ignore[index,call-overload]


@pytest.mark.parametrize("name", ["/etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa", "./image.png", __file__])
@pytest.mark.parametrize("make", [*CHUNKS_WITH_MEDIA, lambda name: {"file": pathlib.Path(name)}])
def test_nothing_named_by_a_message_is_opened(name: str, make: Callable[[str], Any], accesses: list[str]) -> None:
    value = make(name)
    accesses.clear()
    result = to_loggable(value)
    assert accesses == []
    assert attachments_in(result) == []
    assert str(pathlib.PurePath(name)) in logged(result) or name in logged(result)


@pytest.mark.parametrize("make", CHUNKS_WITH_MEDIA)
def test_a_remote_url_stays_as_it_is(make: Callable[[str], Any]) -> None:
    url = "https://example.com/a%20b.png?size=2&design=3#top"
    assert json.dumps(url) in logged(to_loggable(make(url)))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda url: {"url": url}, id="in a dict"),
        pytest.param(lambda url: models.ImageURL(url=url), id="in a model"),
        pytest.param(lambda url: {"info": {"result": json.dumps({"url": url})}}, id="in json in a string"),
        pytest.param(lambda url: {"text": Text(url)}, id="in a subclass of str"),
        pytest.param(lambda url: {"content": [url]}, id="in a text"),
        pytest.param(lambda url: {url: "by url"}, id="in a key"),
    ],
)
def test_no_signature_passes_plain(make: Callable[[str], Any]) -> None:
    text = logged(to_loggable(make("https://example.com/a.png?se=1&sig=TOPSECRET%3D&sp=r")))
    assert "TOPSECRET" not in text
    assert "https://example.com/a.png?se=1&sig=REDACTED&sp=r" in text


@pytest.mark.parametrize("sign", ["&#61;", "&#x3D;", "&equals;"])
def test_no_signature_passes_whose_only_sign_is_an_entity(sign: str) -> None:
    text = "see https://example.com/a.png?sig{}{} and so on"
    assert to_loggable({"text": text.format(sign, "TOPSECRET")}) == {"text": text.format(sign, "REDACTED")}


# Any value


def ordinary(text: str) -> bool:
    """Whether a text has nothing that a secret or a data URL has."""
    return not any(mark in text for mark in "=%@\\{[") and not text.lstrip().startswith("data:")


def ordinary_name(name: str) -> bool:
    """Whether a key may have any value, and what has it any name."""
    return not is_secret_name(name) and not holds_headers(name) and name not in ("name", "key")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text().filter(ordinary)
JSON = st.recursive(
    SCALARS,
    lambda items: st.lists(items) | st.dictionaries(st.text().filter(ordinary).filter(ordinary_name), items),
    max_leaves=20,
)


@given(JSON)
def test_any_json_value_comes_back_equal(value: Any) -> None:
    result = to_loggable(value)
    assert result == value
    assert_loggable(result)


ANYTHING = st.recursive(
    SCALARS
    | st.binary()
    | st.datetimes()
    | st.floats()
    | st.text()
    | st.builds(lambda make: make(), st.sampled_from(list(HOSTILE.values())))
    | st.just(UNSET)
    | st.just(PIXEL_URL),
    lambda items: (
        st.lists(items)
        | st.tuples(items)
        | st.dictionaries(st.text() | st.integers() | st.none() | st.just(Tool.SEARCH), items)
        | st.lists(items).map(collections.deque)
        | st.lists(items).map(BrokenList)
        | st.dictionaries(st.text(), items).map(BrokenDict)
        | st.builds(Point, st.integers(), items)
        | items.map(lambda item: {"image_url": item, "content": [item]})
    ),
    max_leaves=20,
)


@given(ANYTHING)
def test_whatever_is_nested_in_whatever_the_result_can_be_logged(value: Any) -> None:
    result = to_loggable(value)
    assert_loggable(result)
    assert logged(result)


@given(ANYTHING)
def test_what_is_plain_stays_as_it_is(value: Any) -> None:
    result = to_loggable(value)
    assert repr(to_loggable(result)) == repr(result)


def test_the_readers_of_classes_made_at_run_time_are_not_kept_forever() -> None:
    for number in range(1_100):
        assert to_loggable(type(f"Made{number}", (), {})()) == f"<Made{number}>"
    info = payloads._reader_of.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize
