"""Records that a log holds already, laid behind a head as posting lays them: batches to be written by `write_planned`.

Nothing is judged: whoever hands in lines has proved them, or proves them before he commits. What a record means for the
tables is its kind's `recall`, `place` and `project`; there is no second way from a record to its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg import Connection

from ledger_core.book.posting.accounts import BookState
from ledger_core.book.posting.balances import add_to_balances, require_balances
from ledger_core.book.posting.build import Placer
from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.plan import PlannedBatch
from ledger_core.book.posting.rows import RECORDS_COPY, RowWriter, copy_data
from ledger_core.errors import IntegrityError
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.merkle import RangeTree, leaf_hashes
from ledger_core.log.record import Record
from ledger_core.reading.tiles import TileEdge, grow_tiles

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True, kw_only=True)
class Recalling:
    """A book as the records up to now leave it: the recalled counterpart of `BatchJudge`."""

    book: str
    state: BookState
    deltas: dict[int, list[int]] = field(default_factory=dict)
    """What all records so far add to each account: [debits, credits, last seq] by account id."""


class Recaller:
    """Plans the batches of one book; its memory grows with the number of accounts and of exports alone."""

    def __init__(self, book: str, kinds: Iterable[Kind]) -> None:
        self._book = book
        self._kinds = {kind.name: kind for kind in kinds}
        self._recalling = Recalling(book=book, state=BookState(book=book))
        self._rows = RowWriter(book)
        self._edge = TileEdge()
        self._held_back: dict[Kind, list[tuple[int, Accepted]]] = {}
        self._void: set[int] = set()

    def start(self, conn: Connection[Any], head: HeadRow) -> None:
        """Read what stands up to `head`: the accounts, and the edge of the tiles. `plan` reads nothing."""
        self._recalling.state.load_all(conn)
        self._edge.at(conn, self._book, head.size)

    def plan(self, conn: Connection[Any], head: HeadRow, lines: Sequence[bytes]) -> PlannedBatch:
        """Return the batch of `lines`, which follow on `head`. Raises `IntegrityError` for what no book holds."""
        facts: dict[Kind, Any] = {kind: kind.recall_facts() for kind in self._kinds.values() if kind.writes_rows}
        placer = Placer(head, self._rows, facts)
        moment = head.last_recorded_at
        for line, leaf in zip(lines, leaf_hashes(lines), strict=True):
            try:
                moment = self._lay(placer, line, leaf)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise IntegrityError(
                    f"book {self._book}: the record at seq {placer.seq} does not follow from those before it: "
                    f"{type(error).__name__} {error}.",
                    remedy="Run `counterfoil verify` on the archive, by the version of this software that posted it.",
                    seq=placer.seq,
                ) from error
        tree = RangeTree(head.frontier, placer.leaves)
        streams = [(RECORDS_COPY, copy_data(placer.record_rows))]
        for kind, read in facts.items():
            streams += kind.streams(read)
        return PlannedBatch(
            head=head,
            size=placer.seq,
            leaves=placer.leaves,
            tree=tree,
            outcomes=[],
            projected=placer.projected,
            deltas={},  # written once, at the end: a row that is updated a thousand times in one transaction is slow
            last_recorded_at=moment,
            streams=streams,
            tiles=grow_tiles(conn, self._book, head.size, placer.leaves, tree.node, self._edge),
        )

    def finish(self, conn: Connection[Any]) -> None:
        """Write what only the end tells: what no later record called void, and the balances."""
        for kind, items in self._held_back.items():
            kind.project(conn, self._book, [(seq, item) for seq, item in items if seq not in self._void])
        deltas = self._recalling.deltas
        if deltas:
            require_balances(self._book, add_to_balances(conn, self._book, deltas), deltas)

    def _lay(self, placer: Placer, line: bytes, leaf: bytes) -> datetime:
        value = orjson.loads(line)
        uuid = UUID(value["id"])
        kind = self._kinds[value["kind"]]
        record = Record(
            seq=placer.seq,
            kind=kind.name,
            body=value["body"],
            book=self._book,
            id=uuid,
            prev=placer.prev,
            recorded_at=value["recorded_at"],
        )
        accepted = kind.recall(self._recalling, record)
        moment = datetime.fromisoformat(record.recorded_at)
        placer.lay(
            accepted,
            kind,
            micros=(moment - _EPOCH) // _MICROSECOND,
            leaf=leaf,
            canonical=line,
            raw_id=uuid.bytes,
            id=value["id"],
        )
        if not kind.writes_rows:
            self._set_aside(placer, kind, record)
        return moment

    def _set_aside(self, placer: Placer, kind: Kind, record: Record) -> None:
        """Hold back what a later record may call void, and note what this one does."""
        if kind.may_be_void:
            self._held_back.setdefault(kind, []).extend(placer.projected.pop(kind))
        if (void := kind.voided_by(record)) is not None:
            self._void.add(void)
