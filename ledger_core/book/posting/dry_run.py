"""What appending would say, without appending: the same facts, the same judgement, no lock and no write."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.book.posting.accounts import BookState
from ledger_core.book.posting.judge import BatchJudge, read_facts
from ledger_core.book.posting.requests import Request
from ledger_core.errors import InvalidInput, NotFound, Refused
from ledger_core.kinds import Kind
from ledger_core.log.canonical import canonical_bytes
from ledger_core.ports import Declined, Draft

_NOBODY = Actor(subject="dry-run")


def dry_run(engine: Engine, book: str, kind: Kind, draft: Draft) -> Declined | None:
    """Return the refusal that appending `draft` would get now, or None.

    Raises `NotFound` for an unknown book.
    """
    try:
        item = kind.prepare(draft, _NOBODY, canonical_bytes(_NOBODY.as_body()))
    except (InvalidInput, Refused) as error:
        return Declined(error=error)
    request = Request(items=[item], route="dry-run")
    pooled = engine.raw_connection()
    try:
        conn: Any = pooled.driver_connection
        with conn.transaction():
            # Held by the database: a dry run leaves no trace, and no row that it looks at is locked.
            conn.execute("set transaction read only")
            row = conn.execute("select size from ledger.log_head where book = %s", [book]).fetchone()
            if row is None:
                raise NotFound(f"there is no book {book}.")
            state = BookState(book=book)
            facts = read_facts(conn, state, [request], {})
            outcome = BatchJudge(state, facts, {}, row[0]).request(request).outcomes[0]
            kind.settle(conn, book, facts[kind], size=row[0])
    finally:
        pooled.close()
    return outcome if isinstance(outcome, Declined) else None
