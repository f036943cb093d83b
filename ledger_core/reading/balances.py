"""Balances, statements and the trial balance, bi-temporal: as of business time, as known at a recorded time.

Each is one SQL statement, so that it sees one snapshot. The current balance is one row. A past one is that
row minus the postings after it, through the index over (account, effective_at): the cost grows with how far
back it looks, not with the age of the account. Without a business time every entry counts, also one dated ahead: "now"
is a time like another, and whoever means it says it. Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from ledger_core.errors import IntegrityError, NotFound
from ledger_core.journal.balances import Balance, TrialBalance, signed_balance, totals_by_currency

MAX_LINES = 1_000

Position = tuple[datetime, int, int]
"""Where a statement stands: (effective_at, seq, line) of a posting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One posting of an account, with the balance after it in the order of business time."""

    seq: int
    line: int
    entry_id: str
    external_id: str
    description: str
    effective_at: datetime
    direction: str
    amount_minor: int
    balance_minor: int
    posted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One page of an account's postings. `following` continues it, None at the end."""

    account: str
    currency: str
    opening_minor: int
    lines: tuple[StatementLine, ...]
    following: Position | None


_LATER = """
    select
        coalesce(sum(posting.amount_minor) filter (where posting.direction = 'debit'), 0) as debits,
        coalesce(sum(posting.amount_minor) filter (where posting.direction = 'credit'), 0) as credits
    from ledger.postings as posting
    where posting.book = account.book and posting.account_id = account.account_id
"""

_BALANCE = """
    select
        account.code, account.currency, account.normal_balance, head.signed_size,
        least(head.size, cast(:known_size as bigint)) as as_of_seq,
        balance.debits - later.debits as debits, balance.credits - later.credits as credits
    from ledger.accounts as account
    inner join ledger.balances as balance using (book, account_id)
    inner join ledger.log_head as head using (book)
    cross join lateral ({later}) as later
    where account.book = :book {account}
    order by account.code collate "C"
"""


def balance(
    conn: Connection,
    book: str,
    code: str,
    *,
    effective_at: datetime | None = None,
    known_at: datetime | None = None,
) -> Balance:
    """Return the balance of account `code`; `effective_at` and `known_at` are inclusive.

    Raises `NotFound`.
    """
    found = _balances(conn, book, code, effective_at, known_at)
    if not found:
        raise NotFound(f"there is no account {code} in book {book}.")
    return found[0]


def trial_balance(
    conn: Connection, book: str, *, effective_at: datetime | None = None, known_at: datetime | None = None
) -> TrialBalance:
    """Return every account's gross sides and their totals by currency.

    Raises `NotFound` for an unknown book.
    """
    head = conn.execute(
        text("select size, signed_size from ledger.log_head where book = :book"), {"book": book}
    ).one_or_none()
    if head is None:
        raise NotFound(f"there is no book {book}.")
    lines = tuple(_balances(conn, book, None, effective_at, known_at))
    return TrialBalance(
        book=book,
        as_of_seq=lines[0].as_of_seq if lines else head.size,
        signed_size=lines[0].signed_size if lines else head.signed_size,
        effective_at=effective_at,
        lines=lines,
        totals=totals_by_currency(lines),
    )


def statement(
    conn: Connection,
    book: str,
    code: str,
    *,
    effective_from: datetime | None = None,
    effective_before: datetime | None = None,
    after: Position | None = None,
    limit: int = 100,
) -> Statement:
    """Return a page of the postings of account `code` by business time, with the balance after each.

    `after` is the `following` of the page before. Raises `NotFound`.
    """
    account = conn.execute(
        text(
            "select account.account_id, account.currency, account.normal_balance, head.signed_size "
            "from ledger.accounts as account inner join ledger.log_head as head using (book) "
            "where account.book = :book and account.code = :code"
        ),
        {"book": book, "code": code},
    ).one_or_none()
    if account is None:
        raise NotFound(f"there is no account {code} in book {book}.")
    limit = min(limit, MAX_LINES)
    conditions, given = _window(effective_from, effective_before, after)
    rows = conn.execute(
        text(_statement_sql(conditions)),
        {**given, "book": book, "account_id": account.account_id, "limit": limit + 1},
    ).all()
    opening = _opening(conn, book, account.account_id, account.normal_balance, effective_from, after)
    running = opening
    lines = []
    for row in rows[:limit]:
        grows = row.direction == account.normal_balance
        running += row.amount_minor if grows else -row.amount_minor
        lines.append(
            StatementLine(
                seq=row.seq,
                line=row.line,
                entry_id=row.entry_id,
                external_id=row.external_id,
                description=row.description,
                effective_at=row.effective_at,
                direction=row.direction,
                amount_minor=row.amount_minor,
                balance_minor=running,
                posted=row.seq < account.signed_size,
            )
        )
    last = lines[-1] if len(rows) > limit and lines else None
    return Statement(
        account=code,
        currency=account.currency,
        opening_minor=opening,
        lines=tuple(lines),
        following=None if last is None else (last.effective_at, last.seq, last.line),
    )


def size_known_at(conn: Connection, book: str, moment: datetime) -> int:
    """Return how many records the log had taken by `moment` (inclusive), by bisection: `recorded_at` only grows.

    Raises `IntegrityError` where a record on the way is gone.
    """
    size = conn.execute(text("select size from ledger.log_head where book = :book"), {"book": book}).scalar() or 0
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        recorded_at: datetime | None = conn.execute(
            text("select recorded_at from ledger.records where book = :book and seq = :seq"),
            {"book": book, "seq": middle},
        ).scalar_one_or_none()
        if recorded_at is None:
            raise IntegrityError(
                f"book {book}: record {middle} should exist at size {size} and does not.",
                remedy="Run `counterfoil check`.",
                seq=middle,
            )
        if recorded_at <= moment:
            low = middle + 1
        else:
            high = middle
    return low


def _balances(
    conn: Connection, book: str, code: str | None, effective_at: datetime | None, known_at: datetime | None
) -> list[Balance]:
    given: dict[str, Any] = {"book": book, "code": code, "known_size": None}
    later = []
    if effective_at is not None:
        later.append("posting.effective_at > :effective_at")
        given["effective_at"] = effective_at
    if known_at is not None:
        later.append("posting.seq >= :known_size")
        given["known_size"] = size_known_at(conn, book, known_at)
    missing = f"{_LATER} and ({' or '.join(later)})" if later else "select 0 as debits, 0 as credits"
    sql = _BALANCE.format(later=missing, account="and account.code = :code" if code is not None else "")
    return [
        Balance(
            account=row.code,
            currency=row.currency,
            normal_balance=row.normal_balance,
            debits=int(row.debits),
            credits=int(row.credits),
            as_of_seq=row.as_of_seq,
            signed_size=row.signed_size,
        )
        for row in conn.execute(text(sql), given)
    ]


def _window(
    effective_from: datetime | None, effective_before: datetime | None, after: Position | None
) -> tuple[str, dict[str, Any]]:
    conditions, given = [], dict[str, Any]()
    if after is not None:
        conditions.append("(posting.effective_at, posting.seq, posting.line) > (:at, :seq, :line)")
        given.update(at=after[0], seq=after[1], line=after[2])
    elif effective_from is not None:
        conditions.append("posting.effective_at >= :effective_from")
        given["effective_from"] = effective_from
    if effective_before is not None:
        conditions.append("posting.effective_at < :effective_before")
        given["effective_before"] = effective_before
    return "".join(f" and {condition}" for condition in conditions), given


def _statement_sql(conditions: str) -> str:
    return (
        "select posting.seq, posting.line, posting.direction, posting.amount_minor, posting.effective_at, "  # noqa: S608
        "entry.id::text as entry_id, entry.external_id, entry.description "
        "from ledger.postings as posting inner join ledger.entries as entry using (book, seq) "
        f"where posting.book = :book and posting.account_id = :account_id{conditions} "
        "order by posting.effective_at, posting.seq, posting.line limit :limit"
    )


def _opening(
    conn: Connection,
    book: str,
    account_id: int,
    normal_balance: str,
    effective_from: datetime | None,
    after: Position | None,
) -> int:
    """Return the balance before the page: the current one minus everything from the page on."""
    if effective_from is None and after is None:
        return 0
    condition, given = _window(effective_from, None, after)
    row = conn.execute(
        text(
            "select balance.debits - later.debits as debits, balance.credits - later.credits as credits "  # noqa: S608
            f"from ledger.balances as balance cross join lateral ({_LATER.replace('account.', 'balance.')}{condition}) "
            "as later where balance.book = :book and balance.account_id = :account_id"
        ),
        {**given, "book": book, "account_id": account_id},
    ).one()
    return signed_balance(normal_balance, int(row.debits), int(row.credits))
