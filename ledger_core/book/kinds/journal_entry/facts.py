"""What judging a batch's entries needs of the database, and what it notes down on the way.

Read set-wise, in at most five queries a batch whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from ledger_core.base.arrays import texts_array
from ledger_core.book.kinds.journal_entry.prepare import EntryItem
from ledger_core.book.posting.accounts import BookState
from ledger_core.errors import DuplicateExternalId


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """An entry that a batch refers to, by `external_id` or by id."""

    id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A refusal whose error still wants the holder's id and whether it says the same."""

    error: DuplicateExternalId
    item: EntryItem
    known: KnownEntry | None
    """The holder in the database, or None when it is in this batch or in the one before."""


@dataclass(slots=True, kw_only=True)
class EntryFacts:
    """The facts of one batch's entries."""

    external_ids: dict[str, KnownEntry] = field(default_factory=dict)
    entry_ids: dict[str, int] = field(default_factory=dict)
    """Ids that `reverses` or `corrects` name, and that exist; with their seq."""
    reversed_by: dict[str, str] = field(default_factory=dict)
    mirrored: dict[str, list[tuple[str, str, int, str]]] = field(default_factory=dict)
    """Of each entry that `reverses` names: account, direction, amount and currency that its reversal must have."""
    before: Mapping[str, tuple[EntryItem, str]] = field(default_factory=dict)
    """What the batch before placed, while it is being written: the database may not show it yet."""

    taken: set[str] = field(default_factory=set)
    """The `external_id`s of entries accepted so far."""
    reversed: set[str] = field(default_factory=set)
    duplicates: list[Duplicate] = field(default_factory=list)
    placed: dict[str, tuple[EntryItem, str]] = field(default_factory=dict)
    """Entries of this batch with their ids, by `external_id`."""
    entry_rows: list[bytes] = field(default_factory=list)
    posting_rows: list[bytes] = field(default_factory=list)
    private_keys: list[bytes] = field(default_factory=list)
    private_values: list[bytes] = field(default_factory=list)


def read_entry_facts(
    conn: Connection[Any], state: BookState, items: Sequence[EntryItem], before: EntryFacts | None
) -> EntryFacts:
    """Return the facts of `items`, and have `state` know their accounts."""
    codes: set[str] = set()
    external_ids: list[str] = []
    references: set[str] = set()
    reversals: set[str] = set()
    for item in items:
        draft = item.draft
        external_ids.append(draft.external_id)
        for posting in draft.postings:
            codes.add(posting.account)
        if draft.reverses:
            references.add(draft.reverses)
            reversals.add(draft.reverses)
        if draft.corrects:
            references.add(draft.corrects)
    facts = EntryFacts(before=before.placed if before is not None else {})
    state.load(conn, codes)
    facts.external_ids = _known_external_ids(conn, state.book, external_ids)
    if references:
        facts.entry_ids = _known_ids(conn, state.book, references)
    if reversals:
        facts.reversed_by = _reversed_by(conn, state.book, reversals)
        facts.mirrored = _mirrored(conn, state.book, reversals)
    return facts


def _mirrored(conn: Connection[Any], book: str, ids: Iterable[str]) -> dict[str, list[tuple[str, str, int, str]]]:
    """Return, by entry id, the postings that its reversal must have: the same ones with sides swapped, sorted."""
    rows = conn.execute(
        "select entry.id::text, account.code, case posting.direction when 'debit' then 'credit' else 'debit' end, "
        "posting.amount_minor, posting.currency "
        "from ledger.entries as entry "
        "inner join ledger.postings as posting on posting.book = entry.book and posting.seq = entry.seq "
        "inner join ledger.accounts as account "
        "on account.book = posting.book and account.account_id = posting.account_id "
        "where entry.book = %s and entry.id = any(%s::uuid[])",
        [book, list(ids)],
    )
    found: dict[str, list[tuple[str, str, int, str]]] = {}
    for entry_id, *posting in rows:
        found.setdefault(entry_id, []).append((posting[0], posting[1], posting[2], posting[3]))
    return {entry_id: sorted(postings) for entry_id, postings in found.items()}


def _known_external_ids(conn: Connection[Any], book: str, external_ids: list[str]) -> dict[str, KnownEntry]:
    rows = conn.execute(
        "select external_id, id::text, seq from ledger.entries where book = %s and external_id = any(%s::text[])",
        [book, texts_array(external_ids)],
    )
    return {row[0]: KnownEntry(row[1], row[2]) for row in rows}


def _known_ids(conn: Connection[Any], book: str, ids: set[str]) -> dict[str, int]:
    rows = conn.execute(
        "select id::text, seq from ledger.entries where book = %s and id = any(%s::uuid[])", [book, list(ids)]
    )
    return {row[0]: row[1] for row in rows}


def _reversed_by(conn: Connection[Any], book: str, ids: set[str]) -> dict[str, str]:
    rows = conn.execute(
        "select reverses::text, id::text from ledger.entries where book = %s and reverses = any(%s::uuid[])",
        [book, list(ids)],
    )
    return {row[0]: row[1] for row in rows}
