"""The pin: everything a run may see, taken in one snapshot of the database, and the name that follows from it.

Two runs with equal input are one run, so `run_id` is a digest of the input and of nothing else: no clock, no counter.
dbt reads the pin from `recon.pins` and `recon.pin_files`, keyed by the schema it builds into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, text

from ledger_core.errors import InvalidInput
from ledger_core.log.canonical import canonical_bytes
from ledger_core.settings import Settings
from reconciliation.runs.feeds import Feed, known_record_types, read_feeds

TARGET_SCHEMA = "analytics"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """One landed file inside the pin; `file_no` counts within the pin alone."""

    file_no: int
    file_id: UUID
    source: str
    account: str
    sha256: str
    facts_sha256: str
    """Of what the register says of the file besides its bytes: the interval it was landed with, and the like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a run reads: records below `signed_size`, these files, rows dated up to `as_of`.

    Whatever decides stands in here: expectations that are set by hand and the contracts' facts as the SQL reads them.
    """

    book: str
    as_of: date
    signed_size: int
    last_entry_seq: int
    """-1 for a book without journal entries."""
    last_account_seq: int
    grace_business_days: int
    provider_account: str
    code_version: str
    contracts_sha256: str
    feeds: tuple[Feed, ...]
    files: tuple[PinnedFile, ...]
    refused_sha256: str = ""
    """Of the files of the book that were refused: one more of them is another input."""

    @property
    def files_sha256(self) -> str:
        """Return one hash over all files, by source, account, content and facts, never by their order of landing."""
        listed = [[file.source, file.account, file.sha256, file.facts_sha256] for file in self.files]
        return sha256(canonical_bytes(listed)).hexdigest()

    @property
    def feeds_sha256(self) -> str:
        """Return one hash over the feeds that are set by hand."""
        return sha256(canonical_bytes([feed.as_json() for feed in self.feeds])).hexdigest()

    @property
    def run_id(self) -> str:
        """Return the digest of the input; the signed size is no part of it, because the run's own record moves it."""
        return sha256(
            canonical_bytes(
                {
                    "as_of": self.as_of.isoformat(),
                    "book": self.book,
                    "code_version": self.code_version,
                    "contracts_sha256": self.contracts_sha256,
                    "feeds_sha256": self.feeds_sha256,
                    "files_sha256": self.files_sha256,
                    "grace_business_days": self.grace_business_days,
                    "last_account_seq": self.last_account_seq,
                    "last_entry_seq": self.last_entry_seq,
                    "provider_account": self.provider_account,
                    "refused_sha256": self.refused_sha256,
                }
            )
        ).hexdigest()

    def as_manifest(self) -> dict[str, Any]:
        """Return the member `inputs` of a manifest."""
        return {
            "contracts_sha256": self.contracts_sha256,
            "feeds": len(self.feeds),
            "feeds_sha256": self.feeds_sha256,
            "files": len(self.files),
            "files_sha256": self.files_sha256,
            "grace_business_days": self.grace_business_days,
            "last_account_seq": self.last_account_seq,
            "last_entry_seq": self.last_entry_seq,
            "provider_account": self.provider_account,
            "refused_sha256": self.refused_sha256,
            "signed_size": self.signed_size,
        }


def take_pin(
    engine: Engine, settings: Settings, *, book: str, to: date | None, today: date, code_version: str, home: Path
) -> Pin:
    """Return what there is now, cut at `to` or at the latest day that a booked input carries, at most today.

    What is dated ahead carries no day that has come: neither an entry for next year nor an announced bank line moves
    the run. Raises `InvalidInput` when the book is empty and no file has landed: there is no day to speak of; and when
    `to` lies after `today`.
    """
    account = settings.ingest.provider_account
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        latest = connection.execute(text(_LATEST), {"book": book, "today": today}).scalar()
        as_of = to or latest
        head = _ledger_head(connection, book)
        rows = connection.execute(text(_FILES), {"book": book, "as_of": as_of or today}).mappings().all()
        contracts: str = connection.execute(text(_CONTRACTS)).scalar_one()
        known = known_record_types(connection)
        refused: str = connection.execute(text(_REFUSED), {"book": book}).scalar_one()
    feeds = read_feeds(home, book=book, default_account=account, known=known)
    if as_of is None:
        raise InvalidInput(
            f"book {book} holds no journal entry and no file has landed: there is nothing to reconcile.",
            remedy="Post entries with `counterfoil post`, land files with `counterfoil ingest`.",
        )
    if as_of > today:
        said = f"the latest day that a booked input carries is {latest}" if latest else f"today is {today}"
        raise InvalidInput(
            f"{as_of} has not come: {said}.",
            remedy="Name a day up to today: a run of a day to come would end every grace and hold up the queue.",
        )
    return Pin(
        book=book,
        as_of=as_of,
        signed_size=head["signed_size"],
        last_entry_seq=head["last_entry_seq"],
        last_account_seq=head["last_account_seq"],
        grace_business_days=settings.reconciliation.grace_business_days,
        provider_account=account,
        code_version=code_version,
        contracts_sha256=contracts,
        feeds=feeds,
        files=_numbered(rows),
        refused_sha256=refused,
    )


def store_pin(connection: Connection, pin: Pin, *, target_schema: str = TARGET_SCHEMA) -> None:
    """Replace the pin of `target_schema`; until `mark_built` its tables belong to no finished run."""
    connection.execute(text("delete from recon.pins where target_schema = :schema"), {"schema": target_schema})
    connection.execute(
        text(
            "insert into recon.pins"
            " (target_schema, run_id, book, as_of, signed_size, grace_business_days, provider_account)"
            " values (:schema, :run_id, :book, :as_of, :signed_size, :grace, :account)"
        ),
        {
            "schema": target_schema,
            "run_id": pin.run_id,
            "book": pin.book,
            "as_of": pin.as_of,
            "signed_size": pin.signed_size,
            "grace": pin.grace_business_days,
            "account": pin.provider_account,
        },
    )
    if pin.feeds:
        connection.execute(
            text(
                "insert into recon.pin_feeds (target_schema, source, account, record_type, cadence, due_hour, since)"
                " values (:schema, :source, :account, :record_type, :cadence, :due_hour, :since)"
            ),
            [{"schema": target_schema, **asdict(feed)} for feed in pin.feeds],
        )
    if pin.files:
        connection.execute(
            text(_PIN_FILES),
            {
                "schema": target_schema,
                "file_ids": [file.file_id for file in pin.files],
                "file_nos": [file.file_no for file in pin.files],
            },
        )


def mark_built(connection: Connection, run_id: str, *, target_schema: str = TARGET_SCHEMA) -> None:
    """Say that the tables of `target_schema` hold `run_id` to the end."""
    connection.execute(
        text("update recon.pins set built_at = now() where target_schema = :schema and run_id = :run_id"),
        {"schema": target_schema, "run_id": run_id},
    )


def is_built(connection: Connection, run_id: str, *, target_schema: str = TARGET_SCHEMA) -> bool:
    """Tell whether the tables of `target_schema` hold `run_id` to the end.

    A crash of the server empties its largest tables, which are unlogged, as is one that is never empty.
    """
    assert target_schema.isidentifier(), target_schema
    marked = connection.execute(
        text("select 1 from recon.pins where target_schema = :schema and run_id = :run_id and built_at is not null"),
        {"schema": target_schema, "run_id": run_id},
    ).scalar()
    return bool(marked and connection.execute(text(_SENTINEL.format(schema=target_schema))).scalar())


def staging_stands(connection: Connection, code_version: str, *, target_schema: str = TARGET_SCHEMA) -> bool:
    """Tell whether the last run that was built to the end made the same staging views and seeds."""
    return bool(
        connection.execute(
            text(
                "select 1 from recon.pins inner join recon.runs using (run_id)"
                " where pins.target_schema = :schema and pins.built_at is not null"
                " and runs.code_version = :code_version"
                " and to_regclass(:schema || '.stg_recon__pin') is not null"
            ),
            {"schema": target_schema, "code_version": code_version},
        ).scalar()
    )


def _ledger_head(connection: Connection, book: str) -> RowMapping:
    return connection.execute(text(_HEAD), {"book": book}).mappings().one()


def _numbered(rows: Sequence[RowMapping]) -> tuple[PinnedFile, ...]:
    return tuple(
        PinnedFile(
            file_no=number,
            file_id=row["file_id"],
            source=row["source"],
            account=row["account"],
            sha256=row["sha256"],
            facts_sha256=row["facts_sha256"],
        )
        for number, row in enumerate(rows, start=1)
    )


_PIN_FILES = """
insert into recon.pin_files (target_schema, file_id, file_no)
select :schema, listed.file_id, listed.file_no
from unnest(cast(:file_ids as uuid[]), cast(:file_nos as integer[])) as listed (file_id, file_no)
"""

_SENTINEL = "select exists (select 1 from {schema}.dim_rule_versions)"

# One snapshot: the views end at the signed size that the head shows.
_HEAD = """
with head as (
    select coalesce((select signed_size from ledger.heads where book = :book), 0) as signed_size
),

entries as (
    select
        max(entry.seq) as last_seq
    from ledger.posted_entries as entry
    where entry.book = :book
),

accounts as (
    select max(version.seq) as last_seq from ledger.posted_account_versions as version where version.book = :book
)

select
    head.signed_size,
    coalesce(entries.last_seq, -1) as last_entry_seq,
    coalesce(accounts.last_seq, -1) as last_account_seq
from head
cross join entries
cross join accounts
"""

# The latest day that something booked carries. Of a file that ends on a day to come, as a report of payouts under way
# does, the first day is known to have come.
_LATEST = """
select max(dated.last_on)
from (
    select max((entry.effective_at at time zone 'UTC')::date) as last_on
    from ledger.posted_entries as entry
    where entry.book = :book and entry.effective_at < (cast(:today as date) + 1)::timestamp at time zone 'UTC'

    union all

    select max(case when file.last_on <= :today then file.last_on else file.first_on end) as last_on
    from raw.current_files as file
    where file.book = :book and file.is_current and file.first_on <= :today
) as dated
"""

# All of them but those that begin after the run's day, which can say nothing that the run may know. Which days of a
# file a newer one replaces is for the run to tell, and that one may be replaced as well: no fact of the file alone.
_FILES = """
select
    file.file_id,
    file.source,
    file.account,
    file.sha256,
    encode(sha256(convert_to(
        (to_jsonb(file) - array[
            'file_id', 'book', 'name', 'bytes', 'received_at', 'warnings', 'superseded_by', 'superseded_by_name',
            'is_current', 'status', 'parser_version', 'content_hmac', 'counting_days', 'replaced_by'
        ])::text, 'UTF8'
    )), 'hex') as facts_sha256
from raw.current_files as file
where file.book = :book
    and coalesce(least(file.covers_from, file.first_on) <= cast(:as_of as date), true)
order by file.source, file.account, file.sha256, file.interval_from, file.interval_to
"""

# What the contracts say of units, signs, zones, types and claims, as the SQL reads it.
_CONTRACTS = """
select encode(
    sha256(convert_to(coalesce(string_agg(facts.line, E'\\n' order by facts.line collate "C"), ''), 'UTF8')), 'hex'
)
from (
    select 'source ' || to_jsonb(sources)::text as line from raw.sources
    union all
    select 'claim ' || to_jsonb(bank_claims)::text as line from raw.bank_claims
    union all
    select 'event ' || to_jsonb(canonical_events)::text as line from raw.canonical_events
) as facts
"""

# Refused again it is the same file: neither when nor how often is any part of it.
_REFUSED = """
with refused as (
    select distinct to_jsonb(file) - array['rejected_id', 'rejected_at'] as described
    from raw.refused_files as file
    where file.book = :book
)

select encode(sha256(convert_to(coalesce(
    string_agg(described::text, chr(10) order by described::text collate "C"), ''
), 'UTF8')), 'hex')
from refused
"""
