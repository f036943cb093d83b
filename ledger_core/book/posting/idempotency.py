"""Idempotency keys: what a repeated request is answered with.

A row is written in the same transaction as the records, so a key exists exactly when they do. It keeps where
the records stand and which items were refused or found unchanged; everything else of the answer is read from
the records. A request that appended nothing leaves no row: refusals are decided anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from psycopg import Connection

from ledger_core import errors
from ledger_core.book.posting.requests import Request
from ledger_core.errors import CounterfoilError, DuplicateExternalId, InvalidInput
from ledger_core.journal.cards import refuse_cards
from ledger_core.ports import Declined, Item, Posted, Unchanged

KEPT = timedelta(days=30)
MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOutcome:
    """The row behind a key."""

    fingerprint: bytes
    first_seq: int
    count: int
    outcome: list[list[Any]]
    """`[index, "declined", {...}]` or `[index, "unchanged", code]` for each item that appended nothing."""

    def items(self, posted: Sequence[Posted]) -> tuple[Item, ...]:
        """Return the answer's items, given the records from `first_seq` on."""
        others: dict[int, Item] = {index: _item(how, what) for index, how, what in self.outcome}
        remaining = iter(posted)
        total = len(posted) + len(others)
        return tuple(others[index] if index in others else next(remaining) for index in range(total))


def check_key(key: str | None) -> str | None:
    """Return `key` when it can be stored. Raises `InvalidInput`."""
    if key is not None and not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidInput(f"an idempotency key has 1 to {MAX_KEY_LENGTH} printable ASCII characters.")
    if key is not None:
        refuse_cards([("/Idempotency-Key", key)])
    return key


def read_outcomes(
    conn: Connection[Any], book: str, requests: Sequence[Request]
) -> dict[tuple[str, str], StoredOutcome]:
    """Return the stored outcomes of `requests`' keys by (route, key), in one query."""
    asked = [(request.route, request.key) for request in requests if request.key is not None]
    if not asked:
        return {}
    rows = conn.execute(
        "select route, key, fingerprint, first_seq, count, outcome from ledger.idempotency "
        "where book = %s and (route, key) in (select * from unnest(%s::text[], %s::text[]))",
        [book, [route for route, _ in asked], [key for _, key in asked]],
    )
    return {
        (row[0], row[1]): StoredOutcome(fingerprint=bytes(row[2]), first_seq=row[3], count=row[4], outcome=row[5])
        for row in rows
    }


def write_outcomes(conn: Connection[Any], book: str, done: Sequence[tuple[Request, Sequence[Item]]]) -> None:
    """Keep what each request came to, in the transaction that appends its records; one insert for all of them.

    A request without a key, or one that appended nothing, leaves no row.
    """
    rows = [_row(request, items) for request, items in done if request.key is not None]
    kept = [row for row in rows if row is not None]
    if kept:
        # An insert each cost half of transaction 1 when 64 single posts shared it.
        conn.execute(
            "insert into ledger.idempotency (book, route, key, fingerprint, first_seq, count, outcome) "
            "select %s, * from unnest(%s::text[], %s::text[], %s::bytea[], %s::bigint[], %s::integer[], %s::jsonb[])",
            [book, *map(list, zip(*kept, strict=True))],
        )


def _row(request: Request, items: Sequence[Item]) -> tuple[Any, ...] | None:
    first_seq = next((item.seq for item in items if isinstance(item, Posted)), None)
    if first_seq is None:
        return None
    others = [
        [index, "declined", _error_as_json(item.error)]
        if isinstance(item, Declined)
        else [index, "unchanged", item.code]
        for index, item in enumerate(items)
        if not isinstance(item, Posted)
    ]
    return (
        request.route,
        request.key,
        request.fingerprint,
        first_seq,
        len(items) - len(others),
        orjson.dumps(others, default=str).decode(),
    )


def forget_outcomes(conn: Connection[Any], book: str, *, kept: timedelta = KEPT, limit: int = 10_000) -> int:
    """Delete at most `limit` rows older than `kept` and return how many; `external_id` goes on protecting."""
    return conn.execute(
        "delete from ledger.idempotency where (book, route, key) in (select book, route, key "
        "from ledger.idempotency where book = %s and created_at < now() - %s limit %s)",
        [book, kept, limit],
    ).rowcount


def _item(how: str, what: Any) -> Item:
    return Unchanged(code=what) if how == "unchanged" else Declined(error=_error_from_json(what))


def _error_as_json(error: CounterfoilError) -> dict[str, Any]:
    # A room's own error is kept as the nearest one that every process knows, under the room's own code.
    known = next(each for each in type(error).__mro__ if getattr(errors, each.__name__, None) is each)
    stored: dict[str, Any] = {
        "type": known.__name__,
        "message": error.message,
        "remedy": error.remedy,
        "pointer": error.pointer,
        "context": error.context,
    }
    if error.code != known.code:  # type: ignore[attr-defined]
        stored["code"] = error.code
    if isinstance(error, DuplicateExternalId):
        stored["entry_id"], stored["identical"] = error.entry_id, error.identical
    return stored


def _error_from_json(stored: dict[str, Any]) -> CounterfoilError:
    kind = getattr(errors, stored["type"])
    rest = {name: stored[name] for name in ("entry_id", "identical") if name in stored}
    made: CounterfoilError = kind(
        stored["message"], remedy=stored["remedy"], pointer=stored["pointer"], **rest, **stored["context"]
    )
    if "code" in stored:
        vars(made)["code"] = stored["code"]
    return made
