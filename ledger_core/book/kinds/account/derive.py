"""Accounts, their versions and their balances, folded from the log.

Kept in memory by account, never by record: a chart has thousands of accounts where a log has millions of records.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ledger_core.evidence.check.lockstep import Lockstep
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.check.snapshot import Snapshot
from ledger_core.journal.balances import overdraft_floor, signed_balance
from ledger_core.log.record import Record

VERSION_COLUMNS = (
    "seq", "account_id", "code", "type", "normal_balance", "currency", "status", "overdraft", "metadata",
)  # fmt: skip
ACCOUNT_COLUMNS = (*VERSION_COLUMNS[1:], "opened_seq", "changed_seq")
_BALANCE_COLUMNS = ("account_id", "debits", "credits", "last_seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedAccount:
    """An account as the records up to now leave it."""

    account_id: int
    members: dict[str, Any]
    opened_seq: int
    changed_seq: int


class Accounts:
    """Derives `accounts`, `account_versions` and `balances`."""

    def __init__(self, snapshot: Snapshot, findings: Findings) -> None:
        self._snapshot = snapshot
        self._findings = findings
        self._by_id: dict[int, FoldedAccount] = {}
        self._ids: dict[str, int] = {}
        self._debits: dict[int, int] = {}
        self._credits: dict[int, int] = {}
        self._last_seq: dict[int, int] = {}
        self._floors: dict[int, int] = {}
        """Of the accounts that may not fall without limit."""
        self._entry = -1
        self._nets: dict[int, int] = {}
        """What the entry at `_entry` does to each of those, on its normal side."""
        self._versions = Lockstep(
            snapshot.rows(
                "select seq, account_id, code, type, normal_balance, currency, status, overdraft, metadata"
                " from ledger.account_versions where book = %(book)s order by seq, account_id"
            ),
            table="ledger.account_versions",
            code=Code.ACCOUNTS_MISMATCH,
            columns=VERSION_COLUMNS,
            key_length=2,
            findings=findings,
        )

    def take(self, seq: int, record: Record) -> None:
        """Fold one record of kind `account`. Raises `KeyError` or `TypeError` for a body that is none."""
        body = record.body
        account_id, members = body["account_id"], body["account"]
        code, action = members["code"], body["action"]
        known = self._by_id.get(account_id)
        if (known is None) != (action == "created") or self._ids.get(code, account_id) != account_id:
            self._findings.add(
                Code.ACCOUNTS_MISMATCH, "ledger.records", seq,
                f"account {account_id} ({code}) is {action}, which does not follow from the records before",
            )  # fmt: skip
        folded = (
            FoldedAccount(account_id=account_id, members=members, opened_seq=seq, changed_seq=seq)
            if known is None
            else replace(known, members=members, changed_seq=seq)
        )
        self._versions.expect((seq, account_id, *columns_of(members)))
        self._judge_funds()
        floor = overdraft_floor(members["overdraft"])
        if floor is None:
            self._floors.pop(account_id, None)
        else:
            self._floors[account_id] = floor
        self._by_id[account_id] = folded
        self._ids[code] = account_id
        if known is None:
            self._debits[account_id] = self._credits[account_id] = 0
            self._last_seq[account_id] = seq

    def skip(self, seq: int) -> None:
        """Leave out what a damaged record may have said."""
        self._versions.skip(seq)

    def id_of(self, code: str) -> int | None:
        """Return the id that `code` has by now."""
        return self._ids.get(code)

    def post(self, seq: int, account_id: int, direction: str, amount_minor: int) -> None:
        """Add one posting to its account's gross side."""
        if self._nets and seq != self._entry:
            self._judge_funds()
        side = self._debits if direction == "debit" else self._credits
        side[account_id] = side.get(account_id, 0) + amount_minor
        self._last_seq[account_id] = seq
        if account_id in self._floors:
            self._entry = seq
            grows = direction == self._by_id[account_id].members["normal_balance"]
            self._nets[account_id] = self._nets.get(account_id, 0) + (amount_minor if grows else -amount_minor)

    def _judge_funds(self) -> None:
        """Hold the last entry against the limits of its accounts: it may not draw one below; mending one it may."""
        for account_id, net in self._nets.items():
            members = self._by_id[account_id].members
            balance = signed_balance(members["normal_balance"], self._debits[account_id], self._credits[account_id])
            if net < 0 and balance < self._floors[account_id]:
                self._findings.add(
                    Code.OVERDRAWN, "ledger.records", self._entry,
                    f"account {members['code']} is drawn to {balance} (minor units), and {self._floors[account_id]} "
                    "is the least that it may hold",
                )  # fmt: skip
        self._nets.clear()

    def finish(self) -> dict[str, int]:
        """Compare what was folded with what is stored; return the rows compared by table."""
        self._judge_funds()
        accounts = Lockstep(
            self._snapshot.rows(
                "select account_id, code, type, normal_balance, currency, status, overdraft, metadata,"
                " opened_seq, changed_seq from ledger.accounts where book = %(book)s order by account_id"
            ),
            table="ledger.accounts",
            code=Code.ACCOUNTS_MISMATCH,
            columns=ACCOUNT_COLUMNS,
            key_length=1,
            findings=self._findings,
            seq_column=None,
        )
        balances = Lockstep(
            self._snapshot.rows(
                "select account_id, debits::text, credits::text, last_seq"
                " from ledger.balances where book = %(book)s order by account_id"
            ),
            table="ledger.balances",
            code=Code.BALANCES_MISMATCH,
            columns=_BALANCE_COLUMNS,
            key_length=1,
            findings=self._findings,
            seq_column=3,
        )
        for account_id, account in sorted(self._by_id.items()):
            accounts.expect((account_id, *columns_of(account.members), account.opened_seq, account.changed_seq))
            debits, credits = self._debits.get(account_id, 0), self._credits.get(account_id, 0)
            balances.expect((account_id, str(debits), str(credits), self._last_seq[account_id]))
        return {
            "account_versions": self._versions.finish(),
            "accounts": accounts.finish(),
            "balances": balances.finish(),
        }


def columns_of(members: dict[str, Any]) -> tuple[Any, ...]:
    """Return an account's members as its rows have them."""
    return (
        members["code"], members["type"], members["normal_balance"], members["currency"],
        members["status"], members["overdraft"], members["metadata"],
    )  # fmt: skip
