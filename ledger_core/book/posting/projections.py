"""The tables derived from records, as transaction 1 writes them (entries and postings go by COPY in `writer.py`).

Each can be rebuilt from the signed bytes alone, and `counterfoil check` proves that it equals them. Not
judgement: what comes here was allowed already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from psycopg import Connection, Cursor

from ledger_core.book.posting.accounts import AccountChange
from ledger_core.book.posting.decide import Accepted
from ledger_core.book.posting.items import RecordItem

_BALANCES = """
    update ledger.balances as balance
    set debits = balance.debits + delta.debits,
        credits = balance.credits + delta.credits,
        last_seq = delta.last_seq
    from unnest(%s::integer[], %s::numeric[], %s::numeric[], %s::bigint[])
        as delta (account_id, debits, credits, last_seq)
    where balance.book = %s and balance.account_id = delta.account_id
"""


def project(
    conn: Connection[Any], book: str, accepted: Sequence[tuple[int, Accepted]], deltas: Mapping[int, Sequence[int]]
) -> Cursor[Any] | None:
    """Write what `accepted` (with their seq) mean for accounts, exports and balances; return the update of balances."""
    for seq, each in accepted:
        if each.account_change is not None:
            _account(conn, book, seq, each.account_change)
        elif isinstance(each.item, RecordItem) and each.item.kind == "export":
            _export(conn, book, seq, each.item.members)
    return add_to_balances(conn, book, deltas) if deltas else None


def add_to_balances(conn: Connection[Any], book: str, deltas: Mapping[int, Sequence[int]]) -> Cursor[Any]:
    """Add gross debits and credits to each touched account, in one update and in account order."""
    ordered = sorted(deltas)
    return conn.execute(
        _BALANCES,
        [
            _array(ordered),
            _array([deltas[account_id][0] for account_id in ordered]),
            _array([deltas[account_id][1] for account_id in ordered]),
            _array([deltas[account_id][2] for account_id in ordered]),
            book,
        ],
    )


def _array(numbers: Sequence[int]) -> str:
    """Return a Postgres array literal: one string, where a list of 1,000 is adapted number by number."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _account(conn: Connection[Any], book: str, seq: int, change: AccountChange) -> None:
    account = change.account
    body = change.body["account"]
    metadata = orjson.dumps(body["metadata"]).decode()
    if change.action == "created":
        conn.execute(
            "insert into ledger.accounts (book, account_id, code, type, normal_balance, currency, status, overdraft, "
            "metadata, opened_seq, changed_seq) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                book, account.account_id, account.code, account.type, account.normal_balance, account.currency,
                body["status"], body["overdraft"], metadata, seq, seq,
            ],
        )  # fmt: skip
        conn.execute(
            "insert into ledger.balances (book, account_id, last_seq) values (%s, %s, %s)",
            [book, account.account_id, seq],
        )
    else:
        conn.execute(
            "update ledger.accounts set status = %s, overdraft = %s, metadata = %s, changed_seq = %s "
            "where book = %s and account_id = %s",
            [body["status"], body["overdraft"], metadata, seq, book, account.account_id],
        )
    conn.execute(
        "insert into ledger.account_versions (book, seq, account_id, code, type, normal_balance, currency, status, "
        "overdraft, metadata) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            book, seq, account.account_id, account.code, account.type, account.normal_balance, account.currency,
            body["status"], body["overdraft"], metadata,
        ],
    )  # fmt: skip


def _export(conn: Connection[Any], book: str, seq: int, body: Mapping[str, Any]) -> None:
    conn.execute(
        "insert into ledger.exports (book, segment, closed_on, first_seq, next_seq, manifest_sha256, uri, seq) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            book, body["segment"], body["closed_on"], body["first_seq"], body["next_seq"],
            body["manifest_sha256"], body["uri"], seq,
        ],
    )  # fmt: skip
