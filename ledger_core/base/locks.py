"""One at a time, across processes: advisory locks of Postgres that live with a connection of their own.

A process that is killed gives its lock back at once, and nothing is left to clean. Not the locks of a transaction,
which order writers of rows and end with it. Invariant: the connection does nothing else while the lock is held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text

from ledger_core.errors import DependencyError

POLL_SECONDS = 0.25


@contextmanager
def hold_lock(
    engine: Engine, lock: int, *, of: str | None = None, wait_seconds: float = 0.0, busy: Callable[[], DependencyError]
) -> Iterator[None]:
    """Hold `lock`, or the one that it is for `of` (a book); wait up to `wait_seconds` for whoever has it.

    Raises what `busy` returns when somebody still has it then.
    """
    # Postgres keeps locks of one number of 64 bits and of two of 32 apart.
    key = ":lock" if of is None else ":lock, hashtext(:of)"
    given: dict[str, object] = {"lock": lock} if of is None else {"lock": lock, "of": of}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        deadline = time.monotonic() + wait_seconds
        while not connection.execute(text(f"select pg_try_advisory_lock({key})"), given).scalar_one():
            if time.monotonic() >= deadline:
                raise busy()
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            connection.execute(text(f"select pg_advisory_unlock({key})"), given)
