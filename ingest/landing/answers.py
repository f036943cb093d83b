"""What a landing answers about each file: in plain values, because it is printed as JSON and shown to people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from ingest.contract.rows import ControlTotal
from ingest.landing import raw_tables
from ledger_core.errors import InvalidInput

MAX_ROWS_LISTED = 20
"""Of the rows of a file that were put aside; the others stand in `raw.quarantine`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a file was refused whole, in plain values: it is printed as JSON and kept in `ops.rejected_files`."""

    code: str
    message: str
    remedy: str | None
    file: str
    line: int | None

    def __str__(self) -> str:
        return str(InvalidInput(self.message, remedy=self.remedy, file=self.file, line=self.line))


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedFile:
    """What became of one file: `landed` (`would_land` in a dry run), `already_landed` (same bytes and interval), or
    `rejected` with the `error`."""

    name: str
    status: str
    file_id: UUID | None = None
    record_type: str | None = None
    read: int = 0
    accepted: int = 0
    quarantined: int = 0
    quarantined_rows: tuple[tuple[int, str], ...] = ()
    """Line and reason of the first `MAX_ROWS_LISTED`."""
    supersedes: tuple[UUID, ...] = ()
    """The files of which this one, being newer, replaces days or all."""
    superseded_by: UUID | None = None
    """The newest file that replaces days of this one: an older report may land later."""
    document_at: datetime | None = None
    covers_from: date | None = None
    covers_to: date | None = None
    time_zone: str | None = None
    payouts_sign: str | None = None
    """What the file's own payouts say of the sign in which it writes them: `paid` or `balance`."""
    warnings: tuple[str, ...] = ()
    control_totals: tuple[ControlTotal, ...] = ()
    error: Rejection | None = None


def already_landed(name: str, earlier: raw_tables.Landed, *, erased: bool = False) -> LandedFile:
    """Say of a file whose bytes landed before what became of them then."""
    warnings = [f"the same bytes landed before, as {earlier.name} at {earlier.received_at:%Y-%m-%d %H:%M} UTC."]
    if erased:
        warnings.append("They were erased since, and were not stored again; the rows of then stand.")
    if earlier.superseded_by:
        warnings.append(f"A newer file replaces days of it or all: {earlier.superseded_by_name}.")
    return LandedFile(
        name=name,
        status="already_landed",
        file_id=earlier.file_id,
        record_type=earlier.record_type,
        read=earlier.rows_read,
        accepted=earlier.rows_accepted,
        quarantined=earlier.rows_quarantined,
        quarantined_rows=earlier.quarantined_rows,
        warnings=tuple(warnings),
        control_totals=earlier.control_totals,
    )
