"""Dead letters and proposals: what a person looks at, and what happens when one says "again" or "post it".

To ask again is itself audited: a signed record in the book says who did, of which events, and why they had died.
Written before the events are let go, so that none goes again without it. Reads never show what an event said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg.rows import class_row, dict_row
from sqlalchemy import Engine

from ingest.inbox import store
from ingest.inbox.posting import has_book
from ledger_core.actor import Actor
from ledger_core.errors import Conflict, NotFound
from ledger_core.ports import Ask, RecordDraft

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

DEAD, PROPOSED = "dead", "proposed"
MAX_LISTED = 1_000
MAX_REPLAYED = 100
"""In one record."""
REPLAYED, APPROVED = "dead_letters_replayed", "proposals_approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """An event as a person sees it."""

    inbox_id: int
    provider: str
    account: str
    event_id: str
    book: str
    type: str
    object_id: str
    received_at: datetime
    status: str
    attempts: int
    reason: str | None
    trace_id: str
    settled_at: datetime | None
    replays: int
    replayed_by: str | None
    entry_ids: list[Any]
    proposal: Any


_COLUMNS = (
    "inbox_id, provider, account, event_id, book, type, object_id, received_at, status, attempts, reason, trace_id, "
    "settled_at, replays, replayed_by, entry_ids, proposal"
)


def list_letters(
    engine: Engine, status: str, *, provider: str | None = None, after: int = 0, limit: int = MAX_LISTED
) -> list[Letter]:
    """Return the events of one status, the oldest first."""
    with store.transaction(engine) as connection, connection.cursor(row_factory=class_row(Letter)) as cursor:
        return cursor.execute(
            f"select {_COLUMNS} from ops.webhook_inbox where status = %s and inbox_id > %s "  # noqa: S608
            "and (%s::text is null or provider = %s) order by inbox_id limit %s",
            (status, after, provider, provider, min(limit, MAX_LISTED)),
        ).fetchall()


def find_letter(engine: Engine, inbox_id: int) -> Letter:
    """Return one event, of whatever status. Raises `NotFound`."""
    with store.transaction(engine) as connection, connection.cursor(row_factory=class_row(Letter)) as cursor:
        found = cursor.execute(
            f"select {_COLUMNS} from ops.webhook_inbox where inbox_id = %s",  # noqa: S608
            (inbox_id,),
        ).fetchone()
    if found is None:
        raise NotFound(
            f"there is no event {inbox_id} in the inbox.", remedy="`counterfoil dead-letters list` has them."
        )
    return found


def replay(runtime: Runtime, inbox_ids: Sequence[int], *, actor: Actor) -> int:
    """Let dead letters be worked on again from their first attempt; return how many were let go.

    Raises `NotFound`, and `Conflict` for one that is none; nothing is let go then.
    """
    return _ask_again(runtime, inbox_ids, DEAD, REPLAYED, actor)


def approve(runtime: Runtime, inbox_ids: Sequence[int], *, actor: Actor) -> int:
    """Let proposals be posted, whatever the policy says; return how many. Raises as `replay` does."""
    return _ask_again(runtime, inbox_ids, PROPOSED, APPROVED, actor)


def standing(connection: Connection[Any]) -> dict[str, Any]:
    """Return `pending`, `dead` and `lag_seconds`, the age of the oldest event that is not settled."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select (select count(*) from ops.webhook_inbox where status = 'pending') as pending, "
            "(select count(*) from ops.webhook_inbox where status = 'dead') as dead, "
            "(select coalesce(extract(epoch from clock_timestamp() - min(received_at)), 0)::float8 "
            "from ops.webhook_inbox where status = 'pending') as lag_seconds"
        ).fetchone()
    assert found is not None
    return dict(found)


def counts(engine: Engine) -> dict[tuple[str, str], dict[str, int]]:
    """Return, by provider and account, how many events there are of each status."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    with store.transaction(engine) as connection:
        rows = connection.execute(
            "select provider, account, status, count(*) from ops.webhook_inbox group by provider, account, status"
        ).fetchall()
    for provider, account, status, events in rows:
        found.setdefault((provider, account), {})[status] = int(events)
    return found


def _ask_again(runtime: Runtime, inbox_ids: Sequence[int], status: str, event: str, actor: Actor) -> int:
    wanted = list(dict.fromkeys(inbox_ids))
    done = 0
    for start in range(0, len(wanted), MAX_REPLAYED):
        part = wanted[start : start + MAX_REPLAYED]
        letters = [_of_status(runtime.engine, inbox_id, status) for inbox_id in part]
        for book in dict.fromkeys(letter.book for letter in letters):
            _record(runtime, book, event, [letter for letter in letters if letter.book == book], actor)
        with store.transaction(runtime.engine) as connection:
            done += _let_go(connection, part, status, actor)
    return done


def _of_status(engine: Engine, inbox_id: int, status: str) -> Letter:
    letter = find_letter(engine, inbox_id)
    if letter.status != status:
        raise Conflict(f"event {inbox_id} is {letter.status}, and not {status}; nothing was done.")
    return letter


def _record(runtime: Runtime, book: str, event: str, letters: Sequence[Letter], actor: Actor) -> None:
    told = [
        {
            "event": f"{letter.provider}/{letter.account}/{letter.event_id}",
            "reason": (letter.reason or "")[:200],
            "trace_id": letter.trace_id,
        }
        for letter in letters
    ]
    draft = RecordDraft(kind="security_event", body={"event": event, "letters": told, "count": len(told)})
    # An event for a book that nobody opened is recorded where the installation's own events are.
    where = book if has_book(runtime.engine, book) else None
    runtime.ledger(where).append([draft], Ask(actor=actor), atomic=True)


def _let_go(connection: Connection[Any], inbox_ids: Sequence[int], status: str, actor: Actor) -> int:
    return connection.execute(
        """
        update ops.webhook_inbox
        set status = 'pending', settled_at = null, attempts = 0, next_attempt_at = clock_timestamp(), proposal = null,
            replays = replays + 1, replayed_by = %(who)s, replayed_at = clock_timestamp(),
            approved_by = case when status = 'proposed' then %(who)s else approved_by end
        where inbox_id = any(%(ids)s) and status = %(status)s
        """,
        {"ids": list(inbox_ids), "status": status, "who": actor.subject},
    ).rowcount
