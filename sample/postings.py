"""The company's own journal entries, after the templates of the reference's section 5.2.

Invariant: every entry balances in its currency; its net on the clearing account is the provider's, and with the fee it
books the provider's gross, unless all of it is a fee. `account` is the account at the provider that the money is at.
"""

from __future__ import annotations

from dataclasses import dataclass

from sample.chart import code_of
from sample.model import Entry

PROVIDER = "stripe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How an entry is known: its `external_id`, and its `metadata.reference` unless None."""

    external_id: str
    reference: str | None

    @property
    def key(self) -> str:
        """Return what reconciliation calls the entry: the reference, else the external id without the provider."""
        return self.reference or self.external_id.removeprefix(f"{PROVIDER}:")


def by_id(provider_id: str) -> Naming:
    """Name an entry by one of the provider's ids, twice over."""
    return Naming(external_id=f"{PROVIDER}:{provider_id}", reference=provider_id)


def charge(
    *, at: int, name: Naming, currency: str, gross_minor: int, fee_minor: int, text: str, order: str, account: str
) -> Entry:
    """Book a sale: clearing takes the net, the provider's fee is an expense."""
    sides = [("clearing", "debit", gross_minor - fee_minor)]
    if fee_minor:
        sides.append(("fees", "debit", fee_minor))
    sides.append(("sales", "credit", gross_minor))
    return _entry(at, name, currency, sides, text, order, account)


def refund(*, at: int, name: Naming, currency: str, amount_minor: int, text: str, order: str, account: str) -> Entry:
    """Book money given back; the provider keeps its fee."""
    sides = [("refunds", "debit", amount_minor), ("clearing", "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, order, account)


def dispute(
    *, at: int, name: Naming, currency: str, amount_minor: int, fee_minor: int, text: str, order: str, account: str
) -> Entry:
    """Book a chargeback: the amount and the provider's fee leave the clearing account."""
    sides = [
        ("disputes", "debit", amount_minor),
        ("fees", "debit", fee_minor),
        ("clearing", "credit", amount_minor + fee_minor),
    ]
    return _entry(at, name, currency, sides, text, order, account)


def dispute_reversal(
    *, at: int, name: Naming, currency: str, amount_minor: int, fee_minor: int, text: str, order: str, account: str
) -> Entry:
    """Book a dispute won: the amount comes back, and `fee_minor` of the fee with it."""
    sides = [("clearing", "debit", amount_minor + fee_minor), ("disputes", "credit", amount_minor)]
    if fee_minor:
        sides.append(("fees", "credit", fee_minor))
    return _entry(at, name, currency, sides, text, order, account)


def network_cost(
    *, at: int, name: Naming, currency: str, amount_minor: int, text: str, kind: str, account: str
) -> Entry:
    """Book a fee that belongs to no single payment, on `fees` like any other or on an account of its own."""
    sides = [(kind, "debit", amount_minor), ("clearing", "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, "", account)


def payout(*, at: int, name: Naming, currency: str, amount_minor: int, text: str, account: str) -> Entry:
    """Book money that left the provider and has not reached the bank."""
    sides = [("in_transit", "debit", amount_minor), ("clearing", "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, "", account)


def transfer(
    *, at: int, name: Naming, currency: str, amount_minor: int, debit: str, credit: str, text: str, account: str = ""
) -> Entry:
    """Book `amount_minor` from one kind of account to another."""
    sides = [(debit, "debit", amount_minor), (credit, "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, "", account)


def _entry(
    at: int, name: Naming, currency: str, sides: list[tuple[str, str, int]], text: str, order: str, account: str
) -> Entry:
    metadata = {}
    if name.reference is not None:
        metadata["reference"] = name.reference
    if order:
        metadata["order"] = order
    return Entry(
        effective_at=at,
        external_id=name.external_id,
        description=text,
        postings=tuple((code_of(kind, currency, account), side, amount, currency) for kind, side, amount in sides),
        metadata=metadata,
    )
