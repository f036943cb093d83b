"""The head row, the one mutable row of the write path, against the records and the checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot, time_sql
from ledger_core.log.merkle import Frontier

TABLE = "ledger.log_head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head row as it stands."""

    origin: str
    size: int
    signed_size: int
    last_leaf: bytes
    last_recorded_at: str | None
    frontier: bytes


def read_head(snapshot: Snapshot) -> Head | None:
    """Return the head of the snapshot's book, or None when the book has none."""
    row = snapshot.one(
        f"select origin, size, signed_size, last_leaf, {time_sql('last_recorded_at')}, frontier"  # noqa: S608
        " from ledger.log_head where book = %(book)s"
    )
    if row is None:
        return None
    return Head(
        origin=row[0], size=row[1], signed_size=row[2], last_leaf=row[3], last_recorded_at=row[4], frontier=row[5]
    )


def check_head(
    head: Head,
    *,
    size: int,
    last_leaf: bytes,
    last_recorded_at: str | None,
    frontier: Frontier,
    whole: bool,
    largest_checkpoint: int,
    findings: Findings,
) -> None:
    """Compare `head` with what the records come to; `whole` is False where a gap leaves no frontier to compare."""
    if head.size > size:
        findings.add(
            Code.RECORD_MISSING, TABLE, size,
            f"the head counts {head.size} records, there are {size}: seqs {size} to {head.size - 1} were removed",
        )  # fmt: skip
        return
    if head.size < size:
        findings.add(
            Code.RECORD_UNACCOUNTED, TABLE, head.size,
            f"the head counts {head.size} records, there are {size}: from seq {head.size} on none was posted",
        )  # fmt: skip
        return
    stored = (head.last_leaf.hex(), head.last_recorded_at)
    derived = (last_leaf.hex(), last_recorded_at)
    for name, is_, must in zip(("last_leaf", "last_recorded_at"), stored, derived, strict=True):
        if is_ != must:
            findings.add(Code.HEAD_MISMATCH, TABLE, None, f"{name} is {is_}, the log says {must}")
    if whole and head.frontier != frontier.to_bytes():
        findings.add(
            Code.HEAD_MISMATCH, TABLE, None,
            f"frontier is {head.frontier.hex()}, the log says {frontier.to_bytes().hex()}",
        )  # fmt: skip
    if head.signed_size != largest_checkpoint:
        findings.add(
            Code.HEAD_MISMATCH, TABLE, None,
            f"signed_size is {head.signed_size}, the largest checkpoint is of size {largest_checkpoint}",
        )  # fmt: skip
    if head.signed_size < size:
        findings.note(f"{size - head.signed_size} records wait for their signature")
