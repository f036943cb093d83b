"""The statements that landing runs: everything written to `raw` and `ops`, in the caller's transaction.

Not the landing itself (order and decisions are landing.py's). Reads and writes go over one psycopg connection, because
COPY and the rows about the file must commit together or not at all.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from uuid import UUID

import orjson
import psycopg

from ingest.contract.rows import Batch, ControlTotal, QuarantinedRow
from ingest.contract.vocabulary import Carries, Contract, SourceKind
from ingest.landing.copy_text import copy_statement, encode_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What an earlier landing of a file recorded."""

    file_id: UUID
    name: str
    record_type: str
    received_at: datetime
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    superseded_by: UUID | None
    superseded_by_name: str | None
    document_at: datetime | None
    covers_from: date | None
    covers_to: date | None
    control_totals: tuple[ControlTotal, ...]
    quarantined_rows: tuple[tuple[int, str], ...]
    """Line and reason of the first of them."""


def find_landed(cursor: psycopg.Cursor, file_id: UUID, *, quarantined: int) -> Landed | None:
    """Return the earlier landing of the same file, if any, with its first so many `quarantined` rows."""
    cursor.execute(
        """
        select
            file.file_id, file.name, file.record_type, file.received_at,
            file.rows_read, file.rows_accepted, file.rows_quarantined, file.superseded_by, file.superseded_by_name,
            file.document_at, file.covers_from, file.covers_to
        from raw.current_files as file where file.file_id = %s
        """,
        (file_id,),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    cursor.execute(
        "select name, subject, expected, actual, passed from raw.control_totals where file_id = %s order by 1, 2",
        (file_id,),
    )
    names = ControlTotal.__slots__
    totals = tuple(ControlTotal(**dict(zip(names, each, strict=True))) for each in cursor.fetchall())
    cursor.execute(
        "select line, reason from raw.quarantine where file_id = %s order by ordinal limit %s", (file_id, quarantined)
    )
    aside = tuple((line, reason) for line, reason in cursor.fetchall())
    return Landed(**dict(zip(Landed.__slots__, (*row, totals, aside), strict=True)))


def lock_account(cursor: psycopg.Cursor, *, book: str, source: str, account: str) -> None:
    """Let one landing of an account's files go at a time, until the transaction ends.

    Two landings of the same bytes, or of two versions of a file, must see each other.
    """
    cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"land {book} {source} {account}",))


def content_hmac(cursor: psycopg.Cursor, sha256: str) -> str:
    """Return the keyed hash under which some bytes are known: the same in this installation, and nothing to others."""
    cursor.execute("select key from ops.hash_key")
    row = cursor.fetchone()
    assert row is not None
    return hmac.digest(row[0], bytes.fromhex(sha256), "sha256").hex()


def copy_batches(cursor: psycopg.Cursor, batches: Iterable[Batch], *, file_id: UUID) -> dict[str, int]:
    """Load `batches` through COPY and return the number of rows that Postgres took, by table.

    Consecutive batches of one table and the same columns go through one COPY.
    """
    taken: dict[str, int] = {}
    text_id = str(file_id)
    for statement, group in groupby(batches, key=copy_statement):
        table = ""
        with cursor.copy(statement) as copy:
            for batch in group:
                table = batch.table
                copy.write(encode_batch(batch, file_id=text_id))
        taken[table] = taken.get(table, 0) + cursor.rowcount
    return taken


def insert_file(cursor: psycopg.Cursor, **columns: object) -> None:
    """Insert the row of `raw.files` that makes the file visible."""
    names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    cursor.execute(f"insert into raw.files ({names}) values ({marks})", list(columns.values()))  # noqa: S608


def insert_control_totals(cursor: psycopg.Cursor, totals: Sequence[ControlTotal], *, file_id: UUID) -> None:
    """Insert the file's totals."""
    cursor.executemany(
        """
        insert into raw.control_totals (file_id, name, subject, expected, actual, passed)
        values (%s, %s, %s, %s, %s, %s)
        """,
        [(file_id, each.name, each.subject, each.expected, each.actual, each.passed) for each in totals],
    )


def insert_quarantine(
    cursor: psycopg.Cursor, rows: Sequence[QuarantinedRow], *, file_id: UUID, key: bytes, at: datetime
) -> None:
    """Insert the rows put aside; a row that held a card number with the keyed hash of what it was."""
    cursor.executemany(
        """
        insert into raw.quarantine (file_id, ordinal, line, code, reason, raw, row_sha256, original_hmac, created_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [
            (
                *(file_id, row.ordinal, row.line, row.code, row.reason, row.raw),
                hashlib.sha256(row.raw.encode()).digest(),
                None if row.original is None else hmac.digest(key, row.original, "sha256"),
                at,
            )
            for row in rows
        ],
    )


def mirror_contract(cursor: psycopg.Cursor, contract: Contract) -> None:
    """Make `raw.sources`, `raw.bank_claims` and `raw.canonical_events` say what the contract says."""
    provider = contract.provider
    shared = [contract.kind, provider, contract.scale, contract.sign, contract.time_zone, contract.currency_case]
    shared += [contract.credit_word, contract.debit_word]
    is_bank = contract.kind is SourceKind.BANK
    records = [
        [
            each.name,
            *shared,
            Carries.BANK if is_bank else each.carries,
            ",".join(each.id_columns) or None,
            each.dated_by,
        ]
        for each in contract.record_types
    ]
    columns = ("record_type", "kind", "provider", "scale", "sign_rule", "time_zone", "currency_case")
    columns += ("credit_word", "debit_word", "carries", "identified_by", "dated_by")
    _mirror(cursor, "raw.sources", columns, contract.source, records)
    claims = [[provider, claim.field, claim.pattern, claim.purpose] for claim in contract.claims]
    _mirror(cursor, "raw.bank_claims", ("provider", "field", "pattern", "purpose"), contract.source, claims)
    events = [[type_, event] for type_, event in contract.events.items()]
    _mirror(cursor, "raw.canonical_events", ("type", "event"), contract.source, events)


def insert_rejected(
    cursor: psycopg.Cursor,
    *,
    book: str,
    source: str,
    account: str,
    name: str,
    sha256: str | None,
    record_type: str | None,
    first_on: date | None,
    last_on: date | None,
    size_bytes: int | None,
    code: str,
    line: int | None,
    reason: str,
    at: datetime,
) -> None:
    """Note that a file was refused whole, and why."""
    cursor.execute(
        """
        insert into ops.rejected_files
            (book, source, account, name, sha256, bytes, code, line, reason, rejected_at, record_type, first_on,
            last_on)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (book, source, account, name, sha256, size_bytes, code, line, reason, at, record_type, first_on, last_on),
    )


def _mirror(
    cursor: psycopg.Cursor, table: str, columns: tuple[str, ...], source: str, rows: Sequence[Sequence[str | None]]
) -> None:
    listed = ", ".join(columns)
    stored, same = (", ".join(f"{place}.{column}" for column in columns) for place in ("stored", "wanted"))
    wanted = orjson.dumps([dict(zip(columns, row, strict=True)) for row in rows]).decode()
    shape = ", ".join(f"{column} text" for column in columns)
    # Only what differs is touched: landings of one source run side by side, and an unchanged row must not be locked.
    cursor.execute(
        f"delete from {table} as stored where source = %s and not exists ("  # noqa: S608
        f"select from jsonb_to_recordset(%s::jsonb) as wanted({shape}) where ({stored}) is not distinct from ({same}))",
        (source, wanted),
    )
    cursor.execute(
        f"insert into {table} (source, {listed}) select %s, {listed} "  # noqa: S608
        f"from jsonb_to_recordset(%s::jsonb) as wanted({shape}) on conflict do nothing",
        (source, wanted),
    )
