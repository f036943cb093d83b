"""`POST /finance/verify`: a signed bundle of proofs. A failed verification is an answer with evidence, not an error."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth.guard import LogReader
from api.commands import read_command
from api.http.answers import json_answer
from api.http.selectors import parse_verify_request
from api.openapi import body, router_of
from api.schemas.log import Verification, VerifyRequest
from api.state import ApiState, require_book, state_of
from ledger_core.actor import Actor
from ledger_core.evidence.proofs.prove import verify_selection

router = router_of("log")


@router.post(
    "/finance/verify",
    response_model=Verification,
    openapi_extra=body(VerifyRequest),
    summary="Verify entries, a range, a period or a segment",
)
async def verify(request: Request, actor: LogReader) -> Response:
    """Prove what was asked for, from the caller's own checkpoint on if it gives one. Needs no Idempotency-Key."""
    state = state_of(request)
    asked = await read_command(request, actor, needs_key=False)
    wanted = parse_verify_request(asked.body)
    await run_in_threadpool(require_book, state, asked.book)
    async with state.heavy.place():
        return await run_in_threadpool(_answer, state, asked.book, actor, wanted)


def _answer(state: ApiState, book: str, actor: Actor, wanted: dict[str, Any]) -> Response:
    """Verify and write the answer, which may have many megabytes, in a thread of its own."""
    assert state.runtime is not None
    found = verify_selection(state.runtime, book, actor=actor, **wanted)
    state.metrics.verify_verdicts.labels(found.verdict).inc()
    return json_answer({"verdict": found.verdict, "failures": found.failures, "envelope": found.envelope})
