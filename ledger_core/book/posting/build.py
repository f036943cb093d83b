"""Gives each accepted item of a batch its place: seq, id, time, bytes, leaf hash, rows.

`Placer.lay` is the one way from a record to its rows: what is posted passes it, and what is replayed from an archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

from ledger_core.book.posting.head import HeadRow
from ledger_core.book.posting.judge import Facts
from ledger_core.book.posting.rows import POSTGRES_EPOCH_MICROSECONDS, RowWriter
from ledger_core.kinds import Accepted, Kind
from ledger_core.log.merkle import leaf_hash
from ledger_core.log.record import Frame
from ledger_core.ports import Posted

_TWO_WORDS = Struct(">QQ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Placer:
    """Lays records behind a head, one after another: their leaves, and the rows of their kinds."""

    def __init__(self, head: HeadRow, rows: RowWriter, facts: Facts) -> None:
        self.rows = rows
        self.facts = facts
        self.seq = head.size
        self.prev = head.last_leaf
        self.leaves: list[bytes] = []
        self.record_rows: list[bytes] = []
        self.projected: dict[Kind, list[tuple[int, Accepted]]] = {}
        """What is projected after the rows are copied, by kind."""

    def lay(
        self, accepted: Accepted, kind: Kind, *, micros: int, leaf: bytes, canonical: bytes, raw_id: bytes, id: str
    ) -> Any:
        """Put one record at the end, and return what its kind says of it; `micros` is its time, from 1970 on."""
        seq = self.seq
        self.leaves.append(leaf)
        row = self.rows.record(seq, kind.name, micros - POSTGRES_EPOCH_MICROSECONDS, leaf, canonical)
        self.record_rows.append(row)
        entry = None
        if kind.writes_rows:
            entry = kind.place(self.facts[kind], self.rows, accepted, seq, raw_id, id)
        else:
            self.projected.setdefault(kind, []).append((seq, accepted))
        self.prev = leaf
        self.seq = seq + 1
        return entry


class Builder(Placer):
    """Gives each accepted item what only its place in the log tells: id, time, bytes, leaf."""

    def __init__(
        self,
        book: str,
        head: HeadRow,
        rows: RowWriter,
        facts: Facts,
        now: datetime,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        super().__init__(head, rows, facts)
        self.book = book
        last = head.last_recorded_at
        self.recorded_at = now if last is None else max(now, last + MICROSECOND)
        """When the next record will be said to have come; `micros` is the same, from 1970 on."""
        self.micros = (self.recorded_at - _EPOCH) // MICROSECOND
        self.random_bytes = random_bytes
        self._frames: dict[str, Frame] = {}
        self._random: Iterator[bytes] = iter(())
        self._second = -1
        self._prefix = ""

    def add(self, accepted: Accepted) -> Posted:
        """Append one record and return it."""
        kind = accepted.item.kind
        name = kind.name
        seq, micros = self.seq, self.micros
        raw_id = uuid7(micros, self._randomness())
        text = raw_id.hex()
        id = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        frame = self._frames.get(name)
        if frame is None:
            frame = self._frames[name] = Frame(self.book, name)
        canonical = frame.around(accepted.body, id=id, prev=self.prev, recorded_at=self._time(micros), seq=seq)
        leaf = leaf_hash(canonical)
        entry = self.lay(accepted, kind, micros=micros, leaf=leaf, canonical=canonical, raw_id=raw_id, id=id)
        recorded_at = self.recorded_at
        self.recorded_at = recorded_at + MICROSECOND
        self.micros = micros + 1
        return Posted(
            id=id,
            seq=seq,
            kind=name,
            recorded_at=recorded_at,
            leaf_hash=leaf,
            canonical=canonical,
            entry=entry,
            action=kind.action(accepted),
        )

    def _randomness(self) -> bytes:
        """Return eight random bytes; the system is asked for 256 records' worth at once."""
        taken = next(self._random, None)
        if taken is None:
            drawn = self.random_bytes(8 * 256)
            self._random = iter([drawn[at : at + 8] for at in range(8, len(drawn), 8)])
            taken = drawn[:8]
        return taken

    def _time(self, micros: int) -> str:
        second, fraction = divmod(micros, 1_000_000)
        if second != self._second:
            self._second = second
            self._prefix = (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._prefix}.{fraction:06d}Z"


def uuid7(unix_microseconds: int, randomness: bytes) -> bytes:
    """Return a UUID version 7 whose 12 bits after the milliseconds carry their fraction (RFC 9562, method 3).

    So ids sort as their records do, and the index over them only ever grows at its right edge. `randomness`
    has 8 bytes.
    """
    millisecond, fraction = divmod(unix_microseconds, 1_000)
    high = millisecond << 16 | 0x7000 | (fraction << 12) // 1_000
    low = int.from_bytes(randomness, "big") & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return _TWO_WORDS.pack(high, low)
