"""The nightly export: every signed record since the last segment, archived, signed, and recorded in the log.

Order of things: verify the last archived segment against the database (a rewritten database is never freshly signed
over), write records, checkpoint and keys, sign and write the manifest, append the `export` record. Each step may be the
last before a crash; the same command again finds what is there and does the rest. Invariants: segments join without gap
or overlap; a date is exported once; objects are never replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, text

from ledger_core.actor import Actor
from ledger_core.base.locks import hold_lock
from ledger_core.book.sequencer.checkpoints import behind_signature
from ledger_core.errors import DependencyError, IntegrityError, InvalidInput, Refused, SignatureLate
from ledger_core.evidence.export.archive import (
    ArchivedFolder,
    ArchivedManifest,
    list_foreign,
    list_segments,
    read_manifest,
)
from ledger_core.evidence.export.records import require_intact, verify_against_database
from ledger_core.evidence.export.write import Desk, NextSegment, Tip, tip_after, write_segment
from ledger_core.evidence.keyring import pinned_ring
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.log.record import NO_PREV
from ledger_core.ports import Ask, RecordDraft
from ledger_core.reading.heads import read_head

if TYPE_CHECKING:
    from ledger_core.ports import LedgerPort
    from ledger_core.runtime import Runtime

POLL_SECONDS = 0.02
EXPORT_LOCK = 0x65787074  # "expt"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """A date's segment; `created` is False when it stood already and nothing was written.

    `foreign` is what somebody else did to the archive. It is an alarm and stops no night: a lock keeps what was signed,
    and whoever stole the writing key must not be able to end the archive with it.
    """

    uri: str
    segment: int
    closed_on: date
    first_seq: int
    next_seq: int
    records: int
    manifest_sha256: str
    created: bool
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedExport:
    """A row of `ledger.exports`."""

    segment: int
    closed_on: date
    first_seq: int
    next_seq: int
    manifest_sha256: str
    seq: int


def export_segment(runtime: Runtime, *, closed_on: date, book: str, progress: Progress | None = None) -> ExportResult:
    """Write the segment of `closed_on`: every signed record of `book` since the last segment, however few.

    A date that was exported stays as it is. A night that was interrupted is finished first, under its own date. Raises
    `IntegrityError` when database and archive differ, with the first seq concerned; then nothing was written.
    """
    ledger = runtime.ledger(book)
    origin = runtime.settings.origin_of(book)
    with only_exporter(runtime.engine, book), runtime.engine.connect() as connection:
        ring = pinned_ring(runtime, origin)
        _await_signature(runtime, connection, book, origin)
        desk = Desk(runtime=runtime, connection=connection, book=book, origin=origin, ring=ring, progress=progress)
        recorded = _recorded(connection, book)
        archive = _archived(desk)
        known = next((item for item in recorded if item.closed_on == closed_on), None)
        if known is not None:
            return _result(desk, _require_archived(desk, archive, known), created=False)
        _refuse_a_day_to_come(closed_on, runtime.clock().astimezone(UTC).date())
        tip = _verified_tip(desk, archive, recorded)
        while True:
            archived = _finish(desk, archive, tip, closed_on)
            _record(desk, ledger, archived)
            if archived.manifest.closed_on == closed_on:
                return _result(desk, archived, created=True)
            # An interrupted night's segment stands now; the date that was asked for comes next.
            frontier = verify_against_database(desk.driver, runtime.archive, archived.manifest).frontier
            tip = tip_after(archived, frontier)
            connection.rollback()


def require_recordable(runtime: Runtime, *, book: str, body: Mapping[str, Any]) -> None:
    """Raise `Refused` unless the archive holds the signed segment that the `export` record `body` names.

    For records that come from outside: one of a segment that nobody wrote would end exporting, because every later
    export starts from the last recorded one. Raises `IntegrityError` for an archive that is not the log's own.
    """
    origin = runtime.settings.origin_of(book)
    found = [item for item in list_segments(runtime.archive, origin) if item.segment == body.get("segment")]
    if len(found) == 1 and found[0].is_complete:
        archived = read_manifest(runtime.archive, found[0], pinned_ring(runtime, origin), origin).beyond_doubt()
        manifest = archived.manifest
        named = {
            "closed_on": manifest.closed_on.isoformat(),
            "first_seq": manifest.first_seq,
            "manifest_sha256": archived.sha256,
            "next_seq": manifest.next_seq,
            "version_id": archived.version_id,
        }
        if all(body.get(name) == value for name, value in named.items()):
            return
    raise Refused(
        "the archive holds no signed segment that is the one this record names.",
        pointer="/body/manifest_sha256",
        remedy="Write the segment first, with `counterfoil export`, which records it.",
    )


def _refuse_a_day_to_come(closed_on: date, today: date) -> None:
    """Refuse a day that has not begun: its segment would close it before anything of it is recorded."""
    if closed_on > today:
        raise InvalidInput(
            f"{closed_on} has not come (today is {today} UTC), and a segment closes its day for good.",
            remedy="Export a day up to today.",
        )


def only_exporter(engine: Engine, book: str) -> AbstractContextManager[None]:
    """Hold the lock of this book's export. Raises `DependencyError` while another process has it."""
    return hold_lock(
        engine,
        EXPORT_LOCK,
        of=book,
        busy=lambda: DependencyError(
            f"another process is exporting book {book}.", remedy="Wait for it; it may be doing the same."
        ),
    )


def _await_signature(runtime: Runtime, connection: Connection, book: str, origin: str) -> None:
    """Wait until what is durable now is signed, so that a segment written at once after a posting holds it.

    Raises `SignatureLate` when the signature does not come, `IntegrityError` for a database behind the proxy.
    """
    note = runtime.signer.latest(origin)
    head = read_head(connection, book)
    signed = parse_checkpoint(parse_note(note).text).size if note else 0
    if signed > head.size:
        raise behind_signature(book, head.size, signed)
    deadline = time.monotonic() + runtime.settings.signing.wait_seconds
    awaited = head.size
    while read_head(connection, book).signed_size < awaited:
        if time.monotonic() > deadline:
            raise SignatureLate(
                f"book {book} has {awaited} records, and not all are signed.", remedy="Export again once they are."
            )
        connection.rollback()
        time.sleep(POLL_SECONDS)


def _recorded(connection: Connection, book: str) -> list[RecordedExport]:
    rows = connection.execute(
        text(
            "select segment, closed_on, first_seq, next_seq, manifest_sha256, seq from ledger.exports "
            "where book = :book order by segment"
        ),
        {"book": book},
    )
    return [RecordedExport(**row._mapping) for row in rows]


def _archived(desk: Desk) -> dict[int, ArchivedFolder]:
    """Return the archive's segments by number. Raises `IntegrityError` when two claim one number."""
    desk.runtime.archive.sweep(f"{desk.origin}/segments")
    found: dict[int, ArchivedFolder] = {}
    for item in list_segments(desk.runtime.archive, desk.origin):
        if item.segment in found:
            raise IntegrityError(
                f"the archive holds two segments {item.segment}: {found[item.segment].folder} and {item.folder}.",
                remedy="One of them was not written by this log. Compare with a copy of the archive.",
                finding="archive_edited",
            )
        found[item.segment] = item
    return found


def _require_archived(desk: Desk, archive: dict[int, ArchivedFolder], recorded: RecordedExport) -> ArchivedManifest:
    """Return the archived manifest that `recorded` names. Raises `IntegrityError` when it is gone or another one."""
    folder = archive.get(recorded.segment)
    if folder is None or not folder.is_complete:
        raise IntegrityError(
            f"segment {recorded.segment} of {recorded.closed_on} is recorded and not in the archive; its record stands "
            f"at seq {recorded.seq}.",
            remedy="Restore it from a copy; where nobody ever wrote it: docs/runbooks/failed-check.md, 9.",
            seq=recorded.first_seq,
            record_seq=recorded.seq,
            finding="archive_missing",
        )
    found = read_manifest(desk.runtime.archive, folder, desk.ring, desk.origin)
    if found.sha256 != recorded.manifest_sha256:
        raise IntegrityError(
            f"the archived manifest of segment {recorded.segment} has sha256 {found.sha256}, the log recorded "
            f"{recorded.manifest_sha256}.",
            remedy="Run `counterfoil check` to see which of the two was changed.",
            seq=recorded.first_seq,
            finding="archive_edited",
        )
    return found


def _verified_tip(desk: Desk, archive: dict[int, ArchivedFolder], recorded: list[RecordedExport]) -> Tip:
    """Return where the archive ends, after holding its last segment against its files, its chain and the database."""
    if not recorded:
        return Tip(frontier=Frontier(), last_leaf=NO_PREV, cutoff="", previous=None)
    last = _require_archived(desk, archive, recorded[-1])
    if len(recorded) > 1:
        before = _require_archived(desk, archive, recorded[-2])
        previous = last.manifest.previous
        if (
            previous is None
            or previous.manifest_sha256 != before.sha256
            or previous.version_id not in (None, before.version_id)
        ):
            raise IntegrityError(
                f"segment {last.manifest.segment} does not follow segment {before.manifest.segment}.",
                remedy="Compare with a copy of the archive.",
                finding="archive_edited",
            )
    require_intact(desk.runtime.archive, last.manifest)
    stream = verify_against_database(desk.driver, desk.runtime.archive, last.manifest, progress=desk.progress)
    desk.connection.rollback()
    return tip_after(last, stream.frontier)


def _finish(desk: Desk, archive: dict[int, ArchivedFolder], tip: Tip, closed_on: date) -> ArchivedManifest:
    """Return the segment after `tip`: the one that an interrupted night left, finished, or a new one of `closed_on`."""
    number = tip.segment + 1
    size, signed_size = _sizes(desk)
    left = archive.get(number)
    beyond = [item for item in archive.values() if item.segment > number or item.next_seq > size]
    if left is not None and left.first_seq != tip.frontier.size:
        beyond.append(left)
    if beyond:
        raise IntegrityError(
            f"the archive holds {beyond[0].folder}, of which this log of {size} records knows nothing: the database is "
            "older than the archive, or not its own.",
            remedy="Restore a newer backup before anything is written; see docs/runbooks/failed-check.md.",
            seq=tip.frontier.size,
            finding="behind_archive",
        )
    if left is None:
        return write_segment(desk, NextSegment(segment=number, closed_on=closed_on, next_seq=signed_size), tip)
    if not left.is_complete:
        return write_segment(desk, NextSegment(segment=number, closed_on=left.closed_on, next_seq=left.next_seq), tip)
    found = read_manifest(desk.runtime.archive, left, desk.ring, desk.origin).beyond_doubt()
    require_intact(desk.runtime.archive, found.manifest)
    verify_against_database(desk.driver, desk.runtime.archive, found.manifest, progress=desk.progress)
    return found


def _sizes(desk: Desk) -> tuple[int, int]:
    head = read_head(desk.connection, desk.book)
    return head.size, head.signed_size


def _record(desk: Desk, ledger: LedgerPort, archived: ArchivedManifest) -> None:
    """Append the `export` record; its own place in the archive is the next segment."""
    manifest = archived.manifest
    desk.connection.rollback()
    body = {
        "closed_on": manifest.closed_on.isoformat(),
        "first_seq": manifest.first_seq,
        "manifest_sha256": archived.sha256,
        "next_seq": manifest.next_seq,
        "segment": manifest.segment,
        "uri": f"{desk.runtime.archive.uri}/{manifest.folder}",
    }
    if archived.version_id is not None:
        # The next manifest names it too; until there is one, this does.
        body["version_id"] = archived.version_id
    # A route of its own: a key that the product makes is one that no caller may have used before.
    ask = Ask(actor=Actor(subject=desk.runtime.settings.actor), route="export", key=f"export/{manifest.segment}")
    ledger.append([RecordDraft(kind="export", body=body)], ask, atomic=True)


def _result(desk: Desk, archived: ArchivedManifest, *, created: bool) -> ExportResult:
    manifest = archived.manifest
    return ExportResult(
        uri=f"{desk.runtime.archive.uri}/{manifest.folder}",
        segment=manifest.segment,
        closed_on=manifest.closed_on,
        first_seq=manifest.first_seq,
        next_seq=manifest.next_seq,
        records=manifest.next_seq - manifest.first_seq,
        manifest_sha256=archived.sha256,
        created=created,
        foreign=list_foreign(desk.runtime.archive, desk.origin),
    )
