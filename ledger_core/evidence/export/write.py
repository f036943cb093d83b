"""One segment's files: records, checkpoint, keys, and last the signed manifest that makes them a segment.

A file that an interrupted night left is taken as it is when it says the same as ours would, and stays as long; the
manifest then lists what is stored. What somebody else laid under one of our names is left where it is: ours becomes a
version of its own, and the manifest names it. Not the choice of the range, and not the `export` record: both are
`segment.py`'s.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import Connection

from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput
from ledger_core.evidence.export.archive import ArchivedManifest, read_object
from ledger_core.evidence.export.plan import Plan
from ledger_core.evidence.export.records import describe_records, record_batches, require_sound, write_records
from ledger_core.evidence.export.timestamp import ask_for_token
from ledger_core.evidence.keyring import read_checkpoint
from ledger_core.log.bucket_errors import Unreadable
from ledger_core.log.dsse import SEGMENT_TYPE, parse_envelope
from ledger_core.log.keys import Judgement, KeyRing, TrustFile, resolve_keys
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
    stored_file,
)
from ledger_core.log.software import software_version
from ledger_core.log.stream import RecordStream
from ledger_core.log.timestamps import MAX_TOKEN_BYTES, judge_token, said_time, why_late
from ledger_core.reading.heads import checkpoint_at
from ledger_core.reading.tiles import node_reader

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime

MAX_SMALL_FILE_BYTES = 16 * 1024 * 1024
PACKING_BYTES = 64 * 1024
"""By how much the same records, packed by another release of zlib, may be longer than twice ours."""

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


def tip_after(found: ArchivedManifest, frontier: Frontier) -> Tip:
    """Return the tip that a verified segment leaves."""
    manifest = found.manifest
    return Tip(
        frontier=frontier,
        last_leaf=manifest.last_leaf,
        cutoff=manifest.cutoff,
        previous=Previous(segment=manifest.segment, manifest_sha256=found.sha256, version_id=found.version_id),
    )


def write_segment(desk: Desk, due: Plan, tip: Tip) -> ArchivedManifest:
    """Write `due`'s files behind `tip` and return the manifest as stored.

    Raises `IntegrityError` when the records do not hash to the root that the signed checkpoint states.
    """
    first_seq = tip.frontier.size
    folder = due.folder
    note, root = _checkpoint(desk, due.next_seq)
    stream = RecordStream(frontier=tip.frontier, prev=tip.last_leaf, book=desk.book, shapes=desk.runtime.kinds.shapes)
    records = _records(desk, folder, due, stream, root)
    keys, keys_file = _keep(desk, folder, KEYS_FILE, _registry(desk), lambda data: _is_ours(desk, data))
    ring = registry_in(desk, keys)
    assert ring is not None, "what is kept was judged"
    expected = checkpoint_text(desk.origin, due.next_seq, root)
    note, checkpoint_file = _keep(
        desk, folder, CHECKPOINT_FILE, note, lambda data: judge_checkpoint_of(data, expected, ring) is not None
    )
    timestamp = _timestamp(desk, folder, note, stream.recorded_at)
    judgement = judge_checkpoint_of(note, expected, ring)
    assert judgement is not None, "what is kept was judged"
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
    version_id = _put(desk, f"{folder}/{MANIFEST_FILE}", envelope.to_bytes() + b"\n")
    return ArchivedManifest(manifest=manifest, sha256=manifest_sha256(payload), version_id=version_id)


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


def _records(desk: Desk, folder: str, due: Plan, stream: RecordStream, root: bytes) -> StoredFile:
    """Write the records file, or take the one that an interrupted night left if it holds the same records."""
    name = f"{folder}/{RECORDS_FILE}"
    aside = desk.runtime.home / "run" / f"export-{desk.book}.part"
    try:
        batches = record_batches(desk.driver, desk.book, stream.first_seq, due.next_seq)
        made = write_records(batches, stream, aside, progress=desk.progress)
        require_sound(stream, next_seq=due.next_seq, root=root, where=f"the checkpoint of size {due.next_seq} signs")
        # Another version of zlib may have packed the same records differently.
        for version in desk.runtime.archive.kept(name):
            if version.size_bytes > 2 * made.bytes + PACKING_BYTES:
                continue
            try:
                with desk.runtime.archive.open(name, version.version_id) as source:
                    stored = describe_records(source, content_limit=made.content_bytes)
            except (zlib.error, Unreadable):
                continue
            if stored.content_sha256 == made.content_sha256:
                return replace(stored, version_id=version.version_id)
        return replace(made, version_id=_put(desk, name, aside))
    finally:
        _remove(aside)


def registry_in(desk: Desk, keys: bytes, *, may_be_older: bool = False) -> KeyRing | None:
    """Return the keys of a registry that lay there or was written just now; None where the pinned roots do not agree.

    `may_be_older` than the version that is pinned is one of a segment of before.
    """
    try:
        registry = [parse_envelope(line) for line in keys.splitlines()]
        return resolve_keys(TrustFile.load(desk.runtime.trust_path), registry, may_be_older=may_be_older)
    except (InvalidInput, IntegrityError):
        return None


def _is_ours(desk: Desk, keys: bytes) -> bool:
    """Say whether `keys` is the registry as it stands.

    Of a folder that keeps one version of a name it may be an older one, which the interrupted night wrote: a bucket's
    may have been laid there so that a key counts which has ended since.
    """
    ring = registry_in(desk, keys)
    if ring is None:
        return False
    is_older = ring.version < desk.ring.version and set(ring.documents) <= set(desk.ring.documents)
    return ring.sha256 == desk.ring.sha256 or (is_older and not desk.runtime.archive.keeps_versions)


def judge_checkpoint_of(note: bytes, expected: str, ring: KeyRing) -> Judgement | None:
    """Return who signed the checkpoint that the segment will hold, None where what lay there is somebody else's.

    No manifest may name such a one, since a lock keeps it.
    """
    try:
        signed = parse_note(note)
        judgement = ring.judge_checkpoint(signed, parse_checkpoint(signed.text))
    except InvalidInput:
        return None
    return None if signed.text != expected or (judgement.verdict and not judgement.doubtful) else judgement


def _keep(
    desk: Desk, folder: str, file: str, data: bytes, is_ours: Callable[[bytes], bool]
) -> tuple[bytes, StoredFile]:
    """Store a small file and return it; where an interrupted night stored it already, return what it stored.

    A checkpoint may carry other signature bytes. What lies there and `is_ours` does not vouch for stays unnamed.
    """
    archive, name = desk.runtime.archive, f"{folder}/{file}"
    for version in archive.kept(name):
        try:
            found = read_object(archive, name, MAX_SMALL_FILE_BYTES, version)
        except (InvalidInput, Unreadable):
            continue
        if is_ours(found):
            return found, replace(stored_file(file, found), version_id=version.version_id)
    return data, replace(stored_file(file, data), version_id=_put(desk, name, data))


def _put(desk: Desk, name: str, data: bytes | Path) -> str | None:
    """Store a file as our own. Raises `IntegrityError` where a store without versions holds something else there."""
    try:
        return desk.runtime.archive.put_own(name, data).version_id
    except IntegrityError as error:
        raise _other_content(name) from error


def _timestamp(desk: Desk, folder: str, note: bytes, recorded_at: str) -> list[StoredFile]:
    """Store a time-stamp token over the checkpoint where an authority is set and answers; return it, or nothing.

    `recorded_at` is when the last record was taken.
    """
    archive, name = desk.runtime.archive, f"{folder}/{TIMESTAMP_FILE}"
    versions = list(archive.kept(name))
    for version in versions:
        try:
            token = read_object(archive, name, MAX_TOKEN_BYTES, version)
        except (InvalidInput, Unreadable) as error:
            _log.error("the segment goes without its time-stamp: %s", error)
            continue
        if _holds(desk, token, note, recorded_at):
            return [replace(stored_file(TIMESTAMP_FILE, token), version_id=version.version_id)]
    if versions and not archive.keeps_versions:
        return []
    fresh = ask_for_token(desk.runtime.settings.archive.tsa_url, note)
    if fresh is None or not _holds(desk, fresh, note, recorded_at):
        return []
    return [replace(stored_file(TIMESTAMP_FILE, fresh), version_id=_put(desk, name, fresh))]


def _holds(desk: Desk, token: bytes, note: bytes, recorded_at: str) -> bool:
    """Say whether no verifier with the home's trust file would refuse `token`; what is listed is locked for years.

    An auditor may pin an authority that the home does not: the time is held against the records by whatever it says.
    """
    judgement = judge_token(token, note, TrustFile.load(desk.runtime.trust_path).timestamp_roots)
    refusal = judgement.refusal
    if refusal is None and (late := why_late(judgement.made_at or said_time(token), recorded_at)):
        refusal = f"the last record {late}"
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
