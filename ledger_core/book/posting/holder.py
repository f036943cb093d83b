"""Who holds a book's head while others wait for it, and how a writer that stopped is made to let go.

The server itself ends a transaction of ours that idles (`sequencer/link.py`). It does not end one whose COPY stopped in
the middle: there the statement runs, and waits for its client for ever. Whoever waited in vain ends that one.
Invariant: only sessions of this software are ended, only ones that wait for their client, and only after the time that
an idle transaction would have had: nothing of theirs is durable, and their callers ask again.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import Connection
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ledger_core.book.posting.head import _WRITERS
from ledger_core.errors import DependencyError

LOCK_TIMEOUT_SECONDS = 5
"""How long a batch waits for the head: hundreds of other batches' time."""

STOPPED_SECONDS = 10
"""How long a transaction of ours may wait for its own program, which at work needs some tenths of a second."""

_HOLDERS = """
    with queue as (select hashtextextended(%(book)s, %(writers)s) as key)
    select
        held.pid, activity.application_name, activity.xact_start, activity.state,
        activity.wait_event is not distinct from 'ClientRead'
            and activity.state_change < clock_timestamp() - make_interval(secs => %(stopped)s) as stopped
    from pg_locks as held
    cross join queue
    inner join pg_stat_activity as activity using (pid)
    where
        held.granted and held.pid <> pg_backend_pid()
        and held.database = (select oid from pg_database where datname = current_database())
        and (
            held.locktype = 'advisory' and held.objsubid = 1
            and held.classid = ((queue.key >> 32) & 4294967295)::oid
            and held.objid = (queue.key & 4294967295)::oid
            or held.locktype = 'relation' and held.relation = 'ledger.log_head'::regclass
            and held.mode <> 'AccessShareLock'
        )
    -- The queue's lock first; then whoever was there first, whose row lock the others wait for.
    order by held.locktype <> 'advisory', activity.xact_start
    limit 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A session that holds the head; `since` is its transaction's beginning, where this login may know it."""

    pid: int
    application: str
    since: datetime | None
    state: str | None
    stopped: bool
    """Whether it waits for its client for longer than any of ours does."""

    @property
    def is_ours(self) -> bool:
        return self.application.startswith("counterfoil")


def head_held(engine: Engine, book: str) -> DependencyError:
    """Return what to tell callers who waited for the head in vain: who holds it, and since when.

    A writer of ours that stopped in the middle of its batch is ended on the way.
    """
    try:
        with closing(engine.raw_connection()) as pooled:
            driver: Any = pooled.driver_connection
            return _told(driver, book)
    except (psycopg.Error, DBAPIError, PoolTimeout):
        return _error(book, "somebody", None, "")


def _told(conn: Connection[Any], book: str) -> DependencyError:
    try:
        # Of another session only its own login may know the state, or end it: the role of ours may neither.
        conn.execute("reset role")
        row = conn.execute(_HOLDERS, {"book": book, "writers": _WRITERS, "stopped": STOPPED_SECONDS}).fetchone()
        if row is None:
            return _error(book, "somebody who has let go of it by now", None, "")
        holder = Holder(pid=row[0], application=row[1] or "", since=row[2], state=row[3], stopped=bool(row[4]))
        ended = holder.is_ours and holder.stopped and _ended(conn, holder)
    finally:
        # Nothing is kept: the role comes back with the transaction that gave it away.
        conn.rollback()
    what = f"process {holder.pid} of the database (application {holder.application or 'unnamed'!r}"
    what += f", {holder.state})" if holder.state else ")"
    return _error(book, what, holder, "It was stopped in the middle of a batch and is ended now. " if ended else "")


def _ended(conn: Connection[Any], holder: Holder) -> bool:
    try:
        with conn.transaction():
            row = conn.execute("select pg_terminate_backend(%s)", [holder.pid]).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return False
    return row is not None and bool(row[0])


def _error(book: str, what: str, holder: Holder | None, ended: str) -> DependencyError:
    since = f"{holder.since:%Y-%m-%dT%H:%M:%SZ}" if holder is not None and holder.since is not None else ""
    error = DependencyError(
        f"the head of book {book} is held by {what}{since and f' since {since}'}; "
        f"{LOCK_TIMEOUT_SECONDS} s are waited for it.",
        remedy=ended + "Send it again; nothing of it was kept.",
        dependency="postgres",
    )
    if holder is not None:
        error.context |= {"holder_pid": holder.pid, "holder_application": holder.application}
    if since:
        error.context["holder_since"] = since
    return error
