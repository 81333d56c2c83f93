import base64

import pytest
from braintrust.integrations.mistral.media import base64_attachment, bytes_attachment

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


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param((WAV, "audio/wav", "audio.wav"), id="of a known type, however short"),
        pytest.param((bytes(1_000), "application/octet-stream", "document.bin"), id="long, whatever it holds"),
    ],
)
def test_base64_is_an_attachment(expected: tuple[bytes, str, str]) -> None:
    assert with_media(base64_attachment(base64.b64encode(expected[0]).decode())) == expected


@pytest.mark.parametrize("text", ["", "song", "https://example.org/a.wav", "UklGR", "ünicode", "x" * 1_001])
def test_what_is_no_base64_or_may_be_a_word_is_none(text: str) -> None:
    assert base64_attachment(text) is None
