"""Accounts as they stand, by code and as pages in the order of their codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text


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
