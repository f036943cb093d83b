"""One close at a time: a session-level advisory lock of Postgres.

The lock lives with its connection: a close that is killed gives it back at once, and nothing is left to clean.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from ledger_core.errors import DependencyError

CLOSE_LOCK = 0x636C6F7365  # "close"
POLL_SECONDS = 0.25


@contextmanager
def one_close(engine: Engine, *, wait_seconds: float) -> Iterator[None]:
    """Hold the close's lock; wait up to `wait_seconds` for whoever has it.

    Raises `DependencyError`, retryable, when the other close is still running then.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + wait_seconds
        while not connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": CLOSE_LOCK}).scalar_one():
            if time.monotonic() >= deadline:
                raise DependencyError(
                    "another close is running.",
                    remedy="Wait for it, or see who it is in the Dagster UI.",
                    retry_after_seconds=30,
                )
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": CLOSE_LOCK})
