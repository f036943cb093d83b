"""The stored rows of a few records against their bytes: the `deep` part of a verification.

The same derivation as the whole check (`book/kinds/journal_entry/derive.py`), over the records asked for.
Account ids come from the account records, not from the accounts table.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg

from ledger_core.book.kinds.journal_entry.derive import Entries
from ledger_core.errors import CounterfoilError
from ledger_core.evidence.check.model import Finding, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.log.findings import EDITED, Failure
from ledger_core.log.proof import ProvedRecord
from ledger_core.log.record import Record, parse_record
from ledger_core.log.shapes import JOURNAL_ENTRY, SHAPES, check_body


class AccountIds:
    """Account ids by code, as the account records of the log say them; `Entries` needs no more of the accounts."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._ids: dict[str, int] = {}
        # The second condition is what the partial index over the rare kinds asks for.
        rows = snapshot.rows(
            "select canonical from ledger.records where book = %(book)s"
            " and kind = 'account' and kind <> 'journal_entry' order by seq"
        )
        for (canonical,) in rows:
            with suppress(CounterfoilError, KeyError, TypeError):
                body = parse_record(canonical).body
                self._ids[body["account"]["code"]] = body["account_id"]

    def id_of(self, code: str) -> int | None:
        """Return the id of `code`."""
        return self._ids.get(code)

    def post(self, seq: int, account_id: int, direction: str, amount_minor: int) -> None:
        """Do nothing: balances are for the whole check."""


def compare_rows(
    connection: psycopg.Connection[Any], book: str, records: Sequence[ProvedRecord]
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Return `{"seq", "crosscheck": "match"|"differs"|"none"}` for each record, and a failure for each difference."""
    snapshot = Snapshot(connection, book)
    entries = {}
    for item in records:
        record = _entry(item)
        if record is not None:
            entries[item.seq] = record
    findings = Findings(listed_per_code=1_000)
    derived = Entries(snapshot, AccountIds(snapshot), findings, only=sorted(entries))
    for seq in sorted(entries):
        derived.take(seq, entries[seq])
    derived.finish()
    wrong = {finding.seq for finding in findings.listed}
    rows = [
        {"seq": item.seq, "crosscheck": "none" if item.seq not in entries else _word(item.seq in wrong)}
        for item in records
    ]
    return rows, [_as_failure(finding) for finding in findings.listed]


def _word(differs: bool) -> str:
    return "differs" if differs else "match"


def _entry(item: ProvedRecord) -> Record | None:
    try:
        record = parse_record(item.canonical)
        check_body(record, SHAPES)
    except CounterfoilError:
        return None
    return record if record.kind == JOURNAL_ENTRY else None


def _as_failure(finding: Finding) -> Failure:
    return Failure(verdict=EDITED, seq=finding.seq, where=finding.table, detail=finding.detail)
