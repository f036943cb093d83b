"""A batch worked out in full: judged, hashed, rendered as rows, before anything of it is written.

A plan holds for exactly one head. Made under the lock it is always right; made ahead, on top of a batch that is
still being copied, it is used only if the head then stands where it assumed. Not the writing: that is `posting.writer`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection

from ledger_core.book.posting.accounts import BookState
from ledger_core.book.posting.build import MICROSECOND, Builder
from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.idempotency import StoredOutcome, read_outcomes
from ledger_core.book.posting.judge import BatchJudge, Facts, JudgedRequest, read_facts
from ledger_core.book.posting.private import changed_requests
from ledger_core.book.posting.requests import Request
from ledger_core.book.posting.rows import RECORDS_COPY, RowWriter, copy_data
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.merkle import RangeTree
from ledger_core.ports import Declined, Item, Unchanged
from ledger_core.reading.tiles import Tile, TileEdge, grow_tiles


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What transaction 1 makes of one request.

    `covers` is the size that a checkpoint must reach to cover what it appended, `stands` the size that covers what it
    was told stands already: neither is said before it is signed. 0 where there is nothing of the kind.
    """

    request: Request
    items: tuple[Item, ...] = ()
    replay: StoredOutcome | None = None
    error: Exception | None = None
    covers: int = 0
    stands: int = 0

    @property
    def awaits(self) -> int:
        """The size that must be signed before the answer is given."""
        return max(self.covers, self.stands)


@dataclass(slots=True, kw_only=True)
class PlannedBatch:
    """A batch for the head `head`: outcomes, and everything that is to be written."""

    head: HeadRow
    size: int
    leaves: list[bytes]
    tree: RangeTree | None
    outcomes: list[Outcome]
    projected: Mapping[Kind, Sequence[tuple[int, Accepted]]]
    """What is projected after the rows are copied, with its seq."""
    deltas: Mapping[int, Sequence[int]]
    last_recorded_at: datetime | None
    streams: list[tuple[str, bytes]]
    """COPY statements and streams, the records' first; a stream is empty where there is no row."""
    tiles: list[Tile]
    clock: datetime | None = None
    """What this process' clock said when the batch was planned."""

    @property
    def head_after(self) -> HeadRow:
        """The head as this batch leaves it."""
        if self.tree is None:
            return self.head
        return HeadRow(
            origin=self.head.origin,
            size=self.size,
            signed_size=self.head.signed_size,
            last_leaf=self.leaves[-1],
            last_recorded_at=self.last_recorded_at,
            frontier=self.tree.frontier,
        )

    def holds_for(self, head: HeadRow) -> bool:
        """Say whether the plan was made for the log that ends in `head`."""
        return (self.head.size, self.head.last_leaf) == (head.size, head.last_leaf)


class Planner:
    """Plans batches of one book; the cached accounts go from plan to plan. One plan is made at a time."""

    def __init__(
        self,
        book: str,
        *,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._book = book
        self._state = BookState(book=book)
        self._rows = RowWriter(book)
        self._clock = clock
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._edge = TileEdge()
        self._last_facts: Facts = {}
        """The facts of the last plan, whose records the database may not show yet."""

    def plan(self, conn: Connection[Any], head: HeadRow, requests: Sequence[Request]) -> PlannedBatch:
        """Plan `requests` on top of `head`, which the caller has locked."""
        with self._lock:
            return self._plan(conn, head, requests, {})

    def plan_ahead(self, conn: Connection[Any], tip: PlannedBatch, requests: Sequence[Request]) -> PlannedBatch | None:
        """Plan `requests` on top of `tip`, which is being written; None for what must wait for the lock.

        Everything before `tip` is committed, and what its own records changed is known here. Whatever needs more of the
        database than that is left to the lock.
        """
        head = tip.head_after
        with self._lock:
            # Accounts read anew would lack what `tip` adds to them: only the lock may start the cache over.
            if not self._state.believes(head) or not all(map(_may_plan_ahead, requests)):
                return None
            try:
                return self._plan(conn, head, requests, self._last_facts)
            except BaseException:
                # Judged in part: the accounts have moved, and what is believed of them still says the head of `tip`.
                self._forget()
                raise

    def forget(self) -> None:
        """Drop what is cached: a batch failed, or its outcome is unknown."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._state.forget()
        self._last_facts = {}
        self._edge = TileEdge()

    def _plan(self, conn: Connection[Any], head: HeadRow, requests: Sequence[Request], before: Facts) -> PlannedBatch:
        self._state.believe(head)
        known = read_outcomes(conn, self._book, requests)
        facts = read_facts(conn, self._state, requests, before)
        changed = changed_requests(conn, self._book, requests, known)
        judge = BatchJudge(self._state, facts, known, head.size, changed=changed)
        judged = [judge.request(request) for request in requests]
        now = self._clock()
        built = Builder(self._book, head, self._rows, facts, now, self._random_bytes)
        outcomes = [_outcome(each, built) for each in judged]
        holders: dict[int, int] = {}
        for kind, read in facts.items():
            holders.update(kind.settle(conn, self._book, read, size=built.seq))
            kind.mend(conn, self._book, read)
        _set_stands(outcomes, holders)
        tree = RangeTree(head.frontier, built.leaves) if built.leaves else None
        tiles = grow_tiles(conn, self._book, head.size, built.leaves, tree.node, self._edge) if tree else []
        streams = [(RECORDS_COPY, copy_data(built.record_rows))]
        for kind, read in facts.items():
            streams += kind.streams(read)
        batch = PlannedBatch(
            head=head,
            size=built.seq,
            leaves=built.leaves,
            tree=tree,
            outcomes=outcomes,
            projected=built.projected,
            deltas=judge.deltas,
            last_recorded_at=built.recorded_at - MICROSECOND if tree is not None else head.last_recorded_at,
            streams=streams,
            tiles=tiles,
            clock=now,
        )
        self._state.believed = (batch.size, built.prev)
        self._last_facts = facts
        return batch


def _may_plan_ahead(request: Request) -> bool:
    return all(item.may_plan_ahead for item in request.items)


def _set_stands(outcomes: Sequence[Outcome], holders: Mapping[int, int]) -> None:
    """Have answers wait for the records they point at; for the whole batch where those came just now."""
    for outcome in outcomes:
        for item in outcome.items:
            if type(item) is Declined:
                outcome.stands = max(outcome.stands, holders.get(id(item.error), 0))
            elif type(item) is Unchanged:
                outcome.stands = max(outcome.stands, item.stands)


def _outcome(judged: JudgedRequest, built: Builder) -> Outcome:
    if judged.error is not None or judged.replay is not None:
        replay = judged.replay
        return Outcome(
            request=judged.request,
            replay=replay,
            error=judged.error,
            covers=replay.first_seq + replay.count if replay else 0,
        )
    items: list[Item] = []
    first_seq = built.seq
    for outcome in judged.outcomes:
        items.append(built.add(outcome) if type(outcome) is Accepted else outcome)  # type: ignore[arg-type]
    return Outcome(request=judged.request, items=tuple(items), covers=built.seq if built.seq > first_seq else 0)
