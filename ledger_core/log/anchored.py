"""Checkpoints that were anchored after the last segment: what they say of the records still to come.

None that no key signed passes as one of ours. Those before the end are not read: there is one every few minutes, and
the segments prove more than they do.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger_core.errors import CannotRun, CounterfoilError
from ledger_core.log.findings import FOREIGN, Failure, VerificationReport
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.object_tree import ANCHOR_PATTERN, CHECKPOINTS_FOLDER, ObjectPlace, Place
from ledger_core.log.reading import read_bounded
from ledger_core.log.segment import Manifest

MAX_ANCHORS_READ = 2_000
"""Of those behind the last segment: a week of them at one in five minutes."""


def look_at_anchors(top: Place, last: Manifest, ring: KeyRing | None, report: VerificationReport) -> None:
    """Add to `report` what the anchors behind `last`, the end of a log at `top`, show."""
    if ring is None:
        return
    newest = 0
    for folder, sizes in _anchors(top, last.origin):
        behind = sorted(size for size in sizes if size > last.next_seq)
        for size in behind[-MAX_ANCHORS_READ:]:
            place = folder / f"{size:016d}"
            why_not = _why_not(place, last.origin, size, ring)
            if why_not is None:
                newest = size
            else:
                report.add(Failure(verdict=FOREIGN, seq=None, where=str(place), detail=why_not))
    if newest:
        report.notes.append(
            f"a checkpoint of {last.origin} at size {newest} is anchored here: {newest - last.next_seq} records more "
            "are signed than these segments hold"
        )


def _anchors(top: Place, origin: str) -> Iterator[tuple[Place, list[int]]]:
    """Yield the folders of anchors of `origin`, each with the sizes that the names in it state."""
    if isinstance(top, ObjectPlace):
        for folder, sizes in sorted(top.tree.anchors.items()):
            if f"/{folder}".endswith(f"/{origin}/{CHECKPOINTS_FOLDER}"):
                yield ObjectPlace(top.tree, folder), sizes
        return
    if not {"", ".", ".."}.isdisjoint(origin.split("/")):
        return
    # Where the archive itself was given; what stands above a part of it was not.
    path = top / origin / CHECKPOINTS_FOLDER
    try:
        names = [item.name for item in path.iterdir()]
    except (OSError, ValueError):  # not there, or of a name that no disk knows
        return
    yield path, [int(name) for name in names if ANCHOR_PATTERN.match(name)]


def _why_not(place: Place, origin: str, size: int, ring: KeyRing) -> str | None:
    """Return why the anchor at `place` is none of `origin` at `size`; None if it is."""
    try:
        note = parse_note(read_bounded(place, MAX_NOTE_BYTES) or b"")
        checkpoint: Checkpoint = parse_checkpoint(note.text)
    except CannotRun:
        raise
    except CounterfoilError as error:
        return f"it is no checkpoint: {error.message}"
    if (checkpoint.origin, checkpoint.size) != (origin, size):
        return f"its name says size {size}, it is the checkpoint of {checkpoint.origin} at {checkpoint.size}"
    judgement = ring.judge_checkpoint(note, checkpoint)
    return judgement.detail if judgement.verdict else None
