"""The shop's counter: sales, refunds, disputes and their reversals, and what is remembered to make the next ones.

Memory is bounded: a few hundred sales a currency can still be refunded or disputed; older ones are forgotten at random.
Invariant: a sale known by its payment intent or its order is never disputed, and a refund known by its charge is the
charge's only one, because a reversal and a second refund carry the same ids with the same sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sample.business_days import DAY_SECONDS
from sample.currencies import CURRENCIES, CurrencyProfile
from sample.deals import Deal
from sample.dice import Dice, Mint
from sample.model import Channel
from sample.providers import PROVIDERS, Row

REMEMBERED_SALES = 300
OPEN_DISPUTES = 50
_REVERSAL_AFTER_SECONDS = 4 * DAY_SECONDS
_REASONS = ("requested_by_customer", "duplicate", "fraudulent")
_DISPUTE_REASONS = ("fraudulent", "product_not_received", "unrecognized", "credit_not_processed")


@dataclass(slots=True, kw_only=True, eq=False)
class Sold:
    """A sale that can still be refunded; `disputable` until something else happened to it."""

    deal: Deal
    remaining_minor: int
    disputable: bool

    @property
    def untouched(self) -> bool:
        return self.remaining_minor == self.deal.gross_minor


class Trade:
    """Make deals; what the company and the provider do with them is not decided here."""

    def __init__(self, dice: Dice, mint: Mint, *, channel: Channel) -> None:
        self._dice = dice
        self._mint = mint
        self._channel = channel
        self._provider = PROVIDERS[channel.provider]
        self._orders = 0
        self._sold: dict[str, list[Sold]] = {profile.code: [] for profile in CURRENCIES}
        self._disputes: dict[str, list[Deal]] = {profile.code: [] for profile in CURRENCIES}
        self._partly_refunded: dict[str, Sold | None] = {profile.code: None for profile in CURRENCIES}
        self._keyless = {profile.code: profile.keyless_floor for profile in CURRENCIES}

    def currency(self) -> CurrencyProfile:
        """Choose what the next customer pays in; where the provider lacks a currency it is the first."""
        draw = self._dice.unit()
        for profile in self._provider.currencies:
            draw -= profile.share
            if draw < 0:
                return profile
        return self._provider.currencies[0]

    def sale(self, profile: CurrencyProfile, at: int) -> Deal:
        """Sell something."""
        dice = self._dice
        gross = dice.pick(profile.prices) if dice.chance(0.35) else dice.between(profile.low, profile.high)
        return self._sale(profile, at, gross)

    def keyless_sale(self, profile: CurrencyProfile, at: int) -> Deal:
        """Sell something at a price that nothing else of its currency has: gross and net grow from one to the next."""
        self._keyless[profile.code] += self._dice.between(2, 180)
        return self._sale(profile, at, self._keyless[profile.code])

    def remember(self, deal: Deal, *, disputable: bool) -> None:
        """Let a sale be refunded or disputed later."""
        shelf = self._sold[deal.currency]
        sold = Sold(deal=deal, remaining_minor=deal.gross_minor, disputable=disputable)
        if len(shelf) < REMEMBERED_SALES:
            shelf.append(sold)
        else:
            shelf[self._dice.below(REMEMBERED_SALES)] = sold

    def refund(self, profile: CurrencyProfile, at: int, *, limit_minor: int) -> tuple[Deal, bool] | None:
        """Give money back for some sale, in full or in part, at most `limit_minor`.

        The second value tells whether the charge's id alone finds this refund. None when nothing fits.
        """
        shelf = self._sold[profile.code]
        if not shelf:
            return None
        sold = self._partly_refunded[profile.code]
        if sold not in shelf or self._dice.chance(0.7):
            sold = self._dice.pick(shelf)
        assert sold is not None
        amount = sold.remaining_minor
        if amount > profile.low // 2 and self._dice.chance(0.5):
            amount = self._dice.between(1, amount - 1)
        if amount > limit_minor:
            return None
        sole = sold.untouched and self._dice.chance(0.5)
        sold.remaining_minor -= amount
        sold.disputable = False
        if sole or not sold.remaining_minor:
            shelf.remove(sold)
        else:
            self._partly_refunded[profile.code] = sold
        return self._later(sold.deal, "refund", "re", at, -amount, 0, self._dice.pick(_REASONS)), sole

    def sole_refund(self, profile: CurrencyProfile, at: int, *, limit_minor: int) -> Deal | None:
        """Refund in full some sale that nothing has happened to, and never will again."""
        shelf = self._sold[profile.code]
        for sold in shelf:
            if sold.untouched and sold.deal.gross_minor <= limit_minor:
                shelf.remove(sold)
                return self._later(sold.deal, "refund", "re", at, -sold.remaining_minor, 0, _REASONS[0])
        return None

    def dispute(self, profile: CurrencyProfile, at: int, *, limit_minor: int) -> Deal | None:
        """Lose a sale to its card holder's bank, for now, and a fee on top."""
        shelf = self._sold[profile.code]
        if not shelf:
            return None
        sold = self._dice.pick(shelf)
        if not sold.disputable or sold.deal.gross_minor + profile.dispute_fee > limit_minor:
            return None
        shelf.remove(sold)
        reason = self._dice.pick(_DISPUTE_REASONS)
        deal = self._later(sold.deal, "dispute", "du", at, -sold.deal.gross_minor, profile.dispute_fee, reason)
        disputes = self._disputes[profile.code]
        if len(disputes) < OPEN_DISPUTES:
            disputes.append(deal)
        return deal

    def dispute_reversal(self, profile: CurrencyProfile, at: int) -> Deal | None:
        """Win the oldest dispute, if it is old enough; the fee sometimes comes back with it."""
        disputes = self._disputes[profile.code]
        if not disputes or at - disputes[0].created < _REVERSAL_AFTER_SECONDS:
            return None
        lost = disputes.pop(0)
        fee = -lost.fee_minor if self._dice.chance(0.4) else 0
        deal = self._later(lost, "dispute_reversal", "du", at, -lost.gross_minor, fee, lost.reason)
        return self._known(replace(deal, source_id=lost.source_id))

    def _sale(self, profile: CurrencyProfile, at: int, gross_minor: int) -> Deal:
        self._orders += 1
        charge_id = self._provider.id(self._mint, "ch")
        deal = Deal(
            category="charge",
            created=at,
            currency=profile.code,
            gross_minor=gross_minor,
            fee_minor=profile.fee(gross_minor),
            txn_id=self._provider.transaction(self._mint),
            source_id=self._provider.capture(self._mint, charge_id),
            charge_id=charge_id,
            payment_intent_id=self._provider.payment(self._mint, charge_id),
            charge_created=at,
            order=self._provider.order(self._channel.account, self._orders),
            channel=self._channel,
        )
        return self._known(deal)

    def _later(
        self, sale: Deal, category: str, prefix: str, at: int, gross_minor: int, fee_minor: int, reason: str
    ) -> Deal:
        deal = Deal(
            category=category,
            created=at,
            currency=sale.currency,
            gross_minor=gross_minor,
            fee_minor=fee_minor,
            txn_id=self._provider.transaction(self._mint),
            source_id=self._provider.id(self._mint, prefix),
            charge_id=sale.charge_id,
            payment_intent_id=sale.payment_intent_id,
            charge_created=sale.charge_created,
            order=sale.order,
            channel=self._channel,
            reason=reason,
        )
        return self._known(deal)

    def _known(self, deal: Deal) -> Deal:
        """Return the deal with what its row of the report is known by."""
        if self._provider.numbers_transactions:
            return deal
        row = Row(
            channel=self._channel,
            category=deal.category,
            currency=deal.currency,
            created=deal.created,
            charge_id=deal.charge_id,
            own_id=deal.source_id,
        )
        return replace(deal, txn_id=self._provider.row(row))
