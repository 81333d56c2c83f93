"""What the installed mistralai has, of what not every supported version has: tests ask for it, never for a version."""

import operator
import typing
from io import IOBase

import pydantic
import pytest

from tests.helpers.wire import answer, client_of


try:
    from mistralai.client import models
    from mistralai.client.utils.eventstreaming import EventStream
except ImportError:  # 1.x
    from mistralai import models
    from mistralai.utils.eventstreaming import EventStream


def has(path: str) -> bool:
    """Tell whether a client has a resource, or a method of one, by its path: `"audio.speech"`."""
    try:
        operator.attrgetter(path)(client_of(lambda _: answer({})))
    except AttributeError:
        return False
    return True


def needs(path: str) -> pytest.MarkDecorator:
    """Skip a test where a client lacks a resource, or a method of one."""
    return pytest.mark.skipif(not has(path), reason=f"this mistralai has no {path}")


def keeps(model: str, field: str) -> bool:
    """Tell whether a model of the SDK keeps a field: what it drops cannot be traced."""
    return field in getattr(models, model).model_fields


def _wraps_event(kind: str) -> bool:
    try:
        models.ConversationEvents.model_validate({"event": kind, "data": {"type": kind}})
    except pydantic.ValidationError:
        return False
    return True


WRAPS_UNKNOWN = _wraps_event("croissant.layer.done")
"""Whether an event of a type that the SDK does not know is wrapped; else reading it raises."""

WRAPS_INVALID = _wraps_event("tool.execution.done")
"""Whether an event or a chunk that the SDK knows, and cannot validate, is wrapped as one that it does not know."""

STREAMS_CLOSE = hasattr(EventStream, "close")
"""Whether a stream has a `close`."""

TAKES_ANY_FILE = IOBase in typing.get_args(models.File.model_fields["content"].annotation)
"""Whether a file to send may be any open one, and not only bytes or a buffered reader."""

WRITES_ALIASES = models.JSONSchema(name="town", schema_definition={}).model_dump()["schema"] is not None
"""Whether a model is written with the names of the wire; else a field of another name is lost, or has that name."""

TYPES_TOOLS: bool = models.Tool.model_fields["type"].default == "function"
"""Whether a tool of a completion gets its type where the application leaves it out."""

TYPES_TOOL_CALLS: bool = models.ToolCall.model_fields["type"].default == "function"
"""Whether a tool call of a completion gets its type where the API leaves it out."""
