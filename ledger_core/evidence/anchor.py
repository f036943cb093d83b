"""Anchors: the newest checkpoint of each log, written to the archive every few minutes where the log has grown.

Whoever restores an old database, or an old state of the signing proxy, cannot take these back: the proxy compares them
at its start (`signing.anchors`), `check` holds the head against them, and after the theft of a key they say what was
signed before. Writing one twice is a no-op, so that any number of processes may do it. Not the schedule, which is the
API's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from ledger_core.base.objects.port import ObjectStore
from ledger_core.errors import CannotRun, CounterfoilError, IntegrityError
from ledger_core.evidence.keyring import pinned_ring, read_checkpoint
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint
from ledger_core.log.object_tree import ANCHOR_PATTERN, CHECKPOINTS_FOLDER
from ledger_core.reading.heads import latest_checkpoint

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


def anchor_checkpoints(runtime: Runtime, anchored: dict[str, int]) -> list[str]:
    """Write the newest checkpoint of every book that grew; return the names written.

    `anchored` is the size of each origin's newest anchor as far as the caller knows, and is brought up to date. Raises
    `IntegrityError` for a stored checkpoint that no key vouches for: nothing of that is anchored.
    """
    written = []
    with runtime.engine.connect() as connection:
        rows = connection.execute(text("select book from ledger.log_head order by book"))
        newest = {str(row.book): latest_checkpoint(connection, row.book) for row in rows.all()}
    for book, stored in newest.items():
        origin = runtime.settings.origin_of(book)
        if stored is None or stored.size <= anchored.get(origin, 0):
            continue
        ring = pinned_ring(runtime, origin)
        checkpoint, why_not = read_checkpoint(ring, stored.note, origin)
        if why_not or checkpoint.size != stored.size:
            raise IntegrityError(
                f"the stored checkpoint of {origin} at size {stored.size} does not count: {why_not or 'another size'}.",
                remedy="Run `counterfoil check`.",
                seq=stored.size - 1,
                finding="signature_invalid",
            )
        name = anchor_name(origin, stored.size)
        # One that is there already may carry other signature bytes, and must say the same.
        if not runtime.archive.exists(name):
            runtime.archive.put_once(name, stored.note.encode())
            written.append(name)
        elif (found := read_anchor(runtime.archive, origin, stored.size, ring)) != checkpoint:
            anchored[origin] = stored.size  # the next size is tried, not this one for ever
            raise IntegrityError(
                f"{name} was put there by somebody else: {found}.",
                remedy="See docs/runbooks/archive.md: take the writing key away.",
                finding="archive_foreign",
            )
        anchored[origin] = stored.size
    return written


def anchor_name(origin: str, size: int) -> str:
    """Return the name of the anchor of `origin` at `size`."""
    return f"{origin}/{CHECKPOINTS_FOLDER}/{size:016d}"


def anchored_sizes(store: ObjectStore, origin: str, *, after: int) -> list[int]:
    """Return the sizes above `after` that names of anchors state, in order."""
    listed = store.list(f"{origin}/{CHECKPOINTS_FOLDER}/", after=anchor_name(origin, after))
    names = (name.rpartition("/")[2] for name in listed)
    return sorted(int(name) for name in names if ANCHOR_PATTERN.match(name) and int(name) > after)


def read_anchor(store: ObjectStore, origin: str, size: int, ring: KeyRing) -> Checkpoint | str:
    """Return the checkpoint anchored at `size`, or why it is none of this log that the keys vouch for."""
    try:
        with store.open(anchor_name(origin, size)) as source:
            data = source.read(MAX_NOTE_BYTES + 1)
        checkpoint, why_not = read_checkpoint(ring, data.decode("utf-8", "replace"), origin)
    except CannotRun:
        raise
    except CounterfoilError as error:
        return error.message
    if why_not or checkpoint.size != size:
        return why_not or f"it is a checkpoint of size {checkpoint.size}"
    return checkpoint
