"""The archive against the log: every recorded segment is there, unchanged, chained to the one before, and of this log.

Manifests are read anew and their signatures judged; their roots are held against the records as those stream by. Of
every segment the sizes of the files must fit, of the last one their hashes too; the content of all of them is for
`verify`, which needs no database. What counts is what a key of ours signed in its place: anything else that lies there,
whatever it is called, is foreign and says nothing about the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date

from ledger_core.base.objects.port import ObjectStore, StoredVersion
from ledger_core.book.kinds.export import RecordedSegment
from ledger_core.errors import IntegrityError
from ledger_core.evidence.anchor import StoredAnchor, anchor_name, judge_anchor
from ledger_core.evidence.check.chain import StatedRoot
from ledger_core.evidence.check.model import Code, Findings
from ledger_core.evidence.export.archive import (
    ArchivedFolder,
    ArchivedManifest,
    parse_folder,
    recorded_folder,
    recorded_manifest,
    signed_manifest,
    tries_after,
)
from ledger_core.evidence.export.records import require_intact
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint
from ledger_core.log.object_tree import ANCHOR_PATTERN, CHECKPOINTS_FOLDER, STREAM_FOLDER, STREAM_PATTERN
from ledger_core.log.segment import FILES, MANIFEST_FILE, OPTIONAL_FILES, Manifest
from ledger_core.log.walk import MAX_REFUSED, Candidate, fair, walk

TABLE = "archive"


class Archive:
    """What lies in the archive of one log, read before the snapshot of the database was taken.

    `planned` are the folders that an export of ours has begun.
    """

    def __init__(
        self, store: ObjectStore, origin: str, ring: KeyRing, findings: Findings, planned: Collection[str] = ()
    ) -> None:
        self._store, self._origin, self._ring, self._findings = store, origin, ring, findings
        self._planned = planned
        self._folders: dict[str, ArchivedFolder] = {}
        self._files: dict[str, dict[str, Sequence[StoredVersion]]] = {}
        self._signed: dict[str, ArchivedManifest] = {}
        self._refused: dict[str, str] = {}
        self._unasked: list[Candidate] = []
        self._anchors: dict[int, Checkpoint] = {}
        self._doubtful_anchors: dict[int, Checkpoint] = {}
        self._survey_segments()
        self._unasked = walk([item.candidate() for item in self._folders.values() if item.is_complete], self._is_ours)
        self._read_anchors(self._survey_anchors())
        self.count = len(self._signed)
        """How many manifests count, or are in doubt."""

    @property
    def last(self) -> Manifest | None:
        """Return the manifest of the last finished segment that is beyond doubt."""
        found = [item.manifest for item in self._signed.values() if not item.doubtful]
        return max(found, key=lambda item: item.segment, default=None)

    def stated_roots(self) -> Iterator[StatedRoot]:
        """Yield the root that each segment and each anchor states, in order of size."""
        found = [
            (item.manifest.next_seq, _source(item), item.manifest.root, bool(item.doubtful))
            for item in self._signed.values()
        ]
        for anchors, is_doubtful in ((self._anchors, False), (self._doubtful_anchors, True)):
            found += [(size, _anchor_source(size), anchor.root, is_doubtful) for size, anchor in anchors.items()]
        for size, source, root, is_doubtful in sorted(found):
            yield StatedRoot(size=size, source=source, root=root, independent=True, doubtful=is_doubtful)

    def check_recorded(self, recorded: Sequence[RecordedSegment], contradicted: Mapping[str, str]) -> None:
        """Hold the archive against the export records of the log.

        `contradicted` says of what compromised keys signed, by its source, how the records differ from it.
        """
        before: ArchivedManifest | None = None
        ours: set[str] = set()
        for item in recorded:
            folder = recorded_folder(self._origin, item, date.fromisoformat(item.closed_on))
            ours.add(folder)
            before = self._check_one(item, folder, before, contradicted)
        if before is not None:
            self._check_hashes(before.manifest)
        end = before.manifest.next_seq if before is not None else 0
        last = max((item.segment for item in recorded), default=0)
        for folder in sorted(self._folders.keys() - ours):
            self._check_unrecorded(folder, last, end if recorded else 0, contradicted)
        if self._unasked:
            self._foreign(f"{len(self._unasked):,} more folders than {MAX_REFUSED:,} are nobody's of ours")
        for size in sorted(self._doubtful_anchors):
            if what := contradicted.get(_anchor_source(size)):
                self._foreign(f"{anchor_name(self._origin, size)}: a compromised key signed it, and {what}")

    def check_size(self, size: int) -> None:
        """Hold the archive's end against a database of `size` records."""
        last = self.last
        if last is not None and last.next_seq > size:
            self._behind(
                size,
                f"segment {last.segment} holds records up to seq {last.next_seq - 1}, the database holds {size}",
            )
        newest = max(self._anchors, default=0)
        if newest > size:
            self._behind(size, f"a checkpoint of {newest} records is anchored, the database holds {size}")
        for beyond in sorted(found for found in self._doubtful_anchors if found > max(size, newest)):
            self._foreign(
                f"{anchor_name(self._origin, beyond)}: a compromised key alone signed it, and the database holds {size}"
            )

    def _survey_segments(self) -> None:
        names: dict[str, dict[str, Sequence[StoredVersion]]] = {}
        for name, versions, oddities in self._store.survey(f"{self._origin}/segments/"):
            for what in oddities:
                self._foreign(f"{name}: {what}")
            folder, _, file = name.rpartition("/")
            if parse_folder(folder, frozenset()) is None or file not in (*FILES, *OPTIONAL_FILES):
                self._foreign(f"{name}: no manifest names it")
            elif versions:
                names.setdefault(folder, {})[file] = versions
        for folder, files in names.items():
            written = [version.written_at for version in files.get(MANIFEST_FILE, ())[:1]]
            found = parse_folder(folder, frozenset(files), *written)
            assert found is not None, "its name was parsed before"
            self._folders[folder], self._files[folder] = found, files

    def _survey_anchors(self) -> list[StoredAnchor]:
        """Return what is called as anchors since the last segment are; those before say less than the segments do.

        The parts of the stream are read over: nothing rests on them.
        """
        anchors: list[StoredAnchor] = []
        end = self.last.next_seq if self.last else 0
        for name, versions, oddities in self._store.survey(f"{self._origin}/"):
            if name.startswith(f"{self._origin}/segments/"):
                continue
            for what in oddities:
                self._foreign(f"{name}: {what}")
            folder, _, file = name.rpartition("/")
            if folder == f"{self._origin}/{STREAM_FOLDER}" and STREAM_PATTERN.match(file):
                continue
            if folder != f"{self._origin}/{CHECKPOINTS_FOLDER}" or not ANCHOR_PATTERN.match(file):
                self._foreign(f"{name}: no manifest names it")
            elif int(file) > end:
                anchors += [StoredAnchor(size=int(file), version=version) for version in versions]
        return anchors

    def _is_ours(self, candidate: Candidate) -> bool:
        tries = tries_after(len(self._refused))
        found = signed_manifest(self._store, candidate.folder, self._ring, self._origin, tries=tries)
        if isinstance(found, str):
            self._refused[candidate.folder] = found
            return False
        self._signed[candidate.folder] = found
        return True

    def _read_anchors(self, behind: Sequence[StoredAnchor]) -> None:
        refused: dict[int, str] = {}
        chosen = fair(behind, size=lambda item: item.size, written_at=lambda item: item.version.written_at)
        for item in chosen:
            anchor, doubt = judge_anchor(self._store, self._origin, item, self._ring)
            if isinstance(anchor, str):
                refused[item.size] = anchor
            else:
                (self._doubtful_anchors if doubt else self._anchors)[item.size] = anchor
        for size in sorted(refused.keys() - self._anchors.keys() - self._doubtful_anchors.keys()):
            self._foreign(f"{anchor_name(self._origin, size)}: {refused[size]}")
        if len(behind) > len(chosen):
            self._foreign(f"{len(behind) - len(chosen):,} more checkpoints are anchored than were read")

    def _check_one(
        self,
        recorded: RecordedSegment,
        folder: str,
        before: ArchivedManifest | None,
        contradicted: Mapping[str, str],
    ) -> ArchivedManifest | None:
        """Hold one export record against its segment, and the segment against the one before; return the segment."""
        found = self._signed.get(folder)
        if (
            found is None
            or found.sha256 != recorded.manifest_sha256
            or recorded.version_id not in (None, found.version_id)
        ):
            found = self._looked_for(recorded)
        if found is None:
            return None
        if recorded.version_id is not None and found.version_id != recorded.version_id:
            self._edited(
                recorded.first_seq,
                f"the manifest of segment {recorded.segment} is there as version {found.version_id}, the log recorded "
                f"{recorded.version_id}: a locked version is gone",
            )
        elif before is not None and not _follows(found.manifest, before):
            self._edited(
                found.manifest.first_seq,
                f"segment {found.manifest.segment} does not follow segment {before.manifest.segment}",
            )
        if what := contradicted.get(_source(found)):
            self._findings.add(Code.FORKED, TABLE, found.manifest.next_seq - 1, f"{_source(found)}: {what}")
        self._check_files(folder, found.manifest)
        return found

    def _looked_for(self, recorded: RecordedSegment) -> ArchivedManifest | None:
        """Return the manifest that has the recorded hash, of all that lies in its place; report why there is none."""
        closed_on = date.fromisoformat(recorded.closed_on)
        try:
            found = recorded_manifest(
                self._store, self._origin, recorded, closed_on, self._ring, version_id=recorded.version_id
            )
        except IntegrityError as error:
            self._report(error, recorded.first_seq)
            return None
        if found is None:
            self._findings.add(
                Code.ARCHIVE_MISSING, TABLE, recorded.first_seq,
                f"segment {recorded.segment} of {recorded.closed_on} (seq {recorded.first_seq} to "
                f"{recorded.next_seq - 1}) is recorded and not in the archive",
            )  # fmt: skip
        return found

    def _check_unrecorded(self, name: str, last: int, end: int, contradicted: Mapping[str, str]) -> None:
        """Say what a folder is that no export record names."""
        folder, found = self._folders[name], self._signed.get(name)
        if found is None:
            if name in self._planned and not folder.is_complete:
                self._findings.note(f"{name} was left by an interrupted export; exporting again finishes it")
            else:
                self._foreign(
                    f"{name}: {self._refused.get(name, 'it holds no manifest, and no export of ours began it')}"
                )
        elif found.doubtful and (
            folder.segment != last + 1 or folder.first_seq != end or _source(found) in contradicted
        ):
            self._foreign(f"{name}: unrecorded, and {found.doubtful}")
        elif folder.segment == last + 1:
            self._findings.note(
                f"segment {folder.segment} is archived and not yet recorded; exporting again records it"
            )
        elif folder.segment > last:
            self._behind(
                folder.first_seq,
                f"it holds segment {folder.segment} ({folder.closed_on}); the log knows segments up to {last}",
            )
        else:
            self._edited(folder.first_seq, f"{name} claims segment {folder.segment}, which no export record names so")

    def _check_files(self, folder: str, manifest: Manifest) -> None:
        files = self._files.get(folder, {})
        for name in sorted(files.keys() - {*FILES, *(item.name for item in manifest.objects)}):
            self._foreign(f"{folder}/{name}: no manifest names it")
        for name in sorted(set(FILES) - files.keys()):
            self._findings.add(Code.ARCHIVE_MISSING, TABLE, manifest.first_seq, f"{folder}/{name} is missing")
        for item in manifest.objects:
            versions = files.get(item.name, [])
            named = [found for found in versions if item.version_id in (None, found.version_id)]
            if named and named[0].size_bytes != item.bytes:
                self._edited(
                    manifest.first_seq,
                    f"{folder}/{item.name} has {named[0].size_bytes} bytes, its manifest lists {item.bytes}",
                )

    def _check_hashes(self, manifest: Manifest) -> None:
        if not set(FILES) <= self._files.get(manifest.folder, {}).keys():
            return
        try:
            require_intact(self._store, manifest)
        except IntegrityError as error:
            self._report(error, manifest.first_seq)

    def _foreign(self, what: str) -> None:
        self._findings.add(Code.ARCHIVE_FOREIGN, TABLE, None, what)

    def _edited(self, seq: int, what: str) -> None:
        self._findings.add(Code.ARCHIVE_EDITED, TABLE, seq, what)

    def _behind(self, seq: int, what: str) -> None:
        self._findings.add(Code.BEHIND_ARCHIVE, TABLE, seq, what)

    def _report(self, error: IntegrityError, seq: int | None = None) -> None:
        self._findings.add(Code(error.context.get("finding", Code.ARCHIVE_EDITED)), TABLE, seq, error.message)


def _source(found: ArchivedManifest) -> str:
    return f"archived segment {found.manifest.segment}"


def _anchor_source(size: int) -> str:
    return f"anchored checkpoint {size}"


def _follows(manifest: Manifest, before: ArchivedManifest) -> bool:
    return (
        manifest.previous is not None
        and manifest.previous.manifest_sha256 == before.sha256
        and manifest.first_seq == before.manifest.next_seq
    )
