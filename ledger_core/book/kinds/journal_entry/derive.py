"""Entries, postings and private values, row by row, as the journal-entry records say them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ledger_core.book.kinds.journal_entry.derive_private import PrivateValues
from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot, time_sql
from ledger_core.log.record import Record

_ENTRY_COLUMNS = (
    "seq", "id", "external_id", "effective_at", "description", "metadata", "reverses", "corrects",
)  # fmt: skip
_POSTING_COLUMNS = ("seq", "line", "account_id", "direction", "amount_minor", "currency", "effective_at")


class PostedAccounts(Protocol):
    """What the derivation of postings needs of the accounts."""

    def id_of(self, code: str) -> int | None: ...
    def post(self, seq: int, account_id: int, direction: str, amount_minor: int) -> None: ...


class Entries:
    """Derives `entries`, `postings` and the side table, and hands every posting on to the balances.

    `only` limits it to some seqs.
    """

    def __init__(
        self, snapshot: Snapshot, accounts: PostedAccounts, findings: Findings, *, only: Sequence[int] | None = None
    ) -> None:
        limit = "" if only is None else " and seq = any(%(only)s::bigint[])"
        given = {} if only is None else {"only": list(only)}
        self._accounts = accounts
        self._private = PrivateValues(snapshot, findings, only=only)
        self._findings = findings
        self._entries = Lockstep(
            snapshot.rows(
                f"select seq, id::text, external_id, {time_sql('effective_at')}, description, metadata,"  # noqa: S608
                f" reverses::text, corrects::text from ledger.entries where book = %(book)s{limit} order by seq",
                **given,
            ),
            table="ledger.entries",
            code=Code.ENTRIES_MISMATCH,
            columns=_ENTRY_COLUMNS,
            key_length=1,
            findings=findings,
        )
        self._postings = Lockstep(
            snapshot.rows(
                "select seq, line::bigint, account_id, direction, amount_minor, currency,"  # noqa: S608
                f" {time_sql('effective_at')} from ledger.postings where book = %(book)s{limit} order by seq, line",
                **given,
            ),
            table="ledger.postings",
            code=Code.POSTINGS_MISMATCH,
            columns=_POSTING_COLUMNS,
            key_length=2,
            findings=findings,
        )

    def take(self, seq: int, record: Record) -> None:
        """Derive one record of kind `journal_entry`. Raises `KeyError`, `TypeError` or `ValueError` if it is none."""
        id, body = str(record.id), record.body
        effective_at = body["effective_at"]
        self._private.take(seq, body.get("commitments"))
        self._entries.expect(
            (
                seq, id, body["external_id"], effective_at, body["description"], body["metadata"],
                body.get("reverses"), body.get("corrects"),
            )
        )  # fmt: skip
        difference: dict[str, int] = {}
        for line, posting in enumerate(body["postings"]):
            direction, currency, code = posting["direction"], posting["currency"], posting["account"]
            amount_minor = int(posting["amount"])
            account_id = self._accounts.id_of(code)
            if account_id is None:
                self._findings.add(
                    Code.ACCOUNTS_MISMATCH, "ledger.records", seq, f"posting {line} names {code}, opened by no record"
                )
                continue
            self._postings.expect((seq, line, account_id, direction, amount_minor, currency, effective_at))
            self._accounts.post(seq, account_id, direction, amount_minor)
            signed = amount_minor if direction == "debit" else -amount_minor
            difference[currency] = difference.get(currency, 0) + signed
        if any(difference.values()):
            unbalanced = ", ".join(f"{off:+d} {currency}" for currency, off in difference.items() if off)
            self._findings.add(
                Code.ENTRY_UNBALANCED, "ledger.records", seq, f"debits exceed credits by {unbalanced} (minor units)"
            )

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._entries.skip(seq)
        self._postings.skip(seq)
        self._private.skip(seq)

    def finish(self) -> dict[str, int]:
        """Return the rows compared by table."""
        return {"entries": self._entries.finish(), "postings": self._postings.finish(), **self._private.finish()}
