"""Getting the log's tail signed: what is asked of the signing proxy, and what is believed of its answer.

Keeps the frontier at the proxy's last known size and the leaves since, which is what the proxy wants to see, so that a
request is made without reading the database. A tail longer than one request may carry is signed in steps.
Invariants: nothing is asked that is not durable; no checkpoint is adopted whose root is not ours; a book that is behind
the proxy is never written.
"""

from __future__ import annotations

import threading
from typing import Any

from psycopg import Connection

from ledger_core.book.sequencer.archived import Archived, require_not_behind
from ledger_core.book.sequencer.checkpoints import (
    SignedTree,
    Stored,
    behind_signature,
    frontier_at,
    leaves_between,
    store_checkpoint,
)
from ledger_core.errors import IntegrityError, SignerBehind, SignerMovedOn
from ledger_core.log.merkle import Frontier, RangeTree
from ledger_core.log.note import Checkpoint, parse_checkpoint, parse_note
from ledger_core.signing.port import MAX_LEAVES, CheckpointSigner

MAX_ATTEMPTS = 8
"""How often another writer may overtake one request for a signature before it is tried later."""


class Notary:
    """Obtains checkpoints of one book. Safe for threads; one signature is asked for at a time."""

    def __init__(self, book: str, origin: str, signer: CheckpointSigner, archive: Archived | None = None) -> None:
        self.book = book
        self.origin = origin
        self._signer = signer
        self._archive = archive
        self._signing = threading.Lock()
        self._lock = threading.Lock()
        """Guards anchor and leaves, which the writer's thread adds to while the signer's thread waits for the proxy."""
        self._anchor: Frontier | None = None
        self._leaves: list[bytes] = []

    def recover(self, conn: Connection[Any]) -> None:
        """Do what a process owes the book before its first write: compare with the proxy, have the tail signed.

        The tail may be what a process left that died between its two transactions. Raises as `sign_and_store`
        does.
        """
        self.guard(conn)
        size, signed_size = head_sizes(conn, self.book)
        if signed_size < size:
            self.sign_and_store(conn, size)

    def compare(self, conn: Connection[Any]) -> None:
        """Do as `guard` does, for a process that writes nothing yet: its first write asks again. Before any thread."""
        self.guard(conn)
        with self._lock:
            self._anchor = None

    def sign_and_store(self, conn: Connection[Any], size: int) -> tuple[SignedTree, Stored]:
        """Obtain a checkpoint over at least `size` durable records and run transaction 2 with it.

        Raises `DependencyError` when the proxy is away, `IntegrityError` when it and the log contradict each
        other.
        """
        with self._signing:
            self.guard(conn)
            while True:
                signed = self._sign_latest(conn, size)
                stored = store_checkpoint(conn, self.book, signed)
                if signed.size >= size:
                    return signed, stored

    def guard(self, conn: Connection[Any]) -> None:
        """Compare the proxy's last checkpoint and the archive's with the log, once a process, before the first write.

        Raises `IntegrityError` when the proxy signed more than the log holds, or something else, and when the archive
        holds more; `DependencyError` when one of them does not answer.
        """
        with self._lock:
            if self._anchor is None:
                # In this order: whatever the database holds signatures of, the proxy has stored before.
                _, signed_size = head_sizes(conn, self.book)
                latest = self._signer.latest(self.origin)
                known = 0 if latest is None else _read(latest).size
                if known < signed_size:
                    raise _signer_behind(self.origin, known, signed_size)
                self._rebase(conn, latest)
                try:
                    if self._archive is not None:
                        require_not_behind(self.book, head_sizes(conn, self.book)[0], self._archive)
                except BaseException:
                    self._anchor = None  # asked again before anything is written
                    raise

    def close(self) -> None:
        """Give back the calling thread's connection to the proxy."""
        self._signer.close()

    def add(self, first_seq: int, leaves: list[bytes]) -> None:
        """Take note of a durable batch; one that does not follow on is read from the database when it is needed."""
        with self._lock:
            if self._anchor is not None and self._anchor.size + len(self._leaves) == first_seq:
                self._leaves.extend(leaves)

    def _sign_latest(self, conn: Connection[Any], size: int) -> SignedTree:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._sign(conn, size)
            except SignerMovedOn as moved:
                if attempt == MAX_ATTEMPTS:
                    raise
                with self._lock:
                    self._rebase(conn, moved.latest)
        raise AssertionError("unreachable")

    def _sign(self, conn: Connection[Any], size: int) -> SignedTree:
        anchor, leaves = self._since_anchor(conn, size)
        tree = RangeTree(anchor, leaves)
        size = tree.size
        root = tree.frontier.root()
        note = self._signer.sign_checkpoint(origin=self.origin, old=anchor, leaves=leaves, root=root)
        found = _read(note)
        if found.size > size:
            tree = self._adopt(conn, found)
        elif found.root != root:
            raise _fork(self.book, found)
        with self._lock:
            # What another thread added meanwhile stays.
            self._leaves = self._leaves[found.size - anchor.size :]
            self._anchor = tree.frontier
        return SignedTree(note=note, first=anchor.size, size=found.size, root=found.root, tree=tree)

    def _since_anchor(self, conn: Connection[Any], size: int) -> tuple[Frontier, list[bytes]]:
        """Return the anchor and the leaves from it to at least `size`, or as many as one request may carry."""
        with self._lock:
            anchor, leaves = self._anchor, list(self._leaves)
        assert anchor is not None, "guard has run"
        have, end = anchor.size + len(leaves), min(size, anchor.size + MAX_LEAVES)
        if have < end:
            leaves += leaves_between(conn, self.book, have, end)
            with self._lock:
                self._leaves = list(leaves)
        return anchor, leaves[:MAX_LEAVES]

    def _adopt(self, conn: Connection[Any], found: Checkpoint) -> RangeTree:
        """Return our tree at the larger size that another writer had signed, if it is the same tree."""
        head, _ = head_sizes(conn, self.book)
        if head < found.size:
            raise behind_signature(self.book, head, found.size)
        with self._lock:
            anchor = self._anchor
        assert anchor is not None
        tree = RangeTree(anchor, leaves_between(conn, self.book, anchor.size, found.size))
        if tree.frontier.root() != found.root:
            raise _fork(self.book, found)
        return tree

    def _rebase(self, conn: Connection[Any], latest: str | None) -> None:
        """Start from the proxy's last checkpoint, after comparing it with the log."""
        if latest is None:
            self._anchor = Frontier()
        else:
            found = _read(latest)
            head, _ = head_sizes(conn, self.book)
            if head < found.size:
                raise behind_signature(self.book, head, found.size)
            anchor = frontier_at(conn, self.book, found.size)
            if anchor.root() != found.root:
                raise _fork(self.book, found)
            self._anchor = anchor
        self._leaves = []


def head_sizes(conn: Connection[Any], book: str) -> tuple[int, int]:
    """Return how many records the log of `book` has, and how many of them a stored checkpoint covers."""
    row = conn.execute("select size, signed_size from ledger.log_head where book = %s", [book]).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _read(note: str) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)


def _signer_behind(origin: str, known: int, signed_size: int) -> IntegrityError:
    knows = f"knows only {known} records" if known else "knows nothing"
    return SignerBehind(
        f"the signing proxy {knows} of {origin}, of which {signed_size} are signed.",
        remedy="It is another proxy, or it lost its state: see docs/runbooks/signing-state.md before anything is "
        "written.",
        size=known,
        signed_size=signed_size,
    )


def _fork(book: str, found: Checkpoint) -> IntegrityError:
    return IntegrityError(
        f"book {book}: the proxy signed another history; the roots at size {found.size} differ.",
        remedy="Stop writing and run `counterfoil check`: the log or the proxy's state was replaced.",
        reason="fork",
        size=found.size,
    )
