"""What posting would say, without posting: the same facts, the same judgement, no lock and no write."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.book.posting.decide import judge
from ledger_core.book.posting.items import FaultyItem, Request, prepare_entry
from ledger_core.book.posting.plan import settle_duplicates
from ledger_core.book.posting.state import BookState, HeadRow, load_facts
from ledger_core.errors import NotFound
from ledger_core.journal.entries import EntryDraft
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import Frontier
from ledger_core.ports import Declined

_NOBODY = Actor(subject="dry-run")


def dry_run(engine: Engine, book: str, entry: EntryDraft) -> Declined | None:
    """Return the refusal that posting `entry` would get now, or None.

    Raises `NotFound` for an unknown book.
    """
    item = prepare_entry(entry, canonical_bytes(_NOBODY.as_body()))
    if isinstance(item, FaultyItem):
        return Declined(error=item.error)
    request = Request(items=[item], route="dry-run")
    pooled = engine.raw_connection()
    try:
        conn: Any = pooled.driver_connection
        with conn.transaction():
            row = conn.execute("select size from ledger.log_head where book = %s", [book]).fetchone()
            if row is None:
                raise NotFound(f"there is no book {book}.")
            state = BookState(book=book)
            head = HeadRow(
                origin="",
                size=row[0],
                signed_size=0,
                last_leaf=b"",
                last_recorded_at=None,
                frontier=Frontier(),
            )
            facts = load_facts(conn, state, head, [request])
            judged = judge(state, facts, [request], first_seq=head.size)
            settle_duplicates(conn, book, judged.duplicates, {})
    finally:
        pooled.close()
    outcome = judged.requests[0].outcomes[0]
    return outcome if isinstance(outcome, Declined) else None
