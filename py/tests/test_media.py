import base64

import braintrust
import pytest
from braintrust.integrations.mistral.media import base64_attachment, bytes_attachment, data_url_attachment

from tests.conftest import LoggedSpans
from tests.helpers.spans import with_media


WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "


@pytest.mark.parametrize(
    ("data", "content_type", "filename"),
    [
        (WAV, "audio/wav", "audio.wav"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp", "image.webp"),
        (b"RIFF\x24\x00\x00\x00AVI ", "application/octet-stream", "document.bin"),
        (b"ID3\x04", "audio/mpeg", "audio.mp3"),
        (b"\xff\xfb\x90", "audio/mpeg", "audio.mp3"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", "image.jpeg"),
        (b"%PDF-1.7", "application/pdf", "document.pdf"),
        (b"", "application/octet-stream", "document.bin"),
    ],
)
def test_bytes_are_of_the_type_that_they_begin_like(data: bytes, content_type: str, filename: str) -> None:
    assert with_media(bytes_attachment(data)) == (data, content_type, filename)


def test_a_given_type_and_name_win() -> None:
    assert with_media(bytes_attachment(WAV, "audio/x-wav")) == (WAV, "audio/x-wav", "audio.wav")
    assert with_media(bytes_attachment(WAV, filename="talk.bin")) == (WAV, "audio/wav", "talk.bin")


@pytest.mark.parametrize("length", [0, 10_000])
def test_base64_of_a_file_of_a_known_type_is_an_attachment(length: int) -> None:
    audio = WAV + bytes(length)
    assert with_media(base64_attachment(base64.b64encode(audio).decode())) == (audio, "audio/wav", "audio.wav")


@pytest.mark.parametrize(
    "text", ["", "song", "https://example.org/a.wav", "UklGR", "ünicode", "x" * 1_001, "ACGT" * 999]
)
def test_what_is_no_base64_or_of_no_known_type_is_none(text: str) -> None:
    assert base64_attachment(text) is None


PICTURE = b"\x89PNG\r\n\x1a\n" + b"\xfb\xff\xbe" * 100
LINES = base64.encodebytes(PICTURE).decode()
STRICT = base64.b64encode(PICTURE).decode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LINES, id="lines"),
        pytest.param(LINES.replace("\n", "\r\n"), id="lines of Windows"),
        pytest.param(f" {STRICT}", id="a space in front"),
        pytest.param(f"{STRICT}\n", id="a line's end"),
        pytest.param(base64.urlsafe_b64encode(PICTURE).decode(), id="letters of URLs"),
        pytest.param(STRICT.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"), id="escapes"),
    ],
)
@pytest.mark.parametrize("header", ["data:image/png;base64,", " data:image/png;base64,", "DATA:image/png;BASE64,", ""])
def test_base64_need_not_be_strict(header: str, text: str) -> None:
    read = data_url_attachment if header else base64_attachment
    assert with_media(read(header + text)) == (PICTURE, "image/png", "image.png")


@pytest.mark.parametrize(
    "url",
    ["data:" + ";" * 100_000, "data:," + "%" * 100_000, "data:" + "a" * 100_000 + ",", "data:;base64," + "=" * 9],
)
def test_what_is_no_data_url_that_anybody_makes_is_none(url: str) -> None:
    assert data_url_attachment(url) is None


def test_a_data_url_of_nothing_but_escapes_is_an_attachment() -> None:
    text = "Brot & Käse = 100 %".encode() * 2_000
    escaped = "".join(f"%{byte:02x}" for byte in text)
    assert with_media(data_url_attachment(f"data:text/plain,{escaped}")) == (text, "text/plain", "document.txt")
    assert with_media(data_url_attachment(f"data:text/plain;base64,{base64.b64encode(text).decode()}")) == (
        text,
        "text/plain",
        "document.txt",
    )


@pytest.mark.parametrize("text", ["width='100%'", "100%25 = 100%", "%zz", "a%", "%%41", "a%\nb", "%4"])
def test_what_is_no_escape_in_a_data_url_stays(text: str) -> None:
    data = text.replace("%25", "%").replace("%41", "A").encode()
    assert with_media(data_url_attachment(f"data:image/svg+xml,{text}")) == (data, "image/svg+xml", "image.svg")


def test_where_a_masking_function_is_set_names_of_files_are_made_from_their_types(spans: LoggedSpans) -> None:
    braintrust.set_masking_function(lambda value: value)
    try:
        assert with_media(bytes_attachment(WAV, filename="anna.wav")) == (WAV, "audio/wav", "audio.wav")
    finally:
        braintrust.set_masking_function(None)
    assert with_media(bytes_attachment(WAV, filename="anna.wav")) == (WAV, "audio/wav", "anna.wav")
