"""One close at a time, whoever starts it: the command line, a schedule or the Dagster UI."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import Engine

from ledger_core.base.locks import hold_lock
from ledger_core.errors import DependencyError

CLOSE_LOCK = 0x636C6F7365  # "close"


def one_close(engine: Engine, *, wait_seconds: float) -> AbstractContextManager[None]:
    """Hold the close's lock; wait up to `wait_seconds` for whoever has it.

    Raises `DependencyError`, retryable, when the other close is still running then.
    """
    return hold_lock(engine, CLOSE_LOCK, wait_seconds=wait_seconds, busy=_busy)


def _busy() -> DependencyError:
    return DependencyError(
        "another close is running.",
        remedy="Wait for it, or see who it is in the Dagster UI.",
        retry_after_seconds=30,
    )
