"""An export: the record that the archive holds a segment, and the table of segments.

Once a segment and once a date: exporting a day again is a no-op, never a second segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger_core.errors import Conflict
from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.kinds import Accepted, BookView, Judging, Kind, PreparedRecord
from ledger_core.log.record import Record
from ledger_core.log.shapes import SHAPES

if TYPE_CHECKING:
    from psycopg import Connection

    from ledger_core.evidence.check.checking import Checking

_COLUMNS = ("seq", "segment", "closed_on", "first_seq", "next_seq", "manifest_sha256", "uri")


class Export(Kind):
    """The kind `export`. Its facts are the segments and dates that are taken, those of this batch among them."""

    def read_facts(self, conn: Connection[Any], view: BookView, items: Sequence[Any], before: Any) -> set[Any]:
        del items, before
        rows = conn.execute("select segment, closed_on from ledger.exports where book = %s", [view.book])
        return {value for segment, closed_on in rows for value in (segment, closed_on.isoformat())}

    def judge(self, judging: Judging, item: PreparedRecord, facts: set[Any]) -> Accepted:
        del judging
        segment, closed_on = item.members["segment"], item.members["closed_on"]
        if segment in facts or closed_on in facts:
            raise Conflict(f"segment {segment} or the export of {closed_on} is recorded already.")
        facts |= {segment, closed_on}
        return Accepted(item, item.body)

    def undo(self, judging: Judging, accepted: Accepted, facts: set[Any]) -> None:
        del judging
        members = accepted.item.members
        facts -= {members["segment"], members["closed_on"]}

    def project(self, conn: Connection[Any], book: str, accepted: Sequence[tuple[int, Accepted]]) -> None:
        for seq, each in accepted:
            body = each.item.members
            conn.execute(
                "insert into ledger.exports (book, segment, closed_on, first_seq, next_seq, manifest_sha256, uri, seq) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    book, body["segment"], body["closed_on"], body["first_seq"], body["next_seq"],
                    body["manifest_sha256"], body["uri"], seq,
                ],
            )  # fmt: skip

    def derive(self, checking: Checking) -> Exports:
        return Exports(checking.snapshot, checking.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSegment:
    """A segment as its signed export record names it."""

    seq: int
    segment: int
    closed_on: str
    first_seq: int
    next_seq: int
    manifest_sha256: str
    uri: str


class Exports:
    """Derives `exports`; `recorded` keeps what the archive must hold, one item a segment."""

    def __init__(self, snapshot: Snapshot, findings: Findings) -> None:
        self.recorded: list[RecordedSegment] = []
        self._rows = Lockstep(
            snapshot.rows(
                "select seq, segment, closed_on::text, first_seq, next_seq, manifest_sha256, uri"
                " from ledger.exports where book = %(book)s order by seq"
            ),
            table="ledger.exports",
            code=Code.EXPORTS_MISMATCH,
            columns=_COLUMNS,
            key_length=1,
            findings=findings,
        )

    def take(self, seq: int, record: Record) -> None:
        """Derive one record of kind `export`. Raises `KeyError` or `TypeError` if it is none."""
        row = (seq, *(record.body[name] for name in _COLUMNS[1:]))
        self._rows.expect(row)
        self.recorded.append(RecordedSegment(**dict(zip(_COLUMNS, row, strict=True))))

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._rows.skip(seq)

    def finish(self) -> dict[str, int]:
        """Return the rows compared by table."""
        return {"exports": self._rows.finish()}


EXPORT: Kind = Export(name="export", shape=SHAPES["export"], scope="export:write")
