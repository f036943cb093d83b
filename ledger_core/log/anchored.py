"""Checkpoints that were anchored after the last segment: what they say of the records still to come.

None that no key signed passes as one of ours. Those before the end are not read: there is one every few minutes, and
the segments prove more than they do. One that a compromised key signed is nobody's yet: the next segment shows whether
its tree is the log's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ledger_core.errors import CannotRun, CounterfoilError
from ledger_core.log.bucket import ObjectVersion
from ledger_core.log.findings import FOREIGN, Failure, VerificationReport
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.object_tree import ANCHOR_PATTERN, CHECKPOINTS_FOLDER, ObjectPlace, Place
from ledger_core.log.reading import read_bounded
from ledger_core.log.segment import Manifest
from ledger_core.log.walk import MAX_REFUSED, fair


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A name that says it is a checkpoint of `size`; `version` is one of its versions, in a bucket."""

    place: Place
    size: int
    written_at: datetime
    version: ObjectVersion | None = None

    def read(self) -> bytes | None:
        """Return its bytes, None for more than a note has and for what cannot be read."""
        if self.version is not None and isinstance(self.place, ObjectPlace):
            return self.place.read_version(self.version, MAX_NOTE_BYTES)
        return read_bounded(self.place, MAX_NOTE_BYTES)


def look_at_anchors(top: Place, last: Manifest, ring: KeyRing | None, report: VerificationReport) -> None:
    """Add to `report` what the anchors behind `last`, the end of a log at `top`, show."""
    if ring is None:
        return
    newest = doubtful = 0
    behind = [item for folder in _folders(top, last.origin) for item in anchors_after(folder, last.next_seq)]
    chosen = fair(behind, size=lambda item: item.size, written_at=lambda item: item.written_at, limit=MAX_REFUSED)
    refused: dict[str, str] = {}
    sound: set[str] = set()
    for item in chosen:
        why_not = _why_not(item, last.origin, ring)
        if why_not is None:
            newest = max(newest, item.size)
            sound.add(str(item.place))
        elif why_not == _DOUBTFUL:
            doubtful = max(doubtful, item.size)
            sound.add(str(item.place))
        else:
            refused[str(item.place)] = why_not
    for place in sorted(refused.keys() - sound):
        report.add(Failure(verdict=FOREIGN, seq=None, where=place, detail=refused[place]))
    if len(behind) > len(chosen):
        detail = f"{len(behind) - len(chosen):,} more checkpoints are anchored behind the end than were looked at"
        report.add(Failure(verdict=FOREIGN, seq=None, where=report.path, detail=detail))
    if newest:
        report.notes.append(
            f"a checkpoint of {last.origin} at size {newest} is anchored here: {newest - last.next_seq} records more "
            "are signed than these segments hold"
        )
    if doubtful > newest:
        report.notes.append(
            f"a checkpoint of {last.origin} at size {doubtful} is anchored here that a compromised key signed: it says "
            "nothing until a segment shows its tree"
        )


_DOUBTFUL = "a compromised key signed it"


def anchors_after(folder: Place, size: int) -> Iterator[Anchor]:
    """Yield what lies in `folder`, one of anchors, under the names of sizes above `size`: of a bucket each version."""
    if isinstance(folder, ObjectPlace):
        for version in folder.versions_below(after=f"{size:016d}"):
            parent, _, name = version.key.rpartition("/")
            if parent == folder.key and ANCHOR_PATTERN.match(name) and int(name) > size:
                yield Anchor(place=folder / name, size=int(name), written_at=version.written_at, version=version)
        return
    try:
        paths = list(folder.iterdir())
    except (OSError, ValueError):  # not there, or of a name that no disk knows
        return
    for path in paths:
        if ANCHOR_PATTERN.match(path.name) and int(path.name) > size:
            try:
                written_at = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
            except (OSError, ValueError, OverflowError):
                continue
            yield Anchor(place=path, size=int(path.name), written_at=written_at)


def _folders(top: Place, origin: str) -> Iterator[Place]:
    """Yield the folders of anchors of `origin`."""
    if isinstance(top, ObjectPlace):
        for folder in sorted(top.tree.anchors):
            if f"/{folder}".endswith(f"/{origin}/{CHECKPOINTS_FOLDER}"):
                yield ObjectPlace(top.tree, folder)
        return
    if {"", ".", ".."}.isdisjoint(origin.split("/")):
        # Where the archive itself was given; what stands above a part of it was not.
        yield top / origin / CHECKPOINTS_FOLDER


def _why_not(item: Anchor, origin: str, ring: KeyRing) -> str | None:
    """Return why the anchor is none of `origin`; None if it is."""
    try:
        note = parse_note(item.read() or b"")
        checkpoint: Checkpoint = parse_checkpoint(note.text)
    except CannotRun:
        raise
    except CounterfoilError as error:
        return f"it is no checkpoint: {error.message}"
    if (checkpoint.origin, checkpoint.size) != (origin, item.size):
        return f"its name says size {item.size}, it is the checkpoint of {checkpoint.origin} at {checkpoint.size}"
    judgement = ring.judge_checkpoint(note, checkpoint)
    if judgement.verdict is None:
        return None
    return _DOUBTFUL if judgement.doubtful else judgement.detail
