"""Journal entries by id, by `external_id` and as pages in the order of the log.

What they return is durable state; the head's `signed_size` says how much of it is posted. Nothing here uses OFFSET.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ledger_core.journal.entries import RecordedEntry
from ledger_core.reading.records import posted_from_row

MAX_PAGE = 1_000

NEAR = 5_000
"""Records after the cursor that are looked through for a page of a window before the index is asked."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries to list; None does not filter. Times are of `effective_at`, the end exclusive."""

    account: str | None = None
    effective_from: datetime | None = None
    effective_before: datetime | None = None
    reverses: str | None = None
    corrects: str | None = None

    @property
    def has_window(self) -> bool:
        return self.effective_from is not None or self.effective_before is not None


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
    limit = min(limit, MAX_PAGE)
    conditions = ["entry.seq > :after_seq"]
    given: dict[str, Any] = {"after_seq": after_seq}
    if filters.account is not None:
        conditions.append(f"entry.seq in ({_seqs_of_account(filters)})")
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
    if filters.has_window and filters.account is None:
        # Most pages of a wide window lie right after the cursor; a narrow one is found by the index over the times.
        near = _entries(
            conn, book, " and ".join([*conditions, "entry.seq <= :near"]), {**given, "near": after_seq + NEAR}, limit
        )
        if len(near) == limit:
            return near
        conditions.append(f"entry.seq in ({_seqs_of_window(filters)})")
    return _entries(conn, book, " and ".join(conditions), given, limit)


def _seqs_of_account(filters: EntryFilter) -> str:
    """Return the query of the seqs that a page of one account may hold, in order, by an index over just that.

    The page's limit stands inside where nothing outside takes entries away: otherwise the account's whole history would
    be read for a page of it. Where `reverses` or `corrects` is asked for, its own index leaves a handful.
    """
    whole = filters.reverses is None and filters.corrects is None
    page = " order by posting.seq limit :limit" if whole else ""
    return (
        "select distinct posting.seq from ledger.postings as posting "  # noqa: S608
        "where posting.book = :book and posting.account_id = "
        "(select account_id from ledger.accounts where book = :book and code = :account) "
        f"and posting.seq > :after_seq{_window('posting', filters)}{page}"
    )


def _seqs_of_window(filters: EntryFilter) -> str:
    """Return the query of all seqs after the cursor in a window of business time.

    `offset 0` keeps it out of the plan of the page, which would walk the log from the cursor on and hope.
    """
    return (
        "select held.seq from ledger.entries as held "  # noqa: S608
        f"where held.book = :book and held.seq > :after_seq{_window('held', filters)} offset 0"
    )


def _window(table: str, filters: EntryFilter) -> str:
    return "".join(
        f" and {table}.effective_at {comparison} :{name}"
        for name, comparison in (("effective_from", ">="), ("effective_before", "<"))
        if getattr(filters, name) is not None
    )


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
                commitments=posted.commitments,
            )
        )
    return found
