"""Transaction 2 of a posting: a checkpoint is stored, and everything below it counts as posted.

Not the signature itself (`sequencer.notary`). Invariants: `signed_size` never goes back, checkpoints are
stored in ascending order, so the smallest checkpoint over a record never changes once there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.errors import CheckViolation

from ledger_core.errors import IntegrityError, LedgerBehind
from ledger_core.log.merkle import Frontier, RangeTree

BEHIND_REMEDY = (
    "Restore a newer backup, or put what is missing behind it by `counterfoil replay --continue`, before anything is "
    "written: docs/runbooks/restore.md; what else it may mean: docs/runbooks/failed-check.md, 5."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTree:
    """A signed note over the tree of `size` leaves; `tree` knows the leaves from `first` on."""

    note: str
    first: int
    size: int
    root: bytes
    tree: RangeTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What transaction 2 found: the head's `signed_size` before it, and whether our checkpoint went in."""

    signed_before: int
    inserted: bool


def store_checkpoint(conn: Connection[Any], book: str, signed: SignedTree) -> Stored:
    """Store `signed` and advance the head over it, whoever wrote the records below; older than the head, do nothing.

    Raises `IntegrityError` when the log is shorter than what was signed, because the database went back in time, and
    when it is another one: somebody wrote to it.
    """
    with conn.transaction():
        try:
            row = conn.execute(
                "select size, signed_size, stored from ledger.store_checkpoint(%s, %s, %s, %s, %s)",
                [book, signed.size, signed.root, signed.tree.frontier.to_bytes(), signed.note],
            ).fetchone()
        except CheckViolation as error:
            raise IntegrityError(
                f"book {book}: the database does not hold what was signed: {error.diag.message_primary}.",
                remedy="Stop writing and run `counterfoil check`; see docs/runbooks/failed-check.md.",
                size=signed.size,
            ) from error
        if row is None or row[0] is None or row[0] < signed.size:
            raise behind_signature(book, row[0] if row and row[0] else 0, signed.size)
        return Stored(signed_before=row[1], inserted=row[2])


def covering_checkpoint(conn: Connection[Any], book: str, covers: int) -> tuple[int, str] | None:
    """Return (size, note) of the smallest stored checkpoint of at least `covers` records, None if there is none."""
    row = conn.execute(
        "select size, note from ledger.checkpoints where book = %s and size >= %s order by size limit 1",
        [book, covers],
    ).fetchone()
    return None if row is None else (row[0], row[1])


def frontier_at(conn: Connection[Any], book: str, size: int) -> Frontier:
    """Return the tree's frontier at `size`, from the nearest checkpoint below and the leaves since."""
    row = conn.execute(
        "select size, frontier from ledger.checkpoints where book = %s and size <= %s order by size desc limit 1",
        [book, size],
    ).fetchone()
    start = Frontier() if row is None else Frontier.from_bytes(row[0], bytes(row[1]))
    return start.extend(leaves_between(conn, book, start.size, size))


def leaves_between(conn: Connection[Any], book: str, first: int, end: int) -> list[bytes]:
    """Return the leaf hashes of records `first` to `end` (exclusive).

    Raises `IntegrityError` if one is missing.
    """
    if first == end:
        return []
    rows = conn.execute(
        "select leaf_hash from ledger.records where book = %s and seq >= %s and seq < %s order by seq",
        [book, first, end],
    ).fetchall()
    if len(rows) != end - first:
        raise IntegrityError(
            f"book {book}: {end - first - len(rows)} of the records {first} to {end - 1} are missing.",
            remedy="Run `counterfoil check`; restore, or replay from the archive.",
        )
    return [bytes(row[0]) for row in rows]


def behind_signature(book: str, size: int, signed_size: int) -> LedgerBehind:
    """Say that the database is older than a signature over it."""
    return LedgerBehind(
        f"book {book} has {size} records, yet a checkpoint over {signed_size} is signed: "
        "the database went back in time.",
        remedy=BEHIND_REMEDY,
        size=size,
        signed_size=signed_size,
    )
