"""The log against itself and against everything that was ever said about it.

Row by row: the bytes hash to the stored leaf hash, are canonical, state the row's own position, kind and time, name the
record before them, and come later than it. Then the tree over the bytes is held against every root stated of it: the
checkpoints of the database, the proxy's last one, and the roots of the archived segments.

The hash that goes into the tree is always the hash of the bytes; the stored leaf hash is itself under suspicion.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from ledger_core.errors import CounterfoilError, UnknownSchema
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot, time_sql
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.quick import is_plain
from ledger_core.log.record import NO_PREV, Record, parse_record

BATCH_LEAVES = 1_000
"""Leaves that wait before the frontier takes them: one call a thousand costs a fifth of a call each."""

TABLE = "ledger.records"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class StatedRoot:
    """What somebody says the root is at `size`; `source` is for the reader."""

    size: int
    source: str
    root: bytes
    frontier: bytes | None = None
    independent: bool = False
    """True when it was not the database that is being checked who said it."""
    doubtful: bool = False
    """True when a compromised key alone signed it: where the records differ, that is no finding against them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One row of `records`; `record` is None where the bytes say nothing that can be relied on."""

    seq: int
    leaf_hash: bytes
    recorded_at: str
    record: Record | None


class Chain:
    """Walks the records of one book in order of seq and yields what the other passes derive from."""

    def __init__(self, snapshot: Snapshot, stated_roots: Sequence[Iterator[StatedRoot]], findings: Findings) -> None:
        self.size = 0
        self.last: Leaf | None = None
        self._snapshot = snapshot
        self._findings = findings
        self._stated_roots = heapq.merge(*stated_roots, key=lambda stated: stated.size)
        self._next = next(self._stated_roots, None)
        self._frontier = Frontier()
        self._waiting: list[bytes] = []
        self._whole = True
        self._agreed_size = 0
        self._disagreed: set[bool] = set()
        self.contradicted: dict[str, str] = {}
        """How the records differ from what is doubtful, by its source."""

    @property
    def has_gap(self) -> bool:
        """Say whether records were missing on the way, so that the tree cannot be built."""
        return not self._whole

    @property
    def frontier(self) -> Frontier:
        """Return the peaks over everything walked so far."""
        self._settle()
        return self._frontier

    @property
    def last_leaf(self) -> bytes:
        """Return the last leaf hash, or what stands for it in an empty log."""
        return self.last.leaf_hash if self.last else NO_PREV

    def walk(self) -> Iterator[Leaf]:
        """Yield every record; findings are kept on the way."""
        rows = self._snapshot.rows(
            f"select seq, kind, {time_sql('recorded_at')}, leaf_hash, canonical"  # noqa: S608 - a constant
            " from ledger.records where book = %(book)s order by seq"
        )
        for seq, kind, recorded_at, stored_hash, canonical in rows:
            if seq != self.size:
                self._gap(self.size, seq)
            hashed = leaf_hash(canonical)
            record = self._parse(seq, canonical)
            if stored_hash != hashed:
                self._findings.add(
                    Code.RECORDS_EDITED, TABLE, seq,
                    f"the bytes hash to {hashed.hex()}, the row says {stored_hash.hex()}",
                )  # fmt: skip
            if record is not None:
                self._compare(seq, kind, recorded_at, record)
            self.last = Leaf(seq=seq, leaf_hash=hashed, recorded_at=recorded_at, record=record)
            self._append(hashed)
            yield self.last
        self._beyond()

    def _parse(self, seq: int, canonical: bytes) -> Record | None:
        """Return the record, by the verifier's quick expression where that fits: half the time of the whole check."""
        if is_plain(canonical, self._snapshot.book):
            return _plain_record(canonical)
        try:
            return parse_record(canonical)
        except UnknownSchema as error:
            self._findings.add(Code.UNKNOWN_SCHEMA, TABLE, seq, error.message)
        except CounterfoilError as error:
            self._findings.add(Code.RECORDS_EDITED, TABLE, seq, f"the bytes are no record: {error}")
        return None

    def _compare(self, seq: int, kind: str, recorded_at: str, record: Record) -> None:
        add = self._findings.add
        if record.seq != seq:
            add(Code.RECORD_MISPLACED, TABLE, seq, f"the bytes are those of seq {record.seq}")
        if record.book != self._snapshot.book:
            add(Code.RECORD_MISPLACED, TABLE, seq, f"the bytes are those of book {record.book}")
        if record.kind != kind:
            add(Code.RECORDS_EDITED, TABLE, seq, f"kind is {kind!r}, the bytes say {record.kind!r}")
        if record.recorded_at != recorded_at:
            add(Code.RECORDS_EDITED, TABLE, seq, f"recorded_at is {recorded_at}, the bytes say {record.recorded_at}")
        before = self.last
        if before is not None and before.seq != seq - 1:
            return
        if record.prev != self.last_leaf:
            add(
                Code.PREV_MISMATCH, TABLE, seq,
                f"the bytes name {record.prev.hex()} as the record before, which hashes to {self.last_leaf.hex()}",
            )  # fmt: skip
        if before is not None and before.record is not None and record.recorded_at <= before.record.recorded_at:
            add(
                Code.TIME_NOT_MONOTONE, TABLE, seq,
                f"taken at {record.recorded_at}, the record before at {before.record.recorded_at}",
            )  # fmt: skip

    def _gap(self, first: int, following: int) -> None:
        count = following - first
        what = f"seq {first} is missing" if count == 1 else f"seqs {first} to {following - 1} are missing"
        self._findings.add(Code.SEQ_GAP, TABLE, first, f"{what}: {count} of the records were removed")
        self._settle()
        self._whole = False
        self.size = following

    def _append(self, hashed: bytes) -> None:
        self.size += 1
        self._waiting.append(hashed)
        if len(self._waiting) == BATCH_LEAVES:
            self._settle()
        while self._next is not None and self._next.size <= self.size:
            self._hold(self._next)
            self._next = next(self._stated_roots, None)

    def _settle(self) -> None:
        if self._whole and self._waiting:
            self._frontier = self._frontier.extend(self._waiting)
        self._waiting.clear()

    def _hold(self, stated: StatedRoot) -> None:
        """Hold the tree as it stands now against `stated`; after a gap nothing can be said."""
        if not self._whole or stated.size != self.size:
            return
        self._settle()
        root = self._frontier.root()
        if root == stated.root and stated.frontier in (None, self._frontier.to_bytes()):
            self._agreed_size = self.size
            return
        if root == stated.root:
            self._findings.add(
                Code.CHECKPOINT_MISMATCH, stated.source, self.size - 1, "the stored peaks are not those of the root"
            )
            return
        if stated.doubtful:
            self.contradicted[stated.source] = (
                f"at size {self.size} it states root {stated.root.hex()}, the records hash to {root.hex()}"
            )
            return
        # Every later root differs for the same reason: the first one tells where.
        if stated.independent in self._disagreed:
            return
        self._disagreed.add(stated.independent)
        forked = stated.independent and not self._findings.has(*_DAMAGE)
        self._findings.add(
            Code.FORKED if forked else Code.ROOT_MISMATCH,
            stated.source,
            self.size - 1,
            f"at size {self.size} it states root {stated.root.hex()}, the records hash to {root.hex()}; "
            f"the last agreement is at size {self._agreed_size}, so the change lies in seq {self._agreed_size} "
            f"to {self.size - 1}",
        )

    def _beyond(self) -> None:
        """Report what the database's own checkpoints say about records that it does not hold."""
        while self._next is not None:
            stated = self._next
            if not stated.independent and stated.size > self.size:
                self._findings.add(
                    Code.RECORD_MISSING, stated.source, stated.size - 1,
                    f"a checkpoint commits to {stated.size} records, there are {self.size}",
                )  # fmt: skip
                return
            self._next = next(self._stated_roots, None)


def _plain_record(canonical: bytes) -> Record:
    value = orjson.loads(canonical)
    return Record(
        seq=value["seq"],
        kind=value["kind"],
        body=value["body"],
        book=value["book"],
        id=UUID(value["id"]),
        prev=bytes.fromhex(value["prev"]) if _HASH.fullmatch(value["prev"]) else NO_PREV,
        recorded_at=value["recorded_at"],
    )


_HASH = re.compile("[0-9a-f]{64}")
_DAMAGE = (
    Code.RECORDS_EDITED,
    Code.RECORD_MISPLACED,
    Code.SEQ_GAP,
    Code.PREV_MISMATCH,
)
