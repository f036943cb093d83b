"""The inbox's rows: claimed, guarded, settled. All SQL that changes what became of an event.

A worker claims a row in a transaction of its own, which counts the attempt and says when the row is due again if the
worker dies; it then works in a second one, which holds the row and the object. So an attempt that kills its process
counts, nobody waits for a dead worker longer than the lease, and no two work on one object. Invariant: a row is settled
once, in the transaction that says which version of its object was applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import class_row
from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ledger_core.errors import DependencyError

MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A claimed row."""

    inbox_id: int
    provider: str
    account: str
    event_id: str
    book: str
    type: str
    object_id: str
    object_version: int
    told_sha256: bytes
    trace_id: str
    key_id: UUID
    payload: bytes | None
    attempts: int
    approved_by: str | None
    waited_seconds: float
    """Since it was received."""

    @property
    def whose(self) -> str:
        return whose(self.provider, self.account, self.event_id)


def whose(provider: str, account: str, event_id: str) -> str:
    """Return what a stored payload is bound to: the identity of its event."""
    return f"{provider}/{account}/{event_id}"


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection[Any]]:
    """Yield a connection; commit at the end, or roll back. Raises `DependencyError` where the database went away."""
    try:
        with closing(engine.raw_connection()) as pooled:
            connection: Any = pooled.driver_connection
            try:
                yield connection
                connection.commit()
            except BaseException:
                try:
                    connection.rollback()
                except psycopg.Error:
                    pooled.invalidate()
                raise
    except (psycopg.OperationalError, psycopg.InterfaceError, OperationalError, InterfaceError, PoolTimeout) as error:
        raise DependencyError("the database did not answer.", remedy="Try again.", dependency="postgres") from error


_COLUMNS = (
    "inbox_id, provider, account, event_id, book, type, object_id, object_version, told_sha256, trace_id, key_id, "
    "payload, attempts, approved_by, extract(epoch from clock_timestamp() - received_at)::float8 as waited_seconds"
)


def claim(connection: Connection[Any], *, lease_seconds: float) -> int | None:
    """Take the row that is due longest, count the attempt, and return its id; None where nothing is due."""
    row = connection.execute(
        """
        with due as (
            select inbox_id from ops.webhook_inbox
            where status = 'pending' and next_attempt_at <= clock_timestamp()
            order by next_attempt_at, inbox_id limit 1
            for update skip locked
        )
        update ops.webhook_inbox as inbox
        set attempts = attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => %s)
        from due where inbox.inbox_id = due.inbox_id
        returning inbox.inbox_id
        """,
        (lease_seconds,),
    ).fetchone()
    return None if row is None else int(row[0])


def hold(connection: Connection[Any], inbox_id: int) -> Row | None:
    """Return the row, held until the transaction ends; None where somebody else has it, or settled it."""
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from ops.webhook_inbox where inbox_id = %s and status = 'pending' "  # noqa: S608
            "for update skip locked",
            (inbox_id,),
        ).fetchone()


def hold_object(connection: Connection[Any], row: Row) -> bool:
    """Hold the object of the row until the transaction ends; say whether nobody else has it."""
    found = connection.execute(
        "select pg_try_advisory_xact_lock(hashtextextended(%s, 0))",
        (f"webhook {row.provider}/{row.account}/{row.object_id}",),
    ).fetchone()
    return found is not None and bool(found[0])


def applied_before(connection: Connection[Any], row: Row) -> str | None:
    """Say what the row is beside what events of its type applied to its object: `duplicate`, `superseded` or None.

    Two events of one second may tell of two states: the later one is known by what it says, and is applied.
    """
    found = connection.execute(
        "select object_version, told_sha256 from ops.webhook_facts "
        "where provider = %s and account = %s and object_id = %s and type = %s",
        (row.provider, row.account, row.object_id, row.type),
    ).fetchone()
    if found is None:
        return None
    if bytes(found[1]) == bytes(row.told_sha256):
        return "duplicate"
    return "superseded" if found[0] > row.object_version else None


def keep_version(connection: Connection[Any], row: Row) -> None:
    """Say that this version of the object was applied."""
    connection.execute(
        """
        insert into ops.webhook_facts (provider, account, object_id, type, object_version, told_sha256, inbox_id)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (provider, account, object_id, type) do update
        set object_version = excluded.object_version, told_sha256 = excluded.told_sha256, inbox_id = excluded.inbox_id
        """,
        (row.provider, row.account, row.object_id, row.type, row.object_version, row.told_sha256, row.inbox_id),
    )


def settle(
    connection: Connection[Any],
    row: Row,
    status: str,
    *,
    reason: str | None = None,
    book: str | None = None,
    entry_ids: Sequence[str] = (),
    proposal: Any = None,
) -> None:
    """Say what became of the event, for good unless a person asks again."""
    connection.execute(
        "update ops.webhook_inbox set status = %s, reason = %s, book = coalesce(%s, book), entry_ids = %s::uuid[], "
        "proposal = %s::jsonb, settled_at = clock_timestamp() where inbox_id = %s",
        (status, _cut(reason), book, list(entry_ids), json.dumps(proposal) if proposal else None, row.inbox_id),
    )


def put_off(connection: Connection[Any], row: Row, *, seconds: float, reason: str | None, counted: bool = True) -> None:
    """Let the event wait. Not `counted`: the attempt is taken back, for it was none of the event's."""
    connection.execute(
        "update ops.webhook_inbox set next_attempt_at = clock_timestamp() + make_interval(secs => %s), "
        "reason = coalesce(%s, reason), attempts = attempts - %s where inbox_id = %s",
        (seconds, _cut(reason), 0 if counted else 1, row.inbox_id),
    )


def forget(connection: Connection[Any], *, kept_days: int, limit: int = 1_000) -> int:
    """Drop what events said that were settled `kept_days` ago, and the keys that nothing needs any more."""
    dropped = connection.execute(
        "update ops.webhook_inbox set payload = null where inbox_id in ("
        "select inbox_id from ops.webhook_inbox where payload is not null and status not in ('dead', 'proposed') "
        "and settled_at < clock_timestamp() - make_interval(days => %s) order by settled_at limit %s "
        "for update skip locked)",
        (kept_days, limit),
    ).rowcount
    connection.execute(
        "delete from ops.file_keys where file_id in (select key_id from ops.webhook_keys as key "
        "where created_at < clock_timestamp() - make_interval(days => greatest(%s, 2)) and not exists ("
        "select from ops.webhook_inbox as inbox where inbox.key_id = key.key_id and inbox.payload is not null))",
        (kept_days,),
    )
    connection.execute(
        "delete from ops.webhook_deliveries where received_at < clock_timestamp() - make_interval(days => %s)",
        (max(kept_days, 2),),
    )
    return dropped


def _cut(reason: str | None) -> str | None:
    return None if reason is None else reason.replace("\0", "")[:MAX_REASON_CHARACTERS]
