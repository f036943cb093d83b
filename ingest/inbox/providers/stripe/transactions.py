"""Balance transactions of Stripe as amounts of a draft: whole minor units of the settlement's currency, never a float.

Several of one object are summed: the charge and the part of it that was not captured, a dispute and its fee.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ingest.inbox.port import Draft
from ledger_core.errors import InvalidInput
from ledger_core.journal.money import is_currency

DESCRIPTIONS: Mapping[str, str] = {
    "charge_captured": "Charge",
    "refund": "Refund",
    "refund_fee_returned": "Refund",
    "refund_failed": "Refund failed",
    "dispute_funds_withdrawn": "Dispute, funds withdrawn",
    "dispute_won": "Dispute, funds reinstated",
    "dispute_lost": "Dispute lost",
    "payout_paid": "Payout",
    "payout_failed": "Payout failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One balance transaction. `amount` is signed as Stripe signs it, `net` is `amount` less `fee`."""

    id: str
    amount: int
    fee: int
    currency: str
    category: str
    created_at: datetime
    rate: Decimal | None = None
    """Into the settlement's currency, where the charge had another."""

    @property
    def of_withdrawal(self) -> bool:
        """Whether it took money for a dispute, a fee included; else it brought money back."""
        if self.category in ("dispute", "dispute_reversal"):
            return self.category == "dispute"
        return self.amount < 0


def read_transaction(told: object) -> Transaction | None:
    """Return the balance transaction that an expanded object holds; None while it has none. Raises `InvalidInput`."""
    if told is None:
        return None
    if not isinstance(told, Mapping):
        raise InvalidInput("Stripe's object names its balance transaction and does not hold it.")
    amount, fee, net, created = (told.get(name) for name in ("amount", "fee", "net", "created"))
    currency, id = told.get("currency"), told.get("id")
    if type(amount) is not int or type(fee) is not int or type(net) is not int or type(created) is not int:
        raise InvalidInput(f"balance transaction {id}: an amount or a time that is no whole number.")
    if amount - fee != net:
        raise InvalidInput(f"balance transaction {id}: {amount} less a fee of {fee} is not {net}.")
    if not isinstance(id, str) or not isinstance(currency, str) or not is_currency(currency.upper()):
        raise InvalidInput(f"balance transaction {id}: {str(currency)[:10]!r} is no currency.")
    rate = told.get("exchange_rate")
    return Transaction(
        id=id,
        amount=amount,
        fee=fee,
        currency=currency.upper(),
        category=str(told.get("reporting_category") or ""),
        created_at=datetime.fromtimestamp(created, UTC),
        rate=rate if isinstance(rate, Decimal) else Decimal(rate) if type(rate) is int else None,
    )


def captured(charge: Mapping[str, Any], first: Transaction, page: Mapping[str, Any]) -> list[Transaction] | None:
    """Return the transactions of a charge of which a part was captured; None while one of them is still to come.

    Either one of the part alone, or one of the whole and one that takes back the rest.
    """
    if page.get("has_more"):
        raise InvalidInput("the charge has more balance transactions than one page brings.")
    listed = page.get("data")
    found = [read_transaction(item) for item in listed] if isinstance(listed, list) else []
    reversals = [item for item in found if item is not None and item.category == "partial_capture_reversal"]
    if reversals:
        return [first, *reversals]
    # Into another currency the provider rounds, by less than one.
    wanted = charge["amount_captured"] if first.rate is None else charge["amount_captured"] * first.rate
    return [first] if abs(first.amount - wanted) < 1 else None


def draft_of(template: str, key: str, transactions: Sequence[Transaction], *, sign: int = 1) -> Draft:
    """Return the draft that `transactions` of one object fill in. Raises `InvalidInput` for two currencies.

    Fields: `gross`, `fee`, `net`, signed so that each is positive in the usual case; `sign` is -1 for money that went.
    """
    currencies = {item.currency for item in transactions}
    if len(currencies) != 1:
        raise InvalidInput(
            f"{key} was settled in {', '.join(sorted(currencies))}, and an entry of this template has one currency.",
            remedy="Post it by hand from its balance transactions, then leave the event: `counterfoil dead-letters`.",
        )
    fees = [item for item in transactions if item.category == "fee"]
    net = sign * sum(item.amount - item.fee for item in transactions)
    gross = sign * sum(item.amount for item in transactions if item not in fees)
    return Draft(
        template=template,
        key=key,
        effective_at=max(item.created_at for item in transactions),
        currency=currencies.pop(),
        # A fee that came with money that went makes the net the larger one.
        fields={"gross": gross, "fee": gross - net if sign > 0 else net - gross, "net": net},
        description=f"{DESCRIPTIONS[template]} {key}",
    )
