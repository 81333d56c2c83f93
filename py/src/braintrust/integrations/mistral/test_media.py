import base64

import pytest
from braintrust.logger import Attachment

from .media import base64_attachment, bytes_attachment, data_url_attachment


WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "


def held(attachment: Attachment | None) -> tuple[bytes, str, str]:
    """Return what an attachment holds."""
    assert attachment is not None
    return attachment.data, attachment.reference["content_type"], attachment.reference["filename"]


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
    assert held(bytes_attachment(data)) == (data, content_type, filename)


def test_a_given_type_and_name_win() -> None:
    assert held(bytes_attachment(WAV, "audio/x-wav")) == (WAV, "audio/x-wav", "audio.wav")
    assert held(bytes_attachment(WAV, filename="talk.bin")) == (WAV, "audio/wav", "talk.bin")


def test_base64_of_a_known_type_is_an_attachment_however_short() -> None:
    assert held(base64_attachment(base64.b64encode(WAV).decode())) == (WAV, "audio/wav", "audio.wav")


def test_long_base64_is_an_attachment_whatever_it_holds() -> None:
    data = bytes(1_000)
    assert held(base64_attachment(base64.b64encode(data).decode())) == (
        data,
        "application/octet-stream",
        "document.bin",
    )


@pytest.mark.parametrize("text", ["", "song", "https://example.org/a.wav", "UklGR", "ünicode", "x" * 1_001])
def test_what_is_no_base64_or_may_be_a_word_is_none(text: str) -> None:
    assert base64_attachment(text) is None


@pytest.mark.parametrize("url", ["data:", "data:image/png;base64,é", "data:image/png;base64,abc", "https://a.b/c"])
def test_what_is_no_valid_data_url_is_none(url: str) -> None:
    assert data_url_attachment(url) is None
