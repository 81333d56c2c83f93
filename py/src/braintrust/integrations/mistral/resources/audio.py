"""What transcriptions and generated speech log: the audio as an attachment, the text, the seconds."""

import base64
import mimetypes
from collections.abc import Mapping
from typing import Any

from braintrust.span_types import SpanTypeAttribute

from ..faults import guarded
from ..media import bytes_attachment, media_type_of
from ..operations import Operation, Outcome, Request
from ..payloads import Loggable, is_given, to_loggable, without_none
from ..settings import settings
from .audio_stream import SpeechAccumulator, TranscriptionAccumulator
from .reading import (
    fields_of,
    finish_error,
    from_loggable,
    readable_bytes,
    request_metadata,
    request_reader,
    response_metadata,
    with_stream,
)
from .shapes import file_fields
from .usage import usage_metrics


_AUDIO = {"file", "file_url", "file_id"}


def read_transcription_request(arguments: Mapping[str, Any]) -> Request:
    """Return what the arguments of `complete` or `stream` log: the file, its URL or its id, and the parameters."""
    content = without_none({name: to_loggable(arguments.get(name), name) for name in ("file_url", "file_id")})
    if is_given(arguments.get("file")) and settings().content:
        content["file"] = _file(arguments["file"])
    metadata = request_metadata(arguments, _AUDIO)
    return Request(content, with_speaker_references(metadata, arguments))


def with_speaker_references(metadata: dict[str, Loggable], arguments: Mapping[str, Any]) -> dict[str, Loggable]:
    """Return the metadata of a request with the voices of the speakers, if these are given, as attachments.

    They stand under the names of speakers, which do not say that their values are base64.
    """
    voices = arguments.get("speaker_references")
    if not isinstance(voices, Mapping):
        return metadata
    return {**metadata, "speaker_references": {str(name): to_loggable(voices[name], "ref_audio") for name in voices}}


@from_loggable
def read_transcription(response: dict[str, Loggable]) -> Outcome:
    """Return what a `TranscriptionResponse` logs."""
    segments = response.get("segments")
    metadata = {
        "language": response.get("language"),
        "finish_reason": response.get("finish_reason"),
        "segments_count": len(segments) if isinstance(segments, list) else None,
        "segments": segments or None,
    }
    return Outcome(
        output=response.get("text"),
        metadata={**response_metadata(response), **without_none(metadata)},
        metrics=usage_metrics(response.get("usage")),
        error=finish_error(response.get("finish_reason")),
    )


def read_speech(response: Any, request: Request) -> Outcome:
    """Return what a `SpeechResponse` logs: its audio as an attachment, of the type that was asked for."""
    fields = fields_of(response)
    usage = to_loggable(fields.get("usage"))
    about = response_metadata({"usage": usage})
    if not settings().content:
        return Outcome(metadata=about, metrics=usage_metrics(usage))
    data = base64.b64decode(fields["audio_data"])
    audio_format = request.metadata.get("response_format")
    content_type = audio_type(audio_format) if isinstance(audio_format, str) else media_type_of(data)
    output: dict[str, Loggable] = {"type": "audio", "mime_type": content_type, "audio_size_bytes": len(data)}
    # A stream may end before any audio: there is no file to upload.
    if data:
        output["file"] = file_fields(bytes_attachment(data, content_type, stem="generated_speech"))
    return Outcome(output, about, usage_metrics(usage))


def audio_type(audio_format: str) -> str:
    """Return the MIME type of what the API calls a format of audio, such as `mp3`."""
    return "audio/mpeg" if audio_format == "mp3" else f"audio/{audio_format}"


@guarded(fallback="<unreadable file>")
def _file(file: Any) -> Loggable:
    """Return the `File` of a transcription, a model or a dict, as an attachment."""
    fields = fields_of(file)
    # The SDK also takes dicts with the names of the wire.
    name = _first_given(fields, "file_name", "fileName")
    content = _first_given(fields, "content", "")
    content_type = _first_given(fields, "content_type", "Content-Type")
    data = readable_bytes(content)
    if data is None:
        named = {"file_name": name, "content": content, "content_type": content_type}
        return without_none({key: to_loggable(value) for key, value in named.items()}) or to_loggable(file)
    name = name if isinstance(name, str) else None
    return bytes_attachment(data, content_type or mimetypes.guess_type(name or "")[0], name)


def _first_given(fields: Mapping[str, Any], *names: str) -> Any:
    return next((fields[name] for name in names if is_given(fields.get(name))), None)


TRANSCRIPTIONS = {
    method: Operation(
        f"mistral.audio.transcriptions.{method}",
        SpanTypeAttribute.LLM,
        with_stream(read_transcription_request, streams=accumulator is not None),
        read_transcription,
        accumulator,
    )
    for method, accumulator in (("complete", None), ("stream", TranscriptionAccumulator))
}
"""The traced methods of `client.audio.transcriptions`."""

SPEECH = {
    "complete": Operation(
        "mistral.audio.speech.complete",
        SpanTypeAttribute.LLM,
        with_stream(request_reader("input")),
        read_speech,
        SpeechAccumulator,
    )
}
"""The traced methods of `client.audio.speech`; with `stream=True` the one method streams."""
