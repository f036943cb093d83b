"""The balances of a batch: gross debits and credits, added to each touched account in one update.

A projection of entries, kept by the batch and not by the entry: a thousand entries touch a hot account once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection, Cursor

from ledger_core.base.arrays import numbers_array
from ledger_core.errors import IntegrityError

_BALANCES = """
    update ledger.balances as balance
    set debits = balance.debits + delta.debits,
        credits = balance.credits + delta.credits,
        last_seq = delta.last_seq
    from unnest(%s::integer[], %s::numeric[], %s::numeric[], %s::bigint[])
        as delta (account_id, debits, credits, last_seq)
    where balance.book = %s and balance.account_id = delta.account_id
"""


def add_to_balances(conn: Connection[Any], book: str, deltas: Mapping[int, Sequence[int]]) -> Cursor[Any]:
    """Add gross debits and credits to each touched account, in one update and in account order."""
    ordered = sorted(deltas)
    return conn.execute(
        _BALANCES,
        [
            numbers_array(ordered),
            numbers_array([deltas[account_id][0] for account_id in ordered]),
            numbers_array([deltas[account_id][1] for account_id in ordered]),
            numbers_array([deltas[account_id][2] for account_id in ordered]),
            book,
        ],
    )


def require_balances(book: str, touched: Cursor[Any], deltas: Mapping[int, Sequence[int]]) -> None:
    """Raise `IntegrityError` unless every account of `deltas` had a balance to add to."""
    if touched.rowcount != len(deltas):
        raise IntegrityError(
            f"book {book}: of {len(deltas)} touched accounts {touched.rowcount} have a balance.",
            remedy="Run `counterfoil check`.",
        )
