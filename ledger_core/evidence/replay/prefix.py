"""What the database has, proved to be the beginning of what the archive has: the same records, up to the shorter's end.

The database's side is recomputed from the bytes of its records and not believed from its head; the archive's from the
frontier that its signed manifest states, and its records. Where the two differ nothing is replayed, because one of them
is another history, and which record is the first to differ is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from ledger_core.book.posting.head import HeadRow
from ledger_core.errors import IntegrityError, LedgerForked
from ledger_core.evidence.export.records import record_batches
from ledger_core.evidence.replay.archive import Segment, VerifiedLog
from ledger_core.log.merkle import Frontier, leaf_hashes

Progress = Callable[[int], None]


def require_prefix(
    conn: psycopg.Connection[Any], head: HeadRow, log: VerifiedLog, *, progress: Progress | None = None
) -> None:
    """Return if the records of the database and those of `log` are the same up to where both reach.

    Raises `LedgerForked` with the first seq that differs, `IntegrityError` for a head that its own records contradict.
    """
    shared = min(head.size, log.size)
    if shared < log.first_seq:
        raise LedgerForked(
            f"book {log.book} has {head.size} records, and the archive begins at seq {log.first_seq}: nothing shows "
            "that they are one log.",
            remedy="Give an archive that holds the records before.",
            seq=head.size,
        )
    ours = _hashed(conn, log.book, Frontier(), shared, progress)
    whole = _hashed(conn, log.book, ours, head.size, progress)
    if whole != head.frontier:
        raise IntegrityError(
            f"book {log.book}: the records of the database do not come to the tree that its head states.",
            remedy="Nothing was written. Run `counterfoil check`; restore another backup.",
            finding="head_mismatch",
        )
    theirs = _archived_tree(log, shared)
    if ours != theirs:
        seq = _first_difference(conn, log, shared)
        raise LedgerForked(
            f"book {log.book}: the database and the archive hold two histories; the first record that differs is at "
            f"seq {seq}.",
            remedy="Nothing was written. Keep both, and restore a backup from before that: docs/runbooks/restore.md.",
            seq=seq,
        )


def _hashed(
    conn: psycopg.Connection[Any], book: str, frontier: Frontier, end: int, progress: Progress | None
) -> Frontier:
    """Return `frontier` behind the records of the database up to `end`, or up to the first that is missing."""
    for batch in record_batches(conn, book, frontier.size, end):
        frontier = frontier.extend(leaf_hashes(batch))
        if progress is not None:
            progress(frontier.size)
    return frontier


def _archived_tree(log: VerifiedLog, size: int) -> Frontier:
    """Return the archive's tree of `size` records, from the segment that holds the last of them."""
    segment = next(item for item in log.segments if item.manifest.next_seq >= size)
    frontier = segment.manifest.before
    for lines in _until(segment, size):
        frontier = frontier.extend(leaf_hashes(lines))
    return frontier


def _until(segment: Segment, end: int) -> Iterator[list[bytes]]:
    """Yield the records of `segment` before seq `end`; the rest is not read."""
    room = end - segment.manifest.first_seq
    if room <= 0:
        return
    for lines in segment.lines():
        yield lines[:room]
        room -= len(lines)
        if room <= 0:
            return


def _first_difference(conn: psycopg.Connection[Any], log: VerifiedLog, end: int) -> int:
    ours = (line for batch in record_batches(conn, log.book, log.first_seq, end) for line in batch)
    theirs = (line for segment in log.segments for lines in _until(segment, end) for line in lines)
    for seq, (here, there) in enumerate(zip(ours, theirs, strict=False), start=log.first_seq):
        if here != there:
            return seq
    return log.first_seq
