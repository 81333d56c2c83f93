import socket
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from braintrust_mistral.local import LocalMistral
from braintrust_mistral.local.mistral.wire_faults import HEADER, KINDS, WireFault
from tests.local.conftest import Http


PATHS = {"/v1/conversations": {"inputs": "Hello"}, "/v1/chat/completions": {"messages": [{"role": "user"}]}}


@pytest.fixture(params=PATHS)
def ask(request: pytest.FixtureRequest, mistral: LocalMistral) -> Any:
    """Ask for an answer that a fault strikes: its status, its type, and how it went on, piece by piece."""

    def post(fault: WireFault | str, *, stream: bool = True, timeout: float = 10) -> requests.Response:
        value = fault if isinstance(fault, str) else fault.header
        body = {"model": "plain", "stream": stream, **PATHS[request.param]}
        return requests.post(
            mistral.url + request.param, json=body, headers={HEADER: value}, stream=True, timeout=timeout
        )

    return post


def read(response: requests.Response) -> tuple[bytes, Exception | None]:
    """What arrived of a body, and how it ended."""
    content = b""
    try:
        for piece in response.iter_content(1):
            content += piece
    except requests.RequestException as error:
        return content, error
    return content, None


@pytest.mark.parametrize("kind", ["broken", "truncated"])
@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_stream_ends_in_the_middle_of_an_event(ask: Any, kind: str, after: int) -> None:
    """An event too few with an error, or with none."""
    content, error = read(ask(WireFault(kind, after)))
    *events, rest = content.split(b"\n\n")
    assert len(events) == after
    assert b"data: " in events[-1] if events else True
    assert rest
    assert (error is None) == (kind == "truncated")


@pytest.mark.parametrize("stream", [True, False])
def test_a_reset_is_one(ask: Any, stream: bool) -> None:
    """The operating system of the client says so, as early as it likes."""
    content = b""
    try:
        content, error = read(ask(WireFault("reset", 2), stream=stream))
    except requests.ConnectionError as raised:
        error = raised
    assert "ConnectionResetError" in str(error)
    assert content.count(b"\n\n") <= 2


@pytest.mark.parametrize("kind", ["malformed", "not-utf8"])
def test_an_event_is_spoiled_and_the_others_follow(ask: Any, kind: str) -> None:
    spoiled, error = read(ask(WireFault(kind, 2)))
    events = spoiled.split(b"\n\n")[:-1]
    assert error is None
    assert events[2].endswith(b"\xff\xfe") == (kind == "not-utf8")
    assert not events[2].endswith(b"}")
    assert all(event.endswith((b"}", b"[DONE]")) for event in events[:2] + events[3:])
    assert len(events) > 4


@pytest.mark.parametrize("kind", ["broken", "reset", "truncated", "malformed", "not-utf8"])
def test_a_whole_answer_is_half_of_it(ask: Any, kind: str) -> None:
    content, error = read(ask(WireFault(kind), stream=False))
    assert (error is None) == (kind in ("truncated", "malformed", "not-utf8"))
    assert not content.endswith(b"}")


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_of_the_wrong_type_is_otherwise_right(ask: Any, stream: bool) -> None:
    response = ask(WireFault("wrong-type"), stream=stream)
    content, error = read(response)
    assert response.headers["content-type"] == "text/html"
    assert content.rstrip().endswith((b"}", b"[DONE]"))
    assert error is None


def test_a_stalled_answer_goes_on_never(ask: Any) -> None:
    content, error = read(ask(WireFault("stalled", 2), timeout=0.2))
    assert content.count(b"\n\n") == 2
    assert "timed out" in str(error)


def test_a_silent_answer_never_comes(ask: Any) -> None:
    with pytest.raises(requests.ReadTimeout):
        ask(WireFault("silent"), timeout=0.2)


def test_a_service_is_unavailable_as_often_as_it_should_be(ask: Any) -> None:
    """Each call by itself."""
    for call in ("first", "second"):
        fault = WireFault("unavailable", times=2, call=f"{call} {id(ask)}")
        assert [ask(fault).status_code for _ in range(4)] == [503, 503, 200, 200]


def test_a_fault_may_strike_at_the_end(ask: Any) -> None:
    """The whole stream arrives, and no end of it."""
    content, error = read(ask(WireFault("broken", after=1000)))
    assert content.endswith(b"\n\n")
    assert error is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_is_read_as_it_is_written(kind: str) -> None:
    fault = WireFault(kind, 3, 2, "call-7")
    assert WireFault.from_header(fault.header) == fault
    assert WireFault.from_header(kind) == WireFault(kind)


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault"):
        WireFault.from_header("explosion")


@pytest.fixture
def silent_clients(mistral: LocalMistral) -> Iterator[list[socket.socket]]:
    clients = [socket.create_connection(("127.0.0.1", mistral.port)) for _ in range(3)]
    yield clients
    for client in clients:
        client.close()


def test_others_go_on_while_one_is_reset(ask: Any, http: Http, silent_clients: list[socket.socket]) -> None:
    """Of all connections that are open, only the one that asked for it is reset."""
    read(ask(WireFault("reset")))
    for client in silent_clients:
        client.sendall(b"GET /v1/conversations HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"
    assert http.get("/v1/conversations").status_code == 200
