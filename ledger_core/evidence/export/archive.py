"""The archive as the exporter and the checker see it: what lies there, and which of it counts.

Whoever stole the key that writes can lay anything there under any name. So a recorded segment is looked for under the
name, and by the hash, that its signed record states; one that is not recorded yet counts if its manifest is signed and
follows on the last recorded one. Everything else is foreign: it is named, and steers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Protocol

from ledger_core.base.objects.port import ObjectStore, StoredVersion
from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput, NotFound
from ledger_core.log.bucket_errors import Unreadable
from ledger_core.log.dsse import SEGMENT_TYPE, parse_envelope
from ledger_core.log.keys import KeyRing
from ledger_core.log.segment import (
    FILES,
    FOLDER_PATTERN,
    MANIFEST_FILE,
    OPTIONAL_FILES,
    Manifest,
    manifest_sha256,
    parse_manifest,
    segment_folder,
)
from ledger_core.log.walk import Candidate

MAX_MANIFEST_BYTES = 1024 * 1024
MAX_FOREIGN_LISTED = 20
MAX_VERSIONS_TRIED = 50
"""Of a manifest in a folder that may be anybody's; one that a record names by its hash is looked for in all."""
MAX_FOLDERS_TRIED_WELL = 200
FEW_VERSIONS_TRIED = 2
"""After so many folders that were nobody's of ours, the oldest and the newest version of a manifest alone are read."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NamedSegment(Protocol):
    """A segment as the log's record of it names it."""

    @property
    def segment(self) -> int: ...
    @property
    def first_seq(self) -> int: ...
    @property
    def next_seq(self) -> int: ...
    @property
    def manifest_sha256(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFolder:
    """A folder that is called as a segment's is; `names` are the files in it. It may be anybody's."""

    folder: str
    segment: int
    closed_on: date
    first_seq: int
    next_seq: int
    names: frozenset[str]
    manifest_written_at: datetime = EPOCH
    """When something called as a manifest is was first written in it, as the store says."""

    @property
    def is_complete(self) -> bool:
        """Say whether something called as a manifest is lies in it."""
        return MANIFEST_FILE in self.names

    def candidate(self) -> Candidate:
        """Return it as one of those that may be ours."""
        return Candidate(
            home="",
            folder=self.folder,
            segment=self.segment,
            first_seq=self.first_seq,
            next_seq=self.next_seq,
            written_at=self.manifest_written_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedManifest:
    """A manifest whose signature holds, and the hash by which the log knows it.

    `version_id` is its version in a store that has them. One that is `doubtful` was signed by a compromised key: it
    counts if a signed record of the log names its hash, or what it says is what the log itself holds.
    """

    manifest: Manifest
    sha256: str
    version_id: str | None = None
    doubtful: str = ""
    """Why it is in doubt."""


@dataclass(slots=True, kw_only=True)
class Survey:
    """What one look at the segments of a log saw: the folders called as theirs, and what is nobody's of ours."""

    folders: dict[str, ArchivedFolder] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    """Names that no segment has."""
    odd: list[tuple[str, str]] = field(default_factory=list)
    """Names over which something was laid, and what."""
    not_listed: int = 0
    """How many more strangers and odd names there are: anybody can make any number of them."""

    def foreign(self, ours: Iterable[str], manifest: Manifest) -> tuple[str, ...]:
        """Return what somebody else did, and how much more there is.

        `ours` are the folders that count, and `manifest` is that of one of them.
        """
        counted = set(ours)
        listed = {MANIFEST_FILE, *(item.name for item in manifest.objects)}
        there = self.folders[manifest.folder].names if manifest.folder in self.folders else frozenset()
        found = [f"{manifest.folder}/{name}: its manifest does not list it" for name in sorted(there - listed)]
        found += [f"{name}: {what}" for name, what in self.odd]
        found += [f"{name}: no manifest names it" for name in self.strangers]
        found += [
            f"{folder}: no record of this log names it" for folder in sorted(self.folders) if folder not in counted
        ]
        more = max(0, len(found) - MAX_FOREIGN_LISTED) + self.not_listed
        return (*found[:MAX_FOREIGN_LISTED], *((f"and {more:,} more",) if more else ()))

    def add_odd(self, name: str, what: str) -> None:
        """Keep what lies over a name, or count it."""
        if len(self.odd) < MAX_FOREIGN_LISTED:
            self.odd.append((name, what))
        else:
            self.not_listed += 1

    def add_stranger(self, name: str) -> None:
        """Keep a name that no segment has, or count it."""
        if len(self.strangers) < MAX_FOREIGN_LISTED:
            self.strangers.append(name)
        else:
            self.not_listed += 1


def survey_segments(store: ObjectStore, origin: str) -> Survey:
    """Look through the segments of `origin`, once."""
    names: dict[str, set[str]] = {}
    written: dict[str, datetime] = {}
    found = Survey()
    for name, versions, oddities in store.survey(f"{origin}/segments/"):
        for what in oddities:
            found.add_odd(name, what)
        folder, _, file = name.rpartition("/")
        if parse_folder(folder, frozenset()) is None or file not in (*FILES, *OPTIONAL_FILES):
            found.add_stranger(name)
            continue
        if versions:
            names.setdefault(folder, set()).add(file)
            if file == MANIFEST_FILE:
                written[folder] = versions[0].written_at
    for folder, files in names.items():
        parsed = parse_folder(folder, frozenset(files), written.get(folder, EPOCH))
        assert parsed is not None, "its name was parsed before"
        found.folders[folder] = parsed
    return found


def list_segments(store: ObjectStore, origin: str) -> list[ArchivedFolder]:
    """Return the folders that are called as `origin`'s segments are, in order of their numbers, whosever they are."""
    found = survey_segments(store, origin).folders.values()
    return sorted(found, key=lambda item: (item.segment, item.folder))


def recorded_folder(origin: str, recorded: NamedSegment, closed_on: date) -> str:
    """Return where the segment lies that a record names."""
    return segment_folder(origin, closed_on, recorded.segment, recorded.first_seq, recorded.next_seq)


def recorded_manifest(
    store: ObjectStore,
    origin: str,
    recorded: NamedSegment,
    closed_on: date,
    ring: KeyRing,
    *,
    version_id: str | None = None,
) -> ArchivedManifest | None:
    """Return the archived manifest that `recorded` names by its hash; None where nothing is there.

    Of several versions that have it, the one called `version_id`, else the one written first.
    Raises `IntegrityError` when what is there is another one, or no key that is known has signed it.
    """
    folder = recorded_folder(origin, recorded, closed_on)
    wrong: IntegrityError | None = None
    unread: Unreadable | None = None
    versions = store.versions(f"{folder}/{MANIFEST_FILE}")
    for version in sorted(versions, key=lambda item: item.version_id != version_id):
        try:
            found = read_manifest(store, folder, ring, origin, version)
        except IntegrityError as error:
            wrong = wrong or error
            continue
        except Unreadable as error:
            unread = unread or error
            continue
        if found.sha256 == recorded.manifest_sha256:
            return found
        wrong = wrong or IntegrityError(
            f"the archived manifest of segment {recorded.segment} has sha256 {found.sha256}, the log recorded "
            f"{recorded.manifest_sha256}.",
            remedy="Run `counterfoil check` to see which of the two was changed.",
            seq=recorded.first_seq,
            finding="archive_edited",
        )
    if unread is not None:
        raise unread
    if wrong is not None:
        raise wrong
    return None


def tries_after(refused: int) -> int:
    """Return how many versions of the next folder's manifest are worth reading, after so many that were nobody's."""
    return MAX_VERSIONS_TRIED if refused < MAX_FOLDERS_TRIED_WELL else FEW_VERSIONS_TRIED


def signed_manifest(
    store: ObjectStore, folder: str, ring: KeyRing, origin: str, *, tries: int = MAX_VERSIONS_TRIED
) -> ArchivedManifest | str:
    """Return the manifest in `folder` that our keys signed for that place, whatever lies over or under it; or why not.

    One that a compromised key signed is returned where there is no other. Of more than `tries` versions the oldest and
    the newest are read.
    """
    best: ArchivedManifest | str = f"{folder} holds no manifest"
    versions = store.versions(f"{folder}/{MANIFEST_FILE}")
    if len(versions) > tries:
        versions = [*versions[: tries // 2], *versions[-(tries // 2) :]]
    for version in versions:
        try:
            found = read_manifest(store, folder, ring, origin, version)
        except (IntegrityError, Unreadable) as error:
            best = error.message if isinstance(best, str) else best
            continue
        if not found.doubtful:
            return found
        best = found if isinstance(best, str) else best
    return best


def read_manifest(
    store: ObjectStore, folder: str, ring: KeyRing, origin: str, version: StoredVersion
) -> ArchivedManifest:
    """Return one version of the manifest of a finished segment.

    Raises `IntegrityError` when it cannot be read, is not signed by a key that is known, or names another place.
    """
    name = f"{folder}/{MANIFEST_FILE}"
    try:
        envelope = parse_envelope(read_object(store, name, MAX_MANIFEST_BYTES, version))
        if envelope.payload_type != SEGMENT_TYPE:
            raise InvalidInput(f"it is of type {envelope.payload_type}.")
        manifest = parse_manifest(envelope.payload)
    except (InvalidInput, NotFound) as error:
        raise _wrong(name, f"is no manifest: {error.message}", "archive_edited") from error
    judgement = ring.judge_envelope(envelope, origin, manifest.next_seq, manifest.root)
    if judgement.verdict and not judgement.doubtful:
        raise _wrong(name, f"is not signed: {judgement.detail}", "signature_invalid")
    if manifest.origin != origin or manifest.folder != folder:
        raise _wrong(name, f"belongs to {manifest.folder}", "archive_edited")
    return ArchivedManifest(
        manifest=manifest,
        sha256=manifest_sha256(envelope.payload),
        version_id=version.version_id,
        doubtful=judgement.detail if judgement.doubtful else "",
    )


def read_object(store: ObjectStore, name: str, limit_bytes: int, version: StoredVersion | None = None) -> bytes:
    """Return a small object whole, in one version. Raises `NotFound`, and `InvalidInput` past `limit_bytes`."""
    data = b""
    if version is None or version.size_bytes <= limit_bytes:
        with store.open(name, version.version_id if version is not None else None) as source:
            data = source.read(limit_bytes + 1)
    if len(data) > limit_bytes or (version is not None and version.size_bytes > limit_bytes):
        raise InvalidInput(f"object {name} has more than {limit_bytes} bytes.")
    return data


def archived_lines(store: ObjectStore, name: str, version_id: str | None = None) -> Iterator[bytes]:
    """Yield the records of a segment's file, without newlines; damage inside ends the iteration."""
    import gzip
    import zlib

    try:
        with store.open(name, version_id) as source, gzip.open(source) as plain:
            for line in plain:
                yield line.rstrip(b"\n")
    except (OSError, EOFError, zlib.error, CounterfoilError):
        return


def parse_folder(folder: str, names: frozenset[str], written_at: datetime = EPOCH) -> ArchivedFolder | None:
    """Return what a folder's name says it is; None where that is no segment."""
    parts = folder.split("/")
    match = FOLDER_PATTERN.match(parts[-1])
    try:
        closed_on = date.fromisoformat("-".join(parts[-4:-1]))
    except ValueError:
        match = None
    if match is None:
        return None
    return ArchivedFolder(
        folder=folder,
        segment=int(match["segment"]),
        closed_on=closed_on,
        first_seq=int(match["first"]),
        next_seq=int(match["next"]),
        names=names,
        manifest_written_at=written_at,
    )


def _wrong(name: str, what: str, code: str) -> IntegrityError:
    return IntegrityError(
        f"{name} {what}.",
        remedy="Compare with a copy of the archive; docs/runbooks/failed-check.md says how to go on.",
        finding=code,
    )
