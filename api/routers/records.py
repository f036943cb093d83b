"""Records of services that have no right to write the database: runs, exports, security events, keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth.guard import RecordWriter, require
from api.commands import read_command
from api.http.answers import json_answer
from api.openapi import command, router_of
from api.posting import record_document, replay_headers
from api.schemas import log as schemas
from api.schemas.log import PostedRecord
from api.state import state_of
from ledger_core.errors import InvalidInput
from ledger_core.evidence.export.segment import require_recordable
from ledger_core.ports import Ask, RecordDraft

router = router_of("log")


@router.post(
    "/finance/records",
    status_code=201,
    response_model=PostedRecord,
    openapi_extra=command(schemas.RecordDraft),
    summary="Append a record",
)
async def append_record(request: Request, actor: RecordWriter) -> Response:
    """Append a record of a kind that the caller's scope allows; its body gets the caller as `actor`."""
    asked = await read_command(request, actor)
    state = state_of(request)
    assert state.runtime is not None, "opened by the lifespan"
    scopes = state.runtime.kinds.scopes
    draft = _record(asked.body, scopes)
    require(actor, scopes[draft.kind])
    ledger = await state.ledger(asked.book)
    if draft.kind == "export":
        await run_in_threadpool(require_recordable, state.runtime, book=asked.book, body=draft.body)
    answer = await run_in_threadpool(ledger.append, [draft], Ask(actor=actor, key=asked.key), atomic=True)
    document = await run_in_threadpool(record_document, asked.book, answer, answer.only)
    return json_answer(document, status=201, headers=replay_headers(answer))


def _record(given: dict[str, Any], scopes: Mapping[str, str]) -> RecordDraft:
    unknown = sorted(set(given) - {"kind", "body"})
    if unknown:
        raise InvalidInput(f"unknown member {unknown[0][:80]!r}.", pointer=f"/{unknown[0][:80]}")
    kind, body = given.get("kind"), given.get("body")
    if not isinstance(kind, str) or kind not in scopes:
        raise InvalidInput(
            f"{str(kind)[:40]!r} is not a kind that is appended here.",
            pointer="/kind",
            remedy=f"Use one of {', '.join(scopes)}.",
        )
    if not isinstance(body, dict):
        raise InvalidInput("a record needs `body`, an object.", pointer="/body")
    if "actor" in body:
        raise InvalidInput("the actor is whoever calls.", pointer="/body/actor", remedy="Leave it out.")
    return RecordDraft(kind=kind, body=body)
