"""Anchors: the newest checkpoint of each log, written to the archive every few minutes where the log has grown.

Whoever restores an old database, or an old state of the signing proxy, cannot take these back: the proxy compares them
at its start (`signing.anchors`), `check` holds the head against them, and after the theft of a key they say what was
signed before. Writing one twice is a no-op, so that any number of processes may do it. Each book is anchored for
itself: one that cannot be keeps no other from it. Not the schedule, which is the API's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from ledger_core.base.objects.port import ObjectStore, StoredVersion
from ledger_core.errors import CannotRun, CounterfoilError, IntegrityError
from ledger_core.evidence.keyring import is_doubtful, pinned_ring, read_checkpoint
from ledger_core.log.bucket_errors import Unreadable
from ledger_core.log.keys import KeyRing
from ledger_core.log.note import MAX_NOTE_BYTES, Checkpoint
from ledger_core.log.object_tree import ANCHOR_PATTERN, CHECKPOINTS_FOLDER
from ledger_core.log.patience import one_task
from ledger_core.reading.heads import latest_checkpoint

BOOK_SECONDS = 60.0
"""How long the archive may keep one book waiting; the books after it are waiting too."""
ANCHOR_SLACK = timedelta(days=365)
"""A book that rests keeps one anchor: written anew each month, it would be told as somebody else's version."""

if TYPE_CHECKING:
    from ledger_core.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnchor:
    """A name that says it is a checkpoint of `size`, in one of its versions. It may be anybody's."""

    size: int
    version: StoredVersion


@dataclass(slots=True, kw_only=True)
class Anchored:
    """What became of each log: the name that was written, or why none was. A log that did not grow is in neither."""

    written: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)


def anchor_each(runtime: Runtime, anchored: dict[str, int]) -> Anchored:
    """Write the newest checkpoint of every book that grew.

    `anchored` is the size of each origin's newest anchor as far as the caller knows, and is brought up to date. Raises
    nothing for a single book; what the database or the settings refuse for all of them is raised.
    """
    with runtime.engine.connect() as connection:
        rows = connection.execute(text("select book from ledger.log_head order by book"))
        newest = {str(row.book): latest_checkpoint(connection, row.book) for row in rows.all()}
    done = Anchored()
    for book, stored in newest.items():
        origin = runtime.settings.origin_of(book)
        if stored is None or stored.size <= anchored.get(origin, 0):
            continue
        try:
            with one_task(BOOK_SECONDS):
                name = _anchor(runtime, origin, stored.size, stored.note)
        except Exception as error:  # noqa: BLE001 - said of this book, and the next one has its turn
            done.failed[origin] = error
            continue
        anchored[origin] = stored.size
        if name is not None:
            done.written[origin] = name
    return done


def anchor_checkpoints(runtime: Runtime, anchored: dict[str, int]) -> list[str]:
    """Do as `anchor_each` does and return the names written; raise what was wrong with the first book, after all."""
    done = anchor_each(runtime, anchored)
    for error in done.failed.values():
        raise error
    return list(done.written.values())


def _anchor(runtime: Runtime, origin: str, size: int, note: str) -> str | None:
    """Anchor one checkpoint; return its name, None where it is anchored already.

    Raises `IntegrityError` for one that no key vouches for, and in a store without versions where somebody else has the
    name; in one with versions ours is laid over his.
    """
    ring = pinned_ring(runtime, origin)
    checkpoint, why_not = read_checkpoint(ring, note, origin)
    if why_not or checkpoint.size != size:
        raise IntegrityError(
            f"the stored checkpoint of {origin} at size {size} does not count: {why_not or 'another size'}.",
            remedy="Run `counterfoil check`.",
            seq=size - 1,
            finding="signature_invalid",
        )
    name, store = anchor_name(origin, size), runtime.archive
    # One that is there already may carry other signature bytes, and must say the same.
    for version in store.kept(name, slack=ANCHOR_SLACK):
        found, doubt = judge_anchor(store, origin, StoredAnchor(size=size, version=version), ring)
        if found == checkpoint and not doubt:
            return None
    try:
        store.put_own(name, note.encode())
    except IntegrityError as error:
        raise IntegrityError(
            f"{name} was put there by somebody else: {error.message}",
            remedy="See docs/runbooks/archive.md: take the writing key away.",
            finding="archive_foreign",
        ) from error
    return name


def anchor_name(origin: str, size: int) -> str:
    """Return the name of the anchor of `origin` at `size`."""
    return f"{origin}/{CHECKPOINTS_FOLDER}/{size:016d}"


def anchored_sizes(store: ObjectStore, origin: str, *, after: int) -> list[int]:
    """Return the sizes above `after` that names of anchors state, in order."""
    listed = store.list(f"{origin}/{CHECKPOINTS_FOLDER}/", after=anchor_name(origin, after))
    names = (name.rpartition("/")[2] for name in listed)
    return sorted(int(name) for name in names if ANCHOR_PATTERN.match(name) and int(name) > after)


def judge_anchor(store: ObjectStore, origin: str, anchor: StoredAnchor, ring: KeyRing) -> tuple[Checkpoint | str, bool]:
    """Return the checkpoint anchored there, or why it is none of this log; and whether a compromised key signed it."""
    name = anchor_name(origin, anchor.size)
    if anchor.version.size_bytes > MAX_NOTE_BYTES:
        return f"it has more than {MAX_NOTE_BYTES:,} bytes", False
    try:
        with store.open(name, anchor.version.version_id) as source:
            data = source.read(MAX_NOTE_BYTES + 1).decode("utf-8", "replace")
        checkpoint, why_not = read_checkpoint(ring, data, origin)
        if checkpoint.origin != origin or checkpoint.size != anchor.size:
            return why_not or f"it is a checkpoint of size {checkpoint.size}", False
        if why_not and not is_doubtful(ring, data):
            return why_not, False
    except Unreadable as error:
        return error.message, False
    except CannotRun:
        raise
    except (CounterfoilError, OSError) as error:
        return str(error), False
    return checkpoint, bool(why_not)
