"""The stored rows of a few records against their bytes: each record's own, and `deep` all that are derived from it.

The same derivations as the whole check (each kind's own), over the records asked for: an entry with its postings, an
account's version and the account as it stands, an export, and what rooms above keep. What a record alone does not
decide is not here: balances, of which the whole history decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ledger_core.errors import CounterfoilError
from ledger_core.evidence.check.checking import Checking
from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Finding, Findings
from ledger_core.evidence.check.snapshot import Snapshot, open_snapshot, time_sql
from ledger_core.log.findings import EDITED, UNBALANCED, Failure
from ledger_core.log.proof import ProvedRecord
from ledger_core.log.record import Record, parse_record
from ledger_core.log.shapes import JOURNAL_ENTRY, check_body

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

MAX_FINDINGS = 1_000
"""Of a kind; a bundle lists a hundred."""
MATCH, DIFFERS, NONE = "match", "differs", "none"


def compare_rows(
    runtime: Runtime, book: str, records: Sequence[ProvedRecord], *, deep: bool
) -> tuple[list[dict[str, Any]], list[Failure]]:
    """Return `{"seq", "crosscheck": "match"|"differs"|"none"}` for each record, and a failure for each difference.

    `none` is a record whose bytes say nothing that rows could be derived from.
    """
    if not records:
        return [], []
    findings = Findings(listed_per_code=MAX_FINDINGS)
    parsed = {item.seq: _readable(runtime, item) for item in records}
    items = sorted(records, key=lambda item: item.seq)
    only = [item.seq for item in items]
    with open_snapshot(runtime.engine, book) as snapshot:
        own = _record_rows(snapshot, findings, only)
        for item in items:
            record = parsed[item.seq]
            if record is None:
                own.skip(item.seq)
            else:
                own.expect((item.seq, record.kind, record.recorded_at, item.leaf_hash))
        own.finish()
        if deep:
            checking = Checking(snapshot, findings, runtime.kinds, runtime.settings.origin_of(book), only=only)
            _derive(checking, {seq: parsed[seq] for seq in only})
    wrong = {finding.seq for finding in findings.listed}
    rows = [{"seq": item.seq, "crosscheck": _word(item.seq in wrong, parsed[item.seq])} for item in records]
    return rows, [_as_failure(finding) for finding in findings.listed]


def _record_rows(snapshot: Snapshot, findings: Findings, only: Sequence[int]) -> Lockstep:
    query = (
        f"select seq, kind, {time_sql('recorded_at')}, leaf_hash from ledger.records "  # noqa: S608 - a constant
        "where book = %(book)s and seq = any(%(only)s::bigint[]) order by seq"
    )
    return Lockstep(
        snapshot.rows(query, only=list(only)),
        table="ledger.records",
        code=Code.RECORDS_EDITED,
        columns=("seq", "kind", "recorded_at", "leaf_hash"),
        key_length=1,
        findings=findings,
    )


def _derive(checking: Checking, parsed: Mapping[int, Record | None]) -> None:
    """Hand each record to its kind's derivation, in order of the log; kinds that none is of read nothing."""
    names = {record.kind for record in parsed.values() if record is not None}
    if JOURNAL_ENTRY in names:
        names.add("account")  # by which postings are named
    derivations = {name: checking.derivation(name) for name in sorted(names)}
    for seq, record in parsed.items():
        derivation = None if record is None else derivations[record.kind]
        if record is None or derivation is None:
            continue
        try:
            derivation.take(seq, record)
        except (KeyError, TypeError, ValueError, AttributeError):
            derivation.skip(seq)  # what the bytes lack is the verifier's to name
    for derivation in derivations.values():
        if derivation is not None:
            derivation.finish()


def _readable(runtime: Runtime, item: ProvedRecord) -> Record | None:
    try:
        record = parse_record(item.canonical)
        check_body(record, runtime.kinds.shapes)
    except CounterfoilError:
        return None
    return record


def _word(differs: bool, record: Record | None) -> str:
    if differs:
        return DIFFERS
    return NONE if record is None else MATCH


def _as_failure(finding: Finding) -> Failure:
    verdict = UNBALANCED if finding.code == Code.ENTRY_UNBALANCED else EDITED
    return Failure(verdict=verdict, seq=finding.seq, where=finding.table, detail=finding.detail)
