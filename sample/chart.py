"""The sample company's chart of accounts: one account of each kind in each currency.

What takes part in the reconciliation is said by metadata alone: `source` names the provider, `role` the part, and
`account` the account at the provider where the company has several: it keeps its books of each apart. Network
costs are a plain expense; the company books a fee that names no payment there or on its processing fees, as people do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from sample.currencies import CURRENCIES


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKind:
    """A kind of account; `prefix` is its code without the currency."""

    prefix: str
    type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    normal_balance: str | None = None

    @property
    def is_at_provider(self) -> bool:
        """Tell whether there is one for each account at the provider."""
        return "source" in self.metadata

    def code(self, currency: str, account: str = "") -> str:
        """Return the code of the one in `currency`, and at `account` where there is one for each."""
        parts = (self.prefix, account if self.is_at_provider else "", currency.lower())
        return ":".join(part for part in parts if part)


KINDS = {
    "clearing": AccountKind(
        prefix="assets:psp:stripe:clearing", type="asset", metadata={"source": "stripe", "role": "clearing"}
    ),
    "in_transit": AccountKind(
        prefix="assets:in-transit:stripe", type="asset", metadata={"source": "stripe", "role": "in_transit"}
    ),
    "bank": AccountKind(prefix="assets:bank:main", type="asset", metadata={"role": "bank"}),
    "suspense": AccountKind(prefix="liabilities:suspense", type="liability"),
    "opening": AccountKind(prefix="equity:opening-balance", type="equity"),
    "sales": AccountKind(prefix="revenue:sales", type="revenue"),
    "refunds": AccountKind(prefix="revenue:refunds", type="revenue", normal_balance="debit"),
    "fees": AccountKind(
        prefix="expenses:processing-fees", type="expense", metadata={"source": "stripe", "role": "fees"}
    ),
    "network": AccountKind(prefix="expenses:network-costs", type="expense"),
    "disputes": AccountKind(prefix="expenses:disputes", type="expense"),
    "rent": AccountKind(prefix="expenses:rent", type="expense"),
    "salaries": AccountKind(prefix="expenses:salaries", type="expense"),
    "bank_charges": AccountKind(prefix="expenses:bank-charges", type="expense"),
}


@lru_cache(maxsize=1024)
def code_of(kind: str, currency: str, account: str) -> str:
    """Return the code of the account of that kind, currency and, where it matters, account at the provider."""
    return KINDS[kind].code(currency, account)


def render_chart(*, book: str, accounts: tuple[str, ...]) -> str:
    """Write the chart as `counterfoil accounts apply` reads it."""
    lines = ["# The sample company's chart of accounts.", f"book: {book}", "accounts:"]
    for kind in KINDS.values():
        for account, profile in product(accounts if kind.is_at_provider else ("",), CURRENCIES):
            lines.append(f"  - code: {kind.code(profile.code, account)}")
            lines.append(f"    type: {kind.type}")
            lines.append(f"    currency: {profile.code}")
            if kind.normal_balance:
                lines.append(f"    normal_balance: {kind.normal_balance}")
            lines.append("    overdraft: allowed")
            if kind.metadata:
                said = {**kind.metadata, "account": account} if account else kind.metadata
                pairs = ", ".join(f"{key}: {value}" for key, value in said.items())
                lines.append(f"    metadata: {{{pairs}}}")
    return "\n".join(lines) + "\n"
