"""Accounts, balances, statements and the trial balance on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from api.schemas.common import AccountCode, Currency, Direction, Metadata, SignedAmount, State, Timestamp, Wire

AccountType = Literal["asset", "liability", "equity", "revenue", "expense"]
AccountStatus = Literal["open", "frozen", "closed"]

ACCOUNT_EXAMPLE = "expenses:advertising:usd"
"""The account that the examples open and change: none that a sample company books on."""
SALES_EXAMPLE = "revenue:sales:usd"
_EXAMPLE = {
    "code": ACCOUNT_EXAMPLE,
    "type": "expense",
    "currency": "USD",
    "overdraft": "allowed",
    "metadata": {"team": "marketing"},
}


class AccountDraft(Wire):
    """An account to open."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_EXAMPLE]})

    book: str | None = None
    code: AccountCode
    type: AccountType
    currency: Currency
    normal_balance: Direction | None = Field(default=None, description="Default: by type; other for contra accounts.")
    overdraft: str = Field(default="allowed", description="`allowed`, `forbidden`, or a limit in minor units.")
    metadata: Metadata = Field(default_factory=dict)


class AccountChange(Wire):
    """What to change; an account is never deleted."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"status": "frozen"}]})

    book: str | None = None
    status: AccountStatus | None = None
    overdraft: str | None = None
    metadata: Metadata | None = Field(default=None, description="Replaces what stood there.")


class Account(Wire):
    """An account as the book holds it."""

    code: AccountCode
    type: AccountType
    currency: Currency
    normal_balance: Direction
    overdraft: str
    status: AccountStatus
    metadata: Metadata
    opened_seq: int = Field(description="The record that opened it.")
    changed_seq: int = Field(description="The record that last changed it; the ETag is made of it.")


class AccountPage(Wire):
    """One page of accounts in the order of their codes."""

    accounts: list[Account]
    next_cursor: str | None = None
    state: State


class Balance(Wire):
    """Gross sides and their difference in the direction of the normal balance."""

    book: str
    account: AccountCode
    currency: Currency
    normal_balance: Direction
    debits: SignedAmount
    credits: SignedAmount
    balance: SignedAmount
    effective_at: Timestamp | None = Field(default=None, description="As of this business time; absent: all there is.")
    known_at: Timestamp | None = Field(default=None, description="As known at this recorded time; absent: now.")
    state: State


class StatementLine(Wire):
    """One posting to the account."""

    seq: int
    line: int
    entry_id: str
    external_id: str
    effective_at: Timestamp
    description: str
    direction: Direction
    amount: SignedAmount
    balance: SignedAmount = Field(description="After this line, in the order of business time.")
    status: Literal["pending", "posted"]


class Statement(Wire):
    """Opening balance, lines in the order of business time, closing balance of the page."""

    book: str
    account: AccountCode
    currency: Currency
    opening_balance: SignedAmount
    closing_balance: SignedAmount
    lines: list[StatementLine]
    next_cursor: str | None = None
    state: State


class TrialBalanceLine(Wire):
    """One account."""

    account: AccountCode
    currency: Currency
    normal_balance: Direction
    debits: SignedAmount
    credits: SignedAmount
    balance: SignedAmount


class TrialBalanceTotal(Wire):
    """One currency; the two sides are equal or the ledger is broken."""

    currency: Currency
    debits: SignedAmount
    credits: SignedAmount


class TrialBalance(Wire):
    """Every account with its sides, and the totals by currency."""

    book: str
    effective_at: Timestamp | None = None
    known_at: Timestamp | None = None
    lines: list[TrialBalanceLine]
    totals: list[TrialBalanceTotal]
    balanced: bool
    state: State
