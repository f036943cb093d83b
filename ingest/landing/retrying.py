"""Files whose rows were put aside, read again by the parser and the contract as they are now.

Nothing that landed is changed: the stored bytes land once more, under the parser's new version, and that landing
replaces the one before on all its days. So accepted + quarantined = read holds of each, and a run that stands keeps
what it read. Bytes that were erased are not read again, and what was masked stays masked.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Protocol, cast
from uuid import UUID

from sqlalchemy import text

from ingest.landing.answers import LandedFile
from ingest.landing.land import Landing, LandingRuntime
from ingest.landing.stored_bytes import read_stored
from ingest.landing.unpacking import Content
from ingest.sources import contracts, find_source
from ledger_core.errors import CounterfoilError, Erased, NotFound


class RetryingRuntime(LandingRuntime, Protocol):
    """What reading landed files again needs of `ledger_core.runtime.Runtime`."""

    def withheld(self, book: str) -> CounterfoilError | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What became of one file."""

    file_id: UUID
    name: str
    source: str
    status: str
    """`healed` (nothing is aside any more), `better`, `unchanged` (as many rows aside), `same_parser` (read by this
    version already), `erased`, or `rejected`."""
    was_aside: int
    is_aside: int
    parser_was: int
    parser_is: int
    landed: LandedFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    file_id: UUID
    name: str
    source: str
    account: str
    interval_from: object
    interval_to: object
    parser_version: int
    rows_quarantined: int


def retry(
    runtime: RetryingRuntime, *, book: str, source: str | None = None, file_id: UUID | None = None
) -> list[Retried]:
    """Read again every current file of `book` with rows aside, or those of `source`, or the one called `file_id`.

    Raises `NotFound` for a file that is not there, and as reading a landed file does where its key's keeper is away.
    """
    with runtime.engine.connect() as connection:
        rows = connection.execute(
            text(
                "select file_id, name, source, account, interval_from, interval_to, parser_version, rows_quarantined"
                " from raw.current_files where book = :book and rows_quarantined > 0 and is_current"
                " and (cast(:source as text) is null or source = :source)"
                " and (cast(:file_id as uuid) is null or file_id = :file_id) order by received_at, file_id"
            ),
            {"book": book, "source": source, "file_id": file_id},
        )
        files = [_Stored(**row) for row in rows.mappings()]
    if file_id is not None and not files:
        raise NotFound(
            f"no file {file_id} that counts has rows aside.",
            remedy="`counterfoil quarantine list` shows those that do.",
        )
    known = contracts()
    return [_retried(runtime, book, each, known[each.source].parser_version) for each in files if each.source in known]


def _retried(runtime: RetryingRuntime, book: str, file: _Stored, parser_is: int) -> Retried:
    said = Retried(
        file_id=file.file_id,
        name=file.name,
        source=file.source,
        status="same_parser",
        was_aside=file.rows_quarantined,
        is_aside=file.rows_quarantined,
        parser_was=file.parser_version,
        parser_is=parser_is,
    )
    if parser_is == file.parser_version:
        return said
    landing = Landing(
        runtime=runtime,
        source=find_source(file.source),
        book=book,
        account=file.account,
        interval=(file.interval_from, file.interval_to),  # type: ignore[arg-type]
        progress=lambda *_: None,
        at=runtime.clock(),
        again_of=file.file_id,
    )
    content = Content(file.name, lambda: _stream(lambda: read_stored(runtime, file.file_id)))
    try:
        dry = replace(landing, dry_run=True).land_content(content)
        if dry.status == "would_land" and dry.quarantined >= file.rows_quarantined:
            return replace(said, status="unchanged", landed=dry)
        landed = landing.land_content(content)
    except Erased:
        return replace(said, status="erased")
    if landed.status == "rejected":
        return replace(said, status="rejected", landed=landed)
    status = "healed" if not landed.quarantined else "better"
    return replace(said, status=status, is_aside=landed.quarantined, landed=landed)


class _Replayed(io.RawIOBase):
    """Stored bytes as a stream that begins anew when it is sought to its start."""

    def __init__(self, begin: Callable[[], Iterator[bytes]]) -> None:
        self._begin = begin
        self.seek(0)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._held) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._held += chunk
        found, self._held = (self._held, b"") if size < 0 else (self._held[:size], self._held[size:])
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("only to the start")
        self._chunks, self._held, self._at = self._begin(), b"", 0
        return 0

    def tell(self) -> int:
        return self._at


def _stream(begin: Callable[[], Iterator[bytes]]) -> BinaryIO:
    return cast("BinaryIO", _Replayed(begin))
