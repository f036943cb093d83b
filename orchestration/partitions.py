"""Days: the one partition of the graph, and the window that a run closes.

A range of days closes as one run (`single_run`): landing, matching and reporting are set-shaped and read everything up
to the last day, so that thirty nights cost one close.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from ledger_core.errors import InvalidInput
from ledger_core.settings import Settings

MAX_DAYS = 3_660
"""Ten years: a range has an event an asset and day, and a day mistyped by a century is not a wish."""
CUT_OFF_CRON = "0 2 * * *"
"""A fixed accounting cut-off, not a reaction: providers publish a day's files in the first hours of the next (UTC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The days that one run closes, both included; `last` is the run's `as_of`."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"


def days_from(first_on: date) -> dg.DailyPartitionsDefinition:
    """Return one partition a day from `first_on` to today, in UTC.

    Today is included so that a day can be looked at before it is over; the schedule closes yesterday.
    """
    return dg.DailyPartitionsDefinition(start_date=first_on.isoformat(), timezone="UTC", end_offset=1)


def window_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Window:
    """Return the days that the run of `context` closes."""
    keys = context.partition_key_range
    return Window(first=date.fromisoformat(keys.start), last=date.fromisoformat(keys.end))


def check_window(window: Window, settings: Settings, today: date) -> None:
    """Refuse days that cannot be closed. Raises `InvalidInput`.

    A day before all data may be closed, for its files may lie in the landing folder still; a setting forbids it.
    """
    if window.last < window.first:
        raise InvalidInput(f"{window.first} lies after {window.last}.", remedy="Write the range as FROM..TO.")
    if window.days > MAX_DAYS:
        raise InvalidInput(
            f"{window} are {window.days:,} days, and one run closes at most {MAX_DAYS:,}.",
            remedy="Close it in parts, the oldest first.",
        )
    begins = settings.orchestration.first_close_on
    if begins is not None and window.first < begins:
        raise InvalidInput(
            f"{window.first} lies before the first day that may be closed, {begins}.",
            remedy="Set COUNTERFOIL_ORCHESTRATION__FIRST_CLOSE_ON to an earlier day.",
        )
    if window.last > today:
        raise InvalidInput(f"{window.last} has not begun (today is {today} UTC).", remedy="Close it when it is over.")


def previous_day(today: date) -> date:
    """Return the day that the cut-off of `today` closes."""
    return today - timedelta(days=1)
