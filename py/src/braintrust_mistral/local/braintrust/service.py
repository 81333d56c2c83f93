"""A local Braintrust: the endpoints that the `braintrust` package needs to log in, to send spans and attachments."""

import asyncio
import json
import secrets
import threading
import uuid
from collections.abc import Callable
from typing import Literal, TypeAlias

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from braintrust_mistral.local.braintrust.store import TraceStore
from braintrust_mistral.local.braintrust.totals import mean_scores
from braintrust_mistral.local.braintrust.traces import Trace
from braintrust_mistral.local.json_types import Json
from braintrust_mistral.local.page.routes import page_routes
from braintrust_mistral.local.sdk import ORGANIZATION, forget_login
from braintrust_mistral.local.server import LocalServer, until_gone


API_KEY = "local-braintrust-key"
KEPT_ATTACHMENT_BYTES = 128 * 1024 * 1024
EXPECTED_UPLOADS = 10_000
"""How many addresses for uploads stay valid."""
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""How large a request may be where the key is checked; the SDK sends some six megabytes at once."""

_ORGANIZATION_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, ORGANIZATION))

Outage: TypeAlias = Literal["errors", "held", "silent"]
"""A way for Braintrust to be out of order: it answers with a 500, or not yet, or never."""


class LocalBraintrust(LocalServer):
    """A Braintrust on loopback that keeps what it gets.

        with LocalBraintrust() as bt:
            os.environ.update(bt.environment())
            logger = braintrust.init_logger(project="demo")
            ...
            braintrust.flush()
            bt.spans()

    Any API key logs in, unless there is one of its own. Projects and experiments come into being when they are named.
    Setting `outage` puts it out of order, until that is `None` again: then the requests that were held are answered,
    and those that came in silence are not. Before `start()` it takes connections and says nothing. Its `page_url` in a
    browser is the page of its traces.

    Args:
        port: 0 takes a free one.
        api_key: the only key to accept, for requests to this machine by its own names; other requests are refused.
        namespace: what makes the ids of projects and experiments those of this Braintrust.
        on_rows: called with rows as they arrive, in the server's thread.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str | None = None,
        namespace: str = _ORGANIZATION_ID,
        on_rows: Callable[[list[Json]], None] | None = None,
    ) -> None:
        self.store = TraceStore()
        """The traces, put together as their rows come."""
        self.attachments: dict[str, bytes] = {}
        """The uploaded attachments, by the key in their reference: the latest, up to `KEPT_ATTACHMENT_BYTES`."""
        self.outage: Outage | None = None
        """How it is out of order, if it is; holds for the requests that come from then on."""
        self.outage_at = "/"
        """What the paths begin with that are out of order: all of them, or `/attachment`, or `/logs3`."""
        self.arrived = 0
        """How many requests came, answered or not."""
        self.object_ids: set[str] = set()
        """The ids of the projects and experiments that were named."""
        self._namespace = uuid.UUID(namespace)
        self._api_key = api_key
        self._on_rows = on_rows
        self._expected: dict[str, None] = {}
        self._lock = threading.Lock()
        super().__init__(self._routes(), port, around=self._around)

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which an application logs here, and nowhere else."""
        return {
            "BRAINTRUST_API_KEY": self._api_key or API_KEY,
            "BRAINTRUST_APP_URL": self.url,
            "BRAINTRUST_APP_PUBLIC_URL": self.url,
            "BRAINTRUST_API_URL": self.url,
            "BRAINTRUST_PROXY_URL": self.url,
            "BRAINTRUST_ORG_NAME": ORGANIZATION,
        }

    @property
    def rows(self) -> list[Json]:
        """The rows as they arrived, in order; a span is several."""
        return self.store.rows()

    @property
    def page_url(self) -> str:
        """Where a browser finds the page of the traces; whoever has this address may see them."""
        return self.url if self._api_key is None else f"{self.url}/?key={self._api_key}"

    def spans(self) -> list[Json]:
        """Return the spans, in the order in which their first rows arrived, to read and not to change."""
        return self.store.spans()

    def traces(self) -> list[Trace]:
        """Return the traces, in the order in which their first rows arrived: spans, totals, and the thread."""
        return self.store.traces()

    def clear(self) -> None:
        """Forget all rows and attachments."""
        self.store.clear()
        with self._lock:
            self.attachments.clear()

    @override
    def stop(self) -> None:
        """Stop serving; the SDK in this process, if it is logged in here, logs in anew when it is used again."""
        super().stop()
        forget_login(self.url)

    def _routes(self) -> list[Route]:
        """Return the endpoints of both SDK generations; applications find the app's and the API's at one address here.

        0.30 registers projects and experiments with the app (`/api/...`), 0.47 with the API (`/v1/...`).
        """
        return [
            Route("/api/apikey/login", self._login, methods=["POST"]),
            Route("/api/project/register", self._register_project, methods=["POST"]),
            Route("/api/experiment/register", self._register_experiment, methods=["POST"]),
            Route("/v1/project", self._create_project, methods=["POST"]),
            Route("/v1/experiment", self._create_experiment, methods=["POST"]),
            Route("/v1/experiment/{experiment_id}/summarize", self._summarize, methods=["GET"]),
            Route("/experiment-comparison2", self._summarize, methods=["GET"]),
            Route("/api/base_experiment/get_id", self._base_experiment, methods=["POST"]),
            # What the SDK prints as the address of an experiment or a span.
            Route("/app/{path:path}", self._to_the_page, methods=["GET"]),
            Route("/version", self._version, methods=["GET"]),
            Route("/logs3", self._log, methods=["POST"]),
            Route("/attachment", self._sign_upload, methods=["POST"]),
            Route("/attachment/status", self._upload_status, methods=["POST"]),
            Route("/attachment/{key}", self._upload, methods=["PUT"]),
            *page_routes(self.store.numbered_rows, self.attachments.get),
        ]

    def _around(self, app: ASGIApp) -> ASGIApp:
        if self._api_key is None:
            return self._suffering(app)
        # Browsers send pages of others here under those pages' names.
        return TrustedHostMiddleware(self._guarding(self._suffering(app), self._api_key), ["127.0.0.1", "localhost"])

    def _guarding(self, app: ASGIApp, api_key: str) -> ASGIApp:
        cookie = f"braintrust_mistral_{self.port}"

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope)
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            # An upload has no key; its address is what was told to someone who had one.
            is_upload = request.method == "PUT" and scope["path"].removeprefix("/attachment/") in self._expected
            response: ASGIApp = app
            if request.method == "GET" and _same(request.query_params.get("key", ""), api_key):
                # The key leaves the browser's address bar and its history.
                response = RedirectResponse("/")
                response.set_cookie(cookie, api_key, httponly=True, samesite="strict")
            elif not is_upload and not any(_same(key, api_key) for key in (bearer, request.cookies.get(cookie, ""))):
                response = Response("another API key", 401)
            elif request.method != "GET" and "content-length" not in request.headers:
                response = Response("of unknown length", 411)
            elif int(request.headers.get("content-length", 0)) > MAX_REQUEST_BYTES:
                response = Response("too large", 413)
            await response(scope, receive, send)

        return serve

    def _suffering(self, app: ASGIApp) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            self.arrived += 1
            outage = self.outage if scope["path"].startswith(self.outage_at) else None
            if outage == "errors":
                await Response("out of order", 500)(scope, receive, send)
            elif outage == "silent":
                await until_gone(receive)
            else:
                # Set by another thread, which an event of the loop could not be.
                while outage == "held" and self.outage == "held":  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                await app(scope, receive, send)

        return serve

    async def _login(self, _: Request) -> Response:
        addresses = {"api_url": self.url, "proxy_url": self.url}
        return JSONResponse({"org_info": [{"id": _ORGANIZATION_ID, "name": ORGANIZATION, **addresses}]})

    async def _register_project(self, request: Request) -> Response:
        return JSONResponse({"project": self._named((await _body(request))["project_name"])})

    async def _create_project(self, request: Request) -> Response:
        return JSONResponse(self._named((await _body(request))["name"]))

    async def _register_experiment(self, request: Request) -> Response:
        body = await _body(request)
        experiment = self._named(body.get("experiment_name") or "experiment")
        return JSONResponse({"project": self._named(body.get("project_name") or "project"), "experiment": experiment})

    async def _create_experiment(self, request: Request) -> Response:
        return JSONResponse(self._named((await _body(request)).get("name") or "experiment"))

    async def _to_the_page(self, _: Request) -> Response:
        return RedirectResponse("/")

    async def _summarize(self, request: Request) -> Response:
        experiment_id = request.path_params.get("experiment_id") or request.query_params.get("experiment_id")
        spans = [span for span in self.spans() if span.get("experiment_id") == experiment_id]
        return JSONResponse({"scores": mean_scores(spans), "metrics": {}})

    async def _base_experiment(self, _: Request) -> Response:
        return JSONResponse(None)

    async def _version(self, _: Request) -> Response:
        # Without `logs3_payload_max_bytes` the SDK never takes the detour over the object store for large payloads.
        return JSONResponse({"version": "local"})

    def _named(self, name: str) -> Json:
        """Return a project or an experiment: the same id for the same name."""
        object_id = str(uuid.uuid5(self._namespace, name))
        self.object_ids.add(object_id)
        return {"id": object_id, "name": name}

    async def _log(self, request: Request) -> Response:
        content = await request.body()
        rows: list[Json] = json.loads(content)["rows"]
        self.store.add(rows, len(content))
        if self._on_rows is not None:
            self._on_rows(rows)
        return JSONResponse({"ids": [row["id"] for row in rows]})

    async def _sign_upload(self, request: Request) -> Response:
        key = (await _body(request))["key"]
        self._expected[key] = None
        if len(self._expected) > EXPECTED_UPLOADS:
            del self._expected[next(iter(self._expected))]
        return JSONResponse({"signedUrl": f"{self.url}/attachment/{key}", "headers": {}})

    async def _upload(self, request: Request) -> Response:
        content = await request.body()
        with self._lock:
            self.attachments[request.path_params["key"]] = content
            kept = sum(map(len, self.attachments.values()))
            while kept > KEPT_ATTACHMENT_BYTES:
                kept -= len(self.attachments.pop(next(iter(self.attachments))))
        return Response()

    async def _upload_status(self, _: Request) -> Response:
        return JSONResponse({})


def _same(given: str, key: str) -> bool:
    return secrets.compare_digest(given.encode(), key.encode())


async def _body(request: Request) -> Json:
    # The SDK sends rows without a content type.
    body: Json = json.loads(await request.body())
    return body
