"""The head of a book: the row that arbitrates between writers, read under the lock and moved by one compare-and-set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection, Cursor

from ledger_core.base.promises import broken_promises_sql, not_durable
from ledger_core.errors import IntegrityError
from ledger_core.log.merkle import Frontier
from ledger_core.log.record import NO_PREV

_WRITERS = 0x77726974
"""Sets the queue of writers apart from other advisory locks."""

_HEAD = (
    "select origin, size, signed_size, last_leaf, last_recorded_at, frontier, clock_timestamp(), {broken} "
    "from ledger.log_head where book = %s"
)
_HEAD_BY_DURABLE = {durable: _HEAD.format(broken=broken_promises_sql(durable=durable)) for durable in (False, True)}


@dataclass(slots=True, kw_only=True)
class HeadRow:
    """The locked head of a book."""

    origin: str
    size: int
    signed_size: int
    last_leaf: bytes
    last_recorded_at: datetime | None
    frontier: Frontier
    database_time: datetime | None = None
    """The database's clock when the lock was had; None for a head that was worked out and not read."""


@contextmanager
def locked_head(conn: Connection[Any], book: str, *, durable: bool = False) -> Iterator[HeadRow]:
    """Run a transaction under the lock of the book's head, as `lock_head` takes it.

    Begun in the message that asks for the lock: one wait less than `Connection.transaction`. `conn` is in autocommit.
    """
    try:
        with conn.pipeline():
            conn.execute("begin")
            found = _ask_for_lock(conn, book, durable)
        yield _head(book, found)
    except BaseException:
        # What went wrong is what is told, also where the connection went with it.
        with contextlib.suppress(psycopg.Error):
            conn.rollback()
        raise
    conn.commit()


def lock_head(conn: Connection[Any], book: str, *, durable: bool = False) -> HeadRow:
    """Queue up behind the other writers of the book until the end of the transaction, and return its head row.

    The queue is an advisory lock and not a lock of the row, because transaction 2 of the batch before must be able to
    advance `signed_size` meanwhile: with a row lock it waits for this whole batch (58 % of the signing thread's time).
    The row still arbitrates: `move_head` moves it only from where it was found here. What the server promises is asked
    in the same query, because settings change under a process that runs; with `durable` also that it forgets nothing.
    Raises `ConfigurationError` for a broken promise.
    """
    with conn.pipeline():
        found = _ask_for_lock(conn, book, durable)
    return _head(book, found)


def insert_head(conn: Connection[Any], book: str, origin: str) -> None:
    """Write the head of a book that has no record yet, for whoever writes its records in the same transaction.

    Raises psycopg's `UniqueViolation` where the book, or the log, has one.
    """
    conn.execute(
        "insert into ledger.log_head (book, origin, size, last_leaf, frontier) values (%s, %s, 0, %s, '')",
        [book, origin, NO_PREV],
    )


def move_head(conn: Connection[Any], book: str, head: HeadRow, *, after: HeadRow) -> Cursor[Any]:
    """Move the head from where `lock_head` found it; no row is touched when something else moved it meanwhile."""
    return conn.execute(
        "update ledger.log_head set size = %s, last_leaf = %s, last_recorded_at = %s, frontier = %s "
        "where book = %s and size = %s and last_leaf = %s",
        [
            after.size,
            after.last_leaf,
            after.last_recorded_at,
            after.frontier.to_bytes(),
            book,
            head.size,
            head.last_leaf,
        ],
    )


def _ask_for_lock(conn: Connection[Any], book: str, durable: bool) -> Cursor[Any]:
    conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, %s))", [book, _WRITERS])
    return conn.execute(_HEAD_BY_DURABLE[durable], [book])


def _head(book: str, found: Cursor[Any]) -> HeadRow:
    row = found.fetchone()
    if row is None:
        raise IntegrityError(f"book {book} has no head.", remedy="Restore the database from its last backup.")
    if row[7]:
        raise not_durable(row[7])
    return HeadRow(
        origin=row[0],
        size=row[1],
        signed_size=row[2],
        last_leaf=bytes(row[3]),
        last_recorded_at=row[4],
        frontier=Frontier.from_bytes(row[1], bytes(row[5])),
        database_time=row[6],
    )
