"""Small pictures and sounds, made when they are needed."""

import base64
import io
import math
import struct
import wave
import zlib


SAMPLE_RATE = 8_000


def png() -> bytes:
    """Return a picture: a colour that gets brighter from left to right."""
    width, height = 24, 16
    row = b"\0" + b"".join(bytes((30, 90, 255 * x // width)) for x in range(width))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * height)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, content) for kind, content in chunks)


def pcm() -> bytes:
    """Return a tone of a quarter of a second: 16-bit samples of one channel."""
    samples = range(SAMPLE_RATE // 4)
    return b"".join(struct.pack("<h", int(9_000 * math.sin(2 * math.pi * 440 * n / SAMPLE_RATE))) for n in samples)


def wav() -> bytes:
    """Return the tone as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        written.writeframes(pcm())
    return file.getvalue()


def base64_text(content: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(content).decode()


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
