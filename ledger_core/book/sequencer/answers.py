"""Answers to requests whose records are signed: from memory when they are fresh, from the log when they are not.

An answer is a function of where the records stand: the checkpoint named in it is always the smallest stored
one that covers them. So the first answer and every replay of it are the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine

from ledger_core.book.posting.plan import Outcome
from ledger_core.book.sequencer.checkpoints import SignedTree, Stored, covering_checkpoint
from ledger_core.errors import CounterfoilError, IntegrityError
from ledger_core.log.merkle import NodeReader
from ledger_core.ports import Answer, Item, Posted
from ledger_core.reading.records import posted_from_row
from ledger_core.reading.tiles import node_reader


@dataclass(slots=True, kw_only=True)
class Waiting:
    """A request whose records are durable and whose answer waits for `outcome.awaits` signed records."""

    outcome: Outcome


class Answers:
    """Makes the answers of one book."""

    def __init__(self, engine: Engine, book: str) -> None:
        self._engine = engine
        self._book = book

    def give(
        self,
        conn: Connection[Any],
        ready: Sequence[Waiting],
        signed: SignedTree | None,
        stored: Stored | None,
    ) -> None:
        """Resolve the future of each of `ready`, all of which a stored checkpoint covers."""
        for waiting in ready:
            request = waiting.outcome.request
            if request.future.done():
                continue
            try:
                answer = self._answer(conn, waiting.outcome, signed, stored)
            except CounterfoilError as error:
                request.future.set_exception(error)
            else:
                request.future.set_result(answer)

    def _answer(
        self, conn: Connection[Any], outcome: Outcome, signed: SignedTree | None, stored: Stored | None
    ) -> Answer:
        if outcome.covers == 0:
            return unsigned_answer(outcome, outcome.stands)
        items = self._items(conn, outcome)
        fresh = signed is not None and stored is not None and stored.inserted
        from_memory = False
        if fresh and signed is not None and stored is not None and outcome.covers > stored.signed_before:
            size, note = signed.size, signed.note
            # RFC 6962: the path of a leaf from `first` on touches nothing before `first` but its peaks.
            from_memory = _first_seq(items) >= signed.first
        else:
            size, note = self._covering(conn, outcome.covers)
        known = [signed.tree.node] if signed is not None else []
        tree = chained_tree(known, stored_tree(self._engine, self._book, size))
        return Answer(
            items=items,
            replayed=outcome.replay is not None,
            checkpoint=note,
            size=size,
            tree=tree,
            from_memory=from_memory,
        )

    def _items(self, conn: Connection[Any], outcome: Outcome) -> tuple[Item, ...]:
        replay = outcome.replay
        if replay is None:
            return outcome.items
        rows = conn.execute(
            "select seq, leaf_hash, canonical from ledger.records "
            "where book = %s and seq >= %s and seq < %s order by seq",
            [self._book, replay.first_seq, replay.first_seq + replay.count],
        ).fetchall()
        if len(rows) != replay.count:
            raise IntegrityError(
                f"book {self._book}: records {replay.first_seq} to {replay.first_seq + replay.count - 1}, "
                "which an idempotency key stands for, are missing.",
                remedy="Run `counterfoil check`.",
            )
        return replay.items([posted_from_row(*row) for row in rows])

    def _covering(self, conn: Connection[Any], covers: int) -> tuple[int, str]:
        found = covering_checkpoint(conn, self._book, covers)
        if found is None:
            raise IntegrityError(
                f"book {self._book}: no checkpoint covers {covers} records, though they count as signed.",
                remedy="Run `counterfoil check`.",
            )
        return found


def unsigned_answer(outcome: Outcome, size: int) -> Answer:
    """Return the answer to a request that appended nothing, or whose caller does not wait."""
    return Answer(items=outcome.items, replayed=outcome.replay is not None, checkpoint=None, size=size)


def _first_seq(items: Sequence[Item]) -> int:
    return next((item.seq for item in items if isinstance(item, Posted)), 0)


def stored_tree(engine: Engine, book: str, size: int) -> NodeReader:
    """Return a reader of the stored tree of `size` leaves that takes a connection when it is asked."""

    def node(level: int, index: int) -> bytes:
        with engine.connect() as connection:
            return node_reader(connection, book, size)(level, index)

    return node


def chained_tree(known: Sequence[NodeReader], stored: NodeReader) -> NodeReader:
    """Return a reader that asks `known` trees in memory first, then `stored`, and remembers what that said.

    A complete subtree's hash does not depend on the tree's size, so trees of different sizes may answer.
    """
    read: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        for tree in known:
            try:
                return tree(level, index)
            except KeyError:
                continue
        if (level, index) not in read:
            read[level, index] = stored(level, index)
        return read[level, index]

    return node
