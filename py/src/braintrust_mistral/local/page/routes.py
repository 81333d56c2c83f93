"""The page live, as routes of the local Braintrust: `/`, and below `/page/` what it asks for while it is open."""

from collections.abc import Callable, Sequence

from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from braintrust_mistral.local.page import html
from braintrust_mistral.local.page.data import SHOWN_TYPES, NumberedRow, data_since, to_browser_json


_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# Beside the policy that the page itself has: elsewhere nothing of it is shown or run.
_PAGE_HEADERS = {**_HEADERS, "Content-Security-Policy": "frame-ancestors 'none'"}
_CONTENT_HEADERS = {**_HEADERS, "Content-Security-Policy": "default-src 'none'; sandbox"}


def page_routes(rows: Callable[[], Sequence[NumberedRow]], attachment: Callable[[str], bytes | None]) -> list[Route]:
    """Return the routes of the live page.

    Args:
        rows: what is kept now, in the order in which it arrived.
        attachment: the content of an attachment by its key, None where it has not arrived.
    """

    # None of these is a coroutine: Starlette runs them in threads, so that a large trace holds up no other request.
    def page(_: Request) -> Response:
        return HTMLResponse(html(live=True), headers=_PAGE_HEADERS)

    def changes(request: Request) -> Response:
        """Answer with what is new after `since`, which is the `latest` of the answer before, or 0."""
        since = request.query_params.get("since", "")
        data = data_since(rows(), int(since) if since.isdecimal() else 0)
        return Response(to_browser_json(data), media_type="application/json", headers=_HEADERS)

    def content(request: Request) -> Response:
        """Answer with an attachment, as of the `type` that its reference names where that is one to be shown."""
        found = attachment(request.query_params.get("key", ""))
        if found is None:
            return Response("no such attachment", 404, _CONTENT_HEADERS)
        named = request.query_params.get("type", "")
        if named in SHOWN_TYPES:
            return Response(found, media_type=named, headers=_CONTENT_HEADERS)
        headers = {**_CONTENT_HEADERS, "Content-Disposition": "attachment"}
        return Response(found, media_type="application/octet-stream", headers=headers)

    # A site whose name leads to this machine would else read the traces of whoever visits it.
    guard = [Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])]
    return [
        Route("/", page, methods=["GET"], middleware=guard),
        Route("/page/rows", changes, methods=["GET"], middleware=guard),
        Route("/page/attachment", content, methods=["GET"], middleware=guard),
    ]
