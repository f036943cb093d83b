"""The door: books rebuilt in an empty database from an archive alone, or what a restored database lacks put behind it.

All books in one transaction: an interrupted replay left nothing, and is repeated. Nothing is signed and nothing judged
anew, and nothing is asked of the signing proxy but which keys count and what it signed last. Not rebuilt, because no
record says it: idempotency keys, and the checkpoints between two segments (docs/decisions/0026-replay.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from ledger_core.book.posting.head import HeadRow, insert_head, lock_head
from ledger_core.book.posting.holder import LOCK_TIMEOUT_SECONDS, head_held
from ledger_core.book.sequencer.interpreter import tune_interpreter
from ledger_core.errors import (
    ArchiveRefused,
    ConfigurationError,
    DependencyError,
    IntegrityError,
    InvalidInput,
    NotEmpty,
    NotFound,
)
from ledger_core.evidence.keyring import pinned_ring, read_checkpoint
from ledger_core.evidence.replay.archive import VerifiedLog, verified_logs
from ledger_core.evidence.replay.prefix import require_prefix
from ledger_core.evidence.replay.rebuild import rebuilding, take_log
from ledger_core.evidence.replay.tail import TailStream, tail_lines
from ledger_core.log.findings import TRUNCATED
from ledger_core.log.note import Checkpoint, encode_base64
from ledger_core.log.object_tree import Place

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

TABLES = (
    "records", "checkpoints", "tiles", "accounts", "account_versions", "balances", "entries", "postings", "idempotency",
    "exports", "private_values", "private_keys", "erased_values", "erased_files", "replays",
    "relay_cursors",
)  # fmt: skip

APPLICATION = "replay of counterfoil"

Progress = Callable[[str, int], None]
"""Told what goes on, and the number of records done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A book as the replay left it; `behind` is how many records more the signing proxy has signed, None if unknown."""

    book: str
    origin: str
    records: int
    first_seq: int
    size: int
    root: str
    behind: int | None


def replay(
    runtime: Runtime,
    place: Place,
    *,
    trust: Path | None = None,
    book: str | None = None,
    proceed: bool = False,
    tail: Path | None = None,
    progress: Progress | None = None,
) -> list[Replayed]:
    """Rebuild the books archived at `place`, or `book` alone, and return where each stands.

    With `proceed` a book that the database has is gone on with, after proving that it is the beginning of the archived
    one. `tail` is a file of the records behind the archive's end, which the signing proxy must have signed.
    Raises `ArchiveRefused` or `InvalidInput` for an archive that does not verify, `NotEmpty` for a database that is not
    empty, `LedgerForked` for one of another history. Then nothing was written.
    """
    if runtime.settings.ledger_url:
        raise ConfigurationError(
            "COUNTERFOIL_LEDGER_URL names a ledger elsewhere, and a replay writes to a database.",
            remedy="Run it where the database is, with COUNTERFOIL_LEDGER_URL unset.",
        )
    tell = progress or (lambda _what, _records: None)
    tune_interpreter()
    with _connection(runtime) as conn:
        heads = dict(conn.execute("select book, size from ledger.log_head").fetchall())
        conn.rollback()
        known = [size for name, size in heads.items() if book in (None, name)] if proceed else []
        logs = verified_logs(
            place,
            trust or (runtime.trust_path if runtime.trust_path.exists() else None),
            since=min(known) if known else None,
            shapes=runtime.kinds.shapes,
            progress=partial(tell, "verifying"),
        )
        chosen = _chosen(runtime, logs, book, place)
        if tail is not None and len(chosen) != 1:
            raise InvalidInput("a tail is one book's.", remedy="Name the book with --book.")
        _refuse_others(heads, chosen, book, proceed)
        try:
            with conn.transaction():
                conn.execute(f"set local lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
                done = [_replay_one(runtime, conn, log, proceed, tail, tell) for log in chosen]
        except psycopg.errors.LockNotAvailable as error:
            raise head_held(runtime.engine, chosen[0].book) from error
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise IntegrityError(
                f"the database refuses what the records say: {str(error).strip().splitlines()[0]}.",
                remedy="Nothing was written. The archive changed meanwhile, or the database has rules that are "
                "not this version's: run `counterfoil verify`, and give a database that this version migrated.",
            ) from error
    return done


def _replay_one(
    runtime: Runtime, conn: psycopg.Connection[Any], log: VerifiedLog, proceed: bool, tail: Path | None, tell: Progress
) -> Replayed:
    head = _opened(conn, log, proceed, tell)
    signed = _signed_last(runtime, log.origin)
    with rebuilding(conn, log.book, head, runtime.kinds, partial(tell, "replaying")) as rebuild:
        if head.size < log.size:
            take_log(rebuild, log)
        if tail is not None:
            if signed is None:
                raise DependencyError("the signing proxy has signed nothing of this log, so a tail cannot be judged.")
            checkpoint, note = signed
            stream = TailStream(log.book, rebuild.head, checkpoint, runtime.kinds.shapes)
            for lines in tail_lines(tail, rebuild.head, checkpoint):
                stream.feed(lines)
                rebuild.take(lines)
            stream.require_signed(tail)
            rebuild.store(note)
        rebuild.finish()
        after = rebuild.head
    for kind in runtime.kinds:
        kind.restored(conn, log.book)
    if after.size > head.size:
        # A check tells by this what no archive could bring from what was taken away.
        conn.execute(
            "insert into ledger.replays (book, first_seq, next_seq) values (%s, %s, %s)",
            [log.book, head.size, after.size],
        )
    return Replayed(
        book=log.book,
        origin=log.origin,
        records=after.size - head.size,
        first_seq=head.size,
        size=after.size,
        root=encode_base64(after.frontier.root()),
        behind=None if signed is None else max(0, signed[0].size - after.size),
    )


def _opened(conn: psycopg.Connection[Any], log: VerifiedLog, proceed: bool, tell: Progress) -> HeadRow:
    """Return the locked head that the records go behind: a new one, or that of a book which is gone on with."""
    exists = conn.execute("select 1 from ledger.log_head where book = %s", [log.book]).fetchone() is not None
    if not exists:
        if log.first_seq:
            raise ArchiveRefused(
                f"the archive of book {log.book} begins at seq {log.first_seq}, and the database has nothing of it.",
                remedy="Give an archive that begins with the book.",
                verdict=TRUNCATED,
            )
        _refuse_remains(conn, log.book)
        insert_head(conn, log.book, log.origin)
        return lock_head(conn, log.book)
    if not proceed:
        raise _not_empty(log.book)
    head = lock_head(conn, log.book)
    if head.origin != log.origin:
        raise ConfigurationError(f"book {log.book} belongs to the log {head.origin}, the archive is of {log.origin}.")
    require_prefix(conn, head, log, progress=partial(tell, "comparing"))
    return head


def _chosen(runtime: Runtime, logs: list[VerifiedLog], book: str | None, place: Place) -> list[VerifiedLog]:
    """Return the logs to be replayed. Raises `NotFound`, and `ConfigurationError` for those of another installation."""
    chosen = [log for log in logs if book in (None, log.book)]
    if not chosen:
        raise NotFound(f"{place} holds nothing of book {book}.", remedy="Name another archive, or another book.")
    for log in chosen:
        if runtime.settings.origin_of(log.book) != log.origin:
            raise ConfigurationError(
                f"the archive is of the log {log.origin}, this process is set to "
                f"{runtime.settings.origin_of(log.book)}.",
                remedy="Set COUNTERFOIL_DOMAIN and COUNTERFOIL_ENV as they were when the book was opened.",
            )
    return chosen


def _refuse_others(heads: dict[str, int], chosen: list[VerifiedLog], book: str | None, proceed: bool) -> None:
    """Refuse a database that is not empty, unless it is gone on with, or `book` alone is put beside others."""
    if proceed:
        return
    for name in sorted(heads):
        if book is None or name in {log.book for log in chosen}:
            raise _not_empty(name)


def _refuse_remains(conn: psycopg.Connection[Any], book: str) -> None:
    """Refuse a database that has rows of the book and no head of it: somebody took that away."""
    for table in TABLES:
        found = conn.execute(f"select 1 from ledger.{table} where book = %s limit 1", [book]).fetchone()  # noqa: S608
        if found is not None:
            raise NotEmpty(
                f"the database has no book {book}, and rows of it in ledger.{table}.",
                remedy="Give an empty database: `createdb`, and DATABASE_URL.",
                book=book,
            )


def _not_empty(book: str) -> NotEmpty:
    return NotEmpty(
        f"the database holds book {book} already; a book is rebuilt in an empty database.",
        remedy="Give an empty one in DATABASE_URL; or go on with what is there by --continue.",
        book=book,
    )


def _signed_last(runtime: Runtime, origin: str) -> tuple[Checkpoint, str] | None:
    """Return the last checkpoint that the signing proxy gave out, if it knows one that counts."""
    try:
        note = runtime.signer.latest(origin)
        if note is None:
            return None
        checkpoint, why_not = read_checkpoint(pinned_ring(runtime, origin), note, origin)
    except DependencyError:
        return None
    return None if why_not else (checkpoint, note)


@contextmanager
def _connection(runtime: Runtime) -> Iterator[psycopg.Connection[Any]]:
    pooled = runtime.engine.raw_connection()
    driver: Any = pooled.driver_connection
    try:
        # A replay holds a head while it reads an archive: it is no writer of ours that stopped (`posting.holder`).
        driver.execute(f"set application_name = '{APPLICATION}'")
        driver.commit()
        yield driver
    finally:
        try:
            driver.rollback()
            driver.execute("reset application_name")
            driver.commit()
        except psycopg.Error:
            pooled.invalidate()
        pooled.close()
