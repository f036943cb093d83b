"""A few account records against their rows: each one's version, and the account as all its records leave it.

The fold is over the account records alone, found by the index over rare kinds: a chart has thousands of them where a
log has millions of records. Not here: balances, of which the whole history decides (`derive.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ledger_core.book.kinds.account.derive import ACCOUNT_COLUMNS, VERSION_COLUMNS, FoldedAccount, columns_of
from ledger_core.errors import CounterfoilError
from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.log.record import Record, parse_record


class SomeAccounts:
    """Derives the rows of `accounts` and `account_versions` that the records at the seqs `only` made."""

    def __init__(self, snapshot: Snapshot, findings: Findings, only: Sequence[int]) -> None:
        self._snapshot = snapshot
        self._findings = findings
        self._by_id: dict[int, FoldedAccount] = {}
        self._ids: dict[str, int] = {}
        self._taken: set[int] = set()
        self._fold()
        self._versions = Lockstep(
            snapshot.rows(
                "select seq, account_id, code, type, normal_balance, currency, status, overdraft, metadata"
                " from ledger.account_versions where book = %(book)s and seq = any(%(only)s::bigint[])"
                " order by seq, account_id",
                only=list(only),
            ),
            table="ledger.account_versions",
            code=Code.ACCOUNTS_MISMATCH,
            columns=VERSION_COLUMNS,
            key_length=2,
            findings=findings,
        )

    def take(self, seq: int, record: Record) -> None:
        """Derive one record of kind `account`. Raises `KeyError` or `TypeError` for a body that is none."""
        account_id = record.body["account_id"]
        self._versions.expect((seq, account_id, *columns_of(record.body["account"])))
        self._taken.add(account_id)

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._versions.skip(seq)

    def id_of(self, code: str) -> int | None:
        """Return the id of `code`, as the account records say it and not the table."""
        return self._ids.get(code)

    def post(self, seq: int, account_id: int, direction: str, amount_minor: int) -> None:
        """Do nothing: balances are for the whole check."""

    def finish(self) -> dict[str, int]:
        """Compare the accounts of the records taken with what is stored; return the rows compared by table."""
        accounts = Lockstep(
            self._snapshot.rows(
                "select account_id, code, type, normal_balance, currency, status, overdraft, metadata,"
                " opened_seq, changed_seq from ledger.accounts"
                " where book = %(book)s and account_id = any(%(taken)s::bigint[]) order by account_id",
                taken=sorted(self._taken),
            ),
            table="ledger.accounts",
            code=Code.ACCOUNTS_MISMATCH,
            columns=ACCOUNT_COLUMNS,
            key_length=1,
            findings=self._findings,
            seq_column=ACCOUNT_COLUMNS.index("changed_seq"),
        )
        for account_id in sorted(self._taken & self._by_id.keys()):
            account = self._by_id[account_id]
            accounts.expect((account_id, *columns_of(account.members), account.opened_seq, account.changed_seq))
        return {"account_versions": self._versions.finish(), "accounts": accounts.finish()}

    def _fold(self) -> None:
        # The second condition is what the partial index over the rare kinds asks for.
        rows: Any = self._snapshot.rows(
            "select seq, canonical from ledger.records where book = %(book)s"
            " and kind = 'account' and kind <> 'journal_entry' order by seq"
        )
        for seq, canonical in rows:
            with suppress(CounterfoilError, KeyError, TypeError):
                body = parse_record(canonical).body
                account_id, members = body["account_id"], body["account"]
                known = self._by_id.get(account_id)
                self._by_id[account_id] = FoldedAccount(
                    account_id=account_id,
                    members=members,
                    opened_seq=seq if known is None else known.opened_seq,
                    changed_seq=seq,
                )
                self._ids[members["code"]] = account_id
