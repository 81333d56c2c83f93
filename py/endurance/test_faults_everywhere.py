"""A fault at every one of our own functions in turn: the application does not notice, and its spans end.

Two kinds of functions are found while the applications run without a fault: those that a run never comes to, and those
that the application, the Mistral client or the interpreter calls itself, so that nothing of ours is above them.
"""

import os
import sys
import sysconfig
import threading
from types import FrameType
from typing import Any, NamedTuple

import braintrust
import pytest

from braintrust_mistral.local import LocalMistral
from endurance.applications import APPLICATIONS, Application, without_content
from endurance.injection import Place, broken, forget_results, functions, place_of
from endurance.job_applications import JOB_APPLICATIONS
from endurance.observation import Observed, observe
from endurance.plan import IS_FULL
from endurance.replay import Mistral, Replay
from endurance.run_applications import RUN_APPLICATIONS


FUNCTIONS = functions()

ONCE = frozenset(
    {
        "bounded.BoundedMap.__init__",
        "patchers.Resource.methods",
        "patchers.Resource.name",
        "patchers._method_patchers",
        "patchers._patchers_of",
        "patchers._resource_patcher",
        "patchers.on",
        "patching.MethodPatcher.mark_patched",
        "patching.MethodPatcher.patch",
        "patching.MethodPatchers.__init__",
        "patching.ResourcePatcher._patch_imported",
        "patching.ResourcePatcher.applies",
        "patching.ResourcePatcher.patch",
        "patching.ResourcePatcher.patch.<lambda>",
        "patching._renew_lock",
        "redaction._read_backwards",
        "redaction._search_table",
        "redaction._value_table",
        "resources.completions._operations",
        "resources.model_calls.with_llm_spans",
        "resources.reading.from_loggable",
        "resources.reading.request_reader",
        "resources.reading.with_stream",
        "resources.retrieval._search_reader",
        "resources.retrieval._searches",
        "tracing.around.around",
        "tracing.around.around_async",
        "tracing.calls.traced",
        "tracing.calls.traced_async",
        "tracing.downloads.upload_wrappers",
        "tracing.downloads.wrappers",
        "tracing.handover.prepare",
        "tracing.mcp_sessions.traced_sessions",
        "tracing.sessions.traced_connect",
        "traced_methods.TracedMethods.all_wrappers",
    }
)
"""What fails while the integration is imported has the overlay fall back to the SDK's own, as its tests show, and what
fails when an application uses a resource leaves that untraced.

Patching runs with the first client-side run, too, and what renews a lock or begins anew in a forked child.
"""

NOT_TRACING = frozenset(
    {
        # A protocol, an abstract method, an accumulator that is given no events.
        "operations.Accumulator.first_output",
        "operations.Accumulator.arrivals",
        "operations.Accumulator.add",
        "operations.Accumulator.response",
        "operations.LiveAccumulator.end_call",
        "resources.chunks._Chunk.finish",
        "resources.realtime._Session._audio_format",
        "resources.realtime._Session.sent",
        "runs.runs._SteppedStream._step",
        "tracing.around.OngoingCall.returned",
        "tracing.downloads.Results.request",
        "tracing.arriving.Reader.add",
        "tracing.arriving.Reader.finish",
        "tracing.arriving.Reader.outcome",
        "tracing.sessions.Session.add",
        "tracing.sessions.Session.connected",
        "tracing.sessions.Session.finish",
        "tracing.sessions.Session.outcome",
        "tracing.sessions.Session.sent",
        "tracing.run_state.RunState.add",
        # For calls below a framework that counts tokens, and for the doctor.
        "tracing.counting.without_count",
        "patching.has_traced_class",
        # For whoever imports them.
        "genai.messages.format_input_message",
        "genai.messages.format_output_message",
        "genai.messages.format_output_entries",
        "genai.messages.format_tool_definition",
        "tracing.handover.Endable.end",
        "tracing.handover.Endable.end_call",
        "bounded.BoundedMap.__len__",
        "bounded.BoundedMap.clear",
        # What runs in a thread that has no frames to watch, or in the SDK's flush.
        "tracing.handover._flush",
        "tracing.handover._work",
        "tracing.streams._ignore",
        # For clients, streams and servers that are not as the SDK makes them.
        "patchers._trace_property",
        "patchers._trace_property.make_traced",
        "patching.MethodPatcher._outermost",
        "patching.MethodPatcher._outermost.call",
        "patching._called_from",
        "patching._called_from.awaited",
        "patching._called_from.call",
        "patching.traced_class.<lambda>",
        "resources.retrieval.session_tool",
        "resources.retrieval.session_tool.read_request",
        "tracing.mcp_sessions._SessionContext.__aenter__",
        "tracing.mcp_sessions._SessionContext.__aexit__",
        "tracing.mcp_sessions._SessionContext.__init__",
        "tracing.mcp_sessions._SessionContext._trace",
        "tracing.mcp_sessions._traced_context",
        "tracing.mcp_sessions.traced_sessions.call",
        # Of batches that have other endpoints than they know.
        "resources.batch_results._read_other_request",
        "resources.batch_results._read_other_response",
        "runs.functions._Execution.record_mcp_result",
        "runs.functions._record_mcp_result",
        "tracing.streams._Iterator.__init__",
        "tracing.streams._Iterator.__iter__",
        "tracing.streams._Iterator.__next__",
        "tracing.streams._Iterator.__getattr__",
        "tracing.streams._Iterator.close",
        "tracing.streams._AsyncIterator.__init__",
        "tracing.streams._AsyncIterator.__aiter__",
        "tracing.streams._AsyncIterator.__anext__",
        "tracing.streams._AsyncIterator.__getattr__",
        "tracing.streams._AsyncIterator.aclose",
        # For settings that nobody can understand.
        "settings._warn",
        # For payloads with secrets, and chunks that are not as the applications have them.
        "errors._without_quotes",
        "resources.earlier_turns.Conversation.up_to",
        "resources.model_calls._groups.<lambda>",
        "resources.model_calls._note",
        "resources.chunks.Arguments.are_followed_by",
        "resources.chunks.Arguments.has_begun",
        "resources.completion_stream._ToolCall.is_followed_by",
        "resources.shapes._named",
        # For streams that take longer, and whose entries come in another order than they stand, are over in another
        # order than they came, or are answered before they are over.
        "resources.conversation_stream.ConversationAccumulator._in_order.<lambda>",
        "resources.conversation_stream.ConversationAccumulator.end_call",
        "tracing.children._at_place",
        "tracing.spans.CallSpan.log_so_far",
        # For Braintrust's prompts, and for `parse`.
        "tracing.arguments._prompt",
        "tracing.parsing._Parse.__init__",
        "tracing.parsing._errors_on_the_answered_call",
        "tracing.parsing._trace_parse",
        "tracing.parsing._trace_parse_async",
        "tracing.spans.CallSpan._log_error",
        "tracing.spans.CallSpan.log_error",
        "payloads._field_key",
        "payloads._is_schema",
        "payloads._reader_of.<lambda>",
        "payloads._without_header_values",
        "redaction._bracket_end",
        "redaction._Text._signs",
        "redaction._left_out",
        "redaction._quoted_secret",
        "redaction._string_end",
        "redaction._value_of_key",
    }
)
"""What no application comes to."""

DEPENDS_ON_TIME = frozenset({"tracing.handover._call", "tracing.children._may_move"})
"""What an application may come to or not.

The one runs in the thread that waits for it, unless another was there first, which has no frames to watch; the other
where a stream took so long that its children have to be moved.
"""

GUARD = frozenset(
    {
        "faults.guarded",
        "faults.guarded.decorate",
        "faults.guarded.decorate.call",
        "faults.report_fault",
        "faults._origin",
    }
)
"""The guard itself: there is no second one."""

UNBROKEN = ONCE | NOT_TRACING | DEPENDS_ON_TIME | GUARD
"""What is not broken."""

PARTS_OF_CALLS = frozenset({"runs.runs.RunStream._step", "runs.runs._LeftOutStream._step"})
"""What the methods that are called from outside have in common."""

IN_FINALIZERS = frozenset({"tracing.spans.CallSpan.is_closed", "tracing.handover._lock", "tracing.handover.hand_over"})
"""A finalizer must not log, as it may run inside of a lock of logging: the interpreter reports what it raises."""

ENDS = frozenset(
    {
        "tracing.spans.CallSpan.close",
        "tracing.spans.CallSpan._finish",
        "tracing.spans._time_of_day",
        "tracing.streams.StreamLifecycle.end",
        "tracing.around._failed",
        "tracing.around._returned",
        "tracing.downloads._Download.failed",
        "tracing.downloads._Download.returned",
        "tracing.sessions._Opening.failed",
        "tracing.sessions._Opening.returned",
        "tracing.sessions._SessionLifecycle.end",
        "tracing.calls.TracedCall.failed",
        "tracing.calls.TracedCall.returned",
        "runs.runs._StreamedRun.returned",
        "runs.runs.Run.failed",
        "runs.runs.Run.returned",
        "runs.functions._Execution.failed",
        "runs.functions._Execution.returned",
        "tracing.handover.end_open",
    }
)
"""What has a span ended, and nothing else does: without it the span stays open."""

MAY_END_AGAIN = ("tool: ", "handoff", "chat ")
"""Function calls end when they are logged, and anew when their results are sent; children of a stream are moved."""

_LIBRARIES = (
    sysconfig.get_paths()["stdlib"] + os.sep,
    os.path.dirname(str(braintrust.__file__)) + os.sep,
)


class Case(NamedTuple):
    """An application with what it does where there is no fault.

    Attributes:
        untraced: what it sees without tracing.
        traced: what it sees and logs with it.
        reached: the functions of ours that it comes to.
        exposed: those of them that are called from outside.
    """

    application: Application
    replay: Replay
    untraced: Any
    traced: Observed
    reached: frozenset[Place]
    exposed: frozenset[Place]

    def observe(self, *, is_traced: bool) -> Observed:
        return observe(lambda: self.application(self.replay.client()), is_traced=is_traced)


@pytest.fixture(scope="module")
def cases(models_remembered: None) -> list[Case]:
    # What a test before this one had cached would look as if nothing came to it.
    forget_results()
    # Closed before the tests: they listen to all that this process has to say.
    with LocalMistral(pace=0.0) as mistral:
        return [
            _case(application, Replay(mistral.url))
            for application in [*APPLICATIONS, *RUN_APPLICATIONS, *JOB_APPLICATIONS]
        ]


def _case(application: Application, replay: Replay) -> Case:
    case = Case(application, replay, None, Observed(), frozenset(), frozenset())
    untraced = case.observe(is_traced=False)
    ours, reached, exposed = frozenset(FUNCTIONS.values()), set[Place](), set[Place]()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        place = place_of(frame.f_code)
        if place in ours:
            reached.add(place)
            caller = _caller(frame)
            if caller is None or "/integrations/mistral/" not in caller.f_code.co_filename:
                exposed.add(place)

    before = sys.gettrace()
    sys.settrace(note)
    threading.settrace(note)
    try:
        traced = case.observe(is_traced=True)
    finally:
        sys.settrace(before)
        threading.settrace(before)  # type: ignore[arg-type]
    return Case(application, replay, untraced.results, traced, frozenset(reached), frozenset(exposed))


def _caller(frame: FrameType) -> FrameType | None:
    """Return the frame that called a function, libraries in between aside."""
    caller = frame.f_back
    while caller is not None and _is_library(caller.f_code.co_filename):
        caller = caller.f_back
    return caller


def _is_library(file: str) -> bool:
    if "/integrations/mistral/" in file:
        return False
    return file.startswith(_LIBRARIES[1]) or (file.startswith(_LIBRARIES[0]) and "site-packages" not in file)


def test_without_a_fault_the_applications_see_what_they_see_untraced(cases: list[Case]) -> None:
    for case in cases:
        assert not isinstance(case.untraced, Exception), case.untraced
        assert case.traced.results == case.untraced
        assert (case.traced.warnings, case.traced.noise) == ([], [])
        assert all(ends == 1 or span.startswith(MAY_END_AGAIN) for span, ends in case.traced.ends.values())


@pytest.mark.skipif(
    not (hasattr(braintrust, "set_span_customizers") and "responses" in Mistral.__annotations__),
    reason="only with the newest SDKs there is something for every function to do",
)
def test_every_function_is_reached_or_it_is_known_why_not(cases: list[Case]) -> None:
    reached = frozenset[Place]().union(*(case.reached for case in cases))
    unreached = {name for name, place in FUNCTIONS.items() if place not in reached}
    assert not (lazy := unreached - UNBROKEN), f"no application reaches these: {sorted(lazy)}"
    assert not (busy := NOT_TRACING - unreached), f"an application reaches these: {sorted(busy)}"
    assert not (UNBROKEN | IN_FINALIZERS | ENDS) - FUNCTIONS.keys()


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in UNBROKEN])
def test_a_fault_at(name: str, cases: list[Case]) -> None:
    """The application sees the same, the fault is told once, and every span ends."""
    place = FUNCTIONS[name]
    meeting = [case for case in cases if place in case.reached]
    if not IS_FULL:
        meeting = meeting[:1]
    for case in meeting:
        with broken(place):
            observed = case.observe(is_traced=True)
        if name in PARTS_OF_CALLS or any(place in other.exposed for other in cases):
            _assert_told_by_others(observed, case)
        else:
            _assert_unnoticed(name, observed, case)


def _assert_told_by_others(observed: Observed, case: Case) -> None:
    """The fault is not swallowed: the application sees it, or it is told to whoever reads the process's errors."""
    assert observed.results != case.untraced or observed.noise or observed.warnings


def _assert_unnoticed(name: str, observed: Observed, case: Case) -> None:
    assert observed.results == case.untraced
    if name in IN_FINALIZERS:
        assert observed.noise
        return
    assert observed.noise == []
    faults = [str(record.exc_info[1]) for record in observed.warnings if record.exc_info]
    # A value that could not be made plain says so where it would have stood, if it is logged at all.
    says_so = case.application is without_content or "RuntimeError" in repr(observed.rows)
    assert faults == ["injected"] or (faults == [] and says_so)
    if name not in ENDS:
        for span, ends in observed.ends.values():
            assert ends == 1 or (ends == 2 and span.startswith(MAY_END_AGAIN)), span
