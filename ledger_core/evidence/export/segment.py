"""The nightly export: every signed record since the last segment, archived, signed, and recorded in the log.

Order of things: verify the last recorded segment against the database (a rewritten database is never freshly signed
over), write records, checkpoint and keys, sign and write the manifest, append the `export` record. Each step may be the
last before a crash; the same command again finds what is there and does the rest. What somebody else lays into the
archive is named in the result and decides nothing. Invariants: segments join without gap or overlap; a date is exported
once; what is signed is never replaced.
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
from ledger_core.errors import CannotRun, DependencyError, IntegrityError, InvalidInput, Refused, SignatureLate
from ledger_core.evidence.export.archive import (
    ArchivedManifest,
    Survey,
    recorded_folder,
    recorded_manifest,
    survey_segments,
)
from ledger_core.evidence.export.left import is_what_we_would_write, left_segment
from ledger_core.evidence.export.plan import Plan, forget_plan, read_plan
from ledger_core.evidence.export.records import require_intact, verify_against_database
from ledger_core.evidence.export.write import Desk, Tip, tip_after, write_segment
from ledger_core.evidence.keyring import pinned_ring, read_checkpoint
from ledger_core.log.keys import KeyRing
from ledger_core.log.merkle import Frontier
from ledger_core.log.note import parse_checkpoint, parse_note
from ledger_core.log.patience import one_task
from ledger_core.log.record import NO_PREV
from ledger_core.ports import Ask, RecordDraft
from ledger_core.reading.heads import checkpoint_at, read_head

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
    with one_task(), only_exporter(runtime.engine, book), runtime.engine.connect() as connection:
        ring = pinned_ring(runtime, origin)
        _await_signature(runtime, connection, book, origin)
        desk = Desk(runtime=runtime, connection=connection, book=book, origin=origin, ring=ring, progress=progress)
        recorded = _recorded(connection, book)
        known = next((item for item in recorded if item.closed_on == closed_on), None)
        if known is not None:
            return _result(desk, _require_archived(desk, known), created=False)
        _refuse_a_day_to_come(closed_on, runtime.clock().astimezone(UTC).date())
        tip = _verified_tip(desk, recorded)
        runtime.archive.sweep(f"{origin}/segments")
        survey = survey_segments(runtime.archive, origin)
        while True:
            archived = _finish(desk, survey, tip, closed_on)
            _record(desk, ledger, archived)
            forget_plan(runtime.home, book)
            if archived.manifest.closed_on == closed_on:
                return _result(desk, archived, created=True)
            # An interrupted night's segment stands now; the date that was asked for comes next.
            frontier = verify_against_database(desk.driver, runtime.archive, archived.manifest).frontier
            tip = tip_after(archived, frontier)
            connection.rollback()


def require_recordable(runtime: Runtime, *, book: str, body: Mapping[str, Any]) -> None:
    """Raise `Refused` unless the archive holds the signed segment that the `export` record `body` names.

    For records that come from outside: one of a segment that nobody wrote would end exporting, because every later
    export starts from the last recorded one.
    """
    origin = runtime.settings.origin_of(book)
    try:
        named = RecordedExport(
            **{name: body[name] for name in ("segment", "first_seq", "next_seq", "manifest_sha256")},
            closed_on=date.fromisoformat(body["closed_on"]),
            seq=-1,
        )
        ring = pinned_ring(runtime, origin)
        version_id = body.get("version_id")
        archived = recorded_manifest(runtime.archive, origin, named, named.closed_on, ring, version_id=version_id)
        if archived is not None and archived.doubtful and not _is_adopted(runtime, book, ring, archived):
            archived = None
    except (KeyError, TypeError, ValueError, IntegrityError):
        archived = None
    if archived is not None and archived.version_id == body.get("version_id"):
        return
    raise Refused(
        "the archive holds no signed segment that is the one this record names.",
        pointer="/body/manifest_sha256",
        remedy="Write the segment first, with `counterfoil export`, which records it.",
    )


def _is_adopted(runtime: Runtime, book: str, ring: KeyRing, archived: ArchivedManifest) -> bool:
    """Say whether an export here would take this segment, which a compromised key signed, for the next one."""
    origin = runtime.settings.origin_of(book)
    with one_task(), runtime.engine.connect() as connection:
        desk = Desk(runtime=runtime, connection=connection, book=book, origin=origin, ring=ring, progress=None)
        tip = _verified_tip(desk, _recorded(connection, book))
        return is_what_we_would_write(desk, tip, _sizes(desk)[0], archived)


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


def _require_archived(desk: Desk, recorded: RecordedExport) -> ArchivedManifest:
    """Return the archived manifest that `recorded` names. Raises `IntegrityError` when it is gone or another one."""
    found = recorded_manifest(desk.runtime.archive, desk.origin, recorded, recorded.closed_on, desk.ring)
    if found is None:
        raise IntegrityError(
            f"segment {recorded.segment} of {recorded.closed_on} is recorded and not in the archive; its record stands "
            f"at seq {recorded.seq}.",
            remedy="Restore it from a copy; where nobody ever wrote it: docs/runbooks/failed-check.md, 9.",
            seq=recorded.first_seq,
            record_seq=recorded.seq,
            finding="archive_missing",
        )
    return found


def _verified_tip(desk: Desk, recorded: list[RecordedExport]) -> Tip:
    """Return where the archive ends, after holding its last segment against its files, its chain and the database."""
    if not recorded:
        return Tip(frontier=Frontier(), last_leaf=NO_PREV, cutoff="", previous=None)
    last = _require_archived(desk, recorded[-1])
    if len(recorded) > 1:
        before = _require_archived(desk, recorded[-2])
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


def _finish(desk: Desk, survey: Survey, tip: Tip, closed_on: date) -> ArchivedManifest:
    """Return the segment after `tip`: the one that an interrupted night left, finished, or a new one of `closed_on`."""
    size, signed_size = _sizes(desk)
    plan = read_plan(desk.runtime.home, desk.book)
    if plan is not None and (plan.origin, plan.segment, plan.first_seq) != (
        desk.origin,
        tip.segment + 1,
        tip.frontier.size,
    ):
        plan = None  # of a segment that is recorded since, or of another database
    left = left_segment(desk, survey, tip, size=size, first=plan.folder if plan is not None else None)
    if left is not None:
        return left
    if plan is None or plan.folder not in survey.folders or not _can_end(desk, plan, signed_size):
        plan = Plan(
            origin=desk.origin,
            segment=tip.segment + 1,
            closed_on=closed_on,
            first_seq=tip.frontier.size,
            next_seq=signed_size,
        )
        plan.write(desk.runtime.home, desk.book)
    return write_segment(desk, plan, tip)


def _can_end(desk: Desk, plan: Plan, signed_size: int) -> bool:
    """Say whether a checkpoint that counts commits to where `plan` ends; a compromised key's does no longer."""
    stored = checkpoint_at(desk.connection, desk.book, plan.next_seq) if plan.next_seq <= signed_size else None
    return stored is not None and not read_checkpoint(desk.ring, stored.note, desk.origin)[1]


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
    desk.connection.rollback()
    ours = [recorded_folder(desk.origin, item, item.closed_on) for item in _recorded(desk.connection, desk.book)]
    try:
        foreign = survey_segments(desk.runtime.archive, desk.origin).foreign([*ours, manifest.folder], manifest)
    except CannotRun as error:
        # The segment stands and is recorded: what can no longer be looked through is said, and undoes nothing.
        foreign = (f"the archive could not be looked through: {error}",)
    return ExportResult(
        uri=f"{desk.runtime.archive.uri}/{manifest.folder}",
        segment=manifest.segment,
        closed_on=manifest.closed_on,
        first_seq=manifest.first_seq,
        next_seq=manifest.next_seq,
        records=manifest.next_seq - manifest.first_seq,
        manifest_sha256=archived.sha256,
        created=created,
        foreign=foreign,
    )
