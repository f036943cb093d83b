"""Reading request bodies: a limit on every one, JSON only, parsed strictly.

Strict means that nothing is guessed: duplicate members, floats and bytes that are not UTF-8 are refused with their
pointer, because two readers of such a body could understand two different things.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from api.http.budget import BodyBudget
from api.http.problems import ApiProblem
from ledger_core.errors import InvalidInput
from ledger_core.journal.entries import parse_json

MAX_SMALL_BODY_BYTES = 1024 * 1024
"""For every route but the batch: 500 postings of the longest codes stay below it."""

_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
_THREAD_ABOVE_BYTES = 128 * 1024
"""Parsing costs about 20 ms a MiB; below this the hop to a thread costs more than it frees."""


async def read_raw(request: Request, *, max_bytes: int, media_types: Collection[str]) -> bytes:
    """Return the body byte for byte, for whoever signed it. Raises a 413 or 415 problem."""
    _check_content_encoding(request.headers.get("content-encoding", "identity"))
    header = request.headers.get("content-type", "")
    if header.partition(";")[0].strip().lower() not in media_types:
        raise ApiProblem(
            415,
            "unsupported_media_type",
            f"The content type is {header or 'missing'!r}; this route takes {' or '.join(sorted(media_types))}.",
        )
    return await _read_at_most(request, max_bytes)


async def read_json_object(
    request: Request, *, max_bytes: int = MAX_SMALL_BODY_BYTES, may_be_empty: bool = False
) -> dict[str, Any]:
    """Return the body as an object. Raises a 400, 413 or 415 problem that says what is wrong with it."""
    if (
        may_be_empty
        and request.headers.get("content-length", "0") == "0"
        and "transfer-encoding" not in request.headers
    ):
        return {}
    _check_content_encoding(request.headers.get("content-encoding", "identity"))
    _check_content_type(request.headers.get("content-type", ""))
    data = await _read_at_most(request, max_bytes)
    if not data.strip():
        raise ApiProblem(400, "malformed_body", "The body is empty.", remedy="Send a JSON object.")
    try:
        value = parse_json(data) if len(data) <= _THREAD_ABOVE_BYTES else await run_in_threadpool(parse_json, data)
    except InvalidInput as error:
        places = [] if error.pointer is None else [{"pointer": error.pointer, "detail": error.message}]
        where = {"line": error.line} if error.line is not None else {}
        raise ApiProblem(400, "malformed_body", error.message, remedy=error.remedy, places=places, **where) from error
    if not isinstance(value, dict):
        raise ApiProblem(400, "malformed_body", "The body is JSON, but not an object.")
    return value


def _check_content_encoding(header: str) -> None:
    """Take bodies as they are: what says that it is packed is not read as if it were not. Raises a 415 problem."""
    if header.strip().lower() != "identity":
        raise ApiProblem(
            415,
            "unsupported_media_type",
            f"The content encoding is {header!r}; bodies are taken as they are.",
            remedy="Send the JSON unpacked, without `Content-Encoding`.",
        )


def _check_content_type(header: str) -> None:
    """Take JSON alone, which is UTF-8 between systems (RFC 8259 section 8.1). Raises a 415 problem."""
    media_type, _, parameters = header.partition(";")
    if media_type.strip().lower() != "application/json":
        raise ApiProblem(
            415,
            "unsupported_media_type",
            f"The content type is {header or 'missing'!r}; this route takes application/json.",
            remedy="Send JSON with `Content-Type: application/json`.",
        )
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"').lower()
        if name.strip().lower() == "charset" and charset not in _CHARSETS:
            raise ApiProblem(
                415,
                "unsupported_media_type",
                f"The charset is {charset!r}; JSON between systems is UTF-8.",
                remedy="Encode the body as UTF-8 and leave the charset out.",
            )


async def _read_at_most(request: Request, max_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    budget: BodyBudget = request.app.state.api.bodies
    try:
        with budget.holding() as share:
            async for chunk in request.stream():
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                share.grow_to(size)
                chunks.append(chunk)
    except ClientDisconnect as error:
        raise ApiProblem(400, "malformed_body", "The connection ended before the body did.") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> ApiProblem:
    return ApiProblem(
        413,
        "body_too_large",
        f"The body is larger than the {max_bytes:,} bytes that this route takes.",
        remedy="Split it.",
        # The rest of the body is not read, so the connection cannot carry another request.
        headers={"connection": "close"},
        max_bytes=max_bytes,
    )
