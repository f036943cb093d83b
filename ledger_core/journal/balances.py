"""Balances as pure values: gross sides, the signed balance, what may still be drawn, the trial balance.

Not queries: readers fill these in. Invariant: gross sides only ever grow; a shrinking one is corruption.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The gross sides of one account in minor units, up to `as_of_seq` (exclusive)."""

    account: str
    currency: str
    normal_balance: str
    debits: int
    credits: int
    as_of_seq: int
    signed_size: int

    @property
    def amount_minor(self) -> int:
        """The balance on the account's normal side; negative when it stands on the other."""
        return signed_balance(self.normal_balance, self.debits, self.credits)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBalance:
    """Every account's gross sides, and their totals by currency; `balanced` must be true of any books."""

    book: str
    as_of_seq: int
    signed_size: int
    effective_at: datetime | None
    lines: tuple[Balance, ...]
    totals: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        return all(debits == credits for debits, credits in self.totals.values())


def signed_balance(normal_balance: str, debits: int, credits: int) -> int:
    """Return the balance on the normal side."""
    return debits - credits if normal_balance == "debit" else credits - debits


def overdraft_floor(overdraft: str) -> int | None:
    """Return the lowest balance that `overdraft` permits on the normal side, None for no limit."""
    if overdraft == "allowed":
        return None
    return 0 if overdraft == "forbidden" else -int(overdraft)


def totals_by_currency(lines: Iterable[Balance]) -> dict[str, tuple[int, int]]:
    """Return gross debits and credits by currency, in order of the currency's code."""
    totals: dict[str, tuple[int, int]] = {}
    for line in lines:
        debits, credits = totals.get(line.currency, (0, 0))
        totals[line.currency] = (debits + line.debits, credits + line.credits)
    return dict(sorted(totals.items()))
