"""Landing: a provider's file becomes raw rows, encrypted bytes and one row of `raw.files`, or nothing at all.

Content-addressed: the same bytes again are a no-op that says so; the same name over the same days with other bytes is
a new version that supersedes the older one. One database transaction a file, and the bytes are stored before it
commits, so a process killed anywhere leaves at most an object that nothing points to and no key opens.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID, uuid5

import orjson
import psycopg
from sqlalchemy import Engine

from ingest.contract.rows import Batch, ControlTotal, Reader, Source
from ingest.formats.sniffing import HEAD_BYTES, refuse_strangers
from ingest.landing import raw_tables, stored_bytes
from ingest.sources import contracts, find_source
from ledger_core.base.encryption import KEY_BYTES
from ledger_core.base.objects.port import ObjectStore
from ledger_core.errors import DependencyError, IntegrityError, InvalidInput
from ledger_core.journal.text import shown
from ledger_core.settings import Settings

_FILE_IDS = UUID("6f0c3a52-3c19-4f0e-9d6a-6a1a2f5f0c53")

MAX_ROWS_LISTED = 20
"""Of the rows of a file that were put aside; the others stand in `raw.quarantine`."""
_ACCOUNT = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

Progress = Callable[[str, int, int], None]
"""Called with the file's name, the bytes done and the bytes in all."""


class LandingRuntime(Protocol):
    """What landing needs of `ledger_core.runtime.Runtime`."""

    settings: Settings
    engine: Engine
    raw_store: ObjectStore
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a file was refused whole, in plain values: it is printed as JSON and kept in `ops.rejected_files`."""

    code: str
    message: str
    remedy: str | None
    file: str
    line: int | None

    def __str__(self) -> str:
        return str(InvalidInput(self.message, remedy=self.remedy, file=self.file, line=self.line))


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedFile:
    """What became of one file: `landed`, `already_landed` (same bytes), or `rejected` with the `error`."""

    name: str
    status: str
    file_id: UUID | None = None
    record_type: str | None = None
    read: int = 0
    accepted: int = 0
    quarantined: int = 0
    quarantined_rows: tuple[tuple[int, str], ...] = ()
    """Line and reason of the first `MAX_ROWS_LISTED`."""
    supersedes: UUID | None = None
    warnings: tuple[str, ...] = ()
    control_totals: tuple[ControlTotal, ...] = ()
    error: Rejection | None = None


def land(
    runtime: LandingRuntime,
    *,
    source: str,
    paths: Sequence[Path],
    account: str | None = None,
    interval: tuple[date, date] | None = None,
    book: str = "main",
    progress: Progress | None = None,
) -> list[LandedFile]:
    """Land the files at `paths` (a folder stands for the files in it), each by itself, and say what became of each.

    A file that cannot be read is `rejected` and the others land. Raises `InvalidInput` for an unknown source, an
    ill-formed account, a missing path or nothing to land before anything lands.
    """
    landing = _Landing(
        runtime=runtime,
        source=find_source(source),
        book=book,
        account=_checked_account(runtime.settings.ingest.provider_account if account is None else account),
        interval=interval or (None, None),
        progress=progress or (lambda *_: None),
        at=runtime.clock(),
    )
    files = expand(paths)
    if paths and not files:
        raise InvalidInput(
            "there is no file here to ingest.",
            file=", ".join(map(str, paths)) or None,
            remedy="Name a file, or a folder with files in it; hidden files and folders inside it are passed over.",
        )
    with landing.transaction() as cursor:
        # Of every source: whose a bank's lines are is said by the providers' contracts.
        for contract in contracts().values():
            raw_tables.mirror_contract(cursor, contract)
    return [landing.land(path) for path in files]


def _checked_account(account: str) -> str:
    if _ACCOUNT.fullmatch(account) is None:
        raise InvalidInput(
            f"{shown(account)} cannot name an account at a provider (`--account`).",
            remedy="Use 1 to 64 letters, digits, '_', '.', ':' or '-', such as acct_1Abc.",
        )
    return account


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `paths` name; a folder stands for its files in order, hidden ones aside.

    Raises `InvalidInput` for what is neither.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(each for each in path.iterdir() if _is_delivered(each))
        elif path.is_file():
            files.append(path)
        else:
            problem = "is no regular file" if path.exists() else "does not exist"
            raise InvalidInput(f"the file {problem}.", file=str(path), remedy="Check the path.")
    return files


def _is_delivered(path: Path) -> bool:
    """Tell whether a folder's member is meant to land: a file, or a link to one that is gone, which is then named."""
    return not path.name.startswith(".") and (path.is_file() or (path.is_symlink() and not path.exists()))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, bytes]]:
    """Yield the file at `path` and its first bytes. Raises `InvalidInput` when it cannot be read."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("rb"))
            head = stream.read(HEAD_BYTES)
        except OSError as error:
            raise InvalidInput(
                f"the file cannot be read: {error.strerror}.",
                file=path.name,
                remedy="Check that it is there and that the user who runs this may read it.",
            ) from error
        yield stream, head


@dataclass(frozen=True, slots=True, kw_only=True)
class _Landing:
    """One call of `land`: what holds for every file of it."""

    runtime: LandingRuntime
    source: Source
    book: str
    account: str
    interval: tuple[date | None, date | None]
    progress: Progress
    at: datetime
    entropy: Callable[[int], bytes] = field(repr=False, default=os.urandom)

    def land(self, path: Path) -> LandedFile:
        contract, digest = self.source.contract, None
        try:
            with _opened(path) as (stream, head):
                refuse_strangers(head, name=path.name, contract=contract, known=contracts().values())
                digest = stored_bytes.digest(stream, name=path.name)
                return self._land_stream(stream, path.name, digest)
        except InvalidInput as error:
            rejection = Rejection(
                code=error.code, message=error.message, remedy=error.remedy, file=path.name, line=error.line
            )
            with self.transaction() as cursor:
                raw_tables.insert_rejected(
                    cursor,
                    book=self.book,
                    source=contract.source,
                    account=self.account,
                    name=path.name,
                    sha256=digest.sha256 if digest else None,
                    size_bytes=digest.size_bytes if digest else None,
                    code=rejection.code,
                    line=rejection.line,
                    reason=str(rejection),
                    at=self.at,
                )
            return LandedFile(name=path.name, status="rejected", error=rejection)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Cursor]:
        """Yield a cursor whose work commits at the end. Raises `DependencyError` when the database goes away."""
        try:
            with self.runtime.engine.begin() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                with driver.cursor() as cursor:
                    yield cursor
        except psycopg.OperationalError as error:
            raise DependencyError(
                f"the database went away: {str(error).strip().splitlines()[0]}",
                remedy="Run the same command again; what had landed stays, and nothing landed by half.",
            ) from error

    def _land_stream(self, stream: BinaryIO, name: str, digest: stored_bytes.Digest) -> LandedFile:
        contract = self.source.contract
        file_id = uuid5(_FILE_IDS, "\n".join((self.book, contract.source, self.account, digest.sha256)))
        with self.transaction() as cursor:
            raw_tables.lock_names(cursor, book=self.book, source=contract.source, account=self.account)
            earlier = raw_tables.find_landed(cursor, file_id, quarantined=MAX_ROWS_LISTED)
            if earlier:
                return _already_landed(name, earlier)
            stream.seek(0)
            reader = self.source.parse(stream, name=name)
            batches = self._reported(reader, stream, name, digest.size_bytes)
            taken = raw_tables.copy_batches(cursor, batches, file_id=file_id)
            _assert_identity(reader, taken, name)
            supersedes = self._insert(cursor, stream, name, digest, file_id, reader)
        return LandedFile(
            name=name,
            status="landed",
            file_id=file_id,
            record_type=reader.record_type.name,
            read=reader.read,
            accepted=reader.accepted,
            quarantined=len(reader.quarantined),
            quarantined_rows=tuple((row.line, row.reason) for row in reader.quarantined[:MAX_ROWS_LISTED]),
            supersedes=supersedes,
            warnings=tuple(reader.warnings),
            control_totals=tuple(reader.control_totals),
        )

    def _insert(
        self,
        cursor: psycopg.Cursor,
        stream: BinaryIO,
        name: str,
        digest: stored_bytes.Digest,
        file_id: UUID,
        reader: Reader,
    ) -> UUID | None:
        """Store the bytes and insert everything about the file; return the file it supersedes."""
        contract, key = self.source.contract, self.entropy(KEY_BYTES)
        # A landing that was killed may have left an object of this file under a key that is gone.
        object_name = f"{self.book}/{contract.source}/{file_id}.{self.entropy(4).hex()}"
        stored_sha256 = stored_bytes.store(
            stream,
            into=self.runtime.raw_store,
            object_name=object_name,
            aside=self.runtime.settings.home / "incoming",
            key=key,
            file_id=file_id,
            expected_sha256=digest.sha256,
            cards=reader.cards,
            name=name,
        )
        days = (self.interval[0] or reader.first_on, self.interval[1] or reader.last_on)
        place = {
            "book": self.book,
            "source": contract.source,
            "account": self.account,
            "name": name,
            "record_type": reader.record_type.name,
        }
        supersedes = raw_tables.find_older_version(cursor, **place, first_on=days[0], last_on=days[1])
        raw_tables.insert_file(
            cursor,
            **place,
            file_id=file_id,
            provider=contract.provider,
            sha256=digest.sha256,
            stored_sha256=stored_sha256,
            bytes=digest.size_bytes,
            object_name=object_name,
            received_at=self.at,
            interval_from=self.interval[0],
            interval_to=self.interval[1],
            first_on=reader.first_on,
            last_on=reader.last_on,
            parser_version=contract.parser_version,
            status="landed",
            supersedes=supersedes,
            rows_read=reader.read,
            rows_accepted=reader.accepted,
            rows_quarantined=len(reader.quarantined),
            warnings=orjson.dumps(reader.warnings).decode(),
        )
        raw_tables.insert_control_totals(cursor, reader.control_totals, file_id=file_id)
        raw_tables.insert_quarantine(cursor, reader.quarantined, file_id=file_id, key=key, at=self.at)
        raw_tables.insert_key(cursor, file_id=file_id, key=key, at=self.at)
        return supersedes

    def _reported(self, reader: Reader, stream: BinaryIO, name: str, size_bytes: int) -> Iterator[Batch]:
        for batch in reader.batches():
            yield batch
            done = stream.tell()
            if done > size_bytes:
                raise stored_bytes.changed(name)
            self.progress(name, done, size_bytes)


def _already_landed(name: str, earlier: raw_tables.Landed) -> LandedFile:
    warnings = [f"the same bytes landed before, as {earlier.name} at {earlier.received_at:%Y-%m-%d %H:%M} UTC."]
    if earlier.superseded_by:
        warnings.append("A newer version of that file has landed since and stays the one that counts.")
    return LandedFile(
        name=name,
        status="already_landed",
        file_id=earlier.file_id,
        record_type=earlier.record_type,
        read=earlier.rows_read,
        accepted=earlier.rows_accepted,
        quarantined=earlier.rows_quarantined,
        quarantined_rows=earlier.quarantined_rows,
        warnings=tuple(warnings),
        control_totals=earlier.control_totals,
    )


def _assert_identity(reader: Reader, taken: dict[str, int], name: str) -> None:
    """Add the total `rows`: accepted + quarantined = read, and accepted is what Postgres took."""
    counted = taken.get(reader.counted_table, 0)
    total = ControlTotal(
        name="rows",
        subject="",
        expected=str(reader.read),
        actual=str(counted + len(reader.quarantined)),
        passed=counted == reader.accepted and reader.read == counted + len(reader.quarantined),
    )
    reader.control_totals.append(total)
    if not total.passed:
        raise IntegrityError(
            f"{reader.read} rows were read, {counted} stored, {len(reader.quarantined)} put aside; nothing was kept.",
            file=name,
            remedy="This is a fault in the parser: report it with the file.",
        )
