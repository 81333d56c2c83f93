"""A Mistral that always gives the same answers: those that the local Mistral gave when it was first asked."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import pytest


try:
    from mistralai.client import Mistral
    from mistralai.client.utils import serializers
except ImportError:
    from mistralai import Mistral  # 1.x
    from mistralai.utils import serializers

try:
    import httpx2 as httpx
except ImportError:
    import httpx


class _Answer(NamedTuple):
    status: int
    kind: str
    content: bytes
    breaks: bool


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer, an event at a time."""

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        for event in self._answer.content.split(b"\n\n"):
            yield event + b"\n\n"
        if self._answer.breaks:
            raise httpx.RemoteProtocolError("the connection broke")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


class Replay:
    """The answers to one application, in the order in which it asks: recorded in its first run, and then replayed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._answers: list[_Answer] = []
        self._position = 0

    def client(self) -> Any:
        """Return a client that gets these answers, from the first on; sync and async calls share them."""
        self._position = 0

        async def answer_async(request: Any) -> Any:
            return self._answer(request)

        return Mistral(
            api_key="local",
            server_url=self._url,
            client=httpx.Client(transport=httpx.MockTransport(self._answer)),
            async_client=httpx.AsyncClient(transport=httpx.MockTransport(answer_async)),
        )

    @contextlib.contextmanager
    def changed(self, change: Callable[[bytes], bytes]) -> Iterator[None]:
        """Have other contents for as long as the block lasts."""
        recorded = self._answers
        self._answers = [answer._replace(content=change(answer.content)) for answer in recorded]
        try:
            yield
        finally:
            self._answers = recorded

    def _answer(self, request: Any) -> Any:
        if self._position == len(self._answers):
            self._answers.append(_recorded(request))
        answer = self._answers[self._position]
        self._position += 1
        return httpx.Response(answer.status, headers={"content-type": answer.kind}, stream=_Body(answer))


def _recorded(request: Any) -> _Answer:
    headers = {name: request.headers[name] for name in ("content-type", "accept") if name in request.headers}
    content, breaks = b"", False
    with (
        httpx.Client(trust_env=False) as http,
        http.stream(request.method, str(request.url), headers=headers, content=request.content) as response,
    ):
        try:
            for part in response.iter_raw():
                content += part
        except httpx.RemoteProtocolError:
            breaks = True
        return _Answer(response.status_code, response.headers.get("content-type", ""), content, breaks)


def remember_models(patch: pytest.MonkeyPatch) -> None:
    """Have the SDK make a pydantic model for each type once, and not for each event: most of its time goes there."""
    make: Callable[..., Any] = vars(serializers)["create_model"]
    made: dict[tuple[str, Any], Any] = {}

    def create_model(name: str, **fields: Any) -> Any:
        try:
            key = (name, fields["body"][0])
            if key not in made:
                made[key] = make(name, **fields)
            return made[key]
        except TypeError:
            # Not every type can be a key.
            return make(name, **fields)

    patch.setattr(serializers, "create_model", create_model)
