"""A batch worked out in full: judged, hashed, rendered as rows, before anything of it is written.

A plan holds for exactly one head. Made under the lock it is always right; made ahead, on top of a batch that is
still being copied, it is used only if the head then stands where it assumed. Not the writing: that is `posting.writer`.
"""

from __future__ import annotations

import os
import threading
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from psycopg import Connection

from ledger_core.book.posting.build import Builder
from ledger_core.book.posting.decide import Accepted, Duplicate, JudgedRequest, judge
from ledger_core.book.posting.idempotency import StoredOutcome
from ledger_core.book.posting.items import EntryItem, Request
from ledger_core.book.posting.rows import RowWriter, copy_data
from ledger_core.book.posting.state import BookState, HeadRow, load_facts
from ledger_core.errors import IntegrityError
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
    accepted: list[tuple[int, Accepted]]
    deltas: Mapping[int, Sequence[int]]
    last_recorded_at: datetime | None
    streams: tuple[bytes, bytes, bytes]
    """COPY streams of records, entries and postings; empty where there is no row."""
    tiles: list[Tile]

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
        self._last_ids: Mapping[str, tuple[EntryItem, str]] = {}
        """The `external_id`s of the last plan, which the database may not show yet."""

    def plan(self, conn: Connection[Any], head: HeadRow, requests: Sequence[Request]) -> PlannedBatch:
        """Plan `requests` on top of `head`, which the caller has locked."""
        with self._lock:
            return self._plan(conn, head, requests, {})

    def plan_ahead(self, conn: Connection[Any], tip: PlannedBatch, requests: Sequence[Request]) -> PlannedBatch | None:
        """Plan `requests` on top of `tip`, which is being written; None for what must wait for the lock.

        Everything before `tip` is committed, and its own accounts and `external_id`s are known here. References to
        other entries, accounts being made and other kinds are left to the lock.
        """
        head = tip.head_after
        with self._lock:
            if self._state.believed != (head.size, head.last_leaf) or not all(map(_is_simple, requests)):
                return None
            return self._plan(conn, head, requests, self._last_ids)

    def forget(self) -> None:
        """Drop what is cached: a batch failed, or its outcome is unknown."""
        with self._lock:
            self._state.forget()
            self._last_ids = {}
            self._edge = TileEdge()

    def _plan(
        self,
        conn: Connection[Any],
        head: HeadRow,
        requests: Sequence[Request],
        in_flight: Mapping[str, tuple[EntryItem, str]],
    ) -> PlannedBatch:
        facts = load_facts(conn, self._state, head, requests)
        judged = judge(self._state, facts, requests, first_seq=head.size, in_flight=in_flight)
        built = Builder(self._book, head, self._rows, self._clock(), self._random_bytes)
        outcomes = [_outcome(each, built) for each in judged.requests]
        settle_duplicates(conn, self._book, judged.duplicates, ChainMap(built.by_external_id, dict(in_flight)))
        self._set_stands(outcomes, judged.duplicates, built.seq)
        tree = RangeTree(head.frontier, built.leaves) if built.leaves else None
        tiles = grow_tiles(conn, self._book, head.size, built.leaves, tree.node, self._edge) if tree else []
        batch = PlannedBatch(
            head=head,
            size=built.seq,
            leaves=built.leaves,
            tree=tree,
            outcomes=outcomes,
            accepted=built.accepted,
            deltas=judged.deltas,
            last_recorded_at=built.last_recorded_at if tree is not None else head.last_recorded_at,
            streams=(
                copy_data(built.record_rows),
                copy_data(built.entry_rows),
                copy_data(built.posting_rows),
            ),
            tiles=tiles,
        )
        self._state.believed = (batch.size, built.prev)
        self._last_ids = built.by_external_id
        return batch

    def _set_stands(self, outcomes: Sequence[Outcome], duplicates: Sequence[Duplicate], size: int) -> None:
        """Have answers wait for the records they point at; for the whole batch where those came just now."""
        holders = {id(each.error): each.known.seq + 1 if each.known else size for each in duplicates}
        for outcome in outcomes:
            for item in outcome.items:
                if type(item) is Declined:
                    outcome.stands = max(outcome.stands, holders.get(id(item.error), 0))
                elif type(item) is Unchanged:
                    outcome.stands = max(outcome.stands, self._state.accounts[item.code].changed_seq + 1)


def _is_simple(request: Request) -> bool:
    return all(
        type(item) is EntryItem and item.draft.reverses is None and item.draft.corrects is None
        for item in request.items
    )


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


def settle_duplicates(
    conn: Connection[Any],
    book: str,
    duplicates: Sequence[Duplicate],
    batch: Mapping[str, tuple[EntryItem, str]],
) -> None:
    """Tell each refused duplicate who holds its `external_id`, and whether the holder says the same.

    `batch` has the holders that came with the same batch, by `external_id`, with their ids.
    """
    stored = [duplicate.known.seq for duplicate in duplicates if duplicate.known is not None]
    fingerprints: dict[int, str] = {}
    if stored:
        rows = conn.execute(
            "select seq, canonical from ledger.records where book = %s and seq = any(%s)", [book, stored]
        )
        for seq, canonical in rows:
            fingerprints[seq] = orjson.loads(canonical)["body"]["fingerprint"]
    for duplicate in duplicates:
        error, item = duplicate.error, duplicate.item
        if duplicate.known is not None:
            if duplicate.known.seq not in fingerprints:
                raise IntegrityError(f"entry {duplicate.known.id} has no record.", remedy="Run `counterfoil check`.")
            error.entry_id = duplicate.known.id
            error.identical = fingerprints[duplicate.known.seq] == item.fingerprint
        elif item.draft.external_id in batch:
            first, error.entry_id = batch[item.draft.external_id]
            error.identical = first.fingerprint == item.fingerprint
