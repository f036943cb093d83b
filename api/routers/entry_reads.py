"""Reading journal entries: a page, one, its proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import PlainTextResponse, Response

from api.auth.guard import JournalReader, LogReader
from api.http.answers import json_answer
from api.http.cursors import decode_cursor, encode_cursor, next_link
from api.http.parameters import DEFAULT_PAGE, Cursor, EffectiveBefore, EffectiveFrom, Limit, moment
from api.openapi import router_of
from api.posting import entry_wire
from api.schemas.entries import ENTRY_EXAMPLE, EntryPage, JournalEntry
from api.schemas.log import Proof
from api.state import ApiState, Book, State, require_book
from ledger_core.actor import Actor
from ledger_core.errors import NotFound
from ledger_core.evidence.proofs.prove import entry_proof
from ledger_core.journal.entries import RecordedEntry, format_timestamp
from ledger_core.reading.entries import EntryFilter, get_entry, list_entries
from ledger_core.reading.heads import read_head
from ledger_core.reading.private import PrivatePart, private_parts

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

router = router_of("journal")

UNKEPT = {"cache-control": "no-store"}
"""Of an answer with private values: no cache keeps what is to be erased."""

EntryId = Annotated[
    str, Path(description="The entry's id, or its external_id.", examples=[ENTRY_EXAMPLE["external_id"]])
]


@router.get("/finance/journal-entries", response_model=EntryPage, summary="List journal entries")
def list_journal_entries(
    request: Request,
    actor: JournalReader,
    state: State,
    book: Book,
    account: Annotated[str | None, Query(description="Entries with a posting to this account.")] = None,
    external_id: Annotated[str | None, Query(description="The one entry of this external_id.")] = None,
    effective_from: EffectiveFrom = None,
    effective_before: EffectiveBefore = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE,
) -> Response:
    """Return a page of entries in the order of the log."""
    filters = {
        "book": book,
        "account": account,
        "effective_from": effective_from,
        "effective_before": effective_before,
    }
    after = decode_cursor(cursor, filters=filters, kind=int)
    wanted = EntryFilter(
        account=account,
        effective_from=moment("effective_from", effective_from),
        effective_before=moment("effective_before", effective_before),
    )
    with state.reading() as connection:
        head = read_head(connection, book)
        if external_id is not None:
            found = get_entry(connection, book, external_id)
            entries = [found] if found is not None and found.draft.external_id == external_id else []
        else:
            at = -1 if after is None else int(after)
            entries = list_entries(connection, book, after_seq=at, limit=limit + 1, filters=wanted)
        page, more = entries[:limit], len(entries) > limit
        parts = private_parts(connection, book, page, values=_values(actor, state))
    following = encode_cursor(page[-1].seq, filters=filters) if more else None
    document = {
        "entries": [recorded_document(book, entry, parts.get(entry.seq)) for entry in page],
        "next_cursor": following,
        "state": {"as_of_seq": head.size, "signed_size": head.signed_size},
    }
    headers = {"link": next_link(request, following)} if following else {}
    return json_answer(document, headers=headers | (UNKEPT if _shows_values(parts) else {}))


@router.get("/finance/journal-entries/{entry_id}", response_model=JournalEntry, summary="Read a journal entry")
def get_journal_entry(actor: JournalReader, state: State, book: Book, entry_id: EntryId) -> Response:
    """Return one entry as the book holds it; its private values for who holds the scope `private:read`."""
    with state.reading() as connection:
        entry = entry_or_404(connection, state, book, entry_id)
        parts = private_parts(connection, book, [entry], values=_values(actor, state))
    document = recorded_document(book, entry, parts.get(entry.seq))
    # The tag is the record's hash, which an erasure leaves as it is: what it takes away must not be called unchanged.
    return json_answer(document, headers=UNKEPT if _shows_values(parts) else {"etag": f'"{document["hash"]}"'})


@router.get("/finance/journal-entries/{entry_id}/proof", response_model=Proof, summary="Prove a journal entry")
def get_journal_entry_proof(
    request: Request, _actor: LogReader, state: State, book: Book, entry_id: EntryId
) -> Response:
    """Return the proof that the entry stands in the signed log; C2SP tlog-proof with `Accept: text/plain`."""
    assert state.runtime is not None
    proof = entry_proof(state.runtime, book, entry_id)
    if request.headers.get("accept", "").startswith("text/plain"):
        return PlainTextResponse(proof.tlog_proof)
    document = {
        "entry_id": proof.entry_id,
        "seq": proof.seq,
        "hash": proof.leaf_hash.hex(),
        "checkpoint": proof.checkpoint,
        "inclusion": list(proof.inclusion),
        "tlog_proof": proof.tlog_proof,
        "bundle": proof.bundle,
    }
    return json_answer(document)


def entry_or_404(connection: Connection, state: State, book: str, entry_id: str) -> RecordedEntry:
    """Return the entry. Raises `NotFound`, for the book or for the entry."""
    entry = get_entry(connection, book, entry_id)
    if entry is None:
        require_book(state, book)
        raise NotFound(f"there is no entry {entry_id[:80]} in book {book}.")
    return entry


def _values(actor: Actor, state: ApiState) -> Runtime | None:
    """Return what private values are read through, None for a caller who may not."""
    assert state.runtime is not None
    return state.runtime if "private:read" in actor.scopes else None


def _shows_values(parts: Mapping[int, PrivatePart]) -> bool:
    return any(part.values is not None for part in parts.values())


def recorded_document(book: str, entry: RecordedEntry, part: PrivatePart | None = None) -> dict[str, Any]:
    """Return an entry's members."""
    document = {
        "id": entry.id,
        "seq": entry.seq,
        "status": entry.status,
        "hash": entry.leaf_hash.hex(),
        "recorded_at": format_timestamp(entry.recorded_at),
        **entry_wire(book, entry.draft, entry.commitments),
    }
    if part is not None:
        document |= part.as_json()
    if entry.reversed_by is not None:
        document["reversed_by"] = entry.reversed_by
    return document
