"""What is sold, refunded and disputed through one account at the provider, and what goes wrong where the plan says so.

Pure: facts day by day, memory bounded however long it runs. Invariant: apart from planted breaks, whatever the provider
reports the company booked, within seconds, under one of the ids that find it again.

An entry without any id of the provider's (an order booked by the shop itself) carries an amount that no other item of
its account and currency has: the only thing by which it can be matched.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sample.bank import Banks
from sample.business_days import DAY_SECONDS, PAYOUT_CUTOFF_SECONDS, is_business_day, midnight
from sample.currencies import PROFILES, CurrencyProfile
from sample.deals import Deal
from sample.dice import Dice, Mint
from sample.faults import go_wrong
from sample.model import Fact, PlantedBreak
from sample.payouts import Payouts
from sample.plan import OPENING_SALES, Plan, Slot
from sample.postings import Naming
from sample.trade import Trade

_REFUND_SHARE = 0.045
_DISPUTE_SHARE = 0.007
_REVERSAL_SHARE = 0.004
_KEYLESS_SHARE = 0.008
_LATE_BOOKING_SHARE = 0.2
_MIDNIGHT_SECONDS = 5
"""How close to midnight the two sales are which both sides date differently."""
_QUIET_SECONDS = 30
"""Nothing else is sold this close to the end of a day."""


class Shop:
    """Trade through one account at the provider; its payouts go to `banks`."""

    def __init__(
        self, *, plan: Plan, clean: bool, dice: Dice, mint: Mint, trade: Trade, payouts: Payouts, banks: Banks
    ) -> None:
        self._plan = plan
        self._clean = clean
        self._dice = dice
        self._mint = mint
        self._trade = trade
        self._payouts = payouts
        self._banks = banks

    @property
    def is_settling(self) -> bool:
        """Tell whether any item still waits for its payout."""
        return self._payouts.filling

    def trading_day(self, ordinal_of_day: int) -> Iterator[Fact]:
        """Trade on that day of the plan; its payouts are made at noon."""
        day, sales = self._plan.days[ordinal_of_day], self._plan.sales[ordinal_of_day]
        start = midnight(day)
        open_until_noon = is_business_day(day)
        for ordinal in range(sales):
            second = int((ordinal + self._dice.unit()) * DAY_SECONDS / sales)
            if open_until_noon and second >= PAYOUT_CUTOFF_SECONDS:
                yield from self.close_payouts(day)
                open_until_noon = False
            at = start + min(second, DAY_SECONDS - _QUIET_SECONDS)
            if ordinal < OPENING_SALES:
                yield from self._sell(self._plan.currencies[ordinal % len(self._plan.currencies)], at)
            elif slot := self._plan.slots.get((day, ordinal)):
                yield from self._go_wrong(slot, at)
            else:
                yield from self._something(at)
        if open_until_noon:
            yield from self.close_payouts(day)
        # On the last day of a sample that ends there, the other side's midnight is past the end of the files.
        if self._clean or day != self._plan.last_day:
            yield from self._sell_around_midnight(start + DAY_SECONDS)

    def _something(self, at: int) -> Iterator[Fact]:
        """Let a customer, or a customer's bank, do something."""
        profile = self._trade.currency()
        draw = self._dice.unit()
        limit = self._payouts.room(profile)
        if draw < _REFUND_SHARE:
            refunded = self._trade.refund(profile, at, limit_minor=limit)
            if refunded:
                deal, sole = refunded
                yield from self._both_sides(deal, deal.any_name(self._dice, by_charge=sole))
                return
        elif draw < _REFUND_SHARE + _DISPUTE_SHARE:
            dispute = self._trade.dispute(profile, at, limit_minor=limit)
            if dispute:
                yield from self._both_sides(dispute, dispute.any_name(self._dice))
                return
        elif draw < _REFUND_SHARE + _DISPUTE_SHARE + _REVERSAL_SHARE:
            reversal = self._trade.dispute_reversal(profile, at)
            if reversal:
                yield from self._both_sides(reversal, reversal.any_name(self._dice))
                return
        elif draw > 1 - _KEYLESS_SHARE:
            deal = self._trade.keyless_sale(profile, at)
            yield from self._both_sides(deal, Naming(external_id=f"shop:{deal.order}", reference=None))
            return
        yield from self._sell(profile, at)

    def _sell(self, profile: CurrencyProfile, at: int) -> Iterator[Fact]:
        deal = self._trade.sale(profile, at)
        name = deal.any_name(self._dice)
        self._trade.remember(deal, disputable=name.key not in (deal.payment_intent_id, deal.order))
        yield from self._both_sides(deal, name)

    def _sell_around_midnight(self, midnight_at: int) -> Iterator[Fact]:
        """Sell once just before and once just after midnight, each booked on the other side of it."""
        for sign in (-1, 1):
            profile = self._trade.currency()
            deal = self._trade.sale(profile, midnight_at + self._moment(sign))
            booked_at = midnight_at + self._moment(-sign)
            yield from self._both_sides(deal, deal.any_name(self._dice), booked_at=booked_at)

    def _moment(self, sign: int) -> int:
        """Return a few seconds after (+1) or before (-1) midnight."""
        seconds = self._dice.below(_MIDNIGHT_SECONDS)
        return seconds if sign > 0 else -1 - seconds

    def _both_sides(self, deal: Deal, name: Naming, *, booked_at: int | None = None) -> Iterator[Fact]:
        yield from self._report(deal)
        yield deal.booked(at=self._booked_at(deal) if booked_at is None else booked_at, name=name)

    def _go_wrong(self, slot: Slot, at: int) -> Iterator[Fact]:
        profile = PROFILES[slot.currency]
        deal = None
        if slot.on_refund:
            deal = self._trade.sole_refund(profile, at, limit_minor=self._payouts.room(profile))
        if deal is None:
            deal = self._trade.sale(profile, at)
        outcome = go_wrong(deal, slot, self._booked_at(deal), self._dice, self._mint)
        if outcome.reported:
            yield from self._report(deal)
        yield from outcome.entries
        yield outcome.planted

    def _report(self, deal: Deal) -> Iterator[Fact]:
        window = self._payouts.take(deal.currency, deal.created, deal.net_minor)
        if self._payouts.is_reported(window):
            yield deal.psp_item(window, self._dice.below(1 << 16))

    def _booked_at(self, deal: Deal) -> int:
        """Return when the company books a deal: at once, or some seconds later on the same day."""
        if not self._dice.chance(_LATE_BOOKING_SHARE):
            return deal.created
        return deal.created + self._dice.below(_QUIET_SECONDS)

    def close_payouts(self, day: date) -> Iterator[Fact]:
        """Make the payouts of `day`."""
        for facts, payout in self._payouts.close(day):
            yield from facts
            if (day, payout.currency) not in self._plan.lost_payouts:
                self._banks.expect(payout)
                continue
            yield PlantedBreak(
                break_class="payout_missing_at_bank",
                leg="B",
                key=payout.payout_id,
                currency=payout.currency,
                amount_minor=payout.net_minor,
            )
