"""Calendars of the sample: business days, the hour at which payouts close, grace.

Monday to Friday, no public holidays. Instants are whole seconds since 1970 in UTC. Invariant: everything that a
payout holds was created before the payout's noon, and it arrives two business days later.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

DAY_SECONDS = 86_400
PAYOUT_CUTOFF_SECONDS = DAY_SECONDS // 2
"""Payouts are made at noon UTC of every business day, of all that was created before."""

ARRIVAL_BUSINESS_DAYS = 2
GRACE_BUSINESS_DAYS = 5
"""Default grace of docs/DECISIONLOG.md."""

REPORT_ZONE_SECONDS = 3 * 3600
"""The provider account's own zone, Kuwait: no summer time, so no zone database is needed."""

_EPOCH = date(1970, 1, 1).toordinal()


def is_business_day(day: date) -> bool:
    """Tell whether banks work on `day`."""
    return day.weekday() < 5


def on_or_after(day: date) -> date:
    """Return `day`, or the Monday after it."""
    while not is_business_day(day):
        day += timedelta(days=1)
    return day


def add_business_days(day: date, count: int) -> date:
    """Return the `count`-th business day after `day`."""
    for _ in range(count):
        day = on_or_after(day + timedelta(days=1))
    return day


def is_past_grace(base: date, as_of: date) -> bool:
    """Tell whether a difference that began on `base` is late on `as_of`, whichever way a weekend counts.

    Stricter than the rule by rolling a weekend forward first, so that a planted break never sits on the edge.
    """
    return as_of > add_business_days(on_or_after(base), GRACE_BUSINESS_DAYS)


def midnight(day: date) -> int:
    """Return the instant at which `day` begins."""
    return (day.toordinal() - _EPOCH) * DAY_SECONDS


def day_of(instant: int) -> date:
    """Return the UTC day of `instant`."""
    return date.fromordinal(_EPOCH + instant // DAY_SECONDS)


def payout_day(instant: int) -> date:
    """Return the day of the payout that takes in what was created at `instant`."""
    day = day_of(instant)
    if is_business_day(day) and instant % DAY_SECONDS < PAYOUT_CUTOFF_SECONDS:
        return day
    return on_or_after(day + timedelta(days=1))


def stamp(instant: int) -> str:
    """Write `instant` as Stripe's reports do: `2026-10-01 08:00:00`."""
    day, second = divmod(instant, DAY_SECONDS)
    return f"{_day_text(day)} {_clock(second)}"


def iso(instant: int) -> str:
    """Write `instant` as the ledger's API takes it: `2026-10-01T08:00:00Z`."""
    day, second = divmod(instant, DAY_SECONDS)
    return f"{_day_text(day)}T{_clock(second)}Z"


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
