"""The newest checkpoint of each log in the archive, read by the proxy itself: what its own state may not be behind.

The archive is of other custody than the signer's folder, and is only read. A folder of the signer that was put back as
a whole, state and record of the last use alike, is seen by this alone. A note that no key of the registry signed says
nothing: whoever can write to the archive must not be able to stop the proxy. Looked at are the newest segments'
checkpoints, and of those anchored apart every few minutes the ones that came after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.object_tree import ANCHOR_PATTERN, CHECKPOINTS_FOLDER, ObjectPlace, Place, absolute_place, place_of
from ledger_core.log.reading import open_regular
from ledger_core.log.segment import CHECKPOINT_FILE, FOLDER_PATTERN
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.state import REMEDY

MAX_NOTES_TRIED = 20
"""How many of a log's newest segments may be damaged, or another's, before it counts as not anchored by them."""
MAX_ANCHORS_TRIED = 500
"""The same of checkpoints anchored since the last segment: 288 come in a day, and a writer's thief can add to them."""


def open_archive(address: str | None, settings: SignerSettings) -> Place | None:
    """Return the archive that the argument names, if it names one. Raises `InvalidInput`."""
    if address is None:
        return None
    return absolute_place(place_of(address, endpoint=settings.archive_endpoint, region=settings.archive_region))


def newest_anchors(archive: Place, ring: KeyRing, allows: Callable[[str], bool]) -> dict[str, Checkpoint]:
    """Return, for each log of `archive` that `allows` names ours, its largest checkpoint that the keys vouch for.

    Raises `CannotRun` for a bucket that does not answer: what it holds may be what the state is behind of.
    """
    found = {}
    for origin, log in sorted(_logs(archive)):
        if allows(origin) and (newest := newest_of_log(log, origin, ring)) is not None:
            found[origin] = newest
    return found


def newest_of_log(log: Place, origin: str, ring: KeyRing) -> Checkpoint | None:
    """Return the largest checkpoint in `log`, the place of one log in an archive, that the keys vouch for."""
    segments = sorted(_segments(log), key=lambda item: item[0], reverse=True)[:MAX_NOTES_TRIED]
    newest = None
    for size, folder in segments:
        note = read_note(folder / CHECKPOINT_FILE, ring)
        if note is not None and (note.origin, note.size) == (origin, size):
            newest = note
            break
    sizes = sorted(anchors_after(log, newest.size if newest else 0), reverse=True)
    for size in sizes[:MAX_ANCHORS_TRIED]:
        anchor = read_note(anchor_place(log, size), ring)
        if anchor is not None and (anchor.origin, anchor.size) == (origin, size):
            return anchor
    return newest


def anchors_after(log: Place, size: int) -> Iterator[int]:
    """Yield the sizes above `size` that the names of anchored checkpoints state."""
    folder = log / CHECKPOINTS_FOLDER
    if isinstance(folder, ObjectPlace):
        names: Iterable[str] = (key.rpartition("/")[2] for key in folder.keys_below(after=f"{size:016d}"))
    else:
        names = (path.name for path in folder.glob("*"))
    for name in names:
        if ANCHOR_PATTERN.match(name) and int(name) > size:
            yield int(name)


def anchor_place(log: Place, size: int) -> Place:
    """Return where the checkpoint of `size` is anchored."""
    return log / CHECKPOINTS_FOLDER / f"{size:016d}"


def refuse_older(sizes_of: Callable[[str], Checkpoint | None], anchors: dict[str, Checkpoint], file: Path) -> None:
    """Raise `ConfigurationError` where what is remembered is behind an anchor, or says something else."""
    for origin, anchor in anchors.items():
        last = sizes_of(origin)
        if last is None or last.size < anchor.size:
            raise ConfigurationError(
                f"the witness state is older than the archive: {origin} is anchored at size {anchor.size}, "
                f"remembered {f'at {last.size}' if last else 'not at all'}.",
                file=str(file),
                remedy=REMEDY,
            )
        if last.size == anchor.size and last.root != anchor.root:
            raise ConfigurationError(
                f"the archive and the witness state hold two roots of {origin} at size {anchor.size}.",
                file=str(file),
                remedy="The key signed two histories, or the state was edited: keep both, stop the proxy, end the key.",
            )


def read_note(path: Place, ring: KeyRing) -> Checkpoint | None:
    """Return the checkpoint in the file, None for one that no key of `ring` vouches for, and for no file."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_NOTE_BYTES + 1)
    except OSError:
        return None
    try:
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
    except CounterfoilError:
        return None
    return None if ring.judge_checkpoint(note, checkpoint).verdict else checkpoint


def _logs(archive: Place) -> Iterator[tuple[str, Place]]:
    if isinstance(archive, ObjectPlace):
        start = f"{archive.key}/" if archive.key else ""
        for domain in archive.folders():
            for environment in domain.folders():
                for log in environment.folders():
                    yield log.key.removeprefix(start), log
        return
    for path in archive.glob("*/*/*"):
        if path.is_dir():
            yield path.relative_to(archive).as_posix(), path


def _segments(log: Place) -> Iterator[tuple[int, Place]]:
    """Yield the folders that are called as segments are, each with the size that its name ends at."""
    top = log / "segments"
    if isinstance(top, ObjectPlace):
        names = {key.rpartition("/")[0] for key in top.keys_below()}
        found: Iterable[Place] = (ObjectPlace(top.tree, name) for name in names)
    else:
        found = top.glob("*/*/*/*")
    for folder in found:
        match = FOLDER_PATTERN.match(folder.name)
        if match is not None:
            yield int(match["next"]), folder
