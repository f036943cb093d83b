"""One moment of the database, read through as many server-side cursors as a check needs.

All cursors belong to one repeatable-read transaction, so a book that is being posted to is compared with itself at
one moment. Values come as integers, bytes, text and parsed JSON only: whatever a superuser wrote into a timestamp or
a number column is read as text, so that damage is a difference and never an exception of the driver.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import psycopg
from psycopg.types.json import set_json_loads
from sqlalchemy import Engine

FETCHED_ROWS = 2_000

_TIME = """to_char({0}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def time_sql(column: str) -> str:
    """Return SQL that gives the timestamptz `column` in the form that records state times in (session in UTC)."""
    return _TIME.format(column)


def _loads(data: bytes | str) -> Any:
    """Return parsed JSON, or its text where a number has no size that Python's floats could hold."""
    try:
        return orjson.loads(data)
    except ValueError:
        return data if isinstance(data, str) else data.decode(errors="replace")


class Snapshot:
    """Ordered rows of tables of one book, all of the same moment."""

    def __init__(self, connection: psycopg.Connection[Any], book: str) -> None:
        self._connection = connection
        self._names = itertools.count()
        self.book = book

    def rows(self, query: str, **arguments: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of `query`, fetched by the thousand; `%(book)s` is filled in."""
        with self._connection.cursor(name=f"check_{next(self._names)}") as cursor:
            cursor.itersize = FETCHED_ROWS
            set_json_loads(_loads, cursor)
            cursor.execute(query, {"book": self.book, **arguments}, binary=True)
            yield from cursor

    def one(self, query: str, **arguments: Any) -> tuple[Any, ...] | None:
        """Return the first row of `query`, or None."""
        with self._connection.cursor() as cursor:
            row: tuple[Any, ...] | None = cursor.execute(
                query,
                {"book": self.book, **arguments},
                binary=True,
            ).fetchone()
            return row


@contextmanager
def open_snapshot(engine: Engine, book: str) -> Iterator[Snapshot]:
    """Open a read-only, repeatable-read snapshot of `book`."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        yield Snapshot(driver, book)
        connection.rollback()
