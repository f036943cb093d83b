"""The exports table, as the export records say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot

_COLUMNS = ("seq", "segment", "closed_on", "first_seq", "next_seq", "manifest_sha256", "uri")


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

    def take(self, seq: int, body: dict[str, Any]) -> None:
        """Derive one record of kind `export`. Raises `KeyError` or `TypeError` if it is none."""
        row = (seq, *(body[name] for name in _COLUMNS[1:]))
        self._rows.expect(row)
        self.recorded.append(RecordedSegment(**dict(zip(_COLUMNS, row, strict=True))))

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._rows.skip(seq)

    def finish(self) -> dict[str, int]:
        """Return the rows compared by table."""
        return {"exports": self._rows.finish()}
