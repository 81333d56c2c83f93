"""Shows a web application that streams a conversation to the browser: `python -m examples.web_app`.

Two visitors ask the same question. One reads the answer to its end, the other leaves half-way. FastAPI cancels what it
does for a visitor who has left; the stream of Mistral is closed with it, and both traces are whole: that of the second
has the text that had arrived by then.
"""

import http.client
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import braintrust
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.routing import Mount

from braintrust_mistral.local.server import LocalServer
from examples.services import Services, services
from examples.web_search import QUESTION, text


def application(here: Services, roots: list[Any]) -> FastAPI:
    """Return the application; it adds the span of each visit to `roots`."""
    app = FastAPI()
    conversations = here.client.beta.conversations

    @app.get("/ask")
    async def ask(question: str) -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        return StreamingResponse(answer(question), media_type="text/plain")

    async def answer(question: str) -> AsyncIterator[str]:
        with braintrust.start_span(name="GET /ask", input=question) as root:
            roots.append(root)
            model, tools = here.model("web-search"), [{"type": "web_search"}]
            stream = await conversations.start_stream_async(model=model, inputs=question, tools=tools)
            sources: list[str] = []
            async with stream as events:
                async for event in events:
                    yield text(event, sources)

    return app


def visit(port: int, most: int | None = None) -> str:
    """Ask as a browser does, and return the answer: its first bytes, at `most` so many, or all of it."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/ask?question={quote(QUESTION)}")
    answer = connection.getresponse().read(most)
    connection.close()
    return answer.decode()


def main() -> None:
    """Serve two visitors, and show the traces of both visits."""
    with services() as here:
        braintrust.auto_instrument()
        braintrust.init_logger(project="mistral web app")
        roots: list[Any] = []
        with LocalServer([Mount("/", app=application(here, roots))]) as server:
            print("read to the end:", visit(server.port))
            print("left half-way:  ", visit(server.port, most=20))
        whole, half = roots
        here.show(whole)
        here.show(half, "mistral.beta.conversations.start_stream")


if __name__ == "__main__":
    main()
