"""Where the segments of an archive lie: found by their files, told apart by what their manifests say, held to their
signed place.

Which log a folder belongs to is its manifest's word, whatever the folders above it are called: a tree that was moved,
or copied without what stood above it, is the same log. Where a path does spell the archive's layout, what it spells
must be what was signed. Nothing is verified here but that: the manifest's own signature is for `verify_segment.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ledger_core.errors import CounterfoilError
from ledger_core.log.dsse import parse_envelope
from ledger_core.log.object_tree import ObjectPlace, Place
from ledger_core.log.reading import read_bounded
from ledger_core.log.segment import FILES, FOLDER_PATTERN, MANIFEST_FILE, Manifest, parse_manifest

MAX_FOLDERS = 1_000_000
MAX_MANIFEST_BYTES = 1024 * 1024
_LAYOUT = tuple(map(re.compile, (r"[0-9]{2}\Z", r"[0-9]{2}\Z", r"[0-9]{4}\Z", r"segments\Z")))
"""Day, month, year and what holds them, from the segment's folder upwards."""
_ORIGIN_PARTS = 3
_PARTS = 8


@dataclass(slots=True, kw_only=True)
class FoundLog:
    """The folders of one log, in the order of its records; `origin` None where no manifest can be read."""

    origin: str | None
    folders: list[Place]


@dataclass(slots=True, kw_only=True)
class FoundSegments:
    """What a path holds. `problems` are places that could not be looked at, `foreign` what was put there by others."""

    logs: list[FoundLog] = field(default_factory=list)
    is_single: bool = False
    """Whether the path is one segment's own folder."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Seen:
    """A folder, the log that its manifest names, and its place in that."""

    folder: Place
    origin: str | None
    position: tuple[int, int, int, str]


def find_on_disk(path: Path) -> FoundSegments:
    """Return the segments at or below `path` by log.

    A folder named like a segment counts even when it is empty: that its files are gone is a finding.
    """
    found = FoundSegments()
    if _is_segment(absolute(path).name, [name for name in FILES if (path / name).exists()]):
        found.is_single = True
        found.logs = by_log([look_at(path)])
        return found
    folders: list[Place] = []
    top = Path(os.path.realpath(path))
    waiting = [path]
    looked = 0
    # Not `os.walk`: before Python 3.12 it calls itself once a level, and a path holds two thousand.
    while waiting:
        parent = waiting.pop()
        if looked >= MAX_FOLDERS:
            found.problems.append((str(parent), f"more than {MAX_FOLDERS:,} folders: the rest was not looked at"))
            break
        looked += 1
        below, links, files = _inside(parent, found)
        if _is_segment(parent.name, files):
            folders.append(parent)
            continue
        waiting += reversed(below)
        for link in links:
            # A link within the tree leads to what is walked anyway; any other leads out of what was given.
            if not Path(os.path.realpath(link)).is_relative_to(top):
                found.problems.append((str(link), "a link that leads out of the folder given is not followed"))
    found.logs = by_log([look_at(folder) for folder in folders])
    return found


def why_misplaced(folder: Place, top: Place, manifest: Manifest) -> str | None:
    """Return why `folder`, met at or below `top`, is not the place that the manifest was signed for; None if it is.

    Compared upwards as far as the path has the archive's form. What stands above `segments` is the caller's own where
    it has nothing in common with an origin's place, unless all of the layout lies below what was given.
    """
    wanted = manifest.folder.split("/")
    parts = absolute(folder).parts
    dated = 0
    while dated < len(_LAYOUT) and dated + 2 <= len(parts) and _LAYOUT[dated].match(parts[-2 - dated]):
        dated += 1
    name = parts[-1]
    if name != wanted[-1] and (FOLDER_PATTERN.match(name) or dated >= 3):
        return f"the manifest is that of {manifest.folder}"
    held = min(dated, 3)
    if held and tuple(parts[-1 - held : -1]) != tuple(wanted[-1 - held : -1]):
        return f"it lies under {'/'.join(parts[-1 - held : -1])}, the manifest is that of {manifest.folder}"
    above = tuple(parts[-_PARTS : -_PARTS + _ORIGIN_PARTS])
    if dated < len(_LAYOUT) or above == tuple(wanted[:_ORIGIN_PARTS]):
        return None
    is_below = len(parts) - len(absolute(top).parts) >= _PARTS
    if is_below or above[:1] == (wanted[0],) or above[1:2] == (wanted[1],):
        return f"it lies in the place of {'/'.join(above)}, the manifest is that of {manifest.folder}"
    return None


def absolute(path: Place) -> PurePath:
    """Return `path` from the root, without `.` and `..`; links stay. The root of an object's place is its bucket."""
    if isinstance(path, ObjectPlace):
        return path.where
    return Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow the links


def _inside(parent: Path, found: FoundSegments) -> tuple[list[Path], list[Path], list[str]]:
    """Return folders, links to folders, and names of anything else in `parent`; what cannot be read is a problem."""
    below: list[Path] = []
    links: list[Path] = []
    files: list[str] = []
    try:
        with os.scandir(parent) as items:
            for item in items:
                if not _is_folder(item):
                    files.append(item.name)
                elif item.is_symlink():
                    links.append(parent / item.name)
                else:
                    below.append(parent / item.name)
    except OSError as error:
        found.problems.append((str(parent), f"it cannot be read: {error.strerror}"))
    return sorted(below), links, files


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link in a circle
        return False


def _is_segment(name: str, files: Sequence[str]) -> bool:
    return FOLDER_PATTERN.match(name) is not None or not set(FILES).isdisjoint(files)


def look_at(folder: Place) -> Seen:
    """Return what a folder says of itself."""
    data = read_bounded(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES)
    name = absolute(folder).name
    if data is not None:
        try:
            manifest = parse_manifest(parse_envelope(data).payload)
        except CounterfoilError:
            pass  # said where the segment is checked
        else:
            position = (manifest.first_seq, manifest.segment, manifest.next_seq, str(folder))
            return Seen(folder, manifest.origin, position)
    match = FOLDER_PATTERN.match(name)
    numbers = (int(match["first"]), int(match["segment"]), int(match["next"])) if match else (2**63, 0, 0)
    return Seen(folder, None, (*numbers, str(folder)))


def by_log(seen: Sequence[Seen]) -> list[FoundLog]:
    """Return the logs. A folder that does not say its own lies with its neighbours, else in the only log there is."""
    homes = {_home(item.folder): item.origin for item in seen if item.origin is not None}
    origins = {origin for origin in homes.values() if origin is not None}
    only = next(iter(origins)) if len(origins) == 1 else None
    logs: dict[str | None, list[Seen]] = {}
    for item in seen:
        logs.setdefault(item.origin or homes.get(_home(item.folder), only), []).append(item)
    return [
        FoundLog(origin=origin, folders=[item.folder for item in sorted(logs[origin], key=lambda item: item.position)])
        for origin in sorted(logs, key=lambda origin: origin or "")
    ]


def _home(folder: Place) -> PurePath:
    """Return what holds the folder's `segments`, else the folder above it."""
    for parent in absolute(folder).parents:
        if parent.name == "segments":
            return parent
    return absolute(folder).parent
