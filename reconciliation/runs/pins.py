"""The pin: everything a run may see, taken in one snapshot of the database, and the name that follows from it.

Two runs with equal input are one run, so `run_id` is a digest of the input and of nothing else: no clock, no counter.
dbt reads the pin from `recon.pins` and `recon.pin_files`, keyed by the schema it builds into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, RowMapping, text

from ledger_core.errors import InvalidInput
from ledger_core.log.canonical import canonical_bytes
from ledger_core.settings import Settings

TARGET_SCHEMA = "analytics"


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """One landed file inside the pin; `file_no` counts within the pin alone."""

    file_no: int
    file_id: UUID
    source: str
    account: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a run reads: records below `signed_size`, these files, rows dated up to `as_of`."""

    book: str
    as_of: date
    signed_size: int
    last_entry_seq: int
    """-1 for a book without journal entries."""
    last_account_seq: int
    grace_business_days: int
    provider_account: str
    code_version: str
    files: tuple[PinnedFile, ...]

    @property
    def files_sha256(self) -> str:
        """Return one hash over all files, by source, account and content; their order of landing is no part of it."""
        return sha256(canonical_bytes([[file.source, file.account, file.sha256] for file in self.files])).hexdigest()

    @property
    def run_id(self) -> str:
        """Return the digest of the input; the signed size is no part of it, because the run's own record moves it."""
        return sha256(
            canonical_bytes(
                {
                    "as_of": self.as_of.isoformat(),
                    "book": self.book,
                    "code_version": self.code_version,
                    "files_sha256": self.files_sha256,
                    "grace_business_days": self.grace_business_days,
                    "last_account_seq": self.last_account_seq,
                    "last_entry_seq": self.last_entry_seq,
                    "provider_account": self.provider_account,
                }
            )
        ).hexdigest()

    def as_manifest(self) -> dict[str, Any]:
        """Return the member `inputs` of a manifest."""
        return {
            "files": len(self.files),
            "files_sha256": self.files_sha256,
            "grace_business_days": self.grace_business_days,
            "last_account_seq": self.last_account_seq,
            "last_entry_seq": self.last_entry_seq,
            "provider_account": self.provider_account,
            "signed_size": self.signed_size,
        }


def take_pin(engine: Engine, settings: Settings, *, book: str, to: date | None, today: date, code_version: str) -> Pin:
    """Return what there is now, cut at `to` or at the latest day that any input carries.

    Raises `InvalidInput` when the book is empty and no file has landed: there is no day to speak of; and when
    `to` lies after `today` and after every input.
    """
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        head = _ledger_head(connection, book)
        rows = connection.execute(text(_FILES), {"book": book}).mappings().all()
    latest = max((day for day in (head["last_on"], *(row["last_on"] for row in rows)) if day), default=None)
    as_of = to or latest
    if as_of is None:
        raise InvalidInput(
            f"book {book} holds no journal entry and no file has landed: there is nothing to reconcile.",
            remedy="Post entries with `counterfoil post`, land files with `counterfoil ingest`.",
        )
    if latest is not None and as_of > max(latest, today):
        raise InvalidInput(
            f"{as_of} has not come: the latest day that any input carries is {latest}.",
            remedy="Name a day up to today: a run of a day to come would end every grace and hold up the queue.",
        )
    return Pin(
        book=book,
        as_of=as_of,
        signed_size=head["signed_size"],
        last_entry_seq=head["last_entry_seq"],
        last_account_seq=head["last_account_seq"],
        grace_business_days=settings.reconciliation.grace_business_days,
        provider_account=settings.ingest.provider_account,
        code_version=code_version,
        files=_numbered(rows),
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
    if pin.files:
        connection.execute(
            text("insert into recon.pin_files (target_schema, file_id, file_no) values (:schema, :file_id, :file_no)"),
            [{"schema": target_schema, "file_id": file.file_id, "file_no": file.file_no} for file in pin.files],
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
            file_no=number, file_id=row["file_id"], source=row["source"], account=row["account"], sha256=row["sha256"]
        )
        for number, row in enumerate(rows, start=1)
    )


_SENTINEL = "select exists (select 1 from {schema}.dim_rule_versions)"

# One snapshot: the views end at the signed size that the head shows.
_HEAD = """
with head as (
    select coalesce((select signed_size from ledger.heads where book = :book), 0) as signed_size
),

entries as (
    select
        max(entry.seq) as last_seq,
        max(entry.effective_at at time zone 'UTC')::date as last_on
    from ledger.posted_entries as entry
    where entry.book = :book
),

accounts as (
    select max(version.seq) as last_seq from ledger.posted_account_versions as version where version.book = :book
)

select
    head.signed_size,
    coalesce(entries.last_seq, -1) as last_entry_seq,
    coalesce(accounts.last_seq, -1) as last_account_seq,
    entries.last_on
from head
cross join entries
cross join accounts
"""

# All of them: which days of a file a newer one replaces is for the run to tell, and that one may be replaced as well.
_FILES = """
select file.file_id, file.source, file.account, file.sha256, file.last_on
from raw.current_files as file
where file.book = :book
order by file.source, file.account, file.sha256
"""
