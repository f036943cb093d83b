"""Entries into the book by its one door, once for each fact.

What a second event of one fact asks for stands already: then the entry that has the name is held against the one that
was to be posted. Invariant: an entry that stands and says something else is never passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.errors import (
    Conflict,
    CounterfoilError,
    DependencyError,
    DuplicateExternalId,
    InFlight,
    IntegrityError,
    NotFound,
    TooManyRequests,
)
from ledger_core.journal.entries import EntryDraft, PostingDraft
from ledger_core.ports import Ask, Declined, LedgerPort, Posted
from ledger_core.reading.entries import get_entry
from ledger_core.reading.heads import read_head

_OURS = (DependencyError, IntegrityError, TooManyRequests, InFlight)


class NotPosted(Exception):
    """The ledger took nothing now, and the event is not to blame."""

    def __init__(self, why: CounterfoilError) -> None:
        super().__init__(str(why))
        self.why = why


def has_book(engine: Engine, book: str) -> bool:
    """Say whether `book` is open: to post is never to open one, for a name that is mistyped would be a ledger."""
    with engine.connect() as connection:
        try:
            read_head(connection, book)
        except NotFound:
            return False
    return True


def post(ledger: LedgerPort, engine: Engine, entries: Sequence[EntryDraft], *, subject: str) -> list[str]:
    """Post `entries` and return their ids, of those too that stood already.

    Raises `NotPosted` while the ledger takes nothing; `Refused` or `InvalidInput` for an entry that the books forbid,
    and `Conflict` where another one has its name.
    """
    try:
        answer = ledger.append(list(entries), Ask(actor=Actor(subject=subject, role="service")))
    except _OURS as error:
        raise NotPosted(error) from error
    ids = []
    for item, entry in zip(answer.items, entries, strict=True):
        if isinstance(item, Posted):
            ids.append(item.id)
            continue
        assert isinstance(item, Declined), "an entry is posted or declined"
        if isinstance(item.error, _OURS):
            raise NotPosted(item.error)
        if not isinstance(item.error, DuplicateExternalId):
            raise item.error
        ids.append(_standing(engine, ledger.book, entry, item.error))
    return ids


def _standing(engine: Engine, book: str, entry: EntryDraft, refusal: DuplicateExternalId) -> str:
    if refusal.identical:
        return refusal.entry_id
    with engine.connect() as connection:
        found = get_entry(connection, book, refusal.entry_id)
    if found is None:
        raise NotPosted(DependencyError(f"entry {refusal.entry_id} cannot be read yet."))
    if _moves(found.draft.postings) != _moves(entry.postings):
        raise Conflict(
            f"entry {refusal.entry_id} has the name {entry.external_id} and moves other amounts.",
            remedy="Hold both against the provider; correct the entry by a reversal and a new one.",
        ) from refusal
    return refusal.entry_id


def _moves(postings: Sequence[PostingDraft]) -> Counter[PostingDraft]:
    return Counter(postings)
