"""The provider's side of the money: which payout an item falls into, and what each payout comes to.

Invariant: a payout is the sum of the nets of its items, positive, and unlike every other payout and stray credit of
its currency, so that one whose bank line lacks a reference can still be told by its amount.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sample import postings
from sample.business_days import (
    ARRIVAL_BUSINESS_DAYS,
    PAYOUT_CUTOFF_SECONDS,
    add_business_days,
    midnight,
    payout_day,
    stamp,
)
from sample.currencies import CURRENCIES, CurrencyProfile
from sample.dice import Dice, Mint
from sample.model import Channel, Entry, Fact, Payout, PspItem
from sample.providers import PROVIDERS, Row

_FEE_SHARE = 0.4
"""How many payouts carry a fee that belongs to no payment."""


@dataclass(slots=True, kw_only=True)
class Window:
    """A payout that is still filling up."""

    payout_id: str
    made_on: date
    arrives_on: date
    net_minor: int = 0


class Amounts:
    """What payouts and stray credits came to so far, in every account at the provider: no two are alike."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._taken: dict[str, set[int]] = {profile.code: set() for profile in CURRENCIES}

    def of(self, currency: str) -> set[int]:
        """Return the amounts of a currency that are taken."""
        return self._taken[currency]

    def claim(self, profile: CurrencyProfile) -> int:
        """Return an amount for a stray credit that no payout of the currency has or will have."""
        taken = self._taken[profile.code]
        while True:
            amount = self._dice.between(profile.low, 12 * profile.high)
            if amount not in taken:
                taken.add(amount)
                return amount


class Payouts:
    """Fill windows with the items of one account at the provider and close them at noon.

    `reported_until` is the last day that the reports reach, None for all.
    """

    def __init__(
        self, *, dice: Dice, mint: Mint, reported_until: date | None, channel: Channel, amounts: Amounts
    ) -> None:
        self._dice = dice
        self._mint = mint
        self._reported_until = reported_until
        self._channel = channel
        self._provider = PROVIDERS[channel.provider]
        self._windows: dict[str, Window] = {}
        self._amounts = amounts

    @property
    def filling(self) -> bool:
        """Tell whether any item still waits for its payout."""
        return bool(self._windows)

    def take(self, currency: str, created: int, net_minor: int) -> Window:
        """Put an item that was created then into the payout it falls into, and return that."""
        window = self._windows.get(currency)
        if window is None:
            made_on = payout_day(created)
            window = Window(
                payout_id=self._provider.payout_id(self._mint, self._channel, made_on, currency),
                made_on=made_on,
                arrives_on=add_business_days(made_on, ARRIVAL_BUSINESS_DAYS),
            )
            self._windows[currency] = window
        window.net_minor += net_minor
        return window

    def room(self, profile: CurrencyProfile) -> int:
        """Return how much may leave the payout that is filling up and leave it positive."""
        window = self._windows.get(profile.code)
        return 0 if window is None else window.net_minor - profile.low // 2

    def is_reported(self, window: Window) -> bool:
        """Tell whether the reports reach as far as a payout."""
        listed_on = window.arrives_on if self._provider.lists_by_arrival else window.made_on
        return self._reported_until is None or listed_on <= self._reported_until

    def close(self, day: date) -> Iterator[tuple[list[Fact], Payout]]:
        """Make the payouts of `day`: what is posted and reported for each, and the payout itself."""
        for profile in self._provider.currencies:
            window = self._windows.get(profile.code)
            if window is None or window.made_on != day:
                continue
            facts = list(self._network_costs(profile, window))
            del self._windows[profile.code]
            self._amounts.of(profile.code).add(window.net_minor)
            told = self._provider.told(self._mint, window.payout_id)
            payout = Payout(
                payout_id=window.payout_id,
                txn_id=self._provider.payout_transaction(self._mint, self._channel, day, told, window.payout_id),
                currency=profile.code,
                net_minor=window.net_minor,
                created=midnight(day) + PAYOUT_CUTOFF_SECONDS + self._dice.below(600),
                made_on=day,
                arrives_on=window.arrives_on,
                channel=self._channel,
                told=told,
                variant=self._dice.below(1 << 16),
            )
            usual, rare = self._provider.payout_names(payout)
            reference = usual if self._dice.chance(0.7) else rare
            facts.append(
                postings.payout(
                    at=payout.created,
                    name=postings.by_id(self._provider.name, reference),
                    currency=profile.code,
                    amount_minor=payout.net_minor,
                    text=f"payout {payout.payout_id}",
                    channel=self._channel,
                )
            )
            if self.is_reported(window):
                facts.append(payout)
            yield facts, payout

    def _network_costs(self, profile: CurrencyProfile, window: Window) -> Iterator[Fact]:
        """Charge fees that name no payment: now and then, and as often as it takes to make the payout's sum unique."""
        taken = self._amounts.of(profile.code)
        while self._dice.chance(_FEE_SHARE) or window.net_minor in taken:
            cost = self._dice.between(1, max(1, min(profile.low // 5, window.net_minor // 50)))
            created = midnight(window.made_on) + PAYOUT_CUTOFF_SECONDS - self._dice.between(30, 600)
            txn_id = self._provider.transaction(self._mint)
            window.net_minor -= cost
            yield from self._cost(profile, window, txn_id, created, cost)

    def _cost(
        self, profile: CurrencyProfile, window: Window, txn_id: str, created: int, cost: int
    ) -> Iterator[Entry | PspItem]:
        text = f"Card payments ({stamp(created)[:10]}): Transaction network costs, interchange"
        own_id, text = self._provider.fee(self._mint, text)
        row = Row(
            channel=self._channel,
            category="fee",
            currency=profile.code,
            created=created,
            charge_id="",
            own_id=own_id or text,
        )
        txn_id = txn_id or self._provider.row(row)
        if self.is_reported(window):
            yield PspItem(
                txn_id=txn_id,
                category="fee",
                created=created,
                currency=profile.code,
                gross_minor=-cost,
                fee_minor=0,
                payout_id=window.payout_id,
                made_on=window.made_on,
                arrives_on=window.arrives_on,
                channel=self._channel,
                source_id=own_id,
                description=text,
                variant=self._dice.below(1 << 16),
            )
        yield postings.network_cost(
            at=created,
            name=postings.by_id(self._provider.name, txn_id),
            currency=profile.code,
            amount_minor=cost,
            text=text,
            kind=self._dice.pick(("network", "fees")),
            channel=self._channel,
        )
