"""What the archive says of how long a log is, for whoever is about to write to its book.

A database and a signing proxy that were both put back agree with each other; the archive is of other custody. Only what
lies beyond the database is looked at, as a rule nothing: one listing a process. A name says nothing by itself; a
checkpoint that the pinned keys vouch for does, and whoever else can write to the archive stops no book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ledger_core.book.sequencer.checkpoints import BEHIND_REMEDY
from ledger_core.errors import LedgerBehind
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint
from ledger_core.log.object_tree import Place, place_of
from ledger_core.log.segment import CHECKPOINT_FILE
from ledger_core.settings import Settings
from ledger_core.signing.anchors import MAX_ANCHORS_TRIED, anchor_place, anchors_after, read_note, segments_of

Beyond = Callable[[int], Checkpoint | None]
"""Asked with a size: the newest checkpoint beyond it that the archive holds and the keys vouch for."""


def archive_of(settings: Settings, origin: str, ring: Callable[[], KeyRing]) -> Beyond:
    """Return who answers for the archive that `settings` name; `ring` is asked for the keys when there is need."""

    def beyond(size: int) -> Checkpoint | None:
        place = place_of(settings.archive_address, endpoint=settings.archive.endpoint, region=settings.archive.region)
        for part in origin.split("/"):
            place = place / part
        return newest_beyond(place, origin, size, ring)

    return beyond


def newest_beyond(log: Place, origin: str, size: int, ring: Callable[[], KeyRing]) -> Checkpoint | None:
    """Return the largest vouched checkpoint of more than `size` records in `log`, the place of one log in an archive.

    Raises `CannotRun` for a bucket that does not answer: what it holds may be what the database is behind of.
    """
    named = sorted(_named_beyond(log, size), key=lambda item: item[0], reverse=True)[:MAX_ANCHORS_TRIED]
    keys = ring() if named else None
    for stated, place in named:
        assert keys is not None
        note = read_note(place, keys)
        if note is not None and (note.origin, note.size) == (origin, stated):
            return note
    return None


def require_not_behind(book: str, size: int, beyond: Beyond) -> None:
    """Raise `LedgerBehind` where the archive holds more of the log than the `size` records of the database."""
    found = beyond(size)
    if found is not None:
        raise LedgerBehind(
            f"book {book} has {size} records, yet the archive holds a checkpoint over {found.size}: "
            "the database went back in time.",
            remedy=BEHIND_REMEDY,
            size=size,
            signed_size=found.size,
        )


def _named_beyond(log: Place, size: int) -> Iterator[tuple[int, Place]]:
    for anchored in anchors_after(log, size):
        yield anchored, anchor_place(log, anchored)
    for next_seq, folder in segments_of(log):
        if next_seq > size:
            yield next_seq, folder / CHECKPOINT_FILE
