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
from sample.model import Channel

_AT_PROVIDERS = frozenset({"clearing", "in_transit", "fees"})
_FIRST_PROVIDER = "stripe"
"""Its fees stand where they stood when the company had no other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKind:
    """A kind of account; `prefix` is its code without the currency."""

    prefix: str
    type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    normal_balance: str | None = None

    @property
    def is_at_provider(self) -> bool:
        """Tell whether there is one for each account at each provider."""
        return self.metadata.get("role") in _AT_PROVIDERS

    def code(self, currency: str, channel: Channel | None = None) -> str:
        """Return the code of the one in `currency`, and at `channel` where there is one for each."""
        if not self.is_at_provider:
            return f"{self.prefix}:{currency.lower()}"
        assert channel is not None, f"{self.prefix} is at a provider"
        prefix = self.prefix.format(provider=channel.provider)
        own = "" if channel.provider in (_FIRST_PROVIDER, *prefix.split(":")) else channel.provider
        parts = (prefix, own, channel.account, currency.lower())
        return ":".join(part for part in parts if part)


KINDS = {
    "clearing": AccountKind(prefix="assets:psp:{provider}:clearing", type="asset", metadata={"role": "clearing"}),
    "in_transit": AccountKind(prefix="assets:in-transit:{provider}", type="asset", metadata={"role": "in_transit"}),
    "bank": AccountKind(prefix="assets:bank:main", type="asset", metadata={"role": "bank"}),
    "suspense": AccountKind(prefix="liabilities:suspense", type="liability"),
    "opening": AccountKind(prefix="equity:opening-balance", type="equity"),
    "sales": AccountKind(prefix="revenue:sales", type="revenue"),
    "refunds": AccountKind(prefix="revenue:refunds", type="revenue", normal_balance="debit"),
    "fees": AccountKind(prefix="expenses:processing-fees", type="expense", metadata={"role": "fees"}),
    "network": AccountKind(prefix="expenses:network-costs", type="expense"),
    "disputes": AccountKind(prefix="expenses:disputes", type="expense"),
    "rent": AccountKind(prefix="expenses:rent", type="expense"),
    "salaries": AccountKind(prefix="expenses:salaries", type="expense"),
    "bank_charges": AccountKind(prefix="expenses:bank-charges", type="expense"),
}


@lru_cache(maxsize=1024)
def code_of(kind: str, currency: str, channel: Channel | None) -> str:
    """Return the code of the account of that kind, currency and, where it matters, channel."""
    return KINDS[kind].code(currency, channel)


def render_chart(*, book: str, channels: tuple[Channel, ...]) -> str:
    """Write the chart as `counterfoil accounts apply` reads it."""
    lines = ["# The sample company's chart of accounts.", f"book: {book}", "accounts:"]
    for kind in KINDS.values():
        for channel, profile in product(channels if kind.is_at_provider else (None,), CURRENCIES):
            lines.append(f"  - code: {kind.code(profile.code, channel)}")
            lines.append(f"    type: {kind.type}")
            lines.append(f"    currency: {profile.code}")
            if kind.normal_balance:
                lines.append(f"    normal_balance: {kind.normal_balance}")
            lines.append("    overdraft: allowed")
            if kind.metadata:
                said = {"source": channel.provider if channel else "", **kind.metadata}
                said["account"] = channel.account if channel else ""
                pairs = ", ".join(f"{key}: {value}" for key, value in said.items() if value)
                lines.append(f"    metadata: {{{pairs}}}")
    return "\n".join(lines) + "\n"
