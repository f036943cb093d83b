"""One book, from the records of a verified log, in its caller's transaction: rows, tree, checkpoints, head.

A batch is laid out on this thread while the one before is being copied on another. Invariants: what is written is what
posting would have written (`book/posting/recall.py`, `write_planned`), checkpoints are stored by the function of the
database alone, and a root that is not the archive's is an error before anything is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg

from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.recall import Recaller
from ledger_core.book.posting.writer import write_planned
from ledger_core.book.sequencer.checkpoints import SignedTree, store_checkpoint
from ledger_core.evidence.replay.archive import VerifiedLog, changed
from ledger_core.kinds import Kind
from ledger_core.log.merkle import RangeTree
from ledger_core.log.note import parse_checkpoint, parse_note

BATCH_RECORDS = 2_000
BATCH_BYTES = 8 * 1024 * 1024
"""A batch and its rows, twice: of the largest records some 60 MB."""

Progress = Callable[[int], None]


class Rebuild:
    """A book that is being rebuilt, as far as it has come."""

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        book: str,
        head: HeadRow,
        kinds: Iterable[Kind],
        beside: ThreadPoolExecutor,
        progress: Progress | None,
    ) -> None:
        self.head = head
        self._conn = conn
        self._book = book
        self._recaller = Recaller(book, kinds)
        self._recaller.start(conn, head)
        self._beside = beside
        self._written: Future[None] | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._progress = progress

    def take(self, lines: list[bytes]) -> None:
        """Take the next records."""
        self._waiting += lines
        self._waiting_bytes += sum(map(len, lines))
        while len(self._waiting) >= BATCH_RECORDS or self._waiting_bytes >= BATCH_BYTES:
            self._lay(BATCH_RECORDS)

    def store(self, note: str) -> None:
        """Store the checkpoint `note` over all that was taken. Raises `IntegrityError` if it is of another tree."""
        self.settle()
        checkpoint = parse_checkpoint(parse_note(note).text)
        signed = SignedTree(
            note=note,
            first=self.head.size,
            size=checkpoint.size,
            root=checkpoint.root,
            tree=RangeTree(self.head.frontier, []),
        )
        store_checkpoint(self._conn, self._book, signed)

    def settle(self) -> None:
        """Write what was taken, and wait until it is."""
        while self._waiting:
            self._lay(BATCH_RECORDS)
        if self._written is not None:
            self._written.result()
            self._written = None

    def finish(self) -> None:
        """Write what only the end tells."""
        self.settle()
        self._recaller.finish(self._conn)

    def _lay(self, count: int) -> None:
        lines, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= sum(map(len, lines))
        planned = self._recaller.plan(self._conn, self.head, lines)
        if self._written is not None:
            self._written.result()
        self._written = self._beside.submit(write_planned, self._conn, self._book, planned)
        self.head = planned.head_after
        if self._progress is not None:
            self._progress(self.head.size)


@contextmanager
def rebuilding(
    conn: psycopg.Connection[Any], book: str, head: HeadRow, kinds: Iterable[Kind], progress: Progress | None
) -> Iterator[Rebuild]:
    """Yield the rebuilding of `book` behind `head`; what was not finished is left to the caller's rollback."""
    with ThreadPoolExecutor(1, thread_name_prefix="replay") as beside:
        yield Rebuild(conn, book, head, kinds, beside, progress)


def take_log(rebuild: Rebuild, log: VerifiedLog) -> None:
    """Take the records of `log` that lie behind the head of `rebuild`, and the checkpoints of their segments.

    Raises `ArchiveRefused` where they do not come to what was verified.
    """
    for segment in log.segments:
        manifest = segment.manifest
        skipped = max(0, rebuild.head.size - manifest.first_seq)
        if manifest.next_seq <= rebuild.head.size:
            continue
        for lines in segment.lines():
            if skipped >= len(lines):
                skipped -= len(lines)
                continue
            rebuild.take(lines[skipped:])
            skipped = 0
        rebuild.settle()
        if (rebuild.head.size, rebuild.head.frontier.root()) != (manifest.next_seq, manifest.root):
            raise changed(segment.folder, "its records come to another root", "edited")
        rebuild.store(segment.note(log.ring))
    if rebuild.head.size == log.size and rebuild.head.frontier.root() != log.root:
        raise changed(log.segments[-1].folder, "it comes to another root than was verified", "forked")
    if rebuild.head.size < log.size:
        raise changed(log.segments[-1].folder, f"it ends at {rebuild.head.size} of {log.size} records", "truncated")
