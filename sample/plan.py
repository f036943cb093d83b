"""Decide, before anything is generated, how much is sold on which day and where each break is planted.

Invariant: every planted item is alone at its place, was created long enough ago to be past its grace at `as_of`, and
is therefore in a payout that has arrived: a run at `as_of` sees both of its sides, or should.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

from sample.business_days import (
    ARRIVAL_BUSINESS_DAYS,
    add_business_days,
    is_business_day,
    is_past_grace,
)
from sample.currencies import CURRENCIES, CurrencyProfile
from sample.dice import Dice
from sample.model import Request

ITEM_CLASSES = (
    "missing_in_ledger",
    "missing_at_psp",
    "amount_mismatch",
    "fee_mismatch",
    "currency_mismatch",
    "duplicate_ledger",
)
ALSO_ON_REFUNDS = frozenset({"missing_in_ledger", "missing_at_psp", "amount_mismatch", "duplicate_ledger"})

MIN_BREAKS_PER_CLASS = 5
SALES_PER_BREAK = 2_500
MIN_SALES_PER_DAY = 16
"""So that even the smallest fortnight has room for every class."""
OPENING_SALES = len(CURRENCIES)
"""The first sales of each day, one in each currency, so that every business day has a payout in each."""

_WEEKDAY_WEIGHTS = (1.05, 1.04, 1.06, 1.08, 1.12, 0.88, 0.77)
_ENTRIES_PER_BUSINESS_DAY = 14
"""Payouts, their arrival, fees and what else the bank books: they count towards `per_day`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One item that goes wrong; `serial` counts within its class."""

    break_class: str
    currency: str
    on_refund: bool
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens when; keys are days, and for `slots` a day and the ordinal of a sale on it."""

    days: tuple[date, ...]
    sales: tuple[int, ...]
    currencies: tuple[CurrencyProfile, ...]
    """What is sold in."""
    slots: dict[tuple[date, int], Slot] = field(default_factory=dict)
    lost_payouts: frozenset[tuple[date, str]] = frozenset()
    """(day the payout is made, currency) that never reach the bank."""
    stray_credits: frozenset[tuple[date, str]] = frozenset()
    """(booking day, currency) on which the bank books money in the provider's name that it never paid out."""

    @property
    def last_day(self) -> date:
        return self.days[-1]


def make_plan(request: Request, dice: Dice, currencies: tuple[CurrencyProfile, ...]) -> Plan:
    """Lay out the days of `request` at a provider that pays in `currencies`; a clean sample plants nothing."""
    days = tuple(request.start + timedelta(days=offset) for offset in range(request.days))
    sales = tuple(_sales_on(day, request.per_day, dice) for day in days)
    if request.clean:
        return Plan(days=days, sales=sales, currencies=currencies)
    wanted = max(MIN_BREAKS_PER_CLASS, sum(sales) // SALES_PER_BREAK)
    return Plan(
        days=days,
        sales=sales,
        currencies=currencies,
        slots=_slots(days, sales, wanted, dice, currencies),
        lost_payouts=_lost_payouts(days, wanted, dice, currencies),
        stray_credits=_stray_credits(days, wanted, dice, currencies),
    )


def _sales_on(day: date, per_day: int, dice: Dice) -> int:
    expected = per_day * _WEEKDAY_WEIGHTS[day.weekday()] * (0.96 + 0.08 * dice.unit())
    overhead = _ENTRIES_PER_BUSINESS_DAY if is_business_day(day) else 0
    return max(MIN_SALES_PER_DAY, round(expected) - overhead)


def _slots(
    days: tuple[date, ...], sales: tuple[int, ...], wanted: int, dice: Dice, currencies: tuple[CurrencyProfile, ...]
) -> dict[tuple[date, int], Slot]:
    as_of = days[-1]
    old = [(day, count) for day, count in zip(days, sales, strict=True) if is_past_grace(day, as_of)]
    room = sum(count - OPENING_SALES for _, count in old)
    wanted = min(wanted, room // len(ITEM_CLASSES))
    slots: dict[tuple[date, int], Slot] = {}
    for serial in range(wanted):
        for position, break_class in enumerate(ITEM_CLASSES):
            place = _free_place(old, slots, dice)
            slots[place] = Slot(
                break_class=break_class,
                currency=currencies[(serial + position) % len(currencies)].code,
                on_refund=break_class in ALSO_ON_REFUNDS and serial % 3 == 2,
                serial=serial,
            )
    return slots


def _free_place(old: list[tuple[date, int]], taken: dict[tuple[date, int], Slot], dice: Dice) -> tuple[date, int]:
    for _ in range(100):
        day, count = dice.pick(old)
        place = (day, dice.between(OPENING_SALES, count - 1))
        if place not in taken:
            return place
    return next(
        (day, ordinal) for day, count in old for ordinal in range(OPENING_SALES, count) if (day, ordinal) not in taken
    )


def _lost_payouts(
    days: tuple[date, ...], wanted: int, dice: Dice, currencies: tuple[CurrencyProfile, ...]
) -> frozenset[tuple[date, str]]:
    made = [
        day
        for day in days
        if is_business_day(day) and is_past_grace(add_business_days(day, ARRIVAL_BUSINESS_DAYS), days[-1])
    ]
    return _spread(made, wanted, dice, currencies)


def _stray_credits(
    days: tuple[date, ...], wanted: int, dice: Dice, currencies: tuple[CurrencyProfile, ...]
) -> frozenset[tuple[date, str]]:
    booked = [day for day in days if is_business_day(day) and is_past_grace(day, days[-1])]
    return _spread(booked, wanted, dice, currencies)


def _spread(
    days: list[date], wanted: int, dice: Dice, currencies: tuple[CurrencyProfile, ...]
) -> frozenset[tuple[date, str]]:
    """Choose places over all currencies and as many days as there are; an eighth of them, or the minimum."""
    places = len(days) * len(currencies)
    count = min(places, max(MIN_BREAKS_PER_CLASS, min(wanted, places // 8)))
    shuffled = dice.shuffled(days)
    chosen: set[tuple[date, str]] = set()
    for serial in range(count):
        turn, position = divmod(serial, len(days))
        currency = currencies[(position + turn) % len(currencies)]
        chosen.add((shuffled[position], currency.code))
    return frozenset(chosen)
