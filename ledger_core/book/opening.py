"""Opening a book: its head row, and record 0 that says whose book it is.

Invariant: seq 0 of every log is its `book` record. A database that lacks a book which the signing proxy has
signed, or that lies in the archive, is a database that went back in time; nothing is opened in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg
from sqlalchemy import Engine

from ledger_core.actor import Actor
from ledger_core.book.kinds import Kinds
from ledger_core.book.posting.build import uuid7
from ledger_core.book.posting.clock import check_clock
from ledger_core.book.posting.holder import LOCK_TIMEOUT_SECONDS, STOPPED_SECONDS
from ledger_core.book.sequencer.archived import Archived, require_not_behind
from ledger_core.book.sequencer.checkpoints import behind_signature
from ledger_core.errors import ConfigurationError
from ledger_core.journal.accounts import check_book_name
from ledger_core.log.canonical import canonical_bytes
from ledger_core.log.merkle import Frontier, leaf_hash
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.log.record import NO_PREV, assemble, format_time
from ledger_core.settings import Settings
from ledger_core.signing.port import CheckpointSigner


class LedgerSigner(CheckpointSigner, Protocol):
    """The proxy as a book needs it: signatures, and the keys that they are by."""

    def keys(self) -> list[dict[str, Any]]:
        """Return the key registry's envelopes, oldest version first."""
        ...


class LedgerParts(Protocol):
    """What a book's posting library is made of; `ledger_core.runtime.Runtime` is one."""

    @property
    def settings(self) -> Settings: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def signer(self) -> LedgerSigner: ...
    @property
    def kinds(self) -> Kinds: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBook:
    """Where the book's log stood when it was opened."""

    size: int
    signed_size: int


def open_book(
    engine: Engine,
    signer: CheckpointSigner,
    *,
    book: str,
    origin: str,
    legal_entity: str,
    actor: Actor,
    clock: Callable[[], datetime],
    archive: Archived | None = None,
) -> OpenedBook:
    """Return where `book` stands, opening it first if need be; two processes that open at once open it once.

    Raises `ConfigurationError` when the book belongs to another origin, `IntegrityError` when the proxy has
    signed a book that the database does not have, `DependencyError` when a new book is to be opened and the
    proxy is away.
    """
    check_book_name(book)
    pooled = engine.raw_connection()
    try:
        conn: Any = pooled.driver_connection
        with conn.transaction():
            found = _head(conn, book)
        if found is None:
            latest = signer.latest(origin)
            if latest is not None:
                raise behind_signature(book, 0, parse_checkpoint(parse_note(latest).text).size)
            if archive is not None:
                require_not_behind(book, 0, archive)
            with conn.transaction():
                conn.execute(f"set local lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
                conn.execute(f"set local idle_in_transaction_session_timeout = '{STOPPED_SECONDS}s'")
                now = clock()
                check_clock(now, conn.execute("select clock_timestamp()").fetchone()[0])
                _write_first(conn, book, origin, legal_entity, actor, now)
            with conn.transaction():
                found = _head(conn, book)
            assert found is not None
    finally:
        pooled.close()
    if found[0] != origin:
        raise ConfigurationError(
            f"book {book} belongs to the log {found[0]}, this process is set to {origin}.",
            remedy="Set COUNTERFOIL_DOMAIN and COUNTERFOIL_ENV as they were when the book was opened.",
        )
    return OpenedBook(size=found[1], signed_size=found[2])


def _head(conn: psycopg.Connection[Any], book: str) -> tuple[str, int, int] | None:
    row = conn.execute("select origin, size, signed_size from ledger.log_head where book = %s", [book]).fetchone()
    return None if row is None else (row[0], row[1], row[2])


def _write_first(
    conn: psycopg.Connection[Any], book: str, origin: str, legal_entity: str, actor: Actor, now: datetime
) -> None:
    micros = round(now.timestamp() * 1_000_000)
    raw_id = uuid7(micros, os.urandom(8)).hex()
    body = {"actor": actor.as_body(), "legal_entity": legal_entity, "name": book, "origin": origin}
    canonical = assemble(
        body=canonical_bytes(body),
        book=book,
        id=f"{raw_id[:8]}-{raw_id[8:12]}-{raw_id[12:16]}-{raw_id[16:20]}-{raw_id[20:]}",
        kind="book",
        prev=NO_PREV,
        recorded_at=format_time(now),
        seq=0,
    )
    leaf = leaf_hash(canonical)
    made = conn.execute(
        "insert into ledger.log_head (book, origin, size, last_leaf, last_recorded_at, frontier) "
        "values (%s, %s, 1, %s, %s, %s) on conflict (book) do nothing",
        [book, origin, leaf, now, Frontier().extend([leaf]).to_bytes()],
    ).rowcount
    if made:
        conn.execute(
            "insert into ledger.records (book, seq, kind, recorded_at, leaf_hash, canonical) "
            "values (%s, 0, 'book', %s, %s, %s)",
            [book, now, leaf, canonical],
        )
