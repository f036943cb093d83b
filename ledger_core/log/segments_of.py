"""Which folders of a bucket are segments of a log: those whose manifest is signed, and no others.

Anybody who holds the key that writes can lay folders there that look like segments, copies of sound ones, and newer or
older versions of any object. So a manifest is believed once its signature is: only then does it say which versions of
its files, and which version of the manifest before it, are read. What nobody of ours signed is foreign, is named, and
steers nothing. Invariant: what a folder is called, and what lies in it unsigned, decides no verdict but `foreign`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path

from ledger_core.errors import CannotRun, CounterfoilError
from ledger_core.log.bucket import ObjectVersion
from ledger_core.log.dsse import SEGMENT_TYPE, Envelope, parse_envelope
from ledger_core.log.object_tree import ObjectPlace, ObjectTree, Place
from ledger_core.log.places import MAX_MANIFEST_BYTES, FoundSegments, Seen, by_log, find_on_disk, look_at
from ledger_core.log.registries import MAX_KEYS_BYTES, Registries
from ledger_core.log.segment import FOLDER_PATTERN, KEYS_FILE, MANIFEST_FILE, Manifest, manifest_sha256, parse_manifest
from ledger_core.log.walk import MAX_REFUSED, Candidate, walk

MAX_VERSIONS_TRIED = 2_000
"""Of one manifest: as many as are kept of its listing."""
MAX_REFUSED_BYTES = 512 * 1024 * 1024
SMALL_BYTES = 64 * 1024
"""Ours are of some kilobytes: after half a gigabyte of what is not ours, nothing longer than this is read for a try."""
MAX_REGISTRIES_OF_OTHERS = 200
"""Of folders that are nobody's of ours: one may hold the newest registry, which vouches for itself."""


class Standing(Enum):
    """What a manifest is worth."""

    SIGNED = 3
    DOUBTFUL = 2
    """By a key that is compromised, or may not sign at that size: the segment itself is judged for it."""
    UNKNOWN = 1
    """Nothing is pinned for its log, or there is no registry to judge by."""
    NONE = 0


@dataclass(slots=True, kw_only=True)
class _Read:
    """A manifest as one version of its object has it."""

    candidate: Candidate
    version: ObjectVersion
    manifest: Manifest
    sha256: str
    signers: Sequence[str]
    standing: Standing
    is_in_place: bool


@dataclass(slots=True)
class _Search:
    """One look through a bucket; `accepted` are the folders that count, by name."""

    tree: ObjectTree
    registries: Registries
    accepted: dict[str, _Read] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    half_read: int = 0
    """Folders of whose manifests not all versions were read, and none that was is one of ours."""
    _tries: int = 0
    _refused_bytes: int = 0

    def is_ours(self, candidate: Candidate) -> bool:
        """Read the manifest of a folder: the version written first, or, if that is nobody's, any other."""
        best: _Read | None = None
        why = "it holds no manifest"
        versions = self.tree.versions(f"{candidate.folder}/{MANIFEST_FILE}")
        is_half = len(versions) >= MAX_VERSIONS_TRIED
        for count, version in enumerate(versions[:MAX_VERSIONS_TRIED]):
            if count and self._tries >= MAX_REFUSED:
                is_half = True
                break
            self._tries += count > 0
            found = self._read(candidate, version)
            if isinstance(found, str):
                why = why if count else found
            elif best is None or found.standing.value > best.standing.value:
                best = found
            if best is not None and best.standing is Standing.SIGNED:
                break
        if best is None:
            self.half_read += is_half
            self.refused[candidate.folder] = why
            return False
        self.accepted[candidate.folder] = best
        if best.standing is Standing.UNKNOWN:
            # Of a log that nobody pins: kept, as it may be all that lies here, and paid for as what is nobody's is.
            self._refused_bytes += best.version.size_bytes
        return best.standing is not Standing.UNKNOWN

    def _read(self, candidate: Candidate, version: ObjectVersion) -> _Read | str:
        """Return what one version of a manifest is, or why it is none of a segment in this place."""
        place = ObjectPlace(self.tree, f"{candidate.folder}/{MANIFEST_FILE}")
        data = self._bytes(place, version, MAX_MANIFEST_BYTES)
        if data is None:
            return "its manifest is longer than any of ours, or cannot be read"
        try:
            envelope = parse_envelope(data)
            manifest = parse_manifest(envelope.payload)
        except CannotRun:
            raise
        except CounterfoilError:
            self._refused_bytes += len(data)
            return "no manifest of ours is in it"
        if (manifest.segment, manifest.first_seq, manifest.next_seq) != (
            candidate.segment,
            candidate.first_seq,
            candidate.next_seq,
        ):
            return f"its manifest is that of {manifest.folder}"
        is_pinned = self.registries.trust.covers(manifest.origin)
        signers = self._signers(envelope)
        if is_pinned and not signers:
            # The registry that it was written under may be newer than those seen so far, and vouches for itself.
            self._take_registry(candidate.folder, manifest)
            signers = self._signers(envelope)
        standing = self._standing(signers, manifest)
        if standing is Standing.NONE:
            self._refused_bytes += len(data)
            return "no key that is known has signed its manifest"
        return _Read(
            candidate=candidate,
            version=version,
            manifest=manifest,
            sha256=manifest_sha256(envelope.payload),
            signers=signers,
            standing=standing,
            is_in_place=f"/{candidate.folder}".endswith(f"/{manifest.folder}"),
        )

    def _bytes(self, place: ObjectPlace, version: ObjectVersion, limit_bytes: int) -> bytes | None:
        """Return what is there; once much of it was nobody's of ours, of what is small alone."""
        is_much = self._refused_bytes > MAX_REFUSED_BYTES
        return place.read_version(version, min(limit_bytes, SMALL_BYTES) if is_much else limit_bytes)

    def _signers(self, envelope: Envelope) -> Sequence[str]:
        ring = self.registries.newest
        return () if ring is None or envelope.payload_type != SEGMENT_TYPE else ring.signers_of(envelope)

    def _standing(self, signers: Sequence[str], manifest: Manifest) -> Standing:
        ring = self.registries.newest
        if ring is None or not self.registries.trust.covers(manifest.origin):
            return Standing.UNKNOWN
        if not signers:
            return Standing.NONE
        judgement = ring.judge_signers(signers, manifest.origin, manifest.next_seq, manifest.root)
        return Standing.SIGNED if judgement.verdict is None else Standing.DOUBTFUL

    def judge_again(self) -> None:
        """Judge what was accepted by the newest of all registries that lie here."""
        for folder in list(self.accepted):
            self._take_registry(folder, self.accepted[folder].manifest)
        for item in list(self.accepted.values()):
            if item.standing is Standing.UNKNOWN and not item.signers and self.registries.newest is not None:
                del self.accepted[item.candidate.folder]
                self.is_ours(item.candidate)
            else:
                item.standing = self._standing(item.signers, item.manifest)

    def _take_registry(self, folder: str, manifest: Manifest | None) -> None:
        place = ObjectPlace(self.tree, f"{folder}/{KEYS_FILE}")
        versions = place.versions()
        stored = manifest.stored(KEYS_FILE) if manifest is not None else None
        named = [item for item in versions if stored is not None and item.version_id == stored.version_id]
        for version in [*named, *versions[:1]]:
            data = self._bytes(place, version, MAX_KEYS_BYTES)
            if data is None:
                continue
            try:
                self.registries.take(data)
            except CannotRun:
                raise
            except CounterfoilError:
                self._refused_bytes += len(data)

    def take_registries_of_others(self, folders: Iterable[str]) -> None:
        """Look for a newer registry where no segment of ours is: what the roots signed holds wherever it lies."""
        for folder in list(folders)[:MAX_REGISTRIES_OF_OTHERS]:
            self._take_registry(folder, None)

    def drop_copies(self) -> None:
        """Refuse what is of no log of ours, what lies twice, and what a stolen key signed where another one did."""
        if any(item.standing.value > Standing.UNKNOWN.value for item in self.accepted.values()):
            for item in list(self.accepted.values()):
                if item.standing is Standing.UNKNOWN:
                    self._refuse(item, f"the trust file pins nothing for {item.manifest.origin}")
        by_sha: dict[str, list[_Read]] = {}
        for item in self.accepted.values():
            by_sha.setdefault(item.sha256, []).append(item)
        for same in by_sha.values():
            same.sort(key=lambda item: (not item.is_in_place, len(item.candidate.folder), item.candidate.folder))
            if same[0].is_in_place:
                for copy in same[1:]:
                    self._refuse(copy, f"it is a copy of {same[0].candidate.folder}")
        by_number: dict[tuple[str, int], list[_Read]] = {}
        for item in self.accepted.values():
            by_number.setdefault((item.manifest.origin, item.manifest.segment), []).append(item)
        named: set[str] = set()
        for rivals in sorted(by_number.values(), key=lambda items: items[0].manifest.segment, reverse=True):
            counts = [item for item in rivals if item.standing is Standing.SIGNED or item.sha256 in named]
            doubtful = [item for item in rivals if item.standing is Standing.DOUBTFUL and item.sha256 not in named]
            named |= {item.manifest.previous.manifest_sha256 for item in counts if item.manifest.previous is not None}
            for item in sorted(doubtful, key=lambda item: item.version.written_at)[0 if counts else 1 :]:
                self._refuse(item, "another manifest is in its place, and no key that counts signed this one")

    def _refuse(self, item: _Read, why: str) -> None:
        del self.accepted[item.candidate.folder]
        self.refused[item.candidate.folder] = why

    def name_versions(self) -> None:
        """Keep which versions are signed for: of files, of each manifest, and of the one before it."""
        by_sha = {item.sha256: item for item in self.accepted.values()}
        for item in self.accepted.values():
            if item.standing is Standing.UNKNOWN:
                continue
            folder = item.candidate.folder
            self.tree.name(f"{folder}/{MANIFEST_FILE}", item.version.version_id)
            for stored in item.manifest.objects:
                if stored.version_id is not None:
                    self.tree.name(f"{folder}/{stored.name}", stored.version_id)
        for item in self.accepted.values():
            previous = item.manifest.previous
            if item.standing is not Standing.SIGNED or previous is None or previous.version_id is None:
                continue
            before = by_sha.get(previous.manifest_sha256)
            if before is not None:
                self.tree.name(f"{before.candidate.folder}/{MANIFEST_FILE}", previous.version_id)


def find_segments(path: Place, registries: Registries) -> FoundSegments:
    """Return the segments at or below `path` by log; in a bucket those alone that `registries` let count.

    Raises `CannotRun` for a bucket that cannot be read.
    """
    return find_on_disk(Path(path)) if not isinstance(path, ObjectPlace) else _in_bucket(path, registries)


def _in_bucket(top: ObjectPlace, registries: Registries) -> FoundSegments:
    tree = top.tree
    folders = tree.load()
    is_single = top.key in folders
    search = _Search(tree, registries)
    asked = {top.key: folders[top.key]} if is_single else folders
    candidates = [_candidate(folder, written) for folder, written in asked.items() if written]
    unasked = walk(candidates, search.is_ours, limit=MAX_REFUSED)
    for item in unasked:
        search.refused[item.folder] = f"more than {MAX_REFUSED:,} folders are nobody's of ours: it was not looked at"
    found = FoundSegments(is_single=is_single)
    if not search.accepted:
        tree.bucket.require_readable()
    search.take_registries_of_others(folder for folder in folders if folder not in search.accepted)
    search.judge_again()
    search.drop_copies()
    search.name_versions()
    others = [folder for folder in folders if folder not in search.accepted]
    for folder in others:
        if folder != top.key:
            why = search.refused.get(folder, "it holds no manifest: it is no segment, or not yet one")
            tree.add_foreign(f"{folder}/", f"no signed manifest names what is in it: {why}")
    if unlooked := len(unasked) + tree.unlooked + search.half_read:
        # Nothing against the log, and nothing for it either: how far it goes is not known.
        found.problems.append(
            (str(top), f"{unlooked:,} folders were not looked at in full: segments of ours may be among them")
        )
    found.foreign = list(tree.foreign)
    if tree.foreign_count > len(tree.foreign):
        found.foreign.append((str(top), f"{tree.foreign_count - len(tree.foreign):,} more of these are not listed"))
    seen = [_seen(tree, item) for item in search.accepted.values()]
    if is_single and not seen:
        seen = [look_at(top)]  # judged for what it is
    found.logs = by_log(seen)
    return found


def _seen(tree: ObjectTree, item: _Read) -> Seen:
    folder, manifest = item.candidate.folder, item.manifest
    position = (manifest.first_seq, manifest.segment, manifest.next_seq, folder)
    return Seen(ObjectPlace(tree, folder), manifest.origin, position)


def _candidate(folder: str, written_at: datetime) -> Candidate:
    match = FOLDER_PATTERN.match(folder.rpartition("/")[2])
    assert match is not None, "the tree lists such folders alone"
    return Candidate(
        home=folder.rpartition("/segments/")[0] or folder.rpartition("/")[0],
        folder=folder,
        segment=int(match["segment"]),
        first_seq=int(match["first"]),
        next_seq=int(match["next"]),
        written_at=written_at,
    )
