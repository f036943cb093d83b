"""One small ASGI middleware: a request id for every request, and its count and time by route template.

Written by hand because the label must be the template (`/finance/accounts/{code}`), never the path: a scanner must not
be able to make labels. It also refuses a query that says a name twice, before any route reads one of the two.
"""

from __future__ import annotations

import random
import re
import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.heads import name_said_twice
from api.http.problems import document, respond
from api.metrics import Metrics

UNROUTED = "(none)"
_GIVEN_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class Observe:
    """Give each request an id (the caller's, when it is a sane one) and tell `metrics` how it went."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _given_request_id(scope) or f"{random.getrandbits(96):024x}"
        scope["request_id"] = request_id
        header = (b"x-request-id", request_id.encode("ascii"))
        status = 500
        started_at = time.perf_counter()

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        self.metrics.requests_in_progress += 1
        try:
            twice = name_said_twice(scope["query_string"])
            app = self.app if twice is None else _refusal_of_a_name(scope, twice)
            await app(scope, receive, send_named)
        finally:
            self.metrics.requests_in_progress -= 1
            route = getattr(scope.get("route"), "path_format", None) or UNROUTED
            self.metrics.observe_request(scope["method"], route, status, time.perf_counter() - started_at)


def _given_request_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            return given if _GIVEN_REQUEST_ID.fullmatch(given) else None
    return None


def _refusal_of_a_name(scope: Scope, name: str) -> ASGIApp:
    """Return what answers a query that says `name` twice: two readers could go by two of its values."""
    detail = f"The query says {name[:80]!r} more than once."
    place = {"parameter": name[:80], "in": "query", "detail": detail}
    return respond(Request(scope), document(422, "invalid_input", detail, remedy="Say it once.", places=[place]))
