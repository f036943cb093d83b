"""The OpenAPI document: complete, with examples, fit for SDK generators.

Bodies are parsed by the journal's strict functions, not by pydantic, so their shapes are declared here; every operation
also declares the problems that it can answer. Operation ids are the names of the functions.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.http.problems import MEDIA_TYPE
from api.schemas import accounts, common, entries, erasures, log

BODIES: tuple[type[BaseModel], ...] = (
    entries.JournalEntryDraft,
    entries.BatchDraft,
    entries.ReversalDraft,
    accounts.AccountDraft,
    accounts.AccountChange,
    log.VerifyRequest,
    log.RecordDraft,
    erasures.ErasureDraft,
    common.Problem,
)

_DESCRIPTION = """\
Every error is `application/problem+json` (RFC 9457) with a stable `code`.

Every POST that changes state needs `Idempotency-Key`: a value that is new for each thing to be done and the same for
each retry of it. A repeated request gets the first answer, byte for byte, with `Idempotent-Replayed: true`.

To try a request on this page, get a token by `counterfoil token`, press *Authorize* and paste it. The examples
work as they stand, from top to bottom, in the books that `counterfoil demo` makes; they write, so try them there alone.

Amounts are strings of digits in minor units. Lists are paged by opaque cursors; the next page is in `Link`. What a read
is based on stands in `state`: an entry is `pending` until a signature covers it, then `posted`.
"""

_PROBLEMS: dict[str, str] = {
    "400": "The request cannot be read, or lacks its Idempotency-Key.",
    "401": "Nobody vouches for the caller.",
    "403": "The caller lacks a scope.",
    "404": "There is no such thing.",
    "409": "Somebody was there first, or the first request with this key is still running (then with `Retry-After`).",
    "412": "`If-Match` names another version than the current one.",
    "413": "The body is larger than this route takes.",
    "415": "The body is not `application/json`.",
    "422": "The request can be read, and is not valid or the books forbid it.",
    "429": "More is waiting than this process takes; `Retry-After` says how long.",
    "503": "Something this service needs did not answer, or the signature is late; `Retry-After` says how long.",
}
_READ_PROBLEMS = ("401", "403", "404", "422", "503")
_DELIVERY_PROBLEMS = ("400", "413", "415", "429", "503")
_WRITE_PROBLEMS = ("400", "401", "403", "404", "409", "413", "415", "422", "429", "503")


def router_of(tag: str) -> APIRouter:
    """Return a router whose operations stand under `tag` and are called as their functions are."""
    return APIRouter(tags=[tag], generate_unique_id_function=lambda route: route.name)


def body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return the `openapi_extra` of a route whose body is a `model`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def command(model: type[BaseModel], *, required: bool = True, dry_run: bool = False) -> dict[str, Any]:
    """Return the `openapi_extra` of a state-changing POST: a `model` as body, the key as header, the book as query."""
    parameters: list[dict[str, Any]] = [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": not dry_run,
            "description": "New for each thing to be done, the same for each retry of it."
            + (" Not needed for a dry run." if dry_run else ""),
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "example": "7f1c3a52-4b1e-4e0e-9a54-0d6c6f2f0001",
        },
        {
            "name": "book",
            "in": "query",
            "required": False,
            "description": "The book; the body may name it too, and both must agree.",
            "schema": {"type": "string"},
        },
    ]
    if dry_run:
        parameters.append(
            {
                "name": "dry_run",
                "in": "query",
                "required": False,
                "description": "Run the real checks and write nothing.",
                "schema": {"type": "boolean", "default": False},
            }
        )
    return {**body(model, required=required), "parameters": parameters}


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi` return the document with our bodies and problems in it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        routes=app.router.routes,  # handed over whole, never walked here
        tags=[
            {"name": "journal", "description": "Post, reverse and read journal entries."},
            {"name": "accounts", "description": "The chart of accounts, balances, statements."},
            {"name": "webhooks", "description": "What payment providers send; their signatures are the credentials."},
            {"name": "log", "description": "What proves that nothing was altered."},
            {"name": "service", "description": "Health and metrics; no token needed."},
        ],
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in BODIES], ref_template="#/components/schemas/{model}"
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions.get("$defs", {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _declare_problems(path, method, operation)
            for parameter in operation.get("parameters", []):
                _show_example(parameter)
    return document


def _show_example(parameter: dict[str, Any]) -> None:
    """Repeat a schema's example beside it: the page fills in a parameter's own `example` and nothing else."""
    examples = parameter["schema"].get("examples")
    if examples and parameter.get("required"):
        parameter.setdefault("example", examples[0])


def _declare_problems(path: str, method: str, operation: dict[str, Any]) -> None:
    answers = operation.setdefault("responses", {})
    answers.pop("422", None)
    if not path.startswith("/finance/"):
        return
    codes = list(_READ_PROBLEMS if method == "get" else _WRITE_PROBLEMS)
    if path.startswith("/finance/webhooks/"):
        codes = list(_DELIVERY_PROBLEMS)
    if method == "patch":
        codes.append("412")
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    retry = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    for code in sorted(codes):
        answers[code] = {"description": _PROBLEMS[code], "content": content}
        if code in ("409", "429", "503"):
            answers[code]["headers"] = retry
