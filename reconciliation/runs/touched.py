"""Closed days that a file speaks of which came after: said by the run that first has the file.

A report of the week says things about days that were closed one by one. What it says is matched by the run of its own
day; a closed day stays as it was closed until somebody runs it again (`standing.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedDays:
    """Closed days that files speak of which came after they were closed: the run that restates them is a new one."""

    first: date
    last: date
    days: int

    def __str__(self) -> str:
        span = f"{self.first}" if self.days == 1 else f"{self.first}..{self.last}, {self.days} days"
        return f"files that came since speak of days that are closed ({span}): reconcile one again to restate it"

    def as_json(self) -> dict[str, Any]:
        """Return first and last day, and how many there are."""
        return {"first": self.first.isoformat(), "last": self.last.isoformat(), "days": self.days}


def touched_days(connection: Connection, book: str, run_id: str) -> TouchedDays | None:
    """Return the closed days before that of `run_id` that files speak of which the run before did not have."""
    row = connection.execute(text(_TOUCHED), {"book": book, "run_id": run_id}).one()
    return TouchedDays(first=row.first_on, last=row.last_on, days=row.days) if row.days else None


_TOUCHED = """
with this as (
    select runs.as_of, runs.ordinal from recon.runs as runs where runs.run_id = :run_id and runs.merged
),

before as (
    select runs.run_id
    from recon.runs as runs
    cross join this
    where runs.book = :book and runs.merged and runs.ordinal < this.ordinal
    order by runs.ordinal desc
    limit 1
),

new_files as (
    select min(least(files.covers_from, files.first_on)) as first_on
    from recon.run_files as own
    inner join raw.current_files as files using (file_id)
    cross join before
    where own.run_id = :run_id
        and not exists (
            select 1 from recon.run_files as known where known.run_id = before.run_id and known.file_id = own.file_id
        )
)

select min(runs.as_of) as first_on, max(runs.as_of) as last_on, count(distinct runs.as_of) as days
from recon.runs as runs
cross join this
cross join new_files
where runs.book = :book and runs.ordinal < this.ordinal and runs.as_of < this.as_of and runs.as_of >= new_files.first_on
"""
