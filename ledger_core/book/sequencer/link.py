"""The connection that a thread of the sequencer keeps, and what is said when it breaks."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ledger_core.book.posting.holder import LOCK_TIMEOUT_SECONDS, STOPPED_SECONDS
from ledger_core.errors import DependencyError

LOST = (
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)
"""What says that the database is not there for this batch, and nothing of the batch: also one that only reads, because
another server is the primary now."""

_SESSION = (
    f"select set_config('lock_timeout', '{LOCK_TIMEOUT_SECONDS}s', false), "
    f"set_config('idle_in_transaction_session_timeout', '{STOPPED_SECONDS}s', false)"
)


class Link:
    """One connection that a thread keeps, opened anew after a loss."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._conn: Connection[Any] | None = None

    def open(self) -> Connection[Any]:
        """Return the connection, in autocommit: transactions are spelled out where they matter."""
        if self._conn is None or self._conn.closed:
            try:
                pooled = self._engine.raw_connection()
            except (DBAPIError, PoolTimeout) as error:
                raise psycopg.OperationalError(str(getattr(error, "orig", error))) from error
            driver: Any = pooled.driver_connection
            pooled.detach()
            driver.autocommit = True
            driver.execute(_SESSION)
            self._conn = driver
        assert self._conn is not None
        return self._conn

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def database_away(error: psycopg.Error) -> DependencyError:
    """Say that the outcome of a batch is not known here, and how to learn it."""
    said = str(error).strip().splitlines()
    return DependencyError(
        f"the database went away: {said[0] if said else type(error).__name__}",
        remedy="Repeat the command, or the request with its key: whatever became of it is found.",
    )
