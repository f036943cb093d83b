"""The providers through which the sample company sells: how each names things, and what its bank lines say.

Nothing here is written into a report; that is done by a module for each format. Invariant: no two ids of a provider are
equal, and each has the form that the provider's own ids have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sample.currencies import CURRENCIES, CurrencyProfile
from sample.dice import Mint


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider: `word` is what its bank lines call it, `payers` who pays in each currency."""

    name: str
    word: str
    payers: Mapping[str, str]
    id: Callable[[Mint, str], str]
    """Make an id of a kind: `txn`, `ch`, `pi`, `re`, `du`, `po`, as Stripe calls them."""
    order_letter: str
    told: Callable[[Mint, str], str] = lambda _mint, payout_id: payout_id
    """Say what a bank line says of a payout."""
    currencies: tuple[CurrencyProfile, ...] = CURRENCIES

    def order(self, account: str, number: int) -> str:
        """Number an order of an account; no two of the company are alike."""
        return "-".join(part for part in (self.order_letter, account.removeprefix("acct_"), str(number)) if part)


STRIPE = Provider(
    name="stripe",
    word="STRIPE",
    payers={
        "USD": "STRIPE PAYMENTS COMPANY",
        "EUR": "STRIPE TECHNOLOGY EUROPE LTD",
        "JPY": "STRIPE JAPAN KK",
        "KWD": "STRIPE PAYMENTS INTL",
    },
    id=Mint.id,
    order_letter="o",
)

PROVIDERS = {provider.name: provider for provider in (STRIPE,)}
