"""The archive as the exporter and the checker see it: which segments lie there, and what their manifests say.

A segment exists once its manifest does, because the manifest is written last; a folder without one is a night that was
interrupted, and the same export finishes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from ledger_core.base.objects.port import ObjectStore
from ledger_core.errors import CounterfoilError, IntegrityError, InvalidInput
from ledger_core.log.dsse import SEGMENT_TYPE, parse_envelope
from ledger_core.log.keys import KeyRing
from ledger_core.log.segment import FOLDER_PATTERN, MANIFEST_FILE, Manifest, manifest_sha256, parse_manifest

MAX_MANIFEST_BYTES = 1024 * 1024
MAX_FOREIGN_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFolder:
    """A segment's folder by its name; `names` are the files in it."""

    folder: str
    segment: int
    closed_on: date
    first_seq: int
    next_seq: int
    names: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Say whether the segment was finished."""
        return MANIFEST_FILE in self.names


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedManifest:
    """A manifest whose signature holds, and the hash by which the log knows it.

    `version_id` is its version in a store that has them. One that is `doubtful` was signed by a compromised key: it
    counts if a signed record of the log names its hash.
    """

    manifest: Manifest
    sha256: str
    version_id: str | None = None
    doubtful: str = ""
    """Why it is in doubt."""

    def beyond_doubt(self) -> ArchivedManifest:
        """Return this, for whoever has no record of it. Raises `IntegrityError` for one in doubt."""
        if self.doubtful:
            raise _wrong(
                f"{self.manifest.folder}/{MANIFEST_FILE}", f"is not signed: {self.doubtful}", "signature_invalid"
            )
        return self


def list_segments(store: ObjectStore, origin: str) -> list[ArchivedFolder]:
    """Return the folders of `origin`'s segments, in order of their numbers. Other names are `list_foreign`'s."""
    names: dict[str, set[str]] = {}
    for name in store.list(f"{origin}/segments/"):
        folder, _, file = name.rpartition("/")
        names.setdefault(folder, set()).add(file)
    parsed = (_parse_folder(folder, frozenset(files)) for folder, files in names.items())
    folders = [folder for folder in parsed if folder is not None]
    return sorted(folders, key=lambda item: (item.segment, item.folder))


def list_foreign(store: ObjectStore, origin: str) -> tuple[str, ...]:
    """Return what somebody else did to the segments of `origin`, object by object, and how much more there is."""
    found = [f"{name}: {what}" for name, what in store.foreign(f"{origin}/segments/")]
    found += [f"{name}: no manifest names it" for name in strangers(store, origin)]
    more = (f"and {len(found) - MAX_FOREIGN_LISTED:,} more",) if len(found) > MAX_FOREIGN_LISTED else ()
    return (*found[:MAX_FOREIGN_LISTED], *more)


def strangers(store: ObjectStore, origin: str) -> list[str]:
    """Return what lies among the segments of `origin` in a place that is no segment's."""
    listed = store.list(f"{origin}/segments/")
    return [name for name in listed if _parse_folder(name.rpartition("/")[0], frozenset()) is None]


def read_manifest(store: ObjectStore, archived: ArchivedFolder, ring: KeyRing, origin: str) -> ArchivedManifest:
    """Return the manifest of a finished segment.

    Raises `IntegrityError` when it cannot be read, is not signed by a key that is known, or names another place.
    """
    name = f"{archived.folder}/{MANIFEST_FILE}"
    try:
        envelope = parse_envelope(read_object(store, name, MAX_MANIFEST_BYTES))
        if envelope.payload_type != SEGMENT_TYPE:
            raise InvalidInput(f"it is of type {envelope.payload_type}.")
        manifest = parse_manifest(envelope.payload)
    except InvalidInput as error:
        raise _wrong(name, f"is no manifest: {error.message}", "archive_edited") from error
    judgement = ring.judge_envelope(envelope, origin, manifest.next_seq, manifest.root)
    if judgement.verdict and not judgement.doubtful:
        raise _wrong(name, f"is not signed: {judgement.detail}", "signature_invalid")
    if manifest.origin != origin or manifest.folder != archived.folder:
        raise _wrong(name, f"belongs to {manifest.folder}", "archive_edited")
    return ArchivedManifest(
        manifest=manifest,
        sha256=manifest_sha256(envelope.payload),
        version_id=store.version_of(name),
        doubtful=judgement.detail if judgement.doubtful else "",
    )


def read_object(store: ObjectStore, name: str, limit_bytes: int) -> bytes:
    """Return a small object whole. Raises `NotFound`, and `InvalidInput` past `limit_bytes`."""
    with store.open(name) as source:
        data = source.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise InvalidInput(f"object {name} has more than {limit_bytes} bytes.")
    return data


def archived_lines(store: ObjectStore, name: str) -> Iterator[bytes]:
    """Yield the records of a segment's file, without newlines; damage inside ends the iteration."""
    import gzip
    import zlib

    try:
        with store.open(name) as source, gzip.open(source) as plain:
            for line in plain:
                yield line.rstrip(b"\n")
    except (OSError, EOFError, zlib.error, CounterfoilError):
        return


def _parse_folder(folder: str, names: frozenset[str]) -> ArchivedFolder | None:
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
    )


def _wrong(name: str, what: str, code: str) -> IntegrityError:
    return IntegrityError(
        f"{name} {what}.",
        remedy="Compare with a copy of the archive; docs/runbooks/failed-check.md says how to go on.",
        finding=code,
    )
