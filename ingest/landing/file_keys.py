"""The key of each landed file: kept wrapped, opened for whoever reads, wrapped anew, dropped.

A row of `ops.file_keys` says which key-encryption key wrapped it (base/wrapping). Rows of older releases hold the key
in plain until the first landing wraps them, a batch a transaction: a run that is killed goes on where it was. Not the
bytes themselves, which `stored_bytes` writes and reads. Invariants: a key that was dropped is put back by nobody; a
wrapped key is replaced only by one that was opened again and is the same; what staging and production read was wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import psycopg
from sqlalchemy import Connection, Engine, Row, text

from ledger_core.base.encryption import ALGORITHM
from ledger_core.base.locks import hold_lock
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.base.wrapping.port import Context, KeyName, Wrapped
from ledger_core.errors import ConfigurationError, CounterfoilError, DependencyError, Erased, IntegrityError, NotFound
from ledger_core.settings import Settings

BATCH_KEYS = 50
"""A transaction, and what a killed run does again."""
MAX_FAILURES_LISTED = 20
REWRAP_LOCK = 0x66696C656B657973  # "filekeys"
WAIT_SECONDS = 300.0
"""For another process that wraps what is plain."""

_KEPT = (
    "(select * from ops.file_keys as kept where not exists "
    "(select from ledger.erased_files as erased where erased.file_id = kept.file_id))"
)
"""The keys of files that no record erased: one that was put back past the guards opens nothing."""
_OTHER = "(backend, wrapping_key, key_version) is distinct from (:backend, :key, :version)"

Progress = Callable[[int], None]


class KeysRuntime(Protocol):
    """What is needed of `ledger_core.runtime.Runtime`."""

    settings: Settings
    engine: Engine
    wrapping: KeyWrapping


class OpeningRuntime(KeysRuntime, Protocol):
    """What opening a key needs of it besides."""

    def withheld(self, book: str) -> CounterfoilError | None:
        """Return why nothing that may have been erased of `book` is opened now, None where it may be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How many keys lie under one key-encryption key; `by` is None for those that lie in plain."""

    by: KeyName | None
    keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """What a run came to: keys wrapped anew under `current`, those that could not be opened, and what is `left`."""

    current: KeyName
    rewrapped: int
    failed: int
    failures: tuple[tuple[UUID, str], ...]
    """The first `MAX_FAILURES_LISTED`: the file and why."""
    left: int
    """Under another key still, `failed` among them: landed meanwhile by a process with other settings."""


def context_of(file_id: UUID) -> Context:
    """Return what the key of a file is bound to. Never changed: what is wrapped opens under nothing else."""
    return {"counterfoil": "raw-file", "file_id": str(file_id)}


def insert_key(cursor: psycopg.Cursor, wrapped: Wrapped, *, file_id: UUID, at: datetime) -> None:
    """Keep the wrapped key of a file's bytes."""
    cursor.execute(
        """
        insert into ops.file_keys (file_id, algorithm, backend, wrapping_key, key_version, wrapped, created_at)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (file_id, ALGORITHM, wrapped.by.backend, wrapped.by.key, wrapped.by.version, wrapped.data, at),
    )


def open_key(runtime: OpeningRuntime, file_id: UUID) -> bytes:
    """Return the key of a file's bytes.

    Raises `Erased` once it was dropped, also if it was put back since; `NotFound` for a file that never was;
    `LedgerBehind` while the book is older than what was signed of it, which may be its erasure; `KeyNotOpened` for a
    row that is another file's or was changed; `DependencyError` while the keeper is away.
    """
    row = _row_of(runtime, file_id)
    if (why := runtime.withheld(row.book)) is not None:
        raise why
    if row.wrapped is None and not runtime.settings.strict:
        wrap_plain(runtime)
        row = _row_of(runtime, file_id)
    if row.wrapped is None:
        raise ConfigurationError(
            f"COUNTERFOIL_ENV={runtime.settings.env} refuses the key of file {file_id}, which lies in plain.",
            remedy="Run `counterfoil file-keys rewrap`: it wraps every key that an older release left so.",
        )
    return runtime.wrapping.unwrap(_wrapped_of(row), context_of(file_id))


def drop_key(connection: psycopg.Connection[Any], file_id: UUID | str) -> bool:
    """Drop the key of a file's bytes, in the caller's transaction: what is stored is noise from its commit on.

    Return whether there was one; dropping it again does nothing. The rows of the file stay, and so does the row of
    `raw.files`, by which the same bytes are known when they come again.
    """
    return connection.execute("delete from ops.file_keys where file_id = %s", [file_id]).rowcount > 0


def is_erased(cursor: psycopg.Cursor, file_id: UUID) -> bool:
    """Say of a file that landed whether its key was dropped."""
    return cursor.execute(f"select from {_KEPT} as key where file_id = %s", (file_id,)).fetchone() is None


def erased_by(cursor: psycopg.Cursor, file_id: UUID) -> int | None:
    """Return the seq of the record that erased a file, whether or not anything is left of it here; None without one."""
    row = cursor.execute("select seq from ledger.erased_files where file_id = %s", (file_id,)).fetchone()
    return None if row is None else int(row[0])


def erased_twin(cursor: psycopg.Cursor, *, identities: Sequence[str]) -> tuple[str, UUID] | None:
    """Return name and id of an erased file whose bytes have one of the hashes `identities`, None if there is none."""
    cursor.execute(
        f"""
        select file.name, file.file_id from raw.files as file
        where coalesce(file.content_hmac, file.sha256) = any(%s)
            and not exists (select from {_KEPT} as key where key.file_id = file.file_id)
        order by file.received_at desc limit 1
        """,  # noqa: S608 - a constant
        (list(identities),),
    )
    row = cursor.fetchone()
    return None if row is None else (row[0], row[1])


def wrap_plain(runtime: KeysRuntime) -> int:
    """Wrap every key that an older release left in plain; return how many. Raises `DependencyError`.

    Each batch commits: what was wrapped stays so, and the next run does the rest.
    """
    with runtime.engine.connect() as connection:
        found = text("select exists (select from ops.file_keys where backend is null)")
        if not connection.execute(found).scalar_one():
            return 0
    with hold_lock(runtime.engine, REWRAP_LOCK, wait_seconds=WAIT_SECONDS, busy=_busy):
        return sum(len(batch) for batch in _batches(runtime, "backend is null", {}, _wrap_again))


def rewrap(runtime: KeysRuntime, *, progress: Progress = lambda _: None) -> Rewrapped:
    """Wrap every key anew that is not under the current one, the plain ones too.

    Each batch commits, so that it may be stopped at any time and run again. A key that cannot be opened, for its own
    sake or since what wrapped it is gone, is counted and passed over; a keeper that is away ends the run.
    """
    current = runtime.wrapping.current
    given = {"backend": current.backend, "key": current.key, "version": current.version}
    done, failures = 0, list[tuple[UUID, str]]()
    failed = 0

    def again(runtime: KeysRuntime, row: Row[Any]) -> Wrapped | None:
        nonlocal failed
        try:
            return _wrap_again(runtime, row)
        except _Unopened as error:
            failed += 1
            if len(failures) < MAX_FAILURES_LISTED:
                failures.append((row.file_id, str(error.reason)))
            return None

    with hold_lock(runtime.engine, REWRAP_LOCK, busy=_busy):
        for batch in _batches(runtime, _OTHER, given, again):
            done += len(batch)
            progress(done)
    left = sum(each.keys for each in held(runtime.engine) if each.by != current)
    return Rewrapped(current=current, rewrapped=done, failed=failed, failures=tuple(failures), left=left)


def held(engine: Engine) -> list[Held]:
    """Return how many keys lie under which key-encryption key."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select backend, wrapping_key, key_version, count(*) as keys from ops.file_keys "
                "group by backend, wrapping_key, key_version order by backend nulls first, wrapping_key, key_version"
            )
        ).all()
    return [
        Held(
            by=None
            if row.backend is None
            else KeyName(backend=row.backend, key=row.wrapping_key, version=row.key_version),
            keys=row.keys,
        )
        for row in rows
    ]


class _Unopened(Exception):
    """A key of one row could not be opened, and others may be."""

    def __init__(self, reason: CounterfoilError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _batches(
    runtime: KeysRuntime,
    condition: str,
    given: dict[str, str],
    wrap: Callable[[KeysRuntime, Row[Any]], Wrapped | None],
) -> Iterator[list[UUID]]:
    """Yield, after each transaction, the files whose keys it wrapped anew: all those that meet `condition`."""
    after = UUID(int=0)
    listed = text(
        f"select * from ops.file_keys where file_id > :after and {condition} order by file_id limit :batch"  # noqa: S608
    )
    while True:
        with runtime.engine.connect() as connection:
            rows = connection.execute(listed, {**given, "after": after, "batch": BATCH_KEYS}).all()
        if not rows:
            return
        # No row is held while the keeper is asked: who erases one waits under the head's lock, and every post with him.
        fresh = [(row, wrapped) for row in rows if (wrapped := wrap(runtime, row)) is not None]
        with runtime.engine.begin() as connection:
            done = [row.file_id for row, wrapped in fresh if _replace(connection, row, wrapped)]
        yield done
        after = rows[-1].file_id


def _wrap_again(runtime: KeysRuntime, row: Row[Any]) -> Wrapped:
    context = context_of(row.file_id)
    key = bytes(row.key) if row.wrapped is None else _opened(runtime, row)
    fresh = runtime.wrapping.wrap(key, context)
    if runtime.wrapping.unwrap(fresh, context) != key:
        raise IntegrityError(
            f"the key of file {row.file_id} came back another one from {fresh.by}; nothing of it was kept.",
            remedy="What answers is not what was asked: look at the keeper before anything else lands.",
        )
    return fresh


def _opened(runtime: KeysRuntime, row: Row[Any]) -> bytes:
    try:
        return runtime.wrapping.unwrap(_wrapped_of(row), context_of(row.file_id))
    except (IntegrityError, ConfigurationError) as error:
        raise _Unopened(error) from error
    except DependencyError as error:
        if error.retryable:
            raise
        raise _Unopened(error) from error


def _replace(connection: Connection, row: Row[Any], wrapped: Wrapped) -> bool:
    """Put `wrapped` in the place of what `row` held; say whether it was there still. One that was dropped stays so."""
    replaced = connection.execute(
        text(
            "update ops.file_keys set key = null, backend = :backend, wrapping_key = :key, key_version = :version, "
            "wrapped = :wrapped where file_id = :file_id "
            "and key is not distinct from :old_key and wrapped is not distinct from :old_wrapped"
        ),
        {
            "file_id": row.file_id,
            "old_key": row.key,
            "old_wrapped": row.wrapped,
            "backend": wrapped.by.backend,
            "key": wrapped.by.key,
            "version": wrapped.by.version,
            "wrapped": wrapped.data,
        },
    )
    return replaced.rowcount > 0


def _row_of(runtime: KeysRuntime, file_id: UUID) -> Row[Any]:
    with runtime.engine.connect() as connection:
        row = connection.execute(
            text(
                "select file.file_id, file.book, key.file_id as kept, key.backend, key.wrapping_key, key.key_version, "  # noqa: S608 - a constant
                f"key.wrapped from raw.files as file left join {_KEPT} as key using (file_id) "
                "where file.file_id = :file_id"
            ),
            {"file_id": file_id},
        ).one_or_none()
    if row is None:
        raise NotFound(f"there is no file {file_id}.", remedy="Name a file that landed.")
    if row.kept is None:
        raise Erased(
            f"file {file_id} was erased: its key was dropped, and its stored bytes are noise.",
            remedy="Its landed rows stand; the bytes are to be had from whoever sent them alone.",
        )
    return row


def _wrapped_of(row: Row[Any]) -> Wrapped:
    by = KeyName(backend=row.backend, key=row.wrapping_key, version=row.key_version)
    return Wrapped(by=by, data=bytes(row.wrapped))


def _busy() -> DependencyError:
    return DependencyError(
        "another process wraps the keys of files anew.", remedy="Wait until it is done, then run the same command."
    )
