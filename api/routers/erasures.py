"""Erasure: private values of entries, and the stored bytes of files, dropped together with the record that says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth.guard import Eraser
from api.commands import read_command
from api.http.answers import json_answer
from api.openapi import command, router_of
from api.posting import record_document, replay_headers
from api.schemas.erasures import Erasure, ErasureDraft, NothingErased
from api.state import state_of
from ledger_core.journal.erasures import parse_erasure
from ledger_core.ports import Ask, Posted

router = router_of("journal")


@router.post(
    "/finance/erasures",
    status_code=201,
    response_model=Erasure,
    responses={200: {"model": NothingErased, "description": "All of it was erased before."}},
    openapi_extra=command(ErasureDraft),
    summary="Erase private values",
)
async def erase(request: Request, actor: Eraser) -> Response:
    """Erase private values of entries, and the stored bytes of files, for good; the record says what, why and by whom.

    Commitments stay in the log and go on verifying. Backups may hold what was dropped until `kept_until`.
    """
    state = state_of(request)
    asked = await read_command(request, actor)
    runtime = state.runtime
    assert runtime is not None, "opened by the lifespan"
    kept = timedelta(days=state.settings.ledger.backups_kept_days)
    draft = parse_erasure(asked.body, kept_until=runtime.clock().date() + kept)
    ledger = await state.ledger(asked.book)
    answer = await run_in_threadpool(ledger.append, [draft], Ask(actor=actor, key=asked.key), atomic=True)
    item = answer.items[0]
    if not isinstance(item, Posted):
        return json_answer({"status": "unchanged", "book": asked.book})
    document = await run_in_threadpool(record_document, asked.book, answer, item, _said(item))
    return json_answer(document, status=201, headers=replay_headers(answer))


def _said(posted: Posted) -> dict[str, Any]:
    body = orjson.loads(posted.canonical)["body"]
    return {name: body[name] for name in ("reason", "kept_until", "values", "files")}
