"""The feeds as the last run of a book saw them: what `counterfoil feeds show` and the API tell.

Not what is expected (`feeds.py` reads that) nor how it is judged (`int_feed_clocks`): only reading.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, text

from ledger_core.errors import NotFound
from reconciliation.runs.pins import TARGET_SCHEMA

COLUMNS = ["source", "account", "record_type", "cadence", "by", "files", "covered_through", "due_on", "state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """One feed on the day of a run; `by` is `set`, `habit` or empty."""

    as_of: date
    source: str
    account: str
    record_type: str
    currency: str
    cadence: str | None
    by: str | None
    due_hour: int
    files: int
    first_on: date | None
    last_on: date | None
    covered_through: date | None
    gap_from: date | None
    gap_to: date | None
    due_on: date | None
    is_late: bool
    clock_on: date | None

    @property
    def state(self) -> str:
        if self.is_late:
            return "late"
        if self.gap_from is not None:
            return "gap"
        return "in_time" if self.files else "never_came"

    def as_json(self) -> dict[str, Any]:
        """Return every member, days as ISO 8601."""
        return {**asdict(self), "state": self.state}


def read_feed_states(connection: Connection, book: str) -> tuple[FeedState, ...]:
    """Return the feeds of `book`, late ones first. Raises `NotFound` when the last run was none of this book."""
    stands = connection.execute(text(_STANDS), {"schema": TARGET_SCHEMA, "book": book}).scalar()
    if not stands:
        raise NotFound(
            f"the last run was none of book {book}, and a run is what sees its feeds.",
            remedy="Run `counterfoil reconcile` for this book, then ask again.",
        )
    rows = connection.execute(text(_FEEDS)).mappings()
    return tuple(FeedState(**row) for row in rows)


_STANDS = """
select exists (
    select 1 from recon.pins
    where target_schema = :schema and book = :book and built_at is not null
        and to_regclass(:schema || '.int_feed_clocks') is not null
)
"""

_FEEDS = """
select
    (select as_of from analytics.stg_recon__pin) as as_of,
    source, account, record_type, currency, cadence, cadence_from as by, due_hour, files, first_on, last_on,
    covered_through, gap_from, gap_to, due_on, is_late, clock_on
from analytics.int_feed_clocks
order by is_late desc, source, account, record_type, currency
"""
