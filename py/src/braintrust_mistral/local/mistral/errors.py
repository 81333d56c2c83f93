"""The errors that the local Mistral answers with, in the several shapes of the API."""

from braintrust_mistral.local.mistral.answers import Failure


class RefusedError(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.body)
        self.failure = failure


def error(status: int, message: str, code: int = 3001) -> Failure:
    """Return an error of the conversations endpoints; code 3000 is the server's fault, 3001 the request's."""
    return Failure(status, {"object": "Error", "message": message, "type": "invalid_request_error", "code": code})


def validation_error(kind: str, location: list[str | int], message: str, value: object) -> Failure:
    """Return a body that does not validate: the same list twice, as `detail` and as `message`."""
    problems = [{"type": kind, "loc": location, "msg": message, "input": value}]
    body = {"object": "Error", "detail": problems, "message": problems, "type": "invalid_request_error", "code": 3001}
    return Failure(422, body)


def api_error(status: int, message: str, kind: str, code: str) -> Failure:
    """Return an error of the endpoints beside the conversations: a small "error", and the code a string."""
    body = {"object": "error", "message": message, "type": kind, "param": None, "code": code}
    return Failure(status, body)


_UNAUTHORIZED = Failure(401, {"detail": "Unauthorized"})
_UNPROCESSABLE = validation_error("extra_forbidden", ["body", "tools"], "Extra inputs are not permitted", [])
# The conversations, too, tell of rate limits in the shape of the other endpoints.
_RATE_LIMITED = api_error(429, "Rate limit exceeded", "rate_limited", "1300")

FAILURES = (
    _UNAUTHORIZED,
    error(403, "Request blocked by guardrail moderation_llm_v2: violence_and_threats", code=3201),
    _UNPROCESSABLE,
    _RATE_LIMITED,
    error(500, "Response failed during handoff orchestration", code=3000),
)
"""What the conversations can fail with."""

API_FAILURES = (
    api_error(400, "Invalid model: mistral-none", "invalid_model", "1500"),
    _UNAUTHORIZED,
    api_error(403, "This model is not part of your plan", "forbidden", "1910"),
    api_error(404, "No such file", "not_found", "1404"),
    _UNPROCESSABLE,
    _RATE_LIMITED,
    api_error(500, "Internal server error", "internal_server_error", "1000"),
    api_error(503, "Service unavailable", "unreachable_backend", "1100"),
)
"""What the other endpoints can fail with."""
