"""Between the routes and the ledger: await the group commit, and say what came of each entry.

A post is awaited on the event loop, never in a thread of its own, so that 64 clients share one commit and one
signature. What is said of an entry is a function of its record and of the answer's checkpoint, so a replay says the
same bytes.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.http.answers import json_answer
from api.state import ApiState
from ledger_core.journal.entries import EntryDraft, entry_as_json, format_timestamp
from ledger_core.ports import Answer, Ask, LedgerPort, Posted, Submission

ENTRIES_PATH = "/finance/journal-entries"

THREAD_ABOVE_ENTRIES = 32
"""Below, reading and writing a batch costs the event loop less than 2 ms; above, it goes to a thread."""


async def post(state: ApiState, ledger: LedgerPort, drafts: Sequence[EntryDraft], ask: Ask) -> Answer:
    """Hand `drafts`, one batch at most, to the sequencer and wait for their signature.

    Raises `SignatureLate` or another `DependencyError` when it does not come within `signing.wait_seconds`: the
    record may be durable by then, and the same key waits for it again.
    """
    return (await post_parts(state, ledger, drafts, ask))[0]


async def post_parts(
    state: ApiState, ledger: LedgerPort, drafts: Sequence[EntryDraft], ask: Ask, *, atomic: bool = False
) -> list[Answer]:
    """Hand `drafts` to the sequencer in parts of a batch each and return an answer for each part.

    Each part has an idempotency of its own, so that a repetition finds those that were done and posts the rest.
    """
    started_at = time.perf_counter()
    state.metrics.entries_waiting += len(drafts)
    try:
        submissions = (
            ledger.submit(drafts, ask, atomic=atomic)
            if len(drafts) <= THREAD_ABOVE_ENTRIES
            else await run_in_threadpool(ledger.submit, drafts, ask, atomic=atomic)
        )
        deadline = started_at + state.settings.signing.wait_seconds
        answers = [await _answer_of(submission, deadline) for submission in submissions]
    finally:
        state.metrics.entries_waiting -= len(drafts)
    state.metrics.post_seconds.labels(ask.route).observe(time.perf_counter() - started_at)
    for answer in answers:
        count_outcome(state, answer)
    return answers


def count_outcome(state: ApiState, answer: Answer) -> None:
    """Count what an answer came to."""
    if answer.replayed:
        state.metrics.replays.inc()
        return
    posted = len(answer.posted)
    if posted:
        state.metrics.entries_posted.inc(posted)
    if refused := len(answer.items) - posted:
        state.metrics.entries_refused.inc(refused)


async def _answer_of(submission: Submission, deadline: float) -> Answer:
    """Await the ledger's future on this loop, without a thread and without ever cancelling it.

    By hand: asyncio.wrap_future with asyncio.wait costs 75 us a post, this 15 us, and a whole no-op request 150 us.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()
    submission.future.add_done_callback(lambda _done: loop.call_soon_threadsafe(_wake, waiting))
    timer = loop.call_later(max(0.0, deadline - time.perf_counter()), _wake, waiting)
    try:
        await waiting
    finally:
        timer.cancel()
    if not submission.future.done():
        raise submission.overdue()
    return submission.future.result()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def entry_document(book: str, posted: Posted) -> dict[str, Any]:
    """Return an acknowledged entry's members."""
    assert posted.entry is not None, "a journal entry's record carries its entry"
    return {
        "id": posted.id,
        "seq": posted.seq,
        "status": "posted",
        "hash": posted.leaf_hash.hex(),
        "recorded_at": format_timestamp(posted.recorded_at),
        **entry_wire(book, posted.entry, posted.commitments),
    }


def entry_wire(book: str, draft: EntryDraft, commitments: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a draft's members; metadata in the order of the record, so that a replay reads the same.

    What is private is never answered here, for a repeated answer would outlive its erasure.
    """
    wire = {"book": book, **entry_as_json(draft)}
    wire["metadata"] = dict(sorted(wire["metadata"].items()))
    if commitments:
        wire["commitments"] = dict(commitments)
    return wire


def record_document(book: str, answer: Answer, posted: Posted, said: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an acknowledged record's members, with those of its body that `said` shows."""
    return {
        "id": posted.id,
        "seq": posted.seq,
        "kind": posted.kind,
        "status": "posted",
        "hash": posted.leaf_hash.hex(),
        "recorded_at": format_timestamp(posted.recorded_at),
        "book": book,
        **(said or {}),
        "checkpoint": answer.checkpoint,
        "inclusion": inclusion_of(answer, posted),
    }


def inclusion_of(answer: Answer, posted: Posted) -> list[str]:
    """Return the record's inclusion path at the answer's checkpoint, in base64."""
    return [b64encode(node).decode() for node in answer.inclusion(posted)]


def replay_headers(*answers: Answer) -> dict[str, str]:
    """Return the header that marks a repeated answer; of several parts all must be repeated."""
    return {"idempotent-replayed": "true"} if answers and all(answer.replayed for answer in answers) else {}


async def acknowledge(book: str, answer: Answer) -> Response:
    """Return the 201 of one posted entry. Raises what the books refused it with."""
    if answer.from_memory:
        return _acknowledge(book, answer)
    # A repeated answer reads its proof from the stored tree.
    return await run_in_threadpool(_acknowledge, book, answer)


def _acknowledge(book: str, answer: Answer) -> Response:
    posted = answer.only
    document = entry_document(book, posted)
    document["signature"] = {"checkpoint": answer.checkpoint, "inclusion": inclusion_of(answer, posted)}
    headers = {
        "location": f"{ENTRIES_PATH}/{posted.id}",
        "etag": f'"{document["hash"]}"',
        **replay_headers(answer),
    }
    return json_answer(document, status=201, headers=headers)
