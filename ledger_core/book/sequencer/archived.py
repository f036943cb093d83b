"""What the archive says of how long a log is, for whoever is about to write to its book.

A database and a signing proxy that were both put back agree with each other; the archive is of other custody. It is
asked once a process, and says the largest checkpoint that the pinned keys vouch for: whoever else can write to the
archive stops no book. Where no key is pinned nothing is said; `counterfoil check` and every export say why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ledger_core.book.sequencer.checkpoints import BEHIND_REMEDY
from ledger_core.errors import ConfigurationError, IntegrityError, LedgerBehind
from ledger_core.log.bucket_errors import Overfilled
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import Checkpoint
from ledger_core.log.object_tree import ObjectPlace, place_of
from ledger_core.log.patience import one_task
from ledger_core.settings import Settings
from ledger_core.signing.anchors import START_SECONDS, newest_of_log

MAX_NOTES_TRIED = 500
"""Of segments and of anchors each, by one book at its opening; the proxy looks at more of them."""

Archived = Callable[[], Checkpoint | None]
"""The largest checkpoint of one log that its archive holds and the keys vouch for."""

_log = logging.getLogger("counterfoil.archive")


def newest_archived(settings: Settings, origin: str, ring: Callable[[], KeyRing]) -> Checkpoint | None:
    """Return the largest checkpoint of `origin` in the archive that `settings` name.

    Raises `CannotRun` for a bucket that does not answer, or lets none of its notes be read: what it holds may be what
    the database is behind of.
    """
    place = place_of(settings.archive_address, endpoint=settings.archive.endpoint, region=settings.archive.region)
    for part in origin.split("/"):
        place = place / part
    try:
        keys = ring()
    except (ConfigurationError, IntegrityError) as error:
        _log.warning("the archive of %s says nothing: %s", origin, error)
        return None
    try:
        with one_task(START_SECONDS):
            found = newest_of_log(place, origin, keys, limit=MAX_NOTES_TRIED)
    except Overfilled as error:
        _log.error("the archive of %s says nothing: %s", origin, error)
        return None
    if found is None and isinstance(place, ObjectPlace):
        place.tree.bucket.require_readable()
    return found


def require_not_behind(book: str, size: int, archived: Archived) -> None:
    """Raise `LedgerBehind` where the archive holds more of the log than the `size` records of the database."""
    found = archived()
    if found is not None and found.size > size:
        raise LedgerBehind(
            f"book {book} has {size} records, yet the archive holds a checkpoint over {found.size}: "
            "the database went back in time.",
            remedy=BEHIND_REMEDY,
            size=size,
            signed_size=found.size,
        )
