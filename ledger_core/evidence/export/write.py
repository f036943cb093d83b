"""One segment's files: records, checkpoint, keys, and last the signed manifest that makes them a segment.

A file that an interrupted night left is taken as it is when it says the same as ours would; the manifest then lists
what is stored. Not the choice of the range, and not the `export` record: both are `segment.py`'s.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from sqlalchemy import Connection

from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput
from ledger_core.evidence.export.archive import ArchivedManifest, read_object
from ledger_core.evidence.export.records import describe_records, record_batches, require_sound, write_records
from ledger_core.evidence.export.timestamp import ask_for_token
from ledger_core.evidence.keyring import read_checkpoint, resolve_pinned
from ledger_core.log.dsse import SEGMENT_TYPE, parse_envelope
from ledger_core.log.keys import Judgement, KeyRing, TrustFile
from ledger_core.log.merkle import Frontier, consistency_path, verify_consistency
from ledger_core.log.note import checkpoint_text, parse_checkpoint, parse_note
from ledger_core.log.record import format_time
from ledger_core.log.segment import (
    CHECKPOINT_FILE,
    KEYS_FILE,
    MANIFEST_FILE,
    RECORDS_FILE,
    TIMESTAMP_FILE,
    Manifest,
    Previous,
    StoredFile,
    manifest_sha256,
    segment_folder,
    stored_file,
)
from ledger_core.log.software import software_version
from ledger_core.log.stream import RecordStream
from ledger_core.log.timestamps import MAX_TOKEN_BYTES, judge_token
from ledger_core.reading.heads import checkpoint_at
from ledger_core.reading.tiles import node_reader

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

MAX_SMALL_FILE_BYTES = 16 * 1024 * 1024

Progress = Callable[[int], None]

_log = logging.getLogger("counterfoil.export")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What an export works with: one book, one connection, the keys that count."""

    runtime: Runtime
    connection: Connection
    book: str
    origin: str
    ring: KeyRing
    progress: Progress | None

    @property
    def driver(self) -> psycopg.Connection[Any]:
        """The psycopg connection, for server-side cursors."""
        found = self.connection.connection.driver_connection
        assert isinstance(found, psycopg.Connection)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where the archive ends, re-hashed from the database: the tree so far, and the segment to name as previous."""

    frontier: Frontier
    last_leaf: bytes
    cutoff: str
    previous: Previous | None

    @property
    def segment(self) -> int:
        """The number of the last segment, 0 before the first."""
        return self.previous.segment if self.previous else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NextSegment:
    """A segment to be written: its number, the date that labels it, and the end of its range."""

    segment: int
    closed_on: date
    next_seq: int


def tip_after(found: ArchivedManifest, frontier: Frontier) -> Tip:
    """Return the tip that a verified segment leaves."""
    manifest = found.manifest
    return Tip(
        frontier=frontier,
        last_leaf=manifest.last_leaf,
        cutoff=manifest.cutoff,
        previous=Previous(segment=manifest.segment, manifest_sha256=found.sha256, version_id=found.version_id),
    )


def write_segment(desk: Desk, due: NextSegment, tip: Tip) -> ArchivedManifest:
    """Write `due`'s files behind `tip` and return the manifest as stored.

    Raises `IntegrityError` when the records do not hash to the root that the signed checkpoint states.
    """
    first_seq = tip.frontier.size
    folder = segment_folder(desk.origin, due.closed_on, due.segment, first_seq, due.next_seq)
    note, root = _checkpoint(desk, due.next_seq)
    stream = RecordStream(frontier=tip.frontier, prev=tip.last_leaf, book=desk.book, shapes=desk.runtime.kinds.shapes)
    records = _records(desk, folder, due, stream, root)
    note, checkpoint_file = _adopted(desk, folder, CHECKPOINT_FILE, note)
    keys, keys_file = _adopted(desk, folder, KEYS_FILE, _registry(desk))
    timestamp = _timestamp(desk, folder, note)
    ring = _left_ring(desk, f"{folder}/{KEYS_FILE}", keys)
    expected = checkpoint_text(desk.origin, due.next_seq, root)
    judgement = _left_judgement(f"{folder}/{CHECKPOINT_FILE}", note, expected, ring)
    manifest = Manifest(
        origin=desk.origin,
        book=desk.book,
        segment=due.segment,
        closed_on=due.closed_on,
        first_seq=first_seq,
        next_seq=due.next_seq,
        previous=tip.previous,
        before=tip.frontier,
        root=root,
        first_prev=tip.last_leaf,
        last_leaf=stream.last_leaf,
        entries=stream.entries,
        totals=stream.totals(),
        objects=(records, checkpoint_file, keys_file, *timestamp),
        cutoff=stream.recorded_at or tip.cutoff,
        created_at=format_time(desk.runtime.clock()),
        registry_version=ring.version,
        registry_sha256=ring.sha256,
        software={"name": "counterfoil", "version": software_version()},
        assurance=",".join(sorted({key.assurance for key in judgement.signers})),
        consistency=_consistency(desk, tip.frontier, due.next_seq, root),
    )
    payload = manifest.to_bytes()
    envelope = parse_envelope(desk.runtime.signer.sign_dsse(SEGMENT_TYPE, payload, checkpoint=note.decode()))
    if envelope.payload != payload or desk.ring.judge_envelope(envelope, desk.origin, due.next_seq).verdict:
        raise IntegrityError(
            "the signing proxy answered with another manifest or a signature that does not count.",
            remedy="It is not the proxy of this home, or it is broken: stop it.",
        )
    stored = desk.runtime.archive.put_once(f"{folder}/{MANIFEST_FILE}", envelope.to_bytes() + b"\n")
    return ArchivedManifest(manifest=manifest, sha256=manifest_sha256(payload), version_id=stored.version_id)


def _checkpoint(desk: Desk, size: int) -> tuple[bytes, bytes]:
    """Return the signed note at `size`, and the root that it states."""
    stored = checkpoint_at(desk.connection, desk.book, size)
    if stored is None:
        raise IntegrityError(
            f"book {desk.book} has no checkpoint of size {size}.", remedy="Run `counterfoil check`.", seq=size - 1
        )
    checkpoint, why_not = read_checkpoint(desk.ring, stored.note, desk.origin)
    if why_not or checkpoint.size != size:
        raise IntegrityError(
            f"the stored checkpoint of size {size} does not count: {why_not or f'it is of size {checkpoint.size}'}.",
            remedy="Run `counterfoil check`.",
            seq=size - 1,
            finding="signature_invalid",
        )
    return stored.note.encode(), checkpoint.root


def _records(desk: Desk, folder: str, due: NextSegment, stream: RecordStream, root: bytes) -> StoredFile:
    """Write the records file, or take the one that an interrupted night left if it holds the same records."""
    name = f"{folder}/{RECORDS_FILE}"
    aside = desk.runtime.home / "run" / f"export-{desk.book}.part"
    try:
        batches = record_batches(desk.driver, desk.book, stream.first_seq, due.next_seq)
        made = write_records(batches, stream, aside, progress=desk.progress)
        require_sound(stream, next_seq=due.next_seq, root=root, where=f"the checkpoint of size {due.next_seq} signs")
        if not desk.runtime.archive.exists(name):
            return replace(made, version_id=desk.runtime.archive.put_once(name, aside).version_id)
    finally:
        _remove(aside)
    # Another version of zlib may have packed the same records differently.
    try:
        with desk.runtime.archive.open(name) as source:
            stored = describe_records(source)
    except zlib.error as error:
        raise _other_content(name) from error
    if stored.content_sha256 != made.content_sha256:
        raise _other_content(name)
    return replace(stored, version_id=desk.runtime.archive.version_of(name))


def _left_ring(desk: Desk, name: str, keys: bytes) -> KeyRing:
    """Return the keys of the registry that the segment will hold, which lay there or was written just now."""
    try:
        registry = [orjson.loads(line) for line in keys.splitlines()]
        return resolve_pinned(desk.runtime.trust_path, desk.origin, registry)
    except (orjson.JSONDecodeError, InvalidInput) as error:
        raise _other_content(name) from error


def _left_judgement(name: str, note: bytes, expected: str, ring: KeyRing) -> Judgement:
    """Return who signed the checkpoint that the segment will hold.

    Raises `IntegrityError` where what lay there is somebody else's: no manifest may name it, since a lock keeps it.
    """
    try:
        signed = parse_note(note)
        judgement = ring.judge_checkpoint(signed, parse_checkpoint(signed.text))
    except InvalidInput as error:
        raise _other_content(name) from error
    if signed.text != expected or (judgement.verdict and not judgement.doubtful):
        raise _other_content(name)
    return judgement


def _adopted(desk: Desk, folder: str, file: str, data: bytes) -> tuple[bytes, StoredFile]:
    """Store a small file and return it; where an interrupted night stored it already, return what it stored.

    A checkpoint may carry other signature bytes, and the registry may have been shorter; what they say is verified with
    the manifest's keys.
    """
    archive, name = desk.runtime.archive, f"{folder}/{file}"
    if not archive.exists(name):
        version_id = archive.put_once(name, data).version_id
        return data, replace(stored_file(file, data), version_id=version_id)
    try:
        found = read_object(archive, name, MAX_SMALL_FILE_BYTES)
    except InvalidInput as error:
        raise _other_content(name) from error
    return found, replace(stored_file(file, found), version_id=archive.version_of(name))


def _timestamp(desk: Desk, folder: str, note: bytes) -> list[StoredFile]:
    """Store a time-stamp token over the checkpoint where an authority is set and answers; return it, or nothing."""
    archive, name = desk.runtime.archive, f"{folder}/{TIMESTAMP_FILE}"
    if archive.exists(name):
        try:
            token = read_object(archive, name, MAX_TOKEN_BYTES)
        except InvalidInput as error:
            _log.error("the segment goes without its time-stamp: %s", error)
            return []
        found = replace(stored_file(TIMESTAMP_FILE, token), version_id=archive.version_of(name))
        return [found] if _holds(desk, token, note) else []
    fresh = ask_for_token(desk.runtime.settings.archive.tsa_url, note)
    if fresh is None or not _holds(desk, fresh, note):
        return []
    return [_adopted(desk, folder, TIMESTAMP_FILE, fresh)[1]]


def _holds(desk: Desk, token: bytes, note: bytes) -> bool:
    """Say whether no verifier with the home's trust file would refuse `token`; what is listed is locked for years."""
    refusal = judge_token(token, note, TrustFile.load(desk.runtime.trust_path).timestamp_roots).refusal
    if refusal is not None:
        _log.error("the segment goes without its time-stamp: %s", refusal)
    return refusal is None


def _registry(desk: Desk) -> bytes:
    registry = desk.runtime.signer.keys()
    envelopes = [parse_envelope(item) for item in registry]
    return b"".join(envelope.to_bytes() + b"\n" for envelope in envelopes)


def _consistency(desk: Desk, before: Frontier, size: int, root: bytes) -> tuple[bytes, ...]:
    """Return the proof from the last segment's tree to this one, checked."""
    if before.size in (0, size):
        return ()
    path = consistency_path(before.size, size, node_reader(desk.connection, desk.book, size))
    if not verify_consistency(before.size, before.root(), size, root, path):
        raise IntegrityError(
            f"the stored tiles do not prove size {size} from size {before.size}.",
            remedy="Run `counterfoil check`: tiles can be rebuilt from the records.",
            finding="tiles_mismatch",
        )
    return tuple(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _other_content(name: str) -> CounterfoilError:
    return IntegrityError(
        f"{name} was left by an interrupted export and holds something else than the database.",
        remedy="Run `counterfoil check`. If the database is sound, the archive was written to by somebody else.",
        finding="archive_edited",
    )
