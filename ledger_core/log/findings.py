"""What a verification found: typed failures, and the report that sums them up.

The verdicts keep apart what an auditor must not confuse: bytes that were altered, records that are gone, two
histories, a signature that is none, a signed record that breaks the rules, and what this software cannot judge.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ledger_core.log.shown import shown, shown_all
from ledger_core.log.software import NAME, software_version

REPORT_SCHEMA = "cf-report/1"
VERIFIED = "verified"
EDITED = "edited"
"""Bytes differ from those that were signed."""
MISSING = "missing"
"""Records, segments or files that the rest proves to have existed are not there."""
REORDERED = "reordered"
FORKED = "forked"
"""Two histories claim one place: two roots for one size, two records for one seq, a tree without the older one."""
TRUNCATED = "truncated"
"""The end is missing: fewer records than were signed."""
BAD_SIGNATURE = "bad_signature"
KEY_NOT_VALID_AT_SIZE = "key_not_valid_at_size"
UNBALANCED = "unbalanced"
"""A signed entry whose debits and credits differ, or totals that are not those of the records."""
NOT_CANONICAL = "not_canonical"
"""A signed record whose bytes are not the one canonical form, or whose members are malformed."""
UNKNOWN_SCHEMA = "unknown_schema"
UNSIGNED_PENDING = "unsigned_pending"
"""The record is durable and no checkpoint covers it yet."""
MISDATED = "misdated"
"""A signed record says that it was taken after an authority, which is believed, had stamped a tree that holds it."""
FAILED = "failed"
"""The evidence says of itself that its verification failed, and not of what kind the failure was."""
FOREIGN = "foreign"
"""Somebody else wrote to the archive: a version over an object, a delete marker, an object that no manifest names."""
UNVERIFIABLE = "unverifiable"
"""Nothing is pinned, or there is nothing here that this software can judge."""

CANNOT_TELL = frozenset({UNKNOWN_SCHEMA, UNSIGNED_PENDING, UNVERIFIABLE})
FAILURES = frozenset(
    {
        EDITED,
        MISSING,
        REORDERED,
        FORKED,
        TRUNCATED,
        BAD_SIGNATURE,
        KEY_NOT_VALID_AT_SIZE,
        UNBALANCED,
        NOT_CANONICAL,
        MISDATED,
        FAILED,
        FOREIGN,
    }
)
MAX_FAILURES = 100
MAX_SEGMENTS_LISTED = 5_000
"""Thirteen years of nights; further ones are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One thing that is wrong: `seq` is the first record concerned where one is known, `where` the file."""

    verdict: str
    seq: int | None
    where: str
    detail: str

    def __str__(self) -> str:
        place = self.where if self.seq is None else f"{self.where} seq {self.seq}"
        return f"{self.verdict}: {place}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustUsed:
    """What was believed: the trust file (None where the caller held its content), and the roots it pins."""

    file: str | None
    origin: str
    threshold: int
    roots: tuple[str, ...]
    registry_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogVerdict:
    """One log of several: its own verdict, and how far it was verified."""

    origin: str | None
    verdict: str
    segments: int
    records: int
    entries: int
    first_seq: int | None
    size: int | None
    root: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A key whose signature counted, and what the registry says of it."""

    key_id: str
    alg: str
    assurance: str
    backend: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReport:
    """What a signed report says, and the keys whose signatures it bears: the `registry`'s, or the `named_key` alone."""

    signed_by: str
    keys: tuple[str, ...]
    verdict: str
    path: str
    verified_at: str
    software: str
    origins: tuple[str, ...]
    size: int | None
    root: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentVerdict:
    """One segment: what its manifest says it is (None where it cannot be read), and what was found in it."""

    folder: str
    origin: str | None
    segment: int | None
    closed_on: str | None
    first_seq: int
    next_seq: int | None
    records: int
    entries: int
    verdict: str


@dataclass(slots=True, kw_only=True)
class VerificationReport:
    """What was verified and what came of it. Amounts are minor units; `totals` maps a currency to (debits, credits)."""

    path: str
    failures: list[Failure] = field(default_factory=list)
    suppressed: int = 0
    """Failures beyond the first hundred, counted and not kept; of these `suppressed_foreign` are `foreign`."""
    suppressed_foreign: int = 0
    origins: list[str] = field(default_factory=list)
    segments: int = 0
    proofs: int = 0
    records: int = 0
    entries: int = 0
    accounts: int = 0
    first_seq: int | None = None
    size: int | None = None
    root: str | None = None
    """First seq, size and root of the only log; None where there are several, of which `logs` speaks."""
    logs: list[LogVerdict] = field(default_factory=list)
    trust: TrustUsed | None = None
    totals: dict[str, tuple[int, int]] = field(default_factory=dict)
    assurance: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    signers: list[Signer] = field(default_factory=list)
    listed: list[SegmentVerdict] = field(default_factory=list)
    """The segments one by one; `not_listed` more were left out."""
    not_listed: int = 0
    verified_at: str = ""
    """When it was looked at, by the clock of whoever looked."""
    timestamps: int = 0
    """Time-stamp tokens that count; `newest_timestamp` says of which size the last one is, and of when."""
    newest_timestamp: str | None = None
    timestamps_unjudged: dict[str, int] = field(default_factory=dict)
    """Tokens of which nobody here can tell, by the reason."""
    signed_report: SignedReport | None = None
    """What was verified, where that is a signed report."""
    company_keys: frozenset[str] = frozenset()
    """Ids of the keys and roots that the company is known to have: whoever attests signs with none of them."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know although nothing is wrong."""

    def add(self, failure: Failure) -> None:
        """Keep `failure`, or count it when there are too many; what lies beside the log gives way to what is of it."""
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)
            return
        self.suppressed += 1
        places = reversed(range(MAX_FAILURES)) if failure.verdict != FOREIGN else ()
        spare = next((place for place in places if self.failures[place].verdict == FOREIGN), None)
        if spare is not None:
            del self.failures[spare]
            self.failures.append(failure)
        self.suppressed_foreign += failure.verdict == FOREIGN or spare is not None

    def add_segment(self, segment: SegmentVerdict) -> None:
        """List `segment`, or count it when there are too many already."""
        if len(self.listed) < MAX_SEGMENTS_LISTED:
            self.listed.append(segment)
        else:
            self.not_listed += 1

    def count_timestamp(self, size: int, made_at: datetime | None, unjudged: str | None) -> None:
        """Count a token over the checkpoint of `size`, if it counts or cannot be judged."""
        if made_at is not None:
            self.timestamps += 1
            self.newest_timestamp = f"size {size} at {made_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if unjudged is not None:
            self.timestamps_unjudged[unjudged] = self.timestamps_unjudged.get(unjudged, 0) + 1

    def take(self, part: VerificationReport, origin: str | None) -> None:
        """Add what `part` says of the log `origin`, one of those at this path."""
        self.logs.append(
            LogVerdict(
                origin=origin,
                verdict=part.verdict,
                segments=part.segments,
                records=part.records,
                entries=part.entries,
                first_seq=part.first_seq,
                size=part.size,
                root=part.root,
            )
        )
        for failure in part.failures:
            self.add(failure)
        self.suppressed += part.suppressed
        self.suppressed_foreign += part.suppressed_foreign
        for mine, more in (
            (self.origins, part.origins),
            (self.assurance, part.assurance),
            (self.keys, part.keys),
            (self.notes, part.notes),
        ):
            mine += [item for item in more if item not in mine]
        self.signers += [item for item in part.signers if item not in self.signers]
        for segment in part.listed:
            self.add_segment(segment)
        self.not_listed += part.not_listed
        self.timestamps += part.timestamps
        self.newest_timestamp = part.newest_timestamp or self.newest_timestamp
        for reason, count in part.timestamps_unjudged.items():
            self.timestamps_unjudged[reason] = self.timestamps_unjudged.get(reason, 0) + count
        self.segments += part.segments
        self.records += part.records
        self.entries += part.entries
        self.accounts += part.accounts
        for currency, (debits, credits) in part.totals.items():
            before = self.totals.get(currency, (0, 0))
            self.totals[currency] = (before[0] + debits, before[1] + credits)
        is_only = len(self.logs) == 1
        self.first_seq = part.first_seq if is_only else None
        self.size, self.root = (part.size, part.root) if is_only else (None, None)

    @property
    def verdict(self) -> str:
        """The first failure's verdict: of the log before `foreign`, and both before those that say "cannot tell"."""
        found = [failure.verdict for failure in self.failures]
        real = [verdict for verdict in found if verdict not in CANNOT_TELL]
        of_the_log = [verdict for verdict in real if verdict != FOREIGN]
        return (of_the_log or real or found or [VERIFIED])[0]

    @property
    def is_foreign_alone(self) -> bool:
        """Say whether nothing is wrong but what somebody laid beside the log, listed or not."""
        return self.suppressed == self.suppressed_foreign and all(item.verdict == FOREIGN for item in self.failures)

    @property
    def exit_status(self) -> int:
        """0 verified, 1 failed, 2 cannot tell."""
        if not self.failures:
            return 0
        return 2 if self.verdict in CANNOT_TELL else 1

    def as_json(self) -> dict[str, Any]:
        """Return the report in JSON (docs/formats/report.md); amounts are digit strings, texts of others `shown`."""
        document = {
            "schema": REPORT_SCHEMA,
            "path": self.path,
            "verdict": self.verdict,
            "exit_status": self.exit_status,
            "verified_at": self.verified_at,
            "software": {"name": NAME, "version": software_version()},
            "trust": None if self.trust is None else asdict(self.trust),
            "logs": [asdict(item) for item in self.logs],
            "origins": self.origins,
            "segments": self.segments,
            "proofs": self.proofs,
            "records": self.records,
            "entries": self.entries,
            "accounts": self.accounts,
            "first_seq": self.first_seq,
            "size": self.size,
            "root": self.root,
            "totals": [
                {"currency": currency, "debits": str(debits), "credits": str(credits)}
                for currency, (debits, credits) in sorted(self.totals.items())
            ],
            "assurance": self.assurance,
            "keys": self.keys,
            "signers": [asdict(item) for item in self.signers],
            "segment_list": [asdict(item) for item in self.listed],
            "segments_not_listed": self.not_listed,
            "timestamps": {
                "verified": self.timestamps,
                "newest": self.newest_timestamp,
                "unjudged": dict(self.timestamps_unjudged),
            },
            "signed_report": None if self.signed_report is None else asdict(self.signed_report),
            "notes": self.notes,
            "failures": [asdict(failure) for failure in self.failures],
            "failures_not_listed": self.suppressed,
        }
        found: dict[str, Any] = shown_all(document)
        return found

    def as_lines(self) -> list[str]:
        """Return the report as lines for people."""
        lines = [f"{self.verdict.upper()}: {self.path}"]
        if self.trust is not None:
            roots = ", ".join(root[:16] for root in self.trust.roots)
            lines.append(f"  trusts {self.trust.threshold} of the roots {roots}, pinned by {self.trust.file}")
        if self.segments:
            start = "" if self.first_seq is None else f" (from seq {self.first_seq})"
            lines.append(
                f"  {self.segments} segment{'s' * (self.segments != 1)}, {self.records:,} records{start}, "
                f"{self.entries:,} journal entries over {self.accounts:,} accounts"
            )
        if len(self.logs) > 1:
            lines += [
                f"  {item.origin or 'of an unknown log'}: {item.verdict}, {item.segments} "
                f"segment{'s' * (item.segments != 1)}, size {item.size}, root {item.root}"
                for item in self.logs
            ]
        if self.proofs:
            lines.append(f"  {self.proofs} records proved")
        if (said := self.signed_report) is not None:
            whose = ", ".join(key[:16] for key in said.keys)
            named = "the company's key" if said.signed_by == "registry" else "the key that you named,"
            of_logs = f", of {', '.join(said.origins) or 'no log'}"
            reach = "" if said.size is None else f", size {said.size} root {said.root}"
            lines.append(f"  {named} {whose} signed: {said.verdict.upper()}: {said.path}{of_logs}{reach}")
            lines.append(f"  by {said.software} on {said.verified_at}")
        if self.size is not None:
            lines.append(f"  checkpoint {', '.join(self.origins)} size {self.size} root {self.root}")
        if self.assurance:
            lines.append(
                f"  signed by {', '.join(key[:16] for key in self.keys)} (assurance: {', '.join(self.assurance)})"
            )
        lines += [
            f"  {currency}: debits {debits:,} = credits {credits:,} minor units"
            if debits == credits
            else f"  {currency}: debits {debits:,}, credits {credits:,} minor units: they differ"
            for currency, (debits, credits) in sorted(self.totals.items())
        ]
        if self.timestamps:
            lines.append(f"  {self.timestamps} time-stamps hold, the newest over {self.newest_timestamp}")
        lines += [
            f"  note: {count} time-stamps are not judged: {why}" for why, count in self.timestamps_unjudged.items()
        ]
        lines += [f"  note: {text}" for text in self.notes]
        lines += [f"  {failure}" for failure in self.failures]
        if self.suppressed:
            lines.append(f"  and {self.suppressed} more failures")
        lines.append(f"  by {NAME} {software_version()}")
        return [shown(line) for line in lines]
