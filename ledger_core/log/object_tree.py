"""What lies below an address in a bucket, for the verifier to read as it reads a folder: by version, nothing skipped.

An object counts in the version that a manifest names, else in the one written first. What no writer of ours can have
caused is kept as foreign: a delete marker, a version over another, an object whose place no manifest can name. Memory
grows with the number of segments, and by one number an anchor.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from ledger_core.errors import NotFound
from ledger_core.log.bucket import SCHEME, Bucket, ObjectVersion, first_written, oddities, parse_address
from ledger_core.log.segment import FILES, FOLDER_PATTERN, MANIFEST_FILE, OPTIONAL_FILES, Manifest

CHECKPOINTS_FOLDER = "checkpoints"
ANCHOR_PATTERN = re.compile(r"[0-9]{16}\Z")
MAX_OBJECTS = 400_000
"""Of segments: those of 270 years of nights. What comes behind is foreign, unlooked at."""
MAX_FOREIGN = 1_000
"""So many are told one by one; the rest is counted."""


@dataclass(slots=True, eq=False)
class ObjectTree:
    """Every object below `top` of `bucket`, once `load` has looked; before that each one is looked for when asked."""

    bucket: Bucket
    top: str
    foreign: list[tuple[str, str]] = field(default_factory=list)
    """Address and what is wrong."""
    foreign_count: int = 0
    anchors: dict[str, list[int]] = field(default_factory=dict)
    """The sizes that names of anchors state, by the folder that holds them. Names only: no signature was read."""
    _index: dict[str, list[ObjectVersion]] | None = None
    _named: dict[str, str] = field(default_factory=dict)
    _manifests: dict[str, tuple[str, int]] = field(default_factory=dict)
    _previous: dict[tuple[str, int], str] = field(default_factory=dict)

    def load(self) -> Mapping[str, list[ObjectVersion]]:
        """Look at everything, once, and return it by key but for the anchors."""
        if self._index is not None:
            return self._index
        found: dict[str, list[ObjectVersion]] = {}
        for key, versions in self.bucket.versions(f"{self.top}/" if self.top else ""):
            for what in oddities(versions):
                self._add_foreign(key, what)
            folder, _, name = key.rpartition("/")
            if FOLDER_PATTERN.match(folder.rpartition("/")[2]) and name in (*FILES, *OPTIONAL_FILES):
                if len(found) < MAX_OBJECTS:
                    found[key] = versions
                else:
                    self._add_foreign(key, f"there are more than {MAX_OBJECTS:,} files of segments: not looked at")
            elif folder.rpartition("/")[2] == CHECKPOINTS_FOLDER and ANCHOR_PATTERN.match(name):
                self.anchors.setdefault(folder, []).append(int(name))
            else:
                self._add_foreign(key, "no manifest names it")
        self._index = found
        return found

    def note_manifest(self, folder: str, manifest: Manifest) -> None:
        """Keep which versions `manifest`, the one in `folder`, names: its files', and the manifest's before it.

        One that lies in another segment's place speaks of what lies elsewhere.
        """
        if folder.rpartition("/")[2] != manifest.folder.rpartition("/")[2]:
            return
        for item in manifest.objects:
            if item.version_id is not None:
                self._named[f"{folder}/{item.name}"] = item.version_id
        self._manifests[f"{folder}/{MANIFEST_FILE}"] = (manifest.origin, manifest.segment)
        previous = manifest.previous
        if previous is not None and previous.version_id is not None:
            self._previous[manifest.origin, previous.segment] = previous.version_id

    def version(self, key: str) -> ObjectVersion:
        """Return the version of `key` that counts. Raises `FileNotFoundError` where it is not there."""
        is_kept = self._index is not None and key.rpartition("/")[0] not in self.anchors
        versions = (self._index or {}).get(key, []) if is_kept else self.bucket.versions_of(key)
        named = self._named.get(key)
        if named is None and key in self._manifests:
            named = self._previous.get(self._manifests[key])
        if named is None:
            found = first_written(versions)
        else:
            found = next((item for item in versions if item.version_id == named and not item.is_marker), None)
        if found is None:
            what = "version " + named + ", which a manifest names" if named and versions else "it"
            raise FileNotFoundError(errno.ENOENT, f"{what} is not there", f"{SCHEME}{self.bucket.name}/{key}")
        return found

    def _add_foreign(self, key: str, what: str) -> None:
        self.foreign_count += 1
        if len(self.foreign) < MAX_FOREIGN:
            self.foreign.append((f"{SCHEME}{self.bucket.name}/{key}", what))


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """A place in a tree of objects, written as a path is."""

    tree: ObjectTree
    key: str

    def __truediv__(self, name: str) -> ObjectPlace:
        return ObjectPlace(self.tree, f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        return f"{SCHEME}{self.tree.bucket.name}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def where(self) -> PurePosixPath:
        """The place as a path whose first part is the bucket."""
        return PurePosixPath("/", self.tree.bucket.name, self.key)

    def open(self) -> BinaryIO:
        """Open the version that counts. Raises `FileNotFoundError`, and as `Bucket.ask` does."""
        version = self.tree.version(self.key)
        try:
            file = self.tree.bucket.open(version)
            file.peek(1)  # nothing is asked for before; a version that is listed may be gone
            return file
        except NotFound as error:
            raise FileNotFoundError(errno.ENOENT, "it is not there", str(self)) from error

    def size_bytes(self) -> int:
        """Return how many bytes it has. Raises as `open` does."""
        return self.tree.version(self.key).size_bytes

    def folders(self) -> Iterator[ObjectPlace]:
        """Yield the places one part longer that hold something."""
        for prefix in self.tree.bucket.folders(f"{self.key}/" if self.key else ""):
            yield ObjectPlace(self.tree, prefix.rstrip("/"))

    def keys_below(self, *, after: str = "") -> Iterator[str]:
        """Yield the keys below this place, as many as come behind the name `after`."""
        for key, _ in self.tree.bucket.versions(f"{self.key}/", after=f"{self.key}/{after}" if after else ""):
            yield key


Place = Path | ObjectPlace
"""Where something lies that is read and never written: on a disk, or in a bucket."""


def absolute_place(place: Place) -> Place:
    """Return `place` from the root of the disk, where it is on one."""
    return place if isinstance(place, ObjectPlace) else place.absolute()


def place_of(address: str, *, endpoint: str | None = None, region: str | None = None) -> Place:
    """Return the place that `address` names: a path, `file:///path`, or `s3://bucket/prefix`. Raises `InvalidInput`."""
    if address.startswith("file://"):
        return Path(unquote(urlsplit(address).path))
    if not address.startswith(SCHEME):
        return Path(address)
    name, prefix = parse_address(address)
    return ObjectPlace(ObjectTree(Bucket(name, endpoint=endpoint, region=region), prefix), prefix)
