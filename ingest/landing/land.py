"""Landing: a provider's file becomes raw rows, encrypted bytes and one row of `raw.files`, or nothing at all.

Content-addressed: the same bytes for the same interval again are a no-op that says so. Two days without a sale give two
reports of a header alone, so the interval that a report was asked for is part of what it is. Which file counts for
which day is no matter of names or of the order of landing: relations.py says what a file is to those that landed. One
database transaction a file, and the bytes are stored before it commits, so a process killed anywhere leaves at most an
object that nothing points to and no key opens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID, uuid5

import orjson
import psycopg
from sqlalchemy import Engine

from ingest.contract.rows import Batch, ControlTotal, Reader, Source
from ingest.formats.sniffing import HEAD_BYTES, refuse_strangers
from ingest.landing import file_keys, raw_tables, relations, stored_bytes
from ingest.landing.answers import MAX_ROWS_LISTED, LandedFile, Rejection, already_landed
from ingest.landing.asked import Interval, checked_account, checked_interval
from ingest.landing.paths import expand, masked_name
from ingest.landing.unpacking import Content, contents
from ingest.sources import contracts, find_source
from ledger_core.base.encryption import KEY_BYTES
from ledger_core.base.objects.port import ObjectStore
from ledger_core.base.wrapping.keyring import KeyWrapping
from ledger_core.base.wrapping.port import Wrapped
from ledger_core.errors import DependencyError, IntegrityError, InvalidInput
from ledger_core.settings import Settings

_FILE_IDS = UUID("6f0c3a52-3c19-4f0e-9d6a-6a1a2f5f0c53")

Progress = Callable[[str, int, int], None]
"""Called with the file's name, the bytes done and the bytes in all."""


class LandingRuntime(Protocol):
    """What landing needs of `ledger_core.runtime.Runtime`."""

    settings: Settings
    engine: Engine
    raw_store: ObjectStore
    wrapping: KeyWrapping
    clock: Callable[[], datetime]


def land(
    runtime: LandingRuntime,
    *,
    source: str,
    paths: Sequence[Path],
    account: str | None = None,
    interval: Interval | None = None,
    book: str = "main",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> list[LandedFile]:
    """Land the files at `paths` (a folder stands for the files in it), each by itself, and say what became of each.

    What gzip folded lands as what was inside, and each member of a ZIP by itself. A file that cannot be read is
    `rejected` and the others land. With `dry_run` nothing is written: what landing would do is done and undone.
    Raises `InvalidInput` for an unknown source, an ill-formed account, an interval that ends before it begins or has
    not ended, a missing path or nothing to land before anything lands. `interval` is what the provider was asked for,
    both days included, where the file does not say it.
    """
    landing = Landing(
        runtime=runtime,
        source=find_source(source),
        book=book,
        account=checked_account(runtime.settings.ingest.provider_account if account is None else account),
        interval=checked_interval(interval, clock=runtime.clock) if interval else (None, None),
        progress=progress or (lambda *_: None),
        at=runtime.clock(),
        dry_run=dry_run,
    )
    files = expand(paths)
    if paths and not files:
        raise InvalidInput(
            "there is no file here to ingest.",
            file=", ".join(map(str, paths)) or None,
            remedy="Name a file, or a folder with files in it; hidden files and folders inside it are passed over.",
        )
    if not dry_run:
        file_keys.wrap_plain(runtime)
        with landing.transaction() as cursor:
            _mirror_contracts(cursor)
    return [landed for path in files for landed in landing.land(path)]


def _mirror_contracts(cursor: psycopg.Cursor) -> None:
    """Of every source: whose a bank's lines are is said by the providers' contracts."""
    for contract in contracts().values():
        raw_tables.mirror_contract(cursor, contract)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """One call of `land`: what holds for every file of it."""

    runtime: LandingRuntime
    source: Source
    book: str
    account: str
    interval: Interval
    progress: Progress
    at: datetime
    dry_run: bool = False
    again_of: UUID | None = None
    """The landed file of which these are the stored bytes, to be read by another version of the parser."""
    entropy: Callable[[int], bytes] = field(repr=False, default=os.urandom)

    def land(self, path: Path) -> Iterator[LandedFile]:
        """Land what is inside the file at `path`, and yield what became of each content."""
        contract = self.source.contract
        try:
            with contents(path, encoding=contract.encoding, keeps_wide=contract.format == "xml") as found:
                for content in found:
                    yield self.land_content(content)
        except InvalidInput as error:
            yield self._rejected(masked_name(path.name), error)

    def land_content(self, content: Content) -> LandedFile:
        """Land one content and say what became of it."""
        contract, name = self.source.contract, content.name
        digest: stored_bytes.Digest | None = None
        reader: list[Reader] = []
        try:
            with content.open() as stream:
                digest = stored_bytes.digest(stream, name=name)
                stream.seek(0)
                refuse_strangers(stream.read(HEAD_BYTES), name=name, contract=contract, known=contracts().values())
                return self._land_stream(stream, name, digest, seen=reader)
        except InvalidInput as error:
            return self._rejected(name, error, digest=digest, known=reader[0] if reader else None)

    def _rejected(
        self,
        name: str,
        error: InvalidInput,
        *,
        digest: stored_bytes.Digest | None = None,
        known: Reader | None = None,
    ) -> LandedFile:
        """Note that a file was refused, and what is known of it."""
        rejection = Rejection(code=error.code, message=error.message, remedy=error.remedy, file=name, line=error.line)
        if not self.dry_run:
            with self.transaction() as cursor:
                raw_tables.insert_rejected(
                    cursor,
                    book=self.book,
                    source=self.source.contract.source,
                    account=self.account,
                    name=name,
                    sha256=raw_tables.content_hmac(cursor, digest.sha256) if digest else None,
                    record_type=known.record_type.name if known else None,
                    first_on=self.interval[0] or (known.first_on if known else None),
                    last_on=self.interval[1] or (known.last_on if known else None),
                    size_bytes=digest.size_bytes if digest else None,
                    code=rejection.code,
                    line=rejection.line,
                    reason=str(rejection),
                    at=self.at,
                )
        return LandedFile(name=name, status="rejected", error=rejection)

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

    def _land_stream(
        self, stream: BinaryIO, name: str, digest: stored_bytes.Digest, *, seen: list[Reader]
    ) -> LandedFile:
        """Land the file; `seen` takes its reader, for what is known of a file that is refused on the way."""
        contract = self.source.contract
        with self.transaction() as cursor:
            if self.dry_run:
                _mirror_contracts(cursor)
            raw_tables.lock_account(cursor, book=self.book, source=contract.source, account=self.account)
            hmac = raw_tables.content_hmac(cursor, digest.sha256)
            # Files that landed long ago were named by their bare hash.
            for identity in (hmac, digest.sha256):
                if earlier := raw_tables.find_landed(cursor, self._file_id(identity), quarantined=MAX_ROWS_LISTED):
                    return already_landed(name, earlier, erased=file_keys.is_erased(cursor, earlier.file_id))
            self._refuse_erased(cursor, (hmac, digest.sha256), name)
            file_id, key = self._file_id(hmac), self.entropy(KEY_BYTES)
            # Before the file is read: where the key cannot be wrapped nothing is parsed, and nothing stored.
            wrapped = None if self.dry_run else self.runtime.wrapping.wrap(key, file_keys.context_of(file_id))
            stream.seek(0)
            reader = self.source.parse(stream, name=name)
            reader.zone = self.runtime.settings.ingest.time_zones.get(contract.source)
            seen.append(reader)
            if twin := file_keys.erased_twin(cursor, identities=(hmac, digest.sha256)):
                reader.warnings.append(_brought_back(*twin))
            batches = self._reported(reader, stream, name, digest.size_bytes)
            taken = raw_tables.copy_batches(cursor, batches, file_id=file_id)
            _assert_identity(reader, taken, name)
            self._hold_against_interval(reader, name)
            columns = self._insert(cursor, stream, name, digest, file_id, reader, hmac, (key, wrapped))
            if self.again_of is not None:
                relations.replace_whole(cursor, older_id=self.again_of, newer_id=file_id)
            supersedes = relations.note_relations(cursor, contract, reader.record_type, file_id=file_id)
            stored = raw_tables.find_landed(cursor, file_id, quarantined=0)
            if self.dry_run:
                cursor.connection.rollback()
        assert stored is not None
        sign = columns["payouts_sign_by_fee"] or columns["payouts_sign_by_sum"]
        return LandedFile(
            name=name,
            status="would_land" if self.dry_run else "landed",
            file_id=file_id,
            record_type=reader.record_type.name,
            read=reader.read,
            accepted=reader.accepted,
            quarantined=len(reader.quarantined),
            quarantined_rows=tuple((row.line, row.reason) for row in reader.quarantined[:MAX_ROWS_LISTED]),
            supersedes=tuple(supersedes),
            superseded_by=stored.superseded_by,
            document_at=stored.document_at,
            covers_from=stored.covers_from,
            covers_to=stored.covers_to,
            time_zone=reader.facts.time_zone,
            payouts_sign=None if sign is None else "paid" if sign == 1 else "balance",
            warnings=tuple(reader.warnings),
            control_totals=tuple(reader.control_totals),
        )

    def _file_id(self, identity: str) -> UUID:
        asked = [] if self.interval == (None, None) else ["{}..{}".format(*self.interval)]
        if self.again_of is not None:
            asked.append(f"parser {self.source.contract.parser_version}")
        return uuid5(_FILE_IDS, "\n".join((self.book, self.source.contract.source, self.account, identity, *asked)))

    def _refuse_erased(self, cursor: psycopg.Cursor, identities: Sequence[str], name: str) -> None:
        """Raise `InvalidInput` for a file that a record erased and of which nothing else is known here."""
        for identity in identities:
            if (seq := file_keys.erased_by(cursor, self._file_id(identity))) is not None:
                raise InvalidInput(
                    f"file {self._file_id(identity)} was erased by record {seq}, and is not landed again.",
                    file=name,
                    remedy="Take it out of what is landed: docs/runbooks/restore.md.",
                )

    def _hold_against_interval(self, reader: Reader, name: str) -> None:
        """Say it when rows lie outside the interval that was given. Raises `InvalidInput` when all of them do."""
        first_on, last_on = self.interval
        facts = reader.facts
        if facts.selected_from is None or facts.selected_to is None or self.interval == (None, None):
            return
        spoken, given = f"{facts.selected_from} to {facts.selected_to}", f"{first_on or '...'} to {last_on or '...'}"
        if (last_on and facts.selected_from > last_on) or (first_on and facts.selected_to < first_on):
            raise InvalidInput(
                f"the file speaks of {spoken}, the interval is {given} (`--from`, `--to`): no row lies in it.",
                file=name,
                remedy="Name the days that the provider was asked for, or leave them out.",
            )
        if (last_on and facts.selected_to > last_on) or (first_on and facts.selected_from < first_on):
            reader.warnings.append(f"rows of {spoken} in a file that covers {given} (`--from`, `--to`).")

    def _insert(
        self,
        cursor: psycopg.Cursor,
        stream: BinaryIO,
        name: str,
        digest: stored_bytes.Digest,
        file_id: UUID,
        reader: Reader,
        hmac: str,
        keys: tuple[bytes, Wrapped | None],
    ) -> dict[str, int | None]:
        """Store the bytes and insert everything about the file; return what it says of the sign of its payouts."""
        contract, (key, wrapped) = self.source.contract, keys
        # A landing that was killed may have left an object of this file under a key that is gone.
        object_name = f"{self.book}/{contract.source}/{file_id}.{self.entropy(4).hex()}"
        stored_sha256 = digest.sha256
        if wrapped is not None:
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
        facts = reader.facts
        document_at = facts.document_at
        if self.interval[1] is not None:
            # The end of the interval, its last day included: the provider answered after it.
            document_at = datetime.combine(self.interval[1] + timedelta(days=1), datetime.min.time(), UTC)
        by_fee, by_sum = relations.payouts_signs(cursor, reader.record_type, file_id=file_id)
        signs = {"payouts_sign_by_fee": by_fee, "payouts_sign_by_sum": by_sum}
        raw_tables.insert_file(
            cursor,
            book=self.book,
            source=contract.source,
            account=self.account,
            name=name,
            record_type=reader.record_type.name,
            file_id=file_id,
            provider=contract.provider,
            # A bare hash beside masked bytes would give the masked number away.
            sha256=hmac if reader.cards else digest.sha256,
            content_hmac=hmac,
            stored_sha256=stored_sha256,
            bytes=digest.size_bytes,
            object_name=object_name,
            received_at=self.at,
            interval_from=self.interval[0],
            interval_to=self.interval[1],
            first_on=reader.first_on,
            last_on=reader.last_on,
            document_at=document_at,
            selected_from=facts.selected_from,
            selected_to=facts.selected_to,
            time_zone=facts.time_zone,
            time_zone_said_by=facts.time_zone_said_by,
            **signs,
            parser_version=contract.parser_version,
            status="landed",
            rows_read=reader.read,
            rows_accepted=reader.accepted,
            rows_quarantined=len(reader.quarantined),
            warnings=orjson.dumps(reader.warnings).decode(),
        )
        raw_tables.insert_control_totals(cursor, reader.control_totals, file_id=file_id)
        raw_tables.insert_quarantine(cursor, reader.quarantined, file_id=file_id, key=key, at=self.at)
        if wrapped is not None:
            file_keys.insert_key(cursor, wrapped, file_id=file_id, at=self.at)
        return signs

    def _reported(self, reader: Reader, stream: BinaryIO, name: str, size_bytes: int) -> Iterator[Batch]:
        for batch in reader.batches():
            yield batch
            done = stream.tell()
            if done > size_bytes:
                raise stored_bytes.changed(name)
            self.progress(name, done, size_bytes)


def _brought_back(twin: str, file_id: UUID) -> str:
    return (
        f"the same bytes were erased, as {twin} ({file_id}): this file, of another interval or account, stores them "
        "again. Erase it too if they are to be gone."
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
