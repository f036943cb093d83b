"""The raw table of a record type, as SQL.

Not run by a migration: a migration must make the same table for ever, so what this returned is frozen in
`migrations/sql/`, and a test says when contract and tables part ways. `python -m ingest.ddl` prints the tables of
today.
"""

from __future__ import annotations

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


if __name__ == "__main__":
    print("\n".join(create_tables(contract) for contract in contracts().values()))
