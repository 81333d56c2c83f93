"""A local Braintrust: the endpoints that the `braintrust` package needs to log in, to send spans and attachments."""

import asyncio
import json
import threading
import uuid
from typing import Literal, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from braintrust_mistral.local.braintrust.rows import spans_of
from braintrust_mistral.local.braintrust.traces import Trace, traces_of
from braintrust_mistral.local.mistral.answers import Json
from braintrust_mistral.local.page.data import NumberedRow
from braintrust_mistral.local.page.routes import page_routes
from braintrust_mistral.local.server import LocalServer, until_gone


API_KEY = "local-braintrust-key"
ORGANIZATION = "local"

_ORGANIZATION_ID = str(uuid.uuid5(uuid.NAMESPACE_DNS, ORGANIZATION))
_PROJECT_NAMESPACE = uuid.UUID(_ORGANIZATION_ID)

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

    Any API key logs in. Projects and experiments come into being when they are named. Setting `outage` puts it out of
    order, until that is `None` again: then the requests that were held are answered, and those that came in silence
    are not. Before `start()` it takes connections and says nothing. Its `url` in a browser is the page of its traces.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.rows: list[Json] = []
        """The rows as they arrived, in order; a span is several."""
        self.attachments: dict[str, bytes] = {}
        """The uploaded attachments, by the key in their reference."""
        self.outage: Outage | None = None
        """How it is out of order, if it is; holds for the requests that come from then on."""
        self.outage_at = "/"
        """What the paths begin with that are out of order: all of them, or `/attachment`, or `/logs3`."""
        self.arrived = 0
        """How many requests came, answered or not."""
        self._rows_arrived = 0
        self._lock = threading.Lock()
        super().__init__(self._routes(), port, around=self._suffering)

    def environment(self) -> dict[str, str]:
        """The environment variables with which an application logs here, and nowhere else."""
        return {
            "BRAINTRUST_API_KEY": API_KEY,
            "BRAINTRUST_APP_URL": self.url,
            "BRAINTRUST_APP_PUBLIC_URL": self.url,
            "BRAINTRUST_API_URL": self.url,
            "BRAINTRUST_PROXY_URL": self.url,
            "BRAINTRUST_ORG_NAME": ORGANIZATION,
        }

    def spans(self) -> list[Json]:
        """The spans, in the order in which their first rows arrived; see `spans_of`."""
        with self._lock:
            rows = list(self.rows)
        return spans_of(rows)

    def traces(self) -> list[Trace]:
        """The traces, in the order in which their first rows arrived: spans, totals, and the thread."""
        return traces_of(self.spans())

    def clear(self) -> None:
        """Forget all rows and attachments."""
        with self._lock:
            self.rows.clear()
            self.attachments.clear()

    def _routes(self) -> list[Route]:
        """The endpoints of both SDK generations; applications find the app's and the API's at one address here.

        0.30 registers projects and experiments with the app (`/api/...`), 0.47 with the API (`/v1/...`).
        """
        return [
            Route("/api/apikey/login", self._login, methods=["POST"]),
            Route("/api/project/register", self._register_project, methods=["POST"]),
            Route("/api/experiment/register", self._register_experiment, methods=["POST"]),
            Route("/v1/project", self._create_project, methods=["POST"]),
            Route("/v1/experiment", self._create_experiment, methods=["POST"]),
            Route("/version", self._version, methods=["GET"]),
            Route("/logs3", self._log, methods=["POST"]),
            Route("/attachment", self._sign_upload, methods=["POST"]),
            Route("/attachment/status", self._upload_status, methods=["POST"]),
            Route("/attachment/{key}", self._upload, methods=["PUT"]),
            *page_routes(self._numbered_rows, self.attachments.get),
        ]

    def _numbered_rows(self) -> list[NumberedRow]:
        with self._lock:
            return list(enumerate(self.rows, self._rows_arrived - len(self.rows) + 1))

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
        return JSONResponse({"project": _named((await _body(request))["project_name"])})

    async def _create_project(self, request: Request) -> Response:
        return JSONResponse(_named((await _body(request))["name"]))

    async def _register_experiment(self, request: Request) -> Response:
        body = await _body(request)
        experiment = _named(body.get("experiment_name") or "experiment")
        return JSONResponse({"project": _named(body.get("project_name") or "project"), "experiment": experiment})

    async def _create_experiment(self, request: Request) -> Response:
        return JSONResponse(_named((await _body(request)).get("name") or "experiment"))

    async def _version(self, _: Request) -> Response:
        # Without `logs3_payload_max_bytes` the SDK never takes the detour over the object store for large payloads.
        return JSONResponse({"version": "local"})

    async def _log(self, request: Request) -> Response:
        rows: list[Json] = (await _body(request))["rows"]
        with self._lock:
            self.rows += rows
            self._rows_arrived += len(rows)
        return JSONResponse({"ids": [row["id"] for row in rows]})

    async def _sign_upload(self, request: Request) -> Response:
        key = (await _body(request))["key"]
        return JSONResponse({"signedUrl": f"{self.url}/attachment/{key}", "headers": {}})

    async def _upload(self, request: Request) -> Response:
        content = await request.body()
        with self._lock:
            self.attachments[request.path_params["key"]] = content
        return Response()

    async def _upload_status(self, _: Request) -> Response:
        return JSONResponse({})


async def _body(request: Request) -> Json:
    # The SDK sends rows without a content type.
    body: Json = json.loads(await request.body())
    return body


def _named(name: str) -> Json:
    """A project or an experiment: the same id for the same name."""
    return {"id": str(uuid.uuid5(_PROJECT_NAMESPACE, name)), "name": name}
