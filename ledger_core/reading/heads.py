"""Where a book's log ends, how far it is signed, and the checkpoints that say so.

Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from ledger_core.errors import NotFound
from ledger_core.log.merkle import Frontier


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a book's log ends, and how far it is signed."""

    book: str
    origin: str
    size: int
    signed_size: int
    last_leaf: bytes
    last_recorded_at: datetime | None
    frontier: Frontier


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A signed note and what it commits to."""

    size: int
    root: bytes
    note: str


def read_head(conn: Connection, book: str) -> Head:
    """Return the head of `book`. Raises `NotFound`."""
    row = conn.execute(
        text(
            "select origin, size, signed_size, last_leaf, last_recorded_at, frontier from ledger.log_head "
            "where book = :book"
        ),
        {"book": book},
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no book {book}.")
    return Head(
        book=book,
        origin=row.origin,
        size=row.size,
        signed_size=row.signed_size,
        last_leaf=bytes(row.last_leaf),
        last_recorded_at=row.last_recorded_at,
        frontier=Frontier.from_bytes(row.size, bytes(row.frontier)),
    )


def legal_entity(conn: Connection, book: str) -> str:
    """Return whose book it is, as its first record says; nothing where there is no such book."""
    canonical = conn.execute(
        text("select canonical from ledger.records where book = :book and kind = 'book' order by seq limit 1"),
        {"book": book},
    ).scalar()
    return "" if canonical is None else str(orjson.loads(canonical)["body"].get("legal_entity", ""))


def latest_checkpoint(conn: Connection, book: str) -> StoredCheckpoint | None:
    """Return the newest checkpoint that the head knows of, whatever else is stored; None while nothing is signed."""
    signed = "size <= (select signed_size from ledger.log_head where book = :book) order by size desc"
    return _checkpoint(conn, book, signed, {})


def checkpoint_at(conn: Connection, book: str, size: int) -> StoredCheckpoint | None:
    """Return the stored checkpoint of exactly `size` records, or None."""
    return _checkpoint(conn, book, "size = :size order by size", {"size": size})


def _checkpoint(conn: Connection, book: str, condition: str, given: dict[str, Any]) -> StoredCheckpoint | None:
    row = conn.execute(
        text(f"select size, root, note from ledger.checkpoints where book = :book and {condition} limit 1"),  # noqa: S608
        {**given, "book": book},
    ).one_or_none()
    return None if row is None else StoredCheckpoint(size=row.size, root=bytes(row.root), note=row.note)
