"""Where the days of the graph begin: with the first day that a landed file or a posted entry of the book carries.

Read once, when the definitions are loaded. Data of earlier days move the beginning back as soon as the code location is
loaded anew; nothing moves it forward, because neither files nor entries are ever deleted. The setting
`COUNTERFOIL_ORCHESTRATION__FIRST_CLOSE_ON` says it by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from sqlalchemy import Connection, text

from ledger_core.base.engine import make_engine
from ledger_core.services import POSTGRES, embedded_url, process_group, running
from ledger_core.settings import Settings
from orchestration.partitions import previous_day


def first_day(settings: Settings, today: date) -> date:
    """Return the first day that may be closed; where there is no data yet, the day that the next cut-off closes.

    Starts nothing: an embedded server that does not run is a home in which nothing has happened since.
    """
    if settings.orchestration.first_close_on is not None:
        return settings.orchestration.first_close_on
    with _connected(settings) as connection:
        found = None if connection is None else first_day_with_data(connection, settings.book)
    return min(found or today, previous_day(today))


def first_day_with_data(connection: Connection, book: str) -> date | None:
    """Return the first day that a file or an entry of `book` carries, in UTC; None where there is neither."""
    if connection.execute(text(_TABLES)).scalar_one() < 2:
        return None  # nothing has been migrated here yet
    connection.execute(text("set local role counterfoil_reader"))
    found: date | None = connection.execute(text(_FIRST), {"book": book}).scalar_one()
    return found


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection | None]:
    url = settings.database_url
    if url is None:
        record = running(process_group(settings), POSTGRES)
        url = None if record is None else embedded_url(settings, record.address)
    if url is None:
        yield None
        return
    engine = make_engine(url, role="login", application="counterfoil-dagster", pool_size=1)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


_TABLES = """
select count(*)
from pg_class as relation
inner join pg_namespace as namespace on namespace.oid = relation.relnamespace
where (namespace.nspname, relation.relname) in (('raw', 'current_files'), ('ledger', 'posted_postings'))
"""

# By account, because postings are indexed by account and time: an index look-up each, whatever the ledger's size.
_FIRST = """
with accounts as (
    select distinct account_id from ledger.posted_account_versions where book = :book
),

entries as (
    select min(first_posting.effective_at) as first_at
    from accounts
    cross join lateral (
        select postings.effective_at
        from ledger.posted_postings as postings
        where postings.book = :book and postings.account_id = accounts.account_id
        order by postings.effective_at
        limit 1
    ) as first_posting
),

files as (
    select min(coalesce(interval_from, first_on)) as first_on from raw.current_files where book = :book
)

select least((entries.first_at at time zone 'UTC')::date, files.first_on)
from entries
cross join files
"""
