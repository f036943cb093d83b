"""What lies below an address in a bucket, for the verifier to read as it reads a folder: by version, nothing skipped.

An object counts in the version that a signed manifest names, else in the one written first. What no writer of ours can
have caused is kept as foreign: a delete marker, a version over another, an object whose place no manifest can name.
Which folders are segments of ours is not judged here: `segments_of.py` reads their manifests. Memory grows with the
number of segments, and by one number an anchor.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from ledger_core.errors import NotFound
from ledger_core.log.bucket import (
    MAX_VERSIONS_KEPT,
    SCHEME,
    Bucket,
    ObjectVersion,
    first_written,
    oddities,
    parse_address,
)
from ledger_core.log.segment import FILES, FOLDER_PATTERN, MANIFEST_FILE, OPTIONAL_FILES

CHECKPOINTS_FOLDER = "checkpoints"
ANCHOR_PATTERN = re.compile(r"[0-9]{16}\Z")
STREAM_FOLDER = "stream"
STREAM_PATTERN = re.compile(r"[0-9]{16}-[0-9]{16}\.jsonl\.gz\Z")
"""What the relay wrote since the last night: records whose segment is still to come, or has come. Nothing rests on it,
and nothing of it is read here."""
MAX_OBJECTS = 400_000
"""Of segments, kept with their versions: those of 270 years of nights. Others are asked for when they count."""
MAX_FOLDERS = 2_000_000
"""Called as those of segments are; what comes behind is foreign, unlooked at."""
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
    folders: dict[str, datetime | None] = field(default_factory=dict)
    """The folders called as segments are, each with when something called as a manifest is was first written in it."""
    unlooked: int = 0
    """How many more are there than are kept."""
    _index: dict[str, list[ObjectVersion]] | None = None
    _is_whole: bool = False
    _named: dict[str, str] = field(default_factory=dict)

    def load(self) -> Mapping[str, datetime | None]:
        """Look at everything, once, and return `folders`."""
        if self._index is not None:
            return self.folders
        found: dict[str, list[ObjectVersion]] = {}
        for key, versions in self.bucket.versions(f"{self.top}/" if self.top else ""):
            for what in oddities(versions):
                self.add_foreign(key, what)
            folder, _, name = key.rpartition("/")
            if FOLDER_PATTERN.match(folder.rpartition("/")[2]) and name in (*FILES, *OPTIONAL_FILES):
                if len(found) < MAX_OBJECTS:
                    found[key] = versions
                self._add_folder(folder, name, versions)
            elif folder.rpartition("/")[2] == CHECKPOINTS_FOLDER and ANCHOR_PATTERN.match(name):
                self.anchors.setdefault(folder, []).append(int(name))
            elif folder.rpartition("/")[2] == STREAM_FOLDER and STREAM_PATTERN.match(name):
                continue
            else:
                self.add_foreign(key, "no manifest names it")
        self._index, self._is_whole = found, len(found) < MAX_OBJECTS
        return self.folders

    def name(self, key: str, version_id: str) -> None:
        """Keep that what is signed names this version of `key`: no other is read from now on."""
        self._named[key] = version_id

    def versions(self, key: str) -> list[ObjectVersion]:
        """Return the versions of `key`, without markers, the oldest first."""
        listed = (self._index or {}).get(key)
        if listed is None:
            is_known_absent = self._is_whole and key.rpartition("/")[0] in self.folders
            listed = [] if is_known_absent else self.bucket.versions_of(key)
        return [item for item in reversed(listed) if not item.is_marker]

    def version(self, key: str) -> ObjectVersion:
        """Return the version of `key` that counts. Raises `FileNotFoundError` where it is not there."""
        found = self.versions(key)
        named = self._named.get(key)
        if named is None:
            counts = found[0] if found else None
        else:
            counts = next((item for item in found if item.version_id == named), None)
            if counts is None and len(found) > MAX_VERSIONS_KEPT:
                counts = self.bucket.version(key, named)  # it is among so many that not all are kept
        if counts is None:
            what = f"version {named}, which a manifest names," if named and found else "it"
            raise FileNotFoundError(errno.ENOENT, f"{what} is not there", f"{SCHEME}{self.bucket.name}/{key}")
        return counts

    def add_foreign(self, key: str, what: str) -> None:
        """Keep that somebody else put `key` there, or something over it."""
        self.foreign_count += 1
        if len(self.foreign) < MAX_FOREIGN:
            self.foreign.append((f"{SCHEME}{self.bucket.name}/{key}", what))

    def _add_folder(self, folder: str, name: str, versions: list[ObjectVersion]) -> None:
        if folder not in self.folders:
            if len(self.folders) >= MAX_FOLDERS:
                self.unlooked += name == MANIFEST_FILE
                self.add_foreign(folder, f"there are more than {MAX_FOLDERS:,} folders of segments: not looked at")
                return
            self.folders[folder] = None
        first = first_written(versions)
        if name == MANIFEST_FILE and first is not None:
            self.folders[folder] = first.written_at


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

    def versions(self) -> list[ObjectVersion]:
        """Return the versions of what is here, without markers, the oldest first."""
        return self.tree.versions(self.key)

    def versions_below(self, *, after: str = "") -> Iterator[ObjectVersion]:
        """Yield every version of what lies below this place behind the name `after`, markers apart."""
        for _, found in self.tree.bucket.versions(f"{self.key}/", after=f"{self.key}/{after}" if after else ""):
            yield from (item for item in found if not item.is_marker)

    def read_version(self, version: ObjectVersion, limit_bytes: int) -> bytes | None:
        """Return the bytes of one version, which may be anybody's; None where none are had, as `read_anybodys` says."""
        return self.tree.bucket.read_anybodys(version, limit_bytes)


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
