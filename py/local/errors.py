"""The errors that the local Mistral answers with, in the several shapes of the API."""

from local.answers import Failure


class RefusedError(Exception):
    """A request that is answered with an HTTP error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.body)
        self.failure = failure


def error(status: int, message: str, code: int = 3001) -> Failure:
    """An error of the conversations endpoints; code 3000 is the server's fault, 3001 the request's."""
    return Failure(status, {"object": "Error", "message": message, "type": "invalid_request_error", "code": code})


def validation_error(kind: str, location: list[str | int], message: str, value: object = None) -> Failure:
    """A body that does not validate: the same list twice, as `detail` and as `message`."""
    problems = [{"type": kind, "loc": location, "msg": message, "input": value}]
    body = {"object": "Error", "detail": problems, "message": problems, "type": "invalid_request_error", "code": 3001}
    return Failure(422, body)


FAILURES = (
    Failure(401, {"detail": "Unauthorized"}),
    error(403, "Request blocked by guardrail moderation_llm_v2: violence_and_threats", code=3201),
    validation_error("extra_forbidden", ["body", "tools"], "Extra inputs are not permitted", []),
    # Rate limits answer in the chat endpoint's shape: a small "error", and the code a string.
    Failure(
        429,
        {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": None, "code": "1300"},
    ),
    error(500, "Response failed during handoff orchestration", code=3000),
)
