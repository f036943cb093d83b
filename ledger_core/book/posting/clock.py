"""The clock that gives a batch its time, held against the database's: one of the two is wrong when they differ.

A clock ahead is refused, for the time of a record can never be taken back, and every later one would follow it. A clock
behind does no harm: time goes on from the last record.
"""

from __future__ import annotations

from datetime import datetime

from ledger_core.errors import DependencyError

MAX_AHEAD_SECONDS = 60.0
"""Far more than two machines that keep time differ, and than a batch waits for the lock after it was planned."""


def seconds_ahead(clock: datetime | None, database_time: datetime | None) -> float:
    """Return how far `clock` is ahead of the database's, negative behind it; 0 where either is not known."""
    return 0.0 if clock is None or database_time is None else (clock - database_time).total_seconds()


def check_clock(clock: datetime | None, database_time: datetime | None) -> None:
    """Raise `DependencyError` when `clock` is so far ahead of the database's that no record may carry its time."""
    ahead = seconds_ahead(clock, database_time)
    if ahead > MAX_AHEAD_SECONDS:
        raise DependencyError(
            f"this machine's clock says {clock:%Y-%m-%dT%H:%M:%SZ}, the database's says "
            f"{database_time:%Y-%m-%dT%H:%M:%SZ}: {ahead:,.0f} s apart, {MAX_AHEAD_SECONDS:.0f} s are the most.",
            remedy="Set both clocks by NTP, then send it again; nothing of it was kept.",
            dependency="clock",
            seconds_ahead=round(ahead),
        )
