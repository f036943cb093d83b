"""One balance transaction before either side writes it down, and the two ways it is written.

Invariant: `psp_item` and `booked` of one deal agree in gross, fee and net. A deal's amounts carry the provider's
signs.
"""

from __future__ import annotations

from dataclasses import dataclass

from sample import postings
from sample.dice import Dice
from sample.model import Channel, Entry, PspItem
from sample.payouts import Window
from sample.postings import Naming, named
from sample.providers import PROVIDERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """A charge, refund, dispute or dispute reversal with every id the provider gives it."""

    category: str
    created: int
    currency: str
    gross_minor: int
    fee_minor: int
    txn_id: str
    source_id: str
    charge_id: str
    payment_intent_id: str
    charge_created: int
    order: str
    channel: Channel
    reason: str = ""

    @property
    def net_minor(self) -> int:
        return self.gross_minor - self.fee_minor

    def psp_item(self, window: Window, variant: int) -> PspItem:
        """Write the deal as the provider's report does."""
        return PspItem(
            txn_id=self.txn_id,
            category=self.category,
            created=self.created,
            currency=self.currency,
            gross_minor=self.gross_minor,
            fee_minor=self.fee_minor,
            payout_id=window.payout_id,
            made_on=window.made_on,
            arrives_on=window.arrives_on,
            channel=self.channel,
            source_id=self.source_id,
            charge_id=self.charge_id,
            payment_intent_id=self.payment_intent_id,
            charge_created=self.charge_created,
            order=self.order,
            reason=self.reason,
            description=self._description,
            variant=variant,
        )

    def booked(
        self,
        *,
        at: int,
        name: Naming,
        gross_minor: int | None = None,
        fee_minor: int | None = None,
        currency: str | None = None,
    ) -> Entry:
        """Write the deal as the company books it, with whatever it got wrong."""
        gross = self.gross_minor if gross_minor is None else gross_minor
        fee = self.fee_minor if fee_minor is None else fee_minor
        code = currency or self.currency
        text = f"{self.category.replace('_', ' ')} {self.source_id}"
        told = {"at": at, "name": name, "currency": code, "text": text, "order": self.order, "channel": self.channel}
        if self.category == "charge":
            return postings.charge(**told, gross_minor=gross, fee_minor=fee)
        if self.category == "refund":
            return postings.refund(**told, amount_minor=-gross)
        if self.category == "dispute":
            return postings.dispute(**told, amount_minor=-gross, fee_minor=fee)
        return postings.dispute_reversal(**told, amount_minor=gross, fee_minor=-fee)

    @property
    def main_id(self) -> str:
        """The id by which the company knows it most often: the balance transaction's, where there is one."""
        return self.txn_id if PROVIDERS[self.channel.provider].numbers_transactions else self.source_id

    def named(self, reference: str) -> Naming:
        """Name the entry by `reference`, one of the deal's ids; its `external_id` stays the deal's alone."""
        own = reference if reference in (self.txn_id, self.source_id) and self.category == "charge" else self.txn_id
        return named(self.channel.provider, own, reference=reference)

    def any_name(self, dice: Dice, *, by_charge: bool = False) -> Naming:
        """Choose under which of its ids the company books the deal: most often the balance transaction.

        `by_charge` allows a refund to be known by its charge's id, which only a charge's sole refund may be.
        """
        draw = dice.unit()
        if draw < 0.78:
            return self.named(self.main_id)
        if draw < 0.88:
            return self.named(self.source_id)
        if draw < 0.93:
            # Neither reference nor any other member: the external id is all there is.
            return named(self.channel.provider, self.txn_id, reference=None)
        if self.category == "charge":
            return self.named(self.payment_intent_id if draw < 0.97 else self.order)
        return self.named(self.charge_id if by_charge else self.source_id)

    @property
    def _description(self) -> str:
        if self.category == "charge":
            return f"Order {self.order}"
        if self.category == "refund":
            return f"REFUND FOR CHARGE (Order {self.order})"
        if self.category == "dispute":
            return f"Chargeback withdrawal for {self.charge_id}"
        return f"Chargeback reversal for {self.charge_id}"
