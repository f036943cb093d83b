"""The segment that an interrupted night finished and did not record: found by what is signed, whatever lies around it.

Not the half segment, of which nothing is signed and of which the plan speaks (`plan.py`). A folder in the place of the
next segment counts if our key signed its manifest; if a compromised one did, then only if all that it says is what the
database holds. One that is ours and does not fit says that the database is older than the archive, or not its own.
"""

from __future__ import annotations

from ledger_core.base.objects.port import ObjectStore
from ledger_core.errors import IntegrityError
from ledger_core.evidence.export.archive import ArchivedManifest, Survey, signed_manifest, tries_after
from ledger_core.evidence.export.records import describes_the_log, require_intact, verify_against_database
from ledger_core.evidence.export.write import MAX_SMALL_FILE_BYTES, Desk, Tip, judge_checkpoint_of, registry_in
from ledger_core.log.note import checkpoint_text
from ledger_core.log.segment import CHECKPOINT_FILE, KEYS_FILE, RECORDS_FILE, TIMESTAMP_FILE, Manifest
from ledger_core.log.walk import Candidate, walk

MAX_LEFT_READ = 1_000
"""Folders in the place of the next segment that turn out to be somebody else's: the rest is named and not looked at."""


def left_segment(desk: Desk, survey: Survey, tip: Tip, *, size: int, first: str | None) -> ArchivedManifest | None:
    """Return the finished segment behind `tip`, held against its files and the database; None where there is none.

    `first` is the folder that the plan names. Raises `IntegrityError` for a signed one of which a log of `size` records
    knows nothing, and for one that differs from the database.
    """
    number, store = tip.segment + 1, desk.runtime.archive
    found: list[ArchivedManifest] = []
    refused = 0

    def is_ours(candidate: Candidate) -> bool:
        nonlocal refused
        tries = MAX_LEFT_READ if candidate.folder == first else tries_after(refused)
        read = signed_manifest(store, candidate.folder, desk.ring, desk.origin, tries=tries)
        if isinstance(read, str) or (read.doubtful and not is_what_we_would_write(desk, tip, size, read)):
            refused += 1
            return False
        found.append(read)
        return True

    candidates = [item.candidate() for item in survey.folders.values() if item.is_complete and item.segment >= number]
    walk([item for item in candidates if item.folder == first], is_ours)
    if not found:
        walk(candidates, is_ours, after=[("", number, tip.frontier.size)], limit=MAX_LEFT_READ)
    if not found:
        return None
    left = min(found, key=lambda item: item.manifest.segment)
    manifest = left.manifest
    if manifest.segment != number or manifest.next_seq > size or not _follows(left, tip):
        raise IntegrityError(
            f"the archive holds {manifest.folder}, of which this log of {size} records knows nothing: the database is "
            "older than the archive, or not its own.",
            remedy="Restore a newer backup before anything is written; see docs/runbooks/failed-check.md.",
            seq=tip.frontier.size,
            finding="behind_archive",
        )
    require_intact(store, manifest)
    verify_against_database(desk.driver, store, manifest, progress=desk.progress)
    return left


def is_what_we_would_write(desk: Desk, tip: Tip, size: int, read: ArchivedManifest) -> bool:
    """Say whether nothing in the segment behind `tip` is other than we would write, though a compromised key signed it.

    `size` is that of the log.
    """
    manifest, store = read.manifest, desk.runtime.archive
    if manifest.segment != tip.segment + 1 or manifest.next_seq > size or not _follows(read, tip):
        return False
    if {item.name for item in manifest.objects} - {TIMESTAMP_FILE} != {RECORDS_FILE, CHECKPOINT_FILE, KEYS_FILE}:
        return False
    if not describes_the_log(desk.driver, store, manifest, before=tip.frontier, prev=tip.last_leaf):
        return False
    ring = registry_in(desk, _content(store, manifest, KEYS_FILE), may_be_older=True)
    if ring is None or not set(ring.documents) <= set(desk.ring.documents):
        return False
    expected = checkpoint_text(desk.origin, manifest.next_seq, manifest.root)
    return judge_checkpoint_of(_content(store, manifest, CHECKPOINT_FILE), expected, ring) is not None


def _content(store: ObjectStore, manifest: Manifest, file: str) -> bytes:
    stored = manifest.stored(file)
    with store.open(f"{manifest.folder}/{file}", stored.version_id if stored else None) as source:
        return source.read(MAX_SMALL_FILE_BYTES)


def _follows(left: ArchivedManifest, tip: Tip) -> bool:
    manifest, before = left.manifest, tip.previous
    if manifest.first_seq != tip.frontier.size:
        return False
    if before is None:
        return manifest.previous is None
    return manifest.previous is not None and manifest.previous.manifest_sha256 == before.manifest_sha256
