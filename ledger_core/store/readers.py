"""Reads of the ledger as plain functions over a connection: heads, entries, accounts, checkpoints.

What they return is durable state; `signed_size` says how much of it is posted. Balances and statements are in
`readers_balances`. Nothing here writes, and nothing here uses OFFSET.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, text

from ledger_core.errors import NotFound
from ledger_core.journal.entries import RecordedEntry
from ledger_core.log.merkle import Frontier
from ledger_core.store.readers_balances import balance as balance
from ledger_core.store.readers_balances import statement as statement
from ledger_core.store.readers_balances import trial_balance as trial_balance
from ledger_core.store.readers_decode import posted_from_row

MAX_PAGE = 1_000

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a book's log ends, and how far it is signed."""

    book: str
    origin: str
    size: int
    signed_size: int
    last_leaf: bytes
    last_recorded_at: datetime | None
    frontier: Frontier


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account as it stands; `changed_seq` is its version."""

    account_id: int
    code: str
    type: str
    normal_balance: str
    currency: str
    status: str
    overdraft: str
    metadata: dict[str, str]
    opened_seq: int
    changed_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A signed note and what it commits to."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries to list; None does not filter. Times are of `effective_at`, the end exclusive."""

    account: str | None = None
    effective_from: datetime | None = None
    effective_before: datetime | None = None
    reverses: str | None = None
    corrects: str | None = None


def read_head(conn: Connection, book: str) -> Head:
    """Return the head of `book`. Raises `NotFound`."""
    row = conn.execute(
        text(
            "select origin, size, signed_size, last_leaf, last_recorded_at, frontier from ledger.log_head "
            "where book = :book"
        ),
        {"book": book},
    ).one_or_none()
    if row is None:
        raise NotFound(f"there is no book {book}.")
    return Head(
        book=book,
        origin=row.origin,
        size=row.size,
        signed_size=row.signed_size,
        last_leaf=bytes(row.last_leaf),
        last_recorded_at=row.last_recorded_at,
        frontier=Frontier.from_bytes(row.size, bytes(row.frontier)),
    )


def legal_entity(conn: Connection, book: str) -> str:
    """Return whose book it is, as its first record says; nothing where there is no such book."""
    canonical = conn.execute(
        text("select canonical from ledger.records where book = :book and kind = 'book' order by seq limit 1"),
        {"book": book},
    ).scalar()
    return "" if canonical is None else str(orjson.loads(canonical)["body"].get("legal_entity", ""))


def get_entry(conn: Connection, book: str, id_or_external: str) -> RecordedEntry | None:
    """Return the entry of that id, else of that `external_id`, or None."""
    if _UUID.fullmatch(id_or_external):
        found = _entries(conn, book, "entry.id = cast(:id as uuid)", {"id": id_or_external}, 1)
        if found:
            return found[0]
    found = _entries(conn, book, "entry.external_id = :external_id", {"external_id": id_or_external}, 1)
    return found[0] if found else None


def list_entries(
    conn: Connection, book: str, *, after_seq: int = -1, limit: int = 100, filters: EntryFilter | None = None
) -> list[RecordedEntry]:
    """Return at most `limit` (1,000 at most) entries after `after_seq`, in the order of the log."""
    filters = filters or EntryFilter()
    conditions = ["entry.seq > :after_seq"]
    given: dict[str, Any] = {"after_seq": after_seq}
    if filters.account is not None:
        conditions.append(
            "entry.seq in (select posting.seq from ledger.postings as posting "
            "inner join ledger.accounts as account using (book, account_id) "
            "where posting.book = :book and account.code = :account and posting.seq > :after_seq)"
        )
        given["account"] = filters.account
    for name, condition in (
        ("effective_from", "entry.effective_at >= :effective_from"),
        ("effective_before", "entry.effective_at < :effective_before"),
        ("reverses", "entry.reverses = cast(:reverses as uuid)"),
        ("corrects", "entry.corrects = cast(:corrects as uuid)"),
    ):
        value = getattr(filters, name)
        if value is not None:
            conditions.append(condition)
            given[name] = value
    return _entries(conn, book, " and ".join(conditions), given, min(limit, MAX_PAGE))


def get_account(conn: Connection, book: str, code: str) -> Account | None:
    """Return the account of that code, or None."""
    found = _accounts(conn, book, "code = :code", {"code": code}, 1)
    return found[0] if found else None


def list_accounts(
    conn: Connection, book: str, *, after_code: str | None = None, limit: int | None = None
) -> list[Account]:
    """Return the accounts of `book` in the order of their codes, all of them unless `limit` says otherwise."""
    if after_code is None:
        return _accounts(conn, book, "true", {}, limit)
    return _accounts(conn, book, 'code collate "C" > :after_code', {"after_code": after_code}, limit)


def latest_checkpoint(conn: Connection, book: str) -> StoredCheckpoint | None:
    """Return the newest stored checkpoint, None while nothing is signed."""
    return _checkpoint(conn, book, "true order by size desc", {})


def checkpoint_at(conn: Connection, book: str, size: int) -> StoredCheckpoint | None:
    """Return the stored checkpoint of exactly `size` records, or None."""
    return _checkpoint(conn, book, "size = :size order by size", {"size": size})


def _entries(conn: Connection, book: str, condition: str, given: dict[str, Any], limit: int) -> list[RecordedEntry]:
    rows = conn.execute(
        text(
            "select record.seq, record.leaf_hash, record.canonical, record.seq < head.signed_size as posted, "  # noqa: S608
            "reversal.id::text as reversed_by "
            "from ledger.entries as entry "
            "inner join ledger.records as record using (book, seq) "
            "inner join ledger.log_head as head using (book) "
            "left join ledger.entries as reversal on reversal.book = entry.book and reversal.reverses = entry.id "
            f"where entry.book = :book and {condition} order by entry.seq limit :limit"
        ),
        {**given, "book": book, "limit": limit},
    ).all()
    found = []
    for row in rows:
        posted = posted_from_row(row.seq, row.leaf_hash, row.canonical)
        assert posted.entry is not None, "entries are projected from journal_entry records"
        found.append(
            RecordedEntry(
                id=posted.id,
                seq=posted.seq,
                recorded_at=posted.recorded_at,
                leaf_hash=posted.leaf_hash,
                posted=row.posted,
                draft=posted.entry,
                reversed_by=row.reversed_by,
            )
        )
    return found


def _accounts(conn: Connection, book: str, condition: str, given: dict[str, Any], limit: int | None) -> list[Account]:
    rows = conn.execute(
        text(
            "select account_id, code, type, normal_balance, currency, status, overdraft, metadata, opened_seq, "  # noqa: S608
            f"changed_seq from ledger.accounts where book = :book and {condition} "
            'order by code collate "C" limit :limit'
        ),
        {**given, "book": book, "limit": limit},
    )
    return [Account(**row._mapping) for row in rows]


def _checkpoint(conn: Connection, book: str, condition: str, given: dict[str, Any]) -> StoredCheckpoint | None:
    row = conn.execute(
        text(f"select size, root, note from ledger.checkpoints where book = :book and {condition} limit 1"),  # noqa: S608
        {**given, "book": book},
    ).one_or_none()
    return None if row is None else StoredCheckpoint(size=row.size, root=bytes(row.root), note=row.note)
