"""Posting: one entry, many, a reversal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api import batches
from api.auth.guard import JOURNAL_WRITER, JournalWriter
from api.commands import Command, fingerprint, read_command
from api.http.answers import json_answer
from api.http.bodies import MAX_SMALL_BODY_BYTES
from api.http.problems import ApiProblem, respond
from api.openapi import command, router_of
from api.posting import (
    THREAD_ABOVE_ENTRIES,
    acknowledge,
    count_outcome,
    entry_wire,
    post,
    post_parts,
    replay_headers,
)
from api.reversals import reverse
from api.schemas.entries import (
    ENTRY_EXAMPLE,
    BatchAnswer,
    BatchDraft,
    DryRun,
    JournalEntryDraft,
    PostedEntry,
    ReversalDraft,
)
from api.state import state_of
from ledger_core.errors import InvalidInput, Refused
from ledger_core.journal.entries import (
    MAX_DESCRIPTION_LENGTH,
    MAX_EXTERNAL_ID_LENGTH,
    entry_as_known,
    parse_entry,
    parse_timestamp,
)
from ledger_core.journal.text import check_text
from ledger_core.ports import Answer, Ask

router = router_of("journal")

Undone = Annotated[
    str, Path(description="The entry to undo: its id, or its external_id.", examples=[ENTRY_EXAMPLE["external_id"]])
]


@router.post(
    "/finance/journal-entries",
    status_code=201,
    response_model=PostedEntry,
    responses={200: {"model": DryRun, "description": "The answer to `dry_run`: it would be posted."}},
    openapi_extra={**command(JournalEntryDraft, dry_run=True), "security": [{JOURNAL_WRITER.scheme_name: []}]},
    summary="Post a journal entry",
)
async def post_journal_entry(request: Request) -> Response:
    """Post one entry and answer when its signature is stored. `?dry_run=true` runs the checks and writes nothing."""
    # By hand, as `dry_run` is read: declaring whom it lets in costs the hot route a tenth of its time.
    actor = await JOURNAL_WRITER(request)
    state = state_of(request)
    dry = _flag(request, "dry_run")
    asked = await read_command(request, actor, needs_key=not dry)
    draft = parse_entry(asked.body)
    ledger = await state.ledger(asked.book)
    if dry:
        declined = await run_in_threadpool(ledger.dry_run, draft)
        if declined is not None:
            raise declined.error
        return json_answer({"dry_run": True, "would_post": True, "entry": entry_wire(asked.book, draft)})
    mark = fingerprint("journal-entries", entry_as_known(draft))
    ask = Ask(actor=actor, route="journal-entries", key=asked.key, fingerprint=mark)
    answer = await post(state, ledger, (draft,), ask)
    return await acknowledge(asked.book, answer)


@router.post(
    "/finance/journal-entries/batch",
    response_model=BatchAnswer,
    openapi_extra=command(BatchDraft),
    summary="Post many journal entries",
)
async def post_journal_entries(request: Request, actor: JournalWriter, atomic: bool = False) -> Response:
    """Post up to 10,000 entries: each for itself, or with `?atomic=true` up to 1,000 together or none."""
    state = state_of(request)
    asked = await read_command(request, actor, max_bytes=state.settings.api.max_body_bytes)
    listed = asked.body.get("entries")
    big = isinstance(listed, list) and len(listed) > THREAD_ABOVE_ENTRIES
    mark, batch = await _maybe_in_thread(big, _read_batch, asked, atomic)
    if atomic and batch.faults:
        return respond(request, batches.atomic_problem(batch.faults, len(batch.items)))
    ledger = await state.ledger(asked.book)
    ask = Ask(actor=actor, route="journal-entries/batch", key=asked.key, fingerprint=mark)
    try:
        answers = await post_parts(state, ledger, batch.drafts, ask, atomic=atomic) if batch.drafts else []
    except Refused as error:
        if not atomic or "index" not in error.context:
            raise
        return respond(request, batches.atomic_problem([(error.context["index"], error)], len(batch.items)))
    from_memory = all(answer.from_memory for answer in answers)
    return await _maybe_in_thread(big or not from_memory, _write_batch, asked.book, batch, answers)


@router.post(
    "/finance/journal-entries/{entry_id}/reversal",
    status_code=201,
    response_model=PostedEntry,
    openapi_extra=command(ReversalDraft, required=False),
    summary="Reverse a journal entry",
)
async def reverse_journal_entry(request: Request, actor: JournalWriter, entry_id: Undone) -> Response:
    """Undo an entry by a new one with its sides swapped, linked both ways. Once: a second reversal is a 409."""
    state = state_of(request)
    asked = await read_command(request, actor, max_bytes=MAX_SMALL_BODY_BYTES, may_be_empty=True)
    given = _reversal(asked.body)
    ledger = await state.ledger(asked.book)
    runtime = state.runtime
    assert runtime is not None, "a ledger was opened with it"
    answer = await run_in_threadpool(
        reverse, ledger, runtime.engine, entry_id, actor=actor, now=runtime.clock(), key=asked.key, **given
    )
    count_outcome(state, answer)
    return await acknowledge(asked.book, answer)


def _reversal(body: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(body) - {"effective_at", "external_id", "description"})
    if unknown:
        raise InvalidInput(f"unknown member {unknown[0]!r}.", pointer=f"/{unknown[0]}")
    given: dict[str, Any] = {}
    if body.get("effective_at") is not None:
        given["effective_at"] = parse_timestamp(body["effective_at"], pointer="/effective_at")
    for name, shortest, longest in (
        ("external_id", 1, MAX_EXTERNAL_ID_LENGTH),
        ("description", 0, MAX_DESCRIPTION_LENGTH),
    ):
        if body.get(name) is not None:
            given[name] = check_text(body[name], pointer=f"/{name}", what=name, max_length=longest, min_length=shortest)
    return given


def _read_batch(asked: Command, atomic: bool) -> tuple[bytes, batches.ParsedBatch]:
    batch = batches.parse_batch(asked.body, asked.book, atomic=atomic)
    return fingerprint("journal-entries/batch", atomic, batches.without_private(asked.body, batch)), batch


def _write_batch(book: str, batch: batches.ParsedBatch, answers: Sequence[Answer]) -> Response:
    return json_answer(batches.batch_document(book, batch, answers), headers=replay_headers(*answers))


async def _maybe_in_thread(big: bool, function: Any, *arguments: Any) -> Any:
    return await run_in_threadpool(function, *arguments) if big else function(*arguments)


def _flag(request: Request, name: str) -> bool:
    """Read a boolean of the address by hand: declaring it costs the hot route a tenth of its time."""
    given = request.query_params.get(name)
    if given is None or given == "false":
        return False
    if given == "true":
        return True
    raise ApiProblem(
        422,
        "invalid_input",
        f"{name} is true or false.",
        places=[{"parameter": name, "in": "query", "detail": "is true or false"}],
    )
