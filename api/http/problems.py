"""Errors as `application/problem+json` (RFC 9457): the one place where an error becomes an HTTP status.

Every error leaves by here, the framework's own 404, 405 and 422 included, so that a client needs one parser.
`code` and `type` are stable; `detail` is for people. A business outcome is never a 500.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.http.problem_codes import CODE_BY_STATUS, TITLES
from ledger_core import errors

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
"""A full-path reference (RFC 9457, 3.1.1): the same string on every host, and the API itself answers what it means."""

_log = logging.getLogger("counterfoil.api")

_STATUS_BY_ERROR: tuple[tuple[type[errors.CounterfoilError], int], ...] = (
    # The first that matches wins: the narrow before the wide.
    (errors.Unauthenticated, 401),
    (errors.NotAllowed, 403),
    (errors.Erased, 410),
    (errors.NotFound, 404),
    (errors.PreconditionFailed, 412),
    (errors.Conflict, 409),
    (errors.Refused, 422),
    (errors.DeliveryRefused, 400),
    (errors.InvalidInput, 422),
    (errors.TooManyRequests, 429),
    (errors.CannotRun, 503),
    # This book takes no writes until an operator mended it; nothing is wrong with the request.
    (errors.LedgerBehind, 503),
    (errors.SignerBehind, 503),
    (errors.IntegrityError, 500),
)


class ApiProblem(HTTPException):
    """What only HTTP can get wrong: a missing header, a wrong content type, a body that does not end."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        remedy: str | None = None,
        places: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(status_code=status, detail=detail, headers=dict(headers or {}))
        self.code = code
        self.remedy = remedy
        self.places = places
        self.extensions = extensions


def status_of(error: errors.CounterfoilError) -> int:
    """Return the HTTP status that `error` means."""
    return next((status for kind, status in _STATUS_BY_ERROR if isinstance(error, kind)), 500)


def document(
    status: int,
    code: str,
    detail: str,
    *,
    remedy: str | None = None,
    places: Sequence[Mapping[str, str]] = (),
    **extensions: Any,
) -> dict[str, Any]:
    """Return the members of one problem; `places` become `errors`, a list of pointer (or parameter) and detail."""
    problem: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": TITLES.get(code, code.replace("_", " ").capitalize()),
        "status": status,
        "code": code,
        "detail": detail,
    }
    if remedy:
        problem["remedy"] = remedy
    if places:
        problem["errors"] = list(places)
    problem.update(extensions)
    return problem


def document_of(error: errors.CounterfoilError, *, status: int | None = None) -> dict[str, Any]:
    """Return the problem that says what `error` says, without the members that belong to one request."""
    places = [] if error.pointer is None else [{"pointer": error.pointer, "detail": error.message}]
    extensions = {name: value for name, value in error.context.items() if _is_plain(value)}
    if isinstance(error, errors.DuplicateExternalId):
        extensions |= {"entry_id": error.entry_id, "identical": error.identical}
    return document(
        status or status_of(error), error.code, error.message, remedy=error.remedy, places=places, **extensions
    )


def respond(request: Request, problem: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Response:
    """Return `problem` as a response that names this request."""
    body = {**problem, "instance": request.url.path, "request_id": request.scope.get("request_id", "")}
    # A 404 may be kept by anybody between (RFC 9111, 4.2.2), and what is not there now may be in a moment.
    kept = {"cache-control": "no-store", **(headers or {})}
    return Response(orjson.dumps(body), status_code=problem["status"], media_type=MEDIA_TYPE, headers=kept)


def respond_to(request: Request, error: errors.CounterfoilError, *, status: int | None = None) -> Response:
    """Return the response to one of our own errors, `Retry-After` and `WWW-Authenticate` included."""
    problem = document_of(error, status=status)
    headers: dict[str, str] = {}
    wait = getattr(error, "retry_after_seconds", None)
    if wait is not None:
        headers["retry-after"] = str(max(1, round(wait)))
    if problem["status"] == 401:
        headers["www-authenticate"] = 'Bearer realm="counterfoil"'
    if problem["status"] >= 500 and not isinstance(error, errors.DependencyError):
        _log.error("request %s: %s", request.scope.get("request_id"), error)
    return respond(request, problem, headers=headers)


def install_handlers(app: FastAPI) -> None:
    """Give `app` the one table of handlers."""
    app.add_exception_handler(errors.CounterfoilError, _on_own_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(DataError, _on_data_error)
    for lost in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(lost, _on_database_lost)
    app.add_exception_handler(Exception, _on_anything_else)


async def _on_own_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.CounterfoilError)
    return respond_to(request, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, ApiProblem):
        problem = document(
            error.status_code, error.code, error.detail, remedy=error.remedy, places=error.places, **error.extensions
        )
        return respond(request, problem, headers=error.headers)
    code = CODE_BY_STATUS.get(error.status_code, f"http_{error.status_code}")
    detail = f"{request.method} {request.url.path}: {error.detail}."
    return respond(request, document(error.status_code, code, detail), headers=error.headers)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = [_place(item["loc"], item["msg"]) for item in error.errors()]
    first = places[0] if places else {"detail": "the request is not valid"}
    named = first.get("parameter") or first.get("pointer", "")
    return respond(request, document(422, "invalid_input", f"{named}: {first['detail']}.".lstrip(": "), places=places))


async def _on_database_lost(request: Request, error: Exception) -> Response:
    _log.error("request %s: the database did not answer: %s", request.scope.get("request_id"), error)
    lost = errors.DependencyError("The database did not answer.", remedy="Try again.", dependency="postgres")
    return respond_to(request, lost)


async def _on_data_error(request: Request, _error: Exception) -> Response:
    detail = "A parameter holds what the database cannot compare with, such as U+0000 or an id that is none."
    return respond(request, document(422, "invalid_input", detail))


async def _on_anything_else(request: Request, _error: Exception) -> Response:
    # The server logs the traceback: this handler runs outermost and the exception goes on to it.
    problem = document(500, "internal", "An error that nobody foresaw; its request_id is in the server's log.")
    return respond(request, problem)


def _place(location: Sequence[str | int], message: str) -> dict[str, str]:
    where, rest = str(location[0]), [str(part) for part in location[1:]]
    if where == "body":
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in rest)
        return {"pointer": pointer, "detail": message}
    return {"parameter": ".".join(rest), "in": where, "detail": message}


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, (str, int, bool)) for item in value)
    return value is None or isinstance(value, (str, int, bool))
