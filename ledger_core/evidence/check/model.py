"""What a check finds, and the report that carries it.

A finding names the table, the seq and what differs, under a code that machines may rely on. Listing is capped by
code, so that one edited record at the bottom of a long log does not bury the other findings; the rest is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LISTED_PER_CODE = 20


class Code(StrEnum):
    """What kind of contradiction it is."""

    RECORDS_EDITED = "records_edited"
    """A record's bytes are not those that were hashed, or its row says other than its bytes."""
    RECORD_MISSING = "record_missing"
    """The head counts more records than there are."""
    RECORD_UNACCOUNTED = "record_unaccounted"
    """There are more records than the head counts."""
    RECORD_MISPLACED = "record_misplaced"
    """A record's bytes state another seq, or another book, than the row that holds them."""
    SEQ_GAP = "seq_gap"
    """Records are missing between two that are there."""
    PREV_MISMATCH = "prev_mismatch"
    """A record does not name the record before it."""
    TIME_NOT_MONOTONE = "time_not_monotone"
    """A record was taken no later than the one before it."""
    ROOT_MISMATCH = "root_mismatch"
    """The records do not hash to a root that a checkpoint states."""
    FORKED = "forked"
    """The records agree with each other, and the proxy or the archive holds another history."""
    SIGNATURE_INVALID = "signature_invalid"
    """A checkpoint or manifest carries no valid signature of a key that the pinned roots vouch for."""
    ENTRIES_MISMATCH = "entries_mismatch"
    POSTINGS_MISMATCH = "postings_mismatch"
    BALANCES_MISMATCH = "balances_mismatch"
    ACCOUNTS_MISMATCH = "accounts_mismatch"
    """A row of `accounts` or `account_versions` is not what the account records say."""
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    """A stored answer points at records that did not come from its request."""
    EXPORTS_MISMATCH = "exports_mismatch"
    PROJECTION_MISMATCH = "projection_mismatch"
    """A row of another room's table is not what its records say."""
    PRIVATE_MISMATCH = "private_mismatch"
    """What is held as a private value does not open a commitment of its record, or belongs to none."""
    PRIVATE_MISSING = "private_missing"
    """A record commits to a private value that is not held, and no record erased it."""
    NOT_ERASED = "not_erased"
    """Something that a record says was erased is there."""
    TILES_MISMATCH = "tiles_mismatch"
    CHECKPOINT_MISMATCH = "checkpoint_mismatch"
    """A row of `checkpoints` contradicts its own note."""
    HEAD_MISMATCH = "head_mismatch"
    BEHIND_PROXY = "behind_proxy"
    """The signing proxy signed more records than the database holds: the tail was dropped, or an old state restored."""
    PROXY_UNAWARE = "proxy_unaware"
    """The signing proxy remembers less than it signed: its state was lost or rolled back."""
    BEHIND_ARCHIVE = "behind_archive"
    """The archive holds more records than the database does."""
    ARCHIVE_MISSING = "archive_missing"
    """A segment that the log recorded is not in the archive."""
    ARCHIVE_EDITED = "archive_edited"
    """An archived object is not the one that the log or its manifest recorded."""
    ARCHIVE_FOREIGN = "archive_foreign"
    """Somebody else wrote to the archive: a version over an object, a delete marker, a file that no manifest names."""
    ENTRY_UNBALANCED = "entry_unbalanced"
    """An entry's debits and credits differ in some currency."""
    OVERDRAWN = "overdrawn"
    """An entry draws an account below what its overdraft rule permits."""
    UNKNOWN_SCHEMA = "unknown_schema"
    """A record is of a schema or kind that this version cannot derive from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One contradiction: in which `table`, at which `seq` (None where it concerns the whole), and what differs."""

    code: Code
    table: str
    seq: int | None
    detail: str

    def __str__(self) -> str:
        place = self.table if self.seq is None else f"{self.table} seq {self.seq}"
        return f"{self.code}: {place}: {self.detail}"

    def as_json(self) -> dict[str, Any]:
        """Return the finding as it stands in JSON."""
        return {"code": str(self.code), "table": self.table, "seq": self.seq, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The outcome of a check of one book at one moment; `counts` says how many rows of each table were compared."""

    book: str
    origin: str
    size: int
    signed_size: int
    findings: tuple[Finding, ...]
    not_listed: Mapping[str, int]
    """Findings beyond the cap, by code."""
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()
    """What is unusual and no contradiction, such as an unsigned tail."""

    @property
    def sound(self) -> bool:
        """Say whether everything stored follows from the signed bytes."""
        return not self.findings

    @property
    def exit_status(self) -> int:
        return 0 if self.sound else 1

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(str(finding.code) for finding in self.findings)

    def as_lines(self) -> list[str]:
        """Return the report for a person."""
        rows = ", ".join(f"{count:,} {table}" for table, count in self.counts.items())
        lines = [f"book {self.book} ({self.origin}): {self.size:,} records, {self.signed_size:,} of them signed."]
        lines += [f"compared with the signed bytes: {rows}."] if rows else []
        lines += [str(finding) for finding in self.findings]
        lines += [f"{code}: {count:,} more, not listed." for code, count in self.not_listed.items()]
        lines += [f"note: {note}" for note in self.notes]
        total = len(self.findings) + sum(self.not_listed.values())
        lines.append("sound: nothing contradicts the log." if self.sound else f"DAMAGED: {total:,} findings.")
        return lines

    def as_json(self) -> dict[str, Any]:
        """Return the report as it stands in JSON."""
        return {
            "schema": "cf-check/1",
            "verdict": "sound" if self.sound else "damaged",
            "book": self.book,
            "origin": self.origin,
            "size": self.size,
            "signed_size": self.signed_size,
            "counts": dict(self.counts),
            "findings": [finding.as_json() for finding in self.findings],
            "not_listed": dict(self.not_listed),
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class Findings:
    """Where passes put what they find, as they find it."""

    listed_per_code: int = LISTED_PER_CODE
    listed: list[Finding] = field(default_factory=list)
    totals: Counter[Code] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, code: Code, table: str, seq: int | None, detail: str) -> None:
        """Keep a finding, or only count it when its code has been listed often enough."""
        self.totals[code] += 1
        if self.totals[code] <= self.listed_per_code:
            self.listed.append(Finding(code=code, table=table, seq=seq, detail=detail))

    def note(self, text: str) -> None:
        """Keep a remark that is no contradiction."""
        self.notes.append(text)

    def has(self, *codes: Code) -> bool:
        """Say whether anything was found under one of `codes`."""
        return any(self.totals[code] for code in codes)

    @property
    def not_listed(self) -> dict[str, int]:
        """Return how many findings were only counted, by code."""
        return {
            str(code): total - self.listed_per_code
            for code, total in self.totals.items()
            if total > self.listed_per_code
        }
