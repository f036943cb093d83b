"""The raw table of a record type, as SQL.

Not run by a migration: a migration must make the same table for ever, so what this returned is frozen in
`migrations/sql/`, and a test says when contract and tables part ways. `python -m ingest.ddl SOURCE` prints the script
of a new source's migration.
"""

from __future__ import annotations

import sys

from ingest.contract.vocabulary import Contract, RecordType, SourceKind
from ingest.sources import contracts

PLACE = ("file_id uuid not null", "ordinal integer not null check (ordinal > 0)", "row_sha256 bytea not null")
"""Where a row stands in its file, and the SHA-256 of what was stored of it."""

LINE_PLACE = (
    "statement_ordinal integer not null",
    "entry_ordinal integer not null",
    "detail_ordinal integer not null",
)
"""Where a bank line stands in its statement; `detail_ordinal` 0 is the entry itself."""

READERS = tuple(f"counterfoil_{role}" for role in ("writer", "reader", "dbt", "dagster", "auditor"))

BANK_LINES = (SourceKind.BANK, "lines")
"""The record type of every bank source whose rows have that place."""


def create_table(record_type: RecordType, *, more: tuple[str, ...] = ()) -> str:
    """Return the `create table` of `record_type`: its place, then `more`, then the contract's stored columns as
    text."""
    columns = [
        *PLACE,
        *more,
        *(f"{column.name} text" for column in record_type.stored),
        "extra jsonb not null default '{}'",
        "primary key (file_id, ordinal)",
    ]
    return f"create table {record_type.table} (\n    " + ",\n    ".join(columns) + "\n);\n"


def create_tables(contract: Contract) -> str:
    """Return the tables of every record type of `contract`."""
    return "\n".join(
        create_table(record_type, more=LINE_PLACE if (contract.kind, record_type.name) == BANK_LINES else ())
        for record_type in contract.record_types
    )


def script(contract: Contract) -> str:
    """Return what the migration of a new source runs: its tables, written once, and who may read and fill them."""
    tables = [record_type.table for record_type in contract.record_types]
    triggers = "".join(
        f"create trigger written_once before update or delete or truncate on {table}\n"
        "    for each statement execute function raw.refuse_change();\n"
        for table in tables
    )
    return (
        f"-- What `{contract.source}` brings, as it came; printed by `python -m ingest.ddl {contract.source}`.\n\n"
        f"{create_tables(contract)}\n{triggers}\n"
        f"grant select on {', '.join(tables)}\n    to {', '.join(READERS)};\n"
        f"grant insert on {', '.join(tables)} to counterfoil_writer;\n"
    )


if __name__ == "__main__":
    print(script(contracts()[sys.argv[1]]), end="")
