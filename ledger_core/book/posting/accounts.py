"""The accounts of a book as its writer sees them: read set-wise under the head's lock, changed as a batch is judged.

The cache lives across batches of one writer and is believed only while the head row still says (size, last leaf) of our
own last commit: every change of an account goes through the log, so an unmoved head means unmoved accounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from ledger_core.book.posting.head import HeadRow
from ledger_core.journal.balances import overdraft_floor

MAX_CACHED_ACCOUNTS = 200_000
"""About 100 MB; past it the cache starts over."""

MAX_CACHED_METADATA_BYTES = 64 * 1024 * 1024
"""A chart's accounts have some words each; one may have as much as a record holds."""

MAX_MISSING_CODES = 10_000
"""Codes that the book lacks are kept so that the next batch need not ask; whoever sends them can make up any number."""


_ACCOUNTS = (
    "select account.account_id, account.code, account.type, account.normal_balance, account.currency, "
    "account.status, account.overdraft, account.metadata, balance.debits, balance.credits, account.changed_seq "
    "from ledger.accounts as account inner join ledger.balances as balance using (book, account_id) "
    "where account.book = %s"
)


@dataclass(slots=True, eq=False)
class AccountState:
    """One account as of the batch's beginning, then as the batch changes it."""

    account_id: int
    code: str
    type: str
    normal_balance: str
    currency: str
    status: str
    overdraft: str
    metadata: dict[str, str]
    debits: int
    credits: int
    changed_seq: int
    floor: int | None = field(init=False)
    debit_normal: bool = field(init=False)

    def __post_init__(self) -> None:
        self.floor = overdraft_floor(self.overdraft)
        self.debit_normal = self.normal_balance == "debit"


@dataclass(slots=True, kw_only=True)
class BookState:
    """The accounts of one book, by code; `missing` are codes that it does not have."""

    book: str
    accounts: dict[str, AccountState] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    metadata_bytes: int = 0
    """What the cached accounts' metadata has held, at most."""
    last_account_id: int | None = None
    believed: tuple[int, bytes] | None = None
    """Size and last leaf under which `accounts` was read."""

    def forget(self) -> None:
        """Drop everything that was cached."""
        self.accounts.clear()
        self.missing.clear()
        self.metadata_bytes = 0
        self.last_account_id = None
        self.believed = None

    def believe(self, head: HeadRow) -> None:
        """Drop everything unless it was read, or left, under this very head."""
        if not self.believes(head):
            self.forget()

    def believes(self, head: HeadRow) -> bool:
        """Say whether what is cached holds under `head`, and is not too much."""
        return (
            self.believed == (head.size, head.last_leaf)
            and len(self.accounts) <= MAX_CACHED_ACCOUNTS
            and self.metadata_bytes <= MAX_CACHED_METADATA_BYTES
        )

    def keep(self, account: AccountState) -> None:
        """Take `account` into the cache."""
        self.accounts[account.code] = account
        self.missing.discard(account.code)
        self.weigh(account.metadata)

    def weigh(self, metadata: Mapping[str, str]) -> None:
        """Count what an account's metadata holds."""
        self.metadata_bytes += sum(len(name) + len(text) for name, text in metadata.items())

    def load(self, conn: Connection[Any], codes: Iterable[str]) -> None:
        """Read those of `codes` that are not known yet, in one query."""
        if len(self.missing) > MAX_MISSING_CODES:
            self.missing.clear()
        wanted = [code for code in codes if code not in self.accounts and code not in self.missing]
        if not wanted:
            return
        self._take(conn.execute(f"{_ACCOUNTS} and account.code = any(%s)", [self.book, wanted]))
        self.missing.update(code for code in wanted if code not in self.accounts)

    def load_all(self, conn: Connection[Any]) -> None:
        """Read every account of the book, for whoever goes through all of its records."""
        self._take(conn.execute(_ACCOUNTS, [self.book]))

    def _take(self, rows: Iterable[tuple[Any, ...]]) -> None:
        for row in rows:
            id, code, kind, normal, currency, status, overdraft, metadata, debits, credits, changed_seq = row
            made = AccountState(
                id, code, kind, normal, currency, status, overdraft, metadata, int(debits), int(credits), changed_seq
            )
            self.keep(made)

    def load_last_id(self, conn: Connection[Any]) -> None:
        """Read the highest account id, from which new ones count on."""
        if self.last_account_id is None:
            row = conn.execute(
                "select coalesce(max(account_id), 0) from ledger.accounts where book = %s", [self.book]
            ).fetchone()
            self.last_account_id = row[0] if row else 0
