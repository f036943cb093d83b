"""Records of services that have no right to write the database: runs, exports, security events, keys."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth.guard import RecordWriter, require
from api.commands import read_command
from api.http.answers import json_answer
from api.openapi import command
from api.posting import only_posted, replay_headers
from api.schemas.log import PostedRecord, RecordDraft
from api.state import state_of
from ledger_core.errors import InvalidInput
from ledger_core.journal.entries import format_timestamp
from ledger_core.ports import Answer

router = APIRouter(tags=["log"])

SCOPE_BY_KIND = {
    "reconciliation_run": "reconciliation:run",
    "export": "export:write",
    "security_event": "security:report",
    "signing_key": "keys:admin",
}


@router.post(
    "/finance/records",
    status_code=201,
    response_model=PostedRecord,
    openapi_extra=command(RecordDraft),
    summary="Append a record",
)
async def append_record(request: Request, actor: RecordWriter) -> Response:
    """Append a record of a kind that the caller's scope allows; its body gets the caller as `actor`."""
    asked = await read_command(request, actor)
    kind, body = _record(asked.body)
    require(actor, SCOPE_BY_KIND[kind])
    ledger = await state_of(request).ledger(asked.book)
    answer = await run_in_threadpool(ledger.answer_record, kind, body, actor=actor, key=asked.key)
    document = await run_in_threadpool(_document, asked.book, answer)
    return json_answer(document, status=201, headers=replay_headers(answer))


def _record(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    unknown = sorted(set(given) - {"kind", "body"})
    if unknown:
        raise InvalidInput(f"unknown member {unknown[0][:80]!r}.", pointer=f"/{unknown[0][:80]}")
    kind, body = given.get("kind"), given.get("body")
    if not isinstance(kind, str) or kind not in SCOPE_BY_KIND:
        raise InvalidInput(
            f"{str(kind)[:40]!r} is not a kind that is appended here.",
            pointer="/kind",
            remedy=f"Use one of {', '.join(SCOPE_BY_KIND)}.",
        )
    if not isinstance(body, dict):
        raise InvalidInput("a record needs `body`, an object.", pointer="/body")
    if "actor" in body:
        raise InvalidInput("the actor is whoever calls.", pointer="/body/actor", remedy="Leave it out.")
    return kind, body


def _document(book: str, answer: Answer) -> dict[str, Any]:
    posted = only_posted(answer)
    return {
        "id": posted.id,
        "seq": posted.seq,
        "kind": posted.kind,
        "status": "posted",
        "hash": posted.leaf_hash.hex(),
        "recorded_at": format_timestamp(posted.recorded_at),
        "book": book,
        "checkpoint": answer.checkpoint,
        "inclusion": [b64encode(node).decode() for node in answer.inclusion(posted)],
    }
