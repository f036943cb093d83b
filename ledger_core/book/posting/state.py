"""What a batch needs to know of the book, read set-wise under the head's lock.

The account cache lives across batches of one writer and is believed only while the head row still says (size,
last leaf) of our own last commit: every change of an account goes through the log, so an unmoved head means
unmoved accounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection, Cursor

from ledger_core.book.posting.idempotency import StoredOutcome, read_outcomes
from ledger_core.book.posting.items import AccountItem, EntryItem, RecordItem, Request
from ledger_core.errors import IntegrityError
from ledger_core.journal.balances import overdraft_floor
from ledger_core.log.merkle import Frontier

_WRITERS = 0x77726974
"""Sets the queue of writers apart from other advisory locks."""

MAX_CACHED_ACCOUNTS = 200_000
"""About 100 MB; past it the cache starts over."""


@dataclass(slots=True, kw_only=True)
class HeadRow:
    """The locked head of a book."""

    origin: str
    size: int
    signed_size: int
    last_leaf: bytes
    last_recorded_at: datetime | None
    frontier: Frontier


@dataclass(slots=True, eq=False)
class AccountState:
    """One account as of the batch's beginning, then as the batch changes it."""

    account_id: int
    code: str
    type: str
    normal_balance: str
    currency: str
    status: str
    overdraft: str
    metadata: dict[str, str]
    debits: int
    credits: int
    changed_seq: int
    floor: int | None = field(init=False)
    debit_normal: bool = field(init=False)

    def __post_init__(self) -> None:
        self.floor = overdraft_floor(self.overdraft)
        self.debit_normal = self.normal_balance == "debit"


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """An entry that a batch refers to, by `external_id` or by id."""

    id: str
    seq: int


@dataclass(slots=True, kw_only=True)
class BookState:
    """The book as one batch sees it; `accounts` outlives the batch, the rest does not."""

    book: str
    accounts: dict[str, AccountState] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    last_account_id: int | None = None
    believed: tuple[int, bytes] | None = None
    """Size and last leaf under which `accounts` was read."""

    def forget(self) -> None:
        """Drop everything that was cached."""
        self.accounts.clear()
        self.missing.clear()
        self.last_account_id = None
        self.believed = None


@dataclass(slots=True, kw_only=True)
class BatchFacts:
    """What the database said about exactly this batch's keys and references."""

    outcomes: dict[tuple[str, str], StoredOutcome] = field(default_factory=dict)
    external_ids: dict[str, KnownEntry] = field(default_factory=dict)
    entry_ids: dict[str, int] = field(default_factory=dict)
    """Ids that `reverses` or `corrects` name, and that exist; with their seq."""
    reversed_by: dict[str, str] = field(default_factory=dict)
    mirrored: dict[str, list[tuple[str, str, int, str]]] = field(default_factory=dict)
    """Of each entry that `reverses` names: account, direction, amount and currency that its reversal must have."""
    exports: set[Any] = field(default_factory=set)


def lock_head(conn: Connection[Any], book: str) -> HeadRow:
    """Queue up behind the other writers of the book until the end of the transaction, and return its head row.

    The queue is an advisory lock and not a lock of the row, because transaction 2 of the batch before must be able to
    advance `signed_size` meanwhile: with a row lock it waits for this whole batch (58 % of the signing thread's time).
    The row still arbitrates: `move_head` moves it only from where it was found here.
    """
    with conn.pipeline():
        conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, %s))", [book, _WRITERS])
        found = conn.execute(
            "select origin, size, signed_size, last_leaf, last_recorded_at, frontier "
            "from ledger.log_head where book = %s",
            [book],
        )
    row = found.fetchone()
    if row is None:
        raise IntegrityError(f"book {book} has no head.", remedy="Restore the database from its last backup.")
    return HeadRow(
        origin=row[0],
        size=row[1],
        signed_size=row[2],
        last_leaf=bytes(row[3]),
        last_recorded_at=row[4],
        frontier=Frontier.from_bytes(row[1], bytes(row[5])),
    )


def move_head(conn: Connection[Any], book: str, head: HeadRow, *, after: HeadRow) -> Cursor[Any]:
    """Move the head from where `lock_head` found it; no row is touched when something else moved it meanwhile."""
    return conn.execute(
        "update ledger.log_head set size = %s, last_leaf = %s, last_recorded_at = %s, frontier = %s "
        "where book = %s and size = %s and last_leaf = %s",
        [
            after.size,
            after.last_leaf,
            after.last_recorded_at,
            after.frontier.to_bytes(),
            book,
            head.size,
            head.last_leaf,
        ],
    )


def load_facts(conn: Connection[Any], state: BookState, head: HeadRow, requests: Sequence[Request]) -> BatchFacts:
    """Read what `requests` need: accounts into `state`, the rest into the facts of this batch."""
    if state.believed != (head.size, head.last_leaf) or len(state.accounts) > MAX_CACHED_ACCOUNTS:
        state.forget()
    facts = BatchFacts()
    codes: set[str] = set()
    external_ids: list[str] = []
    references: set[str] = set()
    reversals: set[str] = set()
    makes_accounts = exports = False
    for request in requests:
        for item in request.items:
            if type(item) is EntryItem:
                draft = item.draft
                external_ids.append(draft.external_id)
                for posting in draft.postings:
                    codes.add(posting.account)
                if draft.reverses:
                    references.add(draft.reverses)
                    reversals.add(draft.reverses)
                if draft.corrects:
                    references.add(draft.corrects)
            elif type(item) is AccountItem:
                codes.add(item.code)
                makes_accounts = True
            elif type(item) is RecordItem and item.kind == "export":
                exports = True
    facts.outcomes = read_outcomes(conn, state.book, requests)
    _load_accounts(conn, state, codes)
    if makes_accounts and state.last_account_id is None:
        row = conn.execute(
            "select coalesce(max(account_id), 0) from ledger.accounts where book = %s", [state.book]
        ).fetchone()
        state.last_account_id = row[0] if row else 0
    if external_ids:
        facts.external_ids = _known_external_ids(conn, state.book, external_ids)
    if references:
        facts.entry_ids = _known_ids(conn, state.book, references)
    if reversals:
        facts.reversed_by = _reversed_by(conn, state.book, reversals)
        facts.mirrored = _mirrored(conn, state.book, reversals)
    if exports:
        rows = conn.execute("select segment, closed_on from ledger.exports where book = %s", [state.book])
        facts.exports = {value for segment, closed_on in rows for value in (segment, closed_on.isoformat())}
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


def _load_accounts(conn: Connection[Any], state: BookState, codes: Iterable[str]) -> None:
    wanted = [code for code in codes if code not in state.accounts and code not in state.missing]
    if not wanted:
        return
    rows = conn.execute(
        "select account.account_id, account.code, account.type, account.normal_balance, account.currency, "
        "account.status, account.overdraft, account.metadata, balance.debits, balance.credits, account.changed_seq "
        "from ledger.accounts as account inner join ledger.balances as balance using (book, account_id) "
        "where account.book = %s and account.code = any(%s)",
        [state.book, wanted],
    )
    for row in rows:
        id, code, kind, normal, currency, status, overdraft, metadata, debits, credits, changed_seq = row
        state.accounts[code] = AccountState(
            id, code, kind, normal, currency, status, overdraft, metadata, int(debits), int(credits), changed_seq
        )
    state.missing.update(code for code in wanted if code not in state.accounts)


def _known_external_ids(conn: Connection[Any], book: str, external_ids: list[str]) -> dict[str, KnownEntry]:
    rows = conn.execute(
        "select external_id, id::text, seq from ledger.entries where book = %s and external_id = any(%s)",
        [book, external_ids],
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
