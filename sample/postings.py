"""The company's own journal entries, after the templates of the reference's section 5.2.

Invariant: every entry balances in its currency; its net on the clearing account is the provider's, and with the fee it
books the provider's gross, unless all of it is a fee. `channel` is where the money is.
"""

from __future__ import annotations

from dataclasses import dataclass

from sample.chart import code_of
from sample.model import Channel, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How an entry is known: its `external_id`, and its `metadata.reference` unless None."""

    external_id: str
    reference: str | None
    provider: str = ""
    """Whose name stands before an external id that is one of the provider's."""

    @property
    def key(self) -> str:
        """Return what reconciliation calls the entry: the reference, else the external id without the provider."""
        return self.reference or self.external_id.removeprefix(f"{self.provider}:")


def by_id(provider: str, own_id: str) -> Naming:
    """Name an entry by one of the provider's ids, twice over."""
    return named(provider, own_id, reference=own_id)


def named(provider: str, own_id: str, *, reference: str | None) -> Naming:
    """Name an entry by one of the provider's ids, and by `reference`."""
    return Naming(external_id=f"{provider}:{own_id}", reference=reference, provider=provider)


def charge(
    *, at: int, name: Naming, currency: str, gross_minor: int, fee_minor: int, text: str, order: str, channel: Channel
) -> Entry:
    """Book a sale: clearing takes the net, the provider's fee is an expense."""
    sides = [("clearing", "debit", gross_minor - fee_minor)]
    if fee_minor:
        sides.append(("fees", "debit", fee_minor))
    sides.append(("sales", "credit", gross_minor))
    return _entry(at, name, currency, sides, text, order, channel)


def refund(
    *, at: int, name: Naming, currency: str, amount_minor: int, text: str, order: str, channel: Channel
) -> Entry:
    """Book money given back; the provider keeps its fee."""
    sides = [("refunds", "debit", amount_minor), ("clearing", "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, order, channel)


def dispute(
    *, at: int, name: Naming, currency: str, amount_minor: int, fee_minor: int, text: str, order: str, channel: Channel
) -> Entry:
    """Book a chargeback: the amount and the provider's fee leave the clearing account."""
    sides = [
        ("disputes", "debit", amount_minor),
        ("fees", "debit", fee_minor),
        ("clearing", "credit", amount_minor + fee_minor),
    ]
    return _entry(at, name, currency, sides, text, order, channel)


def dispute_reversal(
    *, at: int, name: Naming, currency: str, amount_minor: int, fee_minor: int, text: str, order: str, channel: Channel
) -> Entry:
    """Book a dispute won: the amount comes back, and `fee_minor` of the fee with it."""
    sides = [("clearing", "debit", amount_minor + fee_minor), ("disputes", "credit", amount_minor)]
    if fee_minor:
        sides.append(("fees", "credit", fee_minor))
    return _entry(at, name, currency, sides, text, order, channel)


def network_cost(
    *, at: int, name: Naming, currency: str, amount_minor: int, text: str, kind: str, channel: Channel
) -> Entry:
    """Book a fee that belongs to no single payment, on `fees` like any other or on an account of its own."""
    sides = [(kind, "debit", amount_minor), ("clearing", "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, "", channel)


def payout(*, at: int, name: Naming, currency: str, amount_minor: int, text: str, channel: Channel) -> Entry:
    """Book money that left the provider and has not reached the bank."""
    sides = [("in_transit", "debit", amount_minor), ("clearing", "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, "", channel)


def transfer(
    *,
    at: int,
    name: Naming,
    currency: str,
    amount_minor: int,
    debit: str,
    credit: str,
    text: str,
    channel: Channel | None = None,
) -> Entry:
    """Book `amount_minor` from one kind of account to another."""
    sides = [(debit, "debit", amount_minor), (credit, "credit", amount_minor)]
    return _entry(at, name, currency, sides, text, "", channel)


def _entry(
    at: int, name: Naming, currency: str, sides: list[tuple[str, str, int]], text: str, order: str, channel: Channel
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
        postings=tuple((code_of(kind, currency, channel), side, amount, currency) for kind, side, amount in sides),
        metadata=metadata,
    )
