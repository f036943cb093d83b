"""Days that are closed stay closed: an older one is matched anew only when something came in that no close has seen.

A run is a function of everything that had landed when it was made, and provider files of later days say things about
earlier ones. Closing last Monday again on Friday would restate Monday in the light of Friday's files, night after
night; what those files say is Friday's business, and Friday's close has matched it.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, text

from reconciliation.runs.run import RunResult, find_run


def standing_run(connection: Connection, book: str, as_of: date) -> RunResult | None:
    """Return the run that closed `as_of`, if a later day was closed since with everything that there is now."""
    run_id = connection.execute(text(_STANDING), {"book": book, "as_of": as_of}).scalar()
    return find_run(connection, run_id) if run_id is not None else None


_STANDING = """
with own as (
    select runs.run_id, runs.ordinal
    from recon.runs as runs
    where runs.book = :book and runs.as_of = :as_of and runs.record_seq is not null
    order by runs.ordinal desc
    limit 1
),

later as (
    select runs.run_id, runs.signed_size
    from recon.runs as runs
    cross join own
    where runs.book = :book and runs.as_of > :as_of and runs.merged and runs.ordinal > own.ordinal
        and runs.record_seq is not null
    order by runs.ordinal desc
    limit 1
),

current_files as (
    select files.file_id
    from raw.current_files as files
    where files.book = :book
        -- A file that begins after the day says nothing about it, and no pin of it names the file.
        and coalesce(least(files.covers_from, files.first_on) <= cast(:as_of as date), true)
),

seen_files as (
    select run_files.file_id from later inner join recon.run_files using (run_id)
)

select own.run_id
from own
cross join later
where not exists (select file_id from current_files except select file_id from seen_files)
    and not exists (
        select 1 from ledger.posted_entries as entry
        where entry.book = :book and entry.seq >= later.signed_size
    )
    and not exists (
        select 1 from ledger.posted_account_versions as version
        where version.book = :book and version.seq >= later.signed_size
    )
"""
