"""The newest checkpoint of each log in the archive, read by the proxy itself: what its own state may not be behind.

The archive is of other custody than the signer's folder, and is only read. A folder of the signer that was put back as
a whole, state and record of the last use alike, is seen by this alone. A note that no key of the registry signed says
nothing: whoever can write to the archive must not be able to stop the proxy. Until checkpoints are anchored apart,
they are those of the nightly segments.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.segment import CHECKPOINT_FILE, FOLDER_PATTERN
from ledger_core.signing.state import REMEDY

MAX_NOTES_TRIED = 20
"""How many of a log's newest notes may be damaged, or another's, before it counts as not anchored."""


def newest_anchors(archive: Path, ring: KeyRing, allows: Callable[[str], bool]) -> dict[str, Checkpoint]:
    """Return, for each log of `archive` that `allows` names ours, its largest checkpoint that the keys vouch for."""
    found = {}
    for log in sorted(path for path in archive.glob("*/*/*") if path.is_dir()):
        origin = log.relative_to(archive).as_posix()
        if allows(origin):
            notes = (read_note(folder / CHECKPOINT_FILE, ring) for folder in _newest_first(log)[:MAX_NOTES_TRIED])
            sound = [note for note in notes if note is not None and note.origin == origin]
            if sound:
                found[origin] = max(sound, key=lambda note: note.size)
    return found


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


def read_note(path: Path, ring: KeyRing) -> Checkpoint | None:
    """Return the checkpoint in the file, None for one that no key of `ring` vouches for, and for no file."""
    try:
        # What is no regular file is not waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        data = file.read(MAX_NOTE_BYTES + 1)
    try:
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
    except CounterfoilError:
        return None
    return None if ring.judge_checkpoint(note, checkpoint).verdict else checkpoint


def _newest_first(log: Path) -> list[Path]:
    return sorted(_segments(log / "segments"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)


def _segments(folder: Path) -> Iterator[Path]:
    for path in folder.glob("*/*/*/*"):
        if FOLDER_PATTERN.match(path.name):
            yield path
