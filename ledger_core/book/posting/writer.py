"""Transaction 1 of a posting: a batch becomes durable, in order, under the lock of the book's head.

Not the signature: nothing written here is announced before `sequencer.checkpoints` stored a
checkpoint over it.
Invariants: seq, prev and recorded_at come from the locked head row alone; the records, every projection of them,
the idempotency rows and the head change together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from psycopg import Connection

from ledger_core.base.copying import copy_in
from ledger_core.book.posting.balances import add_to_balances, require_balances
from ledger_core.book.posting.clock import check_clock, seconds_ahead
from ledger_core.book.posting.head import HeadRow, locked_head, move_head
from ledger_core.book.posting.idempotency import write_outcomes
from ledger_core.book.posting.plan import PlannedBatch, Planner
from ledger_core.book.posting.requests import Request
from ledger_core.errors import IntegrityError
from ledger_core.reading.tiles import insert_tiles


class BatchWriter:
    """Writes batches of one book, each in one transaction."""

    def __init__(self, book: str, *, clock: Callable[[], datetime], durable: bool = False) -> None:
        self.book = book
        self._durable = durable
        self.clock_ahead_seconds = 0.0
        """How far this process' clock was ahead of the database's at the last batch, also one that it kept out."""
        self.planner = Planner(book, clock=clock)

    def write(
        self,
        conn: Connection[Any],
        requests: Sequence[Request],
        *,
        planned: PlannedBatch | None,
        admit: Callable[[HeadRow], None],
        locked: Callable[[PlannedBatch], None],
    ) -> PlannedBatch:
        """Write `requests` in one transaction, by the plan made ahead if it holds for the head, else by a new one.

        `admit` is called with the locked head, and raises to keep the batch out; `locked` is called with the plan that
        is being written. Raises `DependencyError` for a clock that is ahead, and whatever psycopg raises: then nothing
        was written, or the outcome is unknown if the connection broke. After any error the caller must have the planner
        forget.
        """
        with locked_head(conn, self.book, durable=self._durable) as head:
            admit(head)
            if planned is None or not planned.holds_for(head):
                if planned is not None:
                    self.planner.forget()
                planned = self.planner.plan(conn, head, requests)
            self.clock_ahead_seconds = seconds_ahead(planned.clock, head.database_time)
            check_clock(planned.clock, head.database_time)
            planned.head = head
            if planned.tree is not None:
                write_planned(conn, self.book, planned, locked)
        return planned


def write_planned(
    conn: Connection[Any], book: str, planned: PlannedBatch, locked: Callable[[PlannedBatch], None] | None = None
) -> None:
    """Write everything that `planned` holds in the caller's transaction, and move the head over it.

    Raises `IntegrityError` where the head or a balance is not where it was left.
    """
    # Only once the server has work to do may the next plan begin: any earlier it competes for the interpreter.
    copy_in(
        conn,
        [(into, data) for into, data in planned.streams if data],
        started=None if locked is None else lambda: locked(planned),
    )
    # One wait for all of them: under load each wait costs a turn of the interpreter's lock.
    with conn.pipeline():
        for kind, accepted in planned.projected.items():
            kind.project(conn, book, accepted)
        touched = add_to_balances(conn, book, planned.deltas) if planned.deltas else None
        insert_tiles(conn, book, planned.tiles)
        write_outcomes(conn, book, [(outcome.request, outcome.items) for outcome in planned.outcomes])
        moved = move_head(conn, book, planned.head, after=planned.head_after)
    if moved.rowcount != 1:
        raise IntegrityError(
            f"the head of book {book} was moved from {planned.head.size} by something that is no writer of "
            "this software.",
            remedy="Find out what writes to the ledger's tables, then run `counterfoil check`.",
        )
    if touched is not None:
        require_balances(book, touched, planned.deltas)
