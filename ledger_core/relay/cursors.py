"""Where each destination stands in the log of each book."""

from __future__ import annotations

from typing import Any

import psycopg


def read_cursor(connection: psycopg.Connection[Any], book: str, destination: str) -> int:
    """Return the number of the first record that `destination` was not told of; 0 for one that is new."""
    row = connection.execute(
        "select next_seq from ledger.relay_cursors where book = %s and destination = %s", [book, destination]
    ).fetchone()
    return 0 if row is None else int(row[0])


def move_cursor(connection: psycopg.Connection[Any], book: str, destination: str, *, next_seq: int) -> None:
    """Note that `destination` was told of everything below `next_seq`. A cursor never goes back."""
    connection.execute(
        "insert into ledger.relay_cursors (book, destination, next_seq) values (%s, %s, %s) "
        "on conflict (book, destination) do update set next_seq = excluded.next_seq, moved_at = now() "
        "where relay_cursors.next_seq < excluded.next_seq",
        [book, destination, next_seq],
    )
