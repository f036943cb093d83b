"""The archive against the log: every recorded segment is there, unchanged, chained to the one before, and of this log.

Manifests are read anew and their signatures judged; their roots are held against the records as those stream by. Of
every segment the sizes of the files must fit, of the last one their hashes too; the content of all of them is for
`verify`, which needs no database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger_core.base.objects.port import ObjectStore
from ledger_core.book.kinds.export import RecordedSegment
from ledger_core.errors import IntegrityError
from ledger_core.evidence.anchor import anchor_name, anchored_sizes, read_anchor
from ledger_core.evidence.check.chain import StatedRoot
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.export.archive import (
    ArchivedFolder,
    ArchivedManifest,
    list_segments,
    read_manifest,
    strangers,
)
from ledger_core.evidence.export.records import require_intact
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint
from ledger_core.log.segment import FILES, Manifest

TABLE = "archive"
MAX_ANCHORS_READ = 2_000
"""Of those after the last segment: a week of them at one in five minutes."""


class Archive:
    """What lies in the archive of one log, read before the snapshot of the database was taken."""

    def __init__(self, store: ObjectStore, origin: str, ring: KeyRing, findings: Findings) -> None:
        self._store = store
        self._findings = findings
        self._folders: dict[int, ArchivedFolder] = {}
        self._manifests: dict[int, ArchivedManifest] = {}
        try:
            folders = list_segments(store, origin)
        except IntegrityError as error:
            self._report(error)
            folders = []
        for name, what in store.foreign(f"{origin}/"):
            findings.add(Code.ARCHIVE_FOREIGN, TABLE, None, f"{name}: {what}")
        for name in strangers(store, origin):
            findings.add(Code.ARCHIVE_FOREIGN, TABLE, None, f"{name}: no manifest names it")
        for folder in folders:
            self._read(folder, ring, origin)
        self._check_last_files()
        self._anchors = self._read_anchors(ring, origin)

    @property
    def count(self) -> int:
        """Return how many manifests were read."""
        return len(self._manifests)

    @property
    def last(self) -> Manifest | None:
        """Return the manifest of the last finished segment."""
        return self._manifests[max(self._manifests)].manifest if self._manifests else None

    def stated_roots(self) -> Iterator[StatedRoot]:
        """Yield the root that each segment states, in order of size."""
        segments = [
            (item.manifest.next_seq, f"archived segment {item.manifest.segment}", item.manifest.root)
            for item in self._manifests.values()
        ]
        anchors = [(item.size, f"anchored checkpoint {item.size}", item.root) for item in self._anchors]
        for size, source, root in sorted(segments + anchors):
            yield StatedRoot(size=size, source=source, root=root, independent=True)

    def check_recorded(self, recorded: Sequence[RecordedSegment]) -> None:
        """Hold the archive against the export records of the log."""
        before: ArchivedManifest | None = None
        for item in recorded:
            before = self._check_one(item, before)
        last = max((item.segment for item in recorded), default=0)
        for number in sorted(self._folders):
            folder = self._folders[number]
            found = self._manifests.get(number)
            if number > last and found is not None and found.doubtful:
                self._findings.add(
                    Code.SIGNATURE_INVALID, TABLE, folder.first_seq, f"segment {number}, unrecorded: {found.doubtful}"
                )
            if number == last + 1 and not folder.is_complete:
                self._findings.note(f"{folder.folder} was left by an interrupted export; exporting again finishes it")
            elif number == last + 1:
                self._findings.note(f"segment {number} is archived and not yet recorded; exporting again records it")
            elif number > last:
                self._findings.add(
                    Code.BEHIND_ARCHIVE, TABLE, folder.first_seq,
                    f"it holds segment {number} ({folder.closed_on}); the log knows segments up to {last}",
                )  # fmt: skip

    def check_size(self, size: int) -> None:
        """Hold the archive's end against a database of `size` records."""
        last = self.last
        if last is not None and last.next_seq > size:
            self._findings.add(
                Code.BEHIND_ARCHIVE, TABLE, size,
                f"segment {last.segment} holds records up to seq {last.next_seq - 1}, the database holds {size}",
            )  # fmt: skip
        newest = max((item.size for item in self._anchors), default=0)
        if newest > size:
            self._findings.add(
                Code.BEHIND_ARCHIVE, TABLE, size,
                f"a checkpoint of {newest} records is anchored, the database holds {size}",
            )  # fmt: skip

    def _read(self, folder: ArchivedFolder, ring: KeyRing, origin: str) -> None:
        number = folder.segment
        if number in self._folders:
            self._findings.add(
                Code.ARCHIVE_EDITED, TABLE, folder.first_seq,
                f"two folders claim segment {number}: {self._folders[number].folder} and {folder.folder}",
            )  # fmt: skip
            return
        self._folders[number] = folder
        if not folder.is_complete:
            return
        try:
            self._manifests[number] = read_manifest(self._store, folder, ring, origin)
        except IntegrityError as error:
            self._report(error, folder.first_seq)
            return
        self._check_files(folder, self._manifests[number].manifest)

    def _read_anchors(self, ring: KeyRing, origin: str) -> list[Checkpoint]:
        """Return the checkpoints anchored since the last segment that the keys vouch for."""
        last = self.last.next_seq if self.last else 0
        found = []
        for size in anchored_sizes(self._store, origin, after=last)[-MAX_ANCHORS_READ:]:
            anchor = read_anchor(self._store, origin, size, ring)
            if isinstance(anchor, Checkpoint):
                found.append(anchor)
            else:
                self._findings.add(Code.ARCHIVE_FOREIGN, TABLE, None, f"{anchor_name(origin, size)}: {anchor}")
        return found

    def _check_files(self, folder: ArchivedFolder, manifest: Manifest) -> None:
        for name in sorted(folder.names - {*FILES, *(item.name for item in manifest.objects)}):
            if not name.startswith("."):
                self._findings.add(
                    Code.ARCHIVE_FOREIGN, TABLE, folder.first_seq, f"{folder.folder}/{name}: no manifest names it"
                )
        for name in sorted(set(FILES) - folder.names):
            self._findings.add(Code.ARCHIVE_MISSING, TABLE, folder.first_seq, f"{folder.folder}/{name} is missing")
        for item in manifest.objects:
            if item.name not in folder.names:
                continue
            with self._store.open(f"{folder.folder}/{item.name}") as source:
                size_bytes = source.seek(0, 2)
            if size_bytes != item.bytes:
                self._findings.add(
                    Code.ARCHIVE_EDITED, TABLE, folder.first_seq,
                    f"{folder.folder}/{item.name} has {size_bytes} bytes, its manifest lists {item.bytes}",
                )  # fmt: skip

    def _check_last_files(self) -> None:
        last = self.last
        if last is None or not set(FILES) <= self._folders[last.segment].names:
            return
        try:
            require_intact(self._store, last)
        except IntegrityError as error:
            self._report(error, last.first_seq)

    def _check_one(self, recorded: RecordedSegment, before: ArchivedManifest | None) -> ArchivedManifest | None:
        """Hold one export record against its segment, and the segment against the one before; return the segment."""
        found = self._manifests.get(recorded.segment)
        if found is None:
            if recorded.segment not in self._folders or not self._folders[recorded.segment].is_complete:
                self._findings.add(
                    Code.ARCHIVE_MISSING, TABLE, recorded.first_seq,
                    f"segment {recorded.segment} of {recorded.closed_on} (seq {recorded.first_seq} to "
                    f"{recorded.next_seq - 1}) is recorded and not in the archive",
                )  # fmt: skip
            return None
        manifest = found.manifest
        if found.sha256 != recorded.manifest_sha256:
            self._findings.add(
                Code.ARCHIVE_EDITED, TABLE, recorded.first_seq,
                f"the manifest of segment {recorded.segment} has sha256 {found.sha256}, the log recorded "
                f"{recorded.manifest_sha256}",
            )  # fmt: skip
        elif recorded.version_id is not None and found.version_id != recorded.version_id:
            self._findings.add(
                Code.ARCHIVE_EDITED, TABLE, recorded.first_seq,
                f"the manifest of segment {recorded.segment} is there as version {found.version_id}, the log recorded "
                f"{recorded.version_id}: a locked version is gone",
            )  # fmt: skip
        elif before is not None and (
            manifest.previous is None
            or manifest.previous.manifest_sha256 != before.sha256
            or manifest.first_seq != before.manifest.next_seq
        ):
            self._findings.add(
                Code.ARCHIVE_EDITED, TABLE, manifest.first_seq,
                f"segment {manifest.segment} does not follow segment {before.manifest.segment}",
            )  # fmt: skip
        return found

    def _report(self, error: IntegrityError, seq: int | None = None) -> None:
        self._findings.add(Code(error.context.get("finding", Code.ARCHIVE_EDITED)), TABLE, seq, error.message)
