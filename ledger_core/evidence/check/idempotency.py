"""Stored answers against the records they point at.

Keys are not in the log, so a removed row leaves no trace here; `external_id` goes on protecting. What can be proved: an
answer points at records that exist and are of the kind that its route appends, and no two answers share a record.
"""

from __future__ import annotations

from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.log.record import Record

TABLE = "ledger.idempotency"


class Idempotency:
    """Walks `idempotency` by first seq, beside the records; at most one answer is open at a time."""

    def __init__(self, snapshot: Snapshot, findings: Findings) -> None:
        self._findings = findings
        self._compared = 0
        self._rows = snapshot.rows(
            "select first_seq, count::bigint, route, key from ledger.idempotency"
            " where book = %(book)s order by first_seq, route, key"
        )
        self._next = next(self._rows, None)
        self._until = 0
        self._route = self._key = ""

    def take(self, seq: int, record: Record | None) -> None:
        """Compare the answers that start at `seq`, and the kind of `record` with the answer it belongs to."""
        while self._next is not None and self._next[0] <= seq:
            first_seq, count, route, key = self._next
            self._compared += 1
            if count < 1 or first_seq < seq:
                self._report(seq, route, key, f"has {count} records from seq {first_seq} on, which is not possible")
            elif seq < self._until:
                self._report(seq, route, key, f"shares seq {seq} with the answer to {self._route} key {self._key!r}")
            self._until, self._route, self._key = max(self._until, first_seq + count), route, key
            self._next = next(self._rows, None)
        if seq < self._until and record is not None:
            kind = kind_of(self._route)
            if kind is not None and kind != record.kind:
                self._report(seq, self._route, self._key, f"holds a {record.kind}, not a {kind}")

    def finish(self, size: int) -> dict[str, int]:
        """Report answers that reach past the log; return the rows compared."""
        if self._until > size:
            self._report(size, self._route, self._key, f"reaches to seq {self._until - 1}, past the end of the log")
        while self._next is not None:
            self._compared += 1
            self._report(self._next[0], self._next[2], self._next[3], "starts past the end of the log")
            self._next = next(self._rows, None)
        return {"idempotency": self._compared}

    def _report(self, seq: int, route: str, key: str, what: str) -> None:
        self._findings.add(Code.IDEMPOTENCY_MISMATCH, TABLE, seq, f"the answer to {route} key {key!r} {what}")


def kind_of(route: str) -> str | None:
    """Return the kind of record that requests to `route` append, or None where that is not known."""
    name, _, rest = route.partition("#")[0].partition("/")
    if name == "records":
        return rest or None
    return {
        "journal-entries": "journal_entry",
        "reversals": "journal_entry",
        "accounts": "account",
        "erasures": "erasure",
    }.get(name)
