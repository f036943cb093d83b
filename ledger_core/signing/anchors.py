"""The newest checkpoint of each log in the archive, read by the proxy itself: what its own state may not be behind.

The archive is of other custody than the signer's folder, and is only read. A folder of the signer that was put back as
a whole, state and record of the last use alike, is seen by this alone. A note that no key of the registry signed says
nothing: whoever can write to the archive must not be able to stop the proxy. Looked at are the newest segments'
checkpoints, and of those anchored apart every few minutes the ones that came after.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ledger_core.errors import ConfigurationError, CounterfoilError
from ledger_core.log.anchored import Anchor, anchors_after
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint, parse_checkpoint, parse_note
from ledger_core.log.object_tree import CHECKPOINTS_FOLDER, ObjectPlace, Place, absolute_place, place_of
from ledger_core.log.patience import one_task
from ledger_core.log.reading import open_regular
from ledger_core.log.segment import CHECKPOINT_FILE, FOLDER_PATTERN
from ledger_core.log.walk import fair
from ledger_core.settings.signer import SignerSettings
from ledger_core.signing.state import REMEDY

MAX_NOTES_TRIED = 20_000
"""How many notes of segments, and how many anchored ones, are read of one log until one counts. Past that the ones
written first are read as well: what lay there before a thief came is always seen."""
MAX_LOGS_TRIED = 1_000
"""Of those that are not remembered."""
START_SECONDS = 300.0
"""How long the archive may keep a start waiting."""

_log = logging.getLogger("counterfoil.signing")


def open_archive(address: str | None, settings: SignerSettings) -> Place | None:
    """Return the archive that the argument names, if it names one. Raises `InvalidInput`."""
    if address is None:
        return None
    return absolute_place(place_of(address, endpoint=settings.archive_endpoint, region=settings.archive_region))


def newest_anchors(
    archive: Place, ring: KeyRing, allows: Callable[[str], bool], *, known: Iterable[str] = ()
) -> dict[str, Checkpoint]:
    """Return, for each log of `archive` that `allows` names ours, its largest checkpoint that the keys vouch for.

    `known` are logs of which something is remembered: those are looked for under their names, whatever else lies there.
    Raises `CannotRun` for a bucket that does not answer: what it holds may be what the state is behind of.
    """
    found = {}
    with one_task(START_SECONDS):
        first = {origin: _place_of(archive, origin) for origin in sorted(known)}
        others = {origin: log for origin, log in _logs(archive) if origin not in first}
        for origin, log in (first | dict(sorted(others.items()))).items():
            if allows(origin) and (newest := newest_of_log(log, origin, ring)) is not None:
                found[origin] = newest
    if isinstance(archive, ObjectPlace):
        archive.tree.bucket.require_readable()
    return found


def newest_of_log(log: Place, origin: str, ring: KeyRing, *, limit: int | None = None) -> Checkpoint | None:
    """Return the largest checkpoint in `log`, the place of one log in an archive, that the keys vouch for.

    Of its segments' notes, and of its anchors, at most `limit` are read (`MAX_NOTES_TRIED` if none is given).
    """
    limit = MAX_NOTES_TRIED if limit is None else limit
    newest = _largest(_segments(log), origin, ring, limit)
    after = newest.size if newest else 0
    return _largest(list(anchors_after(log / CHECKPOINTS_FOLDER, after)), origin, ring, limit) or newest


def _largest(notes: Sequence[Anchor], origin: str, ring: KeyRing, limit: int) -> Checkpoint | None:
    """Return the largest checkpoint of `origin` among `notes` that the keys vouch for."""
    chosen = fair(notes, size=lambda item: item.size, written_at=lambda item: item.written_at, limit=limit)
    by_size = chosen if len(notes) == len(chosen) else chosen[: limit // 2]
    for item in by_size:
        if (found := _vouched(item, origin, ring)) is not None:
            return found
    # None of the largest is ours: more than a long history of our own.
    if len(notes) > len(chosen):
        _log.error(
            "the archive of %s holds %d notes, of which %d are read: somebody else fills it",
            origin,
            len(notes),
            len(chosen),
        )
    earliest = [found for item in chosen[len(by_size) :] if (found := _vouched(item, origin, ring)) is not None]
    return max(earliest, key=lambda found: found.size, default=None)


def _vouched(item: Anchor, origin: str, ring: KeyRing) -> Checkpoint | None:
    data = item.read()
    found = None if data is None else judge_note(data, ring)
    return found if found is not None and (found.origin, found.size) == (origin, item.size) else None


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
    return judge_note(data, ring)


def judge_note(data: bytes, ring: KeyRing) -> Checkpoint | None:
    """Return the checkpoint that `data` is, None for one that no key of `ring` vouches for."""
    try:
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
    except CounterfoilError:
        return None
    return None if ring.judge_checkpoint(note, checkpoint).verdict else checkpoint


def _place_of(archive: Place, origin: str) -> Place:
    for part in origin.split("/"):
        archive = archive / part
    return archive


def _logs(archive: Place) -> Iterator[tuple[str, Place]]:
    """Yield what lies where logs do, as much of it as is looked at."""
    if not isinstance(archive, ObjectPlace):
        for path in archive.glob("*/*/*"):
            if path.is_dir():
                yield path.relative_to(archive).as_posix(), path
        return
    start = f"{archive.key}/" if archive.key else ""
    looked_at = 0
    for domain in archive.folders():
        looked_at += 1
        for environment in domain.folders():
            looked_at += 1
            for log in environment.folders():
                looked_at += 1
                yield log.key.removeprefix(start), log
                if looked_at > MAX_LOGS_TRIED:
                    break
            if looked_at > MAX_LOGS_TRIED:
                break
        if looked_at > MAX_LOGS_TRIED:
            _log.error("the archive holds more than %d places of logs: somebody else fills it", MAX_LOGS_TRIED)
            return


def _segments(log: Place) -> list[Anchor]:
    """Return the checkpoints in folders that are called as segments are, each of the size that its folder ends at."""
    top = log / "segments"
    found = []
    if isinstance(top, ObjectPlace):
        for version in top.versions_below():
            folder, _, name = version.key.rpartition("/")
            match = FOLDER_PATTERN.match(folder.rpartition("/")[2])
            if match is not None and name == CHECKPOINT_FILE:
                place = ObjectPlace(top.tree, version.key)
                written_at = version.written_at
                found.append(Anchor(place=place, size=int(match["next"]), written_at=written_at, version=version))
        return found
    for path in top.glob("*/*/*/*"):
        match = FOLDER_PATTERN.match(path.name)
        if match is not None:
            written_at = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
            found.append(Anchor(place=path / CHECKPOINT_FILE, size=int(match["next"]), written_at=written_at))
    return found
