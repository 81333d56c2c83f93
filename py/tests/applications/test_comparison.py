"""The same application with the overlay and without: ours shows at least what the SDK's own integration shows.

`test_comparison_application` runs twice, each time against a Mistral and a Braintrust of its own. Every span of the
SDK's own must be among ours: in its place, with its name and type, input and output, metrics, metadata and error.
`MEANT` lists where ours differs, and why.

What no two runs share, such as ids, the answers tell: where Mistral said one thing to the first run and another to the
second, the comparison takes the one for the other. Of durations and their ends it asks only that they are there.
"""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from unittest.mock import ANY

import pytest
from braintrust.integrations import mistral as integration

from braintrust_mistral.local import LocalBraintrust, LocalMistral
from braintrust_mistral.local.mistral.media import png
from tests.applications.test_comparison_application import WAV, base64_text
from tests.conftest import run_application
from tests.helpers.features import TYPES_TOOLS, WRITES_ALIASES, has
from tests.helpers.wire import Json


try:
    from mistralai.client import models
except ImportError:
    from mistralai import models  # 1.x


APPLICATION = Path(__file__).with_name("test_comparison_application.py")
TIMES = {"start", "end", "duration", "time_to_first_token"}
ABSENT: Any = ...


def attachment(content_type: str, filename: str, content: bytes) -> Json:
    """An attachment's reference, with what was uploaded as the key."""
    return {"type": "braintrust_attachment", "content_type": content_type, "filename": filename, "key": content}


Difference: TypeAlias = tuple[str, str, Any, Any]
"""The call, the path in its spans, what the SDK's own shows there, and what ours shows instead."""


class Row(NamedTuple):
    """Differences of one kind: patterns of where they are, what the SDK's own shows there, what ours, and the reason.

    `ANY` is anything but `ABSENT`. A function makes of what the SDK's own shows what ours shows. `is_here` tells
    whether the installed versions show it at all.
    """

    calls: str
    path: str
    own: Any
    ours: Any
    reason: str
    is_here: bool = True

    def covers(self, difference: Difference) -> bool:
        call, path, own, ours = difference
        if not (self.is_here and re.fullmatch(self.calls, call) and re.fullmatch(self.path, path)):
            return False
        if (own is ABSENT, ours is ABSENT) != (self.own is ABSENT, self.ours is ABSENT) or own != self.own:
            return False
        return ours == (self.ours(own) if callable(self.ours) else self.ours)


def rewritten(pattern: str, replacement: str) -> Any:
    return lambda own: re.sub(pattern, replacement, own)


STREAMS = r"mistral\.(chat|agents|fim)\.\w*stream\w*: "
CONVERSATION_STREAMS = r"mistral\.beta\.conversations\.\w+_stream\w*: .*"
SPEECH = r"mistral\.audio\.speech\.\w+: "
SPEAKS = has("audio.speech")
# In any case those of the log probabilities, where models keep these.
SHOWS_ATTRIBUTES = not WRITES_ALIASES or hasattr(models, "ChatCompletionResponseTokenLogprobs")
WAV_FILE, PNG_FILE = attachment("audio/wav", "audio.wav", WAV), attachment("image/png", "image.png", png())
WAV_PART = {"type": "file", "file": {"filename": "audio.wav", "file_data": WAV_FILE}}
BINARY = "application/octet-stream"

ON_THE_WIRE = "a field has its name on the wire, not that of the SDK's attribute"
INLINE_MEDIA = "inline media become attachments, wherever they are"
SNIFFED = "sound is of the type that it begins like, and its name tells that"
NOT_SET = "the SDK's own takes its mark for what is not set as text"
AS_UNSTREAMED = "a streamed call logs the same as the same call unstreamed"

MEANT = (
    Row(".*", "output/.*", None, ABSENT, "what the API left out, or sent as null, is left out"),
    Row(".*", "(in|out)put/.*prefix", False, ABSENT, "a default of the SDK's models, which the API did not send"),
    Row(".*", ".*/(bytes|format)_", ANY, ABSENT, ON_THE_WIRE, SHOWS_ATTRIBUTES),
    Row(".*", ".*/(bytes|format)", ABSENT, ANY, ON_THE_WIRE, SHOWS_ATTRIBUTES),
    Row(".*", r"metadata/tools/\d+", ANY, lambda own: {**own, "type": "function"}, "with its type", not TYPES_TOOLS),
    Row(".*: parsed", "metadata/.*/schema", None, ANY, "the SDK's own loses the schema", not WRITES_ALIASES),
    Row(".*", ".*ed_at", ANY, rewritten("(.+) (.+)[+]00:00", r"\1T\2Z"), "a time is written as Mistral writes it"),
    Row(".*", ".*/result", ANY, rewritten('sig=[^&"]+', "sig=REDACTED"), "a signature is a secret"),
    Row(".*", "error/(data|raw_response)", ANY, ABSENT, "an error is a text: its message, below the traceback"),
    Row(".*", "error/headers", ANY, ABSENT, "no header is logged"),
    Row(".*: error-event", "error/message", ANY, ABSENT, "what a validation error echoes of its input is not logged"),
    Row(".*: (broken|error-event)", "output", ABSENT, ANY, "what came before an error is logged, too"),
    Row(".*: media", "input/.*/content/5", ANY, WAV_PART, "a recording is a file, as a document is"),
    Row(".*: object-arguments", "output/.*/arguments", ANY, json.dumps, "arguments are JSON text, as OpenAI has them"),
    Row(SPEECH + ".*", "output/.*_type", BINARY, "audio/wav", SNIFFED, SPEAKS),
    Row(SPEECH + ".*", "output/.*filename", ANY, "generated_speech.wav", SNIFFED, SPEAKS),
    Row(SPEECH + ".*", ".*/ref_audio", base64_text(WAV), WAV_FILE, INLINE_MEDIA, SPEAKS),
    Row(".*ocr.*", ".*/image_base64", ANY, PNG_FILE, INLINE_MEDIA),
    Row(SPEECH + "streamed.*", "output/(file|audio_size_bytes)", ABSENT, ANY, AS_UNSTREAMED, SPEAKS),
    Row(STREAMS + ".*", "metadata/object", "chat.completion.chunk", "chat.completion", AS_UNSTREAMED),
    Row(STREAMS + ".*", r"output/0/message/tool_calls/\d/index", ABSENT, ANY, AS_UNSTREAMED),
    Row(STREAMS + ".*", "output/0/message/content", "", None, AS_UNSTREAMED),
    Row(STREAMS + "(citations|thinking)", "output/0/message/content", ANY, ANY, AS_UNSTREAMED),
    Row(STREAMS + "(parallel-functions|tools)", ".*/content", ANY, rewritten("~.*", ""), NOT_SET),
    Row(CONVERSATION_STREAMS, r"output/\d/(created|completed)_at", ABSENT, ANY, AS_UNSTREAMED),
    Row(CONVERSATION_STREAMS, r"output/\d/content", ANY, ANY, AS_UNSTREAMED),
    Row(CONVERSATION_STREAMS, r"output/\d/name", ANY, rewritten(r"^(.+?)\1+$", r"\1"), "pieces repeat the whole name"),
)
"""What ours shows otherwise, on purpose."""


class Span(NamedTuple):
    kind: tuple[str, str | None]
    row: Json
    children: "list[Span]"


class Run(NamedTuple):
    """What came of a run: what traced which methods, what Mistral answered to each call, and the call's spans."""

    module: str
    methods: set[str]
    answers: Json
    calls: dict[str, list[Span]]


def run(folder: Path, switch: str) -> Run:
    """Run the application to its end, which is also when it sends its last spans."""
    with LocalMistral(pace=0.0) as mistral, LocalBraintrust() as bt:
        process = run_application(
            APPLICATION.read_text(encoding="utf-8"), folder, mistral, bt, BRAINTRUST_MISTRAL_OVERLAY=switch
        )
        assert process.stderr == ""
        rows = replaced(bt.spans(), bt.attachments)
    printed = json.loads(process.stdout)
    calls = {call.kind[0]: call.children for call in spans(rows, None)}
    return Run(printed["module"], set(printed["methods"]), printed["answers"], calls)


def replaced(value: Any, replacements: Mapping[Any, Any]) -> Any:
    """A value with those inside replaced that are named here."""
    if isinstance(value, dict):
        return {key: replaced(item, replacements) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, replacements) for item in value]
    return replacements.get(value, value)


def spans(rows: list[Json], parent: str | None) -> list[Span]:
    """The spans below another, or below none, in the order in which they were opened."""
    below = [(row["span_attributes"], row) for row in rows if (row.get("span_parents") or [None]) == [parent]]
    below.sort(key=lambda item: item[0]["exec_counter"])
    return [Span((about["name"], about.get("type")), row, spans(rows, row["span_id"])) for about, row in below]


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


Found: TypeAlias = Iterator[tuple[str, Any, Any]]


def differences(own: Run, ours: Run) -> Iterator[Difference]:
    """What the SDK's own run shows and ours does not, call by call."""
    said: dict[Any, Any] = {}
    for call, answer in own.answers.items():
        pairs = zip(leaves(answer), leaves(ours.answers[call]), strict=True)
        said |= {one: other for one, other in pairs if one != other or one in said}
        for path, shown, instead in in_spans(own.calls[call], ours.calls[call], said):
            yield call, path.partition("/")[2], shown, instead


def in_spans(own: list[Span], ours: list[Span], said: dict[Any, Any], above: str = "") -> Found:
    rest = list(ours)
    for span in own:
        here = f"{above}{span.kind[0]}/"
        twin = next((each for each in rest if each.kind == span.kind), None)
        if twin is None:
            yield here, span.kind, ABSENT
        else:
            rest.remove(twin)
            yield from in_row(replaced(span.row, said), twin.row, here)
            yield from in_spans(span.children, twin.children, said, here)


def in_row(own: Json, ours: Json, here: str) -> Found:
    for field in ("input", "output"):
        yield from in_values(own.get(field, ABSENT), ours.get(field, ABSENT), here + field)
    for field in ("metadata", "metrics"):
        for key, shown in own.get(field, {}).items():
            instead = ours.get(field, {}).get(key, ABSENT)
            if key not in TIMES or instead is ABSENT:
                yield from in_values(shown, instead, f"{here}{field}/{key}")
    # The SDK's own logs the exceptions of Mistral's SDK as objects, and others as texts.
    error = own.get("error") or {}
    for key, shown in error.items() if isinstance(error, dict) else [("message", error)]:
        if str(shown) not in ours.get("error", ""):
            yield f"{here}error/{key}", shown, ABSENT


def in_values(own: Any, ours: Any, path: str) -> Found:
    if isinstance(own, list) and isinstance(ours, list) and len(own) == len(ours):
        own, ours = dict(enumerate(own)), dict(enumerate(ours))
    if isinstance(own, dict) and isinstance(ours, dict) and own.get("type") == ours.get("type"):
        for key in own | ours:
            yield from in_values(own.get(key, ABSENT), ours.get(key, ABSENT), f"{path}/{key}")
    elif own != ours:
        yield path, own, ours


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The SDK's own run and ours, at the same time."""
    with ThreadPoolExecutor() as pool:
        own, ours = pool.map(run, (tmp_path_factory.mktemp(name) for name in ("own", "ours")), ("0", "1"))
    return own, ours


def test_every_method_that_both_trace_is_called(runs: tuple[Run, Run]) -> None:
    own, ours = runs
    assert Path(ours.module).parent == Path(str(integration.__file__)).parent != Path(own.module).parent
    assert own.calls.keys() == ours.calls.keys() == own.answers.keys()
    assert own.methods <= ours.methods & {call.partition(":")[0] for call in own.calls}


def test_ours_shows_all_that_the_sdks_own_shows(runs: tuple[Run, Run]) -> None:
    surprises = [each for each in differences(*runs) if not any(row.covers(each) for row in MEANT)]
    assert not surprises, "\n".join(map(str, surprises))


def test_all_that_is_meant_occurs(runs: tuple[Run, Run]) -> None:
    found = list(differences(*runs))
    assert not [row for row in MEANT if row.is_here and not any(row.covers(each) for each in found)]
